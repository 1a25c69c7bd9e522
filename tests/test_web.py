"""HTTP: what is served where, in which form, and what no client can do to it. Every test speaks to a real server."""

from __future__ import annotations

import gzip
import http.client
import json
import re
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from exporter.domain.view import View
from exporter.web.app import build_app
from exporter.web.connections import Bounds
from exporter.web.server import ListenError, WebServer, WrongAddressError, parse_address
from tests.serving import METRICS, FakePages, answers, ask, closed, serving, until
from tests.shown import RICH


@pytest.fixture(scope="module")
def pages() -> FakePages:
    return FakePages()


@pytest.fixture(scope="module")
def server(pages: FakePages) -> Iterator[WebServer]:
    with serving(pages) as server:
        yield server


def test_the_metrics_are_at_the_telemetry_path(server: WebServer) -> None:
    answer = ask(server, "/metrics")
    assert (answer.status, answer.text) == (200, METRICS)
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"


def test_the_accept_header_chooses_the_format(server: WebServer, pages: FakePages) -> None:
    accept = "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"
    answer = ask(server, "/metrics", Accept=accept)
    assert answer.headers["content-type"] == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    assert pages.accepted[-1] == accept


@pytest.mark.parametrize("accepted", ["gzip", "deflate, gzip;q=0.5", "GZIP", "*", "br;q=0, *;q=0.1"])
def test_metrics_are_compressed_where_the_client_allows_it(server: WebServer, accepted: str) -> None:
    answer = ask(server, "/metrics", Accept_Encoding=accepted)
    assert answer.headers["content-encoding"] == "gzip"
    assert gzip.decompress(answer.body).decode() == METRICS
    assert int(answer.headers["content-length"]) == len(answer.body) < len(METRICS)


@pytest.mark.parametrize("accepted", ["identity", "gzip;q=0", "gzip; q=0.000", "*, gzip;q=0", "*;q=0", "notgzip", ""])
def test_metrics_are_not_compressed_where_the_client_does_not_allow_it(server: WebServer, accepted: str) -> None:
    answer = ask(server, "/metrics", Accept_Encoding=accepted)
    assert "content-encoding" not in answer.headers
    assert answer.text == METRICS


def test_what_is_kept_on_the_way_is_told_apart_by_format_and_compression(server: WebServer) -> None:
    for accepted in ("gzip", "identity"):
        assert ask(server, "/metrics", Accept_Encoding=accepted).headers["vary"] == "Accept, Accept-Encoding"


def test_a_short_page_is_not_worth_compressing() -> None:
    with serving(FakePages(view=View(RICH.process, ()))) as server:
        answer = ask(server, "/api/v1/migrations", Accept_Encoding="gzip")
    assert "content-encoding" not in answer.headers
    assert answer.text.startswith("{")


@pytest.mark.parametrize("path", ["/metrics", "/", "/api/v1/migrations", "/-/healthy", "/-/ready"])
def test_head_answers_as_get_without_the_body(server: WebServer, path: str) -> None:
    got, head = ask(server, path), ask(server, path, "HEAD")
    assert (head.status, head.body) == (got.status, b"")
    assert head.headers["content-length"] == str(len(got.body))
    assert head.headers["content-type"] == got.headers["content-type"]


@pytest.mark.parametrize(("good", "status"), [(True, 200), (False, 503)])
def test_health_and_readiness_are_a_status_and_a_line(good: bool, status: int) -> None:
    with serving(FakePages(good=good)) as server:
        healthy, ready = ask(server, "/-/healthy"), ask(server, "/-/ready")
    assert (healthy.status, ready.status) == (status, status)
    assert healthy.text == ("ok\n" if good else "no sign of life from the poller of: prod\n")
    assert ready.text == ("ok\n" if good else "not tried yet: prod\n")


@pytest.mark.parametrize(
    "path", ["/metrics/", "/nothing", "/-/", "/-/reload", "//", "/metrics%0d%0aX-Injected:%201", "/../metrics"]
)
def test_anything_else_is_not_there(server: WebServer, path: str) -> None:
    answer = ask(server, path)
    assert (answer.status, answer.text) == (404, "404 Not Found\n")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
@pytest.mark.parametrize("path", ["/metrics", "/", "/api/v1/migrations", "/-/healthy"])
def test_a_wrong_method_is_told_the_right_ones(server: WebServer, path: str, method: str) -> None:
    answer = ask(server, path, method)
    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")
    assert answer.text == "405 Method Not Allowed\n"


def test_no_reload_can_be_asked_for_unless_one_is_given(server: WebServer) -> None:
    assert ask(server, "/-/reload", "POST").status == 404


@pytest.mark.parametrize(
    ("good", "words", "status"), [(True, "reloaded", 200), (False, "poll.interval: 5 has no unit", 500)]
)
def test_a_reload_is_answered_with_what_came_of_it(good: bool, words: str, status: int) -> None:
    with serving(FakePages(), reload=lambda: (good, words)) as server:
        answer = ask(server, "/-/reload", "POST")
        assert (answer.status, answer.text) == (status, f"{words}\n")
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"
        refused = ask(server, "/-/reload")
        assert (refused.status, refused.headers["allow"]) == (405, "POST")


