"""What the actions of a server tell of a record's way: what Nova notes of each kind of move, and what follows from it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from exporter.domain.history import LONGEST_REQUEST, Past, entries, lengths, needed
from exporter.domain.lifecycle import MigrationType
from exporter.domain.server import Action, Step
from exporter.domain.tracked import Doubt, Stay, passed_stay
from tests.domain.records import COLD, DAY, EVACUATION, LIVE, RESIZE, record

Lengths = Mapping[str, float | None]


def about(seconds: float) -> Any:
    """Return a length that may be off by a rounding of floating point."""
    return pytest.approx(seconds)


def step(name: str, start: float, finish: float | None, ok: bool | None = True) -> Step:
    """Return a step; one without an end has no result either."""
    return Step(name, start, finish, None if finish is None else ok)


def action(name: str, start: float, *steps: Step, request_id: str | None = None) -> Action:
    """Return an action; its request is named after it unless it has another name."""
    return Action(name, request_id or f"req-{name}", start, steps)


def doubtful(*statuses: str, **proven: float) -> tuple[Doubt, ...]:
    """Return statuses in doubt; those of a keyword the stamps prove to so many seconds."""
    return (
        *(Doubt(status, None) for status in statuses),
        *(Doubt(status, seconds) for status, seconds in proven.items()),
    )


def gone(
    kind: MigrationType,
    status: str,
    doubts: tuple[Doubt, ...],
    ended: float | None,
    *,
    stays: tuple[Stay, ...] | None = None,
    created: float = 1000.0,
    deleted: bool = False,
) -> Past:
    """Return the past of a record that has ended, last seen in a status; without other stays it was in its first."""
    seen = (Stay(status, created),) if stays is None else stays
    stamp = max([created, *(stay.since for stay in seen)])
    last = record(kind, status, created, None if stamp == created else stamp)
    return Past(last, seen, doubts, over=True, ended=ended, deleted=deleted)


def living(
    kind: MigrationType, status: str, stamp: float, doubts: tuple[Doubt, ...], *stays: Stay, slack: float = 0.0
) -> Past:
    """Return the past of a record that was created at 1000 and lives in a status."""
    seen = (*stays, Stay(status, stamp, slack))
    return Past(record(kind, status, 1000.0, stamp), seen, doubts)


# --- what Nova notes ---

#: A cold move asked for at 999.8: created 1000, migrating 1002, post-migrating 1010, finished 1013.
MOVE = (
    step("conductor_migrate_server", 999.85, 1000.3),
    step("cold_migrate", 999.9, 1000.25),
    step("compute_prep_resize", 1000.4, 1001.9),
    step("compute_resize_instance", 1002.0, 1010.0),
    step("compute_finish_resize", 1010.1, 1013.0),
)
RESIZED = action("resize", 999.8, *MOVE)
MIGRATED = action("migrate", 999.8, *MOVE)
CONFIRMED = action("confirmResize", 1019.9, step("compute_confirm_resize", 1020.1, 1021.2))
REVERTED = action(
    "revertResize",
    1029.9,
    step("compute_revert_resize", 1030.1, 1032.0),
    step("compute_finish_revert_resize", 1032.1, 1040.0),
)

#: The same moved to another cell.
CROSSED = action(
    "migrate",
    999.8,
    step("conductor_migrate_server", 999.85, None),
    step("cold_migrate", 999.9, None),
    step("compute_prep_snapshot_based_resize_at_dest", 1000.4, 1001.9),
    step("compute_prep_snapshot_based_resize_at_source", 1002.0, 1010.0),
    step("compute_finish_snapshot_based_resize_at_dest", 1010.1, 1013.0),
)
CROSS_CONFIRMED = action(
    "confirmResize",
    1019.9,
    step("conductor_confirm_snapshot_based_resize", 1020.1, 1021.3),
    step("compute_confirm_snapshot_based_resize_at_source", 1020.3, 1021.2),
)
CROSS_REVERTED = action(
    "revertResize",
    1029.9,
    step("conductor_revert_snapshot_based_resize", 1030.1, 1041.0),
    step("compute_revert_snapshot_based_resize_at_dest", 1030.3, 1032.0),
    step("compute_finish_revert_snapshot_based_resize_at_source", 1032.1, 1040.0),
)

#: A live migration: accepted 1000, queued 1001, preparing 1003, running 1006.
CHECKS = (
    step("conductor_live_migrate_instance", 999.9, 1000.9),
    step("compute_check_can_live_migrate_destination", 1000.2, 1000.8),
    step("compute_check_can_live_migrate_source", 1000.4, 1000.7),
)
ENQUEUED = step("compute_live_migration", 1001.0, 1001.02)
PREPARED = step("compute_pre_live_migration", 1003.0, 1006.0)
LIVE_MOVED = action(
    "live-migration",
    999.8,
    *CHECKS,
    ENQUEUED,
    PREPARED,
    step("compute_post_live_migration_at_destination", 1010.0, 1011.0),
)

#: An evacuation: accepted 1000, pre-migrating 1004, done 1050.
REBUILT = step("compute_rebuild_instance", 1004.0, 1050.0)
EVACUATED = action("evacuate", 999.9, step("rebuild_server", 1000.1, 1003.9), REBUILT)


def without(whole: Action, *names: str) -> Action:
    """Return an action without some of its steps."""
    return replace(whole, steps=tuple(each for each in whole.steps if each.name not in names))


def failing(whole: Action, name: str, finish: float) -> Action:
    """Return an action that failed in a step: nothing follows it."""
    before = [each for each in whole.steps if each.start < _start_of(whole, name)]
    return replace(whole, steps=(*before, Step(name, _start_of(whole, name), finish, ok=False)))


def broken_off(whole: Action, name: str) -> Action:
    """Return an action in one step of which its service died."""
    before = [each for each in whole.steps if each.start < _start_of(whole, name)]
    return replace(whole, steps=(*before, Step(name, _start_of(whole, name))))


def _start_of(whole: Action, name: str) -> float:
    return next(each.start for each in whole.steps if each.name == name)


def shifted(whole: Action, seconds: float, request_id: str) -> Action:
    """Return the same done again later."""
    steps = tuple(
        Step(each.name, each.start + seconds, None if each.finish is None else each.finish + seconds, each.ok)
        for each in whole.steps
    )
    return Action(whole.name, request_id, whole.start + seconds, steps)


# --- ways that nobody saw ---

COLD_PATH = ("pre-migrating", "migrating", "post-migrating", "finished")
LIVE_PATH = ("accepted", "queued", "preparing", "running")


@dataclass(frozen=True)
class Case:
    """A record of which all but the beginning is in doubt, what Nova noted of its server, and what that tells."""

    name: str
    past: Past
    actions: tuple[Action, ...]
    told: Lengths = field(default_factory=dict)


OTHERS = (
    action("create", 500.0, request_id="req-create"),
    action("stop", 900.0, request_id="req-stop"),
    action("reboot", 1015.0, request_id="req-reboot"),
)

CASES = [
    Case(
        "resize, confirmed",
        gone(RESIZE, "pre-migrating", doubtful(*COLD_PATH, "confirming"), 1021.0),
        (RESIZED, CONFIRMED),
        {"pre-migrating": 2.0, "migrating": 8.0, "post-migrating": 3.0, "finished": 7.0, "confirming": 1.0},
    ),
    Case(
        "cold migration, reverted",
        gone(COLD, "pre-migrating", doubtful(*COLD_PATH, "reverting"), 1031.9),
        (MIGRATED, REVERTED),
        {"pre-migrating": 2.0, "migrating": 8.0, "post-migrating": 3.0, "finished": 17.0, "reverting": 1.9},
    ),
    Case(
        "among all that was done with the server",
        gone(RESIZE, "pre-migrating", doubtful(*COLD_PATH, "confirming"), 1021.0),
        (*OTHERS, RESIZED, CONFIRMED, action("stop", 1030.0)),
        {"pre-migrating": 2.0, "migrating": 8.0, "post-migrating": 3.0, "finished": 7.0, "confirming": 1.0},
    ),
    Case(
        "confirmed by the confirm window: the request waits for its first step no longer than any",
        gone(COLD, "pre-migrating", doubtful(*COLD_PATH, "confirming"), 1021.0),
        (MIGRATED, action("confirmResize", 1020.0, step("compute_confirm_resize", 1020.0, 1021.2))),
        {"pre-migrating": 2.0, "migrating": 8.0, "post-migrating": 3.0, "finished": 7.0, "confirming": 1.0},
    ),
    Case(
        "confirmed, and the source was long in taking it up: then the request tells",
        gone(COLD, "pre-migrating", doubtful(*COLD_PATH, "confirming"), 1061.0),
        (MIGRATED, action("confirmResize", 1020.0, step("compute_confirm_resize", 1060.0, 1061.2))),
        {"pre-migrating": 2.0, "migrating": 8.0, "post-migrating": 3.0, "finished": 7.0, "confirming": 41.0},
    ),
    Case(
        "confirmed, and the cast was lost",
        gone(COLD, "pre-migrating", doubtful(*COLD_PATH, "confirming"), 1090.0),
        (MIGRATED, action("confirmResize", 1020.0)),
        {"pre-migrating": 2.0, "migrating": 8.0, "post-migrating": 3.0, "finished": 7.0, "confirming": 70.0},
    ),
    Case(
        "rescheduled: the first of two attempts gets the end of the second, the second none",
        gone(RESIZE, "pre-migrating", doubtful(*COLD_PATH, "confirming"), 1021.0),
        (
            replace(
                RESIZED,
                steps=(
                    step("conductor_migrate_server", 999.85, 1000.9),
                    step("cold_migrate", 999.9, 1000.85),
                    step("compute_prep_resize", 1000.1, 1001.9),
                    step("conductor_migrate_server", 1000.3, None),
                    step("cold_migrate", 1000.35, None),
                    step("compute_prep_resize", 1001.0, None),
                    *MOVE[3:],
                ),
            ),
            CONFIRMED,
        ),
        {"pre-migrating": 2.0, "migrating": 8.0, "post-migrating": 3.0, "finished": 7.0, "confirming": 1.0},
    ),
    Case(
        "no valid host",
        gone(RESIZE, "pre-migrating", doubtful("pre-migrating"), 1000.2),
        (failing(RESIZED, "cold_migrate", 1000.25),),
        {"pre-migrating": about(0.2)},
    ),
    Case(
        "failed in pre-migrating",
        gone(RESIZE, "pre-migrating", doubtful("pre-migrating"), 1001.8),
        (failing(RESIZED, "compute_prep_resize", 1001.9),),
        {"pre-migrating": about(1.8)},
    ),
    Case(
        "failed in migrating",
        gone(RESIZE, "pre-migrating", doubtful("pre-migrating"), 1006.0),
        (failing(RESIZED, "compute_resize_instance", 1006.1),),
        {"pre-migrating": 2.0, "migrating": 4.0},
    ),
    Case(
        "failed in post-migrating",
        gone(RESIZE, "pre-migrating", doubtful("pre-migrating"), 1012.0),
        (failing(RESIZED, "compute_finish_resize", 1012.1),),
        {"pre-migrating": 2.0, "migrating": 8.0, "post-migrating": 2.0},
    ),
    Case(
        "failed in finished",
        gone(RESIZE, "pre-migrating", doubtful("pre-migrating"), 1100.0),
        (RESIZED,),
        {"pre-migrating": 2.0, "migrating": 8.0, "post-migrating": 3.0, "finished": 87.0},
    ),
    Case(
        "failed in confirming",
        gone(RESIZE, "pre-migrating", doubtful("pre-migrating"), 1021.0),
        (RESIZED, failing(CONFIRMED, "compute_confirm_resize", 1021.2)),
        {"pre-migrating": 2.0, "migrating": 8.0, "post-migrating": 3.0, "finished": 7.0, "confirming": 1.0},
    ),
    Case(
        "failed in reverting",
        gone(RESIZE, "pre-migrating", doubtful("pre-migrating"), 1031.0),
        (RESIZED, failing(REVERTED, "compute_revert_resize", 1031.2)),
        {"pre-migrating": 2.0, "migrating": 8.0, "post-migrating": 3.0, "finished": 17.0, "reverting": 1.0},
    ),
    Case(
        "the source died in migrating: the step has no end, and what stays in doubt ends with the record",
        gone(RESIZE, "pre-migrating", doubtful("pre-migrating"), 5000.0),
        (broken_off(RESIZED, "compute_resize_instance"),),
        {"pre-migrating": 2.0, "migrating": 3998.0},
    ),
    Case(
        "reverted at the second try: the first was refused",
        gone(RESIZE, "pre-migrating", doubtful(*COLD_PATH, "reverting"), 1031.9),
        (RESIZED, action("revertResize", 1025.0, request_id="req-refused"), REVERTED),
        {"pre-migrating": 2.0, "migrating": 8.0, "post-migrating": 3.0, "finished": 17.0, "reverting": 1.9},
    ),
    Case(
        "to another cell, confirmed",
        gone(COLD, "pre-migrating", doubtful(*COLD_PATH, "confirming"), 1021.0),
        (CROSSED, CROSS_CONFIRMED),
        {"pre-migrating": 2.0, "migrating": 8.0, "post-migrating": 3.0, "finished": 7.0, "confirming": 1.0},
    ),
    Case(
        "to another cell, reverted",
        gone(COLD, "pre-migrating", doubtful(*COLD_PATH, "reverting"), 1031.9),
        (CROSSED, CROSS_REVERTED),
        {"pre-migrating": 2.0, "migrating": 8.0, "post-migrating": 3.0, "finished": 17.0, "reverting": 1.9},
    ),
    Case(
        "server deleted in VERIFY_RESIZE: confirmed under the request of the deletion, without having been confirming",
        gone(RESIZE, "pre-migrating", doubtful(*COLD_PATH, "confirming"), 1021.0),
        (
            RESIZED,
            action("delete", 1020.0, request_id="req-both"),
            action("confirmResize", 1020.3, request_id="req-both"),
        ),
        {"pre-migrating": 2.0, "migrating": 8.0, "post-migrating": 3.0, "finished": 8.0},
    ),
    Case(
        "server deleted while a user's confirmation was under way",
        gone(RESIZE, "pre-migrating", doubtful(*COLD_PATH, "confirming"), 1021.0),
        (
            RESIZED,
            CONFIRMED,
            action("delete", 1020.5, request_id="req-both"),
            action("confirmResize", 1020.6, request_id="req-both"),
        ),
        {"pre-migrating": 2.0, "migrating": 8.0, "post-migrating": 3.0, "finished": 7.0, "confirming": 1.0},
    ),
    Case(
        "server deleted in VERIFY_RESIZE, its record gone",
        gone(RESIZE, "pre-migrating", doubtful("pre-migrating"), 1020.0, deleted=True),
        (
            RESIZED,
            action("delete", 1019.8, request_id="req-both"),
            action("confirmResize", 1019.9, request_id="req-both"),
        ),
        {"pre-migrating": 2.0, "migrating": 8.0, "post-migrating": 3.0, "finished": 7.0},
    ),
    Case(
        "server deleted in migrating: Nova goes on unseen; whether the record had failed just before nobody knows",
        gone(RESIZE, "pre-migrating", doubtful("pre-migrating"), 1005.0, deleted=True),
        (RESIZED, action("delete", 1004.8)),
        {"pre-migrating": 2.0, "migrating": None},
    ),
    Case(
        "server deleted after it was finished: whether Nova had found an error before nobody knows",
        gone(RESIZE, "pre-migrating", doubtful("pre-migrating"), 1500.0, deleted=True),
        (RESIZED, action("delete", 1499.8)),
        {"pre-migrating": 2.0, "migrating": 8.0, "post-migrating": 3.0, "finished": None},
    ),
    Case(
        "server deleted, nobody knows when",
        gone(RESIZE, "pre-migrating", doubtful("pre-migrating"), None, deleted=True),
        (failing(RESIZED, "compute_resize_instance", 1006.1),),
        {"pre-migrating": 2.0, "migrating": None},
    ),
    Case(
        "server deleted after a live migration that may have been over: the steps do not tell when",
        gone(LIVE, "accepted", doubtful("accepted"), 1500.0, deleted=True),
        (LIVE_MOVED, action("delete", 1499.8)),
        {"accepted": 1.0, "queued": 2.0, "preparing": 3.0, "running": None},
    ),
    Case(
        "server deleted after an evacuation was done",
        gone(EVACUATION, "accepted", doubtful("accepted"), 1500.0, deleted=True),
        (EVACUATED, action("delete", 1499.8)),
        {"accepted": 4.0, "pre-migrating": 46.0},
    ),
    Case(
        "server deleted after it was reverted",
        gone(RESIZE, "pre-migrating", doubtful("pre-migrating"), 1500.0, deleted=True),
        (RESIZED, REVERTED, action("delete", 1499.8)),
        {"pre-migrating": 2.0, "migrating": 8.0, "post-migrating": 3.0, "finished": 17.0, "reverting": 2.0},
    ),
    Case(
        "reverted, and then the source could not start the server again: error, long after",
        gone(RESIZE, "pre-migrating", doubtful("pre-migrating"), 1039.9),
        (RESIZED, failing(REVERTED, "compute_finish_revert_resize", 1040.0)),
        {"pre-migrating": 2.0, "migrating": 8.0, "post-migrating": 3.0, "finished": 17.0, "reverting": 2.0},
    ),
    Case(
        "live migration, completed",
        gone(LIVE, "accepted", doubtful(*LIVE_PATH), 1011.1),
        (LIVE_MOVED,),
        {"accepted": 1.0, "queued": 2.0, "preparing": 3.0, "running": about(5.1)},
    ),
    Case(
        "live migration before microversion 2.34: the request itself asks the hosts",
        gone(LIVE, "accepted", doubtful(*LIVE_PATH), 1011.1),
        (
            replace(
                without(LIVE_MOVED, "conductor_live_migrate_instance"),
                steps=(
                    step("conductor_migrate_server", 999.9, 1000.9),
                    *without(LIVE_MOVED, "conductor_live_migrate_instance").steps,
                ),
            ),
        ),
        {"accepted": 1.0, "queued": 2.0, "preparing": 3.0, "running": about(5.1)},
    ),
    Case(
        "live migration: a second candidate after the first was refused",
        gone(LIVE, "accepted", doubtful(*LIVE_PATH), 1011.1),
        (
            replace(
                LIVE_MOVED,
                steps=(
                    step("compute_check_can_live_migrate_destination", 1000.1, 1000.2, ok=False),
                    *LIVE_MOVED.steps,
                ),
            ),
        ),
        {"accepted": 1.0, "queued": 2.0, "preparing": 3.0, "running": about(5.1)},
    ),
    Case(
        "live migration that no host would take",
        gone(LIVE, "accepted", doubtful("accepted"), 1000.9),
        (action("live-migration", 999.8, step("conductor_live_migrate_instance", 999.9, 1001.0, ok=False)),),
        {"accepted": about(0.9)},
    ),
    Case(
        "live migration cancelled in queued",
        gone(LIVE, "accepted", doubtful("accepted"), 1060.0),
        (
            action("live-migration", 999.8, *CHECKS, ENQUEUED),
            action("live_migration_cancel", 1059.9, step("compute_live_migration_abort", 1059.95, 1060.1)),
        ),
        {"accepted": 1.0, "queued": 59.0},
    ),
    Case(
        "live migration aborted in preparing: it prepares to the end, but never runs",
        gone(LIVE, "accepted", doubtful("accepted"), 1006.2),
        (
            action("live-migration", 999.8, *CHECKS, ENQUEUED, PREPARED),
            action("live_migration_cancel", 1004.9, step("compute_live_migration_abort", 1005.0, 1005.1)),
        ),
        {"accepted": 1.0, "queued": 2.0, "preparing": about(3.2)},
    ),
    Case(
        "live migration aborted in running",
        gone(LIVE, "accepted", doubtful("accepted"), 1009.0),
        (
            action("live-migration", 999.8, *CHECKS, ENQUEUED, PREPARED),
            action("live_migration_cancel", 1008.0, step("compute_live_migration_abort", 1008.1, 1008.2)),
        ),
        {"accepted": 1.0, "queued": 2.0, "preparing": 3.0, "running": 3.0},
    ),
    Case(
        "live migration that failed in preparing never ran: its step has an end, but led nowhere",
        gone(LIVE, "accepted", doubtful("accepted"), 1006.2),
        (failing(LIVE_MOVED, "compute_pre_live_migration", 1006.0),),
        {"accepted": 1.0, "queued": 2.0, "preparing": about(3.2)},
    ),
    Case(
        "live migration whose destination died in preparing",
        gone(LIVE, "accepted", doubtful("accepted"), 1070.0),
        (broken_off(LIVE_MOVED, "compute_pre_live_migration"),),
        {"accepted": 1.0, "queued": 2.0, "preparing": 67.0},
    ),
    Case(
        "live migration that the driver failed: every step is a success",
        gone(LIVE, "accepted", doubtful("accepted"), 1009.0),
        (action("live-migration", 999.8, *CHECKS, ENQUEUED, PREPARED),),
        {"accepted": 1.0, "queued": 2.0, "preparing": 3.0, "running": 3.0},
    ),
    Case(
        "live migration, rolled back",
        gone(LIVE, "accepted", doubtful("accepted"), 1009.0),
        (
            action(
                "live-migration",
                999.8,
                *CHECKS,
                ENQUEUED,
                PREPARED,
                step("compute_rollback_live_migration_at_destination", 1008.5, 1008.9),
            ),
        ),
        {"accepted": 1.0, "queued": 2.0, "preparing": 3.0, "running": 3.0},
    ),
    Case(
        "evacuation, done: its own stamp outranks the end of the step",
        gone(EVACUATION, "accepted", doubtful("accepted", "pre-migrating"), 1049.9),
        (EVACUATED,),
        {"accepted": 4.0, "pre-migrating": about(45.9)},
    ),
    Case(
        "evacuation, done long before the dead host came back and closed it",
        gone(EVACUATION, "accepted", doubtful("accepted"), 90_000.0),
        (EVACUATED,),
        {"accepted": 4.0, "pre-migrating": 46.0},
    ),
    Case(
        "evacuation that failed",
        gone(EVACUATION, "accepted", doubtful("accepted"), 1030.0),
        (failing(EVACUATED, "compute_rebuild_instance", 1030.1),),
        {"accepted": 4.0, "pre-migrating": 26.0},
    ),
    Case(
        "evacuation for which there was no host",
        gone(EVACUATION, "accepted", doubtful("accepted"), 1003.8),
        (action("evacuate", 999.9, step("rebuild_server", 1000.1, 1003.9, ok=False)),),
        {"accepted": about(3.8)},
    ),
    Case(
        "evacuation whose new host died while it built the server; the old one came back and closed the record",
        gone(EVACUATION, "accepted", doubtful("accepted"), 2000.0),
        (broken_off(EVACUATED, "compute_rebuild_instance"),),
        {"accepted": 4.0, "pre-migrating": 996.0},
    ),
    Case(
        "evacuation closed by its old host while the new one was still at it",
        gone(EVACUATION, "accepted", doubtful("accepted"), 1020.0),
        (EVACUATED,),
        {"accepted": 4.0, "pre-migrating": 16.0},
    ),
    Case(
        "evacuation of which only the steps of the conductor are known",
        gone(EVACUATION, "accepted", doubtful("accepted"), 90_000.0),
        (without(EVACUATED, "compute_rebuild_instance"),),
        {"accepted": 89_000.0},
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_actions_tell_each_status_once_in_order_with_its_length(case: Case) -> None:
    found = lengths(case.past, case.actions)
    assert found == {status: None if told is None else about(told) for status, told in case.told.items()}
    assert list(found) == list(case.told)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_those_actions_that_are_needed_tell_all_that_all_actions_tell(case: Case) -> None:
    wanted = needed(case.past, [replace(each, steps=()) for each in case.actions])
    read = {each.request_id for each in wanted}
    with_steps = [each if each.request_id in read else replace(each, steps=()) for each in case.actions]
    assert lengths(case.past, with_steps) == lengths(case.past, case.actions)
    assert len(wanted) <= 2


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_no_length_is_told_of_a_status_that_was_seen_and_is_in_no_doubt(case: Case) -> None:
    assert lengths(replace(case.past, doubts=()), case.actions).keys() == {
        status for status in case.told if status != case.past.migration.status
    }


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_without_actions_the_doubts_count_as_the_stamps_prove_them(case: Case) -> None:
    doubts = tuple(replace(doubt, seconds=float(place)) for place, doubt in enumerate(case.past.doubts))
    assert lengths(replace(case.past, doubts=doubts), ()) == {doubt.status: doubt.seconds for doubt in doubts}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_steps_that_cannot_be_read_prove_nothing_and_add_no_status_but_the_decision(case: Case) -> None:
    bare = [replace(each, steps=()) for each in case.actions]
    told = lengths(case.past, bare)
    assert set(told) <= {*case.told}
    assert {doubt.status for doubt in case.past.doubts} - {"confirming"} <= set(told)


# --- what a poll saw outranks what a step tells ---

SEEN = (
    Stay("pre-migrating", 1000.0),
    Stay("migrating", 1002.5),
    Stay("post-migrating", 1010.5),
    Stay("finished", 1013.5),
)


def test_a_stamp_that_a_poll_saw_outranks_a_step() -> None:
    past = gone(RESIZE, "migrating", doubtful(*COLD_PATH[1:], "confirming"), 1021.0, stays=SEEN[:2])
    assert entries(past, (RESIZED, CONFIRMED)) == {
        "pre-migrating": 1000.0,
        "migrating": 1002.5,
        "post-migrating": 1010.0,
        "finished": 1013.0,
        "confirming": about(1020.0),
    }
    assert lengths(past, (RESIZED, CONFIRMED))["migrating"] == 7.5


def test_a_stamp_that_may_be_a_heartbeat_does_not_outrank_a_step() -> None:
    stays = (Stay("accepted", 1000.0), Stay("running", 1009.0, slack=8.0))
    past = gone(LIVE, "running", doubtful("accepted", "queued", "preparing", "running"), 1011.0, stays=stays)
    assert entries(past, (LIVE_MOVED,))["running"] == 1006.0
    assert lengths(past, (LIVE_MOVED,)) == {"accepted": 1.0, "queued": 2.0, "preparing": 3.0, "running": 5.0}


def test_a_status_that_was_passed_unseen_has_no_beginning_of_its_own() -> None:
    past = living(
        RESIZE,
        "post-migrating",
        1010.2,
        doubtful("pre-migrating", "migrating"),
        SEEN[0],
        passed_stay("migrating", 1000.0),
    )
    assert lengths(past, (RESIZED,)) == {"pre-migrating": 2.0, "migrating": about(8.2)}


def test_where_no_step_tells_what_the_stamps_prove_within_a_tenth_stays() -> None:
    past = gone(LIVE, "running", doubtful("queued", running=95.0), 1100.0, stays=(Stay("running", 1005.0, 3.0),))
    told = lengths(past, (without(LIVE_MOVED, "compute_pre_live_migration"),))
    assert (told["queued"], told["running"]) == (None, 95.0)


def test_post_copy_ends_running_only_where_its_beginning_was_seen() -> None:
    seen = (Stay("running", 1006.0), Stay("running (post-copy)", 1008.0))
    past = gone(LIVE, "running (post-copy)", doubtful("running (post-copy)"), 1011.0, stays=seen)
    assert lengths(past, (LIVE_MOVED,))["running (post-copy)"] == 3.0
    unsure = gone(
        LIVE, "running (post-copy)", doubtful("running", "running (post-copy)"), 1011.0,
        stays=(Stay("running", 1006.0), Stay("running (post-copy)", 1009.0, slack=2.0)),
    )  # fmt: skip
    told = lengths(unsure, (LIVE_MOVED,))
    assert (told["running"], told["running (post-copy)"]) == (None, None)


# --- what is still to be asked for, and what is not ---


@pytest.mark.parametrize("doubts", [doubtful("finished", "confirming"), doubtful("finished"), doubtful("confirming")])
def test_where_the_move_was_seen_to_be_over_only_the_decision_is_read(doubts: tuple[Doubt, ...]) -> None:
    past = gone(RESIZE, "finished", doubts, 1021.0, stays=SEEN)
    assert needed(past, (RESIZED, CONFIRMED)) == (CONFIRMED,)
    bare = replace(RESIZED, steps=())
    told = {"finished": about(6.5), "confirming": about(1.0)}
    assert lengths(past, (bare, CONFIRMED)) == {
        status: told[status]
        for status in told
        if status in {doubt.status for doubt in doubts} or status == "confirming"
    }


def test_a_move_that_is_not_over_needs_its_own_steps_alone() -> None:
    past = gone(RESIZE, "pre-migrating", doubtful("pre-migrating"), 1006.0)
    assert needed(past, (*OTHERS[:2], RESIZED)) == (RESIZED,)


def test_nothing_is_needed_where_the_action_of_the_move_is_missing() -> None:
    past = gone(RESIZE, "pre-migrating", doubtful("pre-migrating"), 1021.0)
    assert needed(past, ()) == ()
    assert needed(past, (*OTHERS, CONFIRMED)) == ()
    assert needed(past, (LIVE_MOVED, EVACUATED)) == ()


def test_of_several_decisions_the_last_is_read() -> None:
    refused = action("confirmResize", 1015.0, request_id="req-refused")
    past = gone(RESIZE, "pre-migrating", doubtful(*COLD_PATH, "confirming"), 1021.0)
    assert needed(past, (RESIZED, refused, CONFIRMED)) == (RESIZED, CONFIRMED)


@pytest.mark.parametrize("kind", [LIVE, EVACUATION])
def test_only_a_cold_move_has_a_decision(kind: MigrationType) -> None:
    move = LIVE_MOVED if kind is LIVE else EVACUATED
    past = gone(kind, "accepted", doubtful("accepted"), 1100.0)
    assert needed(past, (move, CONFIRMED)) == (move,)
    assert "confirming" not in lengths(past, (move, CONFIRMED))


# --- several moves of one server ---


def test_a_second_move_shortly_after_is_another_record() -> None:
    again = (shifted(RESIZED, 25.0, "req-second"), shifted(REVERTED, 30.0, "req-second-reverted"))
    first = gone(RESIZE, "pre-migrating", doubtful(*COLD_PATH, "confirming"), 1021.0)
    both = (RESIZED, CONFIRMED, *again)
    assert needed(first, both) == (RESIZED, CONFIRMED)
    assert lengths(first, both) == lengths(first, (RESIZED, CONFIRMED))
    second = gone(RESIZE, "pre-migrating", doubtful(*COLD_PATH, "reverting"), 1061.9, created=1025.0)
    assert needed(second, both) == again
    told = {"pre-migrating": 2.0, "migrating": 8.0, "post-migrating": 3.0, "finished": 22.0, "reverting": 1.9}
    assert lengths(second, both) == {status: about(seconds) for status, seconds in told.items()}


def test_a_move_that_is_asked_for_again_a_moment_after_it_failed_is_another_record() -> None:
    refused = action("resize", 999.8, step("cold_migrate", 999.9, 1000.2, ok=False), request_id="req-first")
    again = replace(RESIZED, start=1000.5, request_id="req-second")
    first = gone(RESIZE, "pre-migrating", doubtful("pre-migrating"), 1000.15)
    assert needed(first, (refused, again)) == (refused,)
    second = gone(RESIZE, "pre-migrating", doubtful("pre-migrating"), 1006.0, created=1000.7)
    assert needed(second, (refused, again)) == (again,)


def test_moves_of_other_kinds_are_other_records() -> None:
    past = gone(RESIZE, "pre-migrating", doubtful(*COLD_PATH, "confirming"), 1021.0)
    others = (replace(LIVE_MOVED, start=999.99, request_id="req-live"), replace(EVACUATED, start=999.95))
    assert lengths(past, (RESIZED, CONFIRMED, *others)) == lengths(past, (RESIZED, CONFIRMED))


def test_a_record_that_nova_used_again_tells_nothing_of_its_first_status_but_all_of_the_rest() -> None:
    created = 1000.0 - 2 * DAY
    dead = action("resize", created - 0.2, step("cold_migrate", created - 0.1, None), request_id="req-dead")
    last = record(RESIZE, "finished", created, 1013.5)
    stays = (Stay("pre-migrating", created, math.inf), Stay("finished", 1013.5))
    past = Past(last, stays, doubtful(*COLD_PATH[:3], "finished", "confirming"), False, True, True, 1021.0)
    assert past.asks_since == 1013.5 - LONGEST_REQUEST
    assert needed(past, (dead, RESIZED, CONFIRMED)) == (RESIZED, CONFIRMED)
    assert lengths(past, (dead, RESIZED, CONFIRMED)) == {
        "pre-migrating": None,
        "migrating": 8.0,
        "post-migrating": 3.5,
        "finished": about(6.5),
        "confirming": about(1.0),
    }


def test_a_record_that_nova_used_again_and_that_failed_at_once_is_known_by_its_end() -> None:
    created = 1000.0 - 2 * DAY
    last = record(RESIZE, "pre-migrating", created, 1000.4)
    past = Past(last, (Stay("pre-migrating", 1000.4, math.inf),), doubtful("pre-migrating"), False, True, True, 1006.0)
    assert past.asks_since == 1006.0 - LONGEST_REQUEST
    failed = failing(RESIZED, "compute_resize_instance", 1006.1)
    assert lengths(past, (failed,)) == {"pre-migrating": None, "migrating": 4.0}


def test_a_re_used_record_that_nobody_recognised_observes_nothing_of_the_dead_move() -> None:
    dead = action("resize", 999.8, step("cold_migrate", 999.9, None), request_id="req-dead")
    again = shifted(RESIZED, 1800.0, "req-again")
    past = gone(RESIZE, "pre-migrating", doubtful(*COLD_PATH[:3]), 3000.0)
    assert lengths(past, (dead, again)) == {"pre-migrating": None, "migrating": None, "post-migrating": None}


def test_a_busy_conductor_may_create_the_record_long_after_the_request() -> None:
    late = replace(RESIZED, start=1000.0 - LONGEST_REQUEST + 1)
    past = gone(RESIZE, "pre-migrating", doubtful("pre-migrating"), 1006.0)
    assert past.asks_since == 1000.0 - LONGEST_REQUEST
    assert needed(past, (late,)) == (late,)


# --- records that live ---


def test_a_live_record_is_told_up_to_its_status_and_no_further() -> None:
    past = living(RESIZE, "finished", 1013.2, doubtful(*COLD_PATH[:3]), SEEN[0])
    for actions in ((RESIZED,), (RESIZED, CONFIRMED), (RESIZED, REVERTED)):
        assert lengths(past, actions) == {"pre-migrating": 2.0, "migrating": 8.0, "post-migrating": about(3.2)}
        assert "confirming" not in entries(past, actions)


def test_a_live_record_whose_steps_run_ahead_of_it_is_not_further_than_it_was_seen() -> None:
    past = living(RESIZE, "migrating", 1002.1, doubtful("pre-migrating"), SEEN[0])
    assert lengths(past, (RESIZED,)) == {"pre-migrating": about(2.1)}
    assert entries(past, (RESIZED,)) == {"pre-migrating": 1000.0, "migrating": 1002.1}


def test_a_record_that_was_found_in_the_middle_counts_nothing_that_it_left_before() -> None:
    found = replace(living(LIVE, "running", 1050.0, (), slack=50.0), counted=False)
    assert lengths(found, (LIVE_MOVED,)) == {}
    assert entries(found, (LIVE_MOVED,))["running"] == 1006.0


def test_a_record_that_was_found_in_the_middle_counts_what_it_passed_unseen_since() -> None:
    found = gone(LIVE, "queued", doubtful("queued"), 1009.0, stays=(Stay("queued", 1001.0),))
    assert lengths(replace(found, counted=False), (LIVE_MOVED,)) == {"queued": 2.0, "preparing": 3.0, "running": 3.0}


# --- what must not be believed ---


def test_a_status_that_the_table_does_not_know_may_lie_anywhere_so_that_steps_prove_nothing_beside_it() -> None:
    stays = (SEEN[0], Stay("odd", 1000.5))
    past = gone(RESIZE, "odd", doubtful("pre-migrating", odd=5.0), 1020.5, stays=stays)
    assert lengths(past, (RESIZED, CONFIRMED)) == {"pre-migrating": None, "odd": 5.0}


@pytest.mark.parametrize("offset", [-0.8, -0.3, 0.3, 0.8])
def test_clocks_that_are_a_little_off_still_tell_of_every_status(offset: float) -> None:
    past = gone(RESIZE, "pre-migrating", doubtful(*COLD_PATH, "confirming"), 1021.0)
    told = lengths(past, (shifted(RESIZED, offset, "req-resize"), shifted(CONFIRMED, offset, "req-confirm")))
    assert told == {
        "pre-migrating": about(2.0 + offset),
        "migrating": about(8.0),
        "post-migrating": about(3.0),
        "finished": about(7.0),
        "confirming": about(1.0 - offset),
    }


def test_a_step_a_little_before_the_creation_is_no_negative_time() -> None:
    early = action("live-migration", 999.5, step("compute_live_migration", 999.6, 999.7), PREPARED)
    past = gone(LIVE, "accepted", doubtful(*LIVE_PATH), 1011.0)
    assert lengths(past, (early,)) == {"accepted": 0.0, "queued": about(3.4), "preparing": 3.0, "running": 5.0}


def test_steps_long_before_the_creation_or_after_the_end_are_not_of_this_record() -> None:
    past = gone(LIVE, "accepted", doubtful(*LIVE_PATH), 1004.5)
    strange = action("live-migration", 999.8, step("compute_live_migration", 990.0, 990.1), PREPARED)
    assert lengths(past, (strange,)) == {"accepted": None, "queued": None, "preparing": None, "running": None}
    assert "running" not in entries(past, (strange,))


def test_an_end_before_its_beginning_is_no_length() -> None:
    early = replace(RESIZED, steps=(*MOVE[:4], step("compute_finish_resize", 1003.0, 1005.0)))
    stays = (Stay("pre-migrating", 1000.0), Stay("migrating", 1002.0), Stay("post-migrating", 1010.0))
    past = gone(RESIZE, "post-migrating", doubtful("post-migrating", "finished", "confirming"), 1021.0, stays=stays)
    told = lengths(past, (early, CONFIRMED))
    assert (told["post-migrating"], told["finished"]) == (None, about(15.0))


def test_a_step_that_begins_before_the_one_before_it_is_noted_as_finished_tells_of_the_change_between_them() -> None:
    slow = replace(
        RESIZED,
        steps=(
            *MOVE[:3],
            step("compute_resize_instance", 1002.0, 1010.0),
            step("compute_finish_resize", 1009.7, 1013.0),
        ),
    )
    past = gone(RESIZE, "pre-migrating", doubtful(*COLD_PATH, "confirming"), 1021.0)
    told = lengths(past, (slow, CONFIRMED))
    assert (told["migrating"], told["post-migrating"]) == (about(7.7), about(3.3))


def test_whole_seconds_are_lengths_in_whole_seconds() -> None:
    past = gone(RESIZE, "pre-migrating", doubtful(*COLD_PATH, "confirming"), 1003.0)
    quick = action(
        "resize", 1000.0, step("cold_migrate", 1000.0, 1000.0), step("compute_prep_resize", 1000.0, 1001.0),
        step("compute_resize_instance", 1001.0, 1001.0), step("compute_finish_resize", 1001.0, 1002.0),
    )  # fmt: skip
    decided = action("confirmResize", 1002.0, step("compute_confirm_resize", 1003.0, 1003.0))
    assert lengths(past, (quick, decided)) == {
        "pre-migrating": 1.0,
        "migrating": 0.0,
        "post-migrating": 1.0,
        "finished": 0.5,
        "confirming": 0.5,
    }


def test_an_action_of_the_next_whole_second_still_made_the_record() -> None:
    rounded = replace(RESIZED, start=1001.0)
    past = gone(RESIZE, "pre-migrating", doubtful("pre-migrating"), 1006.0)
    assert needed(past, (rounded,)) == (rounded,)
    assert needed(past, (replace(rounded, start=1001.5),)) == ()
