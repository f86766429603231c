"""The one way out: every call Gensvar makes to another machine goes through here, by HTTP or (mail) its own protocol.

What it holds to, whoever calls: http and https only; every address a name resolves to is checked and the connection is
made to the address that was checked, so that no second look-up can lead elsewhere; at most three redirects, each by
the same path; a time-out to connect, one to read and one for the whole exchange; a cap on the body counted after
decompression; no proxies, cookies or passwords from the environment. Messages name the address without its query.
"""

from __future__ import annotations

import ipaddress
import socket
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, NoReturn
from urllib.parse import urljoin, urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.util.connection import create_connection

from errors import ChannelError, Reason

MIB = 1024 * 1024
REDIRECTS = 3
USER_AGENT = "Gensvar/0.1"
ACCEPT_ENCODING = "gzip, deflate"  # what can be counted while it is unpacked

_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")  # leaves out v4-mapped, v4-compatible and NAT64 forms
_REFUSED = tuple(  # what the standard library of some Python versions still takes for public
    map(
        ipaddress.ip_network,
        ("192.0.0.0/24", "192.88.99.0/24", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"),
    )
)
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})  # only these follow redirects: a write is never sent anywhere else


class NotSent(ChannelError):
    """The request never left: no connection came about, so certainly nothing happened at the other end."""


class NoAnswer(ChannelError):
    """The request went out and no whole answer came back. After a write, its outcome is unknown."""


