"""The laws of the tracker, each as a table of successive snapshots and the events expected after each."""

from __future__ import annotations

import pytest

from exporter.domain.cloud import Deletion
from exporter.domain.events import Event
from exporter.domain.lifecycle import MigrationType
from exporter.domain.migration import Migration
from exporter.domain.snapshot import Snapshot
from exporter.domain.tracker import END_MEMORY, UNSEEN_MEMORY, Tracker
from tests.domain.records import (
    COLD,
    DAY,
    EVACUATION,
    HOUR,
    LIVE,
    RESIZE,
    Short,
    Step,
    after_empty_table,
    play,
    record,
    short,
)

NEWEST = record(RESIZE, "confirmed", 50, 60, uuid="newest")

Shorts = tuple[Short, ...]

#: What a resize says that is first seen migrating, four seconds after its creation.
MIGRATING: Shorts = (("began", "m"), ("left", "m", "pre-migrating", 4))
#: What a live migration says that is first seen failed, two seconds after its creation.
FAILED_AT_ONCE: Shorts = (
    ("began", "m"),
    ("left", "m", "accepted", None),
    ("moved", "m", "failure", 2),
    ("ended", "m", "error", "failure"),
)


# --- the baseline ---


def test_the_first_look_counts_neither_what_lives_nor_what_has_ended() -> None:
    old = record(RESIZE, "migrating", 10, 20, uuid="old")
    tracker = play([Step(100, (old, NEWEST), newest=NEWEST), Step(130, (old, NEWEST))])
    assert set(tracker.live) == {"old"}


def test_what_was_live_at_the_baseline_and_ends_later_counts_with_its_true_creation() -> None:
    queued = record(LIVE, "queued", 10, 40)
    ended: Shorts = (
        ("left", "m", "queued", None),
        ("left", "m", "preparing", None),
        ("left", "m", "running", None),
        ("moved", "m", "success", 100),
        ("ended", "m", "completed", "success"),
    )
    play([Step(100, (queued,), newest=queued), Step(130, (record(LIVE, "completed", 10, 110),), ended)])


def test_what_was_over_at_the_baseline_has_no_duration_of_the_move() -> None:
    finished = record(RESIZE, "finished", 10, 40)
    play(
        [
            Step(100, (finished,), newest=finished),
            Step(160, (record(RESIZE, "confirming", 10, 140),), (("left", "m", "finished", 100),)),
            Step(
                190,
                (record(RESIZE, "confirmed", 10, 145),),
                (("left", "m", "confirming", 5), ("ended", "m", "confirmed", "success")),
            ),
        ]
    )


def test_after_an_empty_table_all_is_new() -> None:
    after_empty_table(Step(30, (record(RESIZE, "pre-migrating", 5),), (("began", "m"),)))


def test_the_newest_record_is_part_of_the_first_look_even_if_nothing_else_shows_it() -> None:
    live = record(RESIZE, "finished", 50, 60)
    tracker = play([Step(100, (), newest=live), Step(130, (live,))])
    assert set(tracker.live) == {"m"}


def test_a_record_created_after_the_baseline_and_first_seen_ended_counts() -> None:
    play([Step(100, (), newest=NEWEST), Step(130, (record(LIVE, "error", 101, 103),), FAILED_AT_ONCE)])


def test_a_record_of_before_the_baseline_first_seen_ended_counts_nothing() -> None:
    play([Step(100, (), newest=NEWEST), Step(130, (record(LIVE, "error", 49, 105),))])


def test_a_record_of_before_the_baseline_first_seen_live_is_live_at_the_baseline_and_did_not_begin() -> None:
    play(
        [
            Step(100, (), newest=NEWEST),
            Step(130, (record(RESIZE, "finished", 10, 40),)),
            Step(160, (record(RESIZE, "confirming", 10, 140),), (("left", "m", "finished", 100),)),
        ]
    )


def test_a_record_created_in_the_second_of_a_newest_long_past_was_there_before() -> None:
    newest = record(LIVE, "completed", 50, 60, uuid="newest")
    play([Step(3 * HOUR, (), newest=newest), Step(4 * HOUR, (record(LIVE, "completed", 50, 61),))])


