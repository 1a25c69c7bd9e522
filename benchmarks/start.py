"""What it takes to see a cloud with a long history for the first time, and what it takes to list all of it."""

from __future__ import annotations

import statistics
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.figures import Figure, count, times
from benchmarks.peers.full_listing import PAGE, FullListing
from benchmarks.peers.naive_sdk import counted
from benchmarks.realnova import AGE, Cost, Exporter, cost_of, default_settings, insert_history, started, tell
from exporter.domain.lifecycle import LIVE_ROWS
from exporter.questions import Settings
from tests.realcloud.cloud import RealCloud

HISTORY, LIVE = 1_000_000, 1_000

#: Pages that are measured of the whole list, and how often a first view is.
SAMPLED, VIEWS = 20, 3

TITLE = "The first view of a cloud with a million records"

ABOUT = f"""\
A real Nova (with its SQL, which is SQLite in memory here, in one process) behind a real Keystone holds {HISTORY:,} records
that ended during the last half year and {LIVE:,} live ones of every type and status. The exporter's own parts, without a
state file, log in, find Nova and poll once; then every live record is on the page, which is checked. Requests are all of
them, those to Keystone and those of discovery included. What is compared with others is the first view of the records
alone, all features off, the median of {VIEWS}, each with a new login and a new state file on disk: the records were inserted
by SQL and have no servers, and the others know nothing of servers. By default every feature is on, and the first poll also
lists the servers in each of the five states of a move, which here is answered with empty lists; behind {LIVE:,} records
there would be as many servers, at several milliseconds each for Nova. What is asked of single servers comes with later polls.

Listing everything would take long, so {SAMPLED} pages of {PAGE:,} records each are measured, spread evenly over the whole
list (each begins after a record whose uuid is known), and multiplied: with the SDK as in
[naive_sdk.py](peers/naive_sdk.py), and as raw JSON as in [full_listing.py](peers/full_listing.py). Both are logged in before.
CPU is that of the process, Nova's that of its process with its database; time is on the clock, Nova's answers included."""


@dataclass(frozen=True, slots=True)
class FirstView:
    """The first view: its requests by operation, and what it needed."""

    asked: Counter[str]
    cost: Cost


def measure() -> Iterable[Figure]:
    """See the cloud for the first time, then list parts of everything."""
    with started() as nova:
        markers = fill(nova, time.time())
        settings = default_settings()
        records = first_views(nova, default_settings(without=settings.features))
        featured = first_view(nova, settings)
        tell(f"first view of the records: {records}; with every feature: {featured}")
        with nova.connect() as connection:
            connection.authorize()
            compute, careful = connection.compute, FullListing(connection)
            sdk = listing(
                nova, markers, lambda marker: counted(compute.migrations(marker=marker, paginated=False)).total()
            )
            raw = listing(nova, markers, lambda marker: len(careful.page(marker)["migrations"]))
        tell(f"listing everything: with the SDK {sdk}, raw {raw}")
    return [*requests(records, featured), *beside(records.cost, sdk, raw)]


def requests(records: FirstView, featured: FirstView) -> Iterable[Figure]:
    """Return how much is asked for."""
    yield count("requests for the first view of the records", records.asked.total(), 20)
    beyond = ", ".join(f"{number} {name}" for name, number in (featured.asked - records.asked).most_common())
    yield count(f"requests for the first view with every feature; beyond the records: {beyond}", featured.asked.total())


def beside(ours: Cost, sdk: Cost, raw: Cost) -> Iterable[Figure]:
    """Return how many times as much it takes to list everything."""
    pages = f"from {SAMPLED} of {pages_in_all():,} pages"
    yield times(f"time to list everything with the SDK ({pages}), over the first view", sdk.wall, ours.wall, 100)
    yield times(f"CPU to list everything with the SDK ({pages}), over ours", sdk.own, ours.own, 100)
    yield times(f"Nova's CPU to list everything with the SDK ({pages}), over the first view", sdk.nova, ours.nova, 100)
    yield times(f"time to list everything as raw JSON ({pages}), over the first view", raw.wall, ours.wall)
    yield times(f"CPU to list everything as raw JSON ({pages}), over ours", raw.own, ours.own)
    yield times(f"Nova's CPU to list everything as raw JSON ({pages}), over the first view", raw.nova, ours.nova)
    yield Figure(f"minutes on this machine to list everything with the SDK, as raw JSON ({pages})", minutes(sdk, raw))
    yield Figure("seconds on this machine for the first view of the records", f"{ours.wall:.1f}")


def minutes(*costs: Cost) -> str:
    """Return times on the clock in minutes."""
    return " / ".join(f"{each.wall / 60:.0f}" for each in costs)


def fill(nova: RealCloud, now: float) -> Sequence[str]:
    """Insert everything; return the uuids of records that lie evenly in the history."""
    newest = now - 7200.0
    tell(f"{HISTORY:,} records inserted in {insert_history(nova, HISTORY, newest):.1f} s")
    markers = [str(uuid.uuid4()) for _ in range(SAMPLED)]
    for number, marker in enumerate(markers):
        created = newest - AGE * (number + 0.5) / SAMPLED
        nova.insert_record(uuid=marker, status="confirmed", created_at=created, updated_at=created + 60.0)
    for number, row in enumerate(LIVE_ROWS):
        share = len(range(number, LIVE, len(LIVE_ROWS)))
        kind = {"migration_type": row.migration_type, "status": row.status}
        nova.insert_records(share, **kind, oldest=now - 3600.0, newest=now - 120.0, duration=60.0)
    return markers


def first_views(nova: RealCloud, settings: Settings) -> FirstView:
    """Return the first view in the middle; raise RuntimeError where what is asked for differs."""
    views = [first_view(nova, settings) for _ in range(VIEWS)]
    if any(each.asked != views[0].asked for each in views):
        raise RuntimeError(f"the first views ask for different things: {[each.asked for each in views]}")
    fields = ([getattr(each.cost, name) for each in views] for name in ("own", "nova", "wall"))
    return FirstView(views[0].asked, Cost(*map(statistics.median, fields)))


def first_view(nova: RealCloud, settings: Settings) -> FirstView:
    """See the cloud for the first time; raise RuntimeError where not all that is live is seen."""
    with tempfile.TemporaryDirectory(prefix="benchmark-") as directory:
        exporter = Exporter(nova, Path(directory) / "state.db", settings)
        with closing(exporter):
            cost = cost_of(nova, exporter.poll)
            if len(exporter.view.live) != LIVE:
                raise RuntimeError(f"{len(exporter.view.live)} of {LIVE} live records are seen")
            return FirstView(Counter(exporter.cloud.asked), cost)


def listing(nova: RealCloud, markers: Sequence[str], read: Callable[[str], int]) -> Cost:
    """Return what listing everything would need, by the pages that begin after some records."""
    costs = [cost_of(nova, partial(read_full_page, read, marker)) for marker in markers]
    sums = (sum(getattr(each, name) for each in costs) for name in ("own", "nova", "wall"))
    return Cost(*(each * pages_in_all() / len(costs) for each in sums))


def read_full_page(read: Callable[[str], int], marker: str) -> None:
    """Read the page that begins after a record; raise RuntimeError where it is not full."""
    if (rows := read(marker)) != PAGE:
        raise RuntimeError(f"a page has {rows} records")


def pages_in_all() -> int:
    """Return how many pages the whole list has."""
    return -(-(HISTORY + SAMPLED + LIVE) // PAGE)
