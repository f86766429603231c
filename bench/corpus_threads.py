"""Real conversations between customers and companies on Twitter, replayed: do the cases tell the same response times?

`python -m bench.corpus_threads FOLDER` wants `twcs.csv` (tweets with author, time and what they answer) and
`first_response_truth.csv` (seconds to the first answer, per first tweet of a customer) in the folder. Every tweet goes
to the look-alike of X, each company gets a Gensvar of its own that reads what mentions it and what it posted, and the
first response of each case is compared with the truth. Then its report of first responses (``reports.figures``) is:
number, median and p90 as the truth has them, and every case behind that is not the same, with the reason.

A company has several accounts, as @brand and @brandcare; the file has put numbers in place of those that never write in
it. So what its customers' first tweets name by such a number counts as one more account of the company they wrote to.
"""

from __future__ import annotations

import csv
import re
import shutil
import sys
import tempfile
import time
from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import func, select
from sqlalchemy.orm import Session

import house
from database import Database
from models import CONCERNS_US, Case, Mention, Sample, Source
from pulls import pull
from reports import figures
from reports.figures import Asked, Timing
from sandbox.base import serving
from sandbox.twitter import Loaded, X, snowflake
from triage import intake, samples
from triage.measures import Measure

CHANNEL = X.name
UNNAMED = "the first tweet does not name"
WRITTEN = "%a %b %d %H:%M:%S %z %Y"


@dataclass(frozen=True)
class Truth:
    """The row of a customer's first tweet. ``seconds``: until the company first answered anywhere below it."""

    root: str
    company: str
    seconds: int | None


@dataclass(frozen=True)
class Corpus:
    posts: dict[str, Loaded]  # by the id the file gives
    above: dict[str, str]  # what each answers, by the same ids
    truth: list[Truth]


def read(folder: Path) -> Corpus:
    """The files' ids say nothing about order, so each tweet gets the id X would have given it at its time."""
    with (folder / "twcs.csv").open(encoding="utf-8", newline="") as file:
        rows = {row["tweet_id"]: row for row in csv.DictReader(file)}
    times = {number: datetime.strptime(row["created_at"], WRITTEN).astimezone(UTC) for number, row in rows.items()}
    above = {number: row["in_response_to_tweet_id"] for number, row in rows.items()}

    def depth(number: str) -> int:
        steps = 0
        while (number := above.get(number, "")) and steps < len(rows):
            steps += 1
        return steps

    order = sorted(rows, key=lambda number: (times[number], depth(number)))
    ids = {number: snowflake(times[number], place) for place, number in enumerate(order)}
    posts = {
        number: Loaded(
            ids[number],
            row["author_id"],
            row["text"],
            times[number],
            ids.get(above[number], int(above[number])) if above[number] else None,
        )
        for number, row in rows.items()
    }
    with (folder / "first_response_truth.csv").open(encoding="utf-8", newline="") as file:
        truth = [
            Truth(
                row["root_tweet_id"],
                row["brand"],
                int(row["first_response_seconds_any"]) if row["first_response_seconds_any"] else None,
            )
            for row in csv.DictReader(file)
        ]
    return Corpus(posts, above, truth)


def other_accounts(corpus: Corpus, asked: list[Truth]) -> set[str]:
    """What the first tweets to a company name by a number that nobody in the file writes under."""
    writers = {post.author for post in corpus.posts.values()}
    named = {handle for row in asked for handle in re.findall(r"@(\d+)\b", corpus.posts[row.root].text)}
    return named - writers


def collect(network: X, base: str, handles: list[str], database: Database, at: datetime) -> list[str]:
    """One pass of the company's own Gensvar over everything, account by account. Returns what went wrong."""
    config = {
        "organisation": {"name": handles[0], "timezone": "UTC", "languages": ["en"]},
        "outbound": {"allow_private_networks": True},
        "accounts": [network.account(handle, base, handle) for handle in handles],
        "sources": [{"name": handle, "account": handle, "collect": "mentions", "since": "all"} for handle in handles],
    }
    ours = house.build(config, database)
    house.declare(ours, at)
    with database.read() as db:
        sources = list(db.scalars(select(Source.id).order_by(Source.id)))
    passes = [pull(ours, source, now=lambda: at, by_hand=True) for source in sources]
    wrong = [str(pulled.error) for pulled in passes if pulled.error]
    return wrong + [f"{pulled.set_aside} set aside" for pulled in passes if pulled.set_aside]


