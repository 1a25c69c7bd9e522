"""An exporter that is polled by hand over a real cloud, and the truth to compare its page with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from exporter.config import load
from exporter.domain.diagnosis import Limits
from exporter.domain.lifecycle import MigrationType, row_of
from exporter.domain.view import CloudView, Process
from exporter.metrics.exposition import Exposition
from exporter.poller import Poller
from exporter.questions import Settings
from exporter.source.connect import connect_to
from exporter.source.nova import NovaCloud
from exporter.watch import Board
from tests.realcloud.cloud import RealCloud
from tests.realcloud.identity import REGION

#: Ends closer together than this are one; either is right.
ONE_END = 2.0


class Watcher:
    """The exporter's rooms as the command line puts them together, but each poll is asked for."""

    def __init__(self, cloud: RealCloud, **settings: Any) -> None:
        user = cloud.admin
        connect = connect_to(
            cloud.auth_url,
            username=user.name,
            password=user.password,
            project_name=user.project,
            region_name=REGION,
        )
        (defaults,) = load(None, {}).clouds
        limits = Limits(defaults.thresholds, defaults.live_migration.no_progress)
        self._board = Board(lambda: Process("test", "test", "test"))
        self.nova = NovaCloud(connect, timeout=75.0)
        self.poller = Poller(
            replace(Settings("real", limits, sweep_interval=0.0), **settings), self.nova, self._board.publish
        )
        self._exposition = Exposition(self._board.view, process_metrics=False)

    @property
    def view(self) -> CloudView:
        """Return what the last poll made known."""
        (view,) = self._board.view().clouds
        return view

    def poll(self) -> None:
        """Poll once; every poll must be complete."""
        assert self.poller.poll(), self.samples("openstack_migration_poll_errors_total")

    def page(self, accept: str = "") -> str:
        """Return the page."""
        return self._exposition.page(accept)[0].decode()

    def samples(self, name: str) -> list[Sample]:
        """Return the samples of a name that are not zero."""
        families = text_string_to_metric_families(self.page())
        return [each for family in families for each in family.samples if each.name == name and each.value]

    def counts(self, name: str, *labels: str) -> Counter[tuple[str, ...]]:
        """Return the samples of a name by some of their labels."""
        found: Counter[tuple[str, ...]] = Counter()
        for sample in self.samples(name):
            found[tuple(sample.labels[label] for label in labels)] += int(sample.value)
        return found


@dataclass(frozen=True, slots=True)
class Truth:
    """What the page must say, from the records and the history that triggers wrote.

    `ended` holds for each ended record its type and every end that is right for it.
    """

    started: Counter[tuple[str, ...]] = field(default_factory=Counter)
    live: Counter[tuple[str, ...]] = field(default_factory=Counter)
    ended: list[tuple[str, frozenset[str]]] = field(default_factory=list)


def truth_of(told: Mapping[str, Any]) -> Truth:
    """Return what the page must say of a cloud that was empty at the exporter's first look."""
    truth = Truth()
    records = {record["uuid"]: record for record in told["records"]}
    for uuid, record in records.items():
        kind = record["migration_type"]
        truth.started[kind,] += 1
        gone, live = bool(record["deleted"]), row_of(MigrationType(kind), record["status"]).live
        if live and not gone:
            truth.live[kind, record["status"]] += 1
        else:
            truth.ended.append((kind, _right_ends(kind, told["history"][uuid])))
    return truth


def _right_ends(kind: str, history: list[dict[str, Any]]) -> frozenset[str]:
    """Return the first end of a record and those within two seconds of it; being deleted is an end too."""
    ends = [
        (row["at"], "deleted" if row["event"] == "deleted" else row["status"])
        for row in history
        if row["event"] == "deleted" or not row_of(MigrationType(kind), row["status"]).live
    ]
    return frozenset(status for at, status in ends if at - ends[0][0] < ONE_END)


def assert_page_is_true(watcher: Watcher, told: Mapping[str, Any]) -> None:
    """Compare the counts on the page with the truth."""
    truth = truth_of(told)
    assert watcher.counts("openstack_migrations", "migration_type", "status") == truth.live
    assert watcher.counts("openstack_migrations_started_total", "migration_type") == truth.started
    assert_ends_are_true(watcher.counts("openstack_migrations_ended_total", "migration_type", "status"), truth)


def assert_ends_are_true(counted: Counter[tuple[str, ...]], truth: Truth) -> None:
    """Find for each ended record, those with one right end first, an end that was counted; none may be left over."""
    left = Counter(counted)
    for kind, ends in sorted(truth.ended, key=lambda each: (len(each[1]), each[0], sorted(each[1]))):
        taken = next((end for end in sorted(ends) if left[kind, end] > 0), None)
        assert taken is not None, f"no end counted for a {kind} that ended as one of {sorted(ends)}: {counted}"
        left[kind, taken] -= 1
    assert +left == Counter(), f"ends counted that did not happen: {+left}"