def test_reloads_come_one_after_the_other_and_nobody_waits_for_them() -> None:
    going_on, most, go = [0], [0], threading.Event()

    def reload() -> tuple[bool, str]:
        going_on[0] += 1
        most[0] = max(most[0], going_on[0])
        go.wait(10)
        going_on[0] -= 1
        return True, "reloaded"

    with serving(FakePages(), reload=reload) as server:
        clients = [threading.Thread(target=ask, args=(server, "/-/reload", "POST")) for _ in range(3)]
        for each in clients:
            each.start()
        until(lambda: going_on[0] == 1)
        assert ask(server, "/metrics").status == 200
        go.set()
        for each in clients:
            each.join(10)
    assert most == [1]


def test_no_header_tells_the_server_s_name_or_version(server: WebServer) -> None:
    for path in ("/metrics", "/", "/nothing"):
        headers = ask(server, path).headers
        assert "server" not in headers
        assert not re.search("uvicorn|starlette|python", str(headers), re.IGNORECASE)


def test_a_page_that_cannot_be_made_is_an_error_that_tells_nothing() -> None:
    with serving(FakePages(broken=True)) as server:
        answer = ask(server, "/metrics")
        assert (answer.status, answer.text) == (500, "Internal Server Error")
        assert ask(server, "/-/healthy").status == 200


def test_another_telemetry_path_moves_the_metrics() -> None:
    with serving(FakePages(), "/nova/migrations") as server:
        assert ask(server, "/nova/migrations").text == METRICS
        assert ask(server, "/metrics").status == 404
        assert 'href="/nova/migrations"' in ask(server, "/").text


def test_metrics_at_the_root_leave_no_room_for_the_page_for_people() -> None:
    with serving(FakePages(), "/") as server:
        assert ask(server, "/").text == METRICS


@pytest.mark.parametrize(
    "path", ["metrics", "", "/{id}", "/-/healthy", "/-/reload", "/api/v1/migrations", "/a b", "/a?b", "/a#b"]
)
def test_a_telemetry_path_that_is_none_is_refused(path: str) -> None:
    with pytest.raises(WrongAddressError, match="write a path such as /metrics"):
        build_app(FakePages(), path)


@pytest.mark.parametrize(
    ("address", "parsed"),
    [
        ("127.0.0.1:19180", ("127.0.0.1", 19180)),
        ("localhost:0", ("localhost", 0)),
        (":19180", ("", 19180)),
        ("[::1]:19180", ("::1", 19180)),
        ("[fe80::1%eth0]:1", ("fe80::1%eth0", 1)),
        ("0.0.0.0:65535", ("0.0.0.0", 65535)),
    ],
)
def test_addresses_are_host_and_port(address: str, parsed: tuple[str, int]) -> None:
    assert parse_address(address) == parsed


@pytest.mark.parametrize(
    "address",
    ["19180", "localhost", "localhost:", "localhost:http", "::1:19180", "[::1]", "host:65536", "http://h:1", ""],
)
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(WrongAddressError, match="write host:port, :port or"):
        parse_address(address)


def test_a_port_in_use_is_said_to_be() -> None:
    with serving(FakePages()) as first:
        second = WebServer(build_app(FakePages()), f"127.0.0.1:{first.port}")
        with pytest.raises(ListenError) as caught:
            second.start()
        assert str(caught.value) == f"cannot listen on 127.0.0.1:{first.port}: the port is in use by another program"


def test_every_interface_is_one_address_and_a_used_port_is_not_shared_with_it() -> None:
    first = WebServer(build_app(FakePages()), ":0")
    first.start()
    try:
        assert ask(first, "/-/healthy").status == 200
        assert first.url == f"http://localhost:{first.port}"
        with pytest.raises(ListenError, match="in use"):
            WebServer(build_app(FakePages()), f":{first.port}").start()
    finally:
        first.stop()


def test_a_host_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(ListenError, match=r"cannot listen on no\.such\.host\.invalid:1: "):
        WebServer(build_app(FakePages()), "no.such.host.invalid:1").start()


def test_stopping_takes_less_than_five_seconds_whatever_connections_are_open() -> None:
    server = WebServer(build_app(FakePages()), "127.0.0.1:0")
    server.start()
    kept = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    kept.request("GET", "/metrics")
    kept.getresponse().read()
    silent = socket.create_connection(("127.0.0.1", server.port))
    half = socket.create_connection(("127.0.0.1", server.port))
    half.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n")
    began = time.monotonic()
    server.stop()
    assert time.monotonic() - began < 2
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", server.port))
    for each in (silent, half):
        assert each.recv(1) == b""
        each.close()
    kept.close()


def test_stopping_does_not_wait_for_an_answer_that_hangs() -> None:
    pages = FakePages(hold=threading.Event())
    with serving(pages) as server:
        waiting = socket.create_connection(("127.0.0.1", server.port))
        waiting.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        until(lambda: pages.at_once == 1)
        began = time.monotonic()
        server.stop()
        assert time.monotonic() - began < 5
        waiting.close()


