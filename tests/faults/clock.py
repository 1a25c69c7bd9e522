"""The clock of a cloud as seen through the proxy: ahead or behind, and cut to whole seconds as MySQL keeps times."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from urllib.parse import parse_qsl, urlencode

#: A time as a whole JSON string, as Nova and Keystone write it.
_STAMP = re.compile(rb'"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?(Z?)"')
_ASKED_TIMES = ("changes-since", "changes-before")


@dataclass(frozen=True, slots=True)
class Clock:
    """By how many seconds the cloud is `ahead` (negative: behind), and whether it keeps `whole_seconds` only.

    Everything that has a time is moved: the Date header, every stamp in an answer, and what a client asks for by time.
    """

    ahead: float = 0.0
    whole_seconds: bool = False

    def date(self, text: str) -> str:
        """Return a Date header as this clock writes it."""
        return format_datetime(parsedate_to_datetime(text) + timedelta(seconds=self.ahead), usegmt=True)

    def body(self, body: bytes) -> bytes:
        """Return an answer with every stamp as this clock writes it."""
        return _STAMP.sub(self._stamp, body)

    def target(self, target: str) -> str:
        """Return a path and query that ask by the cloud's own times for what the client asked by this clock's."""
        path, mark, query = target.partition("?")
        pairs = parse_qsl(query, keep_blank_values=True)
        if not any(name in _ASKED_TIMES for name, _ in pairs):
            return target
        return (
            path
            + mark
            + urlencode([(name, self._back(value) if name in _ASKED_TIMES else value) for name, value in pairs])
        )

    def _stamp(self, found: re.Match[bytes]) -> bytes:
        whole, fraction, zone = (part.decode() if part else "" for part in found.groups())
        moved = datetime.fromisoformat(whole) + timedelta(seconds=self.ahead)
        kept = ".000000" if fraction and self.whole_seconds else fraction
        return f'"{moved:%Y-%m-%dT%H:%M:%S}{kept}{zone}"'.encode()

    def _back(self, text: str) -> str:
        moment = datetime.fromisoformat(text).astimezone(UTC) - timedelta(seconds=self.ahead)
        return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
