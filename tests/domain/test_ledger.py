"""The books hold every possible pair from the beginning, and count events only."""

from __future__ import annotations

import math

import pytest

from exporter.domain.events import BecameStuck, Began, Corrected, Ended, Event, Left, MoveEnded
from exporter.domain.ledger import BUCKETS, BucketExemplars, Distribution, Exemplar, Exemplars, Ledger, Totals
from exporter.domain.lifecycle import (
    ENDED_ROWS,
    KNOWN_CORRECTIONS,
    LIVE_ROWS,
    OUTCOMES,
    MigrationType,
    Outcome,
)
from tests.domain.records import LIVE, RESIZE, record

MOVE = record(LIVE, "running", 0.0, 5.0, source="a", dest="b")


def same_name(kind: MigrationType, status: str) -> str:
    return status


def booked(*events: Event, per_host: bool = False) -> Totals:
    ledger = Ledger(per_host=per_host)
    ledger.enter(events, same_name)
    return ledger.totals()


def test_every_possible_pair_stands_at_zero_from_the_beginning() -> None:
    totals, live = booked(), {(row.migration_type, row.status) for row in LIVE_ROWS}
    assert dict(totals.started) == dict.fromkeys(MigrationType, 0)
    assert dict(totals.ended) == {(row.migration_type, row.status): 0 for row in ENDED_ROWS}
    assert dict(totals.corrections) == dict.fromkeys(KNOWN_CORRECTIONS, 0)
    assert dict(totals.unobserved) == dict.fromkeys(live, 0)
    assert dict(totals.became_stuck) == dict.fromkeys(live, 0)
    assert dict(totals.status_durations) == dict.fromkeys(live, Distribution())
    assert dict(totals.move_durations) == {
        (kind, outcome): Distribution() for kind, outcomes in OUTCOMES.items() for outcome in outcomes
    }
    assert dict(totals.ended_per_host) == {}


def test_each_event_is_counted_in_its_place() -> None:
    totals = booked(
        Began(MOVE),
        Left(MOVE, "queued", 7.0),
        Left(MOVE, "preparing", None),
        MoveEnded(MOVE, Outcome.SUCCESS, 90.0),
        Ended(MOVE, "completed", Outcome.SUCCESS),
        Corrected(MOVE, "completed", "error"),
        BecameStuck(MOVE, "running"),
    )
    assert totals.started[LIVE] == 1
    assert totals.status_durations[LIVE, "queued"] == Distribution().observed(7.0)
    assert totals.status_durations[LIVE, "preparing"].count == 0
    assert totals.unobserved[LIVE, "preparing"] == 1
    assert totals.unobserved[LIVE, "queued"] == 0
    assert totals.move_durations[LIVE, Outcome.SUCCESS] == Distribution().observed(90.0)
    assert totals.ended[LIVE, "completed"] == 1
    assert totals.corrections[LIVE, "completed", "error"] == 1
    assert totals.became_stuck[LIVE, "running"] == 1


def test_whole_seconds_are_durations_too() -> None:
    assert booked(Left(MOVE, "queued", 7)).status_durations[LIVE, "queued"].total == 7.0


def test_totals_do_not_change_when_more_is_counted() -> None:
    ledger = Ledger()
    before = ledger.totals()
    ledger.enter([Began(MOVE)], same_name)
    assert before.started[LIVE] == 0
    assert ledger.totals().started[LIVE] == 1


def test_an_unknown_status_is_counted_under_the_name_it_is_exposed_under() -> None:
    ledger = Ledger()
    odd = record(LIVE, "odd", 0.0)
    ledger.enter([Left(odd, "odd", 3.0), Left(odd, "odd", None), BecameStuck(odd, "odd")], lambda kind, status: "other")
    totals = ledger.totals()
    assert totals.status_durations[LIVE, "other"].count == 1
    assert totals.unobserved[LIVE, "other"] == 1
    assert totals.became_stuck[LIVE, "other"] == 1


def test_an_end_that_the_table_has_under_another_type_counts_under_its_own() -> None:
    moved = record(RESIZE, "cancelled", 0.0)
    totals = booked(Ended(moved, "cancelled", Outcome.CANCELLED), MoveEnded(moved, Outcome.CANCELLED, 1.0))
    assert totals.ended[RESIZE, "cancelled"] == 1
    assert totals.move_durations[RESIZE, Outcome.CANCELLED].count == 1


def test_ends_are_counted_by_host_only_where_asked_for() -> None:
    end = Ended(MOVE, "completed", Outcome.SUCCESS)
    assert dict(booked(end).ended_per_host) == {}
    assert dict(booked(end, per_host=True).ended_per_host) == {
        ("a", "source", LIVE, Outcome.SUCCESS): 1,
        ("b", "dest", LIVE, Outcome.SUCCESS): 1,
    }


def test_a_host_that_nova_does_not_tell_is_not_counted() -> None:
    end = Ended(record(LIVE, "error", 0.0, source="a", dest=None), "error", Outcome.FAILURE)
    assert dict(booked(end, per_host=True).ended_per_host) == {("a", "source", LIVE, Outcome.FAILURE): 1}


