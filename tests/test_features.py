"""What is asked beyond the records, and when; what a failure of it costs; and what all of it tells in the end."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from exporter.domain.cloud import CloudError, ErrorKind, Feature
from exporter.domain.lifecycle import MigrationType, Reason
from exporter.domain.migration import Migration
from exporter.domain.server import MOVING_STATUSES, Action, Progress, Server, Step
from exporter.domain.view import CloudView
from exporter.features import PROGRESS_PER_POLL, SERVERS_PER_SWEEP
from exporter.poller import Poller
from exporter.questions import Settings
from exporter.store.state_file import StateFile
from tests.domain.records import COLD, EVACUATION, LIVE, RESIZE, record
from tests.test_poller import LIMITS, NOW, FakeCloud, Play, Question, Time, move

ALL = frozenset(Feature)
EXACT = frozenset({Feature.EXACT_DURATIONS})
DIAGNOSIS = frozenset({Feature.DIAGNOSIS})
PROGRESS = frozenset({Feature.LIVE_PROGRESS})

#: The questions of a sweep about servers in a moving status.
MOVING: list[Question] = [("servers", status) for status in MOVING_STATUSES]

_BEYOND = frozenset({"servers", "show", "services", "actions", "steps", "progress"})


def beyond(questions: Iterable[Question]) -> list[Question]:
    """Return those questions that are not about records."""
    return [each for each in questions if each[0] in _BEYOND]


def about(questions: Iterable[Question], question: str) -> list[str]:
    """Return what a question was asked about."""
    return [str(detail) for name, detail in questions if name == question]


def server(
    uuid: str, status: str, task_state: str | None = None, vm_state: str = "active", host: str = "src"
) -> Server:
    """Return the server of a record."""
    return Server(f"server of {uuid}", status, vm_state=vm_state, task_state=task_state, host=host)


def put_servers(play: Play, *servers: Server) -> None:
    play.cloud.servers |= {each.id: each for each in servers}


def moved(created: float, uuid: str = "m") -> list[Action]:
    """Return what Nova notes of a resize created at a time of the play, and confirmed: 1, 2, 3, 4 and 1 seconds."""
    begun = NOW + created
    steps = (
        Step("compute_resize_instance", begun + 1, begun + 3, ok=True),
        Step("compute_finish_resize", begun + 3.1, begun + 6, ok=True),
    )
    confirmed = Step("compute_confirm_resize", begun + 10, begun + 11, ok=True)
    return [
        Action("resize", f"req-resize-{uuid}", begun - 0.2, steps),
        Action("confirmResize", f"req-confirm-{uuid}", begun + 10, (confirmed,)),
    ]


LENGTHS = {"pre-migrating": 1.0, "migrating": 2.0, "post-migrating": 3.0, "finished": 4.0, "confirming": 1.0}


def pass_by(play: Play, *uuids: str, created: float = 10.0) -> None:
    """Let resizes begin and be confirmed between two polls, each a moment after the one before."""
    for place, uuid in enumerate(uuids):
        begun = created + place / 1000
        play.cloud.done[f"server of {uuid}"] = moved(begun, uuid)
        play.cloud.put(move("confirmed", begun, begun + 11, uuid))


def observed(view: CloudView) -> dict[str, float]:
    """Return the seconds observed in each status of resizes."""
    books = view.totals.status_durations.items()
    return {status: each.total for (kind, status), each in books if kind is RESIZE and each.count}


def unobserved(view: CloudView) -> dict[str, int]:
    """Return how many statuses of resizes were passed without a proven length."""
    return {status: count for (kind, status), count in view.totals.unobserved.items() if kind is RESIZE and count}


def features(play: Play) -> dict[Feature, bool]:
    """Return what the view says of the features."""
    return dict(play.view.health.features)


def refuse(play: Play, question: str, kind: ErrorKind) -> None:
    play.cloud.broken = {question: CloudError(kind, "no answer")}


def sweep(play: Play) -> list[Question]:
    """Let the time come for a sweep, poll, and return the questions beyond the records."""
    return beyond(play.asked(after=300))


# --- what is asked ---


def test_with_all_features_off_nothing_is_asked_beyond_the_records() -> None:
    play = Play(move("migrating", -500, -400), move("running", -500, -400, "live", LIVE))
    for _ in range(3):
        pass_by(play, "over")
        assert beyond(play.asked(after=300)) == []
    assert features(play) == {}


def test_a_first_poll_asks_for_the_servers_in_a_moving_status_and_for_nothing_else() -> None:
    play = Play(move("migrating", -500, -400), move("running", -500, -400, "live", LIVE), features=ALL)
    assert beyond(play.asked()) == MOVING
    assert features(play) == dict.fromkeys(ALL, True)
    assert play.view.health.up


def test_a_sweep_asks_for_servers_by_status_then_for_the_others_of_live_records_then_for_hosts_that_must_act() -> None:
    play = Play(
        record(RESIZE, "migrating", NOW - 500, NOW - 400, uuid="a", server="server of a", source="h1", dest="h2"),
        record(RESIZE, "post-migrating", NOW - 500, NOW - 400, uuid="b", server="server of b", source="h3", dest="h4"),
        record(RESIZE, "finished", NOW - 500, NOW - 400, uuid="c", server="server of c", source="h5", dest="h6"),
        record(LIVE, "accepted", NOW - 500, uuid="d", server="server of d", source="h7"),
        features=DIAGNOSIS,
    )
    put_servers(play, server("a", "RESIZE", "resize_migrating"), server("c", "VERIFY_RESIZE", vm_state="resized"))
    play.poll()
    assert sweep(play) == [*MOVING, ("show", "server of b"), ("show", "server of d"), ("services", "h1,h4")]


def test_a_look_asks_for_no_server_and_no_host() -> None:
    play = Play(move("migrating", -500, -400), features=DIAGNOSIS)
    play.poll()
    assert beyond(play.asked(after=30)) == []
    assert features(play) == {Feature.DIAGNOSIS: True}


def test_no_host_is_asked_for_where_none_must_act() -> None:
    play = Play(move("finished", -500, -400), features=DIAGNOSIS)
    play.poll()
    assert sweep(play) == [*MOVING, ("show", "server of m")]


def test_servers_of_ignored_records_are_not_looked_at() -> None:
    play = Play(move("migrating", -500, -400), features=ALL, ignore_ids=frozenset({"m"}))
    play.poll()
    assert sweep(play) == MOVING


def test_so_many_servers_are_looked_at_in_a_sweep_and_all_in_turn() -> None:
    names = [f"m{place:03}" for place in range(120)]
    play = Play(*(move("finished", -500, -400, name) for name in names), features=DIAGNOSIS)
    play.poll()
    turns = [[each.removeprefix("server of ") for each in about(sweep(play), "show")] for _ in range(3)]
    assert SERVERS_PER_SWEEP == 50
    assert turns == [names[:50], names[50:100], [*names[100:], *names[:30]]]


def test_the_actions_of_a_record_are_read_in_the_poll_after_its_end_and_once() -> None:
    play = Play(features=EXACT)
    play.poll()
    pass_by(play, "m")
    assert beyond(play.asked(after=30)) == []
    assert observed(play.view) == {}
    asked = beyond(play.asked(after=30))
    assert asked == [("actions", "server of m"), ("steps", "req-resize-m"), ("steps", "req-confirm-m")]
    assert observed(play.view) == pytest.approx(LENGTHS)
    assert unobserved(play.view) == {}
    assert beyond(play.asked(after=30)) == []


def test_a_record_that_polls_saw_in_every_status_is_not_read_at_all() -> None:
    play = Play(features=EXACT)
    play.poll()
    for status, stamp in [
        ("migrating", 11),
        ("post-migrating", 13),
        ("finished", 16),
        ("confirming", 20),
        ("confirmed", 21),
    ]:
        play.cloud.put(move(status, 10, stamp))
        assert beyond(play.asked(after=1)) == []
    assert observed(play.view) == pytest.approx(LENGTHS)


def test_the_lengths_of_a_recent_end_are_shown_in_the_order_of_the_lifecycle() -> None:
    play = Play(features=EXACT)
    play.poll()
    play.cloud.done["server of m"] = moved(10)
    for status, stamp in [("migrating", 11), ("finished", 16), ("confirmed", 21)]:
        play.cloud.put(move(status, 10, stamp))
        play.poll(after=0.5)
    play.poll(after=100)
    [end] = play.view.recent
    assert list(end.durations) == list(LENGTHS)
    assert end.durations == pytest.approx(LENGTHS)
    assert (end.status, end.ended) == ("confirmed", NOW + 21)


@pytest.mark.parametrize(("budget", "a_poll"), [(50, 16), (10, 3), (3, 1), (2, 1), (1, 1)])
def test_so_many_requests_for_actions_are_made_in_a_poll_and_the_oldest_record_comes_first(
    budget: int, a_poll: int
) -> None:
    names = [f"m{place:03}" for place in range(40)]
    play = Play(features=EXACT, action_requests=budget, sweep_interval=math.inf)
    play.poll()
    pass_by(play, *names[20:])
    play.poll(after=30)
    pass_by(play, *names[:20], created=40.0)
    in_turn: list[str] = []
    for _ in range(100):
        asked = beyond(play.asked(after=30))
        assert len(asked) <= max(3, budget)
        read = about(asked, "actions")
        assert len(read) == min(a_poll, 40 - len(in_turn))
        in_turn += [each.removeprefix("server of ") for each in read]
    assert in_turn == [*names[20:], *names[:20]]
    assert unobserved(play.view) == {}
    assert sum(each.count for each in play.view.totals.status_durations.values()) == 40 * len(LENGTHS)


def test_without_a_budget_nothing_is_asked_and_what_the_stamps_prove_counts_at_once() -> None:
    play = Play(features=EXACT, action_requests=0)
    play.poll()
    pass_by(play, "m")
    play.poll(after=30)
    assert unobserved(play.view) == dict.fromkeys(LENGTHS, 1)
    assert beyond(play.asked(after=30)) == []


def running(uuid: str, heartbeat: float = -10) -> Migration:
    """Return a running live migration."""
    return move("running", -500, heartbeat, uuid, LIVE)


def test_progress_is_read_in_every_poll_of_running_live_migrations_alone() -> None:
    play = Play(
        running("a"), move("queued", -500, -400, "b", LIVE), move("running (post-copy)", -500, -400, "c", LIVE),
        move("migrating", -500, -400, "d"), features=PROGRESS,
    )  # fmt: skip
    play.cloud.moved["server of a"] = {"a": Progress(100, 60, 40, 0, 0, 0), "other": Progress()}
    play.poll()
    assert beyond(play.asked(after=30)) == [("progress", "server of a")]
    shown = {each.migration.uuid: each.progress for each in play.view.live}
    assert shown == {"a": Progress(100, 60, 40, 0, 0, 0), "b": None, "c": None, "d": None}
    assert beyond(play.asked(after=300)) == [("progress", "server of a")]
    play.cloud.put(move("completed", -500, 320, "a", LIVE))
    play.poll(after=30)
    assert beyond(play.asked(after=30)) == []


def test_the_progress_of_so_many_is_read_in_a_poll_and_of_all_in_turn() -> None:
    names = [f"m{place:03}" for place in range(50)]
    play = Play(*(running(name) for name in names), features=PROGRESS)
    play.poll()
    turns = [[each.removeprefix("server of ") for each in about(play.asked(after=30), "progress")] for _ in range(3)]
    assert PROGRESS_PER_POLL == 20
    assert turns == [names[:20], names[20:40], [*names[40:], *names[:10]]]


def test_the_features_have_half_of_the_time_that_is_left_of_a_poll() -> None:
    play = Play(running("live"), move("migrating", -500, -400), features=ALL, deadline=120.0)
    play.poll()
    assert play.cloud.deadlines == {120.0, 60.0}
    pass_by(play, "over")
    play.poll(after=30)
    play.cloud.deadlines.clear()
    play.cloud.slow = 1.0
    at = play.time.passed + 300
    asked = play.asked(after=300)
    records = len(asked) - len(beyond(asked)) + 1  # a login is no question, but takes its time
    assert beyond(asked)[-1] == ("progress", "server of live")
    assert play.cloud.deadlines == {at + 120, at + records + (120 - records) / 2}


# --- rights ---


def test_of_a_user_whom_nova_takes_for_no_admin_nothing_is_asked_by_id() -> None:
    play = Play(running("live"), features=ALL)
    play.cloud.admin = False
    play.poll()
    pass_by(play, "over")
    play.poll(after=30)
    asked = sweep(play)
    assert {question for question, _ in asked} == {"servers", "show", "services"}
    assert features(play) == {Feature.EXACT_DURATIONS: False, Feature.DIAGNOSIS: True, Feature.LIVE_PROGRESS: False}
    assert play.view.health.up
    assert unobserved(play.view) == dict.fromkeys(LENGTHS, 1)


def test_what_waits_when_a_user_is_no_admin_any_more_counts_as_the_stamps_prove_it() -> None:
    play = Play(features=EXACT)
    play.poll()
    pass_by(play, "m")
    play.poll(after=30)
    assert unobserved(play.view) == {}
    play.cloud.admin = False
    assert beyond(play.asked(after=30)) == []
    assert unobserved(play.view) == dict.fromkeys(LENGTHS, 1)
    assert observed(play.view) == {}


@pytest.mark.parametrize("question", ["actions", "steps"])
def test_actions_that_may_not_be_read_are_not_asked_for_again_before_the_next_sweep(question: str) -> None:
    play = Play(features=EXACT)
    play.poll()
    pass_by(play, "a", "b")
    play.poll(after=30)
    refuse(play, question, ErrorKind.FORBIDDEN)
    assert about(play.asked(after=30), "actions") == ["server of a"]
    assert (features(play), play.view.health.up) == ({Feature.EXACT_DURATIONS: False}, True)
    assert unobserved(play.view) == dict.fromkeys(LENGTHS, 2)
    pass_by(play, "c", created=70)
    for _ in range(5):
        assert beyond(play.asked(after=30)) == []
    assert unobserved(play.view) == dict.fromkeys(LENGTHS, 3)
    play.poll(after=100)
    assert features(play) == {Feature.EXACT_DURATIONS: False}
    play.cloud.broken = {}
    pass_by(play, "d", created=330)
    play.poll(after=30)
    assert about(play.asked(after=30), "actions") == ["server of d"]
    assert features(play) == {Feature.EXACT_DURATIONS: True}
    assert observed(play.view) == pytest.approx(LENGTHS)


def test_progress_that_may_not_be_read_is_not_asked_for_again_before_the_next_sweep() -> None:
    play = Play(running("live"), features=PROGRESS)
    play.poll()
    refuse(play, "progress", ErrorKind.FORBIDDEN)
    assert beyond(play.asked(after=30)) == [("progress", "server of live")]
    assert (features(play), play.view.health.up) == ({Feature.LIVE_PROGRESS: False}, True)
    assert beyond(play.asked(after=30)) == []
    play.cloud.broken = {}
    assert beyond(play.asked(after=240)) == [("progress", "server of live")]
    assert features(play) == {Feature.LIVE_PROGRESS: True}


@pytest.mark.parametrize("kind", ErrorKind)
@pytest.mark.parametrize("question", ["servers", "show", "services"])
def test_a_diagnosis_that_fails_is_not_available_and_costs_nothing_else(
    question: str, kind: ErrorKind, caplog: pytest.LogCaptureFixture
) -> None:
    play = Play(move("migrating", -500, -400), features=DIAGNOSIS)
    play.poll()
    refuse(play, question, kind)
    with caplog.at_level(logging.WARNING):
        assert play.poll(after=300)
        assert play.poll(after=300)
    assert caplog.messages == ["a feature is not available"]
    assert (features(play), play.view.health.up) == ({Feature.DIAGNOSIS: False}, True)
    play.cloud.broken = {}
    play.poll(after=300)
    assert features(play) == {Feature.DIAGNOSIS: True}


def test_a_fault_of_ours_costs_its_feature_and_no_more(caplog: pytest.LogCaptureFixture) -> None:
    play = Play(move("migrating", -500, -400), features=DIAGNOSIS)
    play.cloud.broken = {"servers": KeyError("ours")}
    with caplog.at_level(logging.ERROR):
        assert play.poll()
    assert "Traceback" in caplog.text
    assert (features(play), play.view.health.up) == ({Feature.DIAGNOSIS: False}, True)


def test_a_feature_that_fails_leaves_the_others_alone() -> None:
    play = Play(running("live"), features=ALL)
    play.poll()
    pass_by(play, "over")
    play.poll(after=30)
    refuse(play, "servers", ErrorKind.TIMEOUT)
    asked = sweep(play)
    assert (about(asked, "actions"), about(asked, "progress")) == (["server of over"], ["server of live"])
    assert features(play) == {Feature.EXACT_DURATIONS: True, Feature.DIAGNOSIS: False, Feature.LIVE_PROGRESS: True}


# --- failures that pass ---


@pytest.mark.parametrize("kind", [ErrorKind.TIMEOUT, ErrorKind.DEADLINE, ErrorKind.HTTP])
def test_actions_that_could_not_be_read_are_asked_for_again_behind_those_that_were_not_tried(kind: ErrorKind) -> None:
    play = Play(features=EXACT)
    play.poll()
    pass_by(play, "a", "b")
    play.poll(after=30)
    refuse(play, "actions", kind)
    assert about(play.asked(after=30), "actions") == ["server of a"]
    assert (features(play), play.view.health.up) == ({Feature.EXACT_DURATIONS: False}, True)
    assert (observed(play.view), unobserved(play.view)) == ({}, {})
    play.cloud.broken = {}
    assert about(play.asked(after=30), "actions") == ["server of b", "server of a"]
    assert observed(play.view) == pytest.approx({status: 2 * seconds for status, seconds in LENGTHS.items()})
    assert features(play) == {Feature.EXACT_DURATIONS: True}


def test_actions_that_can_never_be_read_are_tried_five_times_then_what_the_stamps_prove_counts() -> None:
    play = Play(features=EXACT)
    play.poll()
    pass_by(play, "m")
    play.poll(after=30)
    refuse(play, "steps", ErrorKind.TIMEOUT)
    for _ in range(5):
        assert unobserved(play.view) == {}
        assert beyond(play.asked(after=30)) == [("actions", "server of m"), ("steps", "req-resize-m")]
    assert unobserved(play.view) == dict.fromkeys(LENGTHS, 1)
    assert beyond(play.asked(after=30)) == []


def test_a_server_that_nova_does_not_know_any_more_is_not_asked_about_again() -> None:
    play = Play(features=EXACT)
    play.poll()
    pass_by(play, "m")
    del play.cloud.done["server of m"]
    play.poll(after=30)
    assert beyond(play.asked(after=30)) == [("actions", "server of m")]
    assert unobserved(play.view) == dict.fromkeys(LENGTHS, 1)
    assert beyond(play.asked(after=30)) == []
    assert features(play) == {Feature.EXACT_DURATIONS: True}


def test_steps_that_nova_has_not_noted_yet_are_read_again() -> None:
    play = Play(features=EXACT)
    play.poll()
    pass_by(play, "m")
    whole = play.cloud.done["server of m"]
    resized, confirmed = whole
    play.cloud.done["server of m"] = [replace(resized, steps=resized.steps[:1]), confirmed]
    play.poll(after=30)
    play.poll(after=30)
    assert (observed(play.view), unobserved(play.view)) == ({}, {})
    play.cloud.done["server of m"] = whole
    play.poll(after=30)
    assert observed(play.view) == pytest.approx(LENGTHS)


def test_steps_that_nova_never_notes_are_not_waited_for_for_ever() -> None:
    play = Play(features=EXACT)
    play.poll()
    pass_by(play, "m")
    resized, confirmed = play.cloud.done["server of m"]
    play.cloud.done["server of m"] = [replace(resized, steps=resized.steps[:1]), confirmed]
    for _ in range(4):
        play.poll(after=30)
    assert observed(play.view) == pytest.approx({"pre-migrating": 1.0, "migrating": 2.0, "confirming": 1.0})
    assert unobserved(play.view) == {"post-migrating": 1, "finished": 1}


def test_progress_that_could_not_be_read_stays_as_it_was() -> None:
    play = Play(running("live"), features=PROGRESS)
    play.cloud.moved["server of live"] = {"live": Progress(100, 60, 40)}
    play.poll()
    play.poll(after=30)
    refuse(play, "progress", ErrorKind.TIMEOUT)
    play.poll(after=30)
    assert [each.progress for each in play.view.live] == [Progress(100, 60, 40)]
    assert features(play) == {Feature.LIVE_PROGRESS: False}
    assert beyond(play.asked(after=30)) == [("progress", "server of live")]


def test_a_poll_that_fails_asks_nothing_beyond() -> None:
    play = Play(move("migrating", -500, -400), features=ALL)
    play.poll()
    play.cloud.asks()
    play.fail("changed", after=300)
    assert beyond(play.cloud.asks()) == []


# --- why a record is stuck ---

GONE_HOME = server("m", "ACTIVE")
MOVES_ON = server("m", "RESIZE", "resize_migrating")


def reasons(play: Play) -> list[Reason | None]:
    """Return why each live record is stuck."""
    return [None if each.stuck is None else each.stuck.reason for each in play.view.live]


def watched(*servers: Server) -> Play:
    """Return a play in which a resize migrates that began after the first look."""
    play = Play(features=DIAGNOSIS)
    play.poll()
    play.cloud.put(move("migrating", 10, 20))
    play.cloud.services["src"] = True
    put_servers(play, *servers)
    play.poll(after=30)
    return play


def test_a_record_whose_server_is_in_no_move_is_orphaned_after_two_sweeps() -> None:
    play = watched(GONE_HOME)
    sweep(play)
    assert reasons(play) == [None]
    play.poll(after=30)
    assert reasons(play) == [None]
    sweep(play)
    assert reasons(play) == [Reason.ORPHANED]
    [live] = play.view.live
    assert live.stuck is not None
    assert live.stuck.since == NOW + 330
    assert live.server == GONE_HOME
    assert play.view.totals.became_stuck[RESIZE, "migrating"] == 1


def test_a_record_whose_server_agrees_is_not_stuck_before_its_time_and_overdue_then() -> None:
    play = watched(MOVES_ON)
    for _ in range(3):
        sweep(play)
    assert reasons(play) == [None]
    play.poll(after=7200)
    assert reasons(play) == [Reason.OVERDUE]


def test_a_record_whose_source_is_down_is_stuck_after_two_sweeps_and_not_when_it_is_up_again_for_two() -> None:
    play = watched(MOVES_ON)
    play.cloud.services["src"] = False
    sweep(play)
    assert reasons(play) == [None]
    sweep(play)
    assert reasons(play) == [Reason.SOURCE_DOWN]
    play.cloud.services["src"] = True
    sweep(play)
    assert reasons(play) == [Reason.SOURCE_DOWN]
    sweep(play)
    assert reasons(play) == [None]


@pytest.mark.parametrize("question", ["servers", "show", "services"])
def test_a_look_up_that_fails_keeps_the_last_reason(question: str) -> None:
    play = watched(GONE_HOME)
    sweep(play)
    sweep(play)
    refuse(play, question, ErrorKind.TIMEOUT)
    for _ in range(3):
        sweep(play)
        assert reasons(play) == [Reason.ORPHANED]
    assert [each.server for each in play.view.live] == [GONE_HOME]


def test_sweeps_between_which_one_failed_agree_all_the_same() -> None:
    play = watched(GONE_HOME)
    sweep(play)
    refuse(play, "servers", ErrorKind.TIMEOUT)
    sweep(play)
    assert reasons(play) == [None]
    play.cloud.broken = {}
    sweep(play)
    assert reasons(play) == [Reason.ORPHANED]


def test_a_server_that_nova_does_not_show_says_nothing() -> None:
    play = watched()
    for _ in range(3):
        sweep(play)
    assert reasons(play) == [None]


def test_with_the_diagnosis_off_a_record_is_stuck_by_its_time_alone() -> None:
    play = Play(features=EXACT)
    play.poll()
    play.cloud.put(move("migrating", 10, 20))
    put_servers(play, GONE_HOME)
    play.poll(after=30)
    for _ in range(3):
        sweep(play)
    assert reasons(play) == [None]
    play.poll(after=7200)
    assert reasons(play) == [Reason.UNDIAGNOSED]


# --- servers that no record explains ---


def stranded(play: Play) -> dict[str, float]:
    """Return the servers that are shown as stranded, and since when."""
    return {each.server.id: each.since for each in play.view.stranded}


def test_a_server_that_no_record_explains_is_stranded_after_two_sweeps_and_ten_minutes() -> None:
    play = Play(features=DIAGNOSIS)
    put_servers(play, server("m", "REVERT_RESIZE", "resize_reverting", "resized"))
    for _ in range(3):
        sweep(play)
    first = play.time.passed - 600
    assert stranded(play) == {"server of m": NOW + first}
    put_servers(play, GONE_HOME)
    sweep(play)
    assert stranded(play) == {}


def test_two_sweeps_are_not_enough_and_neither_are_ten_minutes_without_a_second() -> None:
    play = Play(features=DIAGNOSIS)
    put_servers(play, server("m", "REVERT_RESIZE", "resize_reverting", "resized"))
    sweep(play)
    sweep(play)
    assert stranded(play) == {}
    play = Play(features=DIAGNOSIS, sweep_interval=3600.0)
    put_servers(play, server("m", "REVERT_RESIZE", "resize_reverting", "resized"))
    play.poll()
    play.poll(after=1200)
    assert stranded(play) == {}
    play.poll(after=2400)
    assert stranded(play) == {"server of m": NOW}


def test_a_sweep_that_fails_leaves_the_stranded_as_they_were() -> None:
    play = Play(features=DIAGNOSIS)
    put_servers(play, server("m", "REVERT_RESIZE", "resize_reverting", "resized"))
    for _ in range(3):
        sweep(play)
    before = stranded(play)
    refuse(play, "servers", ErrorKind.TIMEOUT)
    sweep(play)
    assert stranded(play) == before != {}


REBUILT = server("m", "REBUILD", "rebuild_spawning")


def done(*names: str) -> list[Action]:
    """Return actions of a server, the last of them the newest."""
    return [Action(name, f"req-{place}", NOW - 1000 + place) for place, name in enumerate(names)]


@pytest.mark.parametrize(
    ("actions", "evacuated"),
    [
        (done("create", "evacuate"), True),
        (done("create", "evacuate", "rebuild"), False),
        (done("create", "rebuild"), False),
        (done("rebuild", "evacuate"), True),
        ([], False),
        (None, False),
    ],
)
def test_a_server_in_rebuild_is_stranded_only_if_its_newest_action_is_an_evacuation(
    actions: list[Action] | None, evacuated: bool
) -> None:
    play = Play(features=DIAGNOSIS)
    put_servers(play, REBUILT)
    if actions is not None:
        play.cloud.done[REBUILT.id] = actions
    for _ in range(3):
        assert sweep(play) == [*MOVING, ("actions", REBUILT.id)]
    assert (REBUILT.id in stranded(play)) is evacuated


@pytest.mark.parametrize(
    ("records", "evacuated"),
    [
        ([(EVACUATION, "completed", -500)], True),
        ([(EVACUATION, "completed", -900), (COLD, "confirmed", -500)], False),
        ([(COLD, "confirmed", -900), (EVACUATION, "error", -500)], True),
        ([], False),
    ],
)
def test_where_actions_may_not_be_read_the_newest_record_tells_of_a_server_in_rebuild(
    records: list[tuple[MigrationType, str, float]], evacuated: bool
) -> None:
    rows = [
        record(kind, status, NOW + created, NOW + created + 1, uuid=f"m{place}", server=REBUILT.id)
        for place, (kind, status, created) in enumerate(records)
    ]
    play = Play(*rows, features=DIAGNOSIS)
    play.cloud.admin = False
    put_servers(play, REBUILT)
    for _ in range(3):
        asked = play.asked(after=300)
        assert (beyond(asked), asked[-1]) == (MOVING, ("server", REBUILT.id))
    assert (REBUILT.id in stranded(play)) is evacuated


def test_a_server_in_rebuild_that_a_live_record_explains_is_not_asked_about() -> None:
    play = Play(move("pre-migrating", -500, -400, kind=EVACUATION), features=DIAGNOSIS)
    put_servers(play, REBUILT)
    play.poll()
    assert sweep(play) == MOVING


def test_so_many_servers_in_rebuild_are_asked_about_in_a_sweep_those_first_that_were_evacuated() -> None:
    names = [f"m{place:03}" for place in range(120)]
    play = Play(features=DIAGNOSIS)
    put_servers(play, *(server(name, "REBUILD", "rebuilding") for name in names))
    play.cloud.done = {f"server of {name}": done("rebuild") for name in names}
    play.cloud.done["server of m049"] = done("rebuild", "evacuate")
    turns = [[each.removeprefix("server of ") for each in about(sweep(play), "actions")] for _ in range(3)]
    assert turns == [names[:50], ["m049", *names[50:99]], ["m049", *names[99:], *names[:28]]]
    assert stranded(play).keys() == {"server of m049"}


# --- what survives ---


class Lasting:
    """Pollers one after the other that watch one cloud with one state file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.features = ALL
        self.time = Time()
        self.cloud = FakeCloud(self.time)
        self.views: list[CloudView] = []
        self.store = StateFile(path)
        self.poller = self._poller()

    def _poller(self) -> Poller:
        settings = Settings("one", LIMITS, features=self.features, action_requests=3, sweep_interval=300.0)
        return Poller(
            settings, self.cloud, self.views.append, self.store, clock=self.time.clock, monotonic=self.time.monotonic
        )

    def restart(self) -> None:
        """End the process and begin another."""
        self.store.close()
        self.store = StateFile(self.path)
        self.poller = self._poller()

    def asked(self, after: float = 30.0) -> list[Question]:
        """Let time pass, poll, and return the questions."""
        self.time.passed += after
        self.cloud.asks()
        assert self.poller.poll()
        return self.cloud.asks()


