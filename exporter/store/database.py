"""The file behind the store: one process has it, it is what it says it is, and its schema is today's."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import sqlite3
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from exporter.store import StateError

log = logging.getLogger(__name__)

#: Marks our files ("omex"), so that no other program's database is written to (https://www.sqlite.org/pragma.html#pragma_application_id).
APPLICATION_ID = 0x6F6D6578

#: Seconds that a write waits for somebody who reads the file with another program.
_PATIENCE = 5.0

#: What SQLite may have beside a database, ours or another program's, that belongs to its content.
_JOURNALS = ("-journal", "-wal")

_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})

#: After these a connection is as good as before: there is no room, or somebody reads for long.
_PASSING = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})

Identity = tuple[int, int]


class StateLockedError(StateError):
    """Another process has the state file."""


class Lock:
    """The right of one process to a file, kept as long as the process lives, in a file of its own that holds its pid."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._file: int | None = None

    def take(self) -> None:
        """Take the right where it is not ours; raise StateLockedError where another has it, OSError where nobody can tell."""
        if self._file is not None and identity_of(self._path) == _identity(os.fstat(self._file)):
            return
        self.give_back()
        file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            owner = os.read(file, 20).decode(errors="replace").strip()
            os.close(file)
            raise self._taken(owner) if isinstance(error, BlockingIOError) else error from error
        self._file = file
        with contextlib.suppress(OSError):  # a full disk: the right holds, only its owner's name is missing
            os.ftruncate(file, 0)
            os.pwrite(file, f"{os.getpid()}\n".encode(), 0)

    def give_back(self) -> None:
        """Let others have it."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _taken(self, owner: str) -> StateLockedError:
        by = f"process {owner}" if owner else "another process"
        path = self._path.removesuffix(".lock")
        return StateLockedError(
            f"the state file {path} belongs to {by}: stop that, or give this one another --state.path"
        )


class Database:
    """A state file, opened when it is needed.

    `connect` opens a database as sqlite3.connect does; `clock` is in epoch seconds; `migrations` are the statements that lead
    from each version of the schema to the next. `generation` changes whenever the file may hold something else than before.
    `set_asides` counts files that were found to be no state file of ours.
    """

    def __init__(
        self,
        path: str,
        migrations: tuple[str, ...],
        connect: Callable[..., sqlite3.Connection],
        clock: Callable[[], float],
    ) -> None:
        self.path = path
        self.generation = 0
        self.set_asides = 0
        self._migrations = migrations
        self._connect = connect
        self._clock = clock
        self._lock = Lock(f"{path}.lock")
        self._connection: sqlite3.Connection | None = None
        self._opened: Identity | None = None

    def open_to_read(self) -> sqlite3.Connection | None:
        """Return a connection to what is there, None where nothing is; raise StateError where it cannot be read."""
        directory = os.path.dirname(os.path.abspath(self.path))
        if not os.path.isdir(directory):
            raise StateError(
                f"the directory {directory} of the state file does not exist: create it, or change --state.path"
            )
        try:
            self._take_lock_to_read()
            return self._open()
        except (sqlite3.Error, OSError) as error:
            if not _size_of(self.path):
                log.error("state file cannot be created", extra={"path": self.path, "error": str(error)})
                return None
            cure = "mend that, or move the file away to begin with new counters"
            raise StateError(f"the state file {self.path} cannot be read: {error}; {cure}") from error

    def open_to_write(self) -> sqlite3.Connection:
        """Return a connection to a file that is this process's own; raise sqlite3.Error, OSError or StateLockedError."""
        self._lock.take()
        return self._open()

    def _open(self) -> sqlite3.Connection:
        """Return a connection to the file that the path names now, which need not be the one it named before."""
        if self._connection is not None and self._opened == identity_of(self.path):
            return self._connection
        self.disconnect()
        fault = self._fault()
        if fault is not None:
            self.set_aside(fault)
        self._connection = self._current()
        self._opened = identity_of(self.path)
        self.generation += 1
        return self._connection

    def set_aside(self, fault: str) -> None:
        """Give the file another name, and never lose it; the next one to open it makes a new one."""
        self.disconnect()
        stamp = datetime.fromtimestamp(self._clock(), UTC).strftime("%Y%m%dT%H%M%SZ")
        new = _free_name(f"{self.path}.{fault}-{stamp}")
        for journal in filter(lambda each: _size_of(self.path + each), _JOURNALS):
            os.rename(self.path + journal, new + journal)
        os.rename(self.path, new)
        self.set_asides += 1
        text = (
            "the state file is %s: it is kept under another name, and a new baseline is set: all counters begin at zero"
        )
        log.error(text, _FAULTS[fault], extra={"path": self.path, "kept_as": new})

    def disconnect(self) -> None:
        """Close the connection; the file stays this process's own."""
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None

    def close(self) -> None:
        """Let another process have the file."""
        self.disconnect()
        self._lock.give_back()

    def _take_lock_to_read(self) -> None:
        """Take the lock; where the disk refuses it, what is there may be read all the same, for nobody can write it."""
        try:
            self._lock.take()
        except OSError:
            if not _size_of(self.path):
                raise

    def _fault(self) -> str | None:
        """Return why the file is not one of ours, or None where it is, or is not there."""
        if not _size_of(self.path):
            return None
        try:
            with contextlib.closing(self._connection_to_it()) as connection:
                return self._fault_in(connection)
        except sqlite3.DatabaseError as error:
            if not is_damage(error):
                raise
            return "corrupt"

    def _fault_in(self, connection: sqlite3.Connection) -> str | None:
        tables = _single(connection, "SELECT count(*) FROM sqlite_master")
        if _single(connection, "PRAGMA application_id") != APPLICATION_ID and tables:
            return "foreign"
        if int(str(_single(connection, "PRAGMA user_version"))) > len(self._migrations):
            return "newer"
        return None if _single(connection, "PRAGMA quick_check(1)") == "ok" else "corrupt"

    def _current(self) -> sqlite3.Connection:
        """Return a connection to a file with today's schema, made where there is none."""
        if identity_of(self.path) is None:
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        with contextlib.suppress(OSError):
            os.chmod(
                self.path, os.stat(self.path).st_mode & 0o600
            )  # for its owner alone, who may have made it read-only
        connection = self._connection_to_it()
        try:
            # SQLite syncs a journal that it empties, but not the directory from which it removes one: after a loss of power
            # the removed journal could be back, and undo a commit that the page has shown.
            _single(connection, "PRAGMA journal_mode = TRUNCATE")
            version = int(str(_single(connection, "PRAGMA user_version")))
            if version < len(self._migrations):
                self._migrate(connection, version)
        except BaseException:
            connection.close()
            raise
        return connection

    def _migrate(self, connection: sqlite3.Connection, version: int) -> None:
        with transaction(connection):
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            for statements in self._migrations[version:]:
                for statement in filter(str.strip, statements.split(";")):
                    connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {len(self._migrations)}")

    def _connection_to_it(self) -> sqlite3.Connection:
        connection = self._connect(self.path, timeout=_PATIENCE, isolation_level=None, check_same_thread=False)
        try:
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")
        except BaseException:
            connection.close()
            raise
        return connection


