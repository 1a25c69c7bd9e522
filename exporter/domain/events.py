"""What can happen to a migration: the only input of the ledger."""

from __future__ import annotations

from dataclasses import dataclass

from exporter.domain.lifecycle import Outcome
from exporter.domain.migration import Migration


@dataclass(frozen=True, slots=True)
class Began:
    """A migration began after the baseline."""

    migration: Migration


@dataclass(frozen=True, slots=True)
class Left:
    """A migration left a live status; `seconds` is how long it was in it, None where nothing proves that."""

    migration: Migration
    status: str
    seconds: float | None


@dataclass(frozen=True, slots=True)
class MoveEnded:
    """The move itself ended, `seconds` after the record was created."""

    migration: Migration
    outcome: Outcome
    seconds: float


@dataclass(frozen=True, slots=True)
class Ended:
    """A record reached an end; `status` is `deleted` where its server was deleted first."""

    migration: Migration
    status: str
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Corrected:
    """Nova replaced an end that was counted already by another."""

    migration: Migration
    from_status: str
    to_status: str


@dataclass(frozen=True, slots=True)
class BecameStuck:
    """A record became stuck in a status, for the first time in that status."""

    migration: Migration
    status: str


Event = Began | Left | MoveEnded | Ended | Corrected | BecameStuck
