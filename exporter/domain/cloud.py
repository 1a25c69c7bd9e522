"""What the exporter asks of a cloud, and what comes back.

The rooms that talk to OpenStack implement `Cloud`; the poller uses nothing else of them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from exporter.domain.migration import Migration
from exporter.domain.server import Action, Progress, Server


class Feature(StrEnum):
    """What is asked for beyond the records themselves: the closed list of the label `feature`."""

    EXACT_DURATIONS = "exact_durations"
    DIAGNOSIS = "diagnosis"
    LIVE_PROGRESS = "live_progress"


class ErrorKind(StrEnum):
    """Why a poll failed: the closed list of the label `reason`."""

    AUTH = "auth"
    FORBIDDEN = "forbidden"
    TIMEOUT = "timeout"
    CONNECTION = "connection"
    HTTP = "http"
    PROTOCOL = "protocol"
    DEADLINE = "deadline"


class CloudError(Exception):
    """A question that a cloud did not answer; the message names the cause and, where there is one, the cure."""

    def __init__(self, kind: ErrorKind, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class RejectReason(StrEnum):
    """Why a record could not be understood: the closed list of the label `reason`."""

    NOT_AN_OBJECT = "not_an_object"
    NO_UUID = "no_uuid"
    NO_SERVER = "no_server"
    BAD_TYPE = "bad_type"
    BAD_STATUS = "bad_status"
    BAD_TIME = "bad_time"
    BAD_FIELD = "bad_field"


@dataclass(frozen=True, slots=True)
class Rejection:
    """A record that was left out; `record` tells records apart (its uuid or id where it has one)."""

    reason: RejectReason
    record: str
    detail: str


@dataclass(frozen=True, slots=True)
class Answer:
    """All records that answer one question, over all pages.

    `date` is the API's own time when it answered the first page, in seconds since the epoch; None where it sent none.
    """

    migrations: tuple[Migration, ...]
    rejections: tuple[Rejection, ...] = ()
    date: float | None = None


@dataclass(frozen=True, slots=True)
class Deletion:
    """Proof that a server was deleted; `at` is when, in seconds since the epoch, where Nova still knows."""

    at: float | None


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request that was made: the operation, its HTTP status or the kind of its failure, seconds it took."""

    operation: str
    code: str
    seconds: float


class Cloud(Protocol):
    """One cloud, or one region of it. Every method but `close` raises CloudError, and ends by `deadline` (monotonic seconds)."""

    def open(self, deadline: float) -> str:
        """Log in where that is needed and return the microversion that will be used."""
        ...

    def newest(self, deadline: float) -> Answer:
        """Return the record that was created last, if there is any."""
        ...

    def with_status(self, status: str, deadline: float) -> Answer:
        """Return every record in a status."""
        ...

    def changed_since(self, since: float, deadline: float) -> Answer:
        """Return every record updated at or after a time (seconds since the epoch)."""
        ...

    def of_server(self, server_id: str, deadline: float) -> Answer:
        """Return every record of one server."""
        ...

    def deletion_of(self, server_id: str, deadline: float) -> Deletion | None:
        """Return the proof that a server was deleted, or None where there is no proof."""
        ...

    def shows_servers_by_id(self) -> bool:
        """Tell whether Nova takes the user for an admin; to others a server of another project does not exist by its id.

        The rest below asks by id: `actions`, `steps`, `progress`. Known once `open` has returned.
        """
        ...

    def servers_with_status(self, status: str, deadline: float) -> Sequence[Server]:
        """Return every server of all projects in a status of the API, such as RESIZE."""
        ...

    def server(self, server_id: str, deadline: float) -> Server | None:
        """Return a server, of whatever project; None where Nova does not show it."""
        ...

    def hosts_up(self, hosts: Collection[str], deadline: float) -> Mapping[str, bool]:
        """Tell of the nova-compute service of each host whether it is up; a host without one is left out.

        A disabled service may be up; one that was forced down is down.
        """
        ...

    def actions(self, server_id: str, since: float, deadline: float) -> Sequence[Action] | None:
        """Return what was done with a server since a time (seconds since the epoch), without the steps, in the order of start.

        Works for deleted servers. None where Nova does not know the server (any more).
        """
        ...

    def steps(self, server_id: str, request_id: str, deadline: float) -> Action | None:
        """Return one action with its steps; None where Nova does not know it (any more)."""
        ...

    def progress(self, server_id: str, deadline: float) -> Mapping[str, Progress] | None:
        """Return what a server's live migrations under way have moved, by uuid; None where Nova does not know the server."""
        ...

    def requests(self) -> Sequence[Request]:
        """Return the requests made since the last call of this method."""
        ...

    def close(self) -> None:
        """Forget the login and every connection, so that the next call begins anew."""
        ...
