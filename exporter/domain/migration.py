"""One migration record as Nova showed it at one moment."""

from __future__ import annotations

from dataclasses import dataclass

from exporter.domain.lifecycle import Actor, MigrationType, Row, row_of


@dataclass(frozen=True, slots=True)
class Migration:
    """One record of os-migrations; times are seconds since the epoch, in the clock of whichever Nova service wrote them.

    `uuid` identifies the record; Nova's integer id is unique in one cell only. `updated_at` is None until Nova updates the
    record for the first time. Hosts and `initiator_project_id` are None where Nova does not know or does not tell them.
    """

    uuid: str
    migration_type: MigrationType
    status: str
    server_id: str
    created_at: float
    updated_at: float | None = None
    source_host: str | None = None
    dest_host: str | None = None
    initiator_project_id: str | None = None
    old_flavor_id: int | None = None
    new_flavor_id: int | None = None

    @property
    def stamp(self) -> float:
        """Return when Nova last wrote the record."""
        return self.created_at if self.updated_at is None else self.updated_at

    @property
    def row(self) -> Row:
        """Return the row of the lifecycle table for this record's status."""
        return row_of(self.migration_type, self.status)

    @property
    def acting_host(self) -> str | None:
        """Return the host that must act next, where it is one's turn and Nova tells which."""
        return {Actor.SOURCE: self.source_host, Actor.DEST: self.dest_host}.get(self.row.actor)