def test_a_record_created_in_the_second_of_the_newest_at_the_first_look_itself_is_new() -> None:
    newest = record(LIVE, "accepted", 100, uuid="newest")
    play([Step(100, (newest,), newest=newest), Step(130, (newest, record(LIVE, "accepted", 100)), (("began", "m"),))])


def test_an_end_that_the_first_poll_shows_is_never_counted() -> None:
    newest = record(LIVE, "completed", 95, 99)
    play([Step(100, (), newest=newest), Step(130, (newest,))])


def test_a_correction_of_an_end_that_was_not_counted_is_not_counted() -> None:
    newest = record(EVACUATION, "done", 95, 99)
    play([Step(100, (), newest=newest), Step(130, (record(EVACUATION, "completed", 95, 120),))])


@pytest.mark.parametrize(("created", "expected"), [(7, FAILED_AT_ONCE), (6, ())])
def test_a_record_first_seen_ended_thirty_days_after_its_creation_does_not_count(
    created: float, expected: Shorts
) -> None:
    over = record(LIVE, "error", created, created + 2)
    after_empty_table(Step(END_MEMORY + 6, (over,), expected), Step(END_MEMORY + 36, (over,)))


# --- the same again, and back ---


def test_the_same_record_twice_is_nothing() -> None:
    moving = record(RESIZE, "migrating", 5, 9)
    after_empty_table(Step(30, (moving, moving), MIGRATING), Step(60, (moving,)), Step(90, (moving, moving)))


def test_the_same_end_twice_is_nothing() -> None:
    over = record(LIVE, "error", 7, 9)
    after_empty_table(Step(30, (over, over), FAILED_AT_ONCE), Step(60, (over,)), Step(90, (over,)))


def test_a_live_record_never_goes_back() -> None:
    tracker = after_empty_table(
        Step(30, (record(RESIZE, "migrating", 5, 9),), MIGRATING),
        Step(60, (record(RESIZE, "pre-migrating", 5, 8),)),
        Step(90, (record(RESIZE, "pre-migrating", 5, 80),)),
    )
    assert tracker.live["m"].migration.status == "migrating"


def test_an_ended_record_never_lives_again() -> None:
    tracker = after_empty_table(
        Step(30, (record(LIVE, "error", 7, 9),), FAILED_AT_ONCE),
        Step(60, (record(LIVE, "running", 7, 50),)),
    )
    assert tracker.live == {}


def test_a_clock_that_is_behind_does_not_keep_a_record_from_going_on() -> None:
    after_empty_table(
        Step(30, (record(RESIZE, "migrating", 5, 9),), MIGRATING),
        Step(60, (record(RESIZE, "post-migrating", 5, 8),), (("left", "m", "migrating", None),)),
    )


@pytest.mark.parametrize("turn", [1, -1])
def test_of_two_answers_for_one_record_the_one_further_along_wins(turn: int) -> None:
    answers = (record(RESIZE, "migrating", 5, 9), record(RESIZE, "post-migrating", 5, 9))
    events: Shorts = (("began", "m"), ("left", "m", "pre-migrating", None), ("left", "m", "migrating", None))
    tracker = after_empty_table(Step(30, answers[::turn], events))
    assert tracker.live["m"].migration.status == "post-migrating"


@pytest.mark.parametrize("turn", [1, -1])
@pytest.mark.parametrize("updated", [8, 5])
def test_of_two_answers_in_one_status_the_newer_wins(updated: float, turn: int) -> None:
    earlier, later = record(RESIZE, "pre-migrating", 5), record(RESIZE, "pre-migrating", 5, updated, dest="dst")
    tracker = after_empty_table(Step(30, (earlier, later)[::turn], (("began", "m"),)))
    assert tracker.live["m"].migration == later


@pytest.mark.parametrize("turn", [1, -1])
def test_of_two_answers_written_in_one_second_the_one_that_tells_more_wins(turn: int) -> None:
    answers = (record(RESIZE, "migrating", 5, 9, dest=None), record(RESIZE, "migrating", 5, 9, dest="dst"))
    tracker = after_empty_table(Step(30, answers[::turn], MIGRATING))
    assert tracker.live["m"].migration.dest_host == "dst"


