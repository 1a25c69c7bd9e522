"""Somebody who looks at the page all the time, and notes what must never be."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

import requests
from prometheus_client.samples import Sample

from tests.durability.counted import Series, falls, only, read, surviving
from tests.durability.stream import EXACT

#: Seconds between two looks.
_PAUSE = 0.1

_COUNTS = re.compile(r"^openstack_migrations_(?:started|ended)_total.*$", re.MULTILINE)


class Eye:
    """A thread that reads a page for as long as there is one.

    `truth` returns what has happened until now. `faults` are falls of counters, and counters that were ahead of the truth;
    `looks` are the pages that were read, `shown` the migrations that had a series of their own.
    """

    def __init__(self, url: str, truth: Callable[[], dict[Series, int]]) -> None:
        self.faults: list[str] = []
        self.shown: set[str] = set()
        self.looks = 0
        self._url = url
        self._truth = truth
        self._last: dict[Series, float] = {}
        self._reading = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="eye", daemon=True)

    def page(self) -> dict[Series, float] | None:
        """Return what must survive of the page, None where there is no page now."""
        page = self._read()
        return None if page is None else surviving(read(page))

    def strike(self, blow: Callable[[], None], patience: float) -> None:
        """Strike at the very moment when the page shows a count that it did not show before, or after some seconds."""
        with self._reading:
            first = None
            until = time.monotonic() + patience
            while True:
                page = self._read() or ""
                counts = _COUNTS.findall(page)
                first = first or counts
                if counts != first or time.monotonic() > until:
                    break
            blow()
            if page:
                self._look(read(page))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(_PAUSE):
            with self._reading:
                page = self._read()
                if page is not None:
                    self._look(read(page))

    def _look(self, samples: list[Sample]) -> None:
        now, truth = surviving(samples), self._truth()
        self.looks += 1
        self.faults += falls(self._last, now)
        self.faults += [
            f"{each}: {count}, ahead of {truth.get(each, 0)}"
            for each, count in only(now, *EXACT).items()
            if count > truth.get(each, 0)
        ]
        self._last = now
        self.shown |= {each.labels["migration_id"] for each in samples if each.name == "openstack_migration_info"}

    def _read(self) -> str | None:
        try:
            page = requests.get(f"{self._url}/metrics", timeout=30)
            page.raise_for_status()
        except requests.RequestException:
            return None
        return page.text
