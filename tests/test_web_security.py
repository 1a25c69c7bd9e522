"""TLS, client certificates and passwords: who comes in, and what happens when the files change meanwhile."""

from __future__ import annotations

import asyncio
import base64
import logging
import os
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import bcrypt
import pytest

from exporter.web.app import build_app
from exporter.web.auth import (
    MOST_VERDICTS,
    MOST_WAITING,
    MOST_WAITING_PER_ADDRESS,
    Credentials,
    Passwords,
    Users,
    Verdict,
    credentials,
)
from exporter.web.config import WebConfigError
from exporter.web.connections import Bounds
from exporter.web.security import Security
from exporter.web.server import WebServer, WrongAddressError
from exporter.web.tls import Tls, names_of
from tests.certificates import (
    CLIENT,
    OTHER_CLIENT,
    STRANGER,
    client_context,
    issued,
    serial_of,
    write_all,
    write_pair,
)
from tests.serving import METRICS, Answer, FakePages, ask, connect, serving, until

TLS = "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n"
MUTUAL = TLS + "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.crt\n"


def hashed(password: str, cost: int = 4) -> str:
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(cost)).decode()


def users(**passwords: str) -> str:
    lines = [f"  {name}: {hashed(password)}\n" for name, password in passwords.items()]
    return "basic_auth_users:\n" + "".join(lines)


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@dataclass
class Files:
    """The web configuration and all that it names, in a directory of their own."""

    directory: Path

    @property
    def path(self) -> str:
        return str(self.directory / "web.yml")

    def write(self, text: str, name: str = "web.yml") -> None:
        """Replace a file in one step, as configuration management does."""
        (self.directory / "new").write_text(text)
        os.replace(self.directory / "new", self.directory / name)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    write_all(tmp_path)
    return Files(tmp_path)


@contextmanager
def secured(
    files: Files, text: str, bounds: Bounds | None = None, pages: FakePages | None = None
) -> Iterator[WebServer]:
    files.write(text)
    with serving(pages or FakePages(), security=Security(files.path), bounds=bounds) as server:
        yield server


def certificate_of(server: WebServer) -> bytes:
    """Return the certificate that the server shows to whoever connects now."""
    connection = connect(server, client_context())
    connection.connect()
    assert isinstance(connection.sock, ssl.SSLSocket)
    shown = connection.sock.getpeercert(binary_form=True)
    connection.close()
    assert shown is not None
    return shown


def refused(server: WebServer, context: ssl.SSLContext) -> bool:
    """Tell whether a client comes to nothing before HTTP."""
    try:
        ask(server, "/metrics", tls=context)
    except OSError:
        return True
    return False


def test_with_tls_the_url_says_so_and_metrics_are_there(files: Files) -> None:
    with secured(files, TLS) as server:
        assert server.url == f"https://127.0.0.1:{server.port}"
        assert ask(server, "/metrics", tls=client_context()).text == METRICS


def test_without_tls_in_the_file_http_is_plain(files: Files) -> None:
    with secured(files, "") as server:
        assert server.url == f"http://127.0.0.1:{server.port}"
        assert ask(server, "/metrics").text == METRICS


def test_a_faulty_file_starts_no_server(files: Files) -> None:
    files.write(TLS.replace("server.key", "other.key"))
    with pytest.raises(WebConfigError, match="does not belong to the certificate"):
        Security(files.path)


def test_plain_http_where_tls_is_spoken_is_told_so(files: Files) -> None:
    with secured(files, TLS) as server:
        answer = ask(server, "/metrics")
        assert (answer.status, answer.text) == (400, "400 Bad Request: this port speaks TLS; use https://\n")


def test_old_versions_and_other_ciphers_are_not_spoken(files: Files) -> None:
    with secured(files, TLS + "  min_version: TLS13\n") as server:
        old = client_context()
        old.maximum_version = ssl.TLSVersion.TLSv1_2
        assert refused(server, old)
        assert ask(server, "/metrics", tls=client_context()).status == 200


@pytest.mark.parametrize(
    ("policy", "nobody", "ours", "strangers"),
    [("RequireAndVerifyClientCert", False, True, False), ("VerifyClientCertIfGiven", True, True, False)],
)
def test_client_certificates_are_demanded_and_verified(
    files: Files, policy: str, nobody: bool, ours: bool, strangers: bool
) -> None:
    with secured(files, MUTUAL.replace("RequireAndVerifyClientCert", policy)) as server:
        assert refused(server, client_context()) is not nobody
        assert refused(server, client_context(CLIENT)) is not ours
        assert refused(server, client_context(CLIENT, STRANGER)) is not strangers


