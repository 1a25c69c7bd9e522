"""The state file: one transaction for each cloud and poll, in which only what changed is written.

While the disk refuses, everything is kept in memory, and written as soon as it can be.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Set
from dataclasses import dataclass, field

from exporter.domain.ledger import NOTHING_COUNTED, Totals
from exporter.domain.state import UNKNOWN, CloudState
from exporter.store import StateError, statements
from exporter.store.database import Database, StateLockedError, is_damage, is_passing
from exporter.store.rows import (
    MIGRATIONS,
    Row,
    counter_rows,
    distribution_rows,
    end_row,
    live_row,
    lookup_row,
    unknown_rows,
)
from exporter.store.statements import Changes

log = logging.getLogger(__name__)

#: What is known of a cloud that left the configuration is kept for so long, in seconds.
KEEP_LEFT_CLOUDS = 30 * 86_400.0

#: Seconds that the write of one cloud waits for that of another; then it is put off.
LONGEST_TURN = 2.0


@dataclass(slots=True)
class _Book:
    """What the store holds of one cloud: the state handed over last, and what is on disk of it.

    `rows` are the live records, `lookups` those to be read from actions, `counts` the rows of counters and `totals` the counters
    as they are on disk. `touched` are the records that may differ from that; `doubtful` that they may differ from `rows` too,
    for nobody knows how far a failed write came; `whole` that the disk may hold anything, so that everything must be written
    anew; `pending` that a write waits.
    """

    state: CloudState
    totals: Totals
    rows: dict[str, Row] = field(default_factory=dict)
    lookups: dict[str, Row] = field(default_factory=dict)
    counts: frozenset[Row] = frozenset()
    touched: set[str] = field(default_factory=set)
    doubtful: bool = False
    whole: bool = True
    pending: bool = False


class StateFile:
    """A state file that belongs to this process.

    `connect` opens a database as sqlite3.connect does, `clock` is in epoch seconds, `migrations` lead from each version of the
    schema to the next. Raises StateLockedError where another process has the file, and StateError where it is there but
    cannot be read: counters that began anew would jump when it can be.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        connect: Callable[..., sqlite3.Connection] = sqlite3.connect,
        clock: Callable[[], float] = time.time,
        migrations: tuple[str, ...] = MIGRATIONS,
    ) -> None:
        self._database = Database(os.fspath(path), migrations, connect, clock)
        self._clock = clock
        self._books: dict[str, _Book] = {}
        self._turn = threading.Lock()
        self._failures = 0
        self._last_failure: str | None = None
        self._writable = self._database.open_to_read() is not None
        self._generation = self._database.generation

    @property
    def durable(self) -> bool:
        """Tell whether everything that was handed over is on disk."""
        return self._writable and not any(book.pending for book in self._books.copy().values())

    @property
    def errors(self) -> int:
        """Return how many times the state could not be written, or was not what it should be."""
        return self._failures + self._database.set_asides

    def retain(self, clouds: Iterable[str]) -> None:
        """Note which clouds are watched now, and forget those that left the configuration more than thirty days ago."""
        names = sorted(set(clouds))
        with self._turn:
            for gone in sorted(self._books.keys() - names):
                if self._books[gone].pending:
                    self._try(lambda gone=gone: self._write(gone))  # type: ignore[misc]  # bound at once
                del self._books[gone]
            now = self._clock()
            self._try(lambda: statements.mark_left(self._open(), names, now, now - KEEP_LEFT_CLOUDS))

    def load(self, cloud: str) -> CloudState:
        """Return what is known of a cloud: what this process handed over last, else what is on disk."""
        with self._turn:
            if cloud not in self._books:
                state = self._read(cloud)
                rows = {uuid: _live_row(state, uuid) for uuid in state.live}
                lookups = {uuid: lookup_row(uuid, each) for uuid, each in state.lookups.items()}
                counts = frozenset(_count_rows(state))
                self._books[cloud] = _Book(state, state.totals, rows, lookups, counts, whole=False)
            return self._books[cloud].state

    def save(self, cloud: str, state: CloudState, touched: Set[str] = frozenset()) -> bool:
        """Write a state in one transaction; return False where it waits for a better time."""
        book = self._books.get(cloud) or self._books.setdefault(cloud, _Book(state, NOTHING_COUNTED))
        book.state = state
        book.touched |= touched
        book.doubtful |= book.pending  # what has ended on disk may have been forgotten since, and live again
        if not self._turn.acquire(timeout=LONGEST_TURN):
            book.pending = True
            return False
        try:
            book.pending = not self._try(lambda: self._write(cloud))
        finally:
            self._turn.release()
        return not book.pending

    def totals(self, cloud: str) -> Totals:
        """Return the counters of a cloud that are on disk."""
        return self._books[cloud].totals

    def close(self) -> None:
        """Let another process have the file."""
        with self._turn:
            self._database.close()

    def _read(self, cloud: str) -> CloudState:
        connection = self._database.open_to_read()
        if connection is None:
            return UNKNOWN
        try:
            return statements.read(connection, cloud)
        except sqlite3.Error as error:
            if not is_damage(error):
                raise StateError(f"the state file {self._database.path} cannot be read: {error}") from error
        except (ValueError, TypeError, KeyError):
            log.exception("the state file makes no sense", extra={"path": self._database.path, "cloud": cloud})
        try:
            self._database.set_aside("corrupt")
        except OSError as error:
            raise StateError(f"the damaged state file {self._database.path} cannot be moved away: {error}") from error
        return UNKNOWN

    def _try(self, write: Callable[[], None]) -> bool:
        """Write; return whether that was possible. Each failure is counted, and logged when it is another one."""
        try:
            write()
        except (sqlite3.Error, OSError, StateLockedError) as error:
            self._fail(error)
            return False
        if self._last_failure is not None:
            log.info("the state is written again", extra={"path": self._database.path})
        self._writable, self._last_failure = True, None
        return True

    def _fail(self, error: Exception) -> None:
        self._writable = False
        self._failures += 1
        if not is_passing(error):
            self._database.disconnect()
        if is_damage(error):
            self._set_damaged_aside()
        if str(error) != self._last_failure:
            self._last_failure = str(error)
            cure = "is the disk full, or read-only? Counters stand still until it takes them"
            log.error(
                "the state cannot be written", extra={"path": self._database.path, "error": str(error), "cure": cure}
            )

    def _set_damaged_aside(self) -> None:
        try:
            self._database.set_aside("corrupt")
        except OSError as error:
            log.error(
                "the damaged state file cannot be moved", extra={"path": self._database.path, "error": str(error)}
            )

    def _open(self) -> sqlite3.Connection:
        connection = self._database.open_to_write()
        if self._database.generation != self._generation:
            self._generation = self._database.generation
            for book in self._books.values():
                book.whole = book.pending = True
        return connection

    def _write(self, cloud: str) -> None:
        """Bring what is on disk of one cloud up to its state; only what changed is written."""
        connection, book = self._open(), self._books[cloud]
        counts = frozenset(_count_rows(book.state))
        changes = _changes(book, counts)
        book.doubtful = True
        statements.write(connection, cloud, book.state, changes, book.whole)
        if book.whole:
            book.rows.clear()
            book.lookups.clear()
        for rows, new, gone in (
            (book.rows, changes.live, changes.not_live),
            (book.lookups, changes.lookups, changes.not_looked_up),
        ):
            rows.update(new)
            for uuid in gone:
                rows.pop(uuid, None)
        book.counts = counts
        book.totals = book.state.totals
        book.touched.clear()
        book.whole = book.pending = book.doubtful = False


