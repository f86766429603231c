"""The texts for translators: what is said on the screens, what of it is translated, catalogues from outside.

``make translations`` (``main``) brings the shipped catalogues up to date and reports on each; it
fails where a text is missing. ``read_import`` checks a catalogue that comes in through the administration.
"""

from __future__ import annotations

import ast
import io
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import PoFileError, read_po, write_po

from errors import InvalidInput
from web import i18n
from web.i18n import gettext as _

WEB = Path(__file__).parent
METHODS = [("**/templates/**.html", "jinja2.ext:babel_extract")]
OPTIONS = {"**/templates/**.html": {"trimmed": "false"}}
KEYWORDS: Any = {"_": None, "gettext": None, "ngettext": (1, 2)}
CALLS = {"_": 1, "gettext": 1, "ngettext": 2, "QueryError": 1}  # in Python: how many of their arguments are texts
QUERIES = WEB.parent / "triage" / "watch.py"  # says what is wrong with a query, for the screens to translate
HOLE = re.compile(r"%\(\w+\)\w|\{\w+\}")  # where a value goes
# Of the head, what Babel puts there where nobody has said it, and a date that would make each run a change.
UNSAID = re.compile(rb'^"(?:[\w-]+: .*(?:@ADDRESS|@li\.org|YEAR-MO-DA).*|POT-Creation-Date: .*)\\n"\n', re.MULTILINE)
MOST_PROBLEMS = 20  # told at once
TRANSLATED = tuple(language for language in i18n.LANGUAGES if language != i18n.DEFAULT)


def in_use() -> Catalog:
    """Every text of the screens, with the files it stands in."""
    found = Catalog()
    for file, _line, message, comments, context in extract_from_dir(WEB, METHODS, OPTIONS, KEYWORDS):
        found.add(message, locations=[(file, 0)], auto_comments=comments, context=context)
    for path in (*sorted(WEB.rglob("*.py")), QUERIES):
        for message in _in_python(path.read_text(encoding="utf-8")):
            found.add(message, locations=[(path.relative_to(WEB.parent).as_posix().removeprefix("web/"), 0)])
    return found


def _in_python(source: str) -> Iterator[str | tuple[str, ...]]:
    """Babel's own way reads tokens, and before Python 3.12 those hide what is called within an f-string."""
    for node in ast.walk(ast.parse(source)):
        name = node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else None
        if not isinstance(node, ast.Call) or name not in CALLS:
            continue
        texts = [arg.value for arg in node.args[: CALLS[name]] if isinstance(arg, ast.Constant)]
        if len(texts) == CALLS[name] and all(isinstance(text, str) for text in texts):
            yield tuple(map(str, texts)) if len(texts) > 1 else str(texts[0])


@dataclass(frozen=True)
class Report:
    """How a catalogue stands to the texts in use."""

    missing: Sequence[str]
    fuzzy: Sequence[str]
    unused: Sequence[str]

    @property
    def complete(self) -> bool:
        return not (self.missing or self.fuzzy)


def report(book: Catalog, texts: Catalog) -> Report:
    missing = [_key(each) for each in texts if each.id and not _translated(book.get(_key(each)), each)]
    fuzzy = [_key(each) for each in book if each.id and each.fuzzy]
    unused = [_key(each) for each in book if each.id and texts.get(_key(each)) is None]
    return Report(missing, fuzzy, unused)


def _key(message: Message) -> str:
    return message.id if isinstance(message.id, str) else message.id[0]


def _said(message: Message) -> tuple[str, ...]:
    return (message.string,) if isinstance(message.string, str) else tuple(message.string or ())


def _translated(theirs: Message | None, ours: Message) -> bool:
    if theirs is None or theirs.pluralizable != ours.pluralizable:
        return False
    return len(_said(theirs)) == (2 if ours.pluralizable else 1) and all(_said(theirs))


def update(path: Path, language: str, texts: Catalog) -> Report:
    """Bring the file up to date: new texts wait untranslated, those no longer used are kept as comments at its end."""
    with path.open("rb") as file:
        book = read_po(file, locale=language)
    found = report(book, texts)
    book.update(texts, no_fuzzy_matching=True, update_header_comment=False, keep_user_comments=True)
    path.write_bytes(as_file(book))
    return found


def as_file(book: Catalog) -> bytes:
    out = io.BytesIO()
    write_po(out, book, width=120, include_lineno=False, sort_output=True)
    return UNSAID.sub(b"", out.getvalue())