def test_why_a_client_gets_no_tls_is_one_line_of_log(files: Files, caplog: pytest.LogCaptureFixture) -> None:
    with secured(files, MUTUAL) as server:
        for _ in range(5):
            assert refused(server, client_context())
    assert [each.msg for each in caplog.records] == ["no TLS with a client"]
    assert "did not return a certificate" in vars(caplog.records[0])["error"]


def test_of_verified_clients_only_those_with_an_allowed_name_come_in(files: Files) -> None:
    with secured(files, MUTUAL + f"  client_allowed_sans: [{CLIENT}]\n") as server:
        assert ask(server, "/metrics", tls=client_context(CLIENT)).status == 200
        assert refused(server, client_context(OTHER_CLIENT))


def test_a_client_without_a_certificate_needs_no_name_where_none_is_required(files: Files) -> None:
    text = MUTUAL.replace("RequireAndVerifyClientCert", "VerifyClientCertIfGiven")
    with secured(files, text + f"  client_allowed_sans: [{CLIENT}]\n") as server:
        assert ask(server, "/metrics", tls=client_context()).status == 200
        assert refused(server, client_context(OTHER_CLIENT))


def test_names_are_of_every_kind_that_the_toolkit_compares() -> None:
    kinds = (
        ("DNS", "a.example.com"),
        ("IP Address", "192.0.2.7"),
        ("IP Address", "2001:DB8:0:0:0:0:0:1"),
        ("IP Address", "<invalid>"),
        ("email", "a@example.com"),
        ("URI", "spiffe://a/b"),
    )
    assert names_of({"subjectAltName": kinds}) == {
        "a.example.com",
        "192.0.2.7",
        "2001:db8::1",
        "<invalid>",
        "a@example.com",
        "spiffe://a/b",
    }


def test_a_certificate_without_names_is_allowed_nowhere() -> None:
    tls = Tls(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), frozenset({CLIENT}))
    with pytest.raises(PermissionError):
        tls.require_allowed({"subject": ((("commonName", CLIENT),),)})


def test_a_new_certificate_is_shown_to_new_connections_without_a_restart(files: Files) -> None:
    with secured(files, TLS) as server:
        assert certificate_of(server) == serial_of(issued("localhost"))
        write_pair(files.directory, "server", issued("renewed.example.com"))
        assert certificate_of(server) == serial_of(issued("renewed.example.com"))


def test_a_connection_that_was_made_with_the_former_certificate_ends_once_it_rests(files: Files) -> None:
    with secured(files, TLS) as server:
        kept = connect(server, client_context())
        kept.request("GET", "/metrics")
        kept.getresponse().read()
        assert kept.sock is not None
        write_pair(files.directory, "server", issued("renewed.example.com"))
        assert kept.sock.recv(1) == b""


def test_new_users_leave_connections_as_they_are(files: Files) -> None:
    with secured(files, TLS) as server:
        kept = connect(server, client_context())
        kept.request("GET", "/metrics")
        kept.getresponse().read()
        first = kept.sock
        files.write(TLS + users(alice="right"))
        time.sleep(0.6)
        kept.request("GET", "/metrics", headers={"Authorization": basic("alice", "right")})
        assert kept.getresponse().status == 200
        assert kept.sock is first
        kept.close()


def test_client_certificates_can_be_demanded_without_a_restart(files: Files) -> None:
    with secured(files, TLS) as server:
        assert ask(server, "/metrics", tls=client_context()).status == 200
        files.write(MUTUAL)
        assert refused(server, client_context())
        assert ask(server, "/metrics", tls=client_context(CLIENT)).status == 200


