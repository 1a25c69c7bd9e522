"""What to do about each reason: hints, and commands that are safe to paste whatever strangers wrote into a record."""

from __future__ import annotations

import re
import shlex
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.domain.advice import STRANDED_HINT, Advice, advice_on, advice_on_stranded, hint_of
from exporter.domain.diagnosis import Stuck
from exporter.domain.lifecycle import LIVE_ROWS, MigrationType, Reason, reasons_of
from exporter.domain.migration import Migration
from exporter.domain.server import MOVING_STATUSES, Server
from exporter.domain.view import LiveMigrationRecord, StrandedServer
from tests.domain.records import COLD, EVACUATION, LIVE, RESIZE

UUID = "0b8f6a62-7a55-4d9a-9f0c-1f2d3c4b5a69"
SERVER_ID = "5d1c2b3a-4f5e-4a6b-8c7d-9e0f1a2b3c4d"
LOOK = (f"openstack server show {SERVER_ID}", f"openstack server event list --long {SERVER_ID}")
RECORDS = f"openstack --os-compute-api-version 2.59 server migration list --server {SERVER_ID}"
SRC = "openstack compute service list --service nova-compute --host src"
DST = "openstack compute service list --service nova-compute --host dst"
ABORT = f"openstack --os-compute-api-version 2.59 server migration abort {SERVER_ID} {UUID}"
ABORT_EARLY = f"openstack --os-compute-api-version 2.65 server migration abort {SERVER_ID} {UUID}"
EVACUATE = f"openstack --os-compute-api-version 2.59 server evacuate {SERVER_ID}"


def stuck(kind: MigrationType, status: str, reason: Reason, server: Server | None = None) -> LiveMigrationRecord:
    migration = Migration(UUID, kind, status, SERVER_ID, 0.0, source_host="src", dest_host="dst")
    return LiveMigrationRecord(migration, status, 0.0, None, Stuck(reason, 0.0), server=server)


def commands(record: LiveMigrationRecord) -> tuple[str, ...]:
    advice = advice_on(record)
    assert advice is not None
    return advice.commands


def sql(migration: Migration, reason: Reason = Reason.ORPHANED) -> str:
    """Return the statement among the commands for a record."""
    record = LiveMigrationRecord(migration, migration.status, 0.0, None, Stuck(reason, 0.0))
    (statement,) = (each for each in commands(record) if "UPDATE" in each)
    return statement


def test_a_record_that_is_not_stuck_needs_no_advice() -> None:
    assert advice_on(replace(stuck(LIVE, "running", Reason.OVERDUE), stuck=None)) is None


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_a_short_hint_of_its_own(reason: Reason) -> None:
    hint = hint_of(reason)
    assert len(hint) < 300
    assert hint.endswith(".")
    assert hint.isprintable()
    assert [other for other in Reason if hint_of(other) == hint] == [reason]


