"""The words for everything the database stores as a code. Codes never reach a screen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from errors import NotFoundError, QueryError
from models import Case, CaseStatus, Kind, Noise, Priority, Reply, ReplyOrigin, ReplyStatus, Role, Sentiment, Urgency
from triage.clock import Day
from triage.notices import Way
from web.i18n import clock, duration, language_name, length, once, when
from web.i18n import gettext as _

SOON = timedelta(hours=2)  # what is due within this is due soon


def channel(name: str) -> str:
    import channels

    try:
        return channels.channel(name).label
    except NotFoundError:  # a channel of an older version
        return name


def channel_sign(name: str) -> str:
    """The drawing that stands beside a channel's name, which says the same to who does not see it."""
    import channels

    try:
        return channels.channel(name).sign
    except NotFoundError:
        return channels.Channel.sign


@once
def status(value: str) -> str:
    return {
        CaseStatus.new: _("New"),
        CaseStatus.open: _("Open"),
        CaseStatus.pending: _("Waiting for the author"),
        CaseStatus.resolved: _("Resolved"),
        CaseStatus.closed: _("Closed"),
        CaseStatus.ignored: _("Ignored"),
    }[CaseStatus(value)]


@once
def status_short(value: str) -> str:
    return _("Waiting") if value == CaseStatus.pending else status(value)


STATUS_COLOURS = {
    CaseStatus.new: "accent",
    CaseStatus.open: "success",
    CaseStatus.pending: "warning",
    CaseStatus.resolved: "neutral",
    CaseStatus.closed: "neutral",
    CaseStatus.ignored: "neutral",
}


def status_colour(value: str) -> str:
    """Which of the design system's colours goes with it; the word always stands beside."""
    return STATUS_COLOURS[CaseStatus(value)]


def move(before: str, target: str) -> str:
    """The button that takes a case from one status to another."""
    if target == CaseStatus.open:
        return _("Start") if before == CaseStatus.new else _("Reopen")
    return {
        CaseStatus.pending: _("Wait for the author"),
        CaseStatus.resolved: _("Resolve"),
        CaseStatus.closed: _("Close"),
        CaseStatus.ignored: _("Ignore"),
    }[CaseStatus(target)]


@once
def priority(value: str) -> str:
    return {
        Priority.low: _("Low"),
        Priority.normal: _("Normal"),
        Priority.high: _("High"),
        Priority.urgent: _("Urgent"),
    }[Priority(value)]


@once
def kind(value: str) -> str:
    return {
        Kind.question: _("Question"),
        Kind.problem: _("Problem"),
        Kind.idea: _("Idea"),
        Kind.praise: _("Praise"),
        Kind.other: _("Other"),
    }[Kind(value)]


@once
def sentiment(value: str) -> str:
    return {
        Sentiment.negative: _("Negative"),
        Sentiment.neutral: _("Neutral"),
        Sentiment.positive: _("Positive"),
    }[Sentiment(value)]


@once
def urgency(value: str) -> str:
    return {
        Urgency.danger: _("Danger to people or property"),
        Urgency.deadline: _("A deadline"),
        Urgency.outage: _("An outage"),
        Urgency.leak: _("A leak of personal data"),
    }[Urgency(value)]


@once
def noise(value: str) -> str:
    return {
        Noise.spam: _("Spam"),
        Noise.job: _("Job ad"),
        Noise.campaign: _("Our own campaign"),
        Noise.bot: _("Bot"),
    }[Noise(value)]


def target(name: str) -> str:
    """What a target of a policy asks for."""
    return {
        "first_response": _("First answer"),
        "next_response": _("Next answer"),
        "resolution": _("Resolution"),
    }.get(name, name.replace("_", " "))


def wants_answer(value: bool | None) -> str:
    return _("Yes") if value else _("No")


@once
def judge(field: str) -> str:
    """What is judged of a case, as a label."""
    return {
        "kind": _("Kind"),
        "wants_answer": _("Wants an answer"),
        "sentiment": _("Tone"),
        "language": _("Language"),
        "urgency": _("Urgency"),
        "noise": _("Noise"),
        "category": _("Category"),
    }[field]


def sure(confidence: float) -> str:
    """How sure a judge is, in words; the figure stands beside."""
    if confidence >= 0.9:
        return _("sure")
    return _("fairly sure") if confidence >= 0.7 else _("unsure")