@pytest.mark.parametrize("turn", [1, -1])
def test_the_stale_twin_of_a_cross_cell_move_changes_nothing(turn: int) -> None:
    twin = record(RESIZE, "post-migrating", 5, 50)
    real, over = record(RESIZE, "finished", 5, 70), record(RESIZE, "confirmed", 5, 400)
    began: Shorts = (("began", "m"), ("left", "m", "pre-migrating", None), ("left", "m", "migrating", None))
    finished: Shorts = (("left", "m", "post-migrating", 20), ("moved", "m", "success", 65))
    confirmed: Shorts = (
        ("left", "m", "finished", 330),
        ("left", "m", "confirming", None),
        ("ended", "m", "confirmed", "success"),
    )
    tracker = after_empty_table(
        Step(60, (twin,), began),
        Step(90, (twin, real)[::turn], finished),
        Step(120, (twin,)),
        Step(390, (twin, real)[::turn]),
        Step(420, (twin, over)[::turn], confirmed),
        Step(450, (twin,)),
        Step(END_MEMORY + HOUR, (twin,)),
        Step(END_MEMORY + 2 * HOUR, (twin,)),
    )
    assert tracker.live == {}


# --- a status is entered once ---


def test_a_claim_and_a_reschedule_do_not_move_the_beginning_of_pre_migrating() -> None:
    after_empty_table(
        Step(10, (record(COLD, "pre-migrating", 5),), (("began", "m"),)),
        Step(40, (record(COLD, "pre-migrating", 5, 20, dest="one"),)),
        Step(310, (record(COLD, "pre-migrating", 5, 300, dest="two"),)),
        Step(430, (record(COLD, "migrating", 5, 400, dest="two"),), (("left", "m", "pre-migrating", 395),)),
    )


def test_the_choice_of_a_destination_does_not_move_the_beginning_of_accepted() -> None:
    after_empty_table(
        Step(10, (record(LIVE, "accepted", 5),), (("began", "m"),)),
        Step(40, (record(LIVE, "accepted", 5, 30, dest="dst"),)),
        Step(70, (record(LIVE, "queued", 5, 45, dest="dst"),), (("left", "m", "accepted", 40),)),
    )


def running_from(seen_preparing: float, stamp: float, doubt_is_small: bool = False) -> Tracker:
    """Play a live migration up to its first sight in `running` with a stamp; it was seen preparing before."""
    return after_empty_table(
        Step(10, (record(LIVE, "accepted", 5),), (("began", "m"),)),
        Step(40, (record(LIVE, "queued", 5, 30),), (("left", "m", "accepted", 25),)),
        Step(seen_preparing, (record(LIVE, "preparing", 5, 50),), (("left", "m", "queued", 20),)),
        Step(
            seen_preparing + 30,
            (record(LIVE, "running", 5, stamp),),
            (("left", "m", "preparing", stamp - 50 if doubt_is_small else None),),
        ),
    )


@pytest.mark.parametrize(
    ("stamp", "completed", "observed"),
    [
        pytest.param(64, 74, 10, id="4 s of doubt, under a heartbeat"),
        pytest.param(65, 74, 9, id="5 s of doubt, one heartbeat"),
        pytest.param(66, 125, None, id="6 s of doubt in 59"),
        pytest.param(66, 126, 60, id="6 s of doubt in 60, a tenth"),
        pytest.param(88, 150, None, id="28 s of doubt in 62"),
        pytest.param(88, 388, 300, id="28 s of doubt in 300"),
    ],
)
def test_the_time_in_running_is_observed_only_if_its_beginning_is_known_to_a_heartbeat_or_a_tenth(
    stamp: float, completed: float, observed: float | None
) -> None:
    ended: Shorts = (
        ("left", "m", "running", observed),
        ("moved", "m", "success", completed - 5),
        ("ended", "m", "completed", "success"),
    )
    play([Step(400, (record(LIVE, "completed", 5, completed),), ended)], running_from(60, stamp))


def test_heartbeats_do_not_move_the_beginning_of_running() -> None:
    tracker = running_from(60, 64)
    play([Step(at, (record(LIVE, "running", 5, at - 2),)) for at in (120, 150, 180)], tracker)
    assert (tracker.live["m"].stay.since, tracker.live["m"].heartbeat) == (64, 178)


def test_the_stamp_that_a_running_one_is_first_seen_with_is_no_heartbeat_yet() -> None:
    tracker = running_from(60, 64)
    play([Step(120, (record(LIVE, "running", 5, 64),))], tracker)
    assert tracker.live["m"].heartbeat is None