def judge(database: Database, corpus: Corpus, truth: Truth) -> str | None:
    """None where the case agrees with the truth, else why it does not."""
    root = corpus.posts[truth.root]
    with database.read() as db:
        mention = intake.find(db, CHANNEL, str(root.id))
        if mention is None:
            return f"{UNNAMED} @{truth.company}, and the answer stands further down: it was never seen"
        if mention.context and mention.case_id is None:
            return f"{UNNAMED} @{truth.company}, which answered it unasked: that opens no case"
        if mention.context:
            return f"{UNNAMED} @{truth.company}: it is context of a case that a later tweet opened"
        if mention.case_id is None:
            return "the first tweet was collected, but no case was made"
        case = intake.living(db, mention.case_id)
        first = db.get_one(Mention, mention.id)
        if case.first_response_at is None:
            return "the case knows no answer" if truth.seconds is not None else None
        seconds = int((case.first_response_at - case.opened_at).total_seconds())
        if truth.seconds is None:
            return f"the case was answered after {seconds} s, the truth knows no answer"
        if seconds == truth.seconds:
            return None
        if case.opened_at != first.published_at:
            return f"{seconds} s instead of {truth.seconds}: the case was opened by another tweet above or beside it"
        return f"{seconds} s instead of {truth.seconds}"


@dataclass(frozen=True)
class Reported:
    """First responses of a company, as its report has them and as the truth does. ``apart``: what is not in both."""

    company: str
    report: Timing
    truth: Timing
    apart: list[str]

    @property
    def same(self) -> bool:
        ours, theirs = ((each.n, each.median_s, each.p90_s) for each in (self.report, self.truth))
        return ours == theirs


def report_of(database: Database, corpus: Corpus, company: str, asked: list[Truth], at: datetime) -> Reported:
    """The report of everything, from samples taken as those of any house are, beside the truth's own figures."""
    with database.transaction() as db:
        samples.mark_all(db)
        many = db.scalar(select(func.count()).select_from(Case)) or 0
    samples.catch_up(database, most=many)
    first = min(post.at for post in corpus.posts.values()).date()
    period = Asked(first, at.date() + timedelta(days=1))
    with database.read() as db:
        found = figures.report(db, period, [Measure.first_response]).total.timing(Measure.first_response)
        taken = select(Sample.case_id, Sample.seconds).where(Sample.measure == Measure.first_response)
        seconds = {case: took or 0 for case, took in db.execute(taken)}
        cases = {row.root: _case(db, corpus, row.root) for row in asked}
        begun = {case: _begun(db, corpus, case) for case in seconds}
    known = sorted(row.seconds for row in asked if row.seconds is not None)
    apart = [
        why for row in asked if row.seconds is not None and (why := _missing(row, cases[row.root], seconds))
    ] + [
        _surplus(corpus, asked, begun[case])
        for case in seconds
        if not any(cases[row.root] == case and row.seconds is not None for row in asked)
    ]  # fmt: skip
    return Reported(company, found, _by_hand(known), apart)


def _by_hand(seconds: list[int]) -> Timing:
    """The truth's figures by their definition, not by our code: so many values are not above the percentile."""

    def rank(share: float) -> int | None:
        return next((each for each in seconds if sum(one <= each for one in seconds) >= share * len(seconds)), None)

    return Timing(len(seconds), rank(0.5), rank(0.9) if len(seconds) >= figures.FEW_FOR_P90 else None)


def _case(db: Session, corpus: Corpus, root: str) -> int | None:
    mention = intake.find(db, CHANNEL, str(corpus.posts[root].id))
    if mention is None or mention.context or mention.case_id is None:
        return None
    return intake.living(db, mention.case_id).id


def _begun(db: Session, corpus: Corpus, case: int) -> str:
    """With which tweet a case begins, by the id of the file."""
    counts = (Mention.case_id == case, CONCERNS_US)
    first = select(Mention.external_id).where(*counts).order_by(Mention.published_at, Mention.id).limit(1)
    given = int(db.scalars(first).one())
    return next(number for number, post in corpus.posts.items() if post.id == given)


def _missing(row: Truth, case: int | None, seconds: dict[int, int]) -> str | None:
    if case is None:
        return "in the truth alone: its first tweet does not name the company, and opens no case"
    if case not in seconds:
        return "in the truth alone: its case has no first response, since the company spoke first in it"
    return None if seconds[case] == row.seconds else "in both, but the seconds differ"


