"""What others wrote, made harmless: the one sanitiser, and links in plain text. Nothing is loaded from outside."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from urllib.parse import urlsplit

import nh3
from linkify_it import LinkifyIt
from markupsafe import Markup, escape

TAGS = {
    "a", "abbr", "b", "blockquote", "br", "cite", "code", "dd", "del", "dl", "dt", "em", "figcaption", "figure", "h2",
    "h3", "h4", "h5", "hr", "i", "img", "ins", "li", "ol", "p", "pre", "q", "s", "small", "strong", "sub", "sup",
    "table", "tbody", "td", "tfoot", "th", "thead", "tr", "u", "ul",
}  # fmt: skip
ATTRIBUTES = {"a": {"href", "title"}, "img": {"src", "alt"}, "td": {"colspan", "rowspan"}, "th": {"colspan", "rowspan"}}
SCHEMES = {"http", "https", "mailto"}
REL = "noopener nofollow ugc"
LINKED = re.compile(r"[.:/]\S")  # stands in every address; most messages hold none, and the long look takes a while


def clean(html: str, picture: Callable[[str], str]) -> Markup:
    """The allowed part of remote HTML. ``picture`` turns a picture's address into that of our own proxy."""

    def attribute(tag: str, name: str, value: str) -> str | None:
        if tag == "img" and name == "src":
            return picture(value) if is_web(value) else None
        if tag == "a" and name == "href":
            return value if is_web(value) or value.lower().startswith("mailto:") else None
        return value

    return Markup(
        nh3.clean(
            html,
            tags=TAGS,
            attributes=ATTRIBUTES,
            url_schemes=SCHEMES,
            link_rel=REL,
            attribute_filter=attribute,
            set_tag_attribute_values={"img": {"loading": "lazy"}},
        )
    )


def is_web(url: str | None) -> bool:
    """Whether the address may become a link: http or https and a host, nothing else."""
    try:
        parts = urlsplit(url or "")
        return parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:  # such as http://[
        return False


def link_text(text: str) -> Markup:
    """Plain text with its addresses made into links; everything else is escaped."""
    out, end = Markup(), 0
    for match in (_linkifier().match(text) if LINKED.search(text) else None) or []:
        out += escape(text[end : match.index])
        if is_web(match.url) or match.url.startswith("mailto:"):
            out += Markup('<a href="{}" rel="{}">{}</a>').format(match.url, REL, match.text)
        else:
            out += escape(match.text)
        end = match.last_index
    return out + escape(text[end:])


@cache
def _linkifier() -> LinkifyIt:
    # Without this it takes any.word.with for an address as soon as it ends in a known domain.
    return LinkifyIt(options={"fuzzy_email": False})