def due(case: Case, now: datetime) -> str:
    """When a case is due, how late it is, or why its clock stands still, in a few words; empty without a target."""
    at, resolution = case.next_breach_at, case.breach_kind == "resolution"
    if at is None:
        paused = case.status == CaseStatus.pending and case.first_response_due_at is not None
        return _("Paused: waiting for the author") if paused else ""
    if at <= now:
        late = duration(now - at) if now - at < timedelta(days=1) else length(now - at)
        return _("Resolution %(time)s late", time=late) if resolution else _("%(time)s late", time=late)
    time = clock(at, now)
    words = _("Resolution due %(time)s", time=time) if resolution else _("Reply due %(time)s", time=time)
    return _("%(due)s, in %(left)s", due=words, left=length(at - now)) if at - now < timedelta(days=1) else words


def read_as(case: Case) -> list[str]:
    """What Gensvar makes of a case, in single words for a list."""
    said = ((case.kind, kind), (case.sentiment, sentiment), (case.language, spoken))
    return [words(value) for value, words in said if value]


def due_colour(case: Case, now: datetime) -> str:
    if case.next_breach_at is None:
        return "neutral"
    left = case.next_breach_at - now
    return "danger" if left <= timedelta(0) else "warning" if left <= SOON else "neutral"


def closed_because(day: Day) -> str:
    """Why a day of a calendar is not as its weekday is, or that it never opens on that one."""
    if day.why == "holiday":
        return _("holiday: %(name)s", name=day.name) if day.name else _("closed as on a holiday")
    if day.why == "half_day":
        return _("half-day: closes early")
    if day.why == "exception":
        return _("own exception: closed") if not day.openings else _("own exception")
    return "" if day.openings else _("closed on this weekday")


def notice(kind: str, detail: Mapping[str, object]) -> str:
    """What a colleague is told."""
    known: dict[str, str] = {
        "take": _("The case was assigned to you"),
        "author_wrote": _("A message came in"),
        "follow_up_due": _("The follow-up is due"),
        "reply_failed": _("Your answer was not sent"),
        "reply_uncertain": _("It is not known whether your answer was sent"),
        "hide_failed": _("A message could not be hidden or shown again on the network"),
        "sla_warning": _("A target is about to be missed"),
        "sla_breached": _("A target was missed"),
        "notified": _("Rule %(name)s wants you to see this", name=detail.get("rule", "")),
        "reply_proposed": _("A colleague wants you to look at an answer"),
        "reply_returned": _("Your answer came back"),
        "story_alarm": _("A story is growing fast"),
        "mentioned": _("You are named in a note"),
        "note": _("A note was written in a case you follow"),
    }
    if kind == "queue_alarm":
        return _("%(waiting)s cases wait in %(team)s", waiting=detail.get("waiting"), team=detail.get("team"))
    return known.get(kind) or action(kind).capitalize()


def notice_kind(kind: str) -> str:
    """What a colleague can be told of, as a choice in the settings."""
    return {
        "take": _("A case is assigned to me"),
        "author_wrote": _("A message comes in on a case that is mine or that I follow"),
        "mentioned": _("I am named in a note"),
        "note": _("A note is written in a case that I follow"),
        "reply_proposed": _("A colleague wants me to look at an answer"),
        "reply_returned": _("An answer of mine comes back"),
        "follow_up_due": _("A follow-up is due"),
        "sla_warning": _("A target is about to be missed"),
        "sla_breached": _("A target was missed"),
        "reply_failed": _("An answer of mine was not sent"),
        "reply_uncertain": _("It is not known whether an answer of mine was sent"),
        "hide_failed": _("A message could not be hidden as I wanted"),
        "queue_alarm": _("Too many cases wait in my team"),
        "story_alarm": _("A story is growing fast"),
        "notified": _("A rule wants me to see something"),
    }.get(kind) or action(kind).capitalize()


def notice_way(value: str) -> str:
    return {
        Way.off: _("Off"),
        Way.page: _("In Gensvar"),
        Way.mail: _("By mail at once"),
        Way.daily: _("By mail every morning"),
    }[Way(value)]


def spoken(tag: str) -> str:
    """The name of a language; "und" is what no judge could tell."""
    return _("Unsure") if tag == "und" else language_name(tag)


def role(value: str) -> str:
    return {
        Role.reader: _("Reader"),
        Role.agent: _("Agent"),
        Role.manager: _("Manager"),
        Role.admin: _("Administrator"),
    }[Role(value)]


@once
def flag(value: str) -> str:
    return {
        "reply_failed": _("Answer not sent"),
        "reply_uncertain": _("Answer uncertain"),
        "follow_up_due": _("Follow up now"),
    }.get(value, value)


