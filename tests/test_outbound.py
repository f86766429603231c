"""The guarded client: where it refuses to go, what it counts, and how sure it is that nothing was sent."""

from __future__ import annotations

import gzip
import socket
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import requests
from flask import Flask, Response, redirect, request

import outbound
from errors import Reason
from sandbox.base import serving

app = Flask(__name__)


@app.get("/hello")
def hello() -> Response:
    return Response("hej", headers={"X-Seen": request.headers.get("Authorization", "nothing")})


@app.get("/bomb")
def bomb() -> Response:
    return Response(gzip.compress(b"\0" * 30_000_000), headers={"Content-Encoding": "gzip"})


@app.get("/announced")
def announced() -> Response:
    return Response(b"x" * 2000)


@app.get("/to")
def to() -> Response:
    return redirect(request.args["url"], int(request.args.get("code", 302)))  # type: ignore[return-value]


@app.post("/to")
def write_to() -> Response:
    return redirect("/written", 307)  # type: ignore[return-value]


@app.post("/written")
def written() -> Response:
    return Response("a write was redirected")


@app.get("/cookie")
def cookie() -> Response:
    return Response(request.headers.get("Cookie", "none"), headers={"Set-Cookie": "a=b; Path=/"})


@app.get("/loop/<int:n>")
def loop(n: int) -> Response:
    return redirect(f"/loop/{n + 1}")  # type: ignore[return-value]


@app.get("/query")
def query() -> Response:
    return Response(request.full_path)


@pytest.fixture(scope="module")
def base() -> Iterator[str]:
    with serving(app) as url:
        yield url


@pytest.fixture
def client() -> outbound.Client:
    return outbound.Client(allow_private_networks=True, connect_timeout=1, read_timeout=1)


