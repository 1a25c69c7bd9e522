"""Under which name a status is exposed."""

from __future__ import annotations

from collections.abc import Iterable

from exporter.domain.lifecycle import MigrationType, is_known

#: A status of an unknown name is cut to so many characters.
LONGEST_NAME = 64
#: At most so many unknown names are exposed; the rest are `other`.
MOST_NAMES = 20
OTHER = "other"


class StatusNames:
    """The names of the statuses of one cloud: those of the lifecycle table, and the first twenty others."""

    def __init__(self, unknown_pairs: Iterable[tuple[MigrationType, str]] = ()) -> None:
        """Begin with the pairs of unknown statuses that were seen before."""
        self.unknown_pairs = set(unknown_pairs)
        self._unknown = {name for _, name in self.unknown_pairs if name != OTHER}

    def of(self, migration_type: MigrationType, status: str) -> str:
        """Return the name that a status is exposed under; Nova's status is a free string of up to 255 characters."""
        if is_known(migration_type, status):
            return status
        name = status[:LONGEST_NAME]
        if name not in self._unknown:
            if len(self._unknown) >= MOST_NAMES:
                name = OTHER
            else:
                self._unknown.add(name)
        self.unknown_pairs.add((migration_type, name))
        return name
