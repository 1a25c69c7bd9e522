"""Moves in the simulated cloud, and what the page must say of them in the end."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from exporter.demo.nova import Nova
from exporter.domain.lifecycle import DELETED, MigrationType, row_of

Counts = Counter[tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Truth:
    """Live records by type and status, starts by type, ends by type and status."""

    live: Counts
    started: Counts
    ended: Counts


class Moves:
    """Begins, advances and ends moves, and keeps the truth about them."""

    def __init__(self, nova: Nova) -> None:
        self._nova = nova
        self._now: dict[str, tuple[str, str]] = {}
        self._started: Counts = Counter()
        self._ended: Counts = Counter()

    def begin(self, kind: str, *statuses: str) -> str:
        """Begin a move and take it through these statuses; return its uuid."""
        server = self._nova.boot()
        row = self._nova.insert(
            instance_uuid=server.id,
            migration_type=kind,
            status=statuses[0],
            source_compute="host1",
            dest_compute="host2",
        )
        self._started[kind,] += 1
        self._now[row.uuid] = (kind, statuses[0])
        self.go(row.uuid, *statuses[1:])
        return row.uuid

    def go(self, uuid: str, *statuses: str) -> None:
        """Take a move on through these statuses."""
        for status in statuses:
            kind, _ = self._now[uuid]
            self._nova.advance(uuid, status)
            self._now[uuid] = (kind, status)
            if not row_of(MigrationType(kind), status).live:
                self._ended[kind, status] += 1
                del self._now[uuid]

    def delete_server(self, uuid: str) -> None:
        """Delete the server of a live move, whose record vanishes with it."""
        row = self._nova.migration(uuid)
        assert row is not None
        kind, _ = self._now.pop(uuid)
        self._nova.delete_server(row.instance_uuid)
        self._ended[kind, DELETED] += 1

    def server_of(self, uuid: str) -> str:
        """Return the server of a move."""
        row = self._nova.migration(uuid)
        assert row is not None
        return row.instance_uuid

    def truth(self) -> Truth:
        """Return what the page must say."""
        return Truth(Counter(self._now.values()), Counter(self._started), Counter(self._ended))


class Acts:
    """What goes on around a fault: moves before, during and after it, of which some end while it lasts."""

    def __init__(self, moves: Moves) -> None:
        self.moves = moves
        self._lasting: list[str] = []

    def before(self) -> None:
        """Begin moves: one that stays, one that has ended, and four that will go on or end while the fault lasts."""
        begin = self.moves.begin
        begin("resize", "pre-migrating", "migrating", "post-migrating", "finished")
        begin("evacuation", "accepted", "pre-migrating", "failed")
        self._lasting = [
            begin("live-migration", "accepted", "queued", "preparing", "running"),
            begin("resize", "pre-migrating", "migrating"),
            begin("migration", "pre-migrating"),
            begin("migration", "pre-migrating", "migrating", "post-migrating"),
        ]

    def during(self) -> None:
        """End two of those that last, move one on, delete the server of one; one comes and goes, one begins."""
        running, resized, waiting, doomed = self._lasting
        self.moves.go(running, "completed")
        self.moves.go(resized, "post-migrating", "finished", "confirming", "confirmed")
        self.moves.go(waiting, "migrating")
        self.moves.delete_server(doomed)
        self.moves.begin("live-migration", "accepted", "queued", "preparing", "failed")
        self.moves.begin("evacuation", "accepted")

    def after(self) -> None:
        """End the one that went on."""
        self.moves.go(self._lasting[2], "error")
