"""A script of polls, with a move of every kind in it, for an exporter that dies in the middle of one of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from exporter.domain.cloud import Feature
from exporter.domain.ledger import Totals
from exporter.domain.lifecycle import MigrationType
from exporter.domain.migration import Migration
from exporter.domain.server import Action
from exporter.domain.server import Step as ActionStep
from exporter.domain.view import CloudView
from exporter.poller import Poller
from exporter.questions import Settings
from exporter.store import Store
from tests.domain.records import COLD, DAY, EVACUATION, LIVE, RESIZE, record
from tests.test_poller import LIMITS, NOW, FakeCloud, Time

CLOUD = "one"


@dataclass(frozen=True)
class Step:
    """What happens before a poll: seconds pass, records are written, servers deleted, and records shown no more."""

    after: float
    written: tuple[Migration, ...] = ()
    deleted: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()


def _row(kind: MigrationType, status: str, uuid: str, created: float, updated: float | None = None) -> Migration:
    stamp = None if updated is None else NOW + updated
    server = f"server of {uuid}"
    return record(kind, status, NOW + created, stamp, uuid=uuid, server=server, source="one", dest="other")


SCRIPT = (
    Step(0, (_row(RESIZE, "migrating", "old", -500, -400), _row(COLD, "confirmed", "over", -900, -800))),
    Step(
        30,
        (
            _row(RESIZE, "pre-migrating", "resize", 5),
            _row(COLD, "pre-migrating", "cold", 6),
            _row(LIVE, "accepted", "live", 7),
            _row(EVACUATION, "accepted", "evacuation", 8),
            _row(LIVE, "accepted", "stuck", 9),
            _row(LIVE, "odd", "odd", 10, 11),
        ),
    ),
    Step(
        30,
        (
            _row(RESIZE, "migrating", "resize", 5, 35),
            _row(COLD, "error", "cold", 6, 36),
            _row(LIVE, "running", "live", 7, 37),
            _row(EVACUATION, "done", "evacuation", 8, 38),
            _row(RESIZE, "finished", "old", -500, 39),
            _row(RESIZE, "migrating", "deleted", 40, 41),
            _row(RESIZE, "pre-migrating", "unseen", 42),
        ),
    ),
    Step(
        30,
        (
            _row(RESIZE, "finished", "resize", 5, 65),
            _row(COLD, "failed", "cold", 6, 66),
            _row(LIVE, "completed", "live", 7, 67),
            _row(EVACUATION, "completed", "evacuation", 8, 68),
            _row(LIVE, "completed", "passing", 69, 70),
        ),
        deleted=("deleted",),
        hidden=("unseen",),
    ),
    Step(
        600,
        (
            _row(RESIZE, "confirmed", "resize", 5, 95),
            _row(LIVE, "completed", "odd", 10, 96),
            _row(RESIZE, "reverted", "old", -500, 97),
        ),
    ),
    *(Step(2 * DAY) for _ in range(6)),
)

#: The poll that gives up what was unseen for seven days, and all polls in which something happens.
GIVES_UP = 8
EVENTFUL = (0, 1, 2, 3, 4, GIVES_UP)


#: What Nova noted of the statuses that no poll sees; of the others it noted nothing.
ACTIONS = {
    "server of live": [
        Action(
            "live-migration",
            "req-1",
            NOW + 6.9,
            (
                ActionStep("compute_live_migration", NOW + 12, NOW + 12.1, ok=True),
                ActionStep("compute_pre_live_migration", NOW + 20, NOW + 31, ok=True),
            ),
        )
    ],
    "server of resize": [
        Action("resize", "req-2", NOW + 4.9, ()),
        Action(
            "confirmResize", "req-3", NOW + 90, (ActionStep("compute_confirm_resize", NOW + 90.2, NOW + 95, ok=True),)
        ),
    ],
}


class Scene:
    """A cloud in which the script is played, and the exporters that come and go in front of it."""

    def __init__(self) -> None:
        self.time = Time()
        self.cloud = FakeCloud(self.time, done=ACTIONS)
        self._poller: Poller | None = None

    def let_in(self, store: Store, publish: Callable[[CloudView], None] = lambda view: None) -> None:
        """Let a new exporter begin, with what its store knows."""
        settings = Settings(CLOUD, LIMITS, sweep_interval=1.0, per_host=True, features=frozenset(Feature))
        self._poller = Poller(
            settings, self.cloud, publish, store, clock=self.time.clock, monotonic=self.time.monotonic,
            chance=lambda: 0.5,
        )  # fmt: skip

    def happen(self, step: Step) -> None:
        """Let happen what comes before a poll."""
        self.time.passed += step.after
        self.cloud.put(*step.written)
        for uuid in step.deleted:
            self.cloud.delete(uuid, self.time.clock() - 10)
        self.cloud.hidden.update(step.hidden)

    def poll(self) -> None:
        """Let the exporter poll."""
        assert self._poller is not None and self._poller.poll()


def counted(totals: Totals) -> dict[str, float]:
    """Return every counter above zero under a name, distributions by their count and their sum."""
    plain = ("started", "ended", "corrections", "unobserved", "became_stuck", "ended_per_host")
    flat = {f"{family} {key}": float(value) for family in plain for key, value in getattr(totals, family).items()}
    for family in ("status_durations", "move_durations"):
        for key, each in getattr(totals, family).items():
            flat |= {f"{family} {key} count": float(each.count), f"{family} {key} sum": each.total}
    return {name: value for name, value in flat.items() if value}
