"""The thread that plays the story to the simulated Nova."""

import threading
from collections.abc import Iterator

from exporter.demo.beats import Beat, play
from exporter.demo.nova import Nova
from exporter.demo.story import story

_NAP = 1.0  # seconds after which the clock is read again, should it have been set


class Player:
    """Play a story from now on, by Nova's clock; it can be stopped and goes on where it was."""

    def __init__(self, nova: Nova, seed: int) -> None:
        self._nova = nova
        self._seed = seed
        self._beats: Iterator[Beat] | None = None
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to play, or go on."""
        if self._beats is None:
            self._beats = story(self._seed, self._nova.clock())
        self._stopping.clear()
        self._thread = threading.Thread(target=self._play, args=(self._beats,), name="simulated-story", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop playing; returns when no more writes come."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()

    def _play(self, beats: Iterator[Beat]) -> None:
        for beat in beats:
            while (early := beat.at - self._nova.clock()) > 0 and not self._stopping.wait(min(early, _NAP)):
                pass
            # The beat in hand is played even while stopping, so that none is lost.
            with self._nova.turn():
                play(self._nova, beat)
            if self._stopping.is_set():
                return
