"""The JSON: the shape that is promised, filters, and what strangers wrote."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.domain.advice import advice_on, advice_on_stranded
from exporter.domain.lifecycle import MigrationType, Outcome, Reason
from exporter.domain.server import Server
from exporter.domain.view import StrandedServer, View
from exporter.filters import WrongFilterError, read_filters
from exporter.report import report
from tests import shown
from tests.shown import HOUR, LIVE, RESIZE, RICH, WELL, cloud, ended, identity, live, moving, view

Report = dict[str, list[dict[str, Any]]]

SERVER_KEYS = {"id", "name", "project_id", "status", "vm_state", "task_state", "power_state", "host"}
MIGRATION_KEYS = {
    *("cloud", "migration_id", "migration_type", "status", "phase", "since", "created", "deadline", "server"),
    *("source_host", "dest_host", "old_flavor", "new_flavor", "stuck", "progress"),
}


def told(shown: View = RICH, *asked: tuple[str, str]) -> Report:
    body, content_type = report(shown, read_filters(asked))
    assert content_type == "application/json"
    return dict(json.loads(body))


def names(found: Report, kind: str = "migrations") -> set[str]:
    """Return the names of the servers that are told of, or their number where they have none."""
    return {each["server"]["name"] or _number(each["server"]["id"]) for each in found[kind]}


def _number(server_id: str) -> str:
    return next(str(number) for number in range(100) if identity(2, number) == server_id)


def test_of_nothing_nothing_is_told() -> None:
    assert told(view()) == {"clouds": [], "migrations": [], "stranded": [], "recent": []}


def test_every_cloud_is_told_of_as_promised() -> None:
    east, west, lab = told()["clouds"]
    assert east == {
        "cloud": "prod-east",
        "up": True,
        "last_success": "2026-11-18T11:33:08Z",
        "error": None,
        "microversion": "2.80",
        "features": {"exact_durations": True, "diagnosis": True, "live_progress": True},
    }
    assert (west["up"], west["error"]) == (False, shown.SILENT.error)
    assert lab["features"] == {"exact_durations": False, "diagnosis": True, "live_progress": False}
    (untried,) = told(view(cloud("new", shown.Health())))["clouds"]
    nothing = dict.fromkeys(("last_success", "error", "microversion"))
    assert untried == {"cloud": "new", "up": False, **nothing, "features": {}}


def test_a_live_migration_that_is_stuck_is_told_of_as_promised() -> None:
    (found,) = told(RICH, ("server_id", shown.STANDING.migration.server_id))["migrations"]
    advice = advice_on(shown.STANDING)
    assert advice is not None and advice.commands
    assert found == {
        "cloud": "prod-east",
        "migration_id": shown.STANDING.migration.uuid,
        "migration_type": "live-migration",
        "status": "running",
        "phase": "transitional",
        "since": "2026-11-18T11:08:20Z",
        "created": "2026-11-18T11:07:20Z",
        "deadline": "2026-11-19T11:08:20Z",
        "server": {
            "id": shown.STANDING.migration.server_id,
            "name": "web-frontend-17",
            "project_id": identity(3, 1),
            "status": "MIGRATING",
            "vm_state": "active",
            "task_state": "migrating",
            "power_state": "running",
            "host": "compute-3",
        },
        "source_host": "compute-3",
        "dest_host": "compute-10",
        "old_flavor": 3,
        "new_flavor": 3,
        "stuck": {
            "reason": "no_progress",
            "since": "2026-11-18T11:21:40Z",
            "hint": advice.hint,
            "commands": list(advice.commands),
        },
        "progress": {
            "memory_total_bytes": 16 * 1024**3,
            "memory_processed_bytes": 30 * 1024**3,
            "memory_remaining_bytes": 9 * 1024**3,
            "disk_total_bytes": 0,
            "disk_processed_bytes": 0,
            "disk_remaining_bytes": 0,
            "updated": "2026-11-18T11:16:40Z",
        },
    }


def test_what_is_not_known_is_null_and_never_left_out() -> None:
    everything = told()
    assert all(each.keys() == MIGRATION_KEYS for each in everything["migrations"])
    assert all(each["server"].keys() == SERVER_KEYS for each in everything["migrations"] + everything["recent"])
    (found,) = told(RICH, ("server_id", shown.UNEXPLAINED.migration.server_id))["migrations"]
    assert {name for name, value in found["server"].items() if value is not None} == {"id"}
    assert (found["dest_host"], found["progress"], found["stuck"]["reason"]) == (None, None, "undiagnosed")
    (waiting,) = told(RICH, ("status", "finished"))["migrations"]
    assert (waiting["deadline"], waiting["stuck"], waiting["phase"]) == (None, None, "waiting")


def test_a_stranded_server_is_told_of_as_promised() -> None:
    advice = advice_on_stranded(shown.STRANDED)
    assert told()["stranded"] == [
        {
            "cloud": "prod-east",
            "server": {
                "id": shown.STRANDED.server.id,
                "name": "reporting-old",
                "project_id": identity(3, 1),
                "status": "REVERT_RESIZE",
                "vm_state": "resized",
                "task_state": "resize_reverting",
                "power_state": "shutdown",
                "host": "compute-1",
            },
            "since": "2026-11-18T09:21:20Z",
            "hint": advice.hint,
            "commands": list(advice.commands),
        }
    ]


def test_an_end_is_told_of_as_promised() -> None:
    recent = told()["recent"]
    assert all(each.keys() == MIGRATION_KEYS | {"ended", "outcome", "durations"} for each in recent)
    assert [each["ended"] for each in recent][:1] == [recent[0]["since"]] == ["2026-11-18T11:32:15Z"]
    assert recent[0]["durations"] == {"accepted": 1.42, "queued": 38.0, "preparing": 3.91, "running": 64.3}
    assert list(recent[0]["durations"]) == ["accepted", "queued", "preparing", "running"], "in their order"
    assert {(each["phase"], each["stuck"], each["deadline"]) for each in recent} == {("ended", None, None)}
    deleted = recent[-1]
    assert (deleted["status"], deleted["outcome"], deleted["ended"]) == ("deleted", "deleted", None)
    assert deleted["durations"] == {"pre-migrating": 3.0, "migrating": None}


EAST = {"billing-db-03", "web-frontend-17", "build-runner-2", "search-index-04", "cache-1", "cache-2", "15"}
STUCK = {"billing-db-03", "web-frontend-17", "build-runner-2", "mail-relay", "5"}


@pytest.mark.parametrize(
    ("asked", "live", "stranded", "recent"),
    [
        ((), EAST | STUCK | {"wiki", "ldap-replica-b"}, {"reporting-old"}, {"31", "32", "33", "34", "35"}),
        ((("cloud", "prod-east"),), EAST, {"reporting-old"}, {"31", "32", "33"}),
        ((("cloud", "lab"), ("cloud", "prod-west")), {"wiki", "ldap-replica-b", "mail-relay", "5"}, set(), {"34", "35"}),
        ((("cloud", "nowhere"),), set(), set(), set()),
        ((("migration_type", "evacuation"),), {"5", "ldap-replica-b"}, {"reporting-old"}, {"34"}),
        ((("migration_type", "resize"), ("migration_type", "evacuation")), {"billing-db-03", "wiki", "5", "ldap-replica-b"}, {"reporting-old"}, {"32", "34"}),
        ((("status", "running"), ("status", "completed")), {"web-frontend-17", "search-index-04", "cache-1"}, set(), {"31"}),
        ((("status", "REVERT_RESIZE"),), set(), {"reporting-old"}, set()),
        ((("stuck", "true"),), STUCK, {"reporting-old"}, set()),
        ((("stuck", "false"),), EAST - STUCK | {"wiki", "ldap-replica-b"}, {"reporting-old"}, {"31", "32", "33", "34", "35"}),
        ((("stuck", "false"), ("stuck", "true"), ("cloud", "prod-west")), {"mail-relay", "5"}, set(), set()),
        ((("host", "compute-1"),), {"wiki"}, {"reporting-old"}, {"35"}),
        ((("host", "compute-11"),), {"build-runner-2", "cache-2"}, set(), {"33"}),
        ((("server_id", identity(2, 1)), ("server_id", identity(2, 21)), ("server_id", identity(2, 31))), {"billing-db-03"}, {"reporting-old"}, {"31"}),
        ((("host", "compute-2"), ("migration_type", "live-migration")), set(), set(), set()),
    ],
)  # fmt: skip
def test_a_filter_lets_through_what_has_any_of_its_values(
    asked: tuple[tuple[str, str], ...], live: set[str], stranded: set[str], recent: set[str]
) -> None:
    found = told(RICH, *asked)
    assert names(found) == live
    assert (names(found, "stranded"), names(found, "recent")) == (stranded, recent)
    assert [each["cloud"] for each in found["clouds"]] == ["prod-east", "prod-west", "lab"], "always all of them"


def test_a_server_s_own_host_counts_as_well() -> None:
    elsewhere = live(moving(1, RESIZE, "migrating", 9.0), None, server=shown.server(1, "moved", host="somewhere"))
    assert names(told(view(cloud("prod", WELL, elsewhere)), ("host", "somewhere"))) == {"moved"}


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (
            ("Cloud", "prod"),
            "there is no filter 'Cloud': the filters are cloud, migration_type, status, stuck, host, server_id",
        ),
        (("", "x"), "there is no filter '': the filters are"),
        (("stuck", "True"), "stuck cannot be 'True': write one of true, false"),
        (("stuck", ""), "stuck cannot be '': write one of true, false"),
        (
            ("migration_type", "cold"),
            "migration_type cannot be 'cold': write one of resize, migration, live-migration, evacuation",
        ),
        (("status", ""), "status has no value: write status=VALUE, or leave it out for all"),
    ],
)
def test_what_is_no_filter_is_refused_with_the_cure(asked: tuple[str, str], words: str) -> None:
    with pytest.raises(WrongFilterError) as caught:
        read_filters([("cloud", "prod"), asked])
    assert str(caught.value).startswith(words)


@given(st.text(st.characters(exclude_categories=())), st.text(st.characters(exclude_categories=())))
def test_whatever_is_refused_is_refused_in_one_short_printable_line(name: str, value: str) -> None:
    for asked in ((f"no {name}", value), ("stuck", f"no {value}"), ("migration_type", f"no {value}")):
        with pytest.raises(WrongFilterError) as caught:
            read_filters([asked])
        assert str(caught.value).isprintable() and len(str(caught.value)) < 1000


@given(st.text(st.characters(exclude_categories=()), min_size=1))
def test_whatever_strangers_wrote_comes_back_as_it_was(text: str) -> None:
    server = Server(text, text, text, text, text, text, text, text)
    migration = moving(1, LIVE, text, 60.0, server_id=text, source_host=text, dest_host=text)
    record = live(migration, HOUR, Reason.OVERDUE, 10.0, server=server)
    end = ended(migration, Outcome.FAILURE, {text: 1.0})
    health = replace(WELL, error=text, microversion=text)
    stranded = (StrandedServer(server, 1.0),)
    body, _ = report(view(cloud(text, health, record, stranded=stranded, recent=(end,))), read_filters([]))
    assert body.isascii() and b"\n" not in body
    found = json.loads(body)
    (one,), (lost,), (over,) = found["migrations"], found["stranded"], found["recent"]
    assert set(one["server"].values()) == set(lost["server"].values()) == {text}
    assert {one[name] for name in ("cloud", "status", "source_host", "dest_host")} == {text}
    assert (found["clouds"][0]["error"], list(over["durations"])) == (text, [text])


@pytest.mark.parametrize("at", [-62_135_596_800.0, 253_402_300_799.9, 0.5])
def test_the_ends_of_the_calendar_are_times(at: float) -> None:
    edge = live(moving(1, RESIZE, "migrating", 0.0, created_at=at, updated_at=None), HOUR)
    (found,) = told(view(cloud("prod", WELL, edge)))["migrations"]
    written = {
        -62_135_596_800.0: ("0001-01-01T00:00:00Z", "0001-01-01T01:00:00Z"),
        253_402_300_799.9: ("9999-12-31T23:59:59Z", None),
        0.5: ("1970-01-01T00:00:00Z", "1970-01-01T01:00:00Z"),
    }
    assert (found["since"], found["deadline"]) == written[at]


def test_a_type_of_migration_is_told_of_by_its_name() -> None:
    kinds = [cloud("prod", WELL, *(live(moving(n, kind, "odd", 1.0), None) for n, kind in enumerate(MigrationType)))]
    found = told(view(*kinds))["migrations"]
    assert {each["migration_type"] for each in found} == set(MigrationType)
    assert {each["phase"] for each in found} == {"unknown"}
