"""Kill an exporter at one instant of a poll after the other: python -m tests.durability.crash_driver DIRECTORY KIND POLL...

For each instant a child is forked that plays the script up to a poll, and dies in that. What it leaves on the disk is opened by a
new exporter, which plays the rest of the script. With the kind `glimpses` nobody dies: what a kill would leave is looked at before
every single line, which is as good, and so fast that no line need be left out.

Written is, as JSON and for each poll, how many instants there were, how many different images of the disk were opened, how many
of these had a journal to be rolled back, and everything that was wrong.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import sqlite3
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from exporter.domain.view import CloudView
from exporter.store.state_file import StateFile
from tests.durability.script import CLOUD, GIVES_UP, SCRIPT, Scene, counted

_ROOT = Path(__file__).parents[2] / "exporter"

#: Where every line is an instant of death, the first time that it is passed.
_WATCHED = (
    "poller.py", "store/", "domain/chronicle.py", "domain/tracker.py", "domain/lookups.py", "domain/ledger.py", "domain/showing.py",
)  # fmt: skip

#: Bytes between two places of a file at which writing ends in the middle.
_SECTION = 2048

#: The page of a database, and more than any file here takes; bytes.
_PAGE, _LARGEST = 4096, 64 * 1024

Image = dict[str, bytes]


class Countdown:
    """The instants until death; where it does not come the poll is completed."""

    def __init__(self, left: int) -> None:
        self._left = left

    def tick(self) -> None:
        """Pass an instant."""
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


@contextmanager
def _before_each_line(do: Callable[[str, int], None]) -> Iterator[None]:
    """Do something before each line of the exporter that is executed within, given its file and number."""

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        name = frame.f_code.co_filename
        if not name.startswith(f"{_ROOT}/"):
            return None
        if event == "line":
            do(name.removeprefix(f"{_ROOT}/"), frame.f_lineno)
        return trace

    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(None)


# The kinds of death. Each is a context around the poll, and a way to connect to the database.


class Lines:
    """Death before a line of the exporter is executed."""

    connect = staticmethod(sqlite3.connect)

    @contextmanager
    def death(self, left: int) -> Iterator[None]:
        """Die at an instant of what happens within."""
        countdown, passed = Countdown(left), set[tuple[str, int]]()

        def pass_line(name: str, number: int) -> None:
            if name.startswith(_WATCHED) and (name, number) not in passed:
                passed.add((name, number))
                countdown.tick()

        with _before_each_line(pass_line):
            yield


class Statements:
    """Death before or after a statement of SQL, with so little memory that SQLite writes pages before the commit."""

    def __init__(self) -> None:
        self._countdown = Countdown(0)

    def connect(self, path: str, **options: Any) -> sqlite3.Connection:
        """Open a database as sqlite3.connect does."""
        countdown = self._countdown

        class Fatal(sqlite3.Connection):
            def execute(self, *arguments: Any) -> sqlite3.Cursor:
                countdown.tick()
                cursor = super().execute(*arguments)
                countdown.tick()
                return cursor

            def executemany(self, *arguments: Any) -> sqlite3.Cursor:
                countdown.tick()
                cursor = super().executemany(*arguments)
                countdown.tick()
                return cursor

        connection = sqlite3.connect(path, factory=Fatal, **options)
        sqlite3.Connection.execute(connection, "PRAGMA cache_size = 1")
        sqlite3.Connection.execute(connection, "PRAGMA cache_spill = 1")
        return connection

    @contextmanager
    def death(self, left: int) -> Iterator[None]:
        """Die at an instant of what happens within."""
        self._countdown._left = left
        yield
        self._countdown._left = 0


class Writes:
    """Death in the middle of a write by SQLite: at the byte beyond which no file may grow, of the journal or the database."""

    connect = staticmethod(sqlite3.connect)

    @contextmanager
    def death(self, left: int) -> Iterator[None]:
        """Die at an instant of what happens within."""
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, ((left - 1) * _SECTION, most))
        yield
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))


KINDS: dict[str, Callable[[], Lines | Statements | Writes]] = {
    "lines": Lines, "statements": Statements, "writes": Writes
}  # fmt: skip


@dataclass
class Report:
    """What came of it."""

    instants: int = 0
    images: int = 0
    journals: int = 0
    faults: list[str] = field(default_factory=list)


class Deaths:
    """All deaths of one kind in one poll of the script, in an empty directory."""

    def __init__(self, directory: Path, kind: str, step: int) -> None:
        self.report = Report()
        self._directory = directory
        self._kind = kind
        self._step = step
        connect = KINDS[kind]().connect if kind in KINDS else sqlite3.connect
        self._before, self._truth = _uninterrupted(directory / "truth", connect, step)
        self._known: set[str] = set()

    def glimpse(self) -> Report:
        """Look before each line at what a kill would leave."""
        place, found = self._directory / "place", dict[str, tuple[Image, dict[str, float]]]()
        place.mkdir()

        def look(name: str, number: int) -> None:
            self.report.instants += 1
            image = _image(place)
            found.setdefault(repr((sorted(image.items()), shown[-1])), (image, shown[-1]))

        scene, shown = Scene(), list[dict[str, float]]()
        store = StateFile(place / "state.db", clock=scene.time.clock)
        scene.let_in(store, lambda view: shown.append(counted(view.totals)))
        for each in SCRIPT[: self._step]:
            scene.happen(each)
            scene.poll()
        scene.happen(SCRIPT[self._step])
        with _before_each_line(look):
            scene.poll()
        store.close()
        for image, published in found.values():
            self._look_at(image, published, f"glimpse, poll {self._step}")
        return self.report

    def run(self) -> Report:
        """Let children die one instant later each time, until one lives."""
        instant = 1
        while self._dies(instant) and not self.report.faults:
            instant += 1
        return self.report

    def _dies(self, instant: int) -> bool:
        place = self._directory / "place"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        child = os.fork()
        if child == 0:
            _live(place, KINDS[self._kind](), self._step, instant)
        _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status):
            self.report.instants += 1
            self._look_at(_image(place), _published(place), f"{self._kind}, poll {self._step}, instant {instant}")
            return True
        if os.waitstatus_to_exitcode(status) != 0:
            self.report.faults.append(f"instant {instant}: the child failed")
        return self._kind == "writes" and instant * _SECTION < _LARGEST and not self.report.faults

    def _look_at(self, image: Image, published: dict[str, float], where: str) -> None:
        for variant, each in _variants(image, self._before):
            key = repr((sorted(each.items()), published))
            if key in self._known:
                continue
            self._known.add(key)
            self.report.images += 1
            self.report.journals += bool(each.get("state.db-journal"))
            for fault in self._faults(each, published):
                self.report.faults.append(f"{where}{variant}: {fault}")

    def _faults(self, image: Image, published: dict[str, float]) -> Iterator[str]:
        place = self._directory / "image"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        for name, content in image.items():
            (place / name).write_bytes(content)
        try:
            yield from _recover(place, self._step, published, self._truth)
        except Exception:
            yield traceback.format_exc()


@dataclass(frozen=True)
class _Moment:
    """What is true after a poll."""

    counts: dict[str, float]
    live: frozenset[str]


def _uninterrupted(place: Path, connect: Callable[..., sqlite3.Connection], step: int) -> tuple[Image, list[_Moment]]:
    """Return the disk before a poll, and what is true after each, of an exporter that nothing happens to."""
    place.mkdir()
    scene, moments, before = Scene(), [], Image()
    store = StateFile(place / "state.db", clock=scene.time.clock, connect=connect)
    scene.let_in(store)
    for number, each in enumerate(SCRIPT):
        before = _image(place) if number == step else before
        scene.happen(each)
        scene.poll()
        moments.append(_Moment(counted(store.totals(CLOUD)), frozenset(store.load(CLOUD).live)))
    store.close()
    return before, moments


def _variants(image: Image, before: Image) -> Iterator[tuple[str, Image]]:
    """Yield what is on the disk after a kill, and what may be there if the machine lost its power at that instant.

    SQLite lets the journal reach the disk before it writes to the database, and knows nothing of how far either write came.
    """
    yield "", image
    database, journal, known = image["state.db"], image.get("state.db-journal", b""), before["state.db"]
    if not journal:
        return
    if database == known:
        for length in (0, 28, len(journal) // 2, len(journal) - 1):
            yield f", journal cut at {length}", {**image, "state.db-journal": journal[:length]}
        return
    for torn in (0, _PAGE // 2):
        yield f", pages torn at {torn}", {**image, "state.db": _torn(database, known, torn)}


def _torn(database: bytes, known: bytes, at: int) -> bytes:
    """Return a database in which every page that was written came to the disk up to a byte, with anything behind it."""
    pages = []
    for begin in range(0, len(database), _PAGE):
        page = database[begin : begin + _PAGE]
        same = page == known[begin : begin + _PAGE]
        pages.append(page if same else page[:at] + b"\xa5" * (len(page) - at))
    return b"".join(pages)


def _live(place: Path, kind: Lines | Statements | Writes, step: int, instant: int) -> None:
    """Play the script in a child until it dies, or the poll is over."""
    with (place / "published").open("a") as notes:

        def publish(view: CloudView) -> None:
            os.write(notes.fileno(), (json.dumps(counted(view.totals)) + "\n").encode())

        try:
            scene = Scene()
            store = StateFile(place / "state.db", clock=scene.time.clock, connect=kind.connect)
            scene.let_in(store, publish)
            for each in SCRIPT[:step]:
                scene.happen(each)
                scene.poll()
            scene.happen(SCRIPT[step])
            with kind.death(instant):
                scene.poll()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    os._exit(0)


def _recover(place: Path, step: int, published: dict[str, float], truth: list[_Moment]) -> Iterator[str]:
    """Play the rest of the script with a new exporter; yield everything that is wrong."""
    scene = Scene()
    for each in SCRIPT[: step + 1]:
        scene.happen(each)
    store = StateFile(place / "state.db", clock=scene.time.clock)
    scene.let_in(store)
    kept = counted(store.totals(CLOUD))
    yield from (
        f"shown {name} {count}, kept {kept.get(name)}" for name, count in published.items() if count > kept.get(name, 0)
    )
    scene.poll()
    if step < GIVES_UP:  # what was unseen stays so for a little longer: the time in which nobody looked does not count
        yield from _wrong(store, truth[step], "at once", truth[-1])
    for each in SCRIPT[step + 1 :]:
        scene.happen(each)
        scene.poll()
    yield from _wrong(store, truth[-1], "at the end")
    if store.errors or not store.durable:
        yield f"{store.errors} errors, durable: {store.durable}"
    store.close()


#: What the actions of servers tell a poll later: the poll of whoever comes after is one more.
_TOLD_LATER = ("status_durations", "unobserved")


def _wrong(store: StateFile, true: _Moment, when: str, later: _Moment | None = None) -> Iterator[str]:
    """Yield what is other than it must be; what is told later may be anything between now and `later`."""
    counts, live = counted(store.totals(CLOUD)), store.load(CLOUD).live.keys()
    for name in sorted(counts.keys() | true.counts.keys()):
        count, least = counts.get(name, 0.0), true.counts.get(name, 0.0)
        most = later.counts.get(name, 0.0) if later and name.startswith(_TOLD_LATER) else least
        if not least <= count <= most:
            yield f"{when} {name} is {count}, not {least} to {most}"
    if live != true.live:
        yield f"{when} live are {sorted(live)}, not {sorted(true.live)}"


def _image(place: Path) -> Image:
    return {each.name: each.read_bytes() for each in place.iterdir() if each.name in ("state.db", "state.db-journal")}


def _published(place: Path) -> dict[str, float]:
    """Return what was shown last."""
    lines = (place / "published").read_text().splitlines()
    found: dict[str, float] = json.loads(lines[-1])
    return found


def main(directory: str, kind: str, *steps: str) -> None:
    """Let exporters die one kind of death in some polls of the script."""
    reports = []
    for step in steps:
        place = Path(directory) / step
        place.mkdir()
        deaths = Deaths(place, kind, int(step))
        reports.append(asdict(deaths.glimpse() if kind == "glimpses" else deaths.run()))
    print(json.dumps(reports))


if __name__ == "__main__":
    main(*sys.argv[1:])
