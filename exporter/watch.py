"""All clouds together: a thread for each poller, and the newest view of each for whoever asks for the page."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable

from exporter.domain.view import CloudView, Process, View
from exporter.poller import Poller

log = logging.getLogger(__name__)


class Board:
    """The newest view of each cloud, in the order in which the clouds came."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._clouds: dict[str, CloudView] = {}
        self._lock = threading.Lock()

    def publish(self, view: CloudView) -> None:
        """Put a cloud's new view in the place of its old one; readers see the one or the other, never a mixture."""
        with self._lock:
            self._clouds = {**self._clouds, view.cloud: view}

    def view(self) -> View:
        """Return what is known of all clouds now."""
        return View(self._process, tuple(self._clouds.values()))


class Watch:
    """The pollers of all clouds, each in a thread of its own, so that none waits for another."""

    def __init__(self, pollers: Iterable[Poller], *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._pollers = tuple(pollers)
        self._monotonic = monotonic
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=poller.run, args=(self._stop,), name=f"poll {poller.name}", daemon=True)
            for poller in self._pollers
        ]

    def start(self) -> None:
        """Begin to poll."""
        for thread in self._threads:
            thread.start()

    def stop(self, within: float) -> None:
        """Stop polling; a poll that waits for its cloud longer than `within` seconds is left behind."""
        self._stop.set()
        until = self._monotonic() + within
        for thread in self._threads:
            thread.join(max(0.0, until - self._monotonic()))

    def poll_once(self) -> bool:
        """Poll every cloud once, all at the same time; return whether every poll was complete."""
        results: list[bool] = []
        threads = [threading.Thread(target=lambda each=poller: results.append(each.poll())) for poller in self._pollers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return len(results) == len(threads) and all(results)

    def healthy(self) -> tuple[bool, str]:
        """Tell whether every poller runs, and in words which does not."""
        now = self._monotonic()
        hung = [each.name for each in self._pollers if now - each.last_sign_of_life > each.longest_silence]
        return (False, f"no sign of life from the poller of: {', '.join(hung)}") if hung else (True, "ok")

    def ready(self) -> tuple[bool, str]:
        """Tell whether every cloud was tried once, and in words which was not."""
        untried = [each.name for each in self._pollers if not each.tried]
        return (False, f"not tried yet: {', '.join(untried)}") if untried else (True, "ok")
