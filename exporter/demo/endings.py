"""How the moves of the story end."""

from enum import Enum


class Ending(Enum):
    """How a move ends, or where it stays for ever."""

    CONFIRMED = "confirmed"
    CONFIRMED_LATE = "confirmed after a minute"
    RESCHEDULED = "confirmed, on the second host that was tried"
    REVERTED = "reverted"
    NO_VALID_HOST = "no valid host"
    DISK_ERROR = "error while the disk is copied"
    DELETED_MIGRATING = "deleted while migrating"
    DELETED_FINISHED = "deleted in VERIFY_RESIZE"
    STUCK_SCHEDULING = "the cast to the destination was lost"
    STUCK_COPYING = "the source died"
    STUCK_FINISHING = "the destination died"
    UNCONFIRMED = "nobody ever confirms"
    ORPHANED = "the source was restarted while it copied the disk"
    STRANDED_REVERTING = "reverted, but the source never starts the guest"
    COMPLETED = "completed"
    COMPLETED_POST_COPY = "completed after post-copy"
    ROLLED_BACK = "failed while running"
    PRE_FAILED = "error, then failed"
    CANCELLED = "cancelled"
    STUCK_ACCEPTED = "the conductor died"
    STUCK_RUNNING = "the source died while it ran"
    REBUILD_FAILED = "the rebuild failed"
    STUCK_REBUILDING = "the destination died in the rebuild"
    STRANDED_REBUILDING = "the destination died in the rebuild, and the source came back"


# Those that leave a record or a server as it is for ever.
STUCK = frozenset(
    {
        Ending.STUCK_SCHEDULING, Ending.STUCK_COPYING, Ending.STUCK_FINISHING, Ending.UNCONFIRMED, Ending.ORPHANED,
        Ending.STRANDED_REVERTING, Ending.STUCK_ACCEPTED, Ending.STUCK_RUNNING, Ending.STUCK_REBUILDING,
        Ending.STRANDED_REBUILDING,
    }
)  # fmt: skip
