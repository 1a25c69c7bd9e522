"""Keep what must survive.

A poller hands over what is known after a poll before it shows it, and shows the counters that are on disk. So a kill at any
instant loses nothing and counts nothing twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Set
from typing import Protocol

from exporter.domain.ledger import Totals
from exporter.domain.state import UNKNOWN, CloudState


class StateError(Exception):
    """The state cannot be used; the message names the cause and the cure."""


class Store(Protocol):
    """Where pollers keep what must survive. Each cloud has one poller; the pollers may be in different threads."""

    @property
    def durable(self) -> bool:
        """Tell whether everything that was handed over is on disk."""
        ...

    @property
    def errors(self) -> int:
        """Return how many times the state could not be written, or was not what it should be."""
        ...

    def retain(self, clouds: Iterable[str]) -> None:
        """Note which clouds are watched now; what is known of others is kept for thirty days."""
        ...

    def load(self, cloud: str) -> CloudState:
        """Return what is known of a cloud, an empty state where nothing is; raise StateError where that cannot be read."""
        ...

    def save(self, cloud: str, state: CloudState, touched: Set[str] = frozenset()) -> bool:
        """Keep a state, in which only `touched` records differ from the one before; return False where that must wait."""
        ...

    def totals(self, cloud: str) -> Totals:
        """Return the counters of a cloud that may be shown: those that no restart makes fall."""
        ...

    def close(self) -> None:
        """Keep nothing any more, and let another process have what was kept."""
        ...


class MemoryStore:
    """Keep states for as long as the process lives."""

    durable = False
    errors = 0

    def __init__(self) -> None:
        self._states: dict[str, CloudState] = {}

    def retain(self, clouds: Iterable[str]) -> None:
        """Do nothing: a cloud that left may come back, and then goes on where it was."""

    def load(self, cloud: str) -> CloudState:
        """Return the state that was saved last."""
        return self._states.get(cloud, UNKNOWN)

    def save(self, cloud: str, state: CloudState, touched: Set[str] = frozenset()) -> bool:  # noqa: ARG002  # the protocol's
        """Keep a state; more cannot be done for it."""
        self._states[cloud] = state
        return True

    def totals(self, cloud: str) -> Totals:
        """Return the counters that were saved last."""
        return self.load(cloud).totals

    def close(self) -> None:
        """Do nothing: what is in memory goes with the process."""
