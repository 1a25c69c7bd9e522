"""Times as Nova writes and reads them; inside the simulated cloud a time is epoch seconds."""

import math
import re
from datetime import UTC, datetime, timedelta, timezone
from enum import Enum


class Precision(Enum):
    """Say what Nova's database keeps of a time: MySQL whole seconds, SQLite and PostgreSQL microseconds."""

    MICROSECONDS = "microseconds"
    SECONDS = "seconds"

    def keep(self, at: float) -> float:
        """Round a time as the database does; MySQL rounds half a second up."""
        return float(math.floor(at + 0.5)) if self is Precision.SECONDS else round(at, 6)


# What iso8601.parse_date accepts (Nova calls it through oslo_utils.timeutils.parse_isotime): separators, the time and
# the zone may all be missing, and a missing zone means UTC.
_ISO = re.compile(
    r"(?P<year>\d{4})"
    r"(?:(?:-(?P<month>\d{1,2})|(?P<month2>\d{2})(?!$))"
    r"(?:(?:-(?P<day>\d{1,2})|(?P<day2>\d{2}))"
    r"(?:[ T](?P<hour>\d{2})(?::?(?P<minute>\d{2}))?(?::?(?P<second>\d{1,2})(?:[.,](?P<fraction>\d+))?)?"
    r"(?P<zone>Z|[+-]\d{2}:?(?:\d{2})?)?)?)?)?",
    re.ASCII,
)


def parse_isotime(text: str) -> float:
    """Read a time of a query parameter as epoch seconds; ValueError where Nova would refuse it."""
    match = _ISO.fullmatch(text)
    if match is None:
        raise ValueError(text)
    part = match.groupdict()
    moment = datetime(
        int(part["year"]),
        int(part["month"] or part["month2"] or 1),
        int(part["day"] or part["day2"] or 1),
        int(part["hour"] or 0),
        int(part["minute"] or 0),
        int(part["second"] or 0),
        int((part["fraction"] or "0")[:6].ljust(6, "0")),
        tzinfo=_zone(part["zone"]),
    )
    return moment.timestamp()


def _zone(text: str | None) -> timezone:
    if text is None or text == "Z":
        return UTC
    sign = -1 if text[0] == "-" else 1
    digits = text[1:].replace(":", "").ljust(4, "0")
    return timezone(sign * timedelta(hours=int(digits[:2]), minutes=int(digits[2:])))


def _moment(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)


def naive(at: float | None) -> str | None:
    """Write a time without a zone, as migrations, services and OS-SRV-USG show it."""
    return None if at is None else _moment(at).strftime("%Y-%m-%dT%H:%M:%S.%f")


def zulu(at: float) -> str:
    """Write a time in whole seconds with a Z, as servers show it (nova/utils.py isotime)."""
    return _moment(math.floor(at)).strftime("%Y-%m-%dT%H:%M:%SZ")


def keystone_time(at: float) -> str:
    """Write a time as Keystone's tokens show it."""
    return _moment(at).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
