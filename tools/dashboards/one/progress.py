"""How far a running live migration is."""

from __future__ import annotations

from functools import partial

from tools.dashboards.colours import CALM, GOOD, STUCK, WAITING
from tools.dashboards.one.chosen import CHOSEN, ID, ON_ONE, of_chosen, of_each
from tools.dashboards.queries import RATE, age, latest, series
from tools.dashboards.rows import Kind, Panel, Query, Section, Step, Unit

_MOVED = "openstack_migration_progress_timestamp_seconds"
_NO_PROGRESS = "No live migration is running, or Nova does not tell what it has moved"

_progress = partial(Panel, none=_NO_PROGRESS, unit=Unit.BYTES)


def _bytes(kind: str) -> tuple[Query, ...]:
    """Return what a live migration moves of its memory or disk: all, moved so far, still to be moved."""
    shown = {"": "in all", "processed_": "moved", "remaining_": "left"}
    return tuple(
        of_each(f"sum by (migration_id) ({of_chosen(f'openstack_migration_{kind}_{part}bytes')})", name)
        for part, name in shown.items()
    )


def _speed(metric: str) -> str:
    """Return by how many bytes in a second a gauge grows."""
    change = f"deriv({series(metric, ID)}[{RATE}])"
    return f"max by (cloud, migration_id) ({change}) and {ON_ONE} {CHOSEN}"


def _left(kind: str) -> str:
    """Return the seconds until nothing is left, at the speed at which it becomes less; nothing where it does not."""
    remaining = f"openstack_migration_{kind}_remaining_bytes"
    return f"({latest(remaining, ID)}) / {ON_ONE} (-({_speed(remaining)}) > 0)"


PROGRESS = Section(
    300,
    "How far a live migration is",
    (
        _progress(
            id=301,
            kind=Kind.BARGAUGE,
            title="Memory no longer to be moved",
            description="Share of the server's memory that is on the destination and has not changed since. A busy server "
            "dirties its memory again, so this can fall: then it is too busy to be moved as it is.",
            queries=(
                of_each(
                    f"max by (migration_id) (1 - ({of_chosen('openstack_migration_memory_remaining_bytes')}) / {ON_ONE} "
                    f"{latest('openstack_migration_memory_bytes', ID)})",
                    now=True,
                ),
            ),
            unit=Unit.SHARE,
            width=12,
            height=6,
            decimals=0,
            largest=1,
            steps=(Step(None, CALM), Step(0.9, GOOD)),
        ),
        _progress(
            id=302,
            kind=Kind.BARGAUGE,
            title="Time since data moved",
            description="How long ago a running live migration last moved data. Beyond live_migration.no_progress it is stuck: "
            "see libvirt's log on the source, and the network between the two hosts.",
            queries=(of_each(f"max by (migration_id) (({age(_MOVED, ID)}) and {ON_ONE} {CHOSEN})", now=True),),
            unit=Unit.SECONDS,
            width=12,
            height=6,
            steps=(Step(None, GOOD), Step(60, WAITING), Step(300, STUCK)),
            runbooks=("NoProgress",),
        ),
        _progress(
            id=303,
            kind=Kind.TIMESERIES,
            title="Memory",
            description="What a live migration has to move, has moved and has left. Moved may go beyond all: what changed "
            "meanwhile is moved again.",
            queries=_bytes("memory"),
        ),
        _progress(
            id=304,
            kind=Kind.TIMESERIES,
            title="Disk",
            description="The same of the disks, where those are moved, too (block migration).",
            queries=_bytes("disk"),
            none="No live migration moves disks, or Nova does not tell",
        ),
        _progress(
            id=305,
            kind=Kind.TIMESERIES,
            title="Speed",
            description="How many bytes a second a live migration moves. Zero for minutes is a dead connection; much below what "
            "the network can do is a limit, or a queue.",
            queries=(
                of_each(_speed("openstack_migration_memory_processed_bytes"), "memory"),
                of_each(_speed("openstack_migration_disk_processed_bytes"), "disk"),
            ),
            unit=Unit.BYTES_PER_SECOND,
        ),
        _progress(
            id=306,
            kind=Kind.TIMESERIES,
            title="Time left, as it goes now",
            description="What is left, by the speed at which it becomes less. Nothing is shown while it does not become less: "
            "then the server changes its memory faster than it can be moved. Force its completion, or move it at a quiet hour.",
            queries=(
                of_each(_left("memory"), "memory"),
                of_each(_left("disk"), "disk"),
            ),
            none="Nothing becomes less",
            unit=Unit.SECONDS,
        ),
    ),
)
