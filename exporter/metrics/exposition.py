"""The page of metrics: of the newest view, in the format that is asked for."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial

from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector, generate_latest
from prometheus_client.exposition import choose_encoder
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics

from exporter.domain.view import View
from exporter.metrics.catalogue import Family
from exporter.metrics.health import HEALTH_FAMILIES
from exporter.metrics.migrations import MIGRATION_FAMILIES
from exporter.metrics.shelf import Kept, Shelf, keep
from exporter.metrics.text import Format, Writer

FAMILIES: tuple[Family, ...] = (*MIGRATION_FAMILIES, *HEALTH_FAMILIES)

_WRITERS = {page_format: Writer(FAMILIES, page_format) for page_format in Format}
_FRESH: Mapping[Format, Callable[[CollectorRegistry], bytes]] = {
    Format.TEXT: generate_latest,
    Format.OPENMETRICS: generate_openmetrics,
}

#: Schemes that prometheus_client applies to names that need no escapes as well; ours need none, and are sent as they are.
_ESCAPING = re.compile(r";\s*escaping\s*=\s*(dots|values)\b", re.IGNORECASE)


class Exposition:
    """The page of metrics, made once for each view and format; `view` is asked for the current view at each scrape.

    What the process tells of itself stands at the end, and is fresh at each scrape.
    """

    def __init__(self, view: Callable[[], View], *, process_metrics: bool = True) -> None:
        self._process = CollectorRegistry(auto_describe=False)
        if process_metrics:
            ProcessCollector(registry=self._process)
            PlatformCollector(registry=self._process)
        self._shelves = {
            (page_format, packed): Shelf(partial(_kept, page_format, packed), view)
            for page_format in Format
            for packed in (False, True)
        }

    def page(self, accept: str, packed: bool = False) -> tuple[bytes, str]:
        """Return the page and its content type, in the format that the Accept header prefers; `packed` as gzip."""
        _, content_type = choose_encoder(_ESCAPING.sub("", accept))
        modern = content_type.startswith("application/openmetrics-text")
        page_format = Format.OPENMETRICS if modern else Format.TEXT
        kept = self._shelves[page_format, packed].page()
        return kept.with_end(_FRESH[page_format](self._process)), content_type

    def renew(self) -> None:
        """Make the pages that are asked for anew: there is a new view."""
        for shelf in self._shelves.values():
            shelf.renew()


def _kept(page_format: Format, packed: bool, view: View) -> Kept:
    return keep(view, _WRITERS[page_format].page(view), packed=packed)
