"""Mail to colleagues: what they want to hear of by mail, what is due in one letter each, by our own mail server.

Sent at least once: what is claimed is committed before the call, with the time of the next attempt, so that two workers
never take the same and a crash is made good. Where it is not known whether the server took a letter (the line was cut
after it), it goes out again under the same Message-ID: a colleague told twice is no harm, one never told may be.
"""

from __future__ import annotations

import hashlib
import logging
import smtplib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from urllib.parse import urlsplit

from sqlalchemy import ColumnElement, Select, and_, func, select, update
from sqlalchemy.orm import Session, joinedload

import report_mails
from database import Database
from errors import GensvarError
from house import House
from models import CaseEvent, Notice, User
from outbound import NotSent
from settings import Mail
from triage import notices, samples
from triage.notices import Way

log = logging.getLogger("gensvar.mail")

APART = timedelta(minutes=1)  # between two letters to the same person
FIRST_RETRY = timedelta(minutes=1)
LONGEST_RETRY = timedelta(hours=4)
GIVE_UP_AFTER = timedelta(days=3)  # since it happened: a weekend's outage loses nothing
LONGEST_CALL = 60.0  # seconds, for one letter
LONGEST_PASS = timedelta(minutes=2)
IN_A_PASS = 200  # letters
LOCK = "mail"

Now = Callable[[], datetime]


class Refused(GensvarError):
    """A letter was not taken. ``final``: it never will be; ``everybody``: no other would be either."""

    def __init__(self, message: str, *, final: bool = False, everybody: bool = False) -> None:
        self.final, self.everybody = final, everybody
        super().__init__(message)


@dataclass(frozen=True)
class Letter:
    """``id``: the same whenever the same is sent again. ``html``: None where plain text is enough."""

    to: str
    subject: str
    text: str
    html: str | None
    id: str
    unsubscribe: str  # where the reader chooses otherwise


@dataclass(frozen=True)
class Posted:
    """What became of one person's letter. With an error: tried again at ``again_at``, or (None) given up.

    ``notices``: how many stand in it; none in a report.
    """

    user_id: int
    notices: int
    error: str | None = None
    again_at: datetime | None = None


# -- what is due ------------------------------------------------------------------------------------------------------


def anything(database: Database, at: datetime) -> bool:
    """Is there anything to send? Mostly not, and finding that out costs one look-up in an index."""
    with database.read() as db:
        return db.scalar(_due(at).limit(1)) is not None or report_mails.anything(db, at)


def _due(at: datetime) -> Select[int]:
    """Whose turn it is, the longest waiting first."""
    lately = select(Notice.user_id).where(Notice.mailed_at > at - APART)
    waiting = select(Notice.user_id).where(Notice.mail_at <= at, Notice.user_id.not_in(lately))
    return waiting.group_by(Notice.user_id).order_by(func.min(Notice.mail_at), Notice.user_id)


def failing(db: Session, at: datetime) -> report_mails.Failing:
    """Of the notices of the last week."""
    of_late = (Notice.mail_error.is_not(None), Notice.at >= at - timedelta(days=7))
    waiting, all_of_them = db.execute(select(func.count(Notice.mail_at), func.count()).where(*of_late)).one()
    error = db.scalar(select(Notice.mail_error).where(*of_late).order_by(Notice.at.desc(), Notice.id.desc()).limit(1))
    return report_mails.Failing(waiting, all_of_them - waiting, error)


def deliver(house: House, now: Now, stopping: threading.Event | None = None) -> list[Posted]:
    """One pass over what is due. While another one is at it, wherever that is, nothing is done."""
    if not anything(house.database, now()):
        return []
    with house.database.holding(LOCK) as mine:
        if not mine:
            return []
        if house.settings.mail is None:
            _forget(house, now())
            report_mails.forget(house.database, now())
            return []
        given = house.settings.mail
        return [*_pass(house, given, now, stopping), *_reports(house, given, now, stopping)]


def _forget(house: House, at: datetime) -> None:
    """Where no mail is sent what is due stays in the page, and is not sent weeks later when there is a server."""
    with house.database.transaction() as db:
        db.execute(update(Notice).where(Notice.mail_at <= at).values(mail_at=None))


def _pass(house: House, given: Mail, now: Now, stopping: threading.Event | None) -> Iterator[Posted]:
    began = now()
    with house.database.read() as db:
        waiting = list(db.scalars(_due(began).limit(IN_A_PASS)))
    for user_id in waiting:
        if (stopping and stopping.is_set()) or now() - began > LONGEST_PASS:
            return  # the rest is still due
        claimed = _claim(house, user_id, now())
        if claimed is None:
            continue
        letter, ids = claimed
        try:
            send(house, given, letter, now())
        except Refused as error:
            yield _failed(house, user_id, ids, error, now())
            if error.everybody:
                return
        else:
            _sent(house, ids, now())
            yield Posted(user_id, len(ids))


