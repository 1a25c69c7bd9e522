"""An exporter of somebody more careful: the whole list as raw JSON, in the background, every ten minutes.

The SDK only logs in: no object is made for a record, pages are as long as Nova allows and followed by uuid, and scrapes are
answered with the last numbers, as long as it may take to get them.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from openstack.connection import Connection

#: Seconds between two listings.
EVERY = 600.0

#: Nova's own most, `[api]max_limit`.
PAGE = 1000

Counts = Counter[tuple[str, str]]


class FullListing:
    """The migrations of a cloud, counted from time to time."""

    def __init__(self, connection: Connection) -> None:
        """Take a connection that is used for every listing."""
        self._compute = connection.compute

    def count(self) -> Counts:
        """Read the whole list and return how many migrations there are of each type and status."""
        counts, marker = Counts(), None
        while True:
            body = self.page(marker)
            counts.update((each["migration_type"], each["status"]) for each in body["migrations"])
            if not body.get("migrations_links"):
                return counts
            marker = body["migrations"][-1]["uuid"]

    def page(self, marker: str | None) -> dict[str, Any]:
        """Return the page that begins after a record, or the first."""
        query = {"limit": PAGE} | ({"marker": marker} if marker else {})
        answer = self._compute.get("/os-migrations", params=query, microversion="2.80")
        answer.raise_for_status()
        return dict(answer.json())