def test_a_broken_file_leaves_the_former_in_force_and_is_said_to_be_once(
    files: Files, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with secured(files, MUTUAL) as server:
        files.write("no certificate at all", "server.crt")
        for _ in range(3):
            assert certificate_of_mutual(server) == serial_of(issued("localhost"))
            assert refused(server, client_context())
        (said,) = [each for each in caplog.records if each.levelname == "ERROR"]
        assert said.msg == "wrong web configuration, the former stays in force"
        assert "holds no certificate" in vars(said)["faults"]
        write_pair(files.directory, "server", issued("renewed.example.com"))
        assert certificate_of_mutual(server) == serial_of(issued("renewed.example.com"))
        assert caplog.records[-1].msg == "web configuration read again"


def certificate_of_mutual(server: WebServer) -> bytes:
    connection = connect(server, client_context(CLIENT))
    connection.request("GET", "/metrics")
    assert isinstance(connection.sock, ssl.SSLSocket)
    shown = connection.sock.getpeercert(binary_form=True)
    assert connection.getresponse().status == 200
    connection.close()
    assert shown is not None
    return shown


@pytest.mark.parametrize("broken", ["basic_auth_users: nobody", "{", "basic_auth_user: {}", None])
def test_no_broken_file_opens_the_door(files: Files, broken: str | None) -> None:
    with secured(files, users(alice="right")) as server:
        if broken is None:
            (files.directory / "web.yml").unlink()
        else:
            files.write(broken)
        assert ask(server, "/metrics").status == 401
        assert ask(server, "/metrics", Authorization=basic("alice", "right")).status == 200


def test_a_file_that_was_missing_is_taken_up_when_it_comes(files: Files) -> None:
    with secured(files, TLS) as server:
        files.write(TLS.replace("server.", "later."))
        assert certificate_of(server) == serial_of(issued("localhost"))
        write_pair(files.directory, "later", issued("later.example.com"))
        assert certificate_of(server) == serial_of(issued("later.example.com"))


@pytest.mark.parametrize(("before", "after"), [(TLS, ""), ("", TLS)])
def test_tls_is_turned_on_and_off_by_a_restart_only(
    files: Files, caplog: pytest.LogCaptureFixture, before: str, after: str
) -> None:
    context = client_context() if before else None
    with secured(files, before) as server:
        files.write(after + users(alice="right"))
        assert ask(server, "/metrics", tls=context).status == 401
        assert ask(server, "/metrics", tls=context, Authorization=basic("alice", "right")).status == 200
        assert "turning TLS on or off needs a restart; until then it stays as it is" in caplog.messages
        files.write(before)
        assert ask(server, "/metrics", tls=context).status == 200


@pytest.mark.parametrize("path", ["/metrics", "/", "/-/healthy", "/-/ready", "/-/reload", "/nothing"])
def test_every_path_asks_for_a_password(files: Files, path: str) -> None:
    with secured(files, users(alice="right")) as server:
        answer = ask(server, path)
        assert (answer.status, answer.text) == (401, "401 Unauthorized\n")
        assert answer.headers["www-authenticate"].startswith("Basic realm=")


@pytest.mark.parametrize(
    ("user", "password", "status"),
    [
        ("alice", "right", 200),
        ("alice", "wrong", 401),
        ("alice", "", 401),
        ("alice", "right\0", 401),
        ("alice", "r" * 73, 401),
        ("Alice", "right", 401),
        ("bob", "right", 401),
        ("", "right", 401),
        ("jürgen", "grün:blau", 200),
        ("jürgen", "grün", 401),
    ],
)
def test_a_name_needs_its_own_password(files: Files, user: str, password: str, status: int) -> None:
    with secured(files, users(alice="right", jürgen="grün:blau")) as server:
        for _ in range(2):
            assert ask(server, "/metrics", Authorization=basic(user, password)).status == status


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Basic",
        "Basic ",
        "Basic !!!!",
        "Basic YWxpY2U",
        "Basic " + base64.b64encode(b"alice").decode(),
        "Basic " + base64.b64encode(b"\xff:right").decode(),
        "Bearer " + base64.b64encode(b"alice:right").decode(),
        "Digest username=alice",
    ],
)
def test_what_are_no_credentials_is_as_none(header: str) -> None:
    assert credentials([header]) is None


def test_of_two_pairs_of_credentials_none_counts() -> None:
    assert credentials([basic("alice", "right")] * 2) is None
    assert credentials(["bAsIc  " + basic("alice", "right")[6:]]) == Credentials("alice", b"right")


def test_the_longest_password_is_checked_whole(files: Files) -> None:
    with secured(files, users(alice="r" * 72)) as server:
        assert ask(server, "/metrics", Authorization=basic("alice", "r" * 72)).status == 200
        assert ask(server, "/metrics", Authorization=basic("alice", "r" * 71)).status == 401
        assert ask(server, "/metrics", Authorization=basic("alice", "r" * 73)).status == 401


def test_a_user_who_is_removed_or_changed_stops_at_once(files: Files) -> None:
    with secured(files, users(alice="right", bob="too")) as server:
        assert ask(server, "/metrics", Authorization=basic("alice", "right")).status == 200
        files.write(users(alice="another", bob="too"))
        assert ask(server, "/metrics", Authorization=basic("alice", "right")).status == 401
        assert ask(server, "/metrics", Authorization=basic("alice", "another")).status == 200
        files.write(users(bob="too"))
        assert ask(server, "/metrics", Authorization=basic("alice", "another")).status == 401


