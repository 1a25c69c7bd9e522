"""What the web server shows, made from the newest views."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from exporter.domain.view import View
from exporter.filters import read_filters
from exporter.landing import StatusPage
from exporter.report import report

Verdict = tuple[bool, str]


class ViewPages:
    """The pages of the exporter; asking for one never asks a cloud.

    `page_of_metrics` gives the page for an Accept header, as gzip or not; `view` gives what is known now; `clock` is in epoch
    seconds.
    """

    def __init__(
        self,
        page_of_metrics: Callable[[str, bool], tuple[bytes, str]],
        view: Callable[[], View],
        healthy: Callable[[], Verdict],
        ready: Callable[[], Verdict],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._page_of_metrics = page_of_metrics
        self._view = view
        self._healthy = healthy
        self._ready = ready
        self._clock = clock

    def metrics(self, accept: str, packed: bool) -> tuple[bytes, str]:
        """Return the page of metrics, `packed` as gzip, and its content type."""
        return self._page_of_metrics(accept, packed)

    def status(self) -> StatusPage:
        """Return what the page for people shows."""
        return StatusPage(self._view(), self._clock())

    def migrations(self, asked: Iterable[tuple[str, str]]) -> tuple[bytes, str]:
        """Return the migrations that are asked for as JSON, and its content type; raise WrongFilterError."""
        return report(self._view(), read_filters(asked))

    def healthy(self) -> Verdict:
        """Tell whether every poller runs."""
        return self._healthy()

    def ready(self) -> Verdict:
        """Tell whether every cloud was tried once."""
        return self._ready()
