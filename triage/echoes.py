"""Echoes: mentions that surely pass on the same message. Whatever the order of arrival, they are the same."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import Counter, defaultdict
from datetime import datetime, timedelta
from typing import TypeVar

from triage.fingerprints import Fingerprint, near_equal

TEXTS = 50  # different texts per word pair, the latest
BANDS = 8  # word pairs a text is found by

_Times = list[tuple[datetime, int]]
_Key = TypeVar("_Key", int, str)


class Echoes:
    """Joined by an equal key (a link, a quoted item) or a near-equal text, with no ``silence`` between."""

    def __init__(self, silence: timedelta) -> None:
        self.silence = silence
        self._group: dict[int, set[int]] = {}
        self._keys: dict[str, _Times] = defaultdict(list)
        self._texts: dict[int, _Times] = defaultdict(list)
        self._example: dict[int, Fingerprint] = {}  # text -> as one mention has it
        self._bands: dict[int, dict[int, None]] = defaultdict(dict)  # word pair -> texts, the latest last

    def __len__(self) -> int:
        """Entries in all indexes."""
        return len(self._group) + len(self._keys) + len(self._texts) + len(self._example) + len(self._bands)

    def of(self, id: int) -> frozenset[int]:
        return frozenset(self._group.get(id, ()))

    def add(self, id: int, at: datetime, print: Fingerprint) -> set[int]:
        """Returns the mentions it is joined by; not all it is joined to."""
        others: set[int] = set()
        for key in print.keys:
            others.update(self._beside(self._keys.get(key, []), at))
        texts = Counter(text for pair in print.pairs[:BANDS] for text in self._bands.get(pair, ()))
        for text, bands in texts.items() if print.text else ():
            if bands >= min(2, len(print.pairs)) and near_equal(print, self._example[text]):
                others.update(self._beside(self._texts[text], at))
        self._group[id] = {id}
        for other in others:
            few, many = sorted((self._group[id], self._group[other]), key=len)
            if few is not many:
                many |= few
                self._group.update(dict.fromkeys(few, many))
        for key in print.keys:
            insort(self._keys[key], (at, id))
        if print.text:
            insort(self._texts[print.text], (at, id))
            self._example[print.text] = print
            for pair in print.pairs[:BANDS]:
                band = self._bands[pair]
                band[print.text] = None
                if len(band) > TEXTS:
                    del band[next(iter(band))]
        return others

    def forget(self, id: int, at: datetime, print: Fingerprint) -> None:
        self._group.pop(id).discard(id)
        for key in print.keys:
            _drop(self._keys, key, (at, id))
        if print.text:
            _drop(self._texts, print.text, (at, id))
            if print.text not in self._texts:
                del self._example[print.text]
                for pair in print.pairs[:BANDS]:
                    self._bands[pair].pop(print.text, None)
                    if not self._bands[pair]:
                        del self._bands[pair]

    def _beside(self, times: _Times, at: datetime) -> list[int]:
        """The last before and the first after, if no silence lies between: through them it joins all the others."""
        place = bisect_left(times, (at, 0))
        return [id for when, id in times[max(0, place - 1) : place + 1] if abs(when - at) <= self.silence]


def _drop(times: dict[_Key, _Times], key: _Key, entry: tuple[datetime, int]) -> None:
    times[key].remove(entry)
    if not times[key]:
        del times[key]