def test_the_end_of_preparing_is_as_doubtful_as_the_beginning_of_running() -> None:
    running_from(1000, 1020, doubt_is_small=True)
    running_from(60, 85)


def test_running_as_found_at_the_baseline_began_nobody_knows_when() -> None:
    running = record(LIVE, "running", 5, 98)
    ended: Shorts = (
        ("left", "m", "running", None),
        ("moved", "m", "success", 145),
        ("ended", "m", "completed", "success"),
    )
    play([Step(100, (running,), newest=running), Step(160, (record(LIVE, "completed", 5, 150),), ended)])


# --- what was not seen ---


def test_statuses_that_were_skipped_are_unobserved() -> None:
    after_empty_table(
        Step(
            30,
            (record(LIVE, "completed", 5, 29),),
            (
                ("began", "m"),
                ("left", "m", "accepted", None),
                ("left", "m", "queued", None),
                ("left", "m", "preparing", None),
                ("left", "m", "running", None),
                ("moved", "m", "success", 24),
                ("ended", "m", "completed", "success"),
            ),
        )
    )


def test_an_unseen_post_copy_is_nothing() -> None:
    tracker = running_from(60, 64)
    ended: Shorts = (
        ("left", "m", "running", 136),
        ("moved", "m", "success", 195),
        ("ended", "m", "completed", "success"),
    )
    play([Step(220, (record(LIVE, "completed", 5, 200),), ended)], tracker)


def test_a_move_whose_finished_was_not_seen_has_no_duration() -> None:
    after_empty_table(
        Step(30, (record(RESIZE, "migrating", 5, 9),), MIGRATING),
        Step(
            999,
            (record(RESIZE, "confirmed", 5, 990),),
            (
                ("left", "m", "migrating", None),
                ("left", "m", "post-migrating", None),
                ("left", "m", "finished", None),
                ("left", "m", "confirming", None),
                ("ended", "m", "confirmed", "success"),
            ),
        ),
    )


@pytest.mark.parametrize(
    ("last_seen", "failed", "observed"),
    [
        pytest.param(30, 45, None, id="other statuses may have been passed meanwhile"),
        pytest.param(3000, 3010, 3001, id="if so, then for a moment only"),
    ],
)
def test_a_failure_proves_only_how_long_the_last_status_lasted_before(
    last_seen: float, failed: float, observed: float | None
) -> None:
    after_empty_table(
        Step(20, (record(RESIZE, "migrating", 5, 9),), MIGRATING),
        Step(last_seen, (record(RESIZE, "migrating", 5, 9),)),
        Step(
            last_seen + 30,
            (record(RESIZE, "error", 5, failed),),
            (
                ("left", "m", "migrating", observed),
                ("moved", "m", "failure", failed - 5),
                ("ended", "m", "error", "failure"),
            ),
        ),
    )


def test_a_failure_of_the_confirmation_says_nothing_of_the_move() -> None:
    after_empty_table(
        Step(30, (record(RESIZE, "migrating", 5, 9),), MIGRATING),
        Step(60, (record(RESIZE, "post-migrating", 5, 40),), (("left", "m", "migrating", 31),)),
        Step(
            90,
            (record(RESIZE, "finished", 5, 65),),
            (("left", "m", "post-migrating", 25), ("moved", "m", "success", 60)),
        ),
        Step(120, (record(RESIZE, "confirming", 5, 100),), (("left", "m", "finished", 35),)),
        Step(
            129,
            (record(RESIZE, "confirming", 5, 100),),
        ),
        Step(
            150,
            (record(RESIZE, "error", 5, 130),),
            (("left", "m", "confirming", 30), ("ended", "m", "error", "failure")),
        ),
    )


def test_a_status_that_the_table_does_not_know_is_a_status_like_others() -> None:
    after_empty_table(
        Step(10, (record(LIVE, "accepted", 5),), (("began", "m"),)),
        Step(190, (record(LIVE, "accepted", 5),)),
        Step(200, (record(LIVE, "odd", 5, 195),), (("left", "m", "accepted", 190),)),
        Step(390, (record(LIVE, "odd", 5, 195),)),
        Step(400, (record(LIVE, "odder", 5, 395),), (("left", "m", "odd", 200),)),
        Step(410, (record(LIVE, "running", 5, 409),), (("left", "m", "odder", None),)),
        Step(
            440,
            (record(LIVE, "completed", 5, 420),),
            (
                ("left", "m", "running", None),
                ("moved", "m", "success", 415),
                ("ended", "m", "completed", "success"),
            ),
        ),
    )


