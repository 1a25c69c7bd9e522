"""Every name that docs/compatibility.md promises to keep; `python -m tests.packaging.promises` writes them down anew."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

from exporter.domain.cloud import ErrorKind, Feature
from exporter.domain.ledger import BUCKETS
from exporter.domain.lifecycle import TABLE, Outcome, Reason
from exporter.metrics.exposition import FAMILIES
from tests.packaging.released import ROOT
from tests.running import run
from tools.reference.keys import keys
from tools.rules import GROUPS
from tools.rules.rows import Alert

WRITTEN = Path(__file__).parent / "promised.txt"


def promised() -> list[str]:
    """Return a line for each name."""
    return sorted({*_metrics(), *_values(), *_usage(), *_rules(), *_dashboards()})


def _metrics() -> Iterator[str]:
    for family in FAMILIES:
        yield f"metric: {family.kind} {family.name}{{{', '.join(family.labels)}}}"
    for bound in BUCKETS:
        yield f"bucket: {bound:g}"


def _values() -> Iterator[str]:
    for row in TABLE:
        yield f"value: migration_type={row.migration_type} status={row.status}"
    for kind, values in {
        "reason": Reason,
        "outcome": Outcome,
        "reason of a failed poll": ErrorKind,
        "feature": Feature,
    }.items():
        yield from (f"value: {kind}={value}" for value in values)


def _usage() -> Iterator[str]:
    shown = run("--help").stdout
    yield from (f"flag: {flag}" for flag in re.findall(r"^  (--[a-z.-]+)", shown, re.MULTILINE))
    yield from (
        f"command: {command}" for command in re.findall(r"^  ([a-z]+) ", shown.split("commands:\n")[1], re.MULTILINE)
    )
    yield from (f"key: {key.path}" for key in keys())


def _rules() -> Iterator[str]:
    for rule in (rule for group in GROUPS for rule in group.rules):
        yield f"alert: {rule.severity} {rule.full_name}" if isinstance(rule, Alert) else f"record: {rule.name}"


def _dashboards() -> Iterator[str]:
    for path in (ROOT / "dashboards").glob("*.json"):
        yield f"dashboard: {json.loads(path.read_text())['uid']}"


if __name__ == "__main__":
    WRITTEN.write_text("".join(f"{line}\n" for line in promised()))