def reply_status(reply: Reply) -> str:
    """In one or two words; ``reply_explained`` says more."""
    if reply.origin == ReplyOrigin.elsewhere:
        return _("Answered there")
    if reply.origin == ReplyOrigin.network:
        return _("Written on the network")
    if reply.status == ReplyStatus.sent and reply.awaiting_moderation:
        return _("Sent, awaiting approval there")
    return {
        ReplyStatus.draft: _("Draft"),
        ReplyStatus.in_review: _("To be approved"),
        ReplyStatus.held: _("Not sent yet"),
        ReplyStatus.queued: _("On its way"),
        ReplyStatus.calling: _("Being sent"),
        ReplyStatus.sent: _("Sent"),
        ReplyStatus.failed: _("Not sent"),
        ReplyStatus.uncertain: _("Uncertain"),
        ReplyStatus.cancelled: _("Withdrawn"),
    }[ReplyStatus(reply.status)]


REPLY_COLOURS = {ReplyStatus.sent: "success", ReplyStatus.failed: "danger", ReplyStatus.uncertain: "danger"}


def reply_colour(value: str) -> str:
    return REPLY_COLOURS.get(ReplyStatus(value), "neutral")


def cannot_reply(code: str | None) -> str:
    """One sentence: why a mention cannot be answered from here, by the codes the collectors give."""
    known: Mapping[str, str] = {
        "no_network": _("This came in from another system, which has nowhere to send an answer."),
        "no_account": _("None of our accounts can answer here."),
        "not_summoned": _("The network only lets us answer posts that mention us or quote us."),
        "protected": _("The author's posts are protected."),
        "comments_closed": _("Comments are closed there."),
        "article": _("This is an article; it is answered in its comments, on the site itself."),
        "deleted": _("It has been deleted at the source."),
        "repost": _("This only passes on what somebody else wrote."),
        "ours": _("We wrote this ourselves."),
        "not_privately": _("The network takes no private answer to this."),
        "no_private_reply": _("The network takes no private answer to this."),
        "private_window_over": _("The network takes a private answer only within seven days."),
        "gone": _("It has been deleted at the source."),
    }
    return known.get(code or "", _("The network does not let us answer this from here."))


def cannot_hide(code: str) -> str:
    """One sentence: why a message cannot be hidden on its network, by the codes of ``channels``."""
    known: Mapping[str, str] = {
        "no_network": _("This came in from another system, which hides nothing for us."),
        "no_account": _("It does not stand with any of our accounts."),
        "not_our_conversation": _("The network only lets us hide answers in conversations that we began."),
        "not_a_comment": _("The network only lets us hide comments on what is ours."),
        "deleted": _("It has been deleted at the source."),
    }
    return known.get(code, _("The network does not let us hide this."))


def seen_by(code: str) -> str:
    """One sentence: who sees a hidden message all the same, by the codes of ``channels``."""
    return {
        "a_click_away": _("Everybody can still read it there, with one click more. Its author is not told."),
        "author_and_friends": _("Its author and the author's friends still see it there, and are not told."),
        "moderators": _("On the site nobody sees it any more but those who look after its comments."),
    }[code]


def left_out(code: str) -> str:
    """One sentence: why a case gets no answer for all."""
    known: Mapping[str, str] = {
        "closed": _("The case is closed."),
        "ignored": _("The case is ignored."),
        "noise": _("It is spam, an advertisement or a machine."),
        "too_long": _("The text is too long for the network."),
        "repeats": _("The network refuses the same words twice: a name or a number in the text makes it another."),
        "budget": _("The month's budget for the account does not allow it."),
        "stale": _("Somebody has written there since it was looked at."),
        "not_possible": _("The case had changed and could not be answered any more."),
    }
    return known.get(code) or cannot_reply(code)


def query_problem(error: QueryError) -> str:
    """What is wrong with a watch query, in the reader's language."""
    return _(error.text, **error.values)


def reason(code: str | None) -> str:
    """What an ``errors.Reason`` means, in a few words."""
    return {
        "auth_expired": _("The login is no longer valid"),
        "forbidden": _("Not permitted"),
        "out_of_credit": _("Out of credit or over budget"),
        "rate_limited": _("The network asks us to wait"),
        "gone": _("No longer there"),
        "bad_request": _("The network refuses the request"),
        "bad_payload": _("The answer cannot be understood"),
        "refused_address": _("The address is not allowed"),
        "too_large": _("Too large"),
        "unavailable": _("Not reachable"),
    }.get(code or "", _("Something went wrong"))


