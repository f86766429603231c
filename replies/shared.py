"""One answer for all: written once for a story, personal in each case, sent at the pace the networks allow.

Each is an ordinary reply through ``replies.outbox``. What is wanted is stored first; ``work_off`` queues it case by
case, so that a crash or a second click loses nothing and sends nothing twice.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Select, func, or_, select
from sqlalchemy.orm import Session, joinedload

import channels
from database import lock, storable
from errors import CannotReply, GensvarError, InvalidInput, InvalidTransition, NotFoundError, StaleCase, TooLong
from house import House
from models import (
    Account,
    Case,
    CaseStatus,
    Reply,
    ReplyStatus,
    SharedAnswer,
    SharedAnswerPart,
    Story,
    Then,
    User,
)
from money import MICRO, spent
from replies import outbox
from replies import texts as prepared
from triage import answering, cases

log = logging.getLogger("gensvar.shared")

OPEN = (SharedAnswerPart.reply_id.is_(None), SharedAnswerPart.skipped.is_(None))  # still to be queued
_UNSENT = (ReplyStatus.held, ReplyStatus.queued, ReplyStatus.calling)


@dataclass(frozen=True)
class Part:
    """What one case would get. ``problem``: why it gets none, as a reason code; ``advised``: it is worth sending.

    ``language``: of the text it gets. ``length`` and ``limit`` as the network counts. ``not_before``: its turn.
    """

    case: Case
    language: str
    body: str
    length: int
    limit: int | None
    micro_usd: int = 0
    not_before: datetime | None = None
    problem: str | None = None
    advised: bool = True


# -- looking ahead ----------------------------------------------------------------------------------------------------


def preview(
    db: Session,
    house: House,
    story_id: int,
    texts: Mapping[str, str],
    *,
    user: User,
    at: datetime,
    chosen: Collection[int] | None = None,
) -> list[Part]:
    """What every living case of a story would get, in the order in which it would be sent. Nothing is written.

    ``chosen``: the cases that are to get it; they alone have a turn and use the budget. None: those that are advised.
    Raises ``InvalidInput`` for a text that is empty or names an unknown variable.
    """
    texts = _checked(texts)
    pace = _Pace(db, house, at)
    parts: list[Part] = []
    said: set[tuple[int | None, str]] = set()
    for case in _cases(db, story_id):
        part = _part(db, house, case, texts, user, at)
        abilities = channels.capabilities(case.channel)
        same = (case.account_id, part.body)
        if part.problem is None and abilities.once and same in said:
            part = replace(part, problem="repeats", advised=False)
        wanted = part.advised if chosen is None else case.id in chosen
        if part.problem is None and wanted:
            problem, turn = pace.next(case, part.micro_usd)
            part = replace(part, problem=problem, not_before=turn, advised=part.advised and problem is None)
            said.add(same)
        parts.append(part)
    return parts


def _checked(texts: Mapping[str, str]) -> dict[str, str]:
    given = {language: storable(text).strip() for language, text in texts.items() if text.strip()}
    if not given:
        raise InvalidInput("The answer is empty.", {"texts": "write it in at least one language"})
    for text in given.values():
        for name in prepared.unknown(text):
            known = ", ".join(f"{{{variable}}}" for variable in prepared.VARIABLES)
            raise InvalidInput(f"There is no variable {{{name}}}; there are {known}.", {"texts": f"{{{name}}}"})
    return given


def _cases(db: Session, story_id: int) -> list[Case]:
    living = select(Case).where(Case.story_id == story_id, Case.merged_into_id.is_(None))
    options = (joinedload(Case.author), joinedload(Case.account))
    return list(db.scalars(living.options(*options).order_by(Case.opened_at, Case.id)))


def _part(db: Session, house: House, case: Case, texts: Mapping[str, str], user: User, at: datetime) -> Part:
    language = prepared.nearest(case.language, texts)
    body = prepared.fill(
        texts[language],
        author=case.author.name if case.author else None,
        case=case.id,
        agent=user.name,
        organisation=house.settings.organisation.name,
    )
    abilities = channels.capabilities(case.channel)
    part = Part(case, language, body, abilities.count(body), abilities.limit)
    part = replace(part, micro_usd=abilities.price(body) if abilities.price else 0)
    problem = _problem(db, house, case, body, at)
    answered = case.waiting_since is None
    return replace(part, problem=problem, advised=problem is None and not answered)


def _problem(db: Session, house: House, case: Case, body: str, at: datetime) -> str | None:
    """Why this case cannot get it, as a reason code."""
    if case.status in (CaseStatus.closed, CaseStatus.ignored):
        return str(case.status)
    if case.noise is not None:
        return "noise"
    if case.account is None:
        return "no_account"
    try:
        mention = outbox.answered_mention(db, case, None, False)
        outbox.replier(house, mention.channel, case.account).check(outbox.outgoing(mention, body, False, at))
    except TooLong:
        return "too_long"
    except CannotReply as refusal:
        return refusal.reason
    except NotFoundError:  # config.yaml no longer has it
        return "no_account"
    return None


class _Pace:
    """Whose turn is when: answers of one account at the pace of its network, after what waits there already."""

    def __init__(self, db: Session, house: House, at: datetime) -> None:
        self.db, self.house, self.at = db, house, at
        self.turns: dict[int, datetime] = {}
        self.left: dict[int, float | None] = {}  # of the month's budget, millionths; None: no budget

    def next(self, case: Case, micro_usd: int) -> tuple[str | None, datetime | None]:
        """A problem, or the turn of one more answer."""
        account = case.account
        assert account is not None
        if account.id not in self.turns:
            self._read(account, case.channel)
        left = self.left[account.id]
        if left is not None:
            if micro_usd > left:
                return "budget", None
            self.left[account.id] = left - micro_usd
        turn = self.turns[account.id]
        self.turns[account.id] = turn + channels.capabilities(case.channel).pace
        return None, turn

    def _read(self, account: Account, channel: str) -> None:
        abilities = channels.capabilities(channel)
        waiting = (Reply.account_id == account.id, Reply.status.in_(_UNSENT))
        last = self.db.scalar(select(func.max(Reply.not_before)).where(*waiting))
        first = self.at + self.house.settings.replies.hold_for(channel)
        self.turns[account.id] = first if last is None else max(first, last + abilities.pace)
        budget = self.house.budget(account.name)
        if budget is None:
            self.left[account.id] = None
            return
        promised = 0
        if abilities.price is not None:
            bodies = self.db.scalars(select(Reply.body).where(*waiting))
            promised = sum(abilities.price(body) for body in bodies)
        self.left[account.id] = budget * MICRO - spent(self.db, account.id, self.at) - promised


# -- sending ----------------------------------------------------------------------------------------------------------


def submit(
    db: Session,
    house: House,
    story_id: int,
    *,
    texts: Mapping[str, str],
    chosen: Collection[int] | None,
    key: str,
    then: Then,
    user: User,
    at: datetime,
    seen: Mapping[int, int] | None = None,
) -> SharedAnswer:
    """Take one answer for the chosen cases; the same ``key`` again gives the same. ``work_off`` queues it.

    ``chosen`` None: every case that is advised. ``seen``: the versions of the cases as they were previewed; where
    somebody has written since, nothing is sent.

    Raises ``InvalidInput`` where nothing could be sent, ``NotFoundError``.
    """
    lock(db, f"answer-{key}")  # a second click waits for the first
    known = db.scalar(select(SharedAnswer).where(SharedAnswer.key == key))
    if known is not None:
        return known
    if db.get(Story, story_id) is None:
        raise NotFoundError(f"There is no story {story_id}.")
    looked = preview(db, house, story_id, texts, user=user, at=at, chosen=chosen)
    parts = [part for part in looked if (part.advised if chosen is None else part.case.id in chosen)]
    if not parts:
        raise InvalidInput("No case was chosen. Nothing was sent.", {"cases": "choose at least one"})
    answer = SharedAnswer(story_id=story_id, user_id=user.id, key=key, texts=_checked(texts), then=then, created_at=at)
    db.add(answer)
    db.flush()
    for part in parts:
        db.add(
            SharedAnswerPart(
                shared_answer_id=answer.id,
                case_id=part.case.id,
                body=part.body,
                version=(seen or {}).get(part.case.id, part.case.version),
                skipped=part.problem,
            )
        )
    db.flush()
    return answer


def anything(house: House) -> bool:
    """Is there a part to queue?"""
    with house.database.read() as db:
        return db.scalar(_open_parts().limit(1)) is not None


def work_off(house: House, at: datetime) -> int:
    """Queue what was taken, each case in a transaction of its own. Returns how many were queued."""
    queued = 0
    with house.database.read() as db:
        waiting = [(part.shared_answer_id, part.case_id) for part in db.scalars(_open_parts())]
    for key in waiting:
        with house.database.transaction() as db:
            lock(db, f"shared-{key[0]}")  # two workers at once: the second finds it done
            queued += _queue(db, house, db.get_one(SharedAnswerPart, key, populate_existing=True), at)
    return queued


def _open_parts() -> Select[SharedAnswerPart]:
    return (
        select(SharedAnswerPart)
        .join(SharedAnswer)
        .where(*OPEN, SharedAnswer.stopped_at.is_(None))
        .order_by(SharedAnswerPart.shared_answer_id, SharedAnswerPart.case_id)
    )


def _queue(db: Session, house: House, part: SharedAnswerPart, at: datetime) -> bool:
    answer = part.shared_answer
    if part.reply_id is not None or part.skipped is not None or answer.stopped_at is not None:
        return False
    case = cases.get(db, part.case_id)
    abilities = channels.capabilities(case.channel)
    lock(db, f"pace-{case.account_id}")  # two answers for all at once share the turns and the budget of an account
    try:
        problem, turn = _Pace(db, house, at).next(case, abilities.price(part.body) if abilities.price else 0)
        if problem is not None:
            part.skipped = problem
            return False
        reply = outbox.submit(
            db,
            house,
            part.case_id,
            body=part.body,
            user=db.get_one(User, answer.user_id),
            at=at,
            then=Then(answer.then),
            idempotency_key=f"shared-{answer.id}-{part.case_id}",
            version=part.version,
            not_before=turn,
        )
    except StaleCase:
        part.skipped = "stale"  # somebody has written or answered since it was previewed
    except TooLong:
        part.skipped = "too_long"
    except CannotReply as refusal:
        part.skipped = refusal.reason
    except NotFoundError:
        part.skipped = "no_account"
    except GensvarError as error:
        log.warning("answer %s, case %s: left out: %s", answer.id, part.case_id, error)
        part.skipped = "not_possible"
    else:
        part.reply_id = reply.id
        return True
    return False


def stop(db: Session, answer_id: int, *, actor: str, at: datetime) -> int:
    """Send no more of it: what has not left yet is undone. Returns how many were."""
    lock(db, f"shared-{answer_id}")
    answer = db.get(SharedAnswer, answer_id, with_for_update=True)
    if answer is None:
        raise NotFoundError(f"There is no answer {answer_id}.")
    answer.stopped_at = answer.stopped_at or at
    concerned = select(SharedAnswerPart.case_id).where(SharedAnswerPart.shared_answer_id == answer_id)
    cases.wait_for_intake(db, Case.id.in_(concerned))
    unsent = (
        select(Reply.id)
        .join(SharedAnswerPart, SharedAnswerPart.reply_id == Reply.id)
        .where(SharedAnswerPart.shared_answer_id == answer_id)
        .where(Reply.status.in_((ReplyStatus.held, ReplyStatus.queued, ReplyStatus.in_review)))
    )
    stopped = 0
    for reply_id in list(db.scalars(unsent.order_by(Reply.case_id))):
        with suppress(InvalidTransition):  # claimed at this very moment: it is on its way
            answering.cancel_reply(db, reply_id, queued=True, actor=actor, at=at)
            stopped += 1
    return stopped


# -- afterwards -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Progress:
    """Of one answer for all: how many of its parts stand where, and until when it will take."""

    total: int
    waiting: int
    sent: int
    failed: int
    uncertain: int
    undone: int
    skipped: Mapping[str, int]
    until: datetime | None


def progress(db: Session, answer_id: int) -> Progress:
    """Raises ``NotFoundError``."""
    answer = get(db, answer_id)
    rows = db.execute(
        select(Reply.status, SharedAnswerPart.skipped, func.count(), func.max(Reply.not_before))
        .select_from(SharedAnswerPart)
        .outerjoin(Reply, Reply.id == SharedAnswerPart.reply_id)
        .where(SharedAnswerPart.shared_answer_id == answer_id)
        .group_by(Reply.status, SharedAnswerPart.skipped)
    ).all()
    by_status: dict[str | None, int] = {}
    for status, skipped, count, _ in rows:
        if skipped is None:
            by_status[status] = by_status.get(status, 0) + count
    turns = [turn for status, _, _, turn in rows if status in _UNSENT and turn is not None]
    never = by_status.pop(None, 0) if answer.stopped_at is not None else 0  # stopped before it was queued
    return Progress(
        total=sum(count for _, _, count, _ in rows),
        waiting=sum(by_status.get(status, 0) for status in (None, *_UNSENT, ReplyStatus.in_review)),
        sent=by_status.get(ReplyStatus.sent, 0),
        failed=by_status.get(ReplyStatus.failed, 0),
        uncertain=by_status.get(ReplyStatus.uncertain, 0),
        undone=never + by_status.get(ReplyStatus.cancelled, 0) + by_status.get(ReplyStatus.draft, 0),
        skipped={skipped: count for _, skipped, count, _ in rows if skipped is not None},
        until=max(turns, default=None),
    )


def get(db: Session, answer_id: int) -> SharedAnswer:
    """Raises ``NotFoundError``."""
    found = db.get(SharedAnswer, answer_id)
    if found is None:
        raise NotFoundError(f"There is no answer {answer_id}.")
    return found


def of_story(db: Session, story_id: int, limit: int) -> list[SharedAnswer]:
    """What was sent in a story, or in one that it took up; the latest first."""
    told = select(Story.id).where(or_(Story.id == story_id, Story.merged_into_id == story_id))
    sent = select(SharedAnswer).where(SharedAnswer.story_id.in_(told)).order_by(SharedAnswer.id.desc())
    return list(db.scalars(sent.limit(limit)))


def offered(db: Session, case: Case) -> SharedAnswer | None:
    """The latest answer for all of the story a case belongs to, if the case has not had it: worth sending there too."""
    if case.story_id is None or case.waiting_since is None:
        return None
    answer = next(iter(of_story(db, case.story_id, 1)), None)
    if answer is None or answer.stopped_at is not None or db.get(SharedAnswerPart, (answer.id, case.id)) is not None:
        return None
    return answer


def newcomers(db: Session, answer: SharedAnswer, story_id: int) -> int:
    """How many cases of its story wait for an answer and have not had this one."""
    had = select(SharedAnswerPart.case_id).where(SharedAnswerPart.shared_answer_id == answer.id)
    waiting = (Case.story_id == story_id, Case.merged_into_id.is_(None), Case.waiting_since.is_not(None))
    alive = (Case.status.not_in((CaseStatus.closed, CaseStatus.ignored)), Case.noise.is_(None))
    counted = select(func.count()).select_from(Case).where(*waiting, *alive, Case.id.not_in(had))
    return db.scalar(counted) or 0
