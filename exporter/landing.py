"""The page for people: plain HTML that works without JavaScript. Every value on it is made harmless in one place."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape

from exporter.strangers import printable

#: Rows of migrations; a page of more is of no use to people, and the metrics have them all.
MOST_ROWS = 500


@dataclass(frozen=True, slots=True)
class CloudStatus:
    """How one cloud is doing.

    `last_success` in epoch seconds, None for never; `error` is None when the last poll was complete.
    """

    cloud: str
    up: bool
    last_success: float | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class MigrationStatus:
    """One live migration; `since` in epoch seconds; `stuck` is the reason why it counts as stuck, if it does."""

    cloud: str
    migration_id: str
    migration_type: str
    status: str
    since: float
    server_id: str
    source_host: str | None = None
    dest_host: str | None = None
    stuck: str | None = None


@dataclass(frozen=True, slots=True)
class StatusPage:
    """What the page for people shows; `at` is when it was made, in epoch seconds."""

    version: str
    at: float
    clouds: tuple[CloudStatus, ...] = ()
    migrations: tuple[MigrationStatus, ...] = ()


_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;margin:2rem}table{border-collapse:collapse;margin:0 0 1rem}"
    "caption{font-weight:bold;text-align:left}"
    "th,td{border:1px solid;padding:.2rem .6rem;text-align:left;vertical-align:top;max-width:40ch;overflow-wrap:break-word}"
)

_CLOUD_HEADS = ("cloud", "up", "last success", "error")
_MIGRATION_HEADS = ("stuck", "cloud", "type", "status", "since", "for", "server", "from", "to", "migration")


def landing_page(page: StatusPage, telemetry_path: str) -> tuple[bytes, str]:
    """Return the page and its content type."""
    title = f"openstack-migration-exporter {page.version}"
    live = sorted(page.migrations, key=lambda each: (each.stuck is None, each.since, each.migration_id))
    links = ", ".join(
        f'<a href="{_harmless(path)}">{_harmless(path)}</a>' for path in (telemetry_path, "/-/healthy", "/-/ready")
    )
    stuck = sum(each.stuck is not None for each in live)
    parts = [
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">',
        f"<title>{_harmless(title)}</title><style>{_STYLE}</style></head><body>",
        f"<h1>{_harmless(title)}</h1><p>{links}</p>",
        _table("Clouds", _CLOUD_HEADS, (_cloud_cells(each, page.at) for each in page.clouds)),
        _table(
            f"Live migrations: {len(live)}, of them stuck: {stuck}",
            _MIGRATION_HEADS,
            (_migration_cells(each, page.at) for each in live[:MOST_ROWS]),
        ),
        f"<p>{len(live) - MOST_ROWS} more are not shown.</p>" if len(live) > MOST_ROWS else "",
        f"<p>Made at {_moment(page.at)}.</p></body></html>\n",
    ]
    return "\n".join(part for part in parts if part).encode(), "text/html; charset=utf-8"


def _cloud_cells(each: CloudStatus, at: float) -> tuple[str, ...]:
    success = (
        "never" if each.last_success is None else f"{_moment(each.last_success)} ({_age(at - each.last_success)} ago)"
    )
    return (each.cloud, "yes" if each.up else "no", success, each.error or "")


def _migration_cells(each: MigrationStatus, at: float) -> tuple[str, ...]:
    return (
        each.stuck or "",
        each.cloud,
        each.migration_type,
        each.status,
        _moment(each.since),
        _age(at - each.since),
        each.server_id,
        each.source_host or "",
        each.dest_host or "",
        each.migration_id,
    )


def _table(caption: str, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f'<th scope="col">{_harmless(each)}</th>' for each in heads)
    body = "\n".join("<tr>" + "".join(f"<td>{_harmless(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return (
        f"<table><caption>{_harmless(caption)}</caption><thead><tr>{head}</tr></thead><tbody>\n{body}</tbody></table>"
    )


def _harmless(value: str) -> str:
    """Return a value as HTML; the only place where values become it.

    Control characters, marks that turn the direction of a line and half surrogates are shown as escapes. A cell is a
    paragraph of its own (CSS 2.1, 8.6), so that what is written from right to left stays within it.
    """
    return escape(printable(value))


def _moment(at: float) -> str:
    try:
        return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (ValueError, OverflowError, OSError):  # a stamp of Nova may lie at the very end of the calendar
        return "beyond the calendar"


def _age(seconds: float) -> str:
    """Return a length of time in its two largest units."""
    rest = max(0, int(seconds))
    parts: list[str] = []
    for unit, length in {"d": 86_400, "h": 3600, "m": 60, "s": 1}.items():
        count, rest = divmod(rest, length)
        if count or parts:
            parts.append(f"{count}{unit}")
    return " ".join(parts[:2]) or "0s"