@pytest.fixture
def lasting(tmp_path: Path) -> Iterable[Lasting]:
    play = Lasting(tmp_path / "state.db")
    yield play
    play.store.close()


def test_what_is_to_be_read_survives_a_restart_and_the_oldest_comes_first(lasting: Lasting) -> None:
    lasting.asked()
    for place, uuid in enumerate(("z", "a")):
        lasting.cloud.put(move("confirmed", 40 + 30 * place, 51 + 30 * place, uuid))
        lasting.cloud.done[f"server of {uuid}"] = moved(40 + 30 * place, uuid)
        lasting.cloud.broken = {"actions": CloudError(ErrorKind.TIMEOUT, "no answer")} if uuid == "a" else {}
        lasting.asked()
    lasting.cloud.broken = {}
    read: list[str] = []
    for _ in range(3):
        lasting.restart()
        read += about(lasting.asked(), "actions")
    assert read == ["server of a", "server of z"]  # z was tried before, and waits for those that were not
    assert observed(lasting.views[-1]) == pytest.approx({status: 2 * seconds for status, seconds in LENGTHS.items()})
    assert unobserved(lasting.views[-1]) == {}


def test_a_verdict_of_one_sweep_survives_a_restart(lasting: Lasting) -> None:
    lasting.asked()
    lasting.cloud.put(move("migrating", 40, 50))
    lasting.cloud.servers[GONE_HOME.id] = GONE_HOME
    lasting.asked()
    lasting.asked(after=300)
    assert [each.stuck for each in lasting.views[-1].live] == [None]
    lasting.restart()
    lasting.asked(after=300)
    assert [each.stuck and each.stuck.reason for each in lasting.views[-1].live] == [Reason.ORPHANED]