def remedy(code: str | None) -> str:
    """What a person can do about an ``errors.Reason``."""
    return {
        "auth_expired": _("Make a new token on the network, put it into the configuration and start Gensvar again."),
        "forbidden": _("Give our account the permission on the network, or a plan that includes this."),
        "out_of_credit": _("Buy credit on the network, or raise the budget in the configuration."),
        "rate_limited": _("Nothing to do: it goes on by itself at the stated time."),
        "gone": _("Check the address or the page on the network; pause the source if it is gone for good."),
        "bad_request": _("Check the definition of the source; the message tells what the network did not like."),
        "bad_payload": _("Open the address in a browser: it may be a login page, or the site is broken."),
        "refused_address": _(
            "Addresses inside our own network are refused. Add it to outbound.allow_hosts if it is meant."
        ),
        "too_large": _("The site sends more than Gensvar accepts. Look for a smaller feed."),
        "unavailable": _("It is tried again by itself. If it lasts, check whether the site is up."),
    }.get(code or "", _("It is tried again by itself. The log of the server tells more."))


def remedy_reply(code: str | None) -> str:
    """What a person can do about an answer that was not sent."""
    return {
        "auth_expired": _("The account has to be logged in again by an administrator; send it again after that."),
        "forbidden": _("Open the post on the network and answer there, or ask an administrator for the permission."),
        "out_of_credit": _("An administrator has to add credit or raise the budget; send it again after that."),
        "rate_limited": _("Send it again in a while."),
        "gone": _("What you answered is no longer there."),
        "bad_request": _("Change the text, or answer on the network."),
        "bad_payload": _("Look on the network whether it is well; send it again after that."),
        "refused_address": _("An administrator has to allow the address; send it again after that."),
        "too_large": _("Look on the network whether it is well; send it again after that."),
        "unavailable": _("It was tried for a day. Send it again, or answer on the network."),
    }.get(code or "", _("Send it again, or answer on the network."))


@once
def action(value: str) -> str:
    """What an event did, as the middle of "Anna … 14:20"."""
    return {
        "opened": _("opened the case"),
        "start": _("started work"),
        "take": _("assigned the case"),
        "unassign": _("took the case from its assignee"),
        "assign_team": _("changed the team"),
        "classify": _("changed the classification"),
        "snooze": _("changed the follow-up"),
        "note": _("wrote a note"),
        "reply_keep": _("answered"),
        "reply_wait": _("answered and waits for the author"),
        "reply_resolve": _("answered and resolved the case"),
        "reply_seen": _("answered on the network"),
        "reply_confirmed": _("the answer was seen on the network"),
        "reply_sent": _("the answer was sent"),
        "reply_failed": _("the answer was not sent"),
        "reply_postponed": _("the answer is tried again later"),
        "reply_uncertain": _("it is not known whether the answer was sent"),
        "reply_in_doubt": _("the answer was not found on the network"),
        "reply_cancelled": _("withdrew the answer"),
        "reply_again": _("sent the answer again"),
        "reply_proposed": _("wants a colleague to approve an answer"),
        "reply_approved": _("approved the answer"),
        "reply_returned": _("returned the answer"),
        "unanswered": _("it has waited too long"),
        "rule_refused": _("could not do everything"),
        "webhook_failed": _("another system could not be told"),
        "answered_elsewhere": _("answered on the network"),
        "author_wrote": _("a message came in"),
        "mention_edited": _("a message was edited at the source"),
        "mention_deleted": _("a message was deleted at the source"),
        "mention_restored": _("a deleted message is back at the source"),
        "mention_hidden": _("a message was hidden at the source"),
        "mention_shown": _("a hidden message is shown again at the source"),
        "hide": _("wants a message hidden on the network"),
        "show_again": _("wants a message shown again on the network"),
        "hide_failed": _("a message could not be hidden or shown again on the network"),
        "repost": _("it was passed on"),
        "wait": _("waits for the author"),
        "resolve": _("resolved the case"),
        "reopen": _("reopened the case"),
        "close": _("closed the case"),
        "ignore": _("ignored the case"),
        "merge": _("merged the case into another"),
        "absorb": _("merged a case into this one"),
        "split": _("split a message out"),
        "undo": _("took something back"),
        "link": _("linked the case to another"),
        "unlink": _("removed a link to another case"),
        "follow": _("follows the case"),
        "unfollow": _("no longer follows the case"),
        "mute": _("muted the case"),
        "follow_up_due": _("the follow-up is due"),
        "want_review": _("changed whether a colleague approves answers"),
        "propose_reply": _("proposed an answer"),
        "join_story": _("sorted it into a story"),
        "imported": _("was brought in as history"),
        "promise": _("stands by a promise"),
        "promise_kept": _("the promise was kept"),
        "promise_dropped": _("the promise no longer holds"),
        "draft_taken": _("copied a colleague's draft"),
        "sla_warning": _("a target is about to be missed"),
        "sla_breached": _("a target was missed"),
        "notified": _("told colleagues"),
        "webhook": _("called another system"),
    }.get(value, value.replace("_", " "))


