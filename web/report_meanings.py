"""What each figure of the reports means: the page of definitions, and what stands below a report on paper."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from web.i18n import gettext as _


@dataclass(frozen=True)
class Meaning:
    """``anchor``: its place on the page, and in docs/figures.md."""

    anchor: str
    name: str
    says: tuple[str, ...]


def meanings() -> list[Meaning]:
    """In the order in which the page has them."""
    return [Meaning(anchor, name, tuple(says)) for anchor, said in MEANINGS.items() for name, *says in [said()]]


MEANINGS: Mapping[str, Callable[[], tuple[str, ...]]] = {  # anchor -> its name, and what is said of it
    "received": lambda: (
        _("Received"),
        _("A case counts on the day we first saw it."),
        _("A case merged into another does not count: what was said in it is counted there."),
    ),
    "mention": lambda: (
        _("Mentions"),
        _("Everything said that concerns us, on the day we saw it."),
        _("Our own posts, what stands around them, and reposts are not counted."),
    ),
    "first-response": lambda: (
        _("First response"),
        _("From the publication of the first thing said to the first public answer by a person."),
        _("The answer counts from when the network confirms it."),
        _("A failed answer does not stop the clock, nor does a note or a private message."),
        _("Answers given in the network’s own app and answers somebody says they gave elsewhere count too."),
        _("Counts on the day of the answer. Where we spoke first there is no first response."),
    ),
    "first-response-seen": lambda: (
        _("First response, from when we saw it"),
        _("The same, but from when Gensvar saw what was said. The difference is the time collecting took."),
    ),
    "next-response": lambda: (
        _("Next response"),
        _("From the first thing said that had no answer yet to the public answer that followed."),
        _("What is said while somebody waits does not move the start. Counts on the day of the answer."),
    ),
    "still-waiting": lambda: (
        _("Still waiting"),
        _("Cases in which somebody waits for an answer now, since before the end of the period."),
        _("It stands beside every response time, since the slowest answers are those not given yet."),
        _("Late now: those of them whose target is past."),
    ),
    "answer": lambda: (
        _("Answers"),
        _("Public answers that are out, by the day and by whoever sent them."),
    ),
    "assigned": lambda: (
        _("Time to assign"),
        _("From when we saw the case until somebody had it. Given on to another person, the first time counts."),
    ),
    "first-resolution": lambda: (
        _("First resolution"),
        _("From the publication of the first thing said to the first time the case was closed."),
        _(
            "Where an answer closes the case, the close counts from when the answer was sent off here, the answer from"
            " when the network confirms it: so the resolution may be a little shorter than the response."
        ),
    ),
    "resolution": lambda: (
        _("Full resolution"),
        _("To the last time it was closed, if it is closed now. Counts on that day."),
    ),
    "active": lambda: (
        _("Active time"),
        _("The part of the full resolution in which it was our turn."),
        _("Without waiting for the author, and without the time it was put off or done."),
    ),
    "closing": lambda: (
        _("Closed"),
        _("Each time a case was closed, by the day and by whoever closed it."),
    ),
    "zero-touch": lambda: (
        _("Closed without an answer"),
        _("Closed cases without any public answer from us."),
    ),
    "one-touch": lambda: (
        _("Closed with one answer"),
        _("Closed cases with exactly one public answer that were not opened again."),
    ),
    "reopen": lambda: (
        _("Opened again"),
        _("Of the cases closed in the period, those opened again within 14 days."),
        _("Opened again by a thank-you: closed again within 24 hours without an answer; counted apart."),
    ),
    "ignored": lambda: (
        _("Ignored"),
        _("Cases put aside as spam or not about us, by the day and by whoever did it."),
        _("They have no response times, and are counted so that lateness cannot hide there."),
    ),
    "within-target": lambda: (
        _("Share in time"),
        _("Of the answers and resolutions that had a target, those that kept it."),
        _("The target is the one that held then. A later change of it does not change the past."),
    ),
    "backlog": lambda: (
        _("Unfinished at midnight"),
        _("What was open, waiting for its author or put off when the day began. Stored then."),
        _("By day, week or month a line is the midnight with which that began."),
        _("By anything else, and in all, it is the last midnight of the period."),
    ),
    "promise": lambda: (
        _("Promises"),
        _("Counts on the day it was promised for."),
        _("Kept late: kept after that day. Late now: still open, and that day is past."),
    ),
    "stories": lambda: (
        _("Stories"),
        _(
            "A story stands in each period in which somebody told it, with the figures of the whole story as"
            " known now. Filters leave the stories in which a case fits."
        ),
        _(
            "In the press: what stands on the site of a newspaper or broadcaster known to Gensvar, by its own"
            " address. A link to an article is not an article, and a comment below one is not either. What"
            " nobody collected is not known."
        ),
        _(
            "Our first answer: the first public answer to anybody in the story. The time is that of"
            " publication, as the networks say it."
        ),
        _(
            "Head start: from our first answer to the first article, below 0 where the press was first. In the total it"
            " is the median."
        ),
        _(
            "Cases that were ignored are left out. Followers: of each author once in a story; who tells two"
            " stories counts in both, also in the sums."
        ),
        _("A story in which every case was ignored is not listed."),
    ),
    "value": lambda: (
        _("Value"),
        _(
            "An answer is made of a canned reply when all its words stand in it, in order, and are at least"
            " half of it. One in which words were changed counts as written anew."
        ),
        _(
            "People helped: those who wrote in the cases before the answer, each once. Who only read it is not"
            " known, and not counted. A person helped by two answers for all is once in the total."
        ),
        _("Calls not needed: of the cases settled with an answer, the share that is assumed."),
        _("It is an assumption and was not measured."),
    ),
    "median": lambda: (
        _("Median, 90th percentile, mean"),
        _("Median: half took at most so long."),
        _("90th percentile: nine of ten took at most so long. Shown from 10 on."),
        _("Both are times that occurred, ranked over all of them, never an average of averages."),
        _("The mean only stands beside them: one very late answer moves it far."),
    ),
    "opening-hours": lambda: (
        _("Around the clock and in opening hours"),
        _("In opening hours: only time within the opening hours of the team, without holidays."),
        _("What came and was answered outside them took no time."),
        _("Outside opening hours: so many of the times are 0 for that reason."),
        _("The calendar a time was measured with stays with it."),
    ),
    "persons": lambda: (
        _("Persons"),
        _("Times are credited to whoever sent the answer or closed the case, not to whom the case belongs."),
        _("Of fewer than 3 times by one person nothing but the number is shown."),
        _("Only managers and administrators see the lines of other people."),
    ),
    "imported": lambda: (
        _("Imported history"),
        _("What was imported starts no clock and is left out, unless it is asked for."),
    ),
    "tags": lambda: (
        _("Tags"),
        _("A case with two tags stands in both lines, and once in the total. Other lines add up to it."),
    ),
}
