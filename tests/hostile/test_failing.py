"""Faults that cost a poll: nothing on the page changes but the health, for the right reason, and all is true afterwards."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from exporter.source.transport import MAX_BYTES
from tests.faults import Fault, Rule, faults
from tests.hostile.moves import Acts
from tests.hostile.stage import Page, Stage

MIGRATIONS, TOKENS, DISCOVERY = "/os-migrations", "/auth/tokens", "/v2.1"
MARKER_GONE = {"badRequest": {"code": 400, "message": "Marker 0d9a could not be found."}}
FORBIDDEN = {
    "forbidden": {"code": 403, "message": "Policy doesn't allow os_compute_api:os-migrations:index to be performed."}
}
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n"


@dataclass(frozen=True)
class Case:
    """A fault, where it is met, and the reason of the polls that it costs.

    `paged`: Nova gives pages of three records meanwhile. `at_login`: the exporter has to log in anew, into the fault.
    """

    name: str
    reason: str
    fault: Callable[[], Fault]
    where: Mapping[str, Any] = field(default_factory=lambda: {"path": MIGRATIONS})
    paged: bool = False
    at_login: bool = False

    def inject(self, stage: Stage) -> Rule:
        """Put the fault before the cloud."""
        if self.paged:
            stage.cloud.change(max_limit=3)
        rule = stage.proxy.spoil(self.fault(), **self.where)
        if self.at_login:
            # Any failure drops the login. The same fault three times, so that there is no other reason than its own.
            stage.proxy.spoil(self.fault(), path=MIGRATIONS, times=3)
        return rule


MID_PAGING = {"path": MIGRATIONS, "query": "marker="}


def page_of(body: bytes) -> Callable[[], Fault]:
    """Return the fault of a body with status 200."""
    return lambda: faults.answers(200, body)


CASES = [
    Case("reset", "connection", faults.resets),
    Case("reset within a body", "connection", lambda: faults.resets(HEAD + b"{")),
    Case("no HTTP", "connection", lambda: faults.sends(b"SSH-2.0-OpenSSH_9.2\r\n")),
    Case("silent", "timeout", faults.silent),
    Case("silent within an answer", "timeout", lambda: faults.silent(after=60)),
    Case("a byte at a time", "deadline", lambda: faults.drips(0.2)),
    Case("every answer later than the timeout", "timeout", lambda: faults.late(10.0)),
    Case("500", "http", lambda: faults.answers(500, {"computeFault": {"code": 500, "message": "Unexpected API Error."}})),
    Case("502 with HTML", "http", lambda: faults.answers(502, faults.BAD_GATEWAY)),
    Case("503 for an hour", "http", lambda: faults.answers(503, b"", Retry_After="3600")),
    Case("503 without end", "http", lambda: faults.answers(503, b"", Retry_After="0")),
    Case("429 for an hour", "http", lambda: faults.answers(429, b"", Retry_After="3600")),
    Case("429 without end", "http", lambda: faults.answers(429, b"", Retry_After="0")),
    Case("404 of a proxy", "http", lambda: faults.answers(404, b"<html>no such site</html>")),
    Case("redirected to itself", "http", faults.redirects_to_itself),
    Case("401 to every token", "auth", lambda: faults.refuses(faults.EXPIRED)),
    Case("401 to every token in mid-paging", "auth", lambda: faults.refuses(faults.EXPIRED), MID_PAGING, paged=True),
    Case("403", "forbidden", lambda: faults.answers(403, FORBIDDEN)),
    Case("a page cut short", "connection", faults.cut),
    Case("a later page cut short", "connection", faults.cut, MID_PAGING, paged=True),
    Case("a page cut short unnoticed", "protocol", lambda: faults.cut(told=False)),
    Case("HTML", "protocol", page_of(b"<html>Welcome to the hotel's network</html>")),
    Case("nothing", "protocol", page_of(b"")),
    Case("invalid JSON", "protocol", page_of(b'{"migrations": [{"uuid": "')),
    Case("NaN", "protocol", page_of(b'{"migrations": [NaN]}')),
    Case("a list", "protocol", page_of(b"[]")),
    Case("servers", "protocol", page_of(b'{"servers": []}')),
    Case("migrations that are no list", "protocol", page_of(b'{"migrations": {"0": {}}}')),
    Case("nested without end", "protocol", page_of(b'{"migrations": ' + b"[" * 1_000_000)),
    Case("a number of a million digits", "protocol", page_of(b'{"migrations": [{"id": ' + b"9" * 1_000_000 + b"}]}")),
    Case("the same page for ever", "protocol", faults.repeats, {"path": MIGRATIONS, "query": "changes-since"}, paged=True),
    Case("a marker that is always gone", "protocol", lambda: faults.answers(400, MARKER_GONE), MID_PAGING, paged=True),
    Case("login: reset", "connection", faults.resets, {"path": TOKENS}, at_login=True),
    Case("login: silent", "timeout", faults.silent, {"path": TOKENS}, at_login=True),
    Case("login: 500", "http", lambda: faults.answers(500, b"", Retry_After="0"), {"path": TOKENS}, at_login=True),
    Case("login: HTML", "protocol", page_of(b"<html>Welcome</html>"), {"path": TOKENS}, at_login=True),
    Case("login: wrong shape", "protocol", page_of(b'{"token": []}'), {"path": TOKENS}, at_login=True),
    Case("login: refused", "auth", lambda: faults.refuses(faults.EXPIRED), {"path": TOKENS}, at_login=True),
    Case("discovery: 502 with HTML", "http", lambda: faults.answers(502, faults.BAD_GATEWAY, Retry_After="0"), {"path": DISCOVERY}, at_login=True),
    Case("discovery: HTML", "protocol", page_of(b"<html>Welcome</html>"), {"path": DISCOVERY}, at_login=True),
    Case("discovery: wrong shape", "protocol", page_of(b'{"version": {"id": 7}}'), {"path": DISCOVERY}, at_login=True),
]  # fmt: skip


def suffer(stage: Stage, reason: str, inject: Callable[[], Rule | None]) -> Page:
    """Let moves begin and end while a fault lasts, and see that the page neither changes nor errs; return it."""
    acts = Acts(stage.moves)
    acts.before()
    known = stage.settle()
    with stage.fault():
        rule = inject()
        # From the first request that met the fault on, no poll can be complete.
        stage.wait(lambda page: page.errors != known.errors if rule is None else rule.met)
        acts.during()
        begun = stage.page().errors[reason]
        failed = stage.wait(lambda page: page.errors[reason] > begun)
        assert failed.told == known.told
        assert not failed.up
        assert failed.errors - known.errors == {reason: failed.errors[reason] - known.errors[reason]}
        assert stage.exporter.get("/-/healthy").status_code == 200
    acts.after()
    return failed


def recover(stage: Stage, failed: Page, reason: str) -> None:
    """See that the page becomes true by itself, without other errors on the way."""
    recovered = stage.settle()
    assert set(recovered.errors - failed.errors) <= {reason}


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_a_failed_poll_changes_nothing_and_the_truth_comes_after_it(stage: Stage, case: Case) -> None:
    limit = stage.cloud.settings.max_limit
    try:
        failed = suffer(stage, case.reason, lambda: case.inject(stage))
        recover(stage, failed, case.reason)
    finally:
        stage.cloud.change(max_limit=limit)


def test_a_cloud_that_refuses_connections(stage: Stage) -> None:
    recover(stage, suffer(stage, "connection", stage.proxy.refuse), "connection")


def test_the_same_page_for_ever_costs_few_requests(stage: Stage) -> None:
    acts = Acts(stage.moves)
    acts.before()
    known = stage.settle()
    stage.cloud.change(max_limit=3)
    try:
        with stage.fault():
            rule = stage.proxy.spoil(faults.repeats(), path=MIGRATIONS, query="changes-since")
            failed = stage.wait(lambda page: page.errors["protocol"] > known.errors["protocol"])
            assert rule.met <= 2 * (failed.polls - known.polls + 1)
    finally:
        stage.cloud.change(max_limit=1000)
    acts.during()


#: Floods of 100 MB, by what they are made of.
FLOODS: dict[str, Callable[[], Fault]] = {
    "blanks": lambda: faults.floods(b'{"migrations": [', b" " * 1024, 100_000_000),
    "records": lambda: faults.floods(b'{"migrations": [', b'{"uuid": "x", "id": 1},', 100_000_000),
    "packed": lambda: faults.floods(b'{"migrations": [', b" " * 1024, 100_000_000, packed=True),
    "brackets": lambda: faults.floods(b'{"migrations": ', b"[" * 1024, 100_000_000),
}

#: Bytes by which 100 MB of answer may raise the memory of the exporter.
ROOM = 48 * 1024 * 1024


@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS.keys())
def test_a_hundred_megabytes_of_answer_do_not_fill_the_memory(stage: Stage, flood: Callable[[], Fault]) -> None:
    fault = flood()
    before = stage.memory()
    failed = suffer(stage, "protocol", lambda: stage.proxy.spoil(fault, path=MIGRATIONS))
    assert stage.peak_memory() - before < ROOM
    recover(stage, failed, "protocol")


def test_the_costliest_answer_of_allowed_size_costs_little_memory_and_is_refused(stage: Stage) -> None:
    """Many small objects take forty times the room of their text."""
    piece = b'{"":0},'
    body = b'{"migrations": [' + piece * (MAX_BYTES // len(piece) - 10) + b"0]}"
    before = stage.memory()
    failed = suffer(stage, "protocol", lambda: stage.proxy.spoil(faults.answers(200, body), path=MIGRATIONS))
    assert stage.peak_memory() - before < 10 * ROOM
    recover(stage, failed, "protocol")
