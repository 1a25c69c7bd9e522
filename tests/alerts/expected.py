"""A table of all alerts: what makes each in the story, with which labels it must arrive, what it must say, and what ends it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum

from tests.alerts import story
from tests.alerts.story import DEAD_HOST, FAILURES, JOB, LAB, ON_DEAD_HOST, SECOND, UNLUCKY_HOST, World

PREFIX = "OpenStackMigration"


class Act(Enum):
    """When in the story a trouble is made; those without an `end` of their own are ended by time, or with another."""

    BEFORE = "before there is an exporter"
    WATCHED = "once the exporters have polled all clouds"
    COUNTED = "once Prometheus has seen as much of them as the rules look back"
    MENDED = "by what ends another trouble"


def nothing(_: World) -> None:
    """Do nothing: another row, or the exporters themselves, see to it."""


Deed = Callable[[World], None]


@dataclass(frozen=True, slots=True)
class Expected:
    """An alert that must arrive once; `labels` are all but alertname and severity, `says` are parts of its description."""

    name: str
    severity: str
    labels: Mapping[str, str]
    says: tuple[str, ...]
    make: Deed
    end: Deed = nothing
    act: Act = Act.BEFORE

    @property
    def full_name(self) -> str:
        """Return the name under which Prometheus knows it."""
        return PREFIX + self.name

    @property
    def all_labels(self) -> frozenset[tuple[str, str]]:
        """Return every label with which it must arrive."""
        return frozenset({"alertname": self.full_name, "severity": self.severity, **self.labels}.items())

    @property
    def receiver(self) -> str:
        """Return who is told."""
        return {"critical": "pager", "warning": "tickets", "info": "digest"}[self.severity]


def record(cloud: str, name: str, kind: str, status: str, reason: str) -> dict[str, str]:
    """Return the labels of an alert on a single record."""
    identity = {"migration_id": story.named(name), "server_id": story.server_of(name)}
    return {"cloud": cloud, "migration_type": kind, "status": status, "reason": reason, **identity}


def told_of(labels: Mapping[str, str], hosts: str = "from cmp-1 to cmp-2") -> tuple[str, ...]:
    """Return what the description of an alert on a single record must say."""
    server, kind, status = labels["server_id"], labels["migration_type"], labels["status"]
    return (
        f"In cloud {labels['cloud']} the {kind} {labels['migration_id']} of server {server} {hosts} is {status} since 20",
        f", reason {labels['reason']}.",
        f" Look with: openstack server show {server}; openstack server event list --long {server}",
    )


def on_record(
    name: str,
    severity: str,
    labels: Mapping[str, str],
    make: Deed,
    end: Deed,
    hosts: str = "from cmp-1 to cmp-2",
    act: Act = Act.BEFORE,
) -> Expected:
    """Return the row of an alert on a single record."""
    return Expected(name, severity, labels, told_of(labels, hosts), make, end, act)


FROM_DEAD = f"from {DEAD_HOST} to cmp-2"

ON_RECORDS = (
    *(
        on_record(
            "HostDown", "critical", record("prod", f"dead {number}", "migration", "migrating", "source_down"),
            nothing if number else story.host_dies, nothing if number else story.host_is_back, FROM_DEAD,
        )
        for number in range(ON_DEAD_HOST)
    ),
    on_record(
        "HostDown", "critical", record("outpost", "far", "live-migration", "running", "source_down"),
        story.far_host_dies, story.far_host_is_back, FROM_DEAD,
    ),
    on_record(
        "ServerInError", "critical", record("prod", "broken", "resize", "post-migrating", "server_error"),
        story.server_breaks, story.server_is_mended,
    ),
    on_record(
        "EvacuationNotFinished", "critical", record("prod", "hung", "evacuation", "accepted", "overdue"),
        story.evacuation_hangs, story.evacuation_is_done, "from cmp-1 to a host not yet chosen",
    ),
    on_record(
        "Overdue", "warning", record("prod", "slow", "resize", "migrating", "overdue"),
        story.copy_takes_long, story.copy_is_over,
    ),
    on_record(
        "NoProgress", "warning", record("prod", "still", "live-migration", "running", "no_progress"),
        story.data_stands_still, story.data_moves_again, act=Act.WATCHED,
    ),
    on_record(
        "Orphaned", "warning", record("prod", "orphan", "live-migration", "preparing", "orphaned"),
        story.record_is_left_behind, story.record_is_closed,
    ),
    on_record(
        "ServerDeleting", "warning", record("prod", "going", "resize", "migrating", "server_deleting"),
        story.deletion_hangs, story.deletion_is_done,
    ),
    on_record(
        "ResizeUnconfirmed", "warning", record("prod", "unconfirmed", "migration", "finished", "unconfirmed"),
        story.nobody_confirms, story.somebody_confirms,
    ),
)  # fmt: skip

STRANDED = {
    "cloud": "edge",
    "server_id": story.server_of("stranded"),
    "server_status": "REVERT_RESIZE",
    "host": "cmp-1",
}
FORGOTTEN = {"cloud": "prod", "migration_type": "resize", "status": "finished"}
FAILING = {"cloud": "prod", "migration_type": "migration"}
UNLUCKY = {"cloud": "prod", "host": UNLUCKY_HOST, "role": "dest"}
CORRECTED = {"cloud": "prod", "migration_type": "live-migration", "from_status": "completed", "to_status": "error"}
QUEUED = {"cloud": "prod", "migration_type": "live-migration", "status": "queued"}
PROGRESS = {"cloud": "edge", "feature": "live_progress"}

ON_MOVES = (
    Expected(
        "ServerStranded", "critical", STRANDED,
        (
            f"In cloud edge server {STRANDED['server_id']} is in REVERT_RESIZE on host cmp-1 since 20",
            f"Look with: openstack server show {STRANDED['server_id']}; ",
        ),
        nothing, story.server_is_free, act=Act.MENDED,
    ),
    Expected(
        "ResizeForgotten", "info", FORGOTTEN,
        ("Records of type resize that have been finished in cloud prod for more than seven days: 1.",),
        story.resize_is_forgotten, story.resize_is_remembered,
    ),
    Expected(
        "FailureRatioHigh", "critical", FAILING,
        ("In cloud prod 100% of the moves of type migration that came to an end within the last hour have failed",),
        story.moves_fail, act=Act.COUNTED,
    ),
    Expected(
        "FailuresOnOneHost", "warning", UNLUCKY,
        (f"In cloud prod host {UNLUCKY_HOST} was the dest of {FAILURES} moves that failed within the last hour",),
        nothing, act=Act.COUNTED,
    ),
    Expected(
        "EndCorrectedToError", "warning", CORRECTED,
        ("Records of type live-migration that Nova has set from completed to error in cloud prod within the last hour: 1.",),
        story.end_is_corrected, act=Act.COUNTED,
    ),
    Expected(
        "Backlog", "info", QUEUED,
        ("In cloud prod the oldest live-migration that is queued has waited for 4h ", " 1 wait."),
        story.queue_grows_long, story.queue_is_short,
    ),
    Expected(
        "UnknownStatus", "info", {"cloud": "prod"},
        ("In cloud prod records were seen within the last day in a status that the exporter does not know.",),
        story.nova_invents_a_status, story.the_invention_ends,
    ),
)  # fmt: skip

ON_EXPORTERS = (
    Expected(
        "ExporterAbsent", "critical", {"job": LAB},
        (f"No exporter of job {LAB} can be scraped, or none is configured",), nothing,
    ),
    Expected(
        "ExporterDown", "warning", {"job": JOB, "instance": SECOND},
        (f"The exporter {SECOND} of job {JOB} does not answer Prometheus.",), nothing, act=Act.MENDED,
    ),
    Expected(
        "StateNotDurable", "warning", {"job": JOB, "instance": SECOND},
        (f"The exporter {SECOND} of job {JOB} cannot write its state, or was started without --state.path.",), nothing,
    ),
    Expected(
        "PollFailing", "warning", {"cloud": "dark"},
        ("No poll of cloud dark was complete for ten minutes, reason connection. ",),
        story.cloud_goes_dark, story.cloud_is_back, act=Act.WATCHED,
    ),
    *(
        Expected(
            "DataStale", "critical", {"cloud": cloud},
            (f" no poll of cloud {cloud} was complete, reason {reason}.",), nothing, act=Act.WATCHED,
        )
        for cloud, reason in (("dark", "connection"), ("locked", "auth"), ("barred", "forbidden"))
    ),
    Expected(
        "LoginRefused", "warning", {"cloud": "locked"}, ("Polls of cloud locked fail with reason auth: ",),
        story.password_changes, story.password_is_put_back, act=Act.WATCHED,
    ),
    Expected(
        "RightsMissing", "warning", {"cloud": "barred"}, ("Polls of cloud barred fail with reason forbidden: ",),
        story.rights_are_taken, story.rights_are_given_back, act=Act.WATCHED,
    ),
    Expected(
        "FeatureUnavailable", "info", PROGRESS, ("Cloud edge does not give what live_progress needs: ",),
        story.progress_is_hidden, story.progress_is_shown,
    ),
    Expected(
        "ClockSkew", "warning", {"cloud": "edge"},
        ("The clock of the API of cloud edge and that of the exporter are 11m ",),
        story.server_strands, story.clock_is_set_right,
    ),
    Expected(
        "SeriesOmitted", "info", {"cloud": "edge"}, ("In cloud edge 2 live migrations have no series of their own; ",),
        story.many_move, story.few_move,
    ),
)  # fmt: skip

EXPECTED: tuple[Expected, ...] = (*ON_RECORDS, *ON_MOVES, *ON_EXPORTERS)

#: What is there, but must not be told, since another alert says more; by what it is silenced by.
SILENCED: Mapping[tuple[str, frozenset[tuple[str, str]]], str] = {
    (f"{PREFIX}ExporterDown", frozenset({("job", LAB), ("instance", story.THIRD)})): "ExporterAbsent",
    (f"{PREFIX}PollFailing", frozenset({("cloud", "locked")})): "LoginRefused",
    (f"{PREFIX}PollFailing", frozenset({("cloud", "barred")})): "RightsMissing",
}

__all__ = ["EXPECTED", "SILENCED", "Act", "Expected"]
