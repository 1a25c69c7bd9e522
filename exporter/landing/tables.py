"""What is there to be seen: a row for each cloud, each migration under way, and each of the last ends."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from exporter.domain.lifecycle import MigrationType, Outcome, Phase, row_of
from exporter.domain.migration import Migration
from exporter.domain.server import Server
from exporter.domain.view import CloudView, LiveMigrationRecord, RecentEnd
from exporter.landing.headline import untried
from exporter.landing.markup import NOTHING, Column, Html, Row, element, table, together, value
from exporter.landing.words import age, length, moment, size

#: Colours of the bars of durations; a status has the one of its place in the lifecycle.
_COLOURS = 6

_CLOUD_COLUMNS = (
    Column("cloud"),
    Column("answers"),
    Column("last complete poll"),
    Column("API"),
    Column("features not available"),
    Column("error", "wide"),
)
_LIVE_COLUMNS = (
    Column("server", "uuid"),
    Column("migration", "uuid"),
    Column("status"),
    Column("for"),
    Column("from, to"),
    Column("progress", "bars"),
    Column("counts as stuck"),
    Column("cloud"),
)
_END_COLUMNS = (
    Column("server", "uuid"),
    Column("migration", "uuid"),
    Column("end"),
    Column("when"),
    Column("from, to"),
    Column("time in each status", "bars wide"),
    Column("cloud"),
)


def cloud_table(clouds: Iterable[CloudView], at: float) -> Html:
    """Return how each cloud is doing."""
    return table("Health of each cloud", _CLOUD_COLUMNS, (_cloud_row(cloud, at) for cloud in clouds))


def live_table(live: Iterable[tuple[str, LiveMigrationRecord]], at: float) -> Html:
    """Return the migrations under way, each with the name of its cloud."""
    return table("Migrations under way", _LIVE_COLUMNS, (_live_row(cloud, record, at) for cloud, record in live))


def end_table(ends: Iterable[tuple[str, RecentEnd]], at: float) -> Html:
    """Return the last ends, each with the name of its cloud."""
    return table("Migrations that ended last", _END_COLUMNS, (_end_row(cloud, end, at) for cloud, end in ends))


def not_seen(record: LiveMigrationRecord) -> Html:
    """Return that the last sweep did not show a record, if so."""
    return element("small", "not in the last sweep") if record.unseen else NOTHING


def progress_of(record: LiveMigrationRecord, at: float) -> Html | str:
    """Return how much of a live migration is done, as a bar and in words; its bar says nothing that the words do not."""
    progress, progressed = record.progress, record.progressed
    if progress is None:
        return ""
    moved = NOTHING if progressed is None else element("small", f"last moved {age(at - progressed)} ago")
    total, remaining = progress.total, progress.remaining
    if not total or remaining is None:
        return together("no figures", moved)
    done = 100 * min(1.0, max(0.0, 1 - remaining / total))
    words = f"{done:.0f} %, {size(remaining)} of {size(total)} to go"
    return together(_bar([("k0", done, words)]), words, moved)


def _cloud_row(cloud: CloudView, at: float) -> Row:
    health = cloud.health
    missing = [feature.value for feature, available in health.features.items() if not available]
    return (
        cloud.cloud,
        _mark(*_answer(cloud)),
        "never" if health.last_success is None else _ago(health.last_success, at),
        health.microversion or "",
        ", ".join(missing) or "none",
        health.error or "",
    )


def _answer(cloud: CloudView) -> tuple[str, str]:
    """Return in words, and how bad it is, whether a cloud answers."""
    if cloud.health.up:
        return "yes", "good"
    if untried(cloud.health):
        return "not asked yet", "weak"
    return "no, for a long time" if cloud.stale else "no", "bad"


def _live_row(cloud: str, record: LiveMigrationRecord, at: float) -> Row:
    migration = record.migration
    return (
        _server(migration.server_id, record.server),
        _migration(migration),
        together(value(record.status), not_seen(record)),
        together(age(at - record.since), element("small", moment(record.since))),
        _hosts(migration),
        progress_of(record, at),
        "never" if record.deadline is None else _until(record.deadline, at),
        cloud,
    )


def _end_row(cloud: str, end: RecentEnd, at: float) -> Row:
    migration = end.migration
    return (
        element("code", migration.server_id),
        _migration(migration),
        together(_mark(end.status, _look_of(end.outcome)), element("small", end.outcome.value)),
        "not known" if end.ended is None else _ago(end.ended, at),
        _hosts(migration),
        _durations(migration.migration_type, end.durations),
        cloud,
    )


def _look_of(outcome: Outcome) -> str:
    return {Outcome.SUCCESS: "good", Outcome.FAILURE: "bad"}.get(outcome, "weak")


def _server(server_id: str, server: Server | None) -> Html:
    if server is None or not server.name:
        return element("code", server_id)
    return together(value(server.name), element("code", server_id))


def _migration(migration: Migration) -> Html:
    return together(element("span", migration.migration_type.value), element("code", migration.uuid))


def _hosts(migration: Migration) -> Html:
    source, dest = (value(host or "not known") for host in (migration.source_host, migration.dest_host))
    return together(element("span", source), element("span", "→ ", dest))


def _mark(words: str, look: str) -> Html:
    return element("span", value(words), class_=f"mark {look}")


def _ago(then: float, at: float) -> Html:
    return together(age(at - then), " ago", element("small", moment(then)))


def _until(then: float, at: float) -> Html:
    left = f"in {age(then - at)}" if then > at else f"since {age(at - then)}"
    return together(left, element("small", moment(then)))


def _durations(kind: MigrationType, durations: Mapping[str, float | None]) -> Html:
    """Return the time in each status: the share of each as a bar, the numbers as a list."""
    known = {status: seconds for status, seconds in durations.items() if seconds is not None and seconds > 0}
    total = sum(known.values())
    parts = [
        (_colour(kind, status), 100 * seconds / total, f"{status}: {length(seconds)}")
        for status, seconds in known.items()
    ]
    rows = (_duration(kind, status, seconds) for status, seconds in durations.items())
    return together(_bar(parts) if parts else NOTHING, element("ul", *rows, class_="key"))


def _duration(kind: MigrationType, status: str, seconds: float | None) -> Html:
    swatch = element("i", class_=_colour(kind, status), aria_hidden="true")
    return element("li", swatch, value(status), " ", "not known" if seconds is None else element("b", length(seconds)))


def _colour(kind: MigrationType, status: str) -> str:
    row = row_of(kind, status)
    return f"k{_COLOURS - 1 if row.phase is Phase.UNKNOWN else row.rank % _COLOURS}"


def _bar(parts: Iterable[tuple[str, float, str]]) -> Html:
    """Return a bar of parts: the colour, the width in percent, and what stands there when one points at it."""
    pieces = (element("i", class_=colour, style=f"width:{width:.2f}%", title=words) for colour, width, words in parts)
    return element("span", *pieces, class_="bar", aria_hidden="true")
