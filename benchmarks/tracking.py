"""What a poll costs once Nova has answered: from rows of JSON to the view, with everything in between."""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path

from benchmarks.figures import Figure, count, cpu, ratio, share
from benchmarks.fleet import Fleet, FleetCloud, Row
from benchmarks.limits import LIMITS
from benchmarks.peers.sdk_records import read
from exporter.domain.cloud import Feature
from exporter.domain.view import CloudView
from exporter.pauses import shorten_pauses
from exporter.poller import Poller
from exporter.questions import Settings
from exporter.store.state_file import StateFile

TITLE = "What is done with Nova's answers: parse, track, count, keep, show"

ABOUT = """
A real poller polls a cloud in memory, keeps its state in a real state file on the disk and publishes a view after every
poll. CPU time of the process is measured around whole polls, so everything counts that a poll does but HTTP and the
decoding of JSON; Python's garbage collector is on, as `serve` sets it, and counts on both sides. The records are of all
types and statuses; they were seen beginning and moving on to where they are now, ten times as many were seen ending, and
some are stuck. The **sweep** hears all live records, of which 1,000 changed since the poll before; these it hears twice,
for every sweep ends with a look. openstacksdk makes its `Migration` objects of the very rows that the sweep heard, by
`compute.migrations()` itself, in pages of 1,000, and does nothing with them; only the request is taken out of it. JSON is
decoded on neither side, and in a second figure on both. With diagnosis the exporter reads and judges the servers too;
openstacksdk still reads the records alone. A **look** hears what changed since the poll before, and those records that are
in the two statuses for which every look asks; there are as many of these in a small cloud as in a large one. The overlap of
looks is switched off: what is heard again and again would only hide what live records cost. Every number is the median of
several polls.
""".strip().replace("\n", " ")

#: Records that change between two polls belong to moves under way, of which so many times as many are.
MOVERS = 5
ENDS = 10
SWEEPS, LOOKS = 5, 15


class Watch:
    """A poller of a fleet that has seen it grow; `views` holds the view published last, which `publish` gets as well."""

    def __init__(
        self,
        live: int,
        changes: int,
        directory: str,
        features: frozenset[Feature] = frozenset(),
        publish: Callable[[CloudView], None] = lambda _: None,
    ) -> None:
        self._publish_too = publish
        self.fleet, self.changes = Fleet(live, MOVERS * changes), changes
        self.cloud, self.views = FleetCloud(self.fleet), list[CloudView]()
        settings = Settings("one", LIMITS, overlap=0.0, deep_interval=1e9, features=features, series_cap=live)
        self._store = StateFile(Path(directory) / "state.db")
        self._monotonic = 0.0
        self.poller = Poller(
            settings, self.cloud, self._publish, self._store,
            clock=lambda: self.fleet.seconds, monotonic=lambda: self._monotonic,
        )  # fmt: skip
        self._grow(live)

    def _publish(self, view: CloudView) -> None:
        self.views[:] = [view]
        self._publish_too(view)

    def _grow(self, live: int) -> None:
        """See moves end, and others begin and move on to where they rest; then let time pass until some are stuck."""
        self.poll()
        self.fleet.end(ENDS * live)
        self.poll()
        while self.fleet.grow():
            self.poll(after=60.0)
        for _ in range(3):
            self.poll(after=1200.0)
        if len(self.views[0].live) != self.fleet.live:
            raise RuntimeError(f"{self.fleet.live} records live, but {len(self.views[0].live)} are shown")

    def poll(self, after: float = 30.0, *, sweep: bool = False) -> float:
        """Let time pass, change what changes, and return the CPU seconds of a poll."""
        self.fleet.seconds += after
        self.fleet.change(self.changes if self.fleet.live else 0)
        self.cloud.shown = self.fleet.servers() if sweep else {}
        self._monotonic += 300.0 if sweep else 0.0
        self.cloud.answered.clear()
        self.fleet.seconds += 1.0
        spent = cpu(self._poll)
        self.fleet.forget()
        return spent

    def _poll(self) -> None:
        if not self.poller.poll():
            raise RuntimeError("a poll failed")

    def median(self, number: int, *, sweep: bool = False) -> float:
        """Return the median CPU seconds of so many polls, behind one that warms up."""
        return statistics.median([self.poll(sweep=sweep) for _ in range(number + 1)][1:])

    def close(self) -> None:
        """Let go of the state file."""
        self._store.close()


@contextmanager
def watching(
    live: int,
    changes: int,
    features: frozenset[Feature] = frozenset(),
    publish: Callable[[CloudView], None] = lambda _: None,
) -> Iterator[Watch]:
    """Watch a fleet within, and leave nothing behind."""
    with tempfile.TemporaryDirectory() as directory:
        print(f"  a cloud of {live:,} live records, {changes:,} of which change", file=sys.stderr)
        watch = Watch(live, changes, directory, features, publish)
        try:
            yield watch
        finally:
            watch.close()


def measure() -> Iterable[Figure]:
    """Measure sweeps beside openstacksdk, then looks beside each other."""
    shorten_pauses()
    with watching(10_000, 1_000) as watch:
        yield from sweeps(watch)
        thousand = watch.median(LOOKS)
    with watching(10_000, 1_000, frozenset({Feature.DIAGNOSIS})) as watch:
        diagnosed = watch.median(SWEEPS, sweep=True)
        theirs = sdk(watch.cloud.answered)
        yield share("the same with diagnosis, and the servers that it reads, of the same objects", diagnosed, theirs)
    with watching(10_000, 100) as watch:
        large = watch.median(LOOKS)
        yield count("records that a look hears where 100 of 10,000 changed", len(watch.cloud.answered))
        yield count("of these 10,000 are stuck", sum(each.stuck is not None for each in watch.views[0].live))
    with watching(1_000, 100) as watch:
        small = watch.median(LOOKS)
        yield count("records that a look hears where 100 of 1,000 changed", len(watch.cloud.answered))
    yield count("a look with 100 changes at 10,000 live, CPU time on the machine of this run", large * 1000, unit="ms")
    yield ratio("a look with 100 changes: at 10,000 live over at 1,000 live", large, small, below=1.5)
    yield ratio("a look at 10,000 live: with 1,000 changes over with 100", thousand, large, below=10)


def sweeps(watch: Watch) -> Iterator[Figure]:
    """Measure sweeps and what openstacksdk takes for the objects alone."""
    ours = watch.median(SWEEPS, sweep=True)
    yield count("records that a sweep hears", len(watch.cloud.answered))
    rows = watch.cloud.answered
    theirs, text = sdk(rows), json.dumps(rows)
    decoding = median_of(lambda: cpu(lambda: json.loads(text)), 3)
    yield count(
        "openstacksdk for each record, CPU time on the machine of this run", theirs / len(rows) * 1000, unit="ms"
    )
    yield share(
        "a sweep of 10,000 live records with 1,000 changes, of openstacksdk's objects alone", ours, theirs, 0.05
    )
    yield share("the same with JSON decoded on both sides", ours + decoding, theirs + decoding)


def sdk(rows: list[Row]) -> float:
    """Return the CPU seconds that openstacksdk takes to make its objects of rows, which it changes."""
    copies = [deepcopy(rows) for _ in range(3)]
    return median_of(lambda: cpu(lambda: read(copies.pop())), 3)


def median_of(seconds: Callable[[], float], rounds: int) -> float:
    """Return the median of something measured so many times."""
    return statistics.median(seconds() for _ in range(rounds))
