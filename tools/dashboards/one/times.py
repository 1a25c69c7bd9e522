"""What is known of the chosen migrations, and where their time went."""

from __future__ import annotations

from tools.dashboards.colours import CALM, STATUS_ORDER, STATUSES, STUCK, WAITING
from tools.dashboards.columns import (
    CLOUD,
    DEST,
    MIGRATION,
    PROJECT,
    REASON,
    SERVER,
    SOURCE,
    STATUS,
    TYPE,
    deadline,
    since,
)
from tools.dashboards.one.chosen import CHOSEN, ENTERED, ID, INFO, ON_ONE, of_chosen, of_each
from tools.dashboards.queries import LABELS, age, latest, none_of, one_of, series
from tools.dashboards.rows import Kind, Panel, Query, Section, Step, Unit, now

DETAILS = Section(
    100,
    "Chosen above",
    (
        Panel(
            id=101,
            kind=Kind.TABLE,
            title="Details",
            description="The migration chosen above, or those of the host; ended ones are gone from here, but not from the "
            "graphs below. The runbook says what to do for a reason; the exporter's own page has the commands.",
            queries=now(
                f"max by ({', '.join(LABELS[INFO])}) {CHOSEN}",
                f"({age(ENTERED, ID)}) and {ON_ONE} {CHOSEN}",
                f"1000 * {of_chosen('openstack_migration_deadline_timestamp_seconds')}",
                of_chosen("openstack_migration_stuck_info"),
            ),
            none="No such migration is live now",
            width=24,
            height=7,
            sort="-Value #B",
            columns=(
                CLOUD,
                TYPE,
                STATUS,
                since("Value #B"),
                REASON,
                deadline("Value #C"),
                SOURCE,
                DEST,
                SERVER,
                MIGRATION,
                PROJECT,
            ),
            runbooks=("HostDown", "ServerInError", "Overdue", "NoProgress", "EvacuationNotFinished", "Orphaned"),
        ),
    ),
)


def _ages() -> tuple[Query, ...]:
    """Return the age of the chosen migrations in each status, in the order of the lifecycle."""
    matchers = [*(one_of("status", [status]) for status in STATUS_ORDER), none_of("status", STATUS_ORDER)]
    return tuple(
        Query(f"max by (status) (({age(ENTERED, ID, matcher)}) and {ON_ONE} {CHOSEN})", "{{status}}")
        for matcher in matchers
    )


TIMES = Section(
    200,
    "Where its time went",
    (
        Panel(
            id=201,
            kind=Kind.TIMESERIES,
            title="Time in each status",
            description="How long the migration had been in its status at each moment: it falls to zero where it goes on to the "
            "next one. Of several migrations the slowest in each status.",
            queries=_ages(),
            none="No such migration was live within the time shown",
            unit=Unit.SECONDS,
            width=16,
            height=9,
            colours=STATUSES,
        ),
        Panel(
            id=202,
            kind=Kind.BARGAUGE,
            title="Time allowed that is used up",
            description="Age in the status as a share of the time until the deadline; at 100 % it counts as stuck. Empty where "
            "the status may last for ever.",
            queries=(
                of_each(
                    f"max by (migration_id) (({age(ENTERED, ID, by=('cloud', 'migration_id'))}) / {ON_ONE} "
                    f"({latest('openstack_migration_deadline_timestamp_seconds', ID)} - {ON_ONE} "
                    f"max by (cloud, migration_id) ({series(ENTERED, ID)})) and {ON_ONE} {CHOSEN})",
                    now=True,
                ),
            ),
            none="No deadline",
            unit=Unit.SHARE,
            width=8,
            height=9,
            decimals=0,
            largest=1,
            steps=(Step(None, CALM), Step(0.5, WAITING), Step(1, STUCK)),
        ),
    ),
)
