"""What a watch query is asked of: a text cut into words, and what is known of who said it and where."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import unquote

from collectors.base import MentionData
from models import Mention

WORD = re.compile(r"#?\w+")
_ADDRESS = re.compile(r"""(?:https?://|\bwww\.)[^\s<>"']+""", re.IGNORECASE)
_HOST = re.compile(r"[a-z][a-z0-9+.-]*://(?:[^/?#@]*@)?(?:www\.)?([^/?#:\s]+)", re.IGNORECASE)
_ENCODED = re.compile(r"(?:%[89a-f][0-9a-f])+", re.IGNORECASE)  # letters beyond ASCII in an address


@dataclass(frozen=True)
class Text:
    """A text cut into folded words, those with a ``#`` before them, and what else a query may ask about.

    ``host`` as ``host_of`` gives it; ``raw`` is where links are looked for; None: not known.
    """

    words: tuple[str, ...]
    tags: frozenset[int]  # positions of hashtags
    language: str | None = None
    name: str | None = None
    handle: str | None = None
    host: str | None = None
    followers: int | None = None
    raw: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        *parts: str | None,
        language: str | None = None,
        name: str | None = None,
        handle: str | None = None,
        url: str | None = None,
        followers: int | None = None,
        more: tuple[str | None, ...] = (),
    ) -> Text:
        """Several parts (title, body) are kept apart: no phrase reaches from one into the next.

        ``url``: of the mention itself. ``more``: HTML and addresses, where links may stand besides in the parts.
        """
        words: list[str] = []
        tags: set[int] = set()
        for part in parts:
            for found in WORD.findall(fold(part or "")):
                if found.startswith("#"):
                    tags.add(len(words))
                words.append(found.removeprefix("#"))
            words.append("")  # a wall no word equals
        raw = tuple(filter(None, (*parts, *more)))
        return cls(tuple(words), frozenset(tags), language, name, handle_of(handle), host_of(url), followers, raw)

    @cached_property
    def places(self) -> dict[str, list[int]]:
        """Each word -> where it stands."""
        places: dict[str, list[int]] = {}
        for at, word in enumerate(self.words):
            if word:
                places.setdefault(word, []).append(at)
        return places

    @cached_property
    def _walls(self) -> list[int]:
        return [at for at, word in enumerate(self.words) if not word]

    def together(self, one: int, other: int) -> bool:
        """Whether two positions are in one part."""
        return bisect_left(self._walls, one) == bisect_left(self._walls, other)

    @cached_property
    def _sorted(self) -> list[str]:
        return sorted(self.places)

    def beginning(self, prefix: str) -> Iterator[str]:
        """The words that begin so, each once."""
        for at in range(bisect_left(self._sorted, prefix), len(self._sorted)):
            if not self._sorted[at].startswith(prefix):
                return
            yield self._sorted[at]

    @cached_property
    def named(self) -> Text:
        """The author's name, cut into words."""
        return Text.of(self.name)

    @cached_property
    def links(self) -> Text:
        """The addresses linked to, cut into words."""
        return Text.of(*self.addresses)

    @property
    def addresses(self) -> list[str]:
        """The addresses linked to, each once, folded and with the letters that ``%C3%B6`` and the like stand for."""
        found = {address for raw in self.raw for address in _ADDRESS.findall(raw.replace("&amp;", "&"))}
        return [fold(readable(address)) for address in sorted(found)]

    @cached_property
    def sites(self) -> tuple[str, ...]:
        """The host and every domain it is part of."""
        labels = (self.host or "").split(".")
        return tuple(".".join(labels[at:]) for at in range(len(labels))) if self.host else ()


def of(said: Mention | MentionData, language: str | None) -> Text:
    """A mention as queries see it; ``language`` as judged, None when nobody has asked."""
    author = said.author
    links = (each.get("url") if isinstance(each, dict) else each.url for each in said.attachments)
    return Text.of(
        said.title,
        said.text,
        language=language,
        name=author.name if author else None,
        handle=author.handle if author else None,
        url=said.url,
        followers=author.followers if author else None,
        more=(said.html, *links),
    )


def fold(text: str) -> str:
    # NFC first, so that a + ring is the letter å; lower and not casefold, so that nothing changes length within a word
    return unicodedata.normalize("NFC", text).lower()


def readable(address: str) -> str:
    """An address with the letters that ``%C3%B6`` and the like stand for."""
    return _ENCODED.sub(lambda found: unquote(found[0], errors="replace"), address)


def host_of(url: str | None) -> str | None:
    """The host of an address, folded, without www., port and punycode."""
    found = _HOST.match(url or "")
    return _plain(fold(found[1]).rstrip(".")) or None if found else None


def _plain(host: str) -> str:
    if "xn--" not in host:
        return host
    try:
        return fold(host.encode().decode("idna"))
    except UnicodeError:
        return host


def handle_of(handle: str | None) -> str | None:
    """A handle as it is compared: folded, without its @."""
    return fold(handle).removeprefix("@") or None if handle else None
