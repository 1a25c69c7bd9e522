"""The exporter was down for days: each end of that time is counted once, with the duration that it truly had."""

from __future__ import annotations

import time
import uuid
from collections import Counter
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import pytest
import yaml

from exporter.demo.cloud import SimulatedCloud
from exporter.domain.lifecycle import MigrationType
from exporter.poller import Poller, Settings
from exporter.store.state_file import StateFile
from tests.domain.records import COLD, DAY, EVACUATION, HOUR, LIVE, RESIZE, record
from tests.durability.counted import ENDED, MOVED, STARTED, only, surviving
from tests.durability.nursery import Nursery, Raised
from tests.durability.test_disk import POLL, let_poll
from tests.running import eventually, write_clouds
from tests.test_poller import LIMITS, FakeCloud, Time

OUTAGE = 5 * DAY

#: Moves that begin and end while nobody looks: more than a page of Nova holds.
UNWATCHED = 1100

SUM = MOVED.replace("_count", "_sum")


class Past(Time):
    """A clock that shows the time before the outage."""

    def __init__(self) -> None:
        super().__init__()
        self.begin = time.time() - OUTAGE

    def clock(self) -> float:
        return self.begin + self.passed


@dataclass(frozen=True)
class Move:
    """A move: the status it was seen in before the outage, None where it began later, and how it ended, after seconds."""

    kind: MigrationType
    seen: str | None
    begun: float
    status: str
    after: float
    name: str

    @property
    def uuid(self) -> str:
        """Return its uuid, the same each time."""
        return str(uuid.uuid5(uuid.NAMESPACE_OID, self.name))


#: What was live when the exporter went away; seconds since the beginning of the past.
CAUGHT = (
    Move(LIVE, "running", 10, "completed", 3 * HOUR, "long live migration"),
    Move(LIVE, "queued", 11, "failed", 90, "short live migration"),
    Move(EVACUATION, "pre-migrating", 12, "done", HOUR, "evacuation"),
    Move(RESIZE, "migrating", 13, "error", 2 * DAY, "resize"),
    Move(COLD, "finished", 14, "confirmed", 3 * DAY, "waiting"),
)
LATER = tuple(
    Move(kind, None, DAY + number * 60, status, 30 + number, f"{number}")
    for number in range(UNWATCHED)
    for kind, status in [((LIVE, "completed"), (COLD, "error"), (EVACUATION, "failed"), (RESIZE, "error"))[number % 4]]
)
OUTCOMES = {"completed": "success", "done": "success", "failed": "failure", "error": "failure"}


def before_the_outage(state: Path) -> float:
    """Watch a cloud until some moves are live, and be gone; return when the past began."""
    past = Past()
    cloud, store = FakeCloud(past), StateFile(state, clock=past.clock)
    settings = Settings("mycloud", LIMITS, sweep_interval=1.0)
    poller = Poller(settings, cloud, lambda view: None, store, clock=past.clock, monotonic=past.monotonic)
    assert poller.poll()
    for move in CAUGHT:
        row = record(
            move.kind, move.seen or "", past.begin + move.begun, past.begin + 20, uuid=move.uuid, server=move.uuid
        )
        cloud.put(row if move.kind is not LIVE else replace(row, status="accepted", updated_at=None))
    past.passed = 15.0
    assert poller.poll()
    cloud.put(*(replace(cloud.rows[move.uuid], status=move.seen or "", updated_at=past.begin + 20) for move in CAUGHT))
    past.passed = 30.0
    assert poller.poll()
    assert sum(store.totals("mycloud").started.values()) == len(CAUGHT)
    store.close()
    return past.begin


def go_on(cloud: SimulatedCloud, begin: float) -> None:
    """Let Nova have the records as they are after the outage."""
    cloud.nova.insert_many(
        {
            "uuid": move.uuid,
            "instance_uuid": cloud.nova.boot(id=move.uuid).id,
            "migration_type": move.kind.value,
            "status": move.status,
            "created_at": begin + move.begun,
            "updated_at": begin + move.begun + move.after,
        }
        for move in (*CAUGHT, *LATER)
    )


def check(exporter: Raised) -> None:
    """Compare a page with what happened."""
    counts = surviving(exporter.samples())
    moves = (*CAUGHT, *LATER)
    assert only(counts, STARTED) == Counter((STARTED, each.kind.value) for each in moves)
    assert only(counts, ENDED) == Counter((ENDED, each.kind.value, each.status) for each in moves)
    true: dict[tuple[str, str], list[float]] = {("migration", "success"): [20 - 14]}
    for each in moves:
        if each.status in OUTCOMES:
            true.setdefault((each.kind.value, OUTCOMES[each.status]), []).append(each.after)
    for (kind, outcome), seconds in true.items():
        assert counts[MOVED, kind, outcome] == len(seconds)
        assert counts[SUM, kind, outcome] == pytest.approx(sum(seconds), abs=0.01)
    assert only(counts, MOVED).total() == sum(map(len, true.values()))


def test_after_days_each_end_is_counted_once_with_its_true_duration(
    cloud: SimulatedCloud, nursery: Nursery, tmp_path: Path
) -> None:
    state = tmp_path / "state.db"
    go_on(cloud, before_the_outage(state))
    (tmp_path / "exporter.yaml").write_text(yaml.safe_dump({"poll": POLL}))
    environ = write_clouds(tmp_path / "clouds.yaml", cloud.auth_url, **asdict(cloud.credentials))
    arguments = (f"--config.file={tmp_path}/exporter.yaml", f"--state.path={state}")
    with Raised(nursery, arguments, environ) as exporter:
        eventually(lambda: exporter.total(ENDED) > 0, 60.0)
        check(exporter)
        let_poll(exporter, 12)  # with sweeps, which show everything again
        check(exporter)
        assert exporter.stop() == 0
    with Raised(nursery, arguments, environ) as exporter:
        check(exporter)
        let_poll(exporter)
        check(exporter)