@dataclass(frozen=True)
class Fetched:
    """An answer, whatever its status. Header names are looked up without regard to case."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str  # where it came from, after redirects
    moved_to: str | None = None  # where the first address says, by 301 or 308, that it now is for good

    @property
    def content_type(self) -> str:
        return self.headers.get("content-type", "")


def is_public(address: str) -> bool:
    """May any stranger make us connect to this IP address?"""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    if ip.version == 6 and ip not in _GLOBAL_UNICAST:
        return False
    return ip.is_global and not ip.is_multicast and not any(ip in network for network in _REFUSED)


def without_secrets(url: str) -> str:
    """The address as it may stand in a message: no query, no fragment, no user and password."""
    try:
        parts = urlsplit(url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
    except ValueError:
        return "that address"


class Client:
    """What is allowed, and how long to wait. Times in seconds; ``allow_hosts`` are names or addresses, optionally with
    a port, compared with what an address names (not with what it resolves to). Safe to share between threads.
    """

    def __init__(
        self,
        *,
        allow_private_networks: bool = False,
        allow_hosts: Iterable[str] = (),
        connect_timeout: float = 5.0,
        read_timeout: float = 30.0,
    ) -> None:
        self.timeout = (connect_timeout, read_timeout)
        self._guard = _Guard(allow_private_networks, frozenset(map(_canonical, allow_hosts)))
        self._adapter = self._new_adapter()

    def _new_adapter(self) -> _Adapter:
        return _Adapter(self._guard, self.timeout)

    @contextmanager
    def conversation(self, host: str, port: int, seconds: float) -> Iterator[socket.socket]:
        """A connection for what is not HTTP: to an address that was checked, with the time-outs, and cut after
        ``seconds`` however it goes on dripping. Raises ``NotSent``; then whatever a cut socket raises.
        """
        until = time.monotonic() + seconds
        with self._guard.open(host, port, wait=self.timeout[0], until=until) as sock, sock.dup() as twin:
            sock.settimeout(self.timeout[1])
            timer = threading.Timer(until - time.monotonic(), _cut, (twin,))  # TLS takes the other away
            timer.daemon = True
            timer.start()
            try:
                yield sock
            finally:
                timer.cancel()

    def session(self, rewrite: Mapping[str, str] | None = None) -> Session:
        """A ``requests.Session`` under guard, for libraries that bring no limits of their own.

        ``rewrite`` maps the beginning of an address to what is to stand there instead, before anything is signed.
        """
        return Session(self._new_adapter(), dict(rewrite or {}))

    def fetch(
        self,
        url: str,
        *,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        json: Any = None,
        data: bytes | Mapping[str, str] | None = None,
        limit: int = 5 * MIB,
        redirects: int = REDIRECTS,
    ) -> Fetched:
        """One exchange; ``limit`` in bytes of the unpacked body. A write is not redirected: its 3xx is the answer.

        Raises ``NotSent`` or ``NoAnswer``; an answer of any status is returned.
        """
        until = time.monotonic() + sum(self.timeout)
        sent = {"User-Agent": USER_AGENT, "Accept-Encoding": ACCEPT_ENCODING, **(headers or {})}
        moved_to, only_for_good = None, True
        for _ in range(redirects + 1):
            prepared = _prepare(method, url, sent, auth, json, data)
            response = self._adapter.send(prepared, limit=limit, until=until)
            target = _REDIRECTING.get_redirect_target(response)
            if target is None or method not in _SAFE or redirects == 0:
                return Fetched(response.status_code, response.headers, response.content, url, moved_to)
            before, url = url, urljoin(url, target)
            if _REDIRECTING.should_strip_auth(before, url):  # type: ignore[no-untyped-call]
                auth = None
                sent = {name: value for name, value in sent.items() if name.lower() not in ("authorization", "cookie")}
            only_for_good = only_for_good and response.status_code in (301, 308)
            if only_for_good:
                moved_to = url
        raise NoAnswer(Reason.unavailable, f"{without_secrets(url)}: redirected more than {redirects} times")


class Session(requests.Session):
    """``requests.Session`` that goes out by the guarded way. ``last_response`` is the answer to the latest request."""

    def __init__(self, adapter: _Adapter, rewrite: Mapping[str, str]) -> None:
        super().__init__()
        self.adapters.clear()
        self.mount("http://", adapter)
        self.mount("https://", adapter)
        self.trust_env = False
        self.max_redirects = REDIRECTS
        self.headers.update({"User-Agent": USER_AGENT, "Accept-Encoding": ACCEPT_ENCODING})
        self.rewrite = rewrite
        self.last_response: requests.Response | None = None

    def request(self, method: str | bytes, url: str | bytes, *args: Any, **kwargs: Any) -> requests.Response:
        name = method.decode() if isinstance(method, bytes) else method
        address = url.decode() if isinstance(url, bytes) else url
        for prefix, instead in self.rewrite.items():
            if address.startswith(prefix):
                address = instead + address[len(prefix) :]
                break
        kwargs["proxies"] = None
        if name.upper() not in _SAFE:
            kwargs["allow_redirects"] = False
        self.last_response = None
        self.cookies.clear()
        try:
            self.last_response = super().request(name, address, *args, **kwargs)
        except requests.RequestException as error:
            _refuse(address, error)
        return self.last_response


_REDIRECTING = requests.Session()  # only asked what a redirect means


def _refuse(url: str, error: Exception) -> NoReturn:
    """What is wrong with an address before anything is sent."""
    if isinstance(error, requests.TooManyRedirects):
        raise NoAnswer(Reason.unavailable, f"{without_secrets(url)}: redirected too often") from None
    raise NotSent(Reason.bad_request, f"{without_secrets(url)} is not a web address (http or https)") from None


def _prepare(
    method: str,
    url: str,
    headers: Mapping[str, str],
    auth: tuple[str, str] | None,
    json: Any,
    data: bytes | Mapping[str, str] | None,
) -> requests.PreparedRequest:
    try:
        if urlsplit(url).scheme not in ("http", "https"):
            raise ValueError("another scheme")
        encoded = tuple(part.encode() for part in auth) if auth else None  # requests would take it for Latin-1
        return requests.Request(method, url, headers=dict(headers), auth=encoded, json=json, data=data).prepare()
    except (requests.RequestException, ValueError) as error:
        _refuse(url, error)


# -- the guarded connection -----------------------------------------------------------------------------------------


def _canonical(host: str) -> str:
    """A host as it is compared: small letters, international names in their ASCII form, no brackets or final dot."""
    host = host.strip().lower()
    name, colon, port = host.rpartition(":")
    if not (colon and port.isdigit() and (":" not in name or name.startswith("["))):
        name, port = host, ""
    name = name.strip("[]").rstrip(".")
    with suppress(UnicodeError):
        name = name.encode("idna").decode()
    return f"{name} {port}" if port else name


@dataclass
class _Exchange:
    """One request on its way: which connection it uses, so that it can be cut when its time is over."""

    until: float
    connection: HTTPConnection | None = None
    sock: socket.socket | None = None  # once it is known; a connection forgets it while the last body is still read
    expired: bool = False

    def expire(self) -> None:
        self.expired = True
        sock = self.sock or getattr(self.connection, "sock", None)
        if sock is not None:
            _cut(sock)


def _cut(sock: socket.socket) -> None:
    with suppress(OSError):  # closed already
        # The plain method also where sock is a TLS socket: its own would pull the rug from under the reader.
        socket.socket.shutdown(sock, socket.SHUT_RDWR)


class _Guard:
    """Decides where we may connect, and connects."""

    def __init__(self, allow_private_networks: bool, allow_hosts: frozenset[str]) -> None:
        self.allow_private_networks = allow_private_networks
        self.allow_hosts = allow_hosts
        self.current = threading.local()  # .exchange: the _Exchange of this thread

    def allows(self, host: str, port: int) -> bool:
        named = _canonical(host) if ":" not in host else _canonical(f"[{host}]")
        return self.allow_private_networks or named in self.allow_hosts or f"{named} {port}" in self.allow_hosts

    def connect(self, connection: HTTPConnection) -> socket.socket:
        exchange: _Exchange = self.current.exchange
        exchange.connection = connection
        return self.open(
            connection.host,
            connection.port,
            wait=connection.timeout if isinstance(connection.timeout, int | float) else 5.0,
            until=exchange.until,
            name=connection._dns_host,
            options=connection.socket_options,
        )

    def open(
        self, host: str, port: int, *, wait: float, until: float, name: str | None = None, options: Any = None
    ) -> socket.socket:
        """``name``: what is looked up, where that is spelt otherwise; ``until`` in monotonic seconds."""
        try:
            found = socket.getaddrinfo(name or host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            raise NotSent(Reason.unavailable, f"no address is known for the name {host}") from None
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        allowed = self.allows(host, port)
        for address in addresses:
            if not allowed and not is_public(address):
                raise NotSent(
                    Reason.refused_address,
                    f"{host} is at {address}, which is no public address; outbound.allow_hosts can make an exception",
                )
        for address in addresses:
            try:
                sock = create_connection(
                    (address, port), max(0.01, min(wait, until - time.monotonic())), socket_options=options
                )
            except OSError:
                continue
            if not allowed and sock.getsockname()[0] == sock.getpeername()[0]:
                sock.close()
                raise NotSent(Reason.refused_address, f"{host} is this very machine")
            sock.settimeout(wait)
            return sock
        raise NotSent(Reason.unavailable, f"{host} (port {port}) cannot be reached")

    def pools(self) -> dict[str, type[HTTPConnectionPool]]:
        """urllib3's pools, whose connections ask this guard."""
        guard = self

        class Plain(HTTPConnection):
            def _new_conn(self) -> socket.socket:
                return guard.connect(self)

            def request(self, *args: Any, **kwargs: Any) -> None:
                guard.current.exchange.connection = self
                super().request(*args, **kwargs)
                guard.current.exchange.sock = self.sock

        class Secure(Plain, HTTPSConnection):
            def connect(self) -> None:
                try:
                    super().connect()
                except (OSError, urllib3.exceptions.HTTPError, ValueError) as error:
                    raise NotSent(
                        Reason.unavailable, f"no secure connection to {self.host}: {_tls_words(error)}"
                    ) from None

        class PlainPool(HTTPConnectionPool):
            ConnectionCls = Plain

        class SecurePool(HTTPSConnectionPool):
            ConnectionCls = Secure

        return {"http": PlainPool, "https": SecurePool}


