"""The grammar of search against any text: read and written again it is the same, or refused at a place in it."""

from __future__ import annotations

from hypothesis import example, given, settings
from hypothesis import strategies as st

from errors import QueryError
from triage import watch

# -- the grammar -------------------------------------------------------------------------------------------------------

PIECES = [
    "snö", "is", "SNÖ", "İå", "#väg", "12", "e-post", '"is på väg"', '"', "(", ")", " ", " ", " OR ", " AND ", "NOT ",
    "-", "*", "~", ":", "NEAR/2", " NEAR/2 ", "status:", "status:new", 'tag:"a b"', "lang:sv", "language:no",
    "author:@Anna", "author:öb*", "site:www.storby.se", "link:a/b*", "followers>=10", "kl:12", "colour:red", "\x00",
    "\n",
]  # fmt: skip
scribbled = st.one_of(st.lists(st.sampled_from(PIECES), max_size=9).map("".join), st.text(max_size=30))


def spelt(node: watch.Node) -> str:
    """A query as it may be written, every group in parentheses."""
    match node:
        case watch.And(parts) | watch.Or(parts):
            return (" " if isinstance(node, watch.And) else " OR ").join(map(grouped, parts))
        case watch.Not(what):
            return f"NOT {grouped(what)}" if not isinstance(what, watch.Not) else f"NOT ({spelt(what)})"
        case watch.Near(left, right, gap):
            return f"{spelt(left)} NEAR/{gap} {spelt(right)}"
        case watch.Term(words, prefix, tag, inflected, inside):
            text = ("#" if tag else "") + ("-" if prefix or inflected else " ").join(words)
            return f"{'~' * inflected}{text}{'*' * prefix}" if prefix or inflected or inside else f'"{text}"'
        case watch.Lang(languages):
            return f"lang:{'no' if len(languages) > 1 else languages[0]}"
        case watch.Author(handle, name):
            return f"author:@{handle}*" if name.prefix else f'author:"@{handle}"'
        case watch.Site(host):
            return f"site:www.{host}"
        case watch.Link(words):
            return f"link:{spelt(words)}"
        case watch.Followers(sign, count):
            return f"followers{sign}{count}"
        case watch.Operator(name, value):
            return f'{name}:"{value}"'
    raise AssertionError(node)


def grouped(node: watch.Node) -> str:
    return f"({spelt(node)})" if isinstance(node, watch.And | watch.Or) else spelt(node)


def read(q: str) -> watch.Node | int:
    """The query, or where it is wrong."""
    try:
        return watch.parse_search(q)
    except QueryError as error:
        return error.position


@settings(max_examples=300, deadline=None)
@given(scribbled)
@example('NOT NOT (snö OR -is) author:"@@a b" link:#x~')
@example("site:www.www.se")
def test_any_text_is_read_or_refused_at_a_place_in_it(q: str) -> None:
    node = read(q)
    if isinstance(node, int):
        assert 0 <= node <= len(q)
        return
    written = spelt(node)
    assert spelt(watch.parse_search(written)) == written, q