def _claim(house: House, user_id: int, at: datetime) -> tuple[Letter, list[int]] | None:
    """Take what is due for a person, so that nobody else does; None where nothing of it is news any more."""
    from web import mails  # the words of the screens; only when there is something to say

    mine = select(Notice).where(Notice.user_id == user_id, Notice.mail_at <= at).order_by(Notice.id)
    loaded = mine.options(joinedload(Notice.event).joinedload(CaseEvent.case))
    with house.database.transaction() as db:
        user = db.get_one(User, user_id)
        found = list(db.scalars(loaded.with_for_update(of=Notice, skip_locked=True)))
        told = mails.still_to_tell(db, user, [each for each in found if _is_wanted(user, each)])
        pause = _pause(max((each.mail_attempts for each in told), default=0))
        for each in found:
            each.mail_at = at + pause if each in told else None
            each.mail_attempts += each in told
        if not told:
            return None
        letter = mails.of_notices(house.settings, user, told, at)
        return letter, [each.id for each in told]


def _is_wanted(user: User, notice: Notice) -> bool:
    """Not what has been seen meanwhile, nor what its reader no longer wants by mail."""
    by_mail = notices.way(user.preferences, notice.kind) in (Way.mail, Way.daily)
    return by_mail and notice.seen_at is None and user.disabled_at is None


def _pause(attempts: int) -> timedelta:
    return min(FIRST_RETRY * (1 << min(attempts, 12)), LONGEST_RETRY)


def _sent(house: House, ids: Sequence[int], at: datetime) -> None:
    with house.database.transaction() as db:
        done = {"mail_at": None, "mailed_at": at, "mail_error": None}
        db.execute(update(Notice).where(Notice.id.in_(ids)).values(done))


def _failed(house: House, user_id: int, ids: Sequence[int], error: Refused, at: datetime) -> Posted:
    with house.database.transaction() as db:
        told: ColumnElement[bool] = Notice.id.in_(ids)
        again_at = db.scalar(select(func.max(Notice.mail_at)).where(told))
        if error.everybody:  # the others need not each find out: they wait as long
            others = {"mail_at": again_at, "mail_attempts": Notice.mail_attempts + 1}
            db.execute(update(Notice).where(Notice.mail_at <= at).values(others))
            told = Notice.mail_at == again_at
        db.execute(update(Notice).where(told).values(mail_error=str(error)))
        given_up = told if error.final else and_(told, Notice.at < at - GIVE_UP_AFTER)
        db.execute(update(Notice).where(given_up).values(mail_at=None))
        again_at = db.scalar(select(func.max(Notice.mail_at)).where(Notice.id.in_(ids)))
    log.warning("mail to user %s: %s%s", user_id, error, "" if again_at else "; given up")
    return Posted(user_id, len(ids), str(error), again_at)


def _reports(house: House, given: Mail, now: Now, stopping: threading.Event | None) -> Iterator[Posted]:
    """The same for reports that are due."""
    from web import mails

    began = now()
    with house.database.read() as db:
        waiting = report_mails.waiting(db, began)
    if waiting:
        samples.catch_up(house.database)
    for mail_id in waiting:
        if (stopping and stopping.is_set()) or now() - began > LONGEST_PASS:
            return  # the rest is still due
        due = report_mails.claim(house.database, mail_id, now())
        if due is None:
            continue
        with house.database.read() as db:
            letter = mails.of_report(db, house.settings, due)
        try:
            send(house, given, letter, now())
        except Refused as error:
            how = {"final": error.final, "everybody": error.everybody}
            again_at = report_mails.failed(house.database, due, str(error), now(), **how)
            log.warning("report by mail to user %s: %s%s", due.user.id, error, "" if again_at else "; given up")
            yield Posted(due.user.id, 0, str(error), again_at)
            if error.everybody:
                return
        else:
            report_mails.sent(house.database, due, now())
            yield Posted(due.user.id, 0)


def message_id(ids: Sequence[int], given: Mail) -> str:
    return identify(",".join(map(str, sorted(ids))), given)


def identify(what: str, given: Mail) -> str:
    digest = hashlib.sha256(what.encode()).hexdigest()[:32]
    return f"<{digest}@{given.sender.address.rpartition('@')[2]}>"


# -- the wire ---------------------------------------------------------------------------------------------------------


def send(house: House, given: Mail, letter: Letter, at: datetime) -> None:
    """Hand one letter to the server. Raises ``Refused``."""
    message = compose(given, letter, at)
    with _connected(house, given) as server:
        try:
            server.sendmail(given.sender.address, [_ascii(letter.to)], message.as_bytes())
        except smtplib.SMTPRecipientsRefused as error:
            code, words = next(iter(error.recipients.values()))
            raise Refused(_said(given, code, words), final=code >= 500) from None
        except smtplib.SMTPDataError as error:
            raise Refused(_said(given, error.smtp_code, error.smtp_error), final=error.smtp_code >= 500) from None
        except smtplib.SMTPResponseException as error:  # the sender, or something else that is not this letter's fault
            raise Refused(_said(given, error.smtp_code, error.smtp_error)) from None
        except (smtplib.SMTPException, OSError):
            raise Refused(f"{given.smtp}: the connection was cut before the server had taken the letter") from None


