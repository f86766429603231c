"""Languages: every text is translated, catalogues go out and come in as files, and nothing breaks by one."""

from __future__ import annotations

import io
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po
from flask.testing import FlaskClient
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from errors import InvalidInput
from house import House
from models import AuditEntry
from web import i18n, translating

Browser = Callable[[str], FlaskClient]


@pytest.fixture(autouse=True)
def nothing_imported() -> Iterator[None]:
    before = i18n._imported_in
    yield
    i18n._imported_in = before


@pytest.fixture(scope="session")
def texts() -> Catalog:
    return translating.in_use()


@pytest.fixture
def admin(browser: Browser) -> FlaskClient:
    return browser("admin@storby.example")


def text_of(response: Any) -> str:
    return str(response.get_data(as_text=True))


def po(*pairs: tuple[str, str], language: str = "sv") -> bytes:
    head = f'msgid ""\nmsgstr "Language: {language}\\nContent-Type: text/plain; charset=utf-8\\n"\n\n'
    return (head + "\n".join(f'msgid "{key}"\nmsgstr "{said}"\n' for key, said in pairs)).encode()


# -- the shipped ones -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", translating.TRANSLATED)
def test_the_shipped_catalogue_is_complete_and_its_values_go_in(language: str, texts: Catalog) -> None:
    book = i18n.catalogue(language)
    found = translating.report(book, texts)
    assert not found.missing
    assert not found.fuzzy
    wrong = [problem for each in book if each.id and (problem := translating._problem(each, each))]
    assert not wrong, wrong


def test_what_scripts_say_comes_from_the_catalogues_too() -> None:
    """No words in JavaScript: they stand in the attributes of the pages."""
    found = []
    for path in (translating.WEB / "static" / "js").glob("*.js"):
        for text in re.findall(r"""["'`]([A-ZÅÄÖ][a-zåäöæø]+ [a-zåäöæø]+[^"'`]*)["'`]""", path.read_text()):
            found.append(f"{path.name}: {text}")
    assert not found


def test_the_catalogues_are_updated_and_what_is_missing_is_told(tmp_path: Path, texts: Catalog) -> None:
    shipped = i18n.TRANSLATIONS / "sv" / "LC_MESSAGES" / "messages.po"
    path = tmp_path / "messages.po"
    shutil.copyfile(shipped, path)
    path.write_text(path.read_text().replace('msgid "Log out"', 'msgid "Log out of here"'))
    found = translating.update(path, "sv", texts)
    assert "Log out" in found.missing
    assert "Log out of here" in found.unused
    with path.open("rb") as file:
        book = read_po(file, locale="sv")
    waiting = book.get("Log out")
    assert waiting is not None
    assert waiting.string == ""
    assert not translating.report(book, texts).unused
    again = path.read_bytes()
    translating.update(path, "sv", texts)
    assert path.read_bytes() == again, "a second update changes the file"


# -- from outside -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", translating.TRANSLATED)
def test_what_goes_out_comes_in_unchanged(language: str) -> None:
    taken = translating.read_import(language, translating.exported(language))
    assert (taken.problems, taken.changed, taken.unknown) == ([], 0, 0)
    book = read_po(io.BytesIO(translating.exported(language)), locale=language)
    assert len(book) == len(i18n.catalogue(language))


def test_what_is_said_otherwise_is_taken_and_the_rest_stays() -> None:
    taken = translating.read_import("sv", po(("Inbox", "Korgen"), ("No such text", "x"), ("Log out", "")))
    assert (taken.problems, taken.changed, taken.unknown) == ([], 1, 1)


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("%(name)s is added.", "Tillagd."),
        ("%(name)s is added.", "%(namn)s är tillagd."),
        ("%(name)s is added.", "%(name)d är tillagd."),
        ("%(name)s is added.", "%(name)s är tillagd till 100 %."),
        ("%(name)s is added.", "%(name)s är tillagd %s."),
        ("Inbox", "Inkorg %(n)s"),
        ("Inbox", "Inkorg {n}"),
    ],
)
def test_other_values_are_refused(key: str, said: str) -> None:
    taken = translating.read_import("sv", po((key, said)))
    assert len(taken.problems) == 1
    assert taken.changed == 0