# -- from and for translators outside ---------------------------------------------------------------------------------


def exported(language: str) -> bytes:
    """Every text with its translation in force, as a file for translators."""
    ours, theirs = i18n.catalogue(language), i18n.imported(language)
    book = Catalog(locale=language, project="Gensvar", charset="utf-8", fuzzy=False)
    for each in ours:
        if each.id:
            other = theirs.get(_key(each)) if theirs else None
            said = other.string if other is not None and _translated(other, each) else each.string
            book.add(each.id, said, locations=each.locations, flags=each.flags)
    return as_file(book)


@dataclass
class Import:
    """A catalogue that was handed in. ``changed``: texts it says otherwise than ours; ``unknown``: not ours."""

    book: Catalog
    problems: list[str] = field(default_factory=list)
    changed: int = 0
    unknown: int = 0


def read_import(language: str, content: bytes) -> Import:
    """Check a catalogue: UTF-8, of this language, each translation with the same values in it as the text.

    Raises ``InvalidInput`` for what is no catalogue of this language. What it does not translate stays as shipped.
    """
    if language not in TRANSLATED:
        raise InvalidInput(_("Choose one of the languages."), {"language": "unknown"})
    try:
        given = read_po(io.StringIO(content.decode("utf-8-sig")), abort_invalid=True)
    except UnicodeDecodeError:
        raise InvalidInput(_("The file is not in UTF-8."), {"file": "save it as UTF-8"}) from None
    except (PoFileError, ValueError, TypeError, LookupError, AttributeError):
        raise InvalidInput(_("This is no .po file."), {"file": "not a .po file"}) from None
    said = i18n.supported(str(given.locale_identifier)) if given.locale_identifier else None
    if said not in (None, language):
        raise InvalidInput(_("The file is for another language: %(language)s.", language=i18n.language_name(str(said))))
    ours = i18n.catalogue(language)
    found = Import(Catalog(locale=language, charset="utf-8", fuzzy=False))
    for each in given:
        if not each.id or each.fuzzy or not any(_said(each)):
            continue
        mine = ours.get(_key(each))
        if mine is None:
            found.unknown += 1
        elif problem := _problem(mine, each):
            found.problems.append(f"{_key(each)[:80]}: {problem}")
        elif _said(each) != _said(mine):
            found.book.add(mine.id, each.string)
            found.changed += 1
    return found


def _problem(ours: Message, theirs: Message) -> str | None:
    if not _translated(theirs, ours):
        return _("a form is missing")
    texts = (ours.id,) if isinstance(ours.id, str) else tuple(ours.id)
    wanted = {hole for text in texts for hole in HOLE.findall(text)}
    for text, original in zip(_said(theirs), texts, strict=True):
        holes = set(HOLE.findall(text))
        if not set(HOLE.findall(original)) - {"%(n)s"} <= holes or not holes <= wanted:
            return _("the values are not the same: %(values)s", values=", ".join(sorted(wanted ^ holes)) or "%(n)s")
        if any("%(" in each for each in wanted) and not _fills(text):
            return _("a % stands alone; write %%")
    return None


def _fills(text: str) -> bool:
    try:
        text % dict.fromkeys(re.findall(r"%\((\w+)\)", text), "")
    except (ValueError, TypeError, KeyError):
        return False
    return True


def keep(folder: Path, language: str, given: Import) -> None:
    """From now on it is asked before ours."""
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f".{language}.part"
    part.write_bytes(as_file(given.book))
    part.replace(folder / f"{language}.po")


def forget(folder: Path, language: str) -> bool:
    """Only ours is asked again. False: nothing had been imported."""
    path = folder / f"{language}.po"
    there = path.exists()
    path.unlink(missing_ok=True)
    return there


def main() -> int:
    texts = in_use()
    lacking = 0
    for language in TRANSLATED:
        found = update(i18n.TRANSLATIONS / language / "LC_MESSAGES" / "messages.po", language, texts)
        counts = f"{len(found.missing)} missing, {len(found.fuzzy)} fuzzy, {len(found.unused)} no longer used"
        sys.stdout.write(f"{language}: {counts}\n")
        for kind, keys in (("missing", found.missing), ("fuzzy", found.fuzzy)):
            for key in keys:
                sys.stdout.write(f"  {kind}: {key}\n")
        lacking += not found.complete
    return 1 if lacking else 0
