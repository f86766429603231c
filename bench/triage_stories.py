"""How well stories are drawn together, how fast, and in how much memory: ``python -m bench.triage_stories FOLDER``.

* ``neardup_crisis``: groups of near-equal tweets: what *echoes* are for. Stories are wider, so they are held against
  the events the tweets are about, though those lie years apart and are squeezed into days here.
* ``mstream_clusters``: headlines, already stripped to their stems, by event: what *stories* are for.
* the snowstorm: our own texts in five languages. The dictionary was written by the same hand: it shows that
  languages meet, not how well strangers' texts would.
* tweets to airlines: no event at all, but one trade. How much of it is taken for one story?

The figures in ``triage`` were set on the even groups and the snowstorm; the odd groups were only measured. Whole sets
are printed too, since more groups are more to mistake for one another. Nothing shipped is learnt from the sets.
"""

from __future__ import annotations

import csv
import json
import random
import sys
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from statistics import mean

import yaml

from triage.stories import Gatherer, Item, fingerprint

BEGAN = datetime(2026, 1, 12, 7, tzinfo=UTC)
SPAN = timedelta(days=5)  # the sets have no times: their texts are spread evenly over this
STORM = Path(__file__).parent.parent / "sandbox" / "snowstorm.yaml"


@dataclass(frozen=True)
class Scores:
    """Of pairs, and B-cubed."""

    precision: float
    recall: float
    b_precision: float
    b_recall: float
    groups: int

    def __str__(self) -> str:
        return f"{self.precision:9.3f} {self.recall:6.3f} {self.b_precision:9.3f} {self.b_recall:6.3f} {self.groups:7d}"


def scores(found: Sequence[object], truth: Sequence[object]) -> Scores:
    ours, theirs, both = Counter(found), Counter(truth), Counter(zip(found, truth, strict=True))

    def pairs(counts: Counter[object]) -> int:
        return sum(n * (n - 1) // 2 for n in counts.values())

    right = sum(n * (n - 1) // 2 for n in both.values())
    return Scores(
        right / max(1, pairs(ours)),
        right / max(1, pairs(theirs)),
        sum(n * n / ours[mine] for (mine, _), n in both.items()) / len(found),
        sum(n * n / theirs[yours] for (_, yours), n in both.items()) / len(found),
        len(ours),
    )


def spread_out(texts: Sequence[str]) -> list[Item]:
    step = SPAN / max(1, len(texts))
    return [
        Item(n + 1, BEGAN + n * step, text, None, "en", (), (), None, None, "square") for n, text in enumerate(texts)
    ]


def gathered(items: Sequence[Item]) -> Gatherer:
    gatherer = Gatherer()
    for item in items:
        gatherer.add(item.id, item.at, fingerprint(item))
    return gatherer


def near_equal(folder: Path, truth: str = "group") -> list[tuple[str, str]]:
    with (folder / "neardup_crisis" / "neardup_groups.csv").open(encoding="utf-8", newline="") as lines:
        return [(row["text"], row[truth].lower()) for row in csv.DictReader(lines)]


def headlines(folder: Path) -> list[tuple[str, str]]:
    lines = (folder / "mstream_clusters" / "news_clusters.jsonl").read_text(encoding="utf-8").splitlines()
    return [(row["textCleaned"], str(row["clusterNo"])) for row in map(json.loads, lines)]


def storm() -> tuple[list[Item], list[str]]:
    said = yaml.safe_load(STORM.read_text(encoding="utf-8"))
    items = [
        Item(
            n, BEGAN + timedelta(minutes=each["minutes"]), each["text"], None, each["language"],
            (each["link"],) if "link" in each else (), (), None, each["author"], "square",
        )
        for n, each in enumerate(said, 1)
    ]  # fmt: skip
    return items, [each["matter"] or f"nothing {n}" for n, each in enumerate(said)]


def show(name: str, what: str, items: Sequence[Item], truth: Sequence[str]) -> None:
    gatherer = gathered(items)
    if what == "echoes":
        found = [min(gatherer.echo(item.id)) for item in items]
    else:
        found = [gatherer.story(item.id) or item.id for item in items]
    print(f"{name:38} {what:12} {scores(found, truth)}")
    if name.endswith("whole"):
        print(f"{'':38} {'(same text)':12} {scores([item.text for item in items], truth)}")
        print(f"{'':38} {'(all one)':12} {scores([0 for _ in items], truth)}")


def cost(name: str, items: Sequence[Item]) -> None:
    """Of this thread's own time; what the machine does besides is left out."""
    began = time.thread_time()
    prints = [fingerprint(item) for item in items]
    printed = time.thread_time()
    gatherer, waits = Gatherer(), []
    for item, made in zip(items, prints, strict=True):
        then = time.thread_time()
        gatherer.add(item.id, item.at, made)
        waits.append((time.thread_time() - then) * 1e6)
    quarter = len(waits) // 4
    tracemalloc.start()
    kept = gathered(items)
    size = tracemalloc.get_traced_memory()[0] / len(kept)
    tracemalloc.stop()
    stored = sum(len(json.dumps(each.to_json())) for each in prints) / len(prints)
    print(
        f"{name}, {len(items)} mentions: fingerprint {(printed - began) / len(items) * 1e6:.0f} µs; placing "
        f"{mean(waits):.0f} µs (first quarter {mean(waits[:quarter]):.0f}, last {mean(waits[-quarter:]):.0f}, 99 of "
        f"100 under {sorted(waits)[int(len(waits) * 0.99)]:.0f}); {size:.0f} bytes in memory, {stored:.0f} stored"
    )


def everyday(folder: Path) -> None:
    with (folder / "airline_tweets" / "tweets.csv").open(encoding="utf-8", newline="") as lines:
        items = spread_out([row["text"] for row in islice(csv.DictReader(lines), 5000)])
    gatherer = gathered(items)
    sizes = Counter(gatherer.story(item.id) or -item.id for item in items)
    largest = ", ".join(str(n) for _, n in sizes.most_common(5))
    alone = sum(n == 1 for n in sizes.values())
    print(f"{len(items)} tweets to airlines in five days: the largest stories hold {largest}; {alone} are alone")


def main(corpus: Path) -> None:
    folder = corpus / "text"
    print(f"{'':51} {'pairs: P':>9} {'R':>6} {'B-cubed P':>9} {'R':>6} {'groups':>7}")
    sets: tuple[tuple[str, str, Callable[[Path], list[tuple[str, str]]]], ...] = (
        ("neardup_crisis", "echoes", near_equal),
        ("mstream_clusters", "stories", headlines),
    )
    for name, what, read in sets:
        rows = read(folder)
        for part, chosen in (
            ("even (set on)", [row for row in rows if int(row[1]) % 2 == 0]),
            ("odd (only measured)", [row for row in rows if int(row[1]) % 2]),
            ("whole", rows),
        ):
            show(f"{name}, {part}", what, spread_out([text for text, _ in chosen]), [group for _, group in chosen])
    events = near_equal(folder, "event")
    tweets = spread_out([text for text, _ in events])
    show("neardup_crisis by event, whole", "stories", tweets, [event for _, event in events])
    items, truth = storm()
    show("snowstorm, whole", "stories", items, truth)
    for seed in range(3):
        order = random.Random(seed).sample(range(len(items)), len(items))
        show(f"snowstorm, in disorder {seed + 1}", "stories", [items[n] for n in order], [truth[n] for n in order])
    cost("snowstorm", items)
    cost("neardup_crisis", spread_out([text for text, _ in near_equal(folder)]))
    cost("mstream_clusters", spread_out([text for text, _ in headlines(folder)]))
    everyday(folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