@pytest.mark.parametrize(
    ("language", "content"),
    [
        ("sv", b"\xff\xfe\x00"),
        ("sv", "msgid \"Inbox\"\nmsgstr \"Korgen å\"".encode("latin-1")),
        ("sv", b"PK\x03\x04 no catalogue at all"),
        ("sv", po(("Inbox", "Indbakke"), language="da")),
        ("fi", po(("Inbox", "x"))),
        ("../sv", po(("Inbox", "x"))),
    ],
)  # fmt: skip
def test_what_is_no_catalogue_of_the_language_is_refused(language: str, content: bytes) -> None:
    with pytest.raises(InvalidInput):
        translating.read_import(language, content)


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_no_file_breaks_the_reading(content: bytes) -> None:
    with suppress(InvalidInput):
        translating.read_import("nn", content)


# -- the screen -------------------------------------------------------------------------------------------------------


def send(admin: FlaskClient, content: bytes, language: str = "sv") -> Any:
    return admin.post("/admin/languages", data={"language": language, "file": (io.BytesIO(content), "x.po")})


@pytest.mark.screens
def test_an_imported_catalogue_comes_before_ours_until_it_is_removed(admin: FlaskClient, storby: House) -> None:
    swedish = {"Accept-Language": "sv"}
    assert "Korgen" not in text_of(admin.get("/", headers=swedish))
    assert send(admin, po(("Inbox", "Korgen"))).status_code == 303
    page = text_of(admin.get("/", headers=swedish))
    assert "Korgen" in page
    assert "Logga ut" in page, "what was left out is as shipped"
    assert "Imported" in text_of(admin.get("/admin/languages"))
    assert "Korgen" in text_of(admin.get("/admin/languages/sv.po"))
    assert admin.post("/admin/languages/sv/remove").status_code == 303
    assert "Korgen" not in text_of(admin.get("/", headers=swedish))
    with storby.database.read() as db:
        entries = db.scalars(select(AuditEntry).order_by(AuditEntry.id)).all()
    assert [(each.action, each.subject) for each in entries] == [
        ("import", "translation:sv"),
        ("remove", "translation:sv"),
    ]


@pytest.mark.screens
def test_a_catalogue_with_a_mistake_changes_nothing_and_says_where(admin: FlaskClient) -> None:
    response = send(admin, po(("Inbox", "Korgen"), ("%(name)s is added.", "Klart")))
    assert response.status_code == 422
    assert "%(name)s is added." in text_of(response)
    assert "Korgen" not in text_of(admin.get("/", headers={"Accept-Language": "sv"}))
    assert send(admin, b"").status_code == 422
    assert send(admin, po(("Inbox", "x")), "fi").status_code == 422
    assert send(admin, b"#" * 2_000_000).status_code == 413


@pytest.mark.screens
def test_markup_in_a_translation_stays_text(admin: FlaskClient) -> None:
    send(admin, po(("Inbox", "<script>alert(1)</script>")))
    page = text_of(admin.get("/", headers={"Accept-Language": "sv"}))
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page


@pytest.mark.screens
def test_languages_are_for_administrators_and_only_known_ones(browser: Browser, admin: FlaskClient) -> None:
    for path in ("/admin/languages", "/admin/languages/sv.po"):
        assert browser("mats@storby.example").get(path).status_code == 403
    for path in ("/admin/languages/fi.po", "/admin/languages/en.po", "/admin/languages/..%2Fsv.po"):
        assert admin.get(path).status_code == 404
    assert admin.get("/admin/languages/nn.po").mimetype == "text/x-gettext-translation"