def _tls_words(error: Exception) -> str:
    return getattr(error, "verify_message", "") or getattr(error, "reason", "") or type(error).__name__


class _Adapter(HTTPAdapter):
    """Where requests hands a prepared request over. Every hop of a redirect passes here."""

    def __init__(self, guard: _Guard, timeout: tuple[float, float]) -> None:
        self._guard = guard
        self._timeout = timeout
        super().__init__()

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **kwargs: Any) -> None:
        super().init_poolmanager(connections, maxsize, block, **kwargs)
        self.poolmanager.pool_classes_by_scheme = self._guard.pools()

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: Any = True,
        cert: Any = None,
        proxies: Any = None,
        *,
        limit: int = 5 * MIB,
        until: float | None = None,
    ) -> requests.Response:
        """The whole answer, read to its end within ``limit`` bytes and before ``until`` (monotonic seconds)."""
        name = without_secrets(request.url or "")
        if until is None:
            until = time.monotonic() + sum(self._timeout)
        exchange = self._guard.current.exchange = _Exchange(until)
        timer = threading.Timer(max(0.0, until - time.monotonic()), exchange.expire)
        timer.daemon = True
        timer.start()
        try:
            response = super().send(request, stream=True, timeout=timeout or self._timeout, verify=verify, cert=cert)
            try:
                _read(response, limit, name)
            finally:
                response.close()
            if exchange.expired:
                raise NoAnswer(Reason.unavailable, f"{name}: no whole answer within {sum(self._timeout):g} seconds")
            return response
        except requests.exceptions.InvalidURL as error:
            _refuse(name, error)
        except requests.exceptions.ContentDecodingError:
            raise NoAnswer(Reason.bad_payload, f"{name}: the answer cannot be unpacked") from None
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            late = exchange.expired or isinstance(error, requests.Timeout | TimeoutError)
            words = "no whole answer in time" if late else "the connection was cut before a whole answer came"
            raise NoAnswer(Reason.unavailable, f"{name}: {words}") from None
        finally:
            timer.cancel()
            exchange.connection = exchange.sock = None


def _read(response: requests.Response, limit: int, name: str) -> None:
    """Read the unpacked body into the response, no further than ``limit``."""
    body = bytearray()
    announced = response.headers.get("content-length", "")
    too_large = announced.isdigit() and int(announced) > limit and response.request.method != "HEAD"
    if not too_large:
        for chunk in response.iter_content(16 * 1024):
            body += chunk
            if len(body) > limit:
                too_large = True
                break
    if too_large:
        raise NoAnswer(Reason.too_large, f"{name}: the answer is larger than {limit / MIB:g} MiB")
    response._content = bytes(body)
