"""What a scrape costs: the page is made once for each view, and served as bytes."""

from __future__ import annotations

import http.client
import multiprocessing
import statistics
import sys
import time
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from multiprocessing.connection import Connection

from benchmarks.figures import Figure, count, median_cpu, ratio, same, times
from benchmarks.tracking import watching
from benchmarks.views import view
from exporter.domain.view import CloudView, Process, View
from exporter.metrics.exposition import FAMILIES, Exposition
from exporter.metrics.text import Format, Writer
from exporter.pages import ViewPages
from exporter.pauses import shorten_pauses
from exporter.watch import Board
from exporter.web.app import build_app
from exporter.web.server import WebServer
from tests.metrics.oracle import as_openmetrics, as_text

TITLE = "The page: one rendering, many scrapes"

ABOUT = """
One cloud with 10,000 live records of all types and statuses, each with series of its own (40,000 series, 7.6 MB of text).
prometheus_client's `generate_latest` writes the same families from its own sample objects, as the collector of an ordinary
exporter would at each scrape. A scrape is one over HTTP from another process, on one connection, with the headers of Prometheus
3 (OpenMetrics, gzip), up to the last byte; generate_latest has neither HTTP nor gzip to do. Then twenty scrapers ask at the
same time, each again as soon as it has its answer, while the exporter polls without a pause: a poll is a look or, each fourth
time, a sweep of all 10,000 records, with 100 changed ones before each, and renews the page. The server process is set up as
`serve` is. Last, each of the twenty asks once a second.
""".strip().replace("\n", " ")

LIVE = 10_000
SCRAPERS = 20
SECONDS = 10.0
#: What Prometheus 3 asks with.
ACCEPT = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,"
    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)


def _served(says: Connection, polls: bool) -> None:
    """Serve the page of a cloud until the process is killed; poll all the time where asked to."""
    shorten_pauses()
    board = Board(lambda: Process("1.2.3", "abcdef", "3.11.7"))
    exposition = Exposition(board.view)
    pages = ViewPages(exposition.page, board.view, lambda: (True, "ok"), lambda: (True, "ok"))
    server = WebServer(build_app(pages), "127.0.0.1:0")
    server.start()

    def publish(shown: CloudView) -> None:
        board.publish(shown)
        exposition.renew()

    if not polls:
        publish(view(LIVE).clouds[0])
        says.send(server.port)
        time.sleep(3600)
    with watching(LIVE, 100, publish=publish) as watch:
        says.send(server.port)
        while True:
            for number in range(4):
                watch.poll(sweep=number == 0)


@contextmanager
def _serving(*, polls: bool) -> Iterator[int]:
    context = multiprocessing.get_context("spawn")
    hears, says = context.Pipe()
    process = context.Process(target=_served, args=(says, polls), daemon=True)
    process.start()
    try:
        yield hears.recv()
    finally:
        process.kill()
        process.join()


def _scrapes(port: int, until: float, pause: float = 0.0, first: float = 0.0) -> list[float]:
    """Scrape over one connection, as Prometheus does, and return the seconds of each scrape."""
    time.sleep(first)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    seconds = []
    while time.monotonic() < until:
        begun = time.perf_counter()
        connection.request("GET", "/metrics", headers={"Accept": ACCEPT, "Accept-Encoding": "gzip"})
        answer = connection.getresponse()
        body = answer.read()
        seconds.append(time.perf_counter() - begun)
        if answer.status != http.client.OK or body[:2] != b"\x1f\x8b":
            raise ValueError(f"a scrape failed: {answer.status} {body[:100]!r}")
        time.sleep(max(0.0, pause - seconds[-1]))
    return seconds


def _with_series(port: int) -> int:
    """Return how many records have series of their own on the page."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", "/metrics")
    return connection.getresponse().read().count(b"\nopenstack_migration_info{")


def _crowd(port: int, pause: float) -> list[float]:
    """Let all scrapers scrape for a while, and return the seconds of each scrape."""
    until = time.monotonic() + SECONDS
    with ThreadPoolExecutor(SCRAPERS) as pool:
        found = [pool.submit(_scrapes, port, until, pause, pause * each / SCRAPERS) for each in range(SCRAPERS)]
        return sorted(second for each in found for second in each.result())


def measure() -> Iterable[Figure]:
    """Measure how a page is made, then how it is served."""
    print("  making the page", file=sys.stderr)
    shown = view(LIVE)
    theirs = yield from _making(shown)
    with _serving(polls=False) as port:
        alone = _scrapes(port, time.monotonic() + 3.0)
        yield times("generate_latest over a scrape, median", theirs, statistics.median(alone), at_least=50)
        print("  twenty scrapers", file=sys.stderr)
        yield _late("twenty scrapers at once, no poll going on", _crowd(port, 0.0))
    with _serving(polls=True) as port:
        print("  twenty scrapers, and polls without a pause", file=sys.stderr)
        yield count("records with series of their own on the page while polls go on", _with_series(port))
        crowd = _crowd(port, 0.0)
        yield _late("twenty scrapers at once, polls going on", crowd, below=5)
        yield times(
            "generate_latest, one after the other for all twenty, over such a scrape",
            20 * theirs,
            crowd[len(crowd) // 2],
        )
        yield _late("twenty scrapers, each once a second, polls going on", _crowd(port, 1.0))


def _making(shown: View) -> Generator[Figure, None, float]:
    """Compare how we and prometheus_client make the page; return the seconds that OpenMetrics takes prometheus_client."""
    spent = 0.0
    for page_format, oracle in ((Format.TEXT, as_text), (Format.OPENMETRICS, as_openmetrics)):
        writer = Writer(FAMILIES, page_format)
        theirs = oracle(shown).removesuffix(b"# EOF\n")
        yield same(
            f"{page_format.name.lower()}: every byte is the one that prometheus_client writes",
            writer.page(shown),
            theirs,
        )
        spent = median_cpu(partial(oracle, shown), 3)
        ours = median_cpu(partial(writer.page, shown), 5)
        yield times(f"{page_format.name.lower()}: generate_latest over our writing of a new view, CPU", spent, ours)
    return spent


def _late(what: str, seconds: list[float], below: float | None = None) -> Figure:
    """Return the 99th percentile over the median."""
    return ratio(
        f"{what}: 99th percentile over median", seconds[len(seconds) * 99 // 100], statistics.median(seconds), below
    )
