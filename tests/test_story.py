"""The story told by the demo holds together: ids, threads, order, lengths, languages."""

from __future__ import annotations

import re
from collections import Counter

from sandbox.story import US, load

STORY = load()
EVERYTHING = (*STORY.past, *STORY.live, *STORY.chatter)
BY_ID = {message.id: message for message in EVERYTHING}


def test_no_id_is_given_twice() -> None:
    assert [id for id, n in Counter(message.id for message in EVERYTHING).items() if n > 1] == []


def test_at_least_120_messages_and_a_past_that_fills_an_inbox() -> None:
    assert len(STORY.past) + len(STORY.live) >= 120
    ours = {message.id for message in STORY.past if message.by == US and message.to is None}
    cases = [m for m in STORY.past if m.by != US and not m.repost and (m.to is None or m.to in ours)]
    assert 40 <= len(cases) <= 60
    assert min(m.at for m in cases) < -12 * 60 and max(m.at for m in cases) > -5, "varied age"


def test_what_is_answered_was_said_before_on_the_same_network() -> None:
    said: set[str] = set()
    for message in EVERYTHING:
        for other in filter(None, (message.to, message.repost, message.quote)):
            assert other in said, f"{message.id} speaks of {other}, which has not been said"
            assert BY_ID[other].where == message.where, f"{message.id} answers {other} on another network"
        assert sum(map(bool, (message.to, message.repost, message.quote))) <= 1, message.id
        said.add(message.id)


def test_times_are_in_order_and_the_live_part_begins_after_the_past() -> None:
    times = [message.at for message in EVERYTHING]
    assert times == sorted(times)
    assert STORY.past[-1].at < 0 < STORY.live[0].at
    assert 10 <= STORY.pace <= 20


def test_all_languages_speak() -> None:
    languages = Counter(message.language for message in EVERYTHING)
    assert set(languages) == {"sv", "da", "nb", "nn", "en"}
    assert min(languages.values()) >= 10, languages
    assert set(STORY.follow_ups) == set(languages)


def test_everybody_who_speaks_is_introduced() -> None:
    speaking = {message.by for message in EVERYTHING} - {US}
    assert speaking == set(STORY.people)
    for person in STORY.people.values():
        assert re.fullmatch(r"[A-Za-z0-9_]{1,15}", person.handle), person
    assert len({person.handle for person in STORY.people.values()}) == len(STORY.people)


def test_each_text_fits_where_it_is_said() -> None:
    for message in EVERYTHING:
        if message.repost:
            assert not message.text, message.id
            continue
        assert message.text.strip(), message.id
        if message.where == "x":  # an emoji or a curly quote counts two there
            weighted = sum(1 if ord(char) < 0x1100 else 2 for char in message.text)
            assert weighted <= 280, f"{message.id} is {weighted} long"
        assert bool(message.title) == (
            message.to is None and message.where in {"storbybloggen", "grannbloggen", "storbyposten"}
        ), message.id


def test_citizens_on_x_can_be_found() -> None:
    """By naming us, or by what the demo searches for."""
    for message in EVERYTHING:
        if message.where == "x" and message.by != US and not message.repost:
            assert re.search(r"@storby\b|#storby\b|Storby kommun", message.text), message.id


def test_the_story_never_falls_silent() -> None:
    going_on = STORY.from_now_on()
    heard = [next(going_on).id for _ in range(len(STORY.live) + 2 * len(STORY.chatter))]
    assert heard[-len(STORY.chatter) :] == [message.id for message in STORY.chatter]