def test_the_headers_of_the_file_are_on_every_answer_and_before_our_own(files: Files) -> None:
    headers = (
        "http_server_config:\n  headers:\n    X-Frame-Options: deny\n    Content-Security-Policy: default-src 'self'\n"
    )
    with secured(files, users(alice="right") + headers) as server:
        for sent in ({}, {"Authorization": basic("alice", "right")}):
            answer = ask(server, "/metrics", **sent)
            assert answer.headers["x-frame-options"] == "deny"
            assert answer.headers["content-security-policy"] == "default-src 'self'"


def test_no_password_is_ever_in_the_log(files: Files, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with secured(files, users(alice="hunter2")) as server:
        for password in ("hunter2", "hunter3"):
            ask(server, "/metrics", Authorization=basic("alice", password))
        files.write("basic_auth_users:\n  alice: hunter4\n")
        ask(server, "/metrics")
    assert "its value is no bcrypt hash" in str([vars(each) for each in caplog.records])
    assert "hunter" not in str([vars(each) for each in caplog.records])
    assert "hunter" not in repr(Credentials("alice", b"hunter2"))


# Below: what a check of a password costs, and whom.


@dataclass
class Counted:
    """Checks no password but counts: what was asked of bcrypt; `hold` keeps the checks waiting until it is set."""

    costs: list[int] = field(default_factory=list)
    hold: threading.Event | None = None

    def __call__(self, password: bytes, against: bytes) -> bool:
        if self.hold:
            self.hold.wait(30)
        self.costs.append(int(against[4:6]))
        return password == b"right" and b"$.hash" in against


def fake_hash(cost: int) -> str:
    return f"$2b${cost:02}$.hash" + "." * 48


MIXED = Users({"dear": fake_hash(10), "cheap": fake_hash(4)})


def verdicts(passwords: Passwords, known: Users, *claimed: tuple[str, str]) -> list[Verdict]:
    """Return what comes of credentials that all come at the same time, each from an address of its own."""

    async def ask_all() -> list[Verdict]:
        return list(
            await asyncio.gather(
                *(
                    passwords.verdict(known, Credentials(user, password.encode()), f"192.0.2.{number}")
                    for number, (user, password) in enumerate(claimed)
                )
            )
        )

    return asyncio.run(ask_all())


@pytest.mark.parametrize(
    ("user", "password", "verdict"),
    [
        ("dear", "right", Verdict.GOOD),
        ("dear", "wrong", Verdict.BAD),
        ("cheap", "right", Verdict.GOOD),
        ("cheap", "wrong", Verdict.BAD),
        ("nobody", "right", Verdict.BAD),
    ],
)
def test_a_check_takes_the_same_rounds_whoever_asks(user: str, password: str, verdict: Verdict) -> None:
    check = Counted()
    assert verdicts(Passwords(check), MIXED, (user, password)) == [verdict]
    assert sum(2**cost for cost in check.costs) == 2**10


def test_bcrypt_takes_a_false_hash_for_a_hash() -> None:
    costs = []

    def check(password: bytes, against: bytes) -> bool:
        costs.append(int(against[4:6]))
        return bcrypt.checkpw(password, against)

    known = Users({"dear": hashed("right", 6), "cheap": hashed("right", 4)})
    asked = [("nobody", "right"), ("cheap", "right"), ("dear", "wrong")]
    assert verdicts(Passwords(check), known, *asked) == [Verdict.BAD, Verdict.GOOD, Verdict.BAD]
    assert costs == [6, 4, 4, 5, 6]


@pytest.mark.parametrize(("user", "password"), [("dear", "right"), ("dear", "wrong"), ("nobody", "right")])
def test_a_verdict_is_not_reached_twice(user: str, password: str) -> None:
    check = Counted()
    passwords = Passwords(check)
    first = verdicts(passwords, MIXED, (user, password), (user, password))
    before = len(check.costs)
    assert verdicts(passwords, MIXED, (user, password)) * 2 == first
    assert len(check.costs) == before == 1


def test_a_flood_of_wrong_passwords_neither_fills_the_memory_nor_displaces_the_right_one() -> None:
    check = Counted()
    passwords = Passwords(check)
    assert verdicts(passwords, MIXED, ("dear", "right")) == [Verdict.GOOD]
    for number in range(0, MOST_VERDICTS + 50, MOST_WAITING):
        verdicts(passwords, MIXED, *(("dear", f"wrong {number + each}") for each in range(MOST_WAITING)))
    asked = len(check.costs)
    assert verdicts(passwords, MIXED, ("dear", "right")) == [Verdict.GOOD]
    assert len(check.costs) == asked
    assert [len(kept) for kept in passwords._verdicts.values()] == [1, MOST_VERDICTS]
    assert not passwords._under_way and not passwords._waiting


def test_only_so_many_checks_wait_and_none_crowds_out_other_addresses() -> None:
    check = Counted(hold=threading.Event())
    passwords = Passwords(check)
    assert check.hold is not None
    release = threading.Timer(0.5, check.hold.set)

    async def flood() -> list[Verdict]:
        release.start()
        one = [("192.0.2.1", f"wrong {number}") for number in range(50)]
        others = [(f"192.0.2.{number + 2}", f"wrong too {number}") for number in range(50)]
        claims = [(address, Credentials("dear", word.encode())) for address, word in one + others]
        return list(await asyncio.gather(*(passwords.verdict(MIXED, claim, address) for address, claim in claims)))

    came = asyncio.run(flood())
    assert came[:50].count(Verdict.BAD) == MOST_WAITING_PER_ADDRESS
    assert came.count(Verdict.BAD) == MOST_WAITING
    assert came.count(Verdict.BUSY) == 100 - MOST_WAITING


def test_a_client_that_leaves_does_not_end_the_check_for_others() -> None:
    check = Counted(hold=threading.Event())
    passwords = Passwords(check)

    async def leave() -> Verdict:
        claimed = Credentials("dear", b"right")
        first = asyncio.create_task(passwords.verdict(MIXED, claimed, "a"))
        second = asyncio.create_task(passwords.verdict(MIXED, claimed, "b"))
        await asyncio.sleep(0.05)
        first.cancel()
        assert check.hold is not None
        check.hold.set()
        return await second

    assert asyncio.run(leave()) is Verdict.GOOD


def test_a_check_that_breaks_is_no_verdict() -> None:
    broken = [True]

    def check(password: bytes, against: bytes) -> bool:
        if broken.pop():
            raise MemoryError
        return True

    passwords = Passwords(check)
    with pytest.raises(MemoryError):
        verdicts(passwords, Users({"a": fake_hash(4)}), ("a", "right"))
    broken.append(False)
    assert verdicts(passwords, Users({"a": fake_hash(4)}), ("a", "right")) == [Verdict.GOOD]


def test_a_flood_of_wrong_passwords_does_not_delay_a_scraper_that_is_known(files: Files) -> None:
    files.write(f"basic_auth_users:\n  alice: {hashed('right', 12)}\n")
    answers: list[Answer] = []
    with serving(FakePages(), security=Security(files.path)) as server:
        assert ask(server, "/metrics", Authorization=basic("alice", "right")).status == 200
        flooding = threading.Event()

        def flood(number: int) -> None:
            count = 0
            while not flooding.is_set():
                count += 1
                answers.append(ask(server, "/metrics", Authorization=basic("alice", f"wrong {number} {count}")))

        crowd = [threading.Thread(target=flood, args=(number,)) for number in range(8)]
        for each in crowd:
            each.start()
        until(lambda: any(each.status == 429 for each in answers))
        took = []
        for _ in range(7):
            began = time.monotonic()
            assert ask(server, "/metrics", Authorization=basic("alice", "right")).status == 200
            took.append(time.monotonic() - began)
        flooding.set()
        for each in crowd:
            each.join(20)
    assert sorted(took)[3] < 1
    assert {each.status for each in answers} == {401, 429}
    assert {each.headers.get("retry-after") for each in answers if each.status == 429} == {"1"}


def test_stopping_does_not_wait_for_passwords_to_be_checked(files: Files) -> None:
    files.write(f"basic_auth_users:\n  alice: {hashed('right', 12)}\n")
    with serving(FakePages(), security=Security(files.path)) as server:
        crowd = [
            threading.Thread(target=_ask_in_vain, args=(server, basic("alice", f"wrong {number}")))
            for number in range(4)
        ]
        for each in crowd:
            each.start()
        time.sleep(0.2)
        began = time.monotonic()
        server.stop()
        assert time.monotonic() - began < 5
        for each in crowd:
            each.join(10)


def _ask_in_vain(server: WebServer, authorization: str) -> None:
    with suppress(OSError):
        ask(server, "/metrics", Authorization=authorization)


def test_a_wrong_address_is_told_before_anything_is_opened(files: Files) -> None:
    files.write(TLS)
    with pytest.raises(WrongAddressError):
        WebServer(build_app(FakePages()), "nowhere", security=Security(files.path))