_FAULTS = {
    "corrupt": "damaged",
    "foreign": "another program's",
    "newer": "of a newer version of the exporter",
}


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Make what happens within one whole: all of it is on disk afterwards, or nothing."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(sqlite3.Error):  # SQLite has rolled back by itself after a full disk
            connection.execute("ROLLBACK")
        raise


def is_damage(error: Exception) -> bool:
    """Tell whether an error means that the file is damaged, and not that the disk refuses."""
    return _code(error) in _DAMAGED


def is_passing(error: Exception) -> bool:
    """Tell whether an error leaves the connection as good as it was."""
    return _code(error) in _PASSING


def _code(error: Exception) -> int:
    """Return the primary code of an error (https://www.sqlite.org/rescode.html)."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def identity_of(path: str) -> Identity | None:
    """Return what tells the file at a path from any other, None where there is none."""
    try:
        return _identity(os.stat(path))
    except FileNotFoundError:
        return None


def _identity(status: os.stat_result) -> Identity:
    return status.st_dev, status.st_ino


def _size_of(path: str) -> int:
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return 0


def _free_name(path: str) -> str:
    names = (path if number == 1 else f"{path}.{number}" for number in range(1, 1000))
    return next(name for name in names if not os.path.lexists(name))


def _single(connection: sqlite3.Connection, statement: str) -> object:
    return connection.execute(statement).fetchone()[0]
