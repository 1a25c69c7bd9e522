"""The moves that both clouds make, so that what they tell of them can be compared."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Move(Enum):
    """What is done with a server."""

    CONFIRMED = "a cold migration, confirmed"
    FINISHING = "a cold migration that the destination is finishing"
    FINISHED = "a cold migration, not yet confirmed"
    REVERTED = "a resize, reverted"
    STRANDED = "a resize, reverted, whose server the source never starts"
    RESCHEDULED = "a cold migration that the first host hands back, confirmed"
    NO_VALID_HOST = "a cold migration without a valid host"
    DISK_ERROR = "a cold migration whose disk cannot be copied"
    DELETED = "a cold migration, the server deleted before it was confirmed"
    COMPLETED = "a live migration, completed"
    RUNNING = "a live migration, still running"
    CANCELLED = "a live migration, cancelled while it ran"
    PRE_FAILED = "a live migration that fails before it runs"
    EVACUATED = "an evacuation, done"
    REBUILDING = "an evacuation, still rebuilding"


@dataclass(frozen=True, slots=True)
class Moved:
    """A server that was moved, or is being moved; `migration` is the record's uuid, `dest` None where none was chosen."""

    server: str
    migration: str
    source: str
    dest: str | None
