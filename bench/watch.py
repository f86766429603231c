"""What watch queries cost: microseconds per mention for 10, 500 and 5,000 of them, building the list, its memory.

The queries are as a municipality writes them, each with words of its own; the mentions are invented, with words that
some of the queries ask for. Cutting a mention into words is counted apart: it is done once, whatever is asked then.
"""

from __future__ import annotations

import random
import time
import tracemalloc

from triage import stems, watch
from triage.subject import Text
from triage.watchlist import Watchlist

SIZES = (10, 500, 5_000)
LENGTHS = (20, 200)  # words of a mention
MENTIONS = 1_000
TRIED_EACH = 10  # mentions on which every query is tried by itself, for comparison

PARTS = "snö väg gat is park skol buss bad brand vatten lys sop gräs cykel tomt hus bro torg led plats"
ENDINGS = ("en", "ar", "arna", "ning", "et", "")
WORDS = [a + b + c + end for a in PARTS.split() for b in PARTS.split() for c in PARTS.split() for end in ENDINGS]
COMMON = "storby kommun och det är inte som på att för med när har vi ni jag en ett den de".split()  # noqa: SIM905


def main() -> int:
    chance = random.Random(1)
    said = {length: [_said(chance, length) for _ in range(MENTIONS)] for length in LENGTHS}
    for size in SIZES:
        queries = {number: _query(chance) for number in range(size)}
        seconds, memory = _built(queries)
        watched = Watchlist(queries)
        print(f"{size:,} watch queries: built in {seconds * 1e3:.0f} ms, {memory / 1024**2:.1f} MB")
        for length, each in said.items():
            stems.stems.cache_clear()
            texts, cut = [], 0.0
            for text in each:
                began = time.process_time()
                texts.append(Text.of(text, language="sv", handle="anna", url="https://a.example/1", followers=80))
                _ = texts[-1].places
                cut += time.process_time() - began
            began = time.process_time()
            found = sum(len(watched.matching(text)) for text in texts)
            spent = time.process_time() - began
            nodes = [watch.parse(query) for query in queries.values()]
            began = time.process_time()
            one_by_one = sum(node.matches(text) for text in texts[:TRIED_EACH] for node in nodes)
            slowly = time.process_time() - began
            assert one_by_one == sum(len(watched.matching(text)) for text in texts[:TRIED_EACH])
            print(
                f"  a mention of {length:>3} words: {spent / MENTIONS * 1e6:6.1f} µs (aim: 100), one by one "
                f"{slowly / TRIED_EACH * 1e6:,.0f}, cutting {cut / MENTIONS * 1e6:.0f}; {found / MENTIONS:.2f} found"
            )
    return 0


def _built(queries: dict[int, str]) -> tuple[float, int]:
    """Seconds and bytes, each measured by itself: watching the memory takes time."""
    watch.parse.cache_clear()
    stems.stems.cache_clear()
    began = time.process_time()
    Watchlist(queries)
    seconds = time.process_time() - began
    watch.parse.cache_clear()
    tracemalloc.start()
    kept = Watchlist(queries)
    memory = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert kept.everywhere == ()
    return seconds, memory


def _said(chance: random.Random, length: int) -> str:
    """One word in four is one that queries ask for."""
    return " ".join(chance.choice(WORDS if chance.random() < 0.25 else COMMON) for _ in range(length))


def _query(chance: random.Random) -> str:
    one, two, three = chance.sample(WORDS, 3)
    return chance.choice(
        [
            f"storby AND ({one} OR {two}*)",
            f'"{one} kommun" OR (lang:sv {two} NOT {three})',
            f"{one} NEAR/5 {two} OR ~{three}",
            f"storby lang:sv ~{one}",
            f"#{one} OR author:{two} OR site:{one}.example",
            f"followers>1000 {one}*",
            f"{one} OR {two} OR {three}",
        ]
    )


if __name__ == "__main__":
    raise SystemExit(main())
