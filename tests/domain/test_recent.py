"""The last ends: what is shown of them, in which order, and what is forgotten."""

from __future__ import annotations

from collections.abc import Collection

from exporter.domain.events import Began, Corrected, Ended, Event, Left, MoveEnded
from exporter.domain.lifecycle import DELETED, MigrationType, Outcome
from exporter.domain.recent import MOST_ENDS, Recent
from exporter.domain.view import RecentEnd
from tests.domain.records import RESIZE, record


def name_of(migration_type: MigrationType, status: str) -> str:
    """Return a status under the name it is exposed by: too many unknown ones share one."""
    return "other" if status.startswith("odd") else status


def taken(*polls: tuple[Event, ...], live: Collection[str] = ()) -> Recent:
    """Return what is remembered after polls, behind all of which these records are live."""
    recent = Recent()
    for events in polls:
        recent.enter(events, live, name_of)
    return recent


def left(status: str, seconds: float | None, uuid: str = "m") -> Left:
    return Left(record(RESIZE, "migrating", 100.0, 101.0, uuid=uuid), status, seconds)


def ended(
    status: str = "confirmed", outcome: Outcome = Outcome.SUCCESS, uuid: str = "m", stamp: float = 111.0
) -> Ended:
    return Ended(record(RESIZE, status if status != DELETED else "migrating", 100.0, stamp, uuid=uuid), status, outcome)


def test_before_anything_ended_there_is_nothing() -> None:
    migration = record(RESIZE, "migrating", 100.0)
    assert taken((Began(migration), MoveEnded(migration, Outcome.SUCCESS, 1.0)), live={"m"}).ends() == ()


def test_an_end_is_shown_with_what_was_told_of_its_record_before() -> None:
    end = ended()
    recent = taken((left("pre-migrating", 1.0),), (left("migrating", None),), (left("finished", 4.0), end), live={"m"})
    lengths = {"pre-migrating": 1.0, "migrating": None, "finished": 4.0}
    assert recent.ends() == (RecentEnd(end.migration, "confirmed", Outcome.SUCCESS, 111.0, lengths),)


def test_what_is_told_of_a_record_later_is_added_in_the_order_of_the_lifecycle() -> None:
    recent = taken(
        (left("finished", 4.0), ended()),
        (left("migrating", 2.0), left("pre-migrating", 1.0)),
        (left("confirming", None), left("post-migrating", 3.0)),
    )
    [end] = recent.ends()
    assert list(end.durations.items()) == [
        ("pre-migrating", 1.0),
        ("migrating", 2.0),
        ("post-migrating", 3.0),
        ("finished", 4.0),
        ("confirming", None),
    ]


def test_what_was_told_out_of_order_before_the_end_is_shown_in_order() -> None:
    [end] = taken((left("finished", 4.0), left("migrating", 2.0)), (ended(),), live={"m"}).ends()
    assert list(end.durations) == ["migrating", "finished"]


def test_a_deletion_has_no_time_of_its_own() -> None:
    [end] = taken((ended(DELETED, Outcome.DELETED),)).ends()
    assert (end.status, end.outcome, end.ended) == (DELETED, Outcome.DELETED, None)


def test_a_correction_leaves_the_first_end() -> None:
    corrected = Corrected(record(RESIZE, "error", 100.0, 120.0), "confirmed", "error")
    [end] = taken((ended(),), (corrected,)).ends()
    assert (end.status, end.ended) == ("confirmed", 111.0)


def test_a_status_that_the_table_does_not_know_has_the_name_it_is_exposed_by() -> None:
    [end] = taken((left("odd one", 2.0), left("migrating", 3.0), ended())).ends()
    assert dict(end.durations) == {"other": 2.0, "migrating": 3.0}


def test_the_newest_come_first_and_the_oldest_are_forgotten() -> None:
    recent = taken(*((ended(uuid=f"m{place}", stamp=100.0 + place),) for place in range(MOST_ENDS + 3)))
    uuids = [end.migration.uuid for end in recent.ends()]
    assert uuids == [f"m{place}" for place in reversed(range(3, MOST_ENDS + 3))]


def test_what_is_told_of_an_end_that_is_forgotten_is_forgotten_too() -> None:
    recent = taken((left("migrating", 2.0),), (ended(),))
    [end] = recent.ends()
    assert end.durations == {}
    recent = taken(*((ended(uuid=f"m{place}"),) for place in range(MOST_ENDS + 1)), (left("migrating", 2.0, "m0"),))
    assert all(end.durations == {} for end in recent.ends())


def test_what_is_told_of_live_records_waits_for_their_end() -> None:
    recent = taken((left("pre-migrating", 1.0, "a"), left("pre-migrating", 5.0, "b")), live={"a", "b"})
    recent.enter((), {"b"}, name_of)
    recent.enter((ended(uuid="a"), ended(uuid="b")), (), name_of)
    assert {end.migration.uuid: end.durations for end in recent.ends()} == {"a": {}, "b": {"pre-migrating": 5.0}}