def _surplus(corpus: Corpus, asked: list[Truth], number: str) -> str:
    """Why a case of the report stands for no row of the truth."""
    named = {row.root: row.company for row in corpus.truth}
    own = {row.company for row in asked}
    steps = [number]
    while (up := corpus.above[steps[-1]]) in corpus.posts:
        steps.append(up)
    root = steps[-1]
    if corpus.above[root]:
        return "in the report alone: what the thread begins with is not in the file"
    if any(corpus.posts[step].author in own for step in steps[1:]):
        return "in the report alone: a case below something that the company wrote"
    if named.get(root) in own:
        return "in the report alone: opened by a later tweet, below a first one that does not name the company"
    if root in named:
        return "in the report alone: the truth counts the thread for another company"
    return "in the report alone: the thread is not in the truth"


def run(folder: Path) -> None:
    """Replay, collect, compare, print."""
    started = time.monotonic()
    corpus = read(folder)
    known = {post.author for post in corpus.posts.values()}
    asked = defaultdict(list)
    reasons: list[tuple[Truth, str]] = []
    for row in corpus.truth:
        if row.company and row.company in known:
            asked[row.company].append(row)
        else:
            reasons.append((row, "the truth names no company that wrote anything"))
    reports: list[Reported] = []
    network = X()
    accounts = {company: [company, *sorted(other_accounts(corpus, rows))] for company, rows in asked.items()}
    for number, handle in enumerate(sorted({handle for handles in accounts.values() for handle in handles})):
        network.add_account(handle, str(1_000_000 + number), handle)
    network.load(corpus.posts.values())
    at = max(post.at for post in corpus.posts.values()) + timedelta(days=1)
    cases = agreeing = 0
    with tempfile.TemporaryDirectory() as scratch, serving(network.app) as base:
        empty = Path(scratch) / "empty.db"
        template = Database(f"sqlite:///{empty}")
        template.migrate()
        template.close()
        for company in sorted(asked):
            copy = Path(scratch) / f"{company}.db"
            shutil.copyfile(empty, copy)
            database = Database(f"sqlite:///{copy}")
            for wrong in collect(network, base, accounts[company], database, at):
                print(f"@{company}: {wrong}")
            with database.read() as db:
                cases += db.scalar(select(func.count()).select_from(Case).where(Case.merged_into_id.is_(None))) or 0
            for row in asked[company]:
                reason = judge(database, corpus, row)
                if reason is None:
                    agreeing += 1
                else:
                    reasons.append((row, reason))
            reports.append(report_of(database, corpus, company, asked[company], at))
            database.close()
    others = sum(map(len, accounts.values())) - len(accounts)
    took = time.monotonic() - started
    print(f"{len(corpus.posts)} tweets, {len(asked)} companies, {others} more accounts, {cases} cases, {took:.1f} s")
    print(f"first responses in the truth: {len(corpus.truth)}, agreeing: {agreeing}, not: {len(reasons)}")
    unnamed = sum(reason.startswith(UNNAMED) for _, reason in reasons)
    print(f"where the first tweet names the company: {agreeing} of {len(corpus.truth) - unnamed} agree; why not:")
    named = Counter(reason.replace(f"@{row.company}", "the company") for row, reason in reasons)
    for reason, count in named.most_common(12):
        print(f"{count:5}  {reason}")
    for row, reason in sorted(reasons, key=lambda one: (one[0].company, int(one[0].root))):
        print(f"  tweet {row.root} to @{row.company or '?'}: {reason}")
    tell(reports)


def tell(reports: list[Reported]) -> None:
    same = [each for each in reports if each.same]
    print(f"reports of first responses: {len(reports)} companies, {len(same)} with the truth's number, median and p90")
    apart = Counter(why for each in reports for why in each.apart)
    theirs, ours = (
        sum(each.n for each in side) for side in zip(*((one.truth, one.report) for one in reports), strict=True)
    )
    agreeing = ours - sum(n for why, n in apart.items() if "truth alone" not in why)
    print(f"{theirs} in the truth, {ours} in the reports, {agreeing} the same to the second; the others:")
    for why, n in apart.most_common():
        print(f"{n:5}  {why}")
    print(f"{'':20} {'number':>13} {'median':>15} {'p90':>15}   (report, truth; seconds)")
    for each in sorted(reports, key=lambda one: (-one.truth.n, one.company)):
        mine, given = each.report, each.truth
        told = [f"{getattr(mine, name)!s:>7} {getattr(given, name)!s:>7}" for name in ("median_s", "p90_s")]
        print(f"@{each.company:19} {mine.n:6} {given.n:6} {' '.join(told)}  {'' if each.same else _reasons(each)}")


def _reasons(reported: Reported) -> str:
    return "; ".join(f"{n} {why}" for why, n in Counter(reported.apart).most_common())


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m bench.corpus_threads FOLDER")
    run(Path(sys.argv[1]))
