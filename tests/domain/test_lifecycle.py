"""The lifecycle table is total, ordered and consistent with itself."""

from __future__ import annotations

import math
from collections import Counter
from itertools import product

import pytest

from exporter.domain.lifecycle import (
    DELETED,
    ENDED_ROWS,
    KNOWN_CORRECTIONS,
    LIVE_ROWS,
    LIVE_STATUSES,
    NEVER_UPDATED_STATUSES,
    OUTCOMES,
    TABLE,
    UNKNOWN_EXPECTED,
    Actor,
    MigrationType,
    Outcome,
    Phase,
    Reason,
    Row,
    initial_row,
    is_known,
    passed_between,
    reasons_of,
    row_of,
    surely_direct,
)
from tests.domain.records import COLD, EVACUATION, LIVE, RESIZE

#: Every pair that Nova writes, by type: the live ones in the order of the lifecycle, then the ends.
WRITTEN = {
    RESIZE: (
        ("pre-migrating", "migrating", "post-migrating", "finished", "confirming", "reverting"),
        ("confirmed", "reverted", "failed", "error"),
    ),
    COLD: (
        ("pre-migrating", "migrating", "post-migrating", "finished", "confirming", "reverting"),
        ("confirmed", "reverted", "failed", "error"),
    ),
    LIVE: (
        ("accepted", "queued", "preparing", "running", "running (post-copy)"),
        ("completed", "failed", "cancelled", "error"),
    ),
    EVACUATION: (("accepted", "pre-migrating"), ("done", "completed", "failed", "error")),
}


@pytest.mark.parametrize("kind", MigrationType)
def test_every_status_that_nova_writes_has_a_row(kind: MigrationType) -> None:
    live, ended = WRITTEN[kind]
    assert tuple(row.status for row in LIVE_ROWS if row.migration_type is kind) == live
    assert tuple(row.status for row in ENDED_ROWS if row.migration_type is kind) == (*ended, DELETED)


def test_a_pair_has_one_row_only() -> None:
    pairs = Counter((row.migration_type, row.status) for row in TABLE)
    assert set(pairs.values()) == {1}


@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row.migration_type}:{row.status}")
def test_a_row_is_found_by_its_pair_and_says_what_it_means(row: Row) -> None:
    assert row_of(row.migration_type, row.status) is row
    assert is_known(row.migration_type, row.status)
    assert row.meaning.endswith(".")


@pytest.mark.parametrize("row", ENDED_ROWS, ids=lambda row: f"{row.migration_type}:{row.status}")
def test_an_end_has_an_outcome_and_nobody_to_act(row: Row) -> None:
    assert row.outcome is not None
    assert (row.actor, row.expected) == (Actor.NOBODY, math.inf)


@pytest.mark.parametrize("row", LIVE_ROWS, ids=lambda row: f"{row.migration_type}:{row.status}")
def test_a_live_row_has_somebody_to_act_and_agreeing_task_states(row: Row) -> None:
    assert row.actor is not Actor.NOBODY
    assert row.task_states


@pytest.mark.parametrize("row", LIVE_ROWS, ids=lambda row: f"{row.migration_type}:{row.status}")
def test_only_waiting_for_a_user_may_last_for_ever(row: Row) -> None:
    assert math.isinf(row.expected) == (row.phase is Phase.WAITING)
    assert (row.status == "finished") == (row.phase is Phase.WAITING)


def test_a_status_that_the_table_does_not_know_is_live_and_has_a_threshold() -> None:
    row = row_of(LIVE, "teleporting")
    assert (row.phase, row.live, row.expected) == (Phase.UNKNOWN, True, UNKNOWN_EXPECTED)
    assert not is_known(LIVE, "teleporting")


@pytest.mark.parametrize(
    ("kind", "status"), list(product(MigrationType, [end for _, ends in WRITTEN.values() for end in ends]))
)
def test_an_end_of_one_type_is_an_end_of_every_type(kind: MigrationType, status: str) -> None:
    row = row_of(kind, status)
    assert not row.live
    assert row.outcome is not None


def test_a_live_status_of_one_type_is_unknown_to_another() -> None:
    assert row_of(RESIZE, "running").phase is Phase.UNKNOWN


@pytest.mark.parametrize("kind", MigrationType)
def test_a_sweep_asks_in_the_order_of_every_lifecycle(kind: MigrationType) -> None:
    ranks = [row_of(kind, status).rank for status in LIVE_STATUSES if is_known(kind, status)]
    assert ranks == sorted(ranks)


def test_a_sweep_asks_for_every_live_status_once() -> None:
    assert sorted(LIVE_STATUSES) == sorted({row.status for row in LIVE_ROWS})


