"""Times, lengths of time, sizes and numbers in words."""

from __future__ import annotations

from datetime import UTC, datetime

_UNITS = {"d": 86_400, "h": 3600, "m": 60, "s": 1}


def moment(at: float) -> str:
    """Return a time (seconds since the epoch) in UTC."""
    try:
        return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (ValueError, OverflowError, OSError):  # a stamp of Nova may lie at the very end of the calendar
        return "beyond the calendar"


def age(seconds: float) -> str:
    """Return a length of time in its two largest units."""
    rest = max(0, int(seconds))
    parts: list[str] = []
    for unit, length in _UNITS.items():
        count, rest = divmod(rest, length)
        if count or parts:
            parts.append(f"{count}{unit}")
    return " ".join(parts[:2]) or "0s"


def length(seconds: float) -> str:
    """Return a length of time that may be short."""
    if seconds < 1:
        return f"{max(0.0, seconds):.2f}s"
    return f"{seconds:.1f}s" if seconds < 10 else age(seconds)


def size(count: float) -> str:
    """Return a number of bytes in the largest unit of which there is one."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


def counted(number: int, one: str, many: str) -> str:
    """Return a number with what it counts."""
    return f"{number} {one if number == 1 else many}"