def test_a_status_that_was_left_for_an_unknown_one_is_not_entered_again() -> None:
    tracker = running_from(60, 64)
    play(
        [
            Step(120, (record(LIVE, "odd", 5, 110),), (("left", "m", "running", None),)),
            Step(150, (record(LIVE, "running", 5, 140),)),
        ],
        tracker,
    )
    assert tracker.live["m"].stay.status == "odd"


# --- records that Nova used again ---


@pytest.mark.parametrize("kind", [RESIZE, COLD])
def test_the_old_creation_of_a_pre_migrating_record_seen_when_it_was_used_again_is_not_believed(
    kind: MigrationType,
) -> None:
    again = 5 * DAY
    tracker = after_empty_table(
        Step(30, (record(kind, "pre-migrating", 5),), (("began", "m"),)),
        Step(again, (record(kind, "pre-migrating", 5),)),
        Step(again + 30, (record(kind, "pre-migrating", 5, again + 10),)),
        Step(again + 60, (record(kind, "migrating", 5, again + 40),), (("left", "m", "pre-migrating", None),)),
    )
    finish_without_a_duration_of_the_move(tracker, kind, again + 40)


@pytest.mark.parametrize("kind", [RESIZE, COLD])
def test_the_old_creation_of_a_record_that_left_pre_migrating_late_is_not_believed(kind: MigrationType) -> None:
    again = 5 * DAY
    tracker = after_empty_table(
        Step(30, (record(kind, "pre-migrating", 5),), (("began", "m"),)),
        Step(again, (record(kind, "pre-migrating", 5),)),
        Step(again + 60, (record(kind, "migrating", 5, again + 40),), (("left", "m", "pre-migrating", None),)),
    )
    finish_without_a_duration_of_the_move(tracker, kind, again + 40)


def finish_without_a_duration_of_the_move(tracker: Tracker, kind: MigrationType, migrating: float) -> None:
    play(
        [
            Step(
                migrating + 30,
                (record(kind, "post-migrating", 5, migrating + 20),),
                (("left", "m", "migrating", 20),),
            ),
            Step(
                migrating + 60,
                (record(kind, "finished", 5, migrating + 25),),
                (("left", "m", "post-migrating", 5),),
            ),
        ],
        tracker,
    )


def test_the_old_creation_is_not_believed_either_if_the_record_went_on_between_two_looks() -> None:
    again = 5 * DAY
    after_empty_table(
        Step(30, (record(RESIZE, "pre-migrating", 5),), (("began", "m"),)),
        Step(again, (record(RESIZE, "pre-migrating", 5),)),
        Step(
            again + 30,
            (record(RESIZE, "post-migrating", 5, again + 20),),
            (("left", "m", "pre-migrating", None), ("left", "m", "migrating", None)),
        ),
        Step(
            again + 60,
            (record(RESIZE, "finished", 5, again + 50),),
            (("left", "m", "post-migrating", 30),),
        ),
    )


def test_nor_if_it_failed_between_two_looks() -> None:
    again = 5 * DAY
    after_empty_table(
        Step(30, (record(RESIZE, "pre-migrating", 5),), (("began", "m"),)),
        Step(again, (record(RESIZE, "pre-migrating", 5),)),
        Step(
            again + 30,
            (record(RESIZE, "error", 5, again + 20),),
            (("left", "m", "pre-migrating", None), ("ended", "m", "error", "failure")),
        ),
    )


def test_a_migrating_record_found_long_after_its_creation_was_perhaps_used_again() -> None:
    found = record(RESIZE, "migrating", 5, 5 * DAY)
    tracker = play([Step(5 * DAY + 10, (found,), newest=found)])
    finish_without_a_duration_of_the_move(tracker, RESIZE, 5 * DAY)


