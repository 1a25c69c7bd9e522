"""The table `migrations`, indexed so that a filtered page of a million rows costs milliseconds."""

import heapq
from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from operator import attrgetter

from exporter.demo.records import MigrationRow

# Rows out of order have to be sorted, so an index without the order is worth it only where it holds far fewer.
_FAR_FEWER = 8

Place = tuple[float, int]
_place: Callable[[MigrationRow], Place] = attrgetter("place")


def _changed(row: MigrationRow) -> tuple[float, int]:
    return (row.updated_at or 0.0, row.id)  # only rows that were updated are asked


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The filters of one listing, each None where it was not asked for."""

    status: str | None = None
    host: str | None = None
    source_compute: str | None = None
    migration_type: str | None = None
    instance_uuid: str | None = None
    user_id: str | None = None
    project_id: str | None = None
    hidden: bool | None = None
    changes_since: float | None = None
    changes_before: float | None = None

    def matches(self, row: MigrationRow) -> bool:
        """Tell whether a row passes every filter (nova/db/main/api.py migration_get_all_by_filters)."""
        return (
            (self.status is None or row.status == self.status)
            and self._matches_host(row)
            and (self.migration_type is None or row.migration_type == self.migration_type)
            and (self.instance_uuid is None or row.instance_uuid == self.instance_uuid)
            and (self.user_id is None or row.user_id == self.user_id)
            and (self.project_id is None or row.project_id == self.project_id)
            and (self.hidden is None or row.hidden == self.hidden)
            and self._matches_changes(row)
        )

    def _matches_host(self, row: MigrationRow) -> bool:
        # An `elif` in Nova: with `host` given, `source_compute` is not looked at.
        if self.host is not None:
            return self.host in (row.source_compute, row.dest_compute)
        return self.source_compute is None or row.source_compute == self.source_compute

    def _matches_changes(self, row: MigrationRow) -> bool:
        if self.changes_since is None and self.changes_before is None:
            return True
        # A comparison with SQL's NULL is never true: a row that was never updated has not changed.
        if row.updated_at is None:
            return False
        since_ok = self.changes_since is None or row.updated_at >= self.changes_since
        return since_ok and (self.changes_before is None or row.updated_at <= self.changes_before)


class MigrationTable:
    """Hold the rows that the API can see, in the order of creation, by status, by change and by server."""

    def __init__(self) -> None:
        self._ordered: list[MigrationRow] = []
        self._by_status: dict[str, list[MigrationRow]] = {}
        self._by_change: list[MigrationRow] = []
        self._by_server: dict[str, list[MigrationRow]] = {}

    def __len__(self) -> int:
        return len(self._ordered)

    def __iter__(self) -> Iterator[MigrationRow]:
        return iter(self._ordered)

    def add(self, row: MigrationRow) -> None:
        """Insert one row."""
        insort(self._ordered, row, key=_place)
        insort(self._by_status.setdefault(row.status, []), row, key=_place)
        self._by_server.setdefault(row.instance_uuid, []).append(row)
        if row.updated_at is not None:
            insort(self._by_change, row, key=_changed)

    def extend(self, rows: Iterable[MigrationRow]) -> None:
        """Insert many rows at the price of one sort."""
        for row in rows:
            self._ordered.append(row)
            self._by_status.setdefault(row.status, []).append(row)
            self._by_server.setdefault(row.instance_uuid, []).append(row)
            if row.updated_at is not None:
                self._by_change.append(row)
        self._ordered.sort(key=_place)
        self._by_change.sort(key=_changed)
        for rows_of_status in self._by_status.values():
            rows_of_status.sort(key=_place)

    def remove(self, row: MigrationRow) -> None:
        """Take one row out."""
        _drop(self._ordered, row, _place)
        _drop(self._by_status[row.status], row, _place)
        if row.updated_at is not None:
            _drop(self._by_change, row, _changed)
        of_server = self._by_server[row.instance_uuid]
        of_server.remove(row)
        if not of_server:
            del self._by_server[row.instance_uuid]

    def of_server(self, server_id: str) -> list[MigrationRow]:
        """Give the visible rows of one server."""
        return list(self._by_server.get(server_id, ()))

    def page(self, selection: Selection, *, limit: int, after: Place | None) -> list[MigrationRow]:
        """Give up to `limit` matching rows, the newest first, that come after a place in the order."""
        ordered = self._ordered if selection.status is None else self._by_status.get(selection.status, [])
        unordered = self._unordered(selection)
        if unordered is not None and _FAR_FEWER * len(unordered) < len(ordered):
            found = (row for row in unordered if (after is None or row.place < after) and selection.matches(row))
            return heapq.nlargest(limit, found, key=_place)
        end = len(ordered) if after is None else bisect_left(ordered, after, key=_place)
        return list(islice(filter(selection.matches, (ordered[at] for at in range(end - 1, -1, -1))), limit))

    def _unordered(self, selection: Selection) -> list[MigrationRow] | None:
        """Give the rows of the index on server or change, where the selection asks for one."""
        if selection.instance_uuid is not None:
            return self._by_server.get(selection.instance_uuid, [])
        if selection.changes_since is not None:
            return self._by_change[bisect_left(self._by_change, (selection.changes_since, -1), key=_changed) :]
        return None


def _drop(rows: list[MigrationRow], row: MigrationRow, key: Callable[[MigrationRow], Place]) -> None:
    del rows[bisect_left(rows, key(row), key=key)]