def test_with_the_diagnosis_switched_off_what_it_said_is_forgotten(lasting: Lasting) -> None:
    lasting.asked()
    lasting.cloud.put(move("migrating", 40, 50))
    stranded = Server("s", "REVERT_RESIZE", vm_state="resized", task_state="resize_reverting")
    lasting.cloud.servers |= {GONE_HOME.id: GONE_HOME, stranded.id: stranded}
    for _ in range(4):
        lasting.asked(after=300)
    assert [each.stuck and each.stuck.reason for each in lasting.views[-1].live] == [Reason.ORPHANED]
    assert [each.server for each in lasting.views[-1].stranded] == [stranded]
    for features in (ALL - DIAGNOSIS, ALL):
        lasting.features = features
        lasting.restart()
        lasting.asked()
        assert [each.stuck for each in lasting.views[-1].live] == [None], features
        assert lasting.views[-1].stranded == (), features


def test_what_strands_survives_a_restart(lasting: Lasting) -> None:
    lasting.cloud.servers["server of m"] = server("m", "REVERT_RESIZE", "resize_reverting", "resized")
    lasting.asked()
    lasting.restart()
    lasting.asked(after=600)
    assert [each.since for each in lasting.views[-1].stranded] == [NOW + 30]


def test_who_becomes_an_admin_has_all_features_at_once() -> None:
    play = Play(move("migrating", -500, -400), features=ALL)
    play.cloud.admin = False
    play.poll()
    assert features(play) == {Feature.DIAGNOSIS: True, Feature.EXACT_DURATIONS: False, Feature.LIVE_PROGRESS: False}
    play.cloud.admin = True
    play.poll(after=30)
    assert features(play) == dict.fromkeys(ALL, True)