def test_other_types_are_not_used_again_and_keep_their_creation() -> None:
    after_empty_table(
        Step(30, (record(LIVE, "accepted", 5),), (("began", "m"),)),
        Step(2 * HOUR + 30, (record(LIVE, "queued", 5, 2 * HOUR),), (("left", "m", "accepted", 2 * HOUR - 5),)),
    )


# --- evacuations ---


def test_an_evacuation_seen_done_is_a_success_and_its_completion_a_correction() -> None:
    done: Shorts = (
        ("left", "m", "pre-migrating", 60),
        ("moved", "m", "success", 70),
        ("ended", "m", "done", "success"),
    )
    after_empty_table(
        Step(30, (record(EVACUATION, "pre-migrating", 5, 15),), (("began", "m"), ("left", "m", "accepted", 10))),
        Step(90, (record(EVACUATION, "done", 5, 75),), done),
        Step(9000, (record(EVACUATION, "completed", 5, 8999),), (("corrected", "m", "done", "completed"),)),
        Step(9030, (record(EVACUATION, "completed", 5, 8999),)),
    )


def test_an_evacuation_completed_without_being_seen_done_has_an_unknown_outcome() -> None:
    after_empty_table(
        Step(30, (record(EVACUATION, "pre-migrating", 5, 15),), (("began", "m"), ("left", "m", "accepted", 10))),
        Step(
            120,
            (record(EVACUATION, "completed", 5, 100),),
            (
                ("left", "m", "pre-migrating", None),
                ("moved", "m", "unknown", 95),
                ("ended", "m", "completed", "unknown"),
            ),
        ),
    )


# --- ends that follow ends ---


@pytest.mark.parametrize(
    ("kind", "first", "second"),
    [
        (LIVE, "error", "failed"),
        (RESIZE, "reverted", "error"),
        (RESIZE, "confirmed", "error"),
        (LIVE, "failed", "error"),
    ],
)
@pytest.mark.parametrize(("apart", "corrected"), [(0.1, False), (1.9, False), (2.0, True), (3600, True)])
def test_ends_less_than_two_seconds_apart_are_one_and_later_ones_are_corrections(
    kind: MigrationType, first: str, second: str, apart: float, corrected: bool
) -> None:
    tracker = after_empty_table()
    ended = [short(event) for event in seen(tracker, record(kind, first, 5, 100), at=110)]
    assert [each for each in ended if each[0] == "ended"] == [("ended", "m", first, ended[-1][3])]
    expected: Shorts = (("corrected", "m", first, second),) if corrected else ()
    again = record(kind, second, 5, 100 + apart)
    play([Step(5000, (again,), expected), Step(5030, (again,))], tracker)


def seen(tracker: Tracker, *shown: Migration, at: float) -> list[Event]:
    return tracker.observe(Snapshot(shown, at, complete=True), at)


def test_each_change_of_an_end_is_a_correction() -> None:
    after_empty_table(
        Step(30, (record(LIVE, "error", 7, 9),), FAILED_AT_ONCE),
        Step(60, (record(LIVE, "failed", 7, 50),), (("corrected", "m", "error", "failed"),)),
        Step(90, (record(LIVE, "error", 7, 80),), (("corrected", "m", "failed", "error"),)),
    )


def test_an_older_end_that_is_shown_later_is_nothing() -> None:
    after_empty_table(
        Step(30, (record(LIVE, "error", 7, 9),), FAILED_AT_ONCE),
        Step(60, (record(LIVE, "failed", 7, 8),)),
    )


# --- vanished records ---

SEEN = record(RESIZE, "migrating", 5, 9)


def test_a_vanished_record_is_never_a_success() -> None:
    tracker = after_empty_table(Step(30, (SEEN,), MIGRATING), *(Step(60 + i * HOUR, ()) for i in range(24)))
    assert tracker.live["m"].unseen_since == 60


def test_a_look_that_does_not_show_a_live_record_says_nothing() -> None:
    tracker = after_empty_table(Step(30, (SEEN,), MIGRATING), Step(60, (), complete=False))
    assert tracker.live["m"].unseen_since is None


def test_a_vanished_record_that_comes_back_goes_on_from_where_it_is() -> None:
    tracker = after_empty_table(
        Step(30, (SEEN,), MIGRATING),
        Step(60, ()),
        Step(90, (SEEN,), complete=False),
    )
    assert tracker.live["m"].unseen_since is None
    play(
        [Step(120, ()), Step(150, (record(RESIZE, "post-migrating", 5, 100),), (("left", "m", "migrating", 91),))],
        tracker,
    )
    assert tracker.live["m"].unseen_since is None


