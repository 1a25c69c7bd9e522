"""The state file by itself: what is written comes back, only what changed is written, and a disk that refuses costs nothing."""

from __future__ import annotations

import logging
import math
import os
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from exporter.domain.diagnosis import Stuck
from exporter.domain.ledger import Distribution, Totals
from exporter.domain.lifecycle import MigrationType, Outcome, Reason
from exporter.domain.state import UNKNOWN, CloudState
from exporter.domain.tracked import NO_VERDICT, Stay, Tracked
from exporter.domain.tracker import End, Times
from exporter.store import MemoryStore, StateError
from exporter.store.database import APPLICATION_ID, StateLockedError
from exporter.store.rows import MIGRATIONS
from exporter.store.state_file import KEEP_LEFT_CLOUDS, StateFile
from tests.domain.records import COLD, LIVE, RESIZE, record

NOW = 1_800_000_000.0


def tracked(uuid: str = "m1", **changes: object) -> Tracked:
    migration = record(RESIZE, "migrating", NOW - 100, NOW - 50, uuid=uuid, server=f"server of {uuid}")
    return replace(
        Tracked(migration, Stay("migrating", NOW - 50), seen=NOW, first_seen=NOW - 90, counted=True), **changes
    )  # type: ignore[arg-type]


def state(*live: Tracked, **changes: object) -> CloudState:
    each = CloudState(
        times=Times(baseline=NOW - 1000, newest_update=NOW - 50, last_poll_begun=NOW, last_sweep=NOW),
        live={one.migration.uuid: one for one in live},
        last_success=NOW + 1,
    )
    return replace(each, **changes)  # type: ignore[arg-type]