def probe(house: House, given: Mail) -> str:
    """Connect and log in, send nothing; what was found, in words. Raises ``Refused``."""
    with _connected(house, given):
        how = {"none": "not encrypted", "starttls": "encrypted by STARTTLS", "tls": "encrypted"}[given.security]
        login = f"login as {given.username} accepted" if given.username else "no login"
        return f"{given.smtp} answers; {how}, {login}"


def compose(given: Mail, letter: Letter, at: datetime) -> EmailMessage:
    """The letter as it travels. Raises ``Refused`` where the address cannot be written to."""
    message = EmailMessage(policy=SMTP.clone(cte_type="7bit"))
    try:
        message["From"] = Address(given.sender.name, addr_spec=_ascii(given.sender.address))
        message["To"] = Address(addr_spec=_ascii(letter.to))
    except (ValueError, IndexError, MessageError) as error:  # all of them: what the standard library may make of it
        raise Refused(f"{letter.to} is no address that mail can be sent to: {error}", final=True) from None
    message["Subject"] = " ".join(letter.subject.split())
    message["Date"] = at
    message["Message-ID"] = letter.id
    message["Auto-Submitted"] = "auto-generated"
    message["X-Auto-Response-Suppress"] = "All"  # Exchange's name for it: no out-of-office answers
    message["List-Unsubscribe"] = f"<{letter.unsubscribe}>"
    message.set_content(letter.text)
    if letter.html is not None:
        message.add_alternative(letter.html, subtype="html")
    return message


def _ascii(address: str) -> str:
    """As every server takes it. Raises ``ValueError`` where what stands before the @ is not ASCII."""
    name, _, domain = address.rpartition("@")
    name.encode("ascii")
    return f"{name}@{domain.encode('idna').decode()}"


class _Session(smtplib.SMTP):
    """smtplib over a connection that was made by the guarded way."""

    def __init__(self, made: socket.socket, name: str) -> None:
        super().__init__(local_hostname=name)
        self._made = made

    def begin(self, given: Mail) -> None:
        """Connect, encrypt, log in."""
        context = ssl.create_default_context()
        self._host = given.smtp.host  # whose certificate STARTTLS asks for
        if given.security == "tls":
            self._made = context.wrap_socket(self._made, server_hostname=given.smtp.host)
        code, words = self.connect(given.smtp.host, given.smtp.port)
        if code != 220:
            raise smtplib.SMTPConnectError(code, words)
        self.ehlo_or_helo_if_needed()
        if given.security == "starttls":
            self.starttls(context=context)
        if given.username is not None and given.password is not None:
            self.login(given.username, given.password.get_secret_value())

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        return self._made

    def close(self) -> None:
        super().close()
        self._made.close()


@contextmanager
def _connected(house: House, given: Mail) -> Iterator[_Session]:
    """Connected, encrypted and logged in as the configuration says. Raises ``Refused``."""
    name = urlsplit(str(house.settings.base_url)).hostname or ""
    try:
        with house.http.conversation(given.smtp.host, given.smtp.port, LONGEST_CALL) as sock:
            server = _Session(sock, name if name.strip("0123456789.:") else f"[{name}]")
            try:
                _begin(server, given)
                yield server
                with suppress(smtplib.SMTPException, OSError):
                    server.quit()
            finally:
                server.close()
    except NotSent as error:
        raise Refused(str(error), everybody=True) from None


def _begin(server: _Session, given: Mail) -> None:
    try:
        server.begin(given)
        return
    except smtplib.SMTPResponseException as error:
        why = _said(given, error.smtp_code, error.smtp_error)
    except smtplib.SMTPServerDisconnected:
        why = f"{given.smtp}: no whole answer came in time"
    except smtplib.SMTPException as error:  # it offers no STARTTLS, or no login
        why = f"{given.smtp}: {error}"
    except ssl.SSLError as error:
        why = f"{given.smtp}: no secure connection: {getattr(error, 'verify_message', '') or error.reason}"
    except UnicodeEncodeError:
        why = f"{given.smtp}: only ASCII is taken for our login"
    except OSError:
        why = f"{given.smtp}: the connection was cut before a whole answer came"
    raise Refused(why, everybody=True) from None


def _said(given: Mail, code: int, words: bytes | str) -> str:
    """What the server answered, in one line."""
    text = words.decode("utf-8", "replace") if isinstance(words, bytes) else words
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    return f"{given.smtp} answered {code} {line[:200]}".rstrip()