def test_a_client_that_is_silent_or_slow_is_cut_off() -> None:
    with serving(FakePages(), bounds=Bounds(silence=0.5)) as server:
        silent = socket.create_connection(("127.0.0.1", server.port), timeout=5)
        slow = socket.create_connection(("127.0.0.1", server.port), timeout=5)
        slow.sendall(b"GET /metrics HTTP/1.1\r\n")
        for each in (silent, slow):
            assert closed(each)
        assert ask(server, "/metrics").status == 200


def test_a_client_that_does_not_read_its_answer_is_cut_off() -> None:
    with serving(FakePages(body=METRICS * 4000), bounds=Bounds(silence=0.5)) as server:
        deaf = socket.create_connection(("127.0.0.1", server.port), timeout=5)
        deaf.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        time.sleep(1.5)
        assert closed(deaf)


def test_a_connection_in_use_is_kept() -> None:
    with serving(FakePages(), bounds=Bounds(silence=0.6)) as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
        connection.connect()
        first = connection.sock
        for _ in range(4):
            connection.request("GET", "/-/healthy")
            assert connection.getresponse().read() == b"ok\n"
            time.sleep(0.3)
        assert connection.sock is first
        connection.close()


def test_of_silent_connections_beyond_the_bound_the_oldest_makes_room() -> None:
    with serving(FakePages(), bounds=Bounds(connections=5)) as server:
        silent = [socket.create_connection(("127.0.0.1", server.port), timeout=5) for _ in range(6)]
        assert closed(silent[0])
        assert answers(server)
        assert closed(silent[1])
        for each in silent[2:]:
            each.settimeout(0.2)
            assert not closed(each)


def test_nothing_is_made_for_clients_that_have_left() -> None:
    pages = FakePages(hold=threading.Event())
    with serving(pages) as server:
        waiting = [threading.Thread(target=ask, args=(server, "/metrics")) for _ in range(4)]
        for each in waiting:
            each.start()
        until(lambda: pages.at_once == 4)
        for _ in range(20):
            with socket.create_connection(("127.0.0.1", server.port)) as client:
                client.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        assert ask(server, "/-/healthy").status == 200
        assert pages.hold is not None
        pages.hold.set()
        for each in waiting:
            each.join(10)
        assert ask(server, "/metrics").status == 200
    assert len(pages.accepted) == 5


def test_no_more_than_a_few_pages_are_made_at_once_and_health_does_not_wait_for_them() -> None:
    pages = FakePages(hold=threading.Event())
    with serving(pages) as server:
        clients = [threading.Thread(target=ask, args=(server, "/metrics")) for _ in range(12)]
        for each in clients:
            each.start()
        until(lambda: pages.at_once == 4)
        assert ask(server, "/-/healthy").status == 200
        assert pages.hold is not None
        pages.hold.set()
        for each in clients:
            each.join(10)
        assert (len(pages.accepted), pages.most_at_once) == (12, 4)


def test_the_page_for_people_may_load_and_run_nothing(server: WebServer) -> None:
    answer = ask(server, "/")
    assert (answer.status, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert answer.headers["content-security-policy"] == (
        "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
    )
    assert "openstack-migration-exporter 1.2.3" in answer.text


def test_the_json_is_served_as_the_pages_are(server: WebServer) -> None:
    page, answer = (ask(server, path, Accept_Encoding="gzip") for path in ("/", "/api/v1/migrations"))
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert json.loads(gzip.decompress(answer.body)).keys() == {"clouds", "migrations", "stranded", "recent"}
    for name in ("cache-control", "x-content-type-options", "content-security-policy", "content-encoding", "vary"):
        assert answer.headers[name] == page.headers[name]


def test_the_query_chooses_migrations(server: WebServer) -> None:
    answer = ask(server, "/api/v1/migrations?cloud=lab&status=finished&status=running")
    assert [each["server"]["name"] for each in json.loads(answer.body)["migrations"]] == ["wiki"]
    escaped = ask(server, "/api/v1/migrations?cl%6Fud=prod%2Deast&status=running+%28post-copy%29")
    assert (escaped.status, json.loads(escaped.body)["migrations"]) == (200, [])


@pytest.mark.parametrize(
    ("query", "words"),
    [
        (
            "clouds=lab",
            "there is no filter 'clouds': the filters are cloud, migration_type, status, stuck, host, server_id",
        ),
        ("stuck=yes", "stuck cannot be 'yes': write one of true, false"),
        ("host=", "host has no value: write host=VALUE, or leave it out for all"),
        ("%1b%0d%0aX-Injected:%201=%ff", "there is no filter '\\u001b\\r\\nX-Injected: 1': the filters are "),
    ],
)
def test_a_query_that_cannot_be_understood_is_answered_with_a_line(server: WebServer, query: str, words: str) -> None:
    answer = ask(server, f"/api/v1/migrations?{query}")
    assert (answer.status, answer.headers["content-type"]) == (400, "text/plain; charset=utf-8")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.text.startswith(f"400 Bad Request: {words}") and answer.text.count("\n") == 1
