"""The exporter dies at every instant of a poll, one after the other, and whoever comes after it counts as if nothing had been."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.durability.script import EVENTFUL
from tests.running import environment

#: The poll with ends, corrections, a deletion and a record that is seen no more.
RICHEST = 3

_MEMORY = Path("/dev/shm")


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    """Return a directory where syncs cost nothing, if there is one: a kill takes nothing from the kernel's memory."""
    if not _MEMORY.is_dir():
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=_MEMORY) as name:
        yield Path(name)


def die(directory: Path, kind: str, *polls: int) -> list[dict[str, int]]:
    """Let exporters die in a process without threads, which can be forked; return what came of it, poll by poll."""
    command = [sys.executable, "-m", "tests.durability.crash_driver", str(directory), kind, *map(str, polls)]
    environ = {name: value for name, value in environment(None).items() if not name.startswith("COVERAGE_")}
    run = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=900, check=False)
    assert run.returncode == 0, run.stderr
    reports: list[dict[str, int]] = json.loads(run.stdout)
    assert [fault for each in reports for fault in each.pop("faults")] == []  # type: ignore[attr-defined]
    return reports


def test_whatever_line_comes_next_a_kill_before_it_changes_no_count(directory: Path) -> None:
    for report in die(directory, "glimpses", *EVENTFUL):
        assert report["instants"] > 1000, "every line that a poll executes"
        assert report["images"] > 2 and report["journals"] > 0, "before, amid and after the transaction"


def test_a_kill_at_each_line_changes_no_count(directory: Path) -> None:
    (report,) = die(directory, "lines", RICHEST)
    assert report["instants"] > 300 and report["journals"] > 0


@pytest.mark.long
def test_a_kill_at_each_line_of_each_poll_changes_no_count(directory: Path) -> None:
    for report in die(directory, "lines", *EVENTFUL):
        assert report["instants"] > 250 and report["journals"] > 0


def test_a_kill_before_and_after_each_statement_changes_no_count(directory: Path) -> None:
    for report in die(directory, "statements", *EVENTFUL):
        assert report["instants"] >= 20 and report["journals"] > 0


def test_a_kill_in_the_middle_of_a_write_changes_no_count(directory: Path) -> None:
    for report in die(directory, "writes", *EVENTFUL):
        assert report["instants"] >= 8 and report["journals"] > 0