@pytest.mark.parametrize(
    ("kind", "status", "reason"),
    [(row.migration_type, row.status, reason) for row in LIVE_ROWS for reason in reasons_of(row)],
)
def test_every_reason_that_is_possible_for_a_record_has_advice(
    kind: MigrationType, status: str, reason: Reason
) -> None:
    advice = advice_on(stuck(kind, status, reason))
    assert advice is not None
    assert advice.hint == hint_of(reason)
    assert advice.commands
    assert len(set(advice.commands)) == len(advice.commands)
    assert re.search("show|list", advice.commands[0]) is not None


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (stuck(RESIZE, "migrating", Reason.SERVER_DELETING), LOOK),
        (
            stuck(
                RESIZE,
                "migrating",
                Reason.SERVER_DELETING,
                Server(SERVER_ID, "RESIZE", task_state="deleting", host="src"),
            ),
            (*LOOK, SRC, f"openstack server delete {SERVER_ID}"),
        ),
        (
            stuck(
                RESIZE, "migrating", Reason.SERVER_DELETING, Server(SERVER_ID, "SOFT_DELETED", vm_state="soft-delete")
            ),
            LOOK,
        ),
        (
            stuck(COLD, "migrating", Reason.SERVER_ERROR),
            (*LOOK, f"openstack server set --state active {SERVER_ID}", f"openstack server reboot --hard {SERVER_ID}"),
        ),
        (stuck(LIVE, "queued", Reason.SOURCE_DOWN), (SRC, *LOOK)),
        (stuck(RESIZE, "reverting", Reason.DEST_DOWN), (DST, *LOOK)),
        (stuck(EVACUATION, "pre-migrating", Reason.DEST_DOWN), (DST, *LOOK, EVACUATE)),
        (
            stuck(LIVE, "running", Reason.NO_PROGRESS),
            (f"openstack --os-compute-api-version 2.59 server migration show {SERVER_ID} {UUID}", SRC, DST, ABORT),
        ),
        (stuck(LIVE, "running (post-copy)", Reason.NO_PROGRESS), (SRC, DST)),
        (stuck(LIVE, "accepted", Reason.OVERDUE), (*LOOK, "openstack compute service list --service nova-conductor")),
        (stuck(LIVE, "queued", Reason.OVERDUE), (*LOOK, SRC, ABORT_EARLY)),
        (stuck(LIVE, "preparing", Reason.OVERDUE), (*LOOK, SRC, ABORT_EARLY)),
        (
            stuck(LIVE, "running", Reason.OVERDUE),
            (
                *LOOK,
                SRC,
                ABORT,
                f"openstack --os-compute-api-version 2.59 server migration force complete {SERVER_ID} {UUID}",
            ),
        ),
        (stuck(LIVE, "running (post-copy)", Reason.OVERDUE), (*LOOK, SRC)),
        (stuck(RESIZE, "pre-migrating", Reason.OVERDUE), (*LOOK, DST)),
        (stuck(RESIZE, "reverting", Reason.OVERDUE), (*LOOK, DST)),
        (
            stuck(EVACUATION, "accepted", Reason.OVERDUE),
            (*LOOK, "openstack compute service list --service nova-conductor", EVACUATE),
        ),
        (
            stuck(RESIZE, "finished", Reason.UNCONFIRMED),
            (
                LOOK[0],
                SRC,
                f"openstack server resize confirm {SERVER_ID}",
                f"openstack server resize revert {SERVER_ID}",
            ),
        ),
        (stuck(LIVE, "odd", Reason.UNDIAGNOSED), (*LOOK, RECORDS)),
        (stuck(RESIZE, "migrating", Reason.UNDIAGNOSED), (*LOOK, RECORDS, SRC)),
    ],
)
def test_the_commands_are_those_for_this_record(record: LiveMigrationRecord, expected: tuple[str, ...]) -> None:
    assert commands(record) == expected


def test_a_record_without_hosts_names_none() -> None:
    record = stuck(LIVE, "running", Reason.NO_PROGRESS)
    hostless = replace(record, migration=replace(record.migration, source_host=None, dest_host=None))
    assert not [each for each in commands(hostless) if "--host" in each]


def test_an_orphaned_record_is_closed_by_sql_that_says_what_it_is() -> None:
    assert commands(stuck(LIVE, "preparing", Reason.ORPHANED)) == (
        *LOOK,
        RECORDS,
        "-- SQL, in the database of the cell that holds the record; only after checking that the server is in no move, or in a "
        "newer one\n"
        "UPDATE migrations SET status='error', updated_at=UTC_TIMESTAMP() "
        f"WHERE uuid='{UUID}' AND status='preparing' AND deleted=0;",
    )


def test_a_lost_confirmation_is_taken_back_before_it_is_given_again() -> None:
    *_, statement, confirm = commands(stuck(RESIZE, "confirming", Reason.OVERDUE))
    assert statement.startswith("-- SQL")
    assert "SET status='finished'" in statement
    assert "AND status='confirming' AND deleted=0;" in statement
    assert confirm == f"openstack server resize confirm {SERVER_ID}"


# --- stranded servers ---


def stranded(status: str, task: str | None) -> Advice:
    server = Server(SERVER_ID, status, task_state=task, host="dst")
    return advice_on_stranded(StrandedServer(server, 0.0))


@pytest.mark.parametrize(
    ("status", "task", "state"),
    [
        ("RESIZE", "resize_prep", "active"),
        ("MIGRATING", "migrating", "active"),
        ("VERIFY_RESIZE", None, "active"),
        ("REBUILD", "rebuild_spawning", "error"),
    ],
)
def test_a_stranded_server_whose_disk_is_in_one_place_gets_a_state(status: str, task: str | None, state: str) -> None:
    advice = stranded(status, task)
    assert advice.hint == STRANDED_HINT
    assert advice.commands == (*LOOK, RECORDS, DST, f"openstack server set --state {state} {SERVER_ID}")


@pytest.mark.parametrize(
    ("status", "task"), [("REVERT_RESIZE", "resize_reverting"), ("RESIZE", "resize_migrating"), ("RESIZE", None)]
)
def test_for_a_stranded_server_with_parts_on_two_hosts_the_commands_only_look(status: str, task: str | None) -> None:
    assert stranded(status, task).commands == (*LOOK, RECORDS, DST)


def test_every_moving_status_has_advice() -> None:
    assert all(len(stranded(status, None).commands) >= 4 for status in MOVING_STATUSES)


