"""A hung cell: Nova answers rightly, but everything late, and a sweep is more questions than the deadline has time for."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults import faults
from tests.hostile.moves import Acts
from tests.hostile.stage import CEILING, Stage

#: Nova's CELL_TIMEOUT (nova/context.py).
CELL_TIMEOUT = 60.0

#: Seconds that a look takes then, which may come before the first sweep; and poll.deadline.
LOOK, DEADLINE = 3 * CELL_TIMEOUT, 300.0


def sweep_late(stage: Stage, seconds: float, ceiling: float) -> None:
    """See what happens when every answer comes so late that a look fits into the deadline, and a sweep does not.

    The look is believed, the sweep fails its poll; nothing is invented, and the truth comes afterwards.
    """
    acts = Acts(stage.moves)
    acts.before()
    known = stage.settle()
    with stage.fault():
        rule = stage.proxy.spoil(faults.late(seconds), path="/os-migrations")
        stage.wait(lambda page: rule.met)
        acts.during()
        failed = stage.wait(lambda page: page.errors != known.errors, ceiling)
        assert not failed.up
        assert set(failed.errors - known.errors) == {"deadline"}
        assert known.told.ended <= failed.told.ended <= stage.truth().ended
        assert known.told.started <= failed.told.started <= stage.truth().started
        assert stage.exporter.get("/-/healthy").status_code == 200
    acts.after()
    assert set(stage.settle().errors - known.errors) == {"deadline"}


def test_a_sweep_whose_answers_are_late_ends_at_the_deadline(stage: Stage) -> None:
    sweep_late(stage, 0.7, CEILING)


@pytest.mark.long
def test_a_hung_cell_and_the_default_times(tmp_path: Path) -> None:
    """Every answer is 60 s late, below the timeout of 75 s; the deadline is five minutes."""
    with Stage(tmp_path, poll={"interval": "5s", "sweep_interval": "5s"}) as stage:
        stage.open()
        sweep_late(stage, CELL_TIMEOUT, LOOK + DEADLINE + 120.0)
