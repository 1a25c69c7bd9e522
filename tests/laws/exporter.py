"""The exporter under the laws: a poller, its store, what it published, and what it was shown; it can be killed."""

from __future__ import annotations

import contextlib
from collections.abc import Set
from dataclasses import dataclass
from pathlib import Path
from traceback import clear_frames

from exporter.domain.state import CloudState
from exporter.domain.view import CloudView
from exporter.poller import Poller
from exporter.questions import Settings
from exporter.store import MemoryStore, Store
from exporter.store.state_file import StateFile
from tests.laws.cloud import Shown, TellingCloud
from tests.laws.faults import Disk, Kill, Trap, TrappedIds
from tests.test_poller import LIMITS, Time

NAME = "one"


class Exporter:
    """A poller with its store.

    `polls` are those complete polls that the exporter must remember; of them `kept` are on disk, and `sure` are those of which
    it knows that, so that their counters may be shown. `inner` is the trap in the way of taking in a poll, `door` that in the way of publishing a view.
    """

    def __init__(self, time: Time, cloud: TellingCloud, directory: Path) -> None:
        self.time, self.cloud = time, cloud
        self.views: list[CloudView] = []
        self.polls: list[Shown] = []
        self.kept = self.sure = 0
        self.restarts = 0
        self.inner, self.door = Trap(), Trap()  # inner: disarmed when the state is saved, for views are built behind it
        ids = TrappedIds()
        ids.trap = self.inner
        self.settings = Settings(NAME, LIMITS, ignore_ids=ids, per_host=True)
        self._directory = directory
        self._resumed = False
        self.prepare()
        self.store = self.open_store()
        self._watch()

    def prepare(self) -> None:
        """Prepare what outlives a store."""
        raise NotImplementedError

    def open_store(self) -> Store:
        """Open the store as a new process does."""
        raise NotImplementedError

    def saves(self) -> int:
        """Return how many times a state was kept so far."""
        raise NotImplementedError

    def knows(self) -> bool:
        """Tell whether the exporter knows that all is kept."""
        raise NotImplementedError

    def _watch(self) -> None:
        self.poller = Poller(
            self.settings,
            self.cloud,
            self._publish,
            self.store,
            clock=self.time.clock,
            monotonic=self.time.monotonic,
            chance=lambda: 0.5,
        )

    def _publish(self, view: CloudView) -> None:
        self.door.step()
        self.views.append(view)

    def poll(self) -> None:
        """Poll, die where that is the fate, and note what must be remembered from now on."""
        self.cloud.forget()
        before, killed, complete = self.saves(), False, False
        try:
            complete = self.poller.poll()
        except Kill as kill:
            killed = True
            clear_frames(kill.__traceback__)  # so that no statement is left over
        unbroken = self.cloud.trap.sprung is self.inner.sprung is False
        assert killed or complete == unbroken
        saved = self.saves() > before
        if unbroken and (complete or saved):
            self.polls.append(self.cloud.told(self._resumed))
            self._resumed = False
        self._resumed |= self.inner.sprung  # the chronicle goes on from the state before, as after a restart
        self._note_saves(before)
        self.clear()
        if killed:
            self.kill()

    def rest(self) -> None:
        """Wait for the next poll, in which time what could not be kept is tried again."""
        before = self.saves()
        self.poller._rest(_Stop(self.time), seconds=7.0)  # type: ignore[arg-type]  # the part of an Event that it uses
        self._note_saves(before)

    def _note_saves(self, before: int) -> None:
        if self.saves() > before:
            self.kept = len(self.polls)
            self.sure = self.kept if self.knows() else self.sure

    def clear(self) -> None:
        """Take away all traps."""
        for trap in (self.cloud.trap, self.inner, self.door):
            trap.clear()

    def kill(self) -> None:
        """Lose all that is in memory, and begin anew from what is kept."""
        self.restart()

    def restart(self) -> None:
        """Let one process follow another: what could not be kept is lost."""
        del self.polls[self.kept :]
        self.sure = self.kept
        self.restarts += 1
        self._resumed = True
        self.store.close()
        self.store = self.open_store()
        self._watch()

    def state(self) -> CloudState:
        """Return what the poller knows."""
        return self.store.load(NAME)


@dataclass
class _Stop:
    """Nobody tells the exporter to stop; time passes while it waits for that."""

    time: Time

    def wait(self, seconds: float) -> bool:
        self.time.passed += seconds
        return False


class InMemory(Exporter):
    """An exporter without a state file; its pollers follow each other within one process."""

    def prepare(self) -> None:
        self.count = 0
        self._memory = _Memory()
        self._memory.exporter = self

    def open_store(self) -> Store:
        return self._memory

    def saves(self) -> int:
        return self.count

    def knows(self) -> bool:
        return True


class _Memory(MemoryStore):
    exporter: InMemory

    def save(self, cloud: str, state: CloudState, touched: Set[str] = frozenset()) -> bool:
        self.exporter.inner.disarm()
        self.exporter.count += 1
        return super().save(cloud, state, touched)


class _File(StateFile):
    exporter: OnDisk

    def save(self, cloud: str, state: CloudState, touched: Set[str] = frozenset()) -> bool:
        self.exporter.inner.disarm()
        return super().save(cloud, state, touched)


class OnDisk(Exporter):
    """An exporter with a state file."""

    def prepare(self) -> None:
        self.disk = Disk(self._directory)

    def open_store(self) -> Store:
        """Open the state file; what is opened by a process that dies is let go of."""
        store = _File.__new__(_File)
        store.exporter = self
        try:
            store.__init__(self._directory / "state.db", connect=self.disk.connect, clock=self.time.clock)  # type: ignore[misc]
            store.load(NAME)
            return store
        except Kill as kill:
            clear_frames(kill.__traceback__)
        self.disk.trap.clear()
        self._let_go_of(store)
        return self.open_store()

    def saves(self) -> int:
        return self.disk.commits

    def knows(self) -> bool:
        return self.store.durable

    def clear(self) -> None:
        super().clear()
        self.disk.trap.clear()

    def kill(self) -> None:
        self._let_go_of(self.store)
        self.restart()

    def _let_go_of(self, store: Store) -> None:
        """Close a state file as a kill does: nothing is rolled back, and the journal lies beside it."""
        self.disk.remains = self.disk.files() if self.disk.remains is None else self.disk.remains
        store.close()
        self.disk.put_back()

    def reloaded(self) -> CloudState:
        """Return what another process would find on disk."""
        copy = self._directory / "copy.db"
        with contextlib.suppress(FileNotFoundError):
            copy.write_bytes((self._directory / "state.db").read_bytes())
        store = StateFile(copy, clock=self.time.clock)
        state = store.load(NAME)
        store.close()
        for path in self._directory.glob("copy.db*"):
            path.unlink()
        return state