FULL = state(
    tracked("m1"),
    tracked(
        "m2",
        migration=replace(
            record(LIVE, "odd \x00 \u2603 status", NOW - 9, uuid="m2"), old_flavor_id=2**63 - 1, new_flavor_id=1
        ),
        stay=Stay("odd \x00 \u2603 status", NOW - 9, math.inf),
        seen=NOW - 5,
        counted=False,
        history=(Stay("accepted", NOW - 9), Stay("queued", NOW - 8, math.inf)),
        move_over=True,
        created_proven=False,
        heartbeat=NOW - 6,
        stuck_in=frozenset({"accepted", "queued"}),
        unseen_since=NOW - 3,
    ),
    stuck={"m2": Stuck(Reason.UNDIAGNOSED, NOW - 4)},
    ended={"m3": End("confirmed", NOW - 20, NOW - 80, counted=True), "m4": End("error", NOW, NOW - 1, counted=False)},
    totals=Totals(
        started={RESIZE: 7},
        ended={(RESIZE, "confirmed"): 3, (LIVE, "deleted"): 1},
        corrections={(COLD, "error", "failed"): 2},
        unobserved={(LIVE, "running"): 4},
        became_stuck={(LIVE, "odd"): 1},
        status_durations={(RESIZE, "migrating"): Distribution().observed(12.5).observed(1e9)},
        move_durations={(LIVE, Outcome.CANCELLED): Distribution().observed(0.25)},
        ended_per_host={("host", "source", MigrationType.EVACUATION, Outcome.SUCCESS): 5},
    ),
    unknown_pairs=frozenset({(LIVE, "odd"), (RESIZE, "other")}),
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.db"


def rows(path: Path, statement: str) -> list[tuple[object, ...]]:
    with sqlite3.connect(path) as connection:
        found = connection.execute(statement).fetchall()
    connection.close()
    return found


def reopened(store: StateFile, path: Path) -> StateFile:
    store.close()
    return StateFile(path)


class Disk(sqlite3.Connection):
    """A connection to a disk that refuses to write while `refuses` is set, and writes down what is written."""

    refuses: str | None = None
    error = sqlite3.OperationalError

    def execute(self, statement: str, *rest: object) -> sqlite3.Cursor:  # type: ignore[override]
        if self.refuses and statement.startswith(self.refuses):
            raise self.error("database or disk is full")
        return super().execute(statement, *rest)  # type: ignore[arg-type]


@pytest.fixture
def disk() -> type[Disk]:
    return type("ThisDisk", (Disk,), {})


def connect_to(disk: type[Disk]) -> Callable[..., sqlite3.Connection]:
    return lambda path, **options: sqlite3.connect(path, factory=disk, **options)


# --- what is written comes back ---


def test_everything_comes_back_as_it_was(path: Path) -> None:
    store = StateFile(path)
    assert store.load("one") == UNKNOWN
    assert store.save("one", FULL, {*FULL.live, *FULL.ended})
    store = reopened(store, path)
    assert store.load("one") == FULL
    assert store.totals("one") == FULL.totals
    assert store.load("two") == UNKNOWN


def test_a_baseline_of_an_empty_cloud_comes_back(path: Path) -> None:
    store = StateFile(path)
    empty = CloudState(times=Times(baseline=-math.inf, last_poll_begun=NOW))
    store.save("one", empty)
    assert reopened(store, path).load("one") == empty


def test_counters_at_zero_take_no_row_and_come_back_as_absent(path: Path) -> None:
    store = StateFile(path)
    store.save("one", state(totals=Totals(started={RESIZE: 0, LIVE: 1})))
    assert rows(path, "SELECT family, labels, value FROM counter") == [("started", '["live-migration"]', 1)]
    assert reopened(store, path).load("one").totals.started == {LIVE: 1}


def test_clouds_do_not_mix(path: Path) -> None:
    store = StateFile(path)
    store.save("one", state(tracked("m1")), {"m1"})
    store.save("two", state(tracked("m1", counted=False)), {"m1"})
    store = reopened(store, path)
    assert store.load("one").live["m1"].counted
    assert not store.load("two").live["m1"].counted


def test_only_what_changed_is_written(path: Path, disk: type[Disk]) -> None:
    written: list[tuple[str, int]] = []

    def executemany(self: Disk, statement: str, many: list[object]) -> sqlite3.Cursor:
        written.append((statement.split(" (")[0], len(many)))
        return sqlite3.Connection.executemany(self, statement, many)

    disk.executemany = executemany  # type: ignore[method-assign,assignment]
    store = StateFile(path, connect=connect_to(disk))
    many = [tracked(f"m{number}") for number in range(100)]
    before = state(*many, totals=Totals(started={RESIZE: 100}))
    store.save("one", before, set(before.live))
    written.clear()
    later = NOW + 300  # a sweep: every record is touched and was seen, one has moved on
    seen = [replace(each, seen=later) for each in many[1:]]
    after = state(*seen, times=replace(before.times, last_sweep=later), totals=Totals(started={RESIZE: 101}))
    after = replace(after, ended={"m0": End("confirmed", later, NOW, counted=True)})
    store.save("one", after, {*before.live})
    assert {name: count for name, count in written if count} == {
        "DELETE FROM live WHERE cloud = ? AND migration_id = ?": 1,
        "INSERT OR REPLACE INTO ended": 1,
        "INSERT OR REPLACE INTO counter": 1,
    }
    assert reopened(store, path).load("one") == after


def test_a_record_that_a_sweep_missed_keeps_the_time_it_was_seen(path: Path) -> None:
    store = StateFile(path)
    store.save("one", state(tracked("m1")), {"m1"})
    swept = state(tracked("m1", unseen_since=NOW + 300), times=Times(NOW, NOW, NOW + 300, NOW + 300))
    store.save("one", swept, {"m1"})
    assert reopened(store, path).load("one").live["m1"].seen == NOW


def test_ends_that_are_forgotten_leave_the_file(path: Path) -> None:
    store = StateFile(path)
    store.save("one", FULL, {*FULL.live, *FULL.ended})
    store.save("one", replace(FULL, ended={}), {"m3", "m4"})
    assert reopened(store, path).load("one").ended == {}


def test_a_failure_in_the_middle_of_a_write_changes_nothing(path: Path, disk: type[Disk]) -> None:
    store = StateFile(path, connect=connect_to(disk))
    store.save("one", FULL, {*FULL.live, *FULL.ended})
    disk.refuses = "COMMIT"
    assert not store.save("one", state(tracked("m9")), {"m1", "m2", "m9"})
    disk.refuses = None
    assert StateFile.load(reopened(store, path), "one") == FULL


# --- a disk that refuses ---


def test_while_the_disk_refuses_the_counters_that_may_be_shown_stand_still(path: Path, disk: type[Disk]) -> None:
    store = StateFile(path, connect=connect_to(disk))
    store.save("one", state(totals=Totals(started={RESIZE: 1})))
    assert store.durable and store.errors == 0
    disk.refuses = "BEGIN"
    assert not store.save("one", state(totals=Totals(started={RESIZE: 2})))
    assert store.totals("one").started == {RESIZE: 1}
    assert not store.durable and store.errors == 1
    disk.refuses = None
    assert store.save("one", state(totals=Totals(started={RESIZE: 3})))
    assert store.totals("one").started == {RESIZE: 3}
    assert store.durable and store.errors == 1


def test_what_was_touched_while_the_disk_refused_is_written_later(path: Path, disk: type[Disk]) -> None:
    store = StateFile(path, connect=connect_to(disk))
    store.save("one", state(tracked("m1"), tracked("m2")), {"m1", "m2"})
    disk.refuses = "INSERT"
    assert not store.save("one", state(tracked("m2")), {"m1"})
    assert not store.save("one", state(tracked("m2", counted=False)), {"m2"})
    disk.refuses = None
    last = state(tracked("m2", counted=False))
    assert store.save("one", last)
    assert reopened(store, path).load("one") == last


def test_a_refusal_is_logged_once_and_so_is_its_end(
    path: Path, disk: type[Disk], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    store = StateFile(path, connect=connect_to(disk))
    disk.refuses = "BEGIN"
    for _ in range(3):
        store.save("one", FULL)
    disk.refuses = None
    store.save("one", FULL)
    assert [each.message for each in caplog.records] == ["the state cannot be written", "the state is written again"]


def test_a_file_that_cannot_be_made_yet_is_made_later(path: Path, disk: type[Disk]) -> None:
    disk.refuses = "BEGIN"
    store = StateFile(path, connect=connect_to(disk))
    assert store.load("one") == UNKNOWN
    assert not store.save("one", FULL, {*FULL.live, *FULL.ended})
    assert store.totals("one") == Totals() and not store.durable
    disk.refuses = None
    assert store.save("one", FULL)
    assert reopened(store, path).load("one") == FULL


def test_a_state_that_cannot_be_read_is_an_error_and_no_new_beginning(path: Path, disk: type[Disk]) -> None:
    StateFile(path).close()
    disk.refuses = "SELECT"
    with pytest.raises(StateError, match=r"state\.db cannot be read: database or disk is full; mend that, or move"):
        StateFile(path, connect=connect_to(disk))


def test_a_directory_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(StateError, match=r"the directory .*nowhere of the state file does not exist: create it"):
        StateFile(tmp_path / "nowhere" / "state.db")


def test_the_write_of_one_cloud_waits_for_no_other_without_end(path: Path, disk: type[Disk]) -> None:
    begun, go_on = threading.Event(), threading.Event()
    store = StateFile(path, connect=connect_to(disk))

    def hold(self: Disk, statement: str, *rest: object) -> sqlite3.Cursor:
        if statement == "COMMIT" and not go_on.is_set():
            begun.set()
            go_on.wait(30)
        return sqlite3.Connection.execute(self, statement, *rest)  # type: ignore[arg-type]

    disk.execute = hold  # type: ignore[method-assign,assignment]
    slow = threading.Thread(target=store.save, args=("slow", FULL, {*FULL.live, *FULL.ended}))
    slow.start()
    begun.wait(30)
    assert not store.save("other", FULL, {*FULL.live, *FULL.ended}), "put off, not waited for without end"
    assert store.errors == 0
    go_on.set()
    slow.join(30)
    assert store.save("other", FULL)
    store = reopened(store, path)
    assert store.load("slow") == store.load("other") == FULL


# --- what the file is ---


def test_the_file_is_for_its_owner_alone(path: Path) -> None:
    StateFile(path).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o644)
    StateFile(path).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_commit_is_on_disk_when_it_returns(path: Path, disk: type[Disk]) -> None:
    opened: list[sqlite3.Connection] = []

    def connect(name: str, **options: object) -> sqlite3.Connection:
        opened.append(sqlite3.connect(name, **options))  # type: ignore[call-overload]
        return opened[-1]

    StateFile(path, connect=connect)
    assert opened[-1].execute("PRAGMA synchronous").fetchone() == (2,)  # FULL


def test_a_second_process_is_told_whose_the_file_is(path: Path) -> None:
    StateFile(path)
    with pytest.raises(
        StateLockedError, match=f"belongs to process {os.getpid()}: stop that, or give this one another"
    ):
        StateFile(path)


def test_a_process_that_was_killed_leaves_no_lock(path: Path) -> None:
    program = f"import os; from exporter.store.state_file import StateFile; s = StateFile({str(path)!r}); os.kill(os.getpid(), 9)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == -9
    assert (path.parent / "state.db.lock").exists()
    assert StateFile(path).durable


def spoil_bytes(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:5000] + b"\xff" * 5000)


