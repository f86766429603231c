"""Storby: the look-alike networks with its people on them, and the story told there."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from sandbox.base import Network
from sandbox.blog import Blog, WordPress
from sandbox.facebook import Graph
from sandbox.storm import Storm
from sandbox.story import US, Message, Story
from sandbox.twitter import X

BLOWN = 36  # minutes the storm has lasted when the demo begins
GUST = 2.5  # seconds between two messages of it from then on
THINKS = timedelta(seconds=20)  # how long a citizen takes to say something to an answer


class Town:
    """Networks by the names the story uses, and what has been said on them so far. ``storm``: comes over it, too."""

    def __init__(self, story: Story, storm: Storm | None = None) -> None:
        self.story, self.storm = story, storm
        self.people = {**(storm.people if storm else {}), **story.people}
        self.x = X(handle="storby", title="Storby kommun")
        self.facebook = Graph(page_name="Storby kommun")
        self.storbybloggen = WordPress()
        self.grannbloggen = Blog("Grannbloggen")
        self.storbyposten = Blog("Storbyposten")
        self.networks: Mapping[str, Network] = {
            "x": self.x,
            "facebook": self.facebook,
            "storbybloggen": self.storbybloggen,
            "grannbloggen": self.grannbloggen,
            "storbyposten": self.storbyposten,
        }
        self.said: dict[str, str] = {}  # id in the story -> external id
        self._whose: dict[tuple[str, str], Message] = {}  # where and external id -> what the story said there
        self._heard: set[tuple[str, str]] = set()  # our answers a citizen has thought about
        for person in self.people.values():
            user = self.x.person(person.handle)
            user.name, user.followers = person.name, person.followers

    def accounts(self, addresses: Mapping[str, str]) -> list[dict[str, Any]]:
        """The municipality's own logins, as config.yaml has them."""
        facebook, wordpress = self.facebook, self.storbybloggen
        return [
            self.x.account("storby-x", addresses["x"]),
            {
                "name": "storby-page",
                "channel": facebook.name,
                "page_id": facebook.page_id,
                "api_base": addresses["facebook"],
                "page_token": facebook.page_token,
            },
            {
                "name": "storby-blog",
                "channel": wordpress.name,
                "site": addresses["storbybloggen"],
                "username": wordpress.username,
                "application_password": wordpress.password,
            },
        ]

    def publish(self, author: str, title: str, text: str) -> None:
        """As a citizen: an article on Grannbloggen."""
        self.grannbloggen.write(author, text, title=title)

    def tell_past(self, now: datetime) -> None:
        """Everything said before the demo starts, at the time it was said."""
        for message in self.story.past:
            self.say(message, now + timedelta(minutes=message.at))
        for message in self.storm.messages if self.storm else ():
            if message.at < BLOWN:
                self.say(message, now + timedelta(minutes=message.at - BLOWN))

    def say(self, message: Message, at: datetime | None = None) -> None:
        """One message, written in the network's own app."""
        of = message.to or message.repost or message.quote
        above = self.said[of] if of else None
        id = self._by_us(message, above, at) if message.by == US else self._by_a_citizen(message, above, at)
        self.said[message.id] = id
        self._whose[message.where, id] = message

    def _by_us(self, message: Message, above: str | None, at: datetime | None) -> str:
        match message.where:
            case "x":
                return self.x.write_as_us(message.text, in_reply_to=above, at=at)
            case "facebook":
                return self.facebook.write_as_us(message.text, in_reply_to=above, at=at)
            case _ if message.title:
                return self.storbybloggen.publish(message.title, message.text, at=at)
            case _:
                return self.storbybloggen.write_as_us(message.text, in_reply_to=above, at=at)

    def _by_a_citizen(self, message: Message, above: str | None, at: datetime | None) -> str:
        author = self._author(message)
        match message.where:
            case "x" if message.repost and above:
                return self.x.repost(author, above, at=at)
            case "x" if message.quote:
                return self.x.write(author, message.text, quote=above, at=at)
            case "grannbloggen":
                return self.grannbloggen.write(author, message.text, title=message.title, at=at)
            case "storbyposten":
                return self.storbyposten.write(author, message.text, title=message.title, at=at)
            case where:
                return self.networks[where].write(author, message.text, in_reply_to=above, at=at)

    def _author(self, message: Message) -> str:
        """As the network knows the person: X by the handle, the others by name."""
        person = self.people[message.by]
        return person.handle if message.where == "x" else person.name

    def go_on(self, quiet: threading.Event) -> None:
        """The rest of the day, until ``quiet`` is set."""
        for message in self.story.from_now_on():
            if quiet.wait(self.story.pace):
                return
            self.say(message)
            self.answer_back(datetime.now(UTC))

    def blow(self, quiet: threading.Event) -> None:
        """The rest of the storm, faster than it came, until ``quiet`` is set."""
        for message in self.storm.messages if self.storm else ():
            if message.at >= BLOWN:
                if quiet.wait(GUST):
                    return
                self.say(message)

    def answer_back(self, now: datetime) -> None:
        """Every other author of the story says something to the municipality's answer, a while after it was given."""
        for where, network in self.networks.items():
            for post in network.posts():
                key = where, post.external_id
                asked = self._whose.get((where, post.in_reply_to or ""))
                if asked is None or asked.by not in self.story.people or not post.ours or post.private:
                    continue
                if key in self._whose or key in self._heard or now - post.at < THINKS:
                    continue
                self._heard.add(key)
                if len(self._heard) % 2:
                    words = self.story.follow_ups[asked.language]
                    text = words[len(self._heard) // 2 % len(words)]
                    network.write(self._author(asked), text, in_reply_to=post.external_id)