@pytest.mark.parametrize("kind", MigrationType)
def test_a_record_begins_in_a_status_that_a_look_asks_for_by_name(kind: MigrationType) -> None:
    assert initial_row(kind).status in NEVER_UPDATED_STATUSES
    assert initial_row(kind).rank == 0


@pytest.mark.parametrize(
    ("kind", "earlier", "later", "passed"),
    [
        (RESIZE, "pre-migrating", "migrating", ()),
        (RESIZE, "pre-migrating", "finished", ("migrating", "post-migrating")),
        (RESIZE, "migrating", "confirmed", ("post-migrating", "finished", "confirming")),
        (COLD, "migrating", "reverted", ("post-migrating", "finished", "reverting")),
        (COLD, "confirming", "confirmed", ()),
        (RESIZE, "pre-migrating", "error", ()),
        (LIVE, "accepted", "running", ("queued", "preparing")),
        (LIVE, "accepted", "completed", ("queued", "preparing", "running")),
        (LIVE, "running", "completed", ()),
        (LIVE, "queued", "cancelled", ()),
        (EVACUATION, "accepted", "done", ("pre-migrating",)),
        (EVACUATION, "accepted", "completed", ()),
        (LIVE, "teleporting", "completed", ()),
        (LIVE, "accepted", "teleporting", ()),
    ],
)
def test_only_what_lies_surely_between_was_passed(
    kind: MigrationType, earlier: str, later: str, passed: tuple[str, ...]
) -> None:
    assert passed_between(kind, earlier, later) == passed


@pytest.mark.parametrize(
    ("kind", "earlier", "later", "direct"),
    [
        (RESIZE, "pre-migrating", "migrating", True),
        (RESIZE, "pre-migrating", "post-migrating", False),
        (RESIZE, "finished", "confirmed", False),
        (RESIZE, "reverting", "reverted", True),
        (RESIZE, "reverting", "error", False),
        (RESIZE, "reverting", "failed", True),
        (LIVE, "running", "error", False),
        (RESIZE, "finished", "error", False),
        (LIVE, "running", "completed", True),
        (LIVE, "running", "failed", True),
        (LIVE, "preparing", "failed", False),
        (LIVE, "preparing", "cancelled", False),
        (EVACUATION, "pre-migrating", "done", True),
        (EVACUATION, "pre-migrating", "failed", True),
        (EVACUATION, "accepted", "failed", False),
        (EVACUATION, "accepted", "completed", False),
        (LIVE, "running", "teleporting", False),
        (LIVE, "teleporting", "running", False),
    ],
)
def test_a_step_is_direct_only_if_nothing_can_lie_between(
    kind: MigrationType, earlier: str, later: str, direct: bool
) -> None:
    assert surely_direct(kind, earlier, later) is direct


@pytest.mark.parametrize(
    ("kind", "last", "end"),
    [
        (EVACUATION, "pre-migrating", "completed"),
        (RESIZE, "confirming", "error"),
        (COLD, "reverting", "error"),
        (LIVE, "running", "error"),
    ],
)
def test_an_end_that_may_follow_another_end_is_not_direct(kind: MigrationType, last: str, end: str) -> None:
    assert not surely_direct(kind, last, end)


def test_only_the_heartbeat_statuses_of_a_live_migration_can_stand_still() -> None:
    still = {row.status for row in LIVE_ROWS if Reason.NO_PROGRESS in reasons_of(row)}
    assert still == {"running", "running (post-copy)"}


@pytest.mark.parametrize("row", LIVE_ROWS, ids=lambda row: f"{row.migration_type}:{row.status}")
def test_reasons_stand_in_the_order_of_precedence(row: Row) -> None:
    reasons = reasons_of(row)
    assert list(reasons) == [reason for reason in Reason if reason in reasons]
    assert (Reason.UNCONFIRMED in reasons) == (row.status == "finished")
    assert (Reason.OVERDUE in reasons) == (row.status != "finished")


@pytest.mark.parametrize(
    ("kind", "outcomes"),
    [
        (RESIZE, (Outcome.SUCCESS, Outcome.FAILURE, Outcome.DELETED)),
        (COLD, (Outcome.SUCCESS, Outcome.FAILURE, Outcome.DELETED)),
        (LIVE, (Outcome.SUCCESS, Outcome.FAILURE, Outcome.CANCELLED, Outcome.DELETED)),
        (EVACUATION, (Outcome.SUCCESS, Outcome.FAILURE, Outcome.DELETED, Outcome.UNKNOWN)),
    ],
)
def test_a_move_can_end_only_as_its_rows_say(kind: MigrationType, outcomes: tuple[Outcome, ...]) -> None:
    assert OUTCOMES[kind] == outcomes


def test_corrections_lead_from_an_end_to_another_end() -> None:
    for kind, before, after in KNOWN_CORRECTIONS:
        assert not row_of(kind, before).live
        assert not row_of(kind, after).live
        assert before != after
