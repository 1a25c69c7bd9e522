"""What was promised is kept: docs/compatibility.md says of which names that holds, promised.txt lists them."""

from __future__ import annotations

import re

from tests.packaging.promises import WRITTEN, promised
from tests.packaging.released import ROOT

LINES = WRITTEN.read_text().splitlines()
POLICY = (ROOT / "docs/compatibility.md").read_text()


def test_nothing_that_is_promised_is_missing() -> None:
    gone = set(LINES) - set(promised())
    assert gone == set(), (
        "taking these away breaks what others built on them: docs/compatibility.md says when that may be"
    )


def test_everything_new_is_written_down() -> None:
    assert promised() == LINES, "run `.venv/bin/python -m tests.packaging.promises` and commit what it changes"


def test_there_are_names_of_every_kind() -> None:
    assert {line.partition(":")[0] for line in LINES} == {
        "alert", "bucket", "command", "dashboard", "flag", "key", "metric", "record", "value",
    }  # fmt: skip
    assert len(LINES) > 150


def test_the_policy_speaks_of_every_dashboard_and_of_no_other() -> None:
    named = re.findall(r"`(openstack-migration[a-z-]*)`", POLICY)
    assert {f"dashboard: {name}" for name in named} == {line for line in LINES if line.startswith("dashboard")}
