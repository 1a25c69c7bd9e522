"""No server, however odd, holds a request beyond its deadline or fills the memory."""

from __future__ import annotations

import gzip
import socket
import threading
import time
from pathlib import Path

import pytest
import requests

from exporter.domain.cloud import CloudError, ErrorKind
from exporter.source.transport import Transport
from tests.source.certificate import self_signed
from tests.source.hostile import Reply, drip, reset, serving

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


def ask(reply: Reply, *, timeout: float = 5.0, within: float = 0.4, max_bytes: int = 1_000_000) -> requests.Response:
    transport = Transport(timeout, wait=lambda seconds: None, max_bytes=max_bytes)
    transport.pace.deadline = time.monotonic() + within
    with serving(reply) as port, requests.Session() as session:
        session.trust_env = False
        session.mount("http://", transport)
        return session.get(f"http://127.0.0.1:{port}/os-migrations")


def failure(reply: Reply, **options: float) -> tuple[ErrorKind, float]:
    started = time.monotonic()
    with pytest.raises(CloudError) as error:
        ask(reply, **options)  # type: ignore[arg-type]  # numbers all
    return error.value.kind, time.monotonic() - started


def silence(connection: socket.socket) -> None:
    threading.Event().wait(3)


@pytest.mark.parametrize(
    "reply",
    [
        drip(b"", b"H"),
        drip(b"HTTP/1.1 200 OK\r\nX-Slow: ", b"x"),
        drip(HEAD + b"Content-Length: 100000\r\n\r\n", b" "),
        drip(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
        drip(HEAD + b"\r\n", b" "),
        silence,
    ],
    ids=["status line", "header", "body", "chunks", "body without end", "silence"],
)
def test_a_slow_answer_ends_at_the_deadline(reply: Reply) -> None:
    kind, seconds = failure(reply)
    assert kind is ErrorKind.DEADLINE
    assert seconds < 1.5


def test_a_silent_server_times_out_before_the_deadline() -> None:
    kind, seconds = failure(silence, timeout=0.2, within=30.0)
    assert kind is ErrorKind.TIMEOUT
    assert seconds < 1.5


def test_a_silence_in_the_middle_of_the_body_times_out_too() -> None:
    def reply(connection: socket.socket) -> None:
        connection.sendall(HEAD + b'Content-Length: 100\r\n\r\n{"migr')
        silence(connection)

    assert failure(reply, timeout=0.2, within=30.0)[0] is ErrorKind.TIMEOUT


def test_an_answer_without_end_is_cut_off() -> None:
    def reply(connection: socket.socket) -> None:
        connection.sendall(HEAD + b"\r\n")
        while True:
            connection.sendall(b" " * 65536)

    assert failure(reply, within=30.0)[0] is ErrorKind.PROTOCOL


def test_a_packed_answer_is_measured_unpacked() -> None:
    body = gzip.compress(b" " * 5_000_000)

    def reply(connection: socket.socket) -> None:
        length = f"Content-Length: {len(body)}\r\n\r\n".encode()
        connection.sendall(HEAD + b"Content-Encoding: gzip\r\n" + length + body)

    assert failure(reply, within=30.0)[0] is ErrorKind.PROTOCOL


def test_an_answer_packed_twice_is_measured_unpacked_too() -> None:
    """A hundred bytes of it are a megabyte."""
    body = gzip.compress(gzip.compress(b" " * 100_000_000))

    def reply(connection: socket.socket) -> None:
        length = f"Content-Length: {len(body)}\r\n\r\n".encode()
        connection.sendall(HEAD + b"Content-Encoding: gzip, gzip\r\n" + length + body)

    assert failure(reply, within=30.0)[0] is ErrorKind.PROTOCOL


@pytest.mark.parametrize("before", [b"", HEAD, HEAD + b'Content-Length: 100\r\n\r\n{"migr'])
def test_a_reset_is_a_connection_error_after_three_tries(before: bytes) -> None:
    seen: list[int] = []

    def reply(connection: socket.socket) -> None:
        seen.append(1)
        connection.sendall(before)
        time.sleep(0.02)
        reset(connection)

    assert failure(reply, within=30.0)[0] is ErrorKind.CONNECTION
    assert len(seen) == 3


def test_a_body_that_ends_too_early_is_a_connection_error() -> None:
    assert failure(lambda c: c.sendall(HEAD + b"Content-Length: 100\r\n\r\n{"), within=30.0)[0] is ErrorKind.CONNECTION


@pytest.mark.parametrize("noise", [b"\x16\x03\x01\x02\x00", b"SSH-2.0-OpenSSH_9.2\r\n", b"HTTP/1.1 abc\r\n\r\n"])
def test_something_that_is_no_http_is_a_connection_error(noise: bytes) -> None:
    assert failure(lambda connection: connection.sendall(noise), within=30.0)[0] is ErrorKind.CONNECTION


def test_a_good_answer_arrives_whole_and_the_connection_is_kept() -> None:
    connections: list[int] = []

    def reply(connection: socket.socket) -> None:
        connections.append(1)
        for _ in range(3):
            connection.sendall(HEAD + b"Content-Length: 4\r\n\r\nnull")
            connection.recv(65536)

    transport = Transport(5.0)
    with serving(reply) as port, requests.Session() as session:
        session.trust_env = False
        session.mount("http://", transport)
        bodies = [session.get(f"http://127.0.0.1:{port}/").content for _ in range(3)]
    assert bodies == [b"null"] * 3
    assert len(connections) == 1


def secure(reply: Reply, directory: Path, verify: bool) -> requests.Response:
    """Ask over TLS, and take its own certificate for proof or not."""
    tls = self_signed(directory / "loopback.pem")
    transport = Transport(5.0, wait=lambda seconds: None)
    transport.pace.deadline = time.monotonic() + 0.4
    with serving(reply, tls) as port, requests.Session() as session:
        session.trust_env = False
        session.mount("https://", transport)
        return session.get(f"https://127.0.0.1:{port}/", verify=str(directory / "loopback.pem") if verify else True)


def null(connection: socket.socket) -> None:
    connection.sendall(HEAD + b"Content-Length: 4\r\n\r\nnull")


def test_over_tls_a_good_answer_arrives(tmp_path: Path) -> None:
    assert secure(null, tmp_path, verify=True).content == b"null"


def test_over_tls_a_slow_answer_ends_at_the_deadline(tmp_path: Path) -> None:
    started = time.monotonic()
    with pytest.raises(CloudError) as error:
        secure(drip(HEAD + b"\r\n", b" "), tmp_path, verify=True)
    assert error.value.kind is ErrorKind.DEADLINE
    assert time.monotonic() - started < 1.5


def test_an_unknown_certificate_is_refused_with_the_cure(tmp_path: Path) -> None:
    with pytest.raises(CloudError, match=r"certificate verify failed.*: check cacert") as error:
        secure(null, tmp_path, verify=False)
    assert error.value.kind is ErrorKind.CONNECTION


def test_through_a_proxy_a_slow_answer_ends_at_the_deadline() -> None:
    transport = Transport(5.0, wait=lambda seconds: None)
    transport.pace.deadline = time.monotonic() + 0.4
    with serving(drip(HEAD + b"X-Slow: ", b"x")) as port, requests.Session() as session:
        session.mount("http://", transport)
        with pytest.raises(CloudError) as error:
            session.get("http://nova.test/", proxies={"http": f"http://127.0.0.1:{port}"})
    assert error.value.kind is ErrorKind.DEADLINE