@pytest.mark.parametrize("bound", BUCKETS)
def test_a_bucket_holds_its_upper_bound_and_nothing_above_it(bound: float) -> None:
    place = BUCKETS.index(bound)
    assert Distribution().observed(bound).counts[place] == 1
    assert Distribution().observed(math.nextafter(bound, math.inf)).counts[place + 1] == 1


def test_what_exceeds_every_bound_is_kept() -> None:
    longest = Distribution().observed(1e9)
    assert (longest.counts[-1], longest.count, longest.total) == (1, 1, 1e9)


def test_the_buckets_are_those_that_dashboards_rest_on() -> None:
    assert BUCKETS == (
        1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 28800, 86400, 259200, 604800,
    )  # fmt: skip


# --- exemplars ---


def named(*events: Event, ledger: Ledger | None = None) -> Exemplars:
    ledger = Ledger() if ledger is None else ledger
    ledger.enter(events, same_name)
    return ledger.exemplars()


def filled(exemplars: BucketExemplars) -> dict[int, Exemplar]:
    """Return the exemplars of a distribution by the place of their bucket."""
    return {place: each for place, each in enumerate(exemplars) if each is not None}


def test_an_observation_is_kept_by_name_in_its_bucket() -> None:
    exemplars = named(Left(MOVE, "queued", 7.0), MoveEnded(MOVE, Outcome.SUCCESS, 1e9))
    assert filled(exemplars.status_durations[LIVE, "queued"]) == {3: Exemplar("m", "s", 7.0, at=5.0)}
    assert filled(exemplars.move_durations[LIVE, Outcome.SUCCESS]) == {len(BUCKETS): Exemplar("m", "s", 1e9, at=5.0)}


@pytest.mark.parametrize("seconds", [0.0, *BUCKETS, *(math.nextafter(bound, math.inf) for bound in BUCKETS)])
def test_an_exemplar_is_kept_where_its_observation_is_counted(seconds: float) -> None:
    counts = booked(Left(MOVE, "queued", seconds)).status_durations[LIVE, "queued"].counts
    (place,) = filled(named(Left(MOVE, "queued", seconds)).status_durations[LIVE, "queued"])
    assert counts[place] == 1


def test_what_is_no_observation_leaves_no_exemplar() -> None:
    exemplars = named(
        Began(MOVE),
        Left(MOVE, "queued", None),
        Ended(MOVE, "completed", Outcome.SUCCESS),
        Corrected(MOVE, "completed", "error"),
        BecameStuck(MOVE, "running"),
    )
    assert exemplars == Exemplars({}, {})


def at(moment: float, seconds: float = 7.0) -> Left:
    return Left(record(LIVE, "running", 0.0, moment, uuid=f"m{moment:g}"), "queued", seconds)


@pytest.mark.parametrize(
    ("moments", "kept"),
    [((5.0,), "m5"), ((5.0, 6.0), "m6"), ((6.0, 5.0), "m6"), ((5.0, 7.0, 6.0), "m7")],
)
def test_the_newest_of_a_bucket_is_kept_in_whatever_order_they_come(moments: tuple[float, ...], kept: str) -> None:
    exemplars = named(*(at(moment) for moment in moments)).status_durations[LIVE, "queued"]
    assert [each.migration_id for each in filled(exemplars).values()] == [kept]


def test_another_of_the_same_moment_does_not_take_its_place() -> None:
    exemplars = named(at(5.0, 7.0), at(5.0, 6.0)).status_durations[LIVE, "queued"]
    assert [each.seconds for each in filled(exemplars).values()] == [7.0]


def test_each_bucket_keeps_its_own() -> None:
    exemplars = named(at(5.0, 7.0), at(4.0, 1.5), at(3.0, 0.0)).status_durations[LIVE, "queued"]
    assert {place: each.migration_id for place, each in filled(exemplars).items()} == {3: "m5", 1: "m4", 0: "m3"}


def test_however_much_is_observed_a_bucket_keeps_one() -> None:
    exemplars = named(*(at(float(i), float(i)) for i in range(2000))).status_durations[LIVE, "queued"]
    assert len(exemplars) == len(BUCKETS) + 1
    assert len(filled(exemplars)) == 13


def test_exemplars_do_not_change_when_more_is_observed() -> None:
    ledger = Ledger()
    before = named(at(5.0), ledger=ledger)
    after = named(at(6.0), ledger=ledger)
    assert [each.at for each in filled(before.status_durations[LIVE, "queued"]).values()] == [5.0]
    assert [each.at for each in filled(after.status_durations[LIVE, "queued"]).values()] == [6.0]


def test_exemplars_of_an_unknown_status_stand_under_the_name_it_is_exposed_under() -> None:
    ledger = Ledger()
    ledger.enter([Left(record(LIVE, "odd", 0.0), "odd", 3.0)], lambda kind, status: "other")
    assert set(ledger.exemplars().status_durations) == {(LIVE, "other")}


def test_books_that_are_opened_again_know_exemplars_only_where_they_are_given_them() -> None:
    ledger = Ledger()
    known = named(at(5.0), MoveEnded(MOVE, Outcome.SUCCESS, 90.0), ledger=ledger)
    assert Ledger(totals=ledger.totals()).exemplars() == Exemplars({}, {})
    again = Ledger(totals=ledger.totals(), exemplars=known)
    assert again.exemplars() == known
    assert named(at(4.0), ledger=again) == known
    assert named(at(6.0), ledger=again) != known