# What an event keeps so that it can be taken back, and nobody reads.
UNSHOWN = frozenset(
    {"settled", "resolved_at", "closed_at", "last_activity_at", "seen_at", "imported", "mentions", "pictures"}
)


@once
def field(name: str) -> str:
    """The name of a field in an event's changes."""
    return {
        "assignee": _("assignee"),
        "team": _("team"),
        "kind": _("kind"),
        "priority": _("priority"),
        "sentiment": _("sentiment"),
        "language": _("language"),
        "tags": _("tags"),
        "follow_up_at": _("follow-up"),
        "status": _("status"),
        "merged_into": _("merged into"),
        "absorbed": _("absorbed"),
        "split": _("split out"),
        "error": _("error"),
        "waiting_since": _("waiting since"),
        "webhook": _("other system"),
        "notified": _("told"),
        "effect": _("effect"),
        "why": _("reason"),
        "reason": _("reason"),
        "hidden": _("hidden on the network"),
        "draft": _("proposed answer"),
        "draft_of": _("draft of"),
        "notify": _("told"),
        "ignore": _("ignore"),
        "not_before": _("not before"),
        "flag": _("flag"),
        "subject": _("subject"),
        "wants_answer": _("wants an answer"),
        "urgency": _("urgency"),
        "noise": _("noise"),
        "category": _("category"),
        "review_wanted": _("approval by a colleague"),
        "canned_reply": _("proposed answer"),
        "story": _("story"),
        "promise": _("promise"),
        "owner": _("who keeps it"),
        "due_at": _("due"),
        "target": _("target"),
        "sla": _("policy"),
        "split_from": _("split from"),
        "linked": _("linked to"),
        "follower": _("follower"),
        "muted": _("muted by"),
        "mentions": _("messages"),
        "replies": _("answers"),
        "notes": _("notes"),
        "promises": _("promises"),
        "drafts": _("drafts"),
        "pictures": _("pictures"),
    }.get(name, name.replace("_", " "))


def refusal(code: str) -> str:
    """Why an effect of a rule was not possible."""
    return {
        "unknown": _("there is none by that name"),
        "status": _("not in this status"),
        "others_wrote": _("somebody else's case"),
        "too_many_tags": _("too many tags"),
    }.get(code, code)


def value(name: str, stored: object, names: Mapping[str, str]) -> str:
    """One side of a change, as people read it."""
    if stored is None or stored == "" or stored == []:
        return _("none")
    if isinstance(stored, list):
        return ", ".join(str(each) for each in stored)
    if isinstance(stored, bool):
        return wants_answer(stored)
    words: dict[str, Callable[[str], str]] = {
        "kind": kind,
        "priority": priority,
        "sentiment": sentiment,
        "status": status,
        "language": spoken,
        "urgency": urgency,
        "noise": noise,
        "target": target,
        "effect": field,
        "why": refusal,
    }
    if name in words:
        return words[name](str(stored))
    if name.endswith("_at") or name in ("not_before", "waiting_since"):
        return when(datetime.fromisoformat(str(stored)), "medium")
    return names.get(str(stored), str(stored))


def actor(value: str, names: Mapping[str, str]) -> str:
    """Who did it: a colleague's name, or the part of Gensvar that did."""
    if value in names:
        return names[value]
    if value in {"system", "scheduler", "cli", "outbox", "intake", "webhooks", "routing", "sla", "stories"}:
        return "Gensvar"
    if value.startswith("rule:"):
        return _("Rule %(name)s", name=value.removeprefix("rule:"))
    if value.startswith("sla:"):
        return _("Policy %(name)s", name=value.removeprefix("sla:"))
    return value


def collects(value: str) -> str:
    return {
        "mentions": _("Mentions of us"),
        "search": _("Search"),
        "page": _("Our page"),
        "feed": _("Feed"),
        "comments": _("Comments"),
    }.get(value, value)


def reach(code: str) -> str:
    """How far back a network tells of the past."""
    return {
        "everything": _("The network gives everything it still has."),
        "newest_800": _("X gives the 800 newest mentions of the account, and its own 3,200 newest posts."),
        "week": _("The network's search goes seven days back, and no further."),
        "as_offered": _("A site gives as many earlier pages of its feed as it offers: many offer all, some none."),
    }[code]


def author(case: Case) -> str:
    return case.author.name if case.author else _("Unknown author")


def reserved() -> str:
    """Why a tag, a team, a source or a category is not so named."""
    return _("Reports use the names “none” and “total” themselves. Choose another name.")
