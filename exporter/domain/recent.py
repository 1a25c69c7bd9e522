"""The last migrations that ended, for people to look at; remembered while the process lives, and no longer."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace

from exporter.domain.events import Ended, Event, Left
from exporter.domain.lifecycle import DELETED, MigrationType, row_of
from exporter.domain.view import RecentEnd

#: So many ends of a cloud are remembered.
MOST_ENDS = 50


class Recent:
    """The last ends of one cloud, and how long their records were in each status."""

    def __init__(self) -> None:
        self._lengths: dict[str, dict[str, float | None]] = {}
        self._ends: dict[str, RecentEnd] = {}

    def enter(
        self, events: Iterable[Event], live: Collection[str], name_of: Callable[[MigrationType, str], str]
    ) -> None:
        """Take in what happened in a poll, after which these records are live."""
        for event in events:
            match event:
                case Left(migration=migration, status=status, seconds=seconds):
                    self._note(migration.uuid, name_of(migration.migration_type, status), seconds)
                case Ended():
                    self._end(event)
        if len(self._lengths) > len(live):  # who ends takes them along; what else is left is of records forgotten since
            self._lengths = {uuid: lengths for uuid, lengths in self._lengths.items() if uuid in live}

    def ends(self) -> tuple[RecentEnd, ...]:
        """Return the last ends, the newest first."""
        return tuple(reversed(self._ends.values()))

    def _note(self, uuid: str, status: str, seconds: float | None) -> None:
        end = self._ends.get(uuid)
        if end is not None:
            durations = _in_order(end.migration.migration_type, {**end.durations, status: seconds})
            self._ends[uuid] = replace(end, durations=durations)
        else:
            self._lengths.setdefault(uuid, {})[status] = seconds

    def _end(self, event: Ended) -> None:
        migration = event.migration
        ended = None if event.status == DELETED else migration.stamp
        durations = _in_order(migration.migration_type, self._lengths.pop(migration.uuid, {}))
        self._ends[migration.uuid] = RecentEnd(migration, event.status, event.outcome, ended, durations)
        while len(self._ends) > MOST_ENDS:
            del self._ends[next(iter(self._ends))]


def _in_order(migration_type: MigrationType, lengths: Mapping[str, float | None]) -> dict[str, float | None]:
    """Return lengths in the order of the lifecycle, in which they need not be told."""
    return {status: lengths[status] for status in sorted(lengths, key=lambda each: row_of(migration_type, each).rank)}
