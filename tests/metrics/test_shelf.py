"""A page is made once for each view; nobody waits for it but the first."""

from __future__ import annotations

import gzip
import threading
import zlib
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.domain.view import View
from exporter.metrics.exposition import Exposition
from exporter.metrics.shelf import Kept, Shelf, keep
from tests.metrics.views import cloud_view, view

OPENMETRICS = "application/openmetrics-text; version=1.0.0"
FIRST, SECOND = view(), view(cloud_view(cloud="other"))


class Made:
    """Makes pages of what is `shown`, and counts them; `hold` keeps it waiting, `broken` makes it fail."""

    def __init__(self) -> None:
        self.shown = FIRST
        self.shelf = Shelf(self, lambda: self.shown)
        self.views: list[View] = []
        self.begun, self.hold = threading.Event(), threading.Event()
        self.hold.set()
        self.broken = False

    def __call__(self, shown: View) -> Kept:
        self.views.append(shown)
        self.begun.set()
        assert self.hold.wait(10)
        if self.broken:
            raise ValueError("a mistake")
        return Kept(shown, b",".join(cloud.cloud.encode() for cloud in shown.clouds))


def test_a_page_is_made_once_for_a_view() -> None:
    made = Made()
    page = made.shelf.page()
    for _ in range(5):
        made.shown = View(FIRST.process, FIRST.clouds)
        assert made.shelf.page() is page
    assert made.views == [FIRST]
    made.shown = SECOND
    assert made.shelf.page().body == b"other"
    assert len(made.views) == 2


@pytest.mark.parametrize(
    "other",
    [
        View(replace(FIRST.process, state_errors=1), FIRST.clouds),
        View(FIRST.process, (replace(FIRST.clouds[0]),)),
        View(FIRST.process, ()),
        View(FIRST.process, (*FIRST.clouds, *SECOND.clouds)),
    ],
    ids=["process", "a new view of the cloud", "none", "one more"],
)
def test_another_view_has_another_page(other: View) -> None:
    made = Made()
    made.shelf.page()
    made.shown = other
    made.shelf.page()
    assert made.views == [FIRST, other]


def test_a_page_that_is_asked_for_is_made_before_anybody_asks_again() -> None:
    made = Made()
    made.shelf.page()
    made.shown = SECOND
    made.shelf.renew()
    assert made.views == [FIRST, SECOND]
    assert made.shelf.page().body == b"other"
    assert len(made.views) == 2


def test_a_page_that_nobody_asks_for_is_not_made_and_not_kept() -> None:
    made = Made()
    made.shelf.renew()
    assert made.views == []
    made.shelf.page()
    for shown in (SECOND, FIRST, SECOND):
        made.shown = shown
        made.shelf.renew()
    assert made.views == [FIRST, SECOND]
    assert made.shelf._kept is None


def test_who_asks_while_the_page_is_made_anew_gets_it_as_it_was() -> None:
    made = Made()
    made.shelf.page()
    made.begun.clear()
    made.hold.clear()
    made.shown = SECOND
    renewing = threading.Thread(target=made.shelf.renew)
    renewing.start()
    assert made.begun.wait(10)
    assert made.shelf.page().body == b"prod"
    made.hold.set()
    renewing.join(10)
    assert made.shelf.page().body == b"other"
    assert made.views == [FIRST, SECOND]


def test_all_who_ask_for_the_first_page_wait_for_the_one_that_makes_it() -> None:
    made = Made()
    made.hold.clear()
    found: list[bytes] = []
    asking = [threading.Thread(target=lambda: found.append(made.shelf.page().body)) for _ in range(5)]
    for each in asking:
        each.start()
    assert made.begun.wait(10)
    made.hold.set()
    for each in asking:
        each.join(10)
    assert (found, made.views) == ([b"prod"] * 5, [FIRST])


def test_a_page_is_never_followed_by_that_of_an_older_view() -> None:
    """Who waits for a turn with a view makes the page of the one that came meanwhile."""
    made = Made()
    made.hold.clear()
    first = threading.Thread(target=made.shelf.page)
    first.start()
    assert made.begun.wait(10)
    found: list[bytes] = []
    late = threading.Thread(target=lambda: found.append(made.shelf.page().body))
    late.start()
    made.shown = SECOND
    made.hold.set()
    for each in (first, late):
        each.join(10)
    assert found == [b"other"]
    assert made.views == [FIRST, SECOND]


def test_a_page_that_cannot_be_made_is_told_to_who_asks_and_not_to_the_poller(caplog: pytest.LogCaptureFixture) -> None:
    made = Made()
    made.shelf.page()
    made.broken, made.shown = True, SECOND
    made.shelf.renew()
    assert "the page of metrics cannot be made" in caplog.text
    with pytest.raises(ValueError, match="a mistake"):
        made.shelf.page()
    made.broken = False
    assert made.shelf.page().body == b"other"


@given(st.binary(max_size=2000), st.lists(st.binary(max_size=200), min_size=1, max_size=4))
@settings(max_examples=100, deadline=None)
def test_a_kept_page_with_any_end_is_one_gzip_stream(body: bytes, ends: list[bytes]) -> None:
    kept = keep(FIRST, body, packed=True)
    for end in ends:
        stream = zlib.decompressobj(16 + zlib.MAX_WBITS)
        assert stream.decompress(kept.with_end(end)) == body + end
        assert stream.eof
        assert stream.unused_data == b""


@pytest.mark.parametrize("accept", ["", OPENMETRICS])
def test_the_page_as_gzip_is_the_page(accept: str) -> None:
    exposition = Exposition(lambda: FIRST, process_metrics=False)
    assert gzip.decompress(exposition.page(accept, True)[0]) == exposition.page(accept)[0]


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("accept", ["", OPENMETRICS])
def test_what_the_process_tells_of_itself_is_fresh_at_each_scrape(accept: str, packed: bool) -> None:
    def cpu_seconds() -> float:
        body = exposition.page(accept, packed)[0]
        text = gzip.decompress(body).decode() if packed else body.decode()
        assert text.endswith("# EOF\n") == bool(accept)
        return next(
            float(line.split()[1]) for line in text.splitlines() if line.startswith("process_cpu_seconds_total ")
        )

    exposition = Exposition(lambda: FIRST)
    before = cpu_seconds()
    while cpu_seconds() == before:
        sum(range(100_000))


def test_a_new_view_is_on_every_page_at_once() -> None:
    shown = FIRST
    exposition = Exposition(lambda: shown, process_metrics=False)
    for _ in range(2):
        for accept in ("", OPENMETRICS):
            assert f'openstack_migration_up{{cloud="{shown.clouds[0].cloud}"}}' in exposition.page(accept)[0].decode()
        shown = SECOND
        exposition.renew()


@pytest.mark.parametrize("scheme", ["dots", "values", "underscores", "allow-utf-8", "DOTS"])
@pytest.mark.parametrize("kind", ["application/openmetrics-text; version=1.0.0", "text/plain; version=1.0.0"])
def test_names_stay_as_they_are_whatever_escapes_are_asked_for(kind: str, scheme: str) -> None:
    body, content_type = Exposition(lambda: FIRST, process_metrics=False).page(f"{kind}; escaping={scheme}")
    assert b'openstack_migration_up{cloud="prod"} 1.0\n' in body
    assert content_type.endswith("escaping=allow-utf-8" if scheme == "allow-utf-8" else "escaping=underscores")