@contextmanager
def talking(conversation: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server that says exactly what the test wants, byte by byte."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            try:
                peer, _ = server.accept()
                with peer:
                    peer.recv(65536)
                    conversation(peer)
            except OSError:
                return  # the test is over

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


PRIVATE = [
    "http://127.0.0.1/",
    "http://127.1/",
    "http://2130706433/",
    "http://0x7f000001/",
    "http://0177.0.0.1/",
    "http://localhost/",
    "http://LOCALHOST/",
    "http://0.0.0.0/",
    "http://0.1.2.3/",
    "http://10.0.0.1/",
    "http://172.16.0.1/",
    "http://192.168.1.1/",
    "http://100.64.0.1/",
    "http://100.100.100.200/latest/meta-data",
    "http://169.254.169.254/latest/meta-data",
    "http://192.0.0.192/",
    "http://192.88.99.1/",
    "http://198.18.0.1/",
    "http://224.0.0.1/",
    "http://240.0.0.1/",
    "http://255.255.255.255/",
    "http://[::]/",
    "http://[::1]/",
    "http://[::127.0.0.1]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:8.8.8.8]/",
    "http://[64:ff9b::7f00:1]/",
    "http://[64:ff9b:1::1]/",
    "http://[2002:7f00:1::]/",
    "http://[2001::1]/",
    "http://[2001:db8::1]/",
    "http://[fc00::1]/",
    "http://[fe80::1]/",
    "http://[ff02::1]/",
    "http://user:pass@127.0.0.1/",
]


@pytest.mark.parametrize("url", PRIVATE)
def test_it_connects_to_no_private_address(url: str) -> None:
    with pytest.raises(outbound.NotSent) as caught:
        outbound.Client(connect_timeout=0.2, read_timeout=0.2).fetch(url)
    assert caught.value.reason is Reason.refused_address
    assert caught.value.permanent


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://example.com/", "gopher://127.0.0.1:25/", "//x", "", "a"])
def test_it_speaks_http_only(url: str) -> None:
    client = outbound.Client()
    for call in (client.fetch, client.session().get):
        with pytest.raises(outbound.NotSent) as caught:
            call(url)
        assert caught.value.reason is Reason.bad_request


@pytest.mark.parametrize("address", ["8.8.8.8", "193.0.6.139", "2a00:1450:4001:800::200e"])
def test_a_public_address_is_public(address: str) -> None:
    assert outbound.is_public(address)


def test_a_name_is_refused_when_any_of_its_addresses_is_private(monkeypatch: pytest.MonkeyPatch) -> None:
    def lookup(*args: object, **kwargs: object) -> list[object]:
        return [(socket.AF_INET, 1, 6, "", ("203.0.112.1", 80)), (socket.AF_INET, 1, 6, "", ("127.0.0.1", 80))]

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    with pytest.raises(outbound.NotSent) as caught:
        outbound.Client().fetch("http://rebinding.example/")
    assert caught.value.reason is Reason.refused_address


def test_it_looks_a_name_up_once_and_connects_to_what_it_checked(base: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real, asked = socket.getaddrinfo, []

    def lookup(host: str, *args: object, **kwargs: object) -> object:
        asked.append(host)
        return real("127.0.0.1" if host == "blog.example" else host, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    port = base.rpartition(":")[2]
    client = outbound.Client(allow_hosts=["blog.example"])
    assert client.fetch(f"http://blog.example:{port}/hello").body == b"hej"
    assert asked == ["blog.example", "127.0.0.1"]


@pytest.mark.parametrize("template", ["127.0.0.1", "127.0.0.1:{port}", " 127.0.0.1:{port} "])
def test_an_exception_is_made_for_a_host_as_it_is_named(base: str, template: str) -> None:
    port = base.rpartition(":")[2]
    client = outbound.Client(allow_hosts=[template.format(port=port)])
    assert client.fetch(f"{base}/hello").status == 200
    with pytest.raises(outbound.NotSent, match="no public address"):
        client.fetch(f"http://localhost:{port}/hello")


def test_an_exception_for_a_port_is_for_that_port_only(base: str) -> None:
    client = outbound.Client(allow_hosts=["127.0.0.1:1"])
    with pytest.raises(outbound.NotSent):
        client.fetch(f"{base}/hello")


def test_a_redirect_is_checked_like_any_address(base: str) -> None:
    port = base.rpartition(":")[2]
    client = outbound.Client(allow_hosts=["127.0.0.1"])
    for call in (client.fetch, client.session().get):
        with pytest.raises(outbound.NotSent) as caught:
            call(f"{base}/to?url=http://localhost:{port}/hello")
        assert caught.value.reason is Reason.refused_address
        with pytest.raises(outbound.NotSent):
            call(f"{base}/to?url=file:///etc/passwd")


def test_redirects_end(base: str, client: outbound.Client) -> None:
    assert client.fetch(f"{base}/to?url=/hello").url == f"{base}/hello"
    for call in (client.fetch, client.session().get):
        with pytest.raises(outbound.NoAnswer, match="redirected"):
            call(f"{base}/loop/0")


def test_it_tells_where_an_address_moved_for_good(base: str, client: outbound.Client) -> None:
    assert client.fetch(f"{base}/to?code=301&url=/hello").moved_to == f"{base}/hello"
    assert client.fetch(f"{base}/to?code=302&url=/hello").moved_to is None
    assert client.fetch(f"{base}/hello").moved_to is None


def test_a_password_does_not_follow_to_another_host(base: str, client: outbound.Client) -> None:
    elsewhere = base.replace("127.0.0.1", "localhost")
    assert client.fetch(f"{base}/to?url={base}/hello", auth=("ö", "pw")).headers["x-seen"].startswith("Basic ")
    assert client.fetch(f"{base}/to?url={elsewhere}/hello", auth=("ö", "pw")).headers["x-seen"] == "nothing"
    sent = {"Authorization": "Bearer t"}
    assert client.fetch(f"{base}/to?url={elsewhere}/hello", headers=sent).headers["x-seen"] == "nothing"
    assert client.session().get(f"{base}/to?url={elsewhere}/hello", headers=sent).headers["x-seen"] == "nothing"


def test_a_write_is_not_redirected(base: str, client: outbound.Client) -> None:
    assert client.fetch(f"{base}/to", method="POST", json={}).status == 307
    assert client.session().post(f"{base}/to").status_code == 307


def test_no_cookies_are_kept(base: str, client: outbound.Client) -> None:
    session = client.session()
    assert session.get(f"{base}/cookie").text == "none"
    assert session.get(f"{base}/cookie").text == "none"


def test_the_environment_has_no_say(base: str, client: outbound.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert client.fetch(f"{base}/hello").status == 200
    assert client.session().get(f"{base}/hello").text == "hej"


def test_a_gzip_bomb_is_not_unpacked(base: str, client: outbound.Client) -> None:
    for call in (client.fetch, client.session().get):
        with pytest.raises(outbound.NoAnswer) as caught:
            call(f"{base}/bomb")
        assert caught.value.reason is Reason.too_large


def test_the_cap_holds_to_the_byte(base: str, client: outbound.Client) -> None:
    assert len(client.fetch(f"{base}/announced", limit=2000).body) == 2000
    with pytest.raises(outbound.NoAnswer) as caught:
        client.fetch(f"{base}/announced", limit=1999)
    assert caught.value.reason is Reason.too_large


def test_nobody_listening_means_not_sent(client: outbound.Client) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    for call in (client.fetch, client.session().get):
        with pytest.raises(outbound.NotSent) as caught:
            call(f"http://127.0.0.1:{port}/")
        assert caught.value.reason is Reason.unavailable
        assert not caught.value.permanent


def test_an_unknown_name_means_not_sent(client: outbound.Client) -> None:
    for url in ("http://nowhere.invalid/", f"http://{'a' * 64}.invalid/"):
        with pytest.raises(outbound.NotSent):
            client.fetch(url)


def test_no_tls_at_the_other_end_means_not_sent(base: str, client: outbound.Client) -> None:
    with pytest.raises(outbound.NotSent, match="no secure connection"):
        client.fetch(base.replace("http://", "https://"))


def test_silence_before_tls_means_not_sent(client: outbound.Client) -> None:
    with talking(lambda peer: time.sleep(2)) as url, pytest.raises(outbound.NotSent):
        client.fetch(url.replace("http://", "https://"))


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc",
        b"nonsense\r\n\r\n",
    ],
)
def test_half_an_answer_is_no_answer(client: outbound.Client, said: bytes) -> None:
    for call in (lambda url: client.fetch(url, method="POST", json={"a": 1}), lambda url: client.session().post(url)):
        with talking(lambda peer: peer.sendall(said)) as url, pytest.raises(outbound.NoAnswer):
            call(f"{url}/?token=secret")


def test_silence_is_no_answer(client: outbound.Client) -> None:
    with talking(lambda peer: time.sleep(3)) as url, pytest.raises(outbound.NoAnswer, match="in time"):
        client.fetch(url)


@pytest.mark.slow
@pytest.mark.parametrize(
    "opening", [b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n"]
)
def test_a_drop_at_a_time_has_an_end(client: outbound.Client, opening: bytes) -> None:
    def drip(peer: socket.socket) -> None:
        peer.sendall(opening)
        for _ in range(60):
            time.sleep(0.1)
            peer.sendall(b"a")

    with talking(drip) as url, pytest.raises(outbound.NoAnswer):
        started = time.monotonic()
        client.fetch(url)
    assert time.monotonic() - started < 4


def test_messages_hold_no_secret(client: outbound.Client) -> None:
    secret = "access_token=abc123"
    for url in (f"http://u:abc123@127.0.0.1:1/p?{secret}", f"ftp://u:abc123@x/?{secret}"):
        for call in (client.fetch, client.session().get):
            with pytest.raises(outbound.NotSent) as caught:
                call(url)
            assert "abc123" not in str(caught.value)
            assert caught.value.__cause__ is None
    with talking(lambda peer: None) as url, pytest.raises(outbound.NoAnswer) as unanswered:
        client.fetch(f"{url}/p?{secret}")
    assert "/p" in str(unanswered.value)
    assert "abc123" not in "".join(traceback.format_exception(unanswered.value))


def test_an_address_is_rewritten_before_it_is_signed(base: str, client: outbound.Client) -> None:
    signed: list[str | None] = []

    class Signing(requests.auth.AuthBase):
        def __call__(self, prepared: requests.PreparedRequest) -> requests.PreparedRequest:
            signed.append(prepared.url)
            return prepared

    session = client.session({"https://api.network.example": base})
    answer = session.get("https://api.network.example/query?a=1", auth=Signing(), timeout=None)
    assert answer.text == "/query?a=1"
    assert signed == [f"{base}/query?a=1"]
    assert session.last_response is answer


def test_a_connection_is_used_again(base: str, client: outbound.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    client.fetch(f"{base}/hello")
    before = threading.active_count()
    for _ in range(20):
        client.fetch(f"{base}/hello")
    assert threading.active_count() <= before + 2