def _changes(book: _Book, counts: frozenset[Row]) -> Changes:
    state, sure = book.state, not (book.whole or book.doubtful)
    touched = {*state.live, *state.ended, *state.lookups} if book.whole else book.touched
    live = {uuid: _live_row(state, uuid) for uuid in touched if uuid in state.live}
    lookups = {uuid: lookup_row(uuid, state.lookups[uuid]) for uuid in touched if uuid in state.lookups}
    return Changes(
        live={uuid: row for uuid, row in live.items() if book.rows.get(uuid) != row} if sure else live,
        lookups={uuid: row for uuid, row in lookups.items() if book.lookups.get(uuid) != row} if sure else lookups,
        ended=[end_row(uuid, state.ended[uuid]) for uuid in touched if uuid in state.ended],
        counts=counts if book.whole else counts - book.counts,
        not_live=[uuid for uuid in touched if uuid not in state.live and (uuid in book.rows or not sure)],
        not_ended=[uuid for uuid in touched if uuid not in state.ended and (uuid not in state.live or not sure)],
        not_looked_up=[uuid for uuid in touched if uuid not in state.lookups and (uuid in book.lookups or not sure)],
    )


def _live_row(state: CloudState, uuid: str) -> Row:
    return live_row(state.live[uuid], state.stuck.get(uuid), state.times.last_sweep)


def _count_rows(state: CloudState) -> Iterator[Row]:
    """Yield the rows of counters, distributions and unknown statuses, each behind the name of its table."""
    yield from (("counter", *row) for row in counter_rows(state.totals))
    yield from (("distribution", *row) for row in distribution_rows(state.totals))
    yield from (("unknown_status", *row) for row in unknown_rows(state))