def test_the_stale_twin_of_a_vanished_record_shows_that_it_is_there() -> None:
    tracker = after_empty_table(
        Step(30, (SEEN,), MIGRATING), Step(60, ()), Step(90, (record(RESIZE, "pre-migrating", 5, 7),))
    )
    assert tracker.live["m"].unseen_since is None


@pytest.mark.parametrize(
    ("when", "in_status"),
    [pytest.param(300, 291, id="a moment after it was seen"), pytest.param(700, None, id="long after it was seen")],
)
def test_a_record_whose_server_was_deleted_ends_as_deleted(when: float, in_status: float | None) -> None:
    deleted: Shorts = (
        ("left", "m", "migrating", in_status),
        ("moved", "m", "deleted", when - 5),
        ("ended", "m", "deleted", "deleted"),
    )
    after_empty_table(
        Step(20, (SEEN,), MIGRATING),
        Step(280, (SEEN,)),
        Step(800, (), deleted, deletions={"s": Deletion(when)}),
        Step(830, ()),
    )


def test_a_deletion_at_an_unknown_time_proves_no_duration() -> None:
    deleted: Shorts = (("left", "m", "migrating", None), ("ended", "m", "deleted", "deleted"))
    after_empty_table(Step(30, (SEEN,), MIGRATING), Step(60, (), deleted, deletions={"s": Deletion(None)}))


def test_a_deletion_after_the_move_adds_no_duration_of_the_move() -> None:
    finished = record(RESIZE, "finished", 5, 100)
    after_empty_table(
        Step(20, (SEEN,), MIGRATING),
        Step(80, (record(RESIZE, "post-migrating", 5, 70),), (("left", "m", "migrating", 61),)),
        Step(110, (finished,), (("left", "m", "post-migrating", 30), ("moved", "m", "success", 95))),
        Step(3000, (finished,)),
        Step(
            3060,
            (),
            (("left", "m", "finished", 2920), ("ended", "m", "deleted", "deleted")),
            deletions={"s": Deletion(3020)},
        ),
    )


def test_a_deletion_proves_nothing_about_a_record_that_is_shown() -> None:
    tracker = after_empty_table(Step(30, (SEEN,), MIGRATING), Step(60, (SEEN,), deletions={"s": Deletion(50)}))
    assert set(tracker.live) == {"m"}


def test_the_deletion_of_a_server_ends_every_record_of_it_that_vanished() -> None:
    pair = (record(LIVE, "accepted", 5, uuid="a"), record(LIVE, "accepted", 6, uuid="b"))
    after_empty_table(
        Step(30, pair, (("began", "a"), ("began", "b"))),
        Step(
            60,
            (),
            (
                ("left", "a", "accepted", None),
                ("ended", "a", "deleted", "deleted"),
                ("left", "b", "accepted", None),
                ("ended", "b", "deleted", "deleted"),
            ),
            deletions={"s": Deletion(None)},
        ),
    )


def test_a_record_unseen_for_seven_days_ends_as_deleted_with_an_unknown_outcome() -> None:
    ended: Shorts = (("left", "m", "migrating", None), ("ended", "m", "deleted", "unknown"))
    after_empty_table(
        Step(30, (SEEN,), MIGRATING),
        Step(60, ()),
        Step(60 + UNSEEN_MEMORY - 1, ()),
        Step(60 + UNSEEN_MEMORY, (), ended),
        Step(90 + UNSEEN_MEMORY, (SEEN,)),
    )


def test_seven_days_begin_anew_when_a_record_was_seen_again() -> None:
    tracker = after_empty_table(
        Step(30, (SEEN,), MIGRATING), Step(60, ()), Step(5 * DAY, (SEEN,)), Step(6 * DAY, ()), Step(12 * DAY, ())
    )
    assert tracker.live["m"].unseen_since == 6 * DAY


