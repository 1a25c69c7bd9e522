"""Faults that were found in the rooms of the tracker and the poller."""

from __future__ import annotations

import time
from pathlib import Path

from tests.hostile.moves import Acts
from tests.hostile.stage import CloudClock, Stage


def test_a_newest_record_from_the_future_hides_no_new_moves(tmp_path: Path) -> None:
    """A clock that was an hour ahead when it was written, or a spoilt row: its time is no baseline."""
    with Stage(tmp_path) as stage:
        stage.cloud.nova.insert(status="confirmed", migration_type="resize", created_at=time.time() + 3600)
        stage.open()
        see_moves_to_their_end(stage)


def test_a_clock_that_jumps_back_behind_the_first_look_hides_no_new_moves(tmp_path: Path) -> None:
    clock = CloudClock(3600.0)
    with Stage(tmp_path, clock=clock) as stage:
        stage.cloud.nova.insert(status="confirmed", migration_type="resize")
        stage.open()
        clock.ahead = 0.0
        see_moves_to_their_end(stage)


def see_moves_to_their_end(stage: Stage) -> None:
    """Let moves begin, go on and end, and compare the page with the truth."""
    acts = Acts(stage.moves)
    acts.before()
    stage.settle()
    acts.during()
    acts.after()
    stage.settle()


def test_a_move_that_ends_before_it_began_has_no_duration(tmp_path: Path) -> None:
    """So it looks when the clock jumped back between the two; a duration of zero would be made up."""
    clock = CloudClock(3600.0)
    with Stage(tmp_path, clock=clock) as stage:
        stage.open()
        move = stage.moves.begin("resize", "pre-migrating", "migrating")
        stage.settle()
        clock.ahead = 0.0
        stage.moves.go(move, "error")
        assert stage.settle().value("openstack_migration_duration_seconds_count") == 0
