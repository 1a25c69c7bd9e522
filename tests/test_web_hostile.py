"""Clients that mean no good, or know no better: crowds that say nothing, and requests that are none.

That a scrape is answered within a second is a promise, so it is timed; the median of several is what must keep it, for the
machine of the tests has other things to do as well.
"""

from __future__ import annotations

import asyncio
import errno
import gc
import logging
import math
import resource
import socket
import ssl
import statistics
import threading
import time
from asyncio.sslproto import SSLProtocol
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import h11
import psutil
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from exporter.web.connections import Bounds, Client, Stage
from exporter.web.door import Door
from exporter.web.requests import LONGEST_HEAD, MOST_LINES, unfit, unfit_so_far, whole_head
from exporter.web.security import Security
from exporter.web.server import WebServer
from tests.certificates import client_context, write_all
from tests.crowd import crowd
from tests.serving import METRICS, FakePages, ask, closed, connect, serving, until

TLS = "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n"

#: Bytes that a crowd may cost. TLS takes 280 KiB of a client, and 192 clients may have it.
MOST_MEMORY = 100 * 1024 * 1024

#: Threads that the server may have: its own, those that make pages, the one that checks passwords.
MOST_THREADS = 8


@pytest.fixture(scope="module", autouse=True)
def room_for_crowds() -> Iterator[None]:
    """Let this process open as many sockets as both sides of a crowd need."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 4096)), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture(scope="module")
def security(tmp_path_factory: pytest.TempPathFactory) -> Security:
    directory = tmp_path_factory.mktemp("tls")
    write_all(directory)
    (directory / "web.yml").write_text(TLS)
    return Security(str(directory / "web.yml"))


@pytest.fixture(scope="module")
def plain() -> Iterator[WebServer]:
    with serving(FakePages()) as server:
        yield server


def dialled(server: WebServer) -> socket.socket:
    """Return a connection over which nothing was said."""
    return socket.create_connection(("127.0.0.1", server.port), timeout=5)


def seconds_of_a_scrape(server: WebServer, tls: ssl.SSLContext | None) -> float:
    """Return how long a scraper waits that has to connect anew: without end, where those behind it pushed it out."""
    began = time.monotonic()
    try:
        assert ask(server, "/metrics", tls=tls).text == METRICS
    except (ConnectionError, TimeoutError):
        return math.inf
    return time.monotonic() - began


# Crowds.


@pytest.mark.parametrize(
    ("kind", "with_tls"),
    [
        ("silent", False),
        ("a byte at a time", False),
        ("silent", True),
        ("a handshake by bytes", True),
        ("silent over TLS", True),
        ("bytes over TLS", True),
    ],
)
def test_a_crowd_keeps_no_scrape_from_being_answered_within_a_second(
    security: Security, caplog: pytest.LogCaptureFixture, kind: str, with_tls: bool
) -> None:
    context = client_context() if with_tls else None
    with serving(FakePages(), security=security if with_tls else None) as server:
        ask(server, "/metrics", tls=context)
        gc.collect()
        before, threads = psutil.Process().memory_info().rss, threading.active_count()
        with crowd(server.port, kind) as coming:
            while_they_come = [seconds_of_a_scrape(server, context) for _ in range(5)]
            assert coming.stdout is not None and coming.stdout.readline() == "all are here\n"
            while_they_stay = [seconds_of_a_scrape(server, context) for _ in range(5)]
            assert psutil.Process().memory_info().rss - before < MOST_MEMORY
            assert threading.active_count() - threads <= MOST_THREADS
        afterwards = [seconds_of_a_scrape(server, context) for _ in range(3)]
    for each in (while_they_come, while_they_stay, afterwards):
        assert statistics.median(each) < 1
    assert_nothing_broke(caplog)


def assert_nothing_broke(caplog: pytest.LogCaptureFixture) -> None:
    """Require that no line of the log is an error, and none has a traceback."""
    assert [each.getMessage() for each in caplog.records if each.exc_info or each.levelno >= logging.ERROR] == []


def test_of_those_over_tls_there_are_fewer_for_they_cost_more(security: Security) -> None:
    with serving(FakePages(), security=security, bounds=Bounds(encrypted=3)) as server:
        clients = [connect(server, client_context()) for _ in range(5)]
        for each in clients:
            each.connect()
        assert ask(server, "/metrics", tls=client_context()).status == 200
        socks = [each.sock for each in clients]
        assert [closed(each) for each in socks[:2]] == [True, True]
        for each in clients:
            each.close()


def test_of_those_who_were_pushed_out_amid_a_handshake_nothing_stays(security: Security) -> None:
    with serving(FakePages(), security=security, bounds=Bounds(encrypted=3)) as server:
        pushed_out = [dialled(server) for _ in range(60)]
        for each in pushed_out:
            each.sendall(b"\x16\x03\x01")
        time.sleep(0.5)
        until(lambda: sum(isinstance(each, SSLProtocol) for each in gc.get_objects()) <= 3)
        for each in pushed_out:
            each.close()


def test_where_all_over_tls_wait_for_an_answer_a_newcomer_has_to_go(security: Security) -> None:
    pages = FakePages(hold=threading.Event())
    with serving(pages, security=security, bounds=Bounds(encrypted=1)) as server:
        waiting = connect(server, client_context())
        waiting.request("GET", "/metrics")
        until(lambda: pages.at_once == 1)
        with pytest.raises(OSError, match=r"EOF|reset"):
            ask(server, "/metrics", tls=client_context())
        assert pages.hold is not None
        pages.hold.set()
        assert waiting.getresponse().read().decode() == METRICS


def test_a_scraper_that_is_known_keeps_its_connection_in_a_crowd(plain: WebServer) -> None:
    scraper = connect(plain)
    scraper.request("GET", "/metrics")
    scraper.getresponse().read()
    first = scraper.sock
    with crowd(plain.port, "a byte at a time") as coming:
        assert coming.stdout is not None and coming.stdout.readline()
        scraper.request("GET", "/metrics")
        assert scraper.getresponse().read().decode() == METRICS
        assert scraper.sock is first
    scraper.close()


def test_a_crowd_is_one_line_of_log(caplog: pytest.LogCaptureFixture) -> None:
    with serving(FakePages(), bounds=Bounds(connections=5)) as server:
        clients = [dialled(server) for _ in range(50)]
        time.sleep(1)
        for each in clients:
            each.close()
    assert [each.msg for each in caplog.records] == [
        "more clients than there is room for; those that asked for nothing had to go"
    ]


# Time: who takes too long.


def test_a_head_that_comes_a_byte_at_a_time_is_cut_off_with_a_word() -> None:
    with serving(FakePages(), bounds=Bounds(head=0.6)) as server:
        with dialled(server) as slow:
            answer = b""
            slow.settimeout(0.1)
            began = time.monotonic()
            while not answer and time.monotonic() - began < 5:
                slow.sendall(b"G")
                with suppress(TimeoutError):
                    answer = slow.recv(1000)
        assert answer.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
        assert time.monotonic() - began < 3


def test_a_client_that_got_an_answer_has_no_longer_for_its_next_head() -> None:
    with serving(FakePages(), bounds=Bounds(head=0.6)) as server, dialled(server) as slow:
        slow.sendall(b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n")
        time.sleep(1)
        assert slow.recv(1000).startswith(b"HTTP/1.1 404")
        slow.sendall(b"GET")
        assert slow.recv(1000).startswith(b"HTTP/1.1 408")


@pytest.mark.parametrize("word", [b"", b"\x16", b"\x16\x03\x01\x02\x00"])
def test_a_handshake_that_does_not_end_is_cut_off(security: Security, word: bytes) -> None:
    with serving(FakePages(), security=security, bounds=Bounds(head=0.6)) as server, dialled(server) as slow:
        slow.sendall(word)
        assert closed(slow)


def test_answers_that_nobody_reads_are_bounded_in_all() -> None:
    pages, bounds = FakePages(body=METRICS * 4000), Bounds(unread=32 * 1024 * 1024)
    with serving(pages, bounds=bounds) as server:
        deaf = [dialled(server) for _ in range(6)]
        for each in deaf:
            each.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
            time.sleep(0.5)  # so that it is known who was first
        time.sleep(0.5)
        gone = [was_reset(each) for each in deaf]
        assert gone[0] and not gone[-1]
        assert ask(server, "/-/healthy").status == 200
        for each in deaf:
            each.close()


def was_reset(client: socket.socket) -> bool:
    """Tell whether the server has given a connection up, without reading what it had sent."""
    return client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ECONNRESET


def test_requests_ahead_of_their_turn_are_answered_in_turn(plain: WebServer) -> None:
    with dialled(plain) as client:
        client.sendall(b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n" * 20 + b"GET /x HTTP/1.0\r\n\r\n")
        assert [int(each[:3]) for each in everything(client).split(b"HTTP/1.1 ")[1:]] == [200] * 20 + [404]


@pytest.mark.parametrize("in_one_go", [True, False])
def test_nobody_may_ask_too_far_ahead(in_one_go: bool) -> None:
    pages = FakePages(hold=threading.Event())
    with serving(pages) as server, dialled(server) as client:
        if not in_one_go:
            client.sendall(request())
            until(lambda: pages.at_once == 1)
        with suppress(OSError):
            client.sendall(request() * 1000)
        assert closed(client)


def test_a_request_that_came_before_the_last_answer_was_read_is_answered_then() -> None:
    with serving(FakePages(body=METRICS * 4000)) as server, dialled(server) as client:
        client.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" + b"GET /-/healthy HTTP/1.0\r\n\r\n")
        time.sleep(0.5)
        assert everything(client).endswith(b"\r\n\r\nok\n")


def test_a_client_that_asks_again_without_reading_is_cut_off() -> None:
    with serving(FakePages(body=METRICS * 4000), bounds=Bounds(silence=0.6)) as server, dialled(server) as deaf:
        deaf.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 3)
        time.sleep(1.5)
        assert closed(deaf)


# Room.


def test_who_has_come_least_far_goes_first_and_who_waits_for_an_answer_never() -> None:
    pages = FakePages(hold=threading.Event())
    with serving(pages, bounds=Bounds(connections=3)) as server:
        address = ("127.0.0.1", server.port)
        waiting, resting, speaking = (socket.create_connection(address, timeout=5) for _ in range(3))
        speaking.sendall(b"G")
        waiting.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        resting.sendall(b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n")
        assert resting.recv(1000).startswith(b"HTTP/1.1 200")
        until(lambda: pages.at_once == 1)
        newcomers = [socket.create_connection(address, timeout=5)]
        assert closed(speaking)
        newcomers.append(socket.create_connection(address, timeout=5))
        assert closed(newcomers[0])
        newcomers[1].sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        until(lambda: pages.at_once == 2)
        newcomers.append(socket.create_connection(address, timeout=5))
        assert closed(resting)
        newcomers[2].sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        until(lambda: pages.at_once == 3)
        newcomers.append(socket.create_connection(address, timeout=5))
        assert closed(newcomers[3])
        assert pages.hold is not None
        pages.hold.set()
        assert waiting.recv(12) == newcomers[1].recv(12) == newcomers[2].recv(12) == b"HTTP/1.1 200"


def test_an_answer_that_was_not_read_for_long_makes_room_at_last() -> None:
    left: list[Client] = []
    now = [100.0]
    ours, theirs = socket.socketpair()
    with ours, theirs:
        client = Client(ours, Bounds(head=10), lambda: now[0], left.append)
        client.stage = Stage.UNREAD
        client.since = now[0]
        assert not client.may_make_room(now[0] + 9)
        assert client.may_make_room(now[0] + 11)


def test_room_is_bounded_by_the_files_that_the_process_may_open() -> None:
    async def look() -> int:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            door = Door(listening, lambda client: pytest.fail("nobody speaks"), lambda: None, Bounds(), lambda: 128 + 3)
            door.open()
            clients = [socket.create_connection(listening.getsockname(), timeout=5) for _ in range(8)]
            await asyncio.sleep(0.3)
            inside = len(door._clients)
            door.close()
            assert all(closed(each) for each in clients)
            return inside

    assert asyncio.run(look()) == 3


def test_where_the_system_has_no_socket_left_the_server_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    with serving(FakePages()) as server, ExitStack() as stack:
        silent = [stack.enter_context(dialled(server)) for _ in range(20)]
        time.sleep(0.3)
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        waiting = stack.enter_context(socket.socket())
        waiting.settimeout(10)
        resource.setrlimit(resource.RLIMIT_NOFILE, (silent[0].fileno(), hard))
        try:
            waiting.connect(("127.0.0.1", server.port))
            waiting.sendall(b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n")
            time.sleep(0.7)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert waiting.recv(12) == b"HTTP/1.1 200"
        assert closed(silent[0])
    assert (caplog.records[0].msg, vars(caplog.records[0])["error"]) == (
        "cannot accept a client",
        "Too many open files",
    )


# Requests that are none, or none of ours.


def everything(client: socket.socket) -> bytes:
    """Return what a server sends until it closes the connection."""
    parts = []
    while part := client.recv(1 << 16):
        parts.append(part)
    return b"".join(parts)


def status_of(server: WebServer, request: bytes, tls: ssl.SSLContext | None = None) -> int:
    """Return the status of the answer to what is sent over a connection of its own."""
    with ExitStack() as stack:
        client = stack.enter_context(dialled(server))
        if tls is not None:
            client = stack.enter_context(tls.wrap_socket(client))
        with suppress(BrokenPipeError, ConnectionResetError):
            client.sendall(request)
        answer = client.recv(1 << 16)
        return int(answer.split(b" ", 2)[1])


def request(line: bytes = b"GET /metrics HTTP/1.1", *headers: bytes, body: bytes = b"") -> bytes:
    return b"\r\n".join((line, b"Host: x", *headers, b"", body))


BAD = {
    "no HTTP": (400, b"nonsense\r\n\r\n"),
    "one word": (400, b"hello\r\n"),
    "zeros": (400, b"\0" * 100),
    "random bytes": (400, b"\x80\xff\x00\x7f\r\n\r\n"),
    "a TLS hello": (400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
    "an SSH greeting": (400, b"SSH-2.0-OpenSSH_9.2\r\n"),
    "an empty line": (400, b"\r\n\r\n"),
    "HTTP/0.9": (400, b"GET /metrics\r\n"),
    "HTTP/2": (400, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    "HTTP/3": (400, request(b"GET /metrics HTTP/3.0")),
    "no version": (400, request(b"GET /metrics HTTP/")),
    "two blanks": (400, request(b"GET  /metrics HTTP/1.1")),
    "a blank in the path": (400, request(b"GET /met rics HTTP/1.1")),
    "a zero in the path": (400, request(b"GET /metrics\0 HTTP/1.1")),
    "a letter beyond ASCII": (400, request("GET /mètrics HTTP/1.1".encode())),
    "no host": (400, b"GET /metrics HTTP/1.1\r\n\r\n"),
    "two hosts": (400, request(b"GET /metrics HTTP/1.1", b"Host: y")),
    "a header without a colon": (400, request(b"GET /metrics HTTP/1.1", b"Header")),
    "a header without a name": (400, request(b"GET /metrics HTTP/1.1", b": value")),
    "a blank before a colon": (400, request(b"GET /metrics HTTP/1.1", b"Content-Length : 0")),
    "a zero in a header": (400, request(b"GET /metrics HTTP/1.1", b"X: a\0b")),
    "a carriage return in a header": (400, request(b"GET /metrics HTTP/1.1", b"X: a\rb")),
    "two lengths": (400, request(b"POST / HTTP/1.1", b"Content-Length: 1", b"Content-Length: 2", body=b"a")),
    "a negative length": (400, request(b"POST / HTTP/1.1", b"Content-Length: -1")),
    "an endless length": (400, request(b"POST / HTTP/1.1", b"Content-Length: " + b"9" * 30)),
    "a strange coding": (400, request(b"POST / HTTP/1.1", b"Transfer-Encoding: gzip, chunked")),
    "a coding in disguise": (400, request(b"POST / HTTP/1.1", b"Transfer-Encoding: \x0bchunked")),
    "two codings": (400, request(b"POST / HTTP/1.1", b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity")),
    "a length and a coding": (
        413,
        request(
            b"POST / HTTP/1.1",
            b"Content-Length: 4",
            b"Transfer-Encoding: chunked",
            body=b"0\r\n\r\nGET /x HTTP/1.1\r\n",
        ),
    ),
    "a body": (413, request(b"GET /metrics HTTP/1.1", b"Content-Length: 5", body=b"hello")),
    "a body of gigabytes": (413, request(b"POST / HTTP/1.1", b"Content-Length: 9999999999", body=b"x" * 3_000_000)),
    "a body in chunks": (413, request(b"POST / HTTP/1.1", b"Transfer-Encoding: chunked", body=b"1\r\na\r\n" * 50_000)),
    "a body that asks first": (413, request(b"POST / HTTP/1.1", b"Content-Length: 5", b"Expect: 100-continue")),
    "a compressed body": (
        415,
        request(b"POST / HTTP/1.1", b"Content-Encoding: gzip", b"Content-Length: 3", body=b"\x1f\x8b\x08"),
    ),
    "a compressed nothing": (415, request(b"GET /metrics HTTP/1.1", b"Content-Encoding: gzip")),
    "a long header": (431, request(b"GET /metrics HTTP/1.1", b"X: " + b"a" * LONGEST_HEAD)),
    "a head of megabytes": (431, request(b"GET /metrics HTTP/1.1", b"X: " + b"a" * 5_000_000)),
    "a head without end": (431, b"GET /metrics HTTP/1.1\r\nHost: x\r\nX: " + b"a" * LONGEST_HEAD),
    "a line without end": (431, b"G" * (LONGEST_HEAD + 1)),
    "many headers": (431, request(b"GET /metrics HTTP/1.1", *([b"X: y"] * MOST_LINES))),
    "a long path": (431, request(b"GET /" + b"a" * LONGEST_HEAD + b" HTTP/1.1")),
    "a longish path": (404, request(b"GET /" + b"a" * 8000 + b" HTTP/1.1")),
    "CONNECT": (404, request(b"CONNECT example.com:443 HTTP/1.1")),
    "OPTIONS of everything": (404, request(b"OPTIONS * HTTP/1.1")),
    "a proxy's request": (404, request(b"GET http://example.com/metrics HTTP/1.1")),
    "TRACE": (405, request(b"TRACE /metrics HTTP/1.1", b"Cookie: secret")),
    "an invented method": (405, request(b"BREW /metrics HTTP/1.1")),
    "a method in small letters": (405, request(b"get /metrics HTTP/1.1")),
    "a long method": (405, request(b"A" * 5000 + b" /metrics HTTP/1.1")),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_reasonable_request_gets_a_clean_answer(
    plain: WebServer, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    status, sent = BAD[name]
    assert status_of(plain, sent) == status
    assert ask(plain, "/metrics").text == METRICS
    assert caplog.records == []


def test_over_tls_the_answers_are_the_same(security: Security, caplog: pytest.LogCaptureFixture) -> None:
    with serving(FakePages(), security=security) as server:
        for name, (status, sent) in BAD.items():
            assert status_of(server, sent, client_context()) == status, name
        assert ask(server, "/metrics", tls=client_context()).text == METRICS
    assert_nothing_broke(caplog)


@pytest.mark.parametrize(
    "path",
    [
        "/metrics/../metrics",
        "/./metrics",
        "//metrics",
        "/metrics//",
        "/metrics/.",
        "/%6detrics",
        "/%2fmetrics",
        "/%2e%2e/metrics",
        "/-%2fhealthy",
        "/-/../-/healthy",
        "/metrics%00",
        "/metrics%20",
        "/metrics%zz",
        "/metrics;a=b",
        "/metrics\\",
        "/..%5cmetrics",
        "/%ff",
        "/%c0%ae%c0%ae/etc/passwd",
        "/../../../../etc/passwd",
        "/{path}",
        "metrics",
        "*",
    ],
)
def test_paths_have_one_spelling(plain: WebServer, path: str) -> None:
    assert status_of(plain, request(f"GET {path} HTTP/1.1".encode())) == 404


@pytest.mark.parametrize("path", ["/metrics?", "/metrics?name[]=x&y=%00", "/metrics?../../x"])
def test_a_query_changes_nothing(plain: WebServer, path: str) -> None:
    assert status_of(plain, request(f"GET {path} HTTP/1.1".encode())) == 200


@pytest.mark.parametrize(
    "headers",
    [
        [b"Upgrade: websocket", b"Connection: Upgrade", b"Sec-WebSocket-Key: x", b"Sec-WebSocket-Version: 13"],
        [b"Upgrade: h2c", b"Connection: Upgrade, HTTP2-Settings", b"HTTP2-Settings: AAMAAABkAAQ"],
        [b"Content-Length: 0"],
        [b"Range: bytes=0-10"],
        [b"X-Forwarded-For: 192.0.2.1"],
        [b"Accept-Encoding: " + b"gzip;q=0," * 1000],
        [b"Accept: " + b"text/plain;q=0.5," * 800],
        [b"Cookie: \xff\xfe"],
    ],
)
def test_what_a_server_may_ignore_is_ignored(
    plain: WebServer, caplog: pytest.LogCaptureFixture, headers: list[bytes]
) -> None:
    assert status_of(plain, request(b"GET /metrics HTTP/1.1", *headers)) == 200
    assert caplog.records == []


def test_after_a_refusal_nothing_that_comes_is_taken_for_a_request(plain: WebServer) -> None:
    smuggled = request(b"GET /-/healthy HTTP/1.1")
    sent = request(
        b"POST / HTTP/1.1", b"Content-Length: 4", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n" + smuggled
    )
    with dialled(plain) as client:
        client.sendall(sent)
        client.sendall(smuggled)
        answer = everything(client)
    assert answer.startswith(b"HTTP/1.1 413") and answer.count(b"HTTP/1.1") == 1
    assert b"\r\nConnection: close\r\n" in answer


def test_a_client_that_leaves_amid_its_request_or_its_answer_leaves_nothing(caplog: pytest.LogCaptureFixture) -> None:
    with serving(FakePages(body=METRICS * 1000)) as server:
        for sent in (b"", b"G", b"GET /metrics HTTP/1.1\r\nHo", request(), request() * 3):
            for _ in range(5):
                with dialled(server) as client:
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                    client.sendall(sent)
        assert ask(server, "/-/healthy").status == 200
    assert_nothing_broke(caplog)


def test_a_client_that_leaves_amid_its_handshake_leaves_nothing(
    security: Security, caplog: pytest.LogCaptureFixture
) -> None:
    with serving(FakePages(), security=security) as server:
        for sent in (b"", b"\x16", b"\x16\x03\x01\x00\x05hello", b"\x16\xff\xff\xff\xff" * 100):
            for _ in range(5):
                with dialled(server) as client:
                    client.sendall(sent)
        stopped = client_context()
        stopped.set_ciphers("ECDHE-RSA-AES128-SHA")
        stopped.maximum_version = ssl.TLSVersion.TLSv1_2
        with pytest.raises(ssl.SSLError):
            ask(server, "/metrics", tls=stopped)
        assert ask(server, "/metrics", tls=client_context()).status == 200
    assert_nothing_broke(caplog)


def test_stopping_sends_a_crowd_away(security: Security) -> None:
    with serving(FakePages(), security=security) as server:
        kept = connect(server, client_context())
        kept.request("GET", "/metrics")
        kept.getresponse().read()
        with crowd(server.port, "a handshake by bytes") as coming:
            assert coming.stdout is not None and coming.stdout.readline()
            began = time.monotonic()
            server.stop()
            assert time.monotonic() - began < 5
        kept.close()


# Any bytes at all.

LINES = st.sampled_from(
    [
        b"GET / HTTP/1.1\r\n",
        b"Host: x\r\n",
        b"X:y\n",
        b" folded\r\n",
        b"Content-Length: 3\r\n",
        b"\r\n",
        b"\n",
        b"\0",
        b":",
    ]
)


@given(st.lists(LINES | st.binary(max_size=8), max_size=8).map(b"".join))
@example(b"GET / HTTP/1.1\nHost: x\n\n")
def test_what_is_let_through_is_a_request_without_a_body(heard: bytes) -> None:
    head = whole_head(bytearray(heard))
    unfit_so_far(bytearray(heard))
    if head is not None and unfit(head) is None:
        connection = h11.Connection(h11.SERVER)
        connection.receive_data(head)
        assert isinstance(connection.next_event(), h11.Request)
        assert isinstance(connection.next_event(), h11.EndOfMessage)
        assert connection.next_event() is h11.NEED_DATA


@given(st.lists(LINES, min_size=1, max_size=8).map(b"".join), st.integers(0, 60))
def test_an_end_is_found_wherever_the_pieces_meet(heard: bytes, looked_at: int) -> None:
    before = bytearray(heard[:looked_at])
    if whole_head(before) is None:
        assert whole_head(bytearray(heard), len(before)) == whole_head(bytearray(heard))
