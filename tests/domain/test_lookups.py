"""Which records are to be read from the actions of servers, when, and what becomes of them then."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import pytest

from exporter.domain.cloud import Deletion
from exporter.domain.lifecycle import DELETED, MigrationType
from exporter.domain.lookups import (
    MOST_ATTEMPTS,
    MOST_LOOKUPS,
    SETTLING,
    Lookup,
    corrected,
    in_turn,
    may_tell_more,
)
from exporter.domain.migration import Migration
from exporter.domain.server import Action, Step
from exporter.domain.snapshot import Snapshot
from exporter.domain.tracked import Doubt, Stay, Tracked, entry_of
from exporter.domain.tracker import Tracker
from tests.domain.records import COLD, DAY, EVACUATION, LIVE, RESIZE, Short, record, short

Actions = Sequence[Action] | None

#: A resize created at 100: migrating 101, post-migrating 103, finished 106, confirming 110, confirmed 111.
RESIZED = Action(
    "resize",
    "req-resize",
    99.8,
    (Step("compute_resize_instance", 101.0, 103.0, True), Step("compute_finish_resize", 103.1, 106.0, True)),
)
CONFIRMED = Action("confirmResize", "req-confirm", 110.0, (Step("compute_confirm_resize", 110.0, 111.1, True),))

#: A live migration created at 100: queued 101, preparing 102, running 104.
LIVE_MOVED = Action(
    "live-migration",
    "req-live",
    99.8,
    (Step("compute_live_migration", 101.0, 101.1, True), Step("compute_pre_live_migration", 102.0, 104.0, True)),
)


@dataclass(frozen=True)
class Poll:
    """One poll: what it showed, what it read, the events expected of it, and the look-ups that are left."""

    at: float
    shown: tuple[Migration, ...] = ()
    expected: tuple[Short, ...] = ()
    waiting: tuple[str, ...] = ()
    read: Mapping[str, Actions] = field(default_factory=dict)
    unread: frozenset[str] = frozenset()
    exact: bool = True
    deletions: Mapping[str, Deletion] = field(default_factory=dict)


def play(*polls: Poll, tracker: Tracker | None = None) -> Tracker:
    """Show a tracker one poll after the other, and compare what comes of each; return the tracker."""
    tracker = Tracker() if tracker is None else tracker
    for poll in polls:
        newest = poll.shown[0] if tracker.baseline is None and poll.shown else None
        snapshot = Snapshot(
            poll.shown, poll.at, True, newest, poll.deletions, poll.exact, actions=poll.read, unread=poll.unread
        )
        events = tuple(short(event) for event in tracker.observe(snapshot, poll.at))
        assert events == tuple(
            pytest.approx(each) if each[0] == "left" and each[3] else each for each in poll.expected
        ), f"at {poll.at}"
        assert tuple(in_turn(tracker.lookups)) == poll.waiting, f"at {poll.at}"
    return tracker


EMPTY = Poll(0.0)
BEGAN = ("began", "m")


def resize(status: str, stamp: float | None = None, uuid: str = "m") -> Migration:
    return record(RESIZE, status, 100.0, stamp, uuid=uuid)


def live(status: str, stamp: float | None = None) -> Migration:
    return record(LIVE, status, 100.0, stamp)


def left(status: str, seconds: float | None) -> Short:
    return ("left", "m", status, seconds)


# --- what is in doubt ---


def test_a_record_seen_in_every_status_is_never_to_be_read() -> None:
    ended = ("moved", "m", "success", 6.0), ("ended", "m", "confirmed", "success")
    play(
        EMPTY,
        Poll(100.5, (resize("pre-migrating"),), (BEGAN,)),
        Poll(101.5, (resize("migrating", 101.0),), (left("pre-migrating", 1.0),)),
        Poll(103.5, (resize("post-migrating", 103.0),), (left("migrating", 2.0),)),
        Poll(106.5, (resize("finished", 106.0),), (left("post-migrating", 3.0), ended[0])),
        Poll(110.5, (resize("confirming", 110.0),), (left("finished", 4.0),)),
        Poll(111.5, (resize("confirmed", 111.0),), (left("confirming", 1.0), ended[1])),
    )


def test_what_was_passed_unseen_is_read_when_the_move_is_over_and_what_followed_at_the_end() -> None:
    play(
        EMPTY,
        Poll(100.5, (resize("pre-migrating"),), (BEGAN,)),
        Poll(103.5, (resize("post-migrating", 103.0),)),
        Poll(
            106.5, (resize("finished", 106.0),), (left("post-migrating", 3.0), ("moved", "m", "success", 6.0)), ("m",)
        ),
        Poll(107.0, (), (left("pre-migrating", 1.0), left("migrating", 2.0)), read={"m": (RESIZED,)}),
        Poll(112.0, (resize("confirmed", 111.0),), (("ended", "m", "confirmed", "success"),), ("m",)),
        Poll(113.0, (), (left("finished", 4.0), left("confirming", 1.0)), read={"m": (RESIZED, CONFIRMED)}),
    )


def test_a_record_first_seen_in_the_middle_is_read_at_once_and_again_at_the_end() -> None:
    play(
        EMPTY,
        Poll(103.5, (resize("post-migrating", 103.0),), (BEGAN,), ("m",)),
        Poll(104.0, (), (left("pre-migrating", 1.0), left("migrating", 2.0)), read={"m": (RESIZED,)}),
        Poll(
            112.0,
            (resize("confirmed", 111.0),),
            (("ended", "m", "confirmed", "success"),),
            ("m",),
        ),
        Poll(
            113.0,
            (),
            (
                left("post-migrating", 3.0),
                left("finished", 4.0),
                left("confirming", 1.0),
                ("moved", "m", "success", 6.0),
            ),
            read={"m": (RESIZED, CONFIRMED)},
        ),
    )


def test_a_move_that_nobody_saw_has_its_duration_once_the_actions_tell_when_it_was_over() -> None:
    play(
        EMPTY,
        Poll(112.0, (resize("confirmed", 111.0),), (BEGAN, ("ended", "m", "confirmed", "success")), ("m",)),
        Poll(
            113.0,
            (),
            (
                left("pre-migrating", 1.0),
                left("migrating", 2.0),
                left("post-migrating", 3.0),
                left("finished", 4.0),
                left("confirming", 1.0),
                ("moved", "m", "success", 6.0),
            ),
            read={"m": (RESIZED, CONFIRMED)},
        ),
    )


def test_a_move_first_seen_when_it_is_being_confirmed_has_its_duration_once() -> None:
    told = left("pre-migrating", 1.0), left("migrating", 2.0), left("post-migrating", 3.0), left("finished", 4.0)
    play(
        EMPTY,
        Poll(110.5, (resize("confirming", 110.0),), (BEGAN,), ("m",)),
        Poll(110.7, (), (*told, ("moved", "m", "success", 6.0)), read={"m": (RESIZED, CONFIRMED)}),
        Poll(111.5, (resize("confirmed", 111.0),), (left("confirming", 1.0), ("ended", "m", "confirmed", "success"))),
    )


def test_a_move_that_was_over_at_the_first_look_has_no_duration() -> None:
    play(
        Poll(106.5, (resize("finished", 106.0),)),
        Poll(112.0, (resize("confirmed", 111.0),), (("ended", "m", "confirmed", "success"),), ("m",)),
        Poll(113.0, (), (left("finished", 4.0), left("confirming", 1.0)), read={"m": (RESIZED, CONFIRMED)}),
    )


def test_a_failure_before_anybody_saw_more_tells_how_far_it_came() -> None:
    failed = replace(RESIZED, steps=(Step("compute_resize_instance", 101.0, 105.1, False),))
    play(
        EMPTY,
        Poll(
            106.0,
            (resize("error", 105.0),),
            (BEGAN, ("moved", "m", "failure", 5.0), ("ended", "m", "error", "failure")),
            ("m",),
        ),
        Poll(107.0, (), (left("pre-migrating", 1.0), left("migrating", 4.0)), read={"m": (failed,)}),
    )


def test_a_running_live_migration_found_at_the_first_look_is_read_for_when_it_began_to_run() -> None:
    found = live("running", 150.0)
    tracker = play(
        Poll(152.0, (found,), (), ("m",)),
        Poll(157.0, (found,), (), read={"m": (LIVE_MOVED,)}),
    )
    assert tracker.live["m"].stay == Stay("running", 104.0)
    play(
        Poll(
            200.0,
            (live("completed", 190.0),),
            (left("running", 86.0), ("moved", "m", "success", 90.0), ("ended", "m", "completed", "success")),
        ),
        tracker=tracker,
    )


@pytest.mark.parametrize(
    "found",
    [
        live("queued", 101.0),
        live("accepted"),
        resize("finished", 106.0),
        record(EVACUATION, "pre-migrating", 100.0, 104.0),
    ],
)
def test_a_record_found_with_a_stamp_that_tells_all_is_not_read(found: Migration) -> None:
    play(Poll(152.0, (found,)))


def test_a_dead_record_that_nova_uses_again_is_not_read_before_it_goes_on() -> None:
    again = Action("resize", "req-again", 99.8 + 2 * DAY, ())
    steps = tuple(Step(each.name, each.start + 2 * DAY, (each.finish or 0) + 2 * DAY, True) for each in RESIZED.steps)
    play(
        Poll(2 * DAY + 100.5, (resize("pre-migrating", 2 * DAY + 100.2),)),
        Poll(2 * DAY + 106.5, (resize("finished", 2 * DAY + 106.0),), (), ("m",)),
        Poll(
            2 * DAY + 106.0 + SETTLING,
            (),
            (left("pre-migrating", None), left("migrating", 2.0), left("post-migrating", 3.0)),
            read={"m": (RESIZED, replace(again, steps=steps))},
        ),
    )


# --- what becomes of it ---


def waiting() -> Tracker:
    """Return a tracker in which one record is to be read since 112."""
    ended = ("ended", "m", "confirmed", "success")
    return play(EMPTY, Poll(112.0, (resize("confirmed", 111.0),), (BEGAN, ended), ("m",)))


ALL_UNPROVEN = tuple(
    left(status, None) for status in ("pre-migrating", "migrating", "post-migrating", "finished", "confirming")
)


def test_while_nothing_is_read_a_record_waits() -> None:
    play(*(Poll(200.0 + place, waiting=("m",)) for place in range(20)), tracker=waiting())


def test_a_record_that_cannot_be_read_waits_for_so_many_tries() -> None:
    tries = [Poll(200.0 + place, waiting=("m",), unread=frozenset({"m"})) for place in range(MOST_ATTEMPTS - 1)]
    play(*tries, Poll(300.0, (), ALL_UNPROVEN, unread=frozenset({"m"})), tracker=waiting())


def test_a_server_that_nova_does_not_know_leaves_what_the_stamps_prove() -> None:
    play(Poll(113.0, (), ALL_UNPROVEN, read={"m": None}), tracker=waiting())


def test_where_exact_durations_are_switched_off_what_waits_counts_as_the_stamps_prove_it() -> None:
    play(Poll(113.0, (), ALL_UNPROVEN, exact=False), Poll(114.0), tracker=waiting())


def test_actions_that_do_not_tell_all_are_read_again_while_nova_may_still_be_noting_them() -> None:
    half = replace(RESIZED, steps=RESIZED.steps[:1])
    told = [left("pre-migrating", 1.0), left("migrating", 2.0), left("post-migrating", None), left("finished", None)]
    play(
        Poll(113.0, waiting=("m",), read={"m": (half, CONFIRMED)}),
        Poll(111.0 + SETTLING, (), (*told, left("confirming", 1.0)), read={"m": (half, CONFIRMED)}),
        tracker=waiting(),
    )


def test_what_was_read_of_a_record_that_is_not_to_be_read_is_nothing() -> None:
    play(EMPTY, Poll(100.5, (resize("pre-migrating"),), (BEGAN,), read={"m": (RESIZED,), "other": None}))


def test_doubts_of_a_record_that_ends_while_exact_durations_are_off_count_with_its_end() -> None:
    play(
        EMPTY,
        Poll(100.5, (resize("pre-migrating"),), (BEGAN,)),
        Poll(103.5, (resize("post-migrating", 103.0),)),
        Poll(
            104.5,
            (resize("error", 104.0),),
            (
                left("post-migrating", None),
                ("moved", "m", "failure", 4.0),
                left("pre-migrating", None),
                left("migrating", None),
                ("ended", "m", "error", "failure"),
            ),
            exact=False,
        ),
    )


def test_a_record_that_ends_before_it_was_read_is_read_once_for_all() -> None:
    play(
        EMPTY,
        Poll(106.5, (resize("finished", 106.0),), (BEGAN, ("moved", "m", "success", 6.0)), ("m",)),
        Poll(112.0, (resize("confirmed", 111.0),), (("ended", "m", "confirmed", "success"),), ("m",)),
        Poll(
            113.0,
            (),
            (
                left("pre-migrating", 1.0),
                left("migrating", 2.0),
                left("post-migrating", 3.0),
                left("finished", 4.0),
                left("confirming", 1.0),
            ),
            read={"m": (RESIZED, CONFIRMED)},
        ),
    )


def test_a_record_whose_server_was_deleted_is_read_for_what_it_passed() -> None:
    tracker = play(
        EMPTY,
        Poll(100.5, (resize("pre-migrating"),), (BEGAN,)),
        Poll(
            130.0,
            (),
            (("moved", "m", "deleted", 20.0), ("ended", "m", "deleted", "deleted")),
            ("m",),
            deletions={"s": Deletion(120.0)},
        ),
    )
    assert tracker.lookups["m"].status == DELETED
    told = left("pre-migrating", 1.0), left("migrating", 2.0), left("post-migrating", 3.0), left("finished", 14.0)
    deleted = Action("delete", "req-both", 119.8), Action("confirmResize", "req-both", 119.9)
    play(Poll(131.0, (), told, read={"m": (RESIZED, *deleted)}), tracker=tracker)


def test_beyond_so_many_those_that_wait_least_count_as_the_stamps_prove_them() -> None:
    gone = Tracked(
        resize("migrating", 101.0), Stay("migrating", 101.0), 0.0, 0.0, True, doubts=(Doubt("migrating", 7.0),)
    )
    lookups = {f"m{place:05}": Lookup(float(place), 0, gone, "error", 111.0) for place in range(MOST_LOOKUPS + 2)}
    tracker = Tracker(lookups=lookups)
    events = tracker.observe(Snapshot((), 200.0, True, exact=True), 200.0)
    assert [short(event) for event in events] == [left("migrating", 7.0)] * 2
    assert list(tracker.lookups) == [f"m{place:05}" for place in range(MOST_LOOKUPS)]


# --- the queue and its parts ---


def test_the_record_that_waits_longest_comes_first_those_that_were_tried_before_last() -> None:
    lookups = {"tried": Lookup(1.0, 1), "young": Lookup(9.0), "old": Lookup(2.0), "too": Lookup(2.0)}
    assert in_turn(lookups) == ["old", "too", "young", "tried"]


def test_of_a_record_that_is_known_no_more_there_is_no_past() -> None:
    assert Lookup(1.0).past(None) is None


def test_a_look_up_whose_record_is_known_no_more_settles_to_nothing() -> None:
    play(Poll(10.0, read={"m": None}), tracker=Tracker(lookups={"m": Lookup(1.0)}))


def tracked(kind: MigrationType, status: str, stamp: float, doubts: tuple[Doubt, ...] = (), *history: Stay) -> Tracked:
    """Return a live record in the middle of its way."""
    migration = record(kind, status, 100.0, stamp)
    return Tracked(migration, entry_of(migration), stamp, stamp, True, history, doubts=doubts)


def test_a_past_ends_with_the_status_that_the_record_was_in() -> None:
    each = tracked(COLD, "post-migrating", 103.0, (Doubt("migrating", None),), Stay("pre-migrating", 100.0))
    stays = (Stay("pre-migrating", 100.0), Stay("post-migrating", 103.0))
    alive = Lookup(1.0).past(each)
    assert alive is not None
    assert (alive.stays, alive.doubts, alive.over, alive.ended) == (stays, each.doubts, False, None)
    ended = Lookup(1.0, 0, each, "error", 105.0).past(None)
    assert ended is not None
    assert (ended.stays, ended.over, ended.ended, ended.deleted) == (stays, True, 105.0, False)
    deleted = Lookup(1.0, 0, each, DELETED, None).past(None)
    assert deleted is not None
    assert (deleted.over, deleted.ended, deleted.deleted) == (True, None, True)


@pytest.mark.parametrize(("after", "more"), [(0.0, True), (SETTLING - 1, True), (SETTLING, False), (DAY, False)])
def test_more_may_be_told_for_a_minute_after_the_record_was_written_last(after: float, more: bool) -> None:
    past = Lookup(1.0).past(tracked(RESIZE, "finished", 106.0, (Doubt("post-migrating", None),)))
    assert past is not None
    assert may_tell_more(past, (replace(RESIZED, steps=()),), 106.0 + after) is more
    assert not may_tell_more(past, (RESIZED,), 106.0 + after)


def test_a_live_record_that_was_read_is_in_no_doubt_and_knows_its_way() -> None:
    doubts = (Doubt("accepted", None), Doubt("queued", None), Doubt("preparing", None))
    each = tracked(LIVE, "running", 150.0, doubts, Stay("accepted", 100.0), Stay("queued", 100.0, math.inf))
    past = Lookup(1.0).past(each)
    assert past is not None
    after = corrected(each, past, (LIVE_MOVED,))
    assert after.doubts == ()
    assert after.stay == Stay("running", 104.0)
    assert after.history == (Stay("accepted", 100.0), Stay("queued", 101.0), Stay("preparing", 102.0))


def test_a_live_record_of_which_nothing_could_be_read_stays_as_it_was_but_for_its_doubts() -> None:
    each = tracked(LIVE, "running", 150.0, (Doubt("accepted", None), Doubt("queued", None)), Stay("accepted", 100.0))
    past = Lookup(1.0).past(each)
    assert past is not None
    after = corrected(each, past, ())
    assert (after.stay, after.doubts) == (each.stay, ())
    assert after.history == (Stay("accepted", 100.0), Stay("queued", 100.0, math.inf))
