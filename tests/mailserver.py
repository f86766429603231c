"""A mail server on loopback that speaks SMTP as servers do, and misbehaves as told."""

from __future__ import annotations

import base64
import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from functools import cache
from typing import Any

import trustme


@cache
def authority() -> trustme.CA:
    """Whom the tests have to trust to trust this server."""
    return trustme.CA()


@cache
def _papers() -> trustme.LeafCert:
    return authority().issue_cert("localhost", "127.0.0.1")


HANG, DROP = "hang", "drop"


@dataclass
class MailServer:
    """``answers``: what it says in place of yes, by command ("hello" is the greeting, "." the end of the letter):
    "450 later", HANG, or DROP, which cuts the line. A list is used up one by one, then it is yes again.
    """

    port: int = 0
    tls: str = "none"  # or starttls, tls
    login: tuple[str, str] | None = None
    answers: dict[str, Any] = field(default_factory=dict)
    letters: list[EmailMessage] = field(default_factory=list)
    envelopes: list[tuple[str, str]] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    let_go: threading.Event = field(default_factory=threading.Event)

    def says(self, command: str) -> str | None:
        answer = self.answers.get(command)
        if isinstance(answer, list):
            return answer.pop(0) if answer else None
        return answer

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"


class _Handler(socketserver.StreamRequestHandler):
    server: _Server
    timeout = 60  # a busy machine may take long between two lines

    def handle(self) -> None:
        with suppress(OSError, ValueError, _Cut):
            self._converse(self.server.house)

    def _converse(self, house: MailServer) -> None:
        encrypted = house.tls == "tls"
        if encrypted:
            self._secure()
        self._answer(house, "hello", "220 mx.storby.example ESMTP")
        sender, to, known = "", "", house.login is None
        while line := self.rfile.readline(2000):
            command, _, rest = line.decode().strip().partition(" ")
            command = command.upper()
            house.commands.append(command)
            if command == "EHLO":
                offers = ["STARTTLS"] * (house.tls == "starttls" and not encrypted)
                offers += ["AUTH PLAIN"] * (house.login is not None and encrypted)
                lines = ["mx.storby.example", *offers, "8BITMIME"]
                said = [f"250{'-' if each is not lines[-1] else ' '}{each}" for each in lines]
                self._answer(house, command, "\r\n".join(said))
            elif command == "STARTTLS":
                self._answer(house, command, "220 go ahead")
                self._secure()
                encrypted = True
            elif command == "AUTH":
                given = base64.b64decode(rest.partition(" ")[2]).split(b"\0")
                known = house.login == (given[1].decode(), given[2].decode())
                self._answer(house, command, "235 welcome" if known else "535 5.7.8 who are you")
            elif command == "MAIL":
                sender = rest.partition(":")[2].split(">")[0].strip(" <")
                self._answer(house, command, "250 ok" if known else "530 log in first")
            elif command == "RCPT":
                to = rest.partition(":")[2].strip(" <>")
                self._answer(house, command, "250 ok")
            elif command == "DATA":
                self._answer(house, command, "354 go on")
                self._letter(house, sender, to)
            elif command == "QUIT":
                self._answer(house, command, "221 bye")
                return
            else:
                self._answer(house, command, "250 ok")

    def _letter(self, house: MailServer, sender: str, to: str) -> None:
        body = b""
        while (line := self.rfile.readline()) != b".\r\n":
            if not line:
                return
            body += line[1:] if line.startswith(b".") else line
        answer = house.says(".")
        if answer is None or answer == DROP:  # taken; the line may still be cut before it is said
            house.letters.append(message_from_bytes(body, policy=default))
            house.envelopes.append((sender, to))
        self._say(house, answer or "250 2.0.0 taken")

    def _answer(self, house: MailServer, command: str, yes: str) -> None:
        self._say(house, house.says(command) or yes)

    def _say(self, house: MailServer, words: str) -> None:
        if words == HANG:
            house.let_go.wait(10)
        if words in (HANG, DROP):
            raise _Cut
        self.wfile.write(words.encode() + b"\r\n")

    def _secure(self) -> None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        _papers().configure_cert(context)
        self.request = context.wrap_socket(self.request, server_side=True)
        self.setup()


class _Cut(Exception):
    pass


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, house: MailServer) -> None:
        self.house = house
        super().__init__(("127.0.0.1", 0), _Handler)


@contextmanager
def running(**given: Any) -> Iterator[MailServer]:
    house = MailServer(**given)
    with _Server(house) as server:
        house.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield house
        finally:
            house.let_go.set()
            server.shutdown()
            thread.join()
