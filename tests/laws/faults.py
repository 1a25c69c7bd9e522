"""What can befall the exporter: questions that fail, a disk that is full, a kill at any instant."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


class Kill(BaseException):
    """The end of the process, in the middle of whatever it does."""


@dataclass
class Trap:
    """Something that happens at the nth time that a place is passed; whoever was killed there stays dead."""

    left: int = 0
    error: BaseException | None = None
    sprung: bool = False

    def set(self, left: int, error: BaseException) -> None:
        """Let something happen after the place was passed so many times."""
        self.left, self.error, self.sprung = left, error, False

    def disarm(self) -> None:
        """Let nothing happen any more."""
        self.error = None

    def clear(self) -> None:
        """Let nothing happen any more, and forget whether it did."""
        self.error, self.sprung = None, False

    def step(self) -> None:
        """Pass the place."""
        if self.error is None:
            return
        if self.left > 0:
            self.left -= 1
            return
        self.sprung, error = True, self.error
        if not isinstance(error, Kill):
            self.error = None
        raise error


class TrappedIds(frozenset[str]):
    """The ids of no ignored records, with a trap in the way of whoever looks: in the middle of taking in a poll."""

    trap: Trap

    def __contains__(self, uuid: object) -> bool:
        self.trap.step()
        return False


_WRITES = ("INSERT", "UPDATE", "DELETE", "CREATE", "COMMIT")


class Disk:
    """The disk with the state file: `full` refuses every write; every statement passes the trap before and after.

    `mute` does what it is told the next time, and answers that it failed: a commit whose fate the exporter cannot know.
    `remains` is what was in the directory at the instant of a kill, with the journal of a transaction that is not over.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.remains: dict[Path, bytes] | None = None
        self.full = self.mute = False
        self.trap = Trap()
        self.commits = 0

    def connect(self, path: str, **settings: Any) -> sqlite3.Connection:
        """Open a database as sqlite3.connect does."""
        connection = sqlite3.connect(path, factory=_Connection, **settings)
        connection.disk = self
        return connection

    def before(self, statement: str) -> None:
        """Pass what lies before a statement."""
        self._step()
        if self.full and statement.lstrip().startswith(_WRITES):
            raise _refusal("database or disk is full", sqlite3.SQLITE_FULL)

    def after(self, statement: str) -> None:
        """Pass what lies behind a statement."""
        committed = statement == "COMMIT"
        self.commits += committed
        self._step()
        if committed and self.mute:
            self.mute = False
            raise _refusal("disk I/O error", sqlite3.SQLITE_IOERR_FSYNC)

    def _step(self) -> None:
        try:
            self.trap.step()
        except Kill:
            self.remains = self.files() if self.remains is None else self.remains
            raise

    def files(self) -> dict[Path, bytes]:
        """Return what is in the directory now."""
        return {path: path.read_bytes() for path in self.directory.iterdir()}

    def put_back(self) -> None:
        """Let everything lie there as it did at the instant of the kill."""
        for path in self.directory.iterdir():
            path.unlink()
        for path, content in (self.remains or {}).items():
            path.write_bytes(content)
        self.remains = None


def _refusal(text: str, code: int) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError(text)
    error.sqlite_errorcode = code
    return error


class _Connection(sqlite3.Connection):
    disk: Disk

    def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
        self.disk.before(sql)
        cursor = super().execute(sql, *parameters)
        self.disk.after(sql)
        return cursor

    def executemany(self, sql: str, rows: Iterable[Any]) -> sqlite3.Cursor:
        self.disk.before(sql)
        cursor = super().executemany(sql, rows)
        self.disk.after(sql)
        return cursor
