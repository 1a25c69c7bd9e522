"""Which servers are in a move that no live record explains."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.domain.lifecycle import Reason
from exporter.domain.server import MOVING_STATUSES, Server, Sighting
from exporter.domain.stranded import Stranded, explained_by, find_stranded, is_stranded
from exporter.domain.tracked import NO_VERDICT, Stay, Tracked, Verdict
from tests.domain.records import LIVE, record

REVERTING = Server("s", "REVERT_RESIZE", task_state="resize_reverting")


def sighted(*servers: Server, evacuating: Iterable[str] = ()) -> Sighting:
    return Sighting({each.id: each for each in servers}, evacuating=frozenset(evacuating))


def found(*sightings: Sighting, explained: Collection[str] = (), every: float = 300.0) -> dict[str, Stranded]:
    """Return what is found after sweeps at the times 0, `every`, twice that, and so on."""
    known: dict[str, Stranded] = {}
    for sweep, sighting in enumerate(sightings):
        known = find_stranded(known, sighting, set(explained), sweep * every)
    return known


@pytest.mark.parametrize("status", [status for status in MOVING_STATUSES if status != "REBUILD"])
def test_a_server_in_a_moving_status_without_a_record_is_found(status: str) -> None:
    server = Server("s", status)
    assert found(sighted(server)) == {"s": Stranded(server, 0.0, 1)}


def test_a_live_record_explains_its_server() -> None:
    other = Server("t", "RESIZE")
    assert found(sighted(REVERTING, other), explained={"s"}) == {"t": Stranded(other, 0.0, 1)}


@pytest.mark.parametrize(
    ("verdict", "explains"),
    [
        (NO_VERDICT, True),
        (Verdict(Reason.OVERDUE, 0.0), True),
        (Verdict(Reason.SOURCE_DOWN, 0.0), True),
        (Verdict(Reason.OVERDUE, 0.0, Reason.ORPHANED, 5.0), True),
        (Verdict(Reason.ORPHANED, 0.0), False),
        (Verdict(Reason.ORPHANED, 0.0, Reason.OVERDUE, 5.0), False),
    ],
)
def test_an_orphaned_record_explains_nothing(verdict: Verdict, explains: bool) -> None:
    migration = record(LIVE, "preparing", 0.0)
    tracked = Tracked(migration, Stay("preparing", 0.0), seen=0.0, first_seen=0.0, counted=True, verdict=verdict)
    assert explained_by({"m": tracked}) == ({"s"} if explains else set())


def test_one_record_that_explains_its_server_is_enough() -> None:
    stay = Stay("preparing", 0.0)
    moves = Tracked(record(LIVE, "preparing", 0.0), stay, seen=0.0, first_seen=0.0, counted=True)
    stale = Tracked(record(LIVE, "preparing", 0.0), stay, 0.0, 0.0, True, verdict=Verdict(Reason.ORPHANED, 0.0))
    assert explained_by({"m": moves, "stale": stale}) == {"s"}


def test_a_server_that_its_owner_rebuilds_is_in_no_move() -> None:
    rebuilt = Server("s", "REBUILD", task_state="rebuilding")
    assert found(sighted(rebuilt)) == {}
    assert found(sighted(rebuilt, evacuating={"s"})) == {"s": Stranded(rebuilt, 0.0, 1)}


def test_a_server_that_was_looked_up_one_by_one_is_not_stranded() -> None:
    assert find_stranded({}, Sighting(others={"s": Server("s", "ACTIVE")}), set(), 0.0) == {}


def test_sweeps_add_up_and_the_last_sight_of_the_server_is_kept() -> None:
    moved = Server("s", "REVERT_RESIZE", task_state="resize_reverting", host="elsewhere")
    assert found(sighted(REVERTING), sighted(moved)) == {"s": Stranded(moved, 0.0, 2)}


def test_a_server_whose_status_changes_begins_anew() -> None:
    verify = Server("s", "VERIFY_RESIZE")
    assert found(sighted(verify), sighted(verify), sighted(REVERTING)) == {"s": Stranded(REVERTING, 600.0, 1)}


def test_a_server_that_left_or_that_a_record_explained_begins_anew() -> None:
    assert found(sighted(REVERTING), sighted(), sighted(REVERTING)) == {"s": Stranded(REVERTING, 600.0, 1)}
    known = found(sighted(REVERTING))
    assert find_stranded(known, sighted(REVERTING), {"s"}, 300.0) == {}


@pytest.mark.parametrize(
    ("sweeps", "at", "stranded"),
    [(1, 1e9, False), (2, 99.0, False), (2, 699.0, False), (2, 700.0, True), (3, 700.0, True), (30, 699.0, False)],
)
def test_it_takes_two_sweeps_and_ten_minutes(sweeps: int, at: float, stranded: bool) -> None:
    assert is_stranded(Stranded(REVERTING, 100.0, sweeps), at) is stranded


def test_a_clock_that_was_set_back_strands_nobody() -> None:
    assert not is_stranded(Stranded(REVERTING, 1e9, 5), 0.0)


SERVERS = st.builds(Server, st.sampled_from("abc"), st.sampled_from(MOVING_STATUSES))
SWEEPS = st.lists(
    st.builds(
        lambda servers, ids: sighted(*servers, evacuating=ids), st.lists(SERVERS), st.sets(st.sampled_from("abc"))
    )
)


@given(SWEEPS, st.sets(st.sampled_from("abc")))
def test_only_servers_of_the_last_sweep_are_kept_and_none_that_a_record_explains(
    sightings: list[Sighting], explained: set[str]
) -> None:
    left = found(*sightings, explained=explained)
    shown = sightings[-1].moving if sightings else {}
    assert left.keys() <= shown.keys() - explained
    assert all(each.server == shown[server_id] for server_id, each in left.items())


@given(SWEEPS, st.floats(1.0, 1e4))
def test_a_server_was_seen_so_for_all_the_sweeps_that_are_counted(sightings: list[Sighting], every: float) -> None:
    for server_id, each in found(*sightings, every=every).items():
        assert each.since == (len(sightings) - each.sweeps) * every
        assert {seen.moving[server_id].status for seen in sightings[-each.sweeps :]} == {each.server.status}
