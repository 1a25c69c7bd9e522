"""A simulated cloud, the fault proxy before it, and the exporter as a process that watches it through the proxy."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import requests
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from exporter.demo import SimulatedCloud
from exporter.demo.keystone import Account
from tests.faults import FaultProxy
from tests.hostile.moves import Counts, Moves, Truth
from tests.running import Exporter, eventually, write_clouds

#: Seconds; only a ceiling. An exporter that is well needs a few, a busy machine more.
CEILING = 60.0

#: Small times, in seconds, but a timeout that no right answer of a busy machine misses.
QUICK = {"interval": "300ms", "sweep_interval": "1s", "timeout": "2s", "deadline": "5s", "overlap": "10s"}

UP = "openstack_migration_up"
ERRORS = "openstack_migration_poll_errors_total"


@dataclass(frozen=True, slots=True)
class Page:
    """What the page says of the cloud at one moment."""

    samples: tuple[Sample, ...]

    def counts(self, name: str, *labels: str) -> Counts:
        """Return the samples of a name that are not zero, by some of their labels."""
        found: Counts = Counter()
        for each in self.samples:
            if each.name == name and each.value:
                found[tuple(each.labels[label] for label in labels)] += int(each.value)
        return found

    def value(self, name: str, **labels: str) -> float:
        """Return the sum of the samples of a name with these labels; 0 where there is none."""
        return sum(each.value for each in self.samples if each.name == name and labels.items() <= each.labels.items())

    @property
    def told(self) -> Truth:
        """Return what is said of migrations."""
        return Truth(
            self.counts("openstack_migrations", "migration_type", "status"),
            self.counts("openstack_migrations_started_total", "migration_type"),
            self.counts("openstack_migrations_ended_total", "migration_type", "status"),
        )

    @property
    def errors(self) -> Counter[str]:
        """Return the failed polls by reason."""
        return Counter({reason: count for (reason,), count in self.counts(ERRORS, "reason").items()})

    @property
    def up(self) -> bool:
        """Tell whether the last poll was complete."""
        return self.value(UP) == 1

    @property
    def polls(self) -> float:
        """Return how many polls were begun."""
        return self.value("openstack_migration_polls_total")


@dataclass(slots=True)
class CloudClock:
    """The cloud's clock; ahead of ours by so many seconds."""

    ahead: float = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


def _samples(page: str) -> Iterator[Sample]:
    """Yield the samples of a page that matter here: reading a thousand zeros ten times a second keeps a core busy."""
    lines = [line for line in page.splitlines() if line[:1] != "#" and "_bucket{" not in line and line[-4:] != " 0.0"]
    for family in text_string_to_metric_families("\n".join(lines) + "\n"):
        yield from family.samples


class Watching:
    """The exporter as a process behind a fault proxy; a context manager that ends whatever was begun."""

    def __init__(self, directory: Path, poll: Mapping[str, str]) -> None:
        self._ends = ExitStack()
        self._directory = directory
        self._poll = poll
        self.proxy: FaultProxy
        self.exporter: Exporter

    def tells_the_truth(self, page: Page) -> bool:
        """Tell whether a page says of migrations what is true."""
        raise NotImplementedError

    def truth(self) -> object:
        """Return what is true, for the message of a test that fails."""
        raise NotImplementedError

    def watch(self, environ: Mapping[str, str]) -> None:
        """Start the exporter, and wait until it has looked once."""
        configuration = self._directory / "exporter.yaml"
        times = ", ".join(f"{name}: {value}" for name, value in self._poll.items())
        configuration.write_text(f"poll: {{{times}}}\n")
        self.exporter = self._ends.enter_context(Exporter(f"--config.file={configuration}", environ=environ))
        self.settle()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ends.close()

    def page(self) -> Page:
        """Return the page as it is; the process must live."""
        assert self.exporter.process.poll() is None, self.exporter.log
        answer = self.exporter.get("/metrics")
        answer.raise_for_status()
        return Page(tuple(_samples(answer.text)))

    def wait(self, fits: Callable[[Page], object], ceiling: float = CEILING) -> Page:
        """Return the first page that fits."""
        last: list[Page] = []

        def look() -> Page | None:
            with suppress(requests.Timeout):  # a busy machine
                last[:] = [self.page()]
                return last[0] if fits(last[0]) else None
            return None

        try:
            return eventually(look, ceiling)
        except AssertionError as error:
            told = [f"up {page.up}, errors {dict(page.errors)}, {page.told}" for page in last]
            raise AssertionError(f"{error}: {told}\ntruth {self.truth()}\n{self.exporter.log[-3000:]}") from error

    def settle(self) -> Page:
        """Wait until a poll was complete and the page tells the truth."""
        return self.wait(lambda page: page.up and self.tells_the_truth(page))

    def next_polls(self, count: int = 2) -> Page:
        """Wait until so many polls have begun and ended after this moment."""
        begun = self.page().polls
        return self.wait(lambda page: page.polls > begun + count)

    @contextmanager
    def fault(self) -> Iterator[None]:
        """Take away what was spoilt, whatever happens."""
        try:
            yield
        finally:
            self.proxy.accept()
            self.proxy.clear()

    def memory(self) -> int:
        """Return the memory that the process has now, in bytes, and measure its peak anew from here."""
        Path(f"/proc/{self.exporter.process.pid}/clear_refs").write_text("5")
        return self._memory("VmRSS")

    def peak_memory(self) -> int:
        """Return the most memory that the process had since the last look, in bytes."""
        return self._memory("VmHWM")

    def _memory(self, name: str) -> int:
        status = Path(f"/proc/{self.exporter.process.pid}/status").read_text()
        (line,) = [line for line in status.splitlines() if line.startswith(f"{name}:")]
        return int(line.split()[1]) * 1024


class Stage(Watching):
    """A simulated cloud, the fault proxy before it, and the exporter; `open()` starts the exporter."""

    def __init__(
        self,
        directory: Path,
        *,
        account: Account | None = None,
        poll: Mapping[str, str] = QUICK,
        clock: Callable[[], float] = time.time,
        **settings: Any,
    ) -> None:
        super().__init__(directory, poll)
        self.cloud = self._ends.enter_context(SimulatedCloud(clock=clock))
        self.cloud.change(**settings)
        self.proxy = self._ends.enter_context(FaultProxy(self.cloud.auth_url))
        self.moves = Moves(self.cloud.nova)
        self._login = asdict(self.cloud.credentials if account is None else self.cloud.credentials_of(account))

    def open(self) -> None:
        """Start the exporter, and wait until it has looked once."""
        clouds = self._directory / "clouds.yaml"
        self.watch(write_clouds(clouds, self.proxy.through(self.cloud.auth_url), **self._login))

    def tells_the_truth(self, page: Page) -> bool:
        """Tell whether a page says what the moves are."""
        return page.told == self.moves.truth()

    def truth(self) -> Truth:
        """Return what the moves are."""
        return self.moves.truth()