def test_an_end_before_the_record_counted_as_deleted_is_no_correction() -> None:
    deleted: Shorts = (("left", "m", "migrating", None), ("ended", "m", "deleted", "deleted"))
    after_empty_table(
        Step(30, (SEEN,), MIGRATING),
        Step(60, (), deleted, deletions={"s": Deletion(None)}),
        Step(90, (record(RESIZE, "confirmed", 5, 55),)),
    )


def test_missing_are_the_live_records_that_are_not_shown() -> None:
    tracker = after_empty_table(
        Step(
            30,
            (record(LIVE, "accepted", 5, uuid="a"), record(LIVE, "accepted", 5, uuid="b")),
            (("began", "a"), ("began", "b")),
        )
    )
    assert [each.migration.uuid for each in tracker.missing([record(LIVE, "error", 5, 40, uuid="b")])] == ["a"]


# --- memory ---


def test_ends_are_forgotten_when_they_could_not_be_counted_again() -> None:
    over = record(LIVE, "error", 7, 9)
    tracker = after_empty_table(Step(30, (over,), FAILED_AT_ONCE), Step(END_MEMORY, ()))
    play([Step(END_MEMORY + 9, ())], tracker)
    assert set(tracker.ended) == {"m"}  # it is looked for them once a day
    play([Step(END_MEMORY + DAY, ())], tracker)
    assert tracker.ended == {}
    play([Step(END_MEMORY + DAY + 30, (over,))], tracker)


# --- the watermark ---


def marked(*steps: Step) -> float | None:
    tracker = Tracker()
    for step in steps:
        tracker.observe(Snapshot(step.shown, step.at, step.complete, step.newest), step.at)
    return tracker.watermark


def test_there_is_no_watermark_before_a_first_look() -> None:
    assert marked() is None


@pytest.mark.parametrize(
    ("shown", "watermark"),
    [
        pytest.param((record(RESIZE, "migrating", 10, 900),), 900, id="the newest change"),
        pytest.param(
            (record(RESIZE, "migrating", 10, 900), record(RESIZE, "migrating", 10, 30, uuid="o")), 900, id="of all"
        ),
        pytest.param((record(RESIZE, "migrating", 10, 1500),), 1000, id="never ahead of the poll"),
        pytest.param((record(RESIZE, "pre-migrating", 10),), 1000, id="a creation is no change"),
        pytest.param((), 1000, id="nothing there"),
    ],
)
def test_the_watermark_is_the_earlier_of_the_newest_change_and_the_beginning_of_the_poll(
    shown: tuple[Migration, ...], watermark: float
) -> None:
    assert marked(Step(1000, shown)) == watermark


def test_the_watermark_does_not_fall_when_the_newest_change_is_not_shown_any_more() -> None:
    assert marked(Step(1000, (record(RESIZE, "migrating", 10, 900),)), Step(1030, ())) == 900


def test_the_watermark_is_at_most_a_day_old() -> None:
    assert marked(Step(5 * DAY, (record(RESIZE, "finished", 10, 900),))) == 4 * DAY


# --- becoming stuck ---


def stuck(tracker: Tracker, at: float) -> list[Short]:
    return [short(event) for event in tracker.mark_stuck(sorted(tracker.live), at)]


def test_a_record_becomes_stuck_once_in_a_status() -> None:
    tracker = after_empty_table(Step(30, (SEEN,), MIGRATING))
    assert stuck(tracker, 60) == [("stuck", "m", "migrating")]
    assert stuck(tracker, 90) == []
    play([Step(120, (record(RESIZE, "post-migrating", 5, 110),), (("left", "m", "migrating", 101),))], tracker)
    assert stuck(tracker, 150) == [("stuck", "m", "post-migrating")]


def test_a_record_that_was_stuck_already_at_the_first_look_did_not_become_stuck() -> None:
    tracker = play([Step(100, (SEEN,), newest=SEEN)])
    assert stuck(tracker, 100) == []
    assert stuck(tracker, 130) == []


def test_a_record_found_at_the_first_look_can_become_stuck_later() -> None:
    tracker = play([Step(100, (SEEN,), newest=SEEN)])
    assert stuck(tracker, 130) == [("stuck", "m", "migrating")]


def test_a_record_that_began_after_the_baseline_and_is_stuck_at_first_sight_became_stuck() -> None:
    tracker = after_empty_table(Step(30, (SEEN,), MIGRATING))
    assert stuck(tracker, 30) == [("stuck", "m", "migrating")]
