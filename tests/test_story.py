"""The story holds together: ids, threads, order, lengths, languages; and it is told on the networks of the demo."""

from __future__ import annotations

import re
import socket
import threading
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from errors import GensvarError
from sandbox.demo import _free, _fresh
from sandbox.story import US, load
from sandbox.town import Town

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


NOW = datetime(2026, 1, 12, 15, tzinfo=UTC)


def test_everything_is_said_on_its_network_at_its_time_in_its_thread() -> None:
    town = Town(STORY)
    town.tell_past(NOW)
    for message in (*STORY.live, *STORY.chatter):
        town.say(message, NOW + timedelta(minutes=message.at))
    said = {where: network.posts() for where, network in town.networks.items()}
    assert sum(map(len, said.values())) == len(EVERYTHING)
    for message in EVERYTHING:
        if message.repost:
            continue
        (post,) = (post for post in said[message.where] if post.text == message.text)
        assert post.ours == (message.by == US), message.id
        assert post.author == (STORY.people[message.by].name if message.by != US else post.author), message.id
        assert abs(post.at - NOW - timedelta(minutes=message.at)) < timedelta(seconds=1), message.id
        if message.to:
            above = next(other for other in said[message.where] if other.external_id == post.in_reply_to)
            top = BY_ID[message.to]
            while above.text != top.text and top.to:  # Facebook hangs deep answers higher up
                top = BY_ID[top.to]
            assert above.text == top.text, message.id


def test_an_author_says_something_to_an_answer_in_the_same_language_once() -> None:
    town = Town(STORY)
    town.tell_past(NOW)
    question = next(post for post in town.x.posts() if "Klockan" not in post.text and "jeg tog tid" in post.text)
    answer = town.x.write_as_us("Selv tak!", in_reply_to=question.external_id, at=NOW)
    before = len(town.x.posts())
    town.answer_back(NOW + timedelta(seconds=5))
    assert len(town.x.posts()) == before, "nobody is that quick"
    for _ in range(3):
        town.answer_back(NOW + timedelta(seconds=30))
    (back,) = town.x.posts()[before:]
    assert (back.author, back.in_reply_to) == (question.author, answer)
    assert back.text in STORY.follow_ups["da"]


def test_the_day_goes_on_until_it_is_told_to_be_quiet() -> None:
    town = Town(replace(STORY, pace=0.001))
    town.tell_past(NOW)
    quiet = threading.Event()
    telling = threading.Thread(target=town.go_on, args=(quiet,))
    telling.start()
    enough = len(EVERYTHING) + 10
    while telling.is_alive() and sum(len(network.posts()) for network in town.networks.values()) < enough:
        quiet.wait(0.01)
    assert telling.is_alive(), "it fell silent"
    quiet.set()
    telling.join(5)
    assert not telling.is_alive()


def test_a_port_that_is_taken_is_replaced() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert _free(None, port) not in (0, port)
        assert _free(port, 8000) == port, "a port somebody asked for is not replaced behind their back"


def test_only_a_demo_is_deleted_for_a_new_demo(tmp_path: Path) -> None:
    data = tmp_path / "demo"
    data.mkdir()
    (data / "thesis.txt").write_text("ten years of work")
    with pytest.raises(GensvarError, match="not a demo"), _fresh(data):
        pass
    assert (data / "thesis.txt").exists()
    (data / "thesis.txt").rename(data / "config.yaml")
    with _fresh(data):
        assert list(data.iterdir()) == []
        with pytest.raises(GensvarError, match="already running"), _fresh(data):
            pass
