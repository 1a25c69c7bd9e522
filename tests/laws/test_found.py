"""Faults that the laws found, each as one short story."""

from __future__ import annotations

from pathlib import Path

from exporter.domain.chronicle import Chronicle
from exporter.domain.snapshot import Snapshot
from exporter.domain.state import CloudState
from exporter.domain.tracked import found
from exporter.domain.tracker import END_MEMORY, UNSEEN_MEMORY, End
from exporter.store.state_file import StateFile
from tests.domain.records import DAY, LIVE, RESIZE, Step, after_empty_table, record
from tests.laws.faults import Disk
from tests.test_poller import LIMITS

OLD = record(RESIZE, "finished", 5, 9)


def test_an_old_record_given_up_with_its_cell_does_not_begin_anew_when_the_cell_comes_back() -> None:
    """It was forgotten at once, for it was created more than thirty days ago."""
    gave_up = END_MEMORY + UNSEEN_MEMORY
    after_empty_table(
        Step(
            30,
            (OLD,),
            (
                ("began", "m"),
                ("left", "m", "pre-migrating", None),
                ("left", "m", "migrating", None),
                ("left", "m", "post-migrating", None),
                ("moved", "m", "success", 4),
            ),
        ),
        Step(END_MEMORY, ()),
        Step(gave_up, (), (("left", "m", "finished", None), ("ended", "m", "deleted", "unknown"))),
        Step(gave_up + DAY, ()),
        Step(gave_up + 2 * DAY, (OLD,)),
        Step(gave_up + END_MEMORY - DAY, (OLD,)),
    )


def test_the_name_of_an_unknown_status_is_kept_with_the_poll_that_shows_it() -> None:
    """It was given a name only when it was shown, after the state was saved."""
    chronicle = Chronicle(LIMITS, lambda migration: False)
    odd = record(LIVE, "odd", 5, 9)
    chronicle.take(Snapshot((odd,), 30, complete=True), 30)
    assert chronicle.state().unknown_pairs == {(LIVE, "odd")}


def test_an_end_that_was_forgotten_while_the_disk_was_full_is_not_on_it_afterwards(tmp_path: Path) -> None:
    """It stayed there where the record lived again before the disk took anything."""
    disk = Disk(tmp_path)
    store = StateFile(tmp_path / "state.db", connect=disk.connect)
    store.load("one")
    ended = {"m": End("deleted", 9.0, 5.0, counted=True)}
    assert store.save("one", CloudState(ended=ended), {"m"})
    disk.full = True
    assert not store.save("one", CloudState(), {"m"})
    disk.full = False
    alive = CloudState(live={"m": found(OLD, 30.0)})
    assert store.save("one", alive, {"m"})
    store.close()
    store = StateFile(tmp_path / "state.db")
    assert store.load("one") == alive
    store.close()