# --- what strangers wrote ---

NASTY = [
    "'; DROP TABLE migrations; --",
    "x' OR '1'='1",
    "$(reboot)",
    "`reboot`",
    "a b; reboot",
    'a" && reboot #',
    "running (post-copy)",
    "ein Wörtchen",
]
UNFIT = ["a\nreboot", "a\rb", "a\\' OR 1=1 -- ", "\x00", "\x1b[2J", "a\u2028b", "\u202egnp", "--help", "", "\x7f"]


@pytest.mark.parametrize("value", NASTY)
def test_a_host_of_whatever_name_is_one_word_of_the_shell(value: str) -> None:
    record = stuck(LIVE, "queued", Reason.SOURCE_DOWN)
    first = commands(replace(record, migration=replace(record.migration, source_host=value)))[0]
    assert shlex.split(first) == [
        "openstack",
        "compute",
        "service",
        "list",
        "--service",
        "nova-compute",
        "--host",
        value,
    ]


@pytest.mark.parametrize("value", UNFIT)
def test_a_command_that_cannot_be_written_safely_is_left_out(value: str) -> None:
    record = stuck(LIVE, "queued", Reason.SOURCE_DOWN)
    assert commands(replace(record, migration=replace(record.migration, source_host=value))) == LOOK
    orphaned = stuck(LIVE, "queued", Reason.ORPHANED)
    odd = replace(orphaned, migration=replace(orphaned.migration, status=value))
    assert commands(odd) == (*LOOK, RECORDS)
    server = StrandedServer(Server(value, "RESIZE", task_state="resize_prep"), 0.0)
    assert advice_on_stranded(server).commands == ()


@pytest.mark.parametrize("status", [*NASTY, "running"])
def test_the_sql_closes_this_record_in_this_status_and_no_other(status: str) -> None:
    left = run_sql(sql(Migration(UUID, LIVE, status, SERVER_ID, 0.0)), [(UUID, status, 0), (UUID, "running!", 0)])
    assert left == [(UUID, "error", 0), (UUID, "running!", 0)]


@pytest.mark.parametrize("row", [("other", "running", 0), (UUID, "completed", 0), (UUID, "running", 7)])
def test_the_sql_does_nothing_to_a_record_that_has_moved_on(row: tuple[str, str, int]) -> None:
    assert run_sql(sql(Migration(UUID, LIVE, "running", SERVER_ID, 0.0)), [row]) == [row]


@given(st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), min_size=1, max_size=255))
def test_whatever_a_status_is_no_command_does_more_than_it_should(status: str) -> None:
    record = stuck(LIVE, status, Reason.ORPHANED)
    for command in commands(record):
        if command.startswith("openstack "):
            assert "\n" not in command
        else:
            assert run_sql(command, [(UUID, status, 0), ("other", status, 0)]) == [
                (UUID, "error", 0),
                ("other", status, 0),
            ]


def run_sql(statement: str, rows: list[tuple[str, str, int]]) -> list[tuple[str, str, int]]:
    """Return what a table of (uuid, status, deleted) holds after one statement; more than one raises."""
    database = sqlite3.connect(":memory:")
    database.create_function("UTC_TIMESTAMP", 0, lambda: "2030-01-01 00:00:00")
    database.execute("CREATE TABLE migrations (uuid, status, deleted, updated_at)")
    database.executemany("INSERT INTO migrations VALUES (?, ?, ?, NULL)", rows)
    database.execute(statement)
    left = database.execute("SELECT uuid, status, deleted FROM migrations ORDER BY rowid").fetchall()
    database.close()
    return left


# --- the page for operators ---

PAGE = (Path(__file__).parents[2] / "docs" / "diagnosis.md").read_text()


def paragraph_of(heading: str) -> str:
    """Return the text of a section up to the next heading, on one line."""
    (section,) = re.findall(rf"^###? {re.escape(heading)}\n(.*?)(?=^##|\Z)", PAGE, re.MULTILINE | re.DOTALL)
    return " ".join(section.split())


@pytest.mark.parametrize("reason", Reason)
def test_the_page_says_of_each_reason_what_the_catalogue_says(reason: Reason) -> None:
    assert hint_of(reason) in paragraph_of(f"`{reason}`")


def test_the_page_says_of_stranded_servers_what_the_catalogue_says() -> None:
    assert STRANDED_HINT in paragraph_of("Stranded servers")


def test_the_page_lists_the_reasons_in_their_order() -> None:
    assert re.findall(r"^### `(\w+)`$", PAGE, re.MULTILINE) == [reason.value for reason in Reason]
