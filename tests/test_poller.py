"""The loop: what it asks and when, what a failure changes, and what the view shows afterwards."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

import pytest

from exporter.domain.cloud import Answer, CloudError, Deletion, ErrorKind, Rejection, RejectReason, Request
from exporter.domain.diagnosis import Limits
from exporter.domain.lifecycle import LIVE_ROWS, LIVE_STATUSES, UNKNOWN_STATUS, MigrationType, Reason
from exporter.domain.migration import Migration
from exporter.domain.server import Action, Progress, Server
from exporter.domain.view import CloudView
from exporter.poller import STALE_AFTER, Poller
from exporter.questions import LOOKUPS_PER_SWEEP, Settings
from tests.domain.records import DAY, EVACUATION, HOUR, LIVE, RESIZE, record

EXPECTED = {
    **{(row.migration_type, row.status): row.expected for row in LIVE_ROWS},
    **{(kind, UNKNOWN_STATUS): 6 * HOUR for kind in MigrationType},
}
LIMITS = Limits(EXPECTED, no_progress=300.0)

#: When every play begins, in seconds since the epoch.
NOW = 1_000_000.0

LOOK = [("status", "accepted"), ("status", "pre-migrating")]
SWEEP = [("status", status) for status in LIVE_STATUSES]

Question = tuple[str, str | float]


class Time:
    """A clock that stands still until it is told to go on; `wall` jumps where `monotonic` does not."""

    def __init__(self) -> None:
        self.passed = 0.0
        self.jump = 0.0

    def clock(self) -> float:
        return NOW + self.passed + self.jump

    def monotonic(self) -> float:
        return self.passed


@dataclass
class FakeCloud:
    """A table of records that answers as Nova does; `asked` are the questions, `broken` what to raise, by question."""

    time: Time
    rows: dict[str, Migration] = field(default_factory=dict)
    hidden: set[str] = field(default_factory=set)
    deleted: dict[str, Deletion] = field(default_factory=dict)
    rejections: tuple[Rejection, ...] = ()
    skew: float | None = 0.0
    slow: float = 0.0
    asked: list[Question] = field(default_factory=list)
    deadlines: set[float] = field(default_factory=set)
    broken: dict[str, Exception] = field(default_factory=dict)
    made: list[Request] = field(default_factory=list)
    admin: bool = True
    servers: dict[str, Server] = field(default_factory=dict)
    services: dict[str, bool] = field(default_factory=dict)
    done: dict[str, list[Action]] = field(default_factory=dict)
    moved: dict[str, dict[str, Progress]] = field(default_factory=dict)

    def put(self, *migrations: Migration) -> None:
        """Write records, as a Nova service would."""
        self.rows |= {migration.uuid: migration for migration in migrations}

    def delete(self, uuid: str, at: float | None = None) -> None:
        """Delete the server of a record; Nova hides the record at once."""
        self.deleted[self.rows.pop(uuid).server_id] = Deletion(at)

    def asks(self) -> list[Question]:
        """Return the questions since the last call of this method."""
        asked, self.asked = self.asked, []
        return asked

    def open(self, deadline: float) -> str:
        self._answer("open", "", deadline, lambda each: False)
        self.asked.pop()
        return "2.80"

    def newest(self, deadline: float) -> Answer:
        answer = self._answer("newest", "", deadline, lambda each: True)
        return replace(answer, migrations=tuple(sorted(answer.migrations, key=lambda each: each.created_at)[-1:]))

    def with_status(self, status: str, deadline: float) -> Answer:
        return self._answer("status", status, deadline, lambda each: each.status == status)

    def changed_since(self, since: float, deadline: float) -> Answer:
        return self._answer(
            "changed", since, deadline, lambda each: each.updated_at is not None and each.updated_at >= since
        )

    def of_server(self, server_id: str, deadline: float) -> Answer:
        return self._answer("server", server_id, deadline, lambda each: each.server_id == server_id)

    def deletion_of(self, server_id: str, deadline: float) -> Deletion | None:
        self._answer("deletion", server_id, deadline, lambda each: False)
        return self.deleted.get(server_id)

    def shows_servers_by_id(self) -> bool:
        return self.admin

    def servers_with_status(self, status: str, deadline: float) -> Sequence[Server]:
        self._answer("servers", status, deadline, lambda each: False)
        return [each for each in self.servers.values() if each.status == status]

    def server(self, server_id: str, deadline: float) -> Server | None:
        self._answer("show", server_id, deadline, lambda each: False)
        return self.servers.get(server_id)

    def hosts_up(self, hosts: Collection[str], deadline: float) -> Mapping[str, bool]:
        self._answer("services", ",".join(sorted(hosts)), deadline, lambda each: False)
        return {host: self.services[host] for host in hosts if host in self.services}

    def actions(self, server_id: str, since: float, deadline: float) -> Sequence[Action] | None:
        self._answer("actions", server_id, deadline, lambda each: False)
        found = self.done.get(server_id)
        return None if found is None else [replace(each, steps=()) for each in found if each.start >= since]

    def steps(self, server_id: str, request_id: str, deadline: float) -> Action | None:
        self._answer("steps", request_id, deadline, lambda each: False)
        return next((each for each in self.done.get(server_id, []) if each.request_id == request_id), None)

    def progress(self, server_id: str, deadline: float) -> Mapping[str, Progress] | None:
        self._answer("progress", server_id, deadline, lambda each: False)
        return self.moved.get(server_id, {})

    def requests(self) -> Sequence[Request]:
        made, self.made = self.made, []
        return made

    def close(self) -> None:
        raise AssertionError("a poller closes no cloud")

    def _answer(self, question: str, detail: str | float, deadline: float, fits: Callable[[Migration], bool]) -> Answer:
        self.asked.append((question, detail))
        self.deadlines.add(deadline)
        date = None if self.skew is None else self.time.clock() + self.skew
        if question in self.broken:
            raise self.broken[question]
        self.made.append(Request(question, "200", 0.1))
        self.time.passed += self.slow
        shown = [each for each in self.rows.values() if each.uuid not in self.hidden and fits(each)]
        return Answer(tuple(shown), self.rejections, date)


class Play:
    """A poller, its cloud and its clock."""

    def __init__(self, *rows: Migration, chance: float = 0.5, skew: float | None = 0.0, **settings: object) -> None:
        self.time = Time()
        self.cloud = FakeCloud(self.time, skew=skew)
        self.cloud.put(*rows)
        self.views: list[CloudView] = []
        self.chance = chance
        self.poller = Poller(
            replace(Settings("one", LIMITS), **settings),  # type: ignore[arg-type]  # any of the settings
            self.cloud,
            self.views.append,
            clock=self.time.clock,
            monotonic=self.time.monotonic,
            chance=lambda: self.chance,
        )

    @property
    def view(self) -> CloudView:
        """Return the view that was published last."""
        return self.views[-1]

    def poll(self, after: float = 0.0) -> bool:
        """Let time pass and poll."""
        self.time.passed += after
        return self.poller.poll()

    def asked(self, after: float = 0.0) -> list[Question]:
        """Let time pass, poll, and return the questions."""
        self.cloud.asks()
        self.poll(after)
        return self.cloud.asks()

    def fail(self, question: str = "open", kind: ErrorKind = ErrorKind.TIMEOUT, after: float = 0.0) -> None:
        """Let a poll fail at a question."""
        self.cloud.broken = {question: CloudError(kind, "no answer")}
        assert not self.poll(after)
        self.cloud.broken = {}


def counted(view: CloudView) -> tuple[int, int, int]:
    """Return how many records a view shows as begun, ended and live."""
    return sum(view.totals.started.values()), sum(view.totals.ended.values()), len(view.live)


def move(
    status: str, created: float, updated: float | None = None, uuid: str = "m", kind: MigrationType = RESIZE
) -> Migration:
    """Return a record with times relative to the beginning of the play, on a server of its own."""
    stamp = None if updated is None else NOW + updated
    return record(kind, status, NOW + created, stamp, uuid=uuid, server=f"server of {uuid}")


# --- what is asked ---


def test_a_first_poll_asks_for_the_newest_then_for_every_live_status_then_looks() -> None:
    assert Play().asked() == [("newest", ""), *SWEEP, *LOOK, ("changed", NOW - 90)]


def test_a_sweep_asks_in_the_order_of_the_lifecycle() -> None:
    assert [status for _, status in SWEEP] == [
        "accepted",
        "pre-migrating",
        "migrating",
        "queued",
        "post-migrating",
        "preparing",
        "finished",
        "running",
        "confirming",
        "reverting",
        "running (post-copy)",
    ]


def test_a_steady_poll_asks_three_questions() -> None:
    play = Play(move("migrating", -500, -400), *(move("confirmed", -900, -800, f"old-{i}") for i in range(50)))
    play.poll()
    for _ in range(5):
        assert play.asked(after=30) == [*LOOK, ("changed", NOW - 400 - 90)]


def test_a_steady_poll_of_an_empty_cloud_looks_back_from_the_poll_before() -> None:
    play = Play()
    play.poll()
    assert play.asked(after=30) == [*LOOK, ("changed", NOW - 90)]
    assert play.asked(after=30) == [*LOOK, ("changed", NOW + 30 - 90)]


def test_a_sweep_comes_again_after_its_interval() -> None:
    play = Play()
    play.poll()
    assert play.asked(after=299) == [*LOOK, ("changed", NOW - 90)]
    assert play.asked(after=1) == [*SWEEP, *LOOK, ("changed", NOW + 299 - 90)]
    assert len(play.asked(after=30)) == 3


def test_after_a_failure_a_look_comes_first_then_the_sweep() -> None:
    play = Play()
    play.poll()
    play.fail(after=30)
    look = [*LOOK, ("changed", NOW - 90)]
    assert play.asked(after=30) == [*look, *SWEEP, *look]
    assert len(play.asked(after=30)) == 3


def test_while_the_look_fails_no_sweep_is_tried() -> None:
    play = Play()
    play.poll()
    play.fail("status", after=30)
    play.cloud.asks()
    play.fail("changed", after=30)
    assert [question for question, _ in play.cloud.asks()] == ["status", "status", "changed"]


def test_after_a_failed_first_poll_the_baseline_is_asked_for_again() -> None:
    play = Play()
    play.fail("status")
    assert play.asked(after=30) == [("newest", ""), *SWEEP, *LOOK, ("changed", NOW + 30 - 90)]


def test_once_an_hour_a_look_reaches_a_day_back() -> None:
    play = Play(sweep_interval=math.inf)
    play.poll()
    play.poll(after=3570)
    assert play.asked(after=30) == [*LOOK, ("changed", NOW + 3570 - DAY)]
    assert play.asked(after=30) == [*LOOK, ("changed", NOW + 3600 - 90)]
    assert play.asked(after=3570) == [*LOOK, ("changed", NOW + 3630 - DAY)]


def test_a_deep_look_that_fails_is_made_good() -> None:
    play = Play(sweep_interval=math.inf)
    play.poll()
    play.poll(after=3570)
    play.fail("changed", after=30)
    assert play.asked(after=30)[:3] == [*LOOK, ("changed", NOW + 3570 - DAY)]


def test_a_deep_look_that_falls_due_during_a_poll_is_made_by_the_next() -> None:
    play = Play(sweep_interval=math.inf)
    play.poll()
    play.poll(after=3570)
    play.cloud.slow = 20.0
    assert play.asked(after=25) == [*LOOK, ("changed", NOW + 3570 - 90)]
    play.cloud.slow = 0.0
    assert play.asked(after=5) == [*LOOK, ("changed", NOW + 3595 - DAY)]


def test_the_overlap_is_configurable() -> None:
    play = Play(overlap=10.0)
    assert play.asked()[-1] == ("changed", NOW - 10)


def test_a_clock_of_nova_that_runs_ahead_does_not_carry_the_watermark_with_it() -> None:
    play = Play(move("migrating", -500, +500))
    play.poll()
    assert play.asked(after=30)[-1] == ("changed", NOW - 90)


@pytest.mark.parametrize("skew", [0.0, None])
def test_the_watermark_is_the_beginning_of_the_poll_before_not_its_end(skew: float | None) -> None:
    play = Play(skew=skew)
    play.cloud.slow = 10.0
    play.poll()
    [*_, (question, since)] = play.asked(after=30)
    assert question == "changed"
    assert NOW - 90 <= float(since) <= NOW - 90 + play.cloud.slow


def test_every_question_of_a_poll_has_the_deadline_of_the_poll() -> None:
    play = Play(deadline=120.0)
    play.cloud.slow = 1.0
    play.poll()
    assert play.cloud.deadlines == {120.0}


def test_a_status_that_the_table_does_not_know_is_asked_for_in_the_next_sweep() -> None:
    play = Play()
    play.poll()
    play.cloud.put(move("odd", 5, 20, kind=LIVE))
    play.poll(after=30)
    assert play.asked(after=270) == [*SWEEP, ("status", "odd"), *LOOK, ("changed", NOW + 20 - 90)]
    assert play.view.health.unknown_statuses == 1
    assert (LIVE, "odd") in play.view.expected
    play.cloud.put(move("completed", 5, 310, kind=LIVE))
    play.poll(after=30)
    assert ("status", "odd") not in play.asked(after=300)


def test_a_record_that_moves_on_between_two_questions_is_not_missed() -> None:
    play = Play(move("migrating", -500, -400))
    play.poll()
    real = play.cloud.with_status

    def moving(status: str, deadline: float) -> Answer:
        if status == "migrating":
            play.cloud.put(move("post-migrating", -500, 305))
        answer = real(status, deadline)
        if status == "post-migrating":
            play.cloud.put(move("finished", -500, 306))
        return answer

    play.cloud.with_status = moving  # type: ignore[method-assign]
    play.poll(after=300)
    assert [each.status for each in play.view.live] == ["finished"]
    assert play.view.live[0].unseen is False


# --- what is taken in ---


def test_a_poll_counts_what_begins_and_ends() -> None:
    play = Play(move("migrating", -500, -400, "old"), move("confirmed", -50, -20, "over"))
    play.poll()
    assert counted(play.view) == (0, 0, 1)
    play.cloud.put(move("pre-migrating", 10, uuid="new"))
    play.poll(after=30)
    assert counted(play.view) == (1, 0, 2)
    play.cloud.put(move("error", 10, 40, "new"), move("post-migrating", -500, 45, "old"))
    play.poll(after=30)
    assert counted(play.view) == (1, 1, 1)
    assert play.view.totals.ended[RESIZE, "error"] == 1


def test_a_record_that_was_never_updated_is_seen_by_a_look() -> None:
    play = Play()
    play.poll()
    play.cloud.put(move("accepted", 10, uuid="a", kind=EVACUATION), move("pre-migrating", 11, uuid="b"))
    play.poll(after=30)
    assert {each.migration.uuid for each in play.view.live} == {"a", "b"}


def test_an_end_that_came_late_is_found_by_the_deep_look() -> None:
    play = Play()
    play.poll()
    play.cloud.put(move("error", 10, 20, "late"))
    play.cloud.hidden = {"late"}
    for _ in range(20):
        play.poll(after=100)
    play.cloud.hidden = set()
    play.poll(after=100)
    assert counted(play.view) == (0, 0, 0)
    play.poll(after=1500)
    assert counted(play.view) == (1, 1, 0)


# --- failures ---


@pytest.mark.parametrize("question", ["status", "changed", "server", "deletion"])
def test_a_failed_poll_changes_nothing_but_the_health(question: str) -> None:
    play = Play(move("migrating", -500, -400, "old"), move("pre-migrating", -40, uuid="gone"))
    play.poll()
    play.poll(after=30)
    before = play.view
    play.cloud.put(move("post-migrating", -500, 320, "old"), move("accepted", 310, uuid="new", kind=LIVE))
    play.cloud.delete("gone", NOW + 300)
    play.fail(question, after=300)
    after = play.view
    assert replace(after, health=before.health) == before
    assert (after.health.up, after.health.error) == (False, "timeout: no answer")
    assert after.health.last_success == before.health.last_success
    assert after.health.step_seconds == before.health.step_seconds
    assert after.health.polls == before.health.polls + 1
    play.poll(after=30)
    assert counted(play.view) == (1, 1, 2)


@pytest.mark.parametrize("kind", ErrorKind)
def test_failures_are_counted_by_kind(kind: ErrorKind) -> None:
    play = Play()
    play.fail(kind=kind)
    play.fail(kind=kind)
    assert dict(play.view.health.poll_errors) == {kind: 2}
    assert play.view.health.polls == 2


def test_an_exception_that_nobody_expected_fails_the_poll_and_no_more(caplog: pytest.LogCaptureFixture) -> None:
    play = Play()
    play.cloud.broken = {"changed": KeyError("ours")}
    with caplog.at_level(logging.ERROR):
        assert not play.poll()
    assert "Traceback" in caplog.text
    assert play.view.health.error == "protocol: unexpected KeyError; the log has the traceback"
    play.cloud.broken = {}
    assert play.poll(after=30)
    assert play.view.health.up


def test_a_recovered_cloud_is_up_again() -> None:
    play = Play()
    play.fail()
    assert (play.view.health.up, play.view.health.last_success) == (False, None)
    assert play.poll(after=30)
    assert (play.view.health.up, play.view.health.error, play.view.health.last_success) == (True, None, NOW + 30)


def test_before_a_first_poll_the_cloud_is_on_the_page_and_not_up() -> None:
    play = Play()
    assert len(play.views) == 1
    assert (play.view.cloud, play.view.health.up, play.view.health.polls) == ("one", False, 0)
    assert not play.poller.tried
    play.fail()
    assert play.poller.tried


def test_every_poll_publishes_one_view() -> None:
    play = Play()
    play.poll()
    play.fail()
    assert len(play.views) == 3


# --- pauses ---


@pytest.mark.parametrize(("chance", "pause"), [(0.0, 28.5), (0.5, 30.0), (0.999, 31.497)])
def test_a_pause_is_the_interval_with_a_little_jitter(chance: float, pause: float) -> None:
    play = Play(chance=chance)
    play.poll()
    assert play.poller.pause() == pytest.approx(pause, abs=0.01)


def test_pauses_grow_with_failures_up_to_five_minutes() -> None:
    play = Play(chance=1.0)
    pauses = []
    for _ in range(6):
        play.fail()
        pauses.append(play.poller.pause())
    assert pauses == [60.0, 120.0, 240.0, 300.0, 300.0, 300.0]
    play.chance = 0.0
    assert play.poller.pause() == 150.0
    play.poll()
    assert play.poller.pause() == 28.5


def test_pauses_stay_finite_after_very_many_failures() -> None:
    play = Play(chance=1.0)
    for _ in range(2000):
        play.fail()
    assert play.poller.pause() == 300.0


def test_an_interval_above_five_minutes_is_not_shortened_by_failures() -> None:
    play = Play(chance=1.0, interval=600.0)
    play.fail()
    assert play.poller.pause() == 600.0


# --- vanished records ---


def vanish(play: Play, *uuids: str) -> None:
    """Hide records, as a cell does that is down."""
    play.cloud.hidden |= set(uuids)


def lookups(questions: list[Question]) -> list[Question]:
    return [each for each in questions if each[0] in ("server", "deletion")]


def test_a_vanished_record_is_looked_for_by_its_server_then_for_its_deletion() -> None:
    play = Play(move("finished", -500, -400))
    play.poll()
    vanish(play, "m")
    assert play.asked(after=300) == [
        *SWEEP,
        *LOOK,
        ("changed", NOW - 490),
        ("server", "server of m"),
        ("deletion", "server of m"),
    ]
    assert [each.unseen for each in play.view.live] == [True]
    assert counted(play.view) == (0, 0, 1)


def test_a_record_found_by_its_server_is_the_truth_and_no_deletion_is_asked_for() -> None:
    play = Play(move("finished", -500, -400))
    play.poll()
    play.cloud.put(move("confirmed", -500, -300))
    asked = play.asked(after=300 + DAY)
    assert lookups(asked) == []
    play = Play(move("finished", -500, -400), move("finished", -90, -50, "newer"))
    play.poll()
    play.cloud.put(move("confirmed", -500, -300))
    assert lookups(play.asked(after=300)) == [("server", "server of m")]
    assert play.view.totals.ended[RESIZE, "confirmed"] == 1


def test_a_proven_deletion_ends_the_record() -> None:
    play = Play(move("migrating", -500, -400))
    play.poll()
    play.cloud.delete("m", NOW + 10)
    play.poll(after=300)
    assert play.view.totals.ended[RESIZE, "deleted"] == 1
    assert counted(play.view) == (0, 1, 0)
    assert lookups(play.asked(after=300)) == []


def test_a_look_without_a_sweep_looks_for_nobody() -> None:
    play = Play(move("migrating", -500, -400))
    play.poll()
    vanish(play, "m")
    assert len(play.asked(after=30)) == 3
    assert [each.unseen for each in play.view.live] == [False]


def test_at_most_fifty_are_looked_for_in_a_sweep_and_all_in_turn() -> None:
    names = [f"m{i:03}" for i in range(120)]
    play = Play(*(move("migrating", -500, -400, name) for name in names))
    play.poll()
    vanish(play, *names)
    turns = []
    for _ in range(4):
        asked = lookups(play.asked(after=300))
        turns.append([str(detail).removeprefix("server of ") for question, detail in asked if question == "server"])
    assert LOOKUPS_PER_SWEEP == 50
    assert turns == [names[:50], names[50:100], [*names[100:], *names[:30]], names[30:80]]
    assert all(each.unseen for each in play.view.live)


def test_a_vanished_record_that_comes_back_is_no_longer_unseen() -> None:
    play = Play(move("migrating", -500, -400))
    play.poll()
    vanish(play, "m")
    play.poll(after=300)
    play.cloud.hidden = set()
    play.poll(after=300)
    assert [each.unseen for each in play.view.live] == [False]


# --- ignored records ---


def test_records_created_before_a_time_are_ignored() -> None:
    play = Play(move("migrating", -500, -400, "old"), ignore_created_before=NOW - 100)
    play.poll()
    assert (counted(play.view), play.view.ignored) == ((0, 0, 0), 1)
    play.cloud.put(move("error", -500, 10, "old"), move("pre-migrating", 10, uuid="new"))
    play.poll(after=30)
    assert (counted(play.view), play.view.ignored) == ((1, 0, 1), 0)


def test_records_are_ignored_by_id() -> None:
    play = Play(ignore_ids=frozenset({"known"}))
    play.poll()
    play.cloud.put(move("pre-migrating", 10, uuid="known"), move("pre-migrating", 10, uuid="other"))
    play.poll(after=30)
    assert (counted(play.view), play.view.ignored) == ((1, 0, 1), 1)
    play.poll(after=HOUR)
    assert [each.migration.uuid for each in play.view.live if each.stuck] == ["other"]
    assert play.view.totals.became_stuck[RESIZE, "pre-migrating"] == 1


# --- stuck ---


def test_a_record_that_was_never_updated_becomes_stuck_after_its_threshold_once() -> None:
    play = Play()
    play.poll()
    play.cloud.put(move("accepted", 10, kind=LIVE))
    play.poll(after=30)
    [live] = play.view.live
    assert (live.stuck, live.since, live.deadline) == (None, NOW + 10, NOW + 610)
    play.poll(after=581)
    [live] = play.view.live
    assert live.stuck is not None
    assert (live.stuck.reason, live.stuck.since) == (Reason.UNDIAGNOSED, NOW + 610)
    for _ in range(3):
        play.poll(after=30)
    assert play.view.totals.became_stuck[LIVE, "accepted"] == 1


def test_a_record_stuck_at_the_first_look_is_stuck_but_did_not_become_so() -> None:
    play = Play(move("accepted", -5000, kind=LIVE))
    for _ in range(3):
        play.poll(after=30)
    assert [each.stuck is not None for each in play.view.live] == [True]
    assert play.view.totals.became_stuck[LIVE, "accepted"] == 0


def test_a_queued_one_behind_a_running_one_is_not_stuck() -> None:
    play = Play(
        move("queued", -50_000, -50_000, "waits", kind=LIVE),
        move("running", -50_000, -100, "runs", kind=LIVE),
    )
    play.poll()
    assert {each.migration.uuid: each.stuck for each in play.view.live} == {"waits": None, "runs": None}
    play.cloud.put(move("completed", -50_000, 10, "runs", kind=LIVE))
    play.poll(after=30)
    assert [each.stuck is not None for each in play.view.live] == [True]


def test_a_running_one_without_heartbeats_is_stuck() -> None:
    play = Play(move("running", -100, -10, kind=LIVE))
    play.poll()
    play.cloud.put(move("running", -100, 20, kind=LIVE))
    play.poll(after=30)
    play.poll(after=290)
    assert [each.stuck for each in play.view.live] == [None]
    play.poll(after=1)
    [live] = play.view.live
    assert live.stuck is not None
    assert live.stuck.since == NOW + 320


def test_stuck_ones_come_first_then_those_in_transition_then_those_that_wait() -> None:
    play = Play(
        move("finished", -9000, -8000, "waits"),
        move("migrating", -500, -400, "moves"),
        move("migrating", -50_000, -40_000, "stuck"),
    )
    play.poll()
    assert [each.migration.uuid for each in play.view.live] == ["stuck", "moves", "waits"]


# --- time ---


def test_a_cloud_clock_that_runs_ahead_makes_nothing_stuck() -> None:
    play = Play(move("accepted", -500, kind=LIVE), skew=3600.0)
    play.poll()
    assert [each.stuck for each in play.view.live] == [None]
    assert play.view.health.clock_skew == 3600.0


def test_a_clock_of_ours_that_runs_ahead_makes_nothing_stuck() -> None:
    play = Play(move("accepted", -500, kind=LIVE), skew=-3600.0)
    play.time.jump = 3600.0
    play.poll()
    assert [each.stuck for each in play.view.live] == [None]
    assert play.view.health.clock_skew == -3600.0


def test_the_skew_does_not_depend_on_how_long_a_poll_takes() -> None:
    play = Play(skew=7.0)
    play.cloud.slow = 0.5
    play.poll()
    assert play.view.health.clock_skew == pytest.approx(7.0, abs=0.5)


def test_a_cloud_that_tells_no_time_is_read_by_our_clock() -> None:
    play = Play(move("accepted", -700, kind=LIVE), skew=None)
    play.poll()
    assert [each.stuck is not None for each in play.view.live] == [True]
    assert play.view.health.clock_skew is None


def test_after_fifteen_minutes_without_a_complete_poll_the_view_is_stale() -> None:
    play = Play(move("migrating", -500, -400))
    play.poll()
    play.fail(after=900)
    assert STALE_AFTER == 900
    assert not play.view.stale
    play.fail(after=1)
    assert play.view.stale
    assert len(play.view.live) == 1
    play.poll(after=30)
    assert not play.view.stale


def test_a_view_grows_stale_while_the_poller_waits_for_its_next_poll() -> None:
    play = Play(move("migrating", -500, -400), interval=3600.0)
    play.poll()
    ticks: list[float] = []

    class Stop:
        def wait(self, seconds: float) -> bool:
            ticks.append(seconds)
            play.time.passed += seconds
            return False

        def is_set(self) -> bool:
            return play.time.passed >= 3600.0

    published = len(play.views)
    play.poller.run(Stop())  # type: ignore[arg-type]  # the part of an Event that a poller uses
    assert [view.stale for view in play.views[published:]] == [False, True]
    assert max(ticks) <= 5.0


def test_a_poller_gives_signs_of_life_while_it_waits() -> None:
    play = Play()
    assert play.poller.longest_silence == 600.0
    play.poll(after=100)
    assert play.poller.last_sign_of_life == 100.0


# --- health ---


def test_a_rejected_record_is_counted_once() -> None:
    play = Play()
    play.cloud.rejections = (
        Rejection(RejectReason.BAD_TIME, "m1", "impossible date"),
        Rejection(RejectReason.BAD_TIME, "m2", "impossible date"),
        Rejection(RejectReason.NO_SERVER, "m1", "no server"),
    )
    play.poll()
    play.poll(after=30)
    assert dict(play.view.health.rejected) == {RejectReason.BAD_TIME: 2, RejectReason.NO_SERVER: 1}


def test_requests_are_counted_also_those_of_a_failed_poll() -> None:
    play = Play()
    play.poll()
    play.poll(after=30)
    before = play.view.health.requests["status", "200"]
    play.fail("changed", after=30)
    assert play.view.health.requests["status", "200"] == before + 2
    assert sum(play.view.health.request_timings["status"].counts) == before + 2


def test_the_steps_of_a_poll_are_timed() -> None:
    play = Play()
    play.cloud.slow = 1.0
    play.poll()
    steps = play.view.health.step_seconds
    assert steps == {
        "open": 1.0,
        "baseline": 1.0,
        "sweep": float(len(SWEEP)),
        "look": 3.0,
        "lookups": 0.0,
        "track": 0.0,
        "keep": 0.0,
    }


def test_the_microversion_is_shown() -> None:
    play = Play()
    play.poll()
    assert play.view.health.microversion == "2.80"


# --- what the view holds ---


def test_the_view_holds_the_threshold_of_every_live_pair() -> None:
    assert dict(Play().view.expected) == {(row.migration_type, row.status): row.expected for row in LIVE_ROWS}


def test_no_deadline_where_a_status_may_last_for_ever() -> None:
    play = Play(move("finished", -500, -400))
    play.poll()
    assert [each.deadline for each in play.view.live] == [None]


def test_an_unknown_status_has_its_threshold_under_its_own_name() -> None:
    play = Play()
    play.poll()
    play.cloud.put(move("odd", 5, 20, kind=LIVE))
    play.poll(after=30)
    assert play.view.expected[LIVE, "odd"] == 6 * HOUR
    assert [each.deadline for each in play.view.live] == [NOW + 20 + 6 * HOUR]


def test_settings_of_the_page_reach_the_view() -> None:
    play = Play(per_host=True, series_cap=7, interval=15.0)
    assert (play.view.per_host, play.view.series_cap, play.view.health.poll_interval) == (True, 7, 15.0)