def spoil_text(path: Path) -> None:
    path.write_text("not a database at all, but long enough to be looked at " * 50)


def spoil_foreign(path: Path) -> None:
    path.unlink()
    rows(path, "CREATE TABLE bookmarks (url TEXT)")


def spoil_newer(path: Path) -> None:
    rows(path, f"PRAGMA user_version = {len(MIGRATIONS) + 1}")


def spoil_rows(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE counter SET labels = '[\"teleport\"]' WHERE family = 'started'")
    connection.close()


@pytest.mark.parametrize(
    ("spoil", "name"),
    [
        (spoil_bytes, "corrupt"),
        (spoil_text, "corrupt"),
        (spoil_foreign, "foreign"),
        (spoil_newer, "newer"),
        (spoil_rows, "corrupt"),
    ],
)
def test_a_file_that_is_not_ours_is_set_aside_loudly(
    path: Path, spoil: Callable[[Path], None], name: str, caplog: pytest.LogCaptureFixture
) -> None:
    store = StateFile(path)
    store.save("one", FULL, {*FULL.live, *FULL.ended})
    store.close()
    spoil(path)
    content = path.read_bytes()
    store = StateFile(path, clock=lambda: NOW)
    assert store.load("one") == UNKNOWN
    assert store.errors == 1
    assert (path.parent / f"state.db.{name}-20270115T080000Z").read_bytes() == content
    assert any(each.levelname == "ERROR" and "all counters begin at zero" in each.message for each in caplog.records)
    assert store.save("one", FULL, {*FULL.live, *FULL.ended}) and store.durable
    assert reopened(store, path).load("one") == FULL


def test_what_another_program_had_not_yet_moved_into_its_database_is_kept_with_it(path: Path) -> None:
    theirs = sqlite3.connect(path, isolation_level=None)
    theirs.execute("PRAGMA journal_mode = WAL")
    theirs.execute("CREATE TABLE bookmarks (url TEXT)")
    StateFile(path, clock=lambda: NOW).close()
    theirs.close()
    assert rows(path.parent / "state.db.foreign-20270115T080000Z", "SELECT count(*) FROM bookmarks") == [(0,)]


def test_two_files_set_aside_in_the_same_second_are_both_kept(path: Path) -> None:
    for _ in range(2):
        path.write_text("spoilt " * 1000)
        StateFile(path, clock=lambda: NOW).close()
    assert len(list(path.parent.glob("state.db.corrupt-*"))) == 2


@pytest.mark.parametrize("harm", [Path.unlink, spoil_text, spoil_foreign])
def test_a_file_that_is_lost_while_in_use_is_written_anew_as_a_whole(path: Path, harm: Callable[[Path], None]) -> None:
    store = StateFile(path)
    store.load("one")
    store.save("one", FULL, {*FULL.live, *FULL.ended})
    harm(path)
    later = replace(FULL, totals=replace(FULL.totals, started={RESIZE: 8}))
    kept = store.save("one", later) or store.save("one", later)  # damage is found by the first write
    assert kept and store.durable
    assert reopened(store, path).load("one") == later


def test_a_file_whose_lock_was_taken_over_is_not_written_to(path: Path) -> None:
    first = StateFile(path)
    first.load("one")
    for each in path.parent.iterdir():
        each.unlink()
    second = StateFile(path)
    second.save("one", FULL, {*FULL.live, *FULL.ended})
    assert not first.save("one", state()), "it belongs to the second now"
    assert reopened(second, path).load("one") == FULL


def test_a_schema_of_an_older_version_is_led_to_todays(path: Path) -> None:
    store = StateFile(path)
    store.save("one", FULL, {*FULL.live, *FULL.ended})
    store.close()
    newer = (*MIGRATIONS, "ALTER TABLE cloud ADD COLUMN colour TEXT; UPDATE cloud SET colour = 'red'")
    store = StateFile(path, migrations=newer)
    assert store.load("one") == FULL and store.errors == 0
    assert rows(path, "SELECT name, colour FROM cloud") == [("one", "red")]
    assert rows(path, "PRAGMA user_version") == [(len(newer),)]
    assert rows(path, "PRAGMA application_id") == [(APPLICATION_ID,)]


def test_a_file_of_the_first_version_keeps_all_that_it_knows(path: Path) -> None:
    store = StateFile(path, migrations=MIGRATIONS[:1])
    store.close()
    connection = sqlite3.connect(path)
    connection.executescript(FIRST_VERSION)
    connection.close()
    known = StateFile(path).load("one")
    assert known.times == Times(1.0, 2.0, 3.0, 4.0) and known.last_success == 5.0
    (record,) = known.live.values()
    assert (record.migration.status, record.stay.since, record.doubts, record.verdict) == ("x", 6.0, (), NO_VERDICT)
    assert known.totals.started == {RESIZE: 7} and known.lookups == {} and known.stranded == {}


#: What an exporter wrote whose state had the first version of the schema.
FIRST_VERSION = """
    INSERT INTO cloud VALUES (1, 'one', 1.0, 2.0, 3.0, 4.0, 5.0, NULL);
    INSERT INTO live VALUES (
        1, 'a', 'resize', 'x', 'server', 1.5, NULL, NULL, NULL, NULL, NULL, NULL,
        6.0, 0.0, NULL, 6.0, 1, '[]', 0, 1, NULL, '[]', NULL, NULL, NULL
    );
    INSERT INTO counter VALUES (1, 'started', '["resize"]', 7);
"""


def test_a_step_to_a_new_schema_that_fails_leaves_the_old_one_whole(path: Path) -> None:
    StateFile(path).close()
    broken = (*MIGRATIONS, "ALTER TABLE cloud ADD COLUMN colour TEXT; UPDATE nowhere SET colour = 'red'")
    with pytest.raises(StateError, match="cannot be read: no such table: nowhere"):
        StateFile(path, migrations=broken)
    assert rows(path, "PRAGMA user_version") == [(len(MIGRATIONS),)]
    assert not any("colour" in str(row) for row in rows(path, "PRAGMA table_info(cloud)"))


# --- clouds that come and go ---


def test_a_cloud_that_left_is_kept_for_thirty_days(path: Path) -> None:
    now = NOW
    store = StateFile(path, clock=lambda: now)
    for name in ("stays", "left"):
        store.save(name, FULL, {*FULL.live, *FULL.ended})
    store.retain(["stays"])
    now += KEEP_LEFT_CLOUDS - 1
    assert store.load("left") == FULL
    now += 2
    store.retain(["stays"])
    assert store.load("left") == UNKNOWN
    assert store.load("stays") == FULL
    assert rows(path, "SELECT count(*) FROM live") == [(len(FULL.live),)]


def test_a_cloud_that_came_back_begins_its_thirty_days_anew(path: Path) -> None:
    now = NOW
    store = StateFile(path, clock=lambda: now)
    store.save("one", FULL, {*FULL.live, *FULL.ended})
    for clouds in ([], ["one"], []):
        store.retain(clouds)
        now += KEEP_LEFT_CLOUDS - 1
    store.retain([])
    assert store.load("one") == FULL


def test_a_memory_store_keeps_states_and_promises_nothing() -> None:
    store = MemoryStore()
    assert store.load("one") == UNKNOWN
    assert store.save("one", FULL)
    assert store.load("one") == FULL and store.totals("one") == FULL.totals
    assert not store.durable and store.errors == 0
