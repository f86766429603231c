"""``gensvar demo``: Gensvar as it is, on invented networks where a day in Storby goes on."""

from __future__ import annotations

import fcntl
import secrets
import shutil
import socket
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

import scheduler
import supervisor
from errors import GensvarError
from house import House, declare, open_house
from models import Role
from sandbox import outside, past, storm, story
from sandbox.base import Fault, serving
from sandbox.outside import FAULTS, Column, Place
from sandbox.town import Town
from web.login import new_user

ORGANISATION = "Storby kommun"
INBOX_PORT, OUTSIDE_PORT = 8000, 8001
STAFF = (
    ("anna@storby.example", "Anna Rydell", Role.agent),
    ("jonas@storby.example", "Jonas Eklöf", Role.agent),
    ("leila@storby.example", "Leila Nordin", Role.agent),
    ("mikkel@storby.example", "Mikkel Thorup", Role.agent),
    ("petra@storby.example", "Petra Lundmark", Role.manager),
    ("admin@storby.example", "Admin", Role.admin),
)


def main(
    port: int | None = None, outside_port: int | None = None, data: Path | None = None, *, weeks: int = past.WEEKS
) -> int:
    """Run until Ctrl-C or SIGTERM.

    A port that is not given and is taken is replaced by a free one; 0 means any free one. ``data`` (``var/demo``) is
    made anew. ``weeks``: how long Storby has been asked and answered before (0: not at all). Raises ``GensvarError``.
    """
    began = time.monotonic()
    data = (data or Path("var/demo")).absolute()
    port, outside_port = _free(port, INBOX_PORT), _free(outside_port, OUTSIDE_PORT)
    inbox = f"http://127.0.0.1:{port}"
    with ExitStack() as ending:
        ending.enter_context(_fresh(data))
        town = Town(story.load(), storm.load(below={"facebook": "fb-snow", "storbybloggen": "wp-warning"}))
        town.x.reset_after = timedelta(minutes=1)  # a real one says a quarter of an hour; nobody tries a demo that long
        addresses = {key: ending.enter_context(serving(network.app)) for key, network in town.networks.items()}
        town.tell_past(datetime.now(UTC))
        page = outside.create_app(_columns(town), organisation=ORGANISATION, inbox=inbox)
        seen = ending.enter_context(serving(page, outside_port))
        file = data / "config.yaml"
        file.write_text(yaml.safe_dump(config(town, addresses, port), allow_unicode=True, sort_keys=False), "utf-8")
        file.chmod(0o600)
        house = open_house(file)
        ending.callback(house.close)
        password = f"storby-{secrets.token_hex(3)}"
        prepare(house, password)
        quiet = threading.Event()
        for going_on in (town.go_on, town.blow):
            threading.Thread(target=going_on, args=(quiet,), name="storby", daemon=True).start()
        ending.callback(quiet.set)

        def before(stop: threading.Event) -> None:
            if weeks:
                scheduler.beat(house)  # it is about to begin: nobody need be told that nothing is collected
                past.tell(house, datetime.now(UTC), stop, weeks=weeks)

        supervisor.run(house, file, lambda: _say(inbox, seen, password, data, time.monotonic() - began), before)
    return 0


@contextmanager
def _fresh(data: Path) -> Iterator[None]:
    """An empty folder of our own. What an earlier demo left is deleted, anything else is left alone."""
    data.parent.mkdir(parents=True, exist_ok=True)
    with data.with_name(f"{data.name}.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise GensvarError(f"A demo is already running in {data}. Stop it first.") from None
        if data.exists() and any(data.iterdir()) and not (data / "config.yaml").exists():
            raise GensvarError(f"{data} holds something that is not a demo. Nothing was touched: move it away.")
        shutil.rmtree(data, ignore_errors=True)
        data.mkdir(mode=0o700)
        yield


def _free(wanted: int | None, usual: int) -> int:
    """A port to listen on: the one wanted, whatever holds it, else the usual one, else any."""
    if wanted:
        return wanted
    for port in (0,) if wanted == 0 else (usual, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            free: int = probe.getsockname()[1]
            return free
    raise GensvarError("No port is free on this machine.")


def config(town: Town, addresses: Mapping[str, str], port: int) -> dict[str, Any]:
    """The demo's config.yaml. ``addresses``: where the networks of the town are served."""
    whole: dict[str, Any] = yaml.safe_load(files("sandbox").joinpath("demo.yaml").read_text(encoding="utf-8"))
    whole |= {
        "base_url": f"http://127.0.0.1:{port}",
        "listen": f"127.0.0.1:{port}",
        "accounts": town.accounts(addresses),
    }
    whole["outbound"]["allow_hosts"] = [urlsplit(address).netloc for address in addresses.values()]
    for source in whole["sources"]:
        if source["collect"] == "feed":
            source["url"] = f"{addresses[source['name']]}/feed"
    return whole


def _columns(town: Town) -> list[Column]:
    x = (Place("x", "X", town.x),)
    facebook = (Place("facebook", "Facebook", town.facebook),)
    blogs = (
        Place("storbybloggen", "Storbybloggen, the municipality’s own", town.storbybloggen),
        Place("grannbloggen", "Grannbloggen, written by citizens", town.grannbloggen, answers=False),
        Place("storbyposten", "Storbyposten, the newspaper", town.storbyposten, answers=False),
    )
    blocked = {Fault.out_of_credit: "Says that the page is blocked for breaking the rules"}
    free: dict[Fault, str] = {fault: words for fault, words in FAULTS.items() if fault is not Fault.out_of_credit}
    found = "It is found when it speaks of Storby and of snow, ploughs or the municipality."
    return [
        Column("x", "X", "Write a post", "Name @storby: only who is named may answer.", x, FAULTS, limit=280),
        Column(
            "facebook", "Facebook", "Write on the page", "Everything here is read.", facebook, {**FAULTS, **blocked}
        ),
        Column("blog", "Blogs", "Write on Grannbloggen", found, blogs, free, publish=town.publish),
    ]


def prepare(house: House, password: str) -> None:
    """Its database, with what is declared and whoever works there, as if for long."""
    since = datetime.now(UTC) - past.SINCE
    house.database.migrate()
    declare(house, since)
    with house.database.transaction() as db:
        db.add_all(new_user(email, name, role, password, since) for email, name, role in STAFF)


def _say(inbox: str, seen: str, password: str, data: Path, seconds: float) -> None:
    first, *others = STAFF
    also = ", ".join(f"{email} ({role})" for email, _, role in others)
    sys.stdout.write(f"""
  Gensvar's demo is running, ready in {seconds:.1f} s. Everything in it is invented.

  The inbox     {inbox}
                log in as {first[0]}, password {password}
  The outside   {seen}
                write as a citizen, see the answers arrive, make the networks fail

  Storby's last weeks are told first, for the reports (petra@storby.example sees them all); today's messages
  come in after some seconds. With the same password: {also}.
  It lies in {data} and is made anew at each start. Ctrl-C ends it.

""")
    sys.stdout.flush()
