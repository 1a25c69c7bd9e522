"""The loop: ask a cloud, take in what it says, keep that, and only then show it; and what to do when something fails."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Set

from exporter.domain.chronicle import Chronicle
from exporter.domain.cloud import Cloud, CloudError, ErrorKind, Feature
from exporter.domain.showing import Lineup, cloud_view
from exporter.domain.view import CloudView
from exporter.questions import Heard, Questions, Settings
from exporter.store import MemoryStore, Store
from exporter.vitals import Vitals

log = logging.getLogger(__name__)

#: Failed polls are repeated after ever longer pauses, up to this many seconds.
LONGEST_PAUSE = 300.0

#: After so many seconds without a complete poll the page shows no single migrations any more.
STALE_AFTER = 900.0


class Poller:
    """Watch one cloud: the only thing that knows the time.

    `publish` receives a new view after every poll. `store` keeps what must survive, and gives what survived. `vitals` are those
    of a poller that watched the same cloud before. `clock` is this machine's time, `monotonic` never jumps, `chance` returns
    numbers in [0, 1) for jitter. Raises StateError where what survived cannot be read.
    """

    def __init__(
        self,
        settings: Settings,
        cloud: Cloud,
        publish: Callable[[CloudView], None],
        store: Store | None = None,
        vitals: Vitals | None = None,
        *,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._settings = settings
        self._cloud = cloud
        self._publish = publish
        self._store = MemoryStore() if store is None else store
        self._clock = clock
        self._monotonic = monotonic
        self._chance = chance
        self._questions = Questions(settings, cloud, clock, monotonic)
        state = self._store.load(settings.name)
        diagnoses = Feature.DIAGNOSIS in settings.features
        self._chronicle = Chronicle(settings.limits, settings.ignores, settings.per_host, state, diagnoses=diagnoses)
        self._lineup = Lineup(self._chronicle, settings.limits)
        self.vitals = Vitals() if vitals is None else vitals
        self.vitals.begin(settings.interval, state.last_success)
        self._failures = 0
        self._began = clock()
        self._kept = True
        self._change = threading.Lock()
        self._retired = self._log_in_anew = False
        self.tried = False
        self.last_sign_of_life = monotonic()
        self._show()

    @property
    def name(self) -> str:
        """Return the value of the label `cloud`."""
        return self._settings.name

    @property
    def longest_silence(self) -> float:
        """Return after how many seconds without a sign of life this poller must be taken for hung."""
        return 2 * self._settings.deadline

    def run(self, stop: threading.Event) -> None:
        """Poll until told to stop."""
        while not stop.is_set():
            self.poll()
            self._rest(stop, self.pause())

    def retire(self) -> None:
        """Change and publish nothing any more; what a poll under way hears is left to whoever watches the cloud next."""
        with self._change:
            self._retired = True

    def log_in_anew(self) -> None:
        """Log in anew before the next poll: the credentials may be others."""
        self._log_in_anew = True

    def poll(self) -> bool:
        """Poll once; return whether the poll was complete. A failed poll changes nothing but the health."""
        self.last_sign_of_life = self._monotonic()
        heard = self._hear()
        with self._change:
            if self._retired:
                return False
            self._finish(heard)
        self.last_sign_of_life = self._monotonic()
        return self._failures == 0

    def _hear(self) -> Heard | CloudError:
        """Ask the cloud, and return what it said or why it did not."""
        if self._log_in_anew:
            self._log_in_anew = False
            self._cloud.close()
        try:
            deadline = self._monotonic() + self._settings.deadline
            return self._questions.ask(self._chronicle, self._failures > 0, deadline)
        except CloudError as error:
            return error
        except Exception as error:  # a fault of ours must not end the watch over this cloud, nor that over others
            return self._unexpected(error)

    def _finish(self, heard: Heard | CloudError) -> None:
        """Take in what was heard, keep it, and only then show it."""
        self.vitals.poll_began()
        if isinstance(heard, Heard):
            try:
                self._take(heard)
            except Exception as error:
                heard = self._unexpected(error)
        if isinstance(heard, CloudError):
            self._fail(heard)
            self._keep_what_waits()
        self.vitals.count_requests(self._cloud.requests())
        self.tried = True
        self._show()

    def _unexpected(self, error: Exception) -> CloudError:
        log.exception("poll failed unexpectedly", extra={"cloud": self.name})
        return CloudError(ErrorKind.PROTOCOL, f"unexpected {type(error).__name__}; the log has the traceback")

    def pause(self) -> float:
        """Return how many seconds to wait before the next poll: a little jitter, and ever longer after failures."""
        interval = self._settings.interval
        if self._failures == 0:
            return interval * (0.95 + 0.1 * self._chance())
        longest = max(interval, min(LONGEST_PAUSE, interval * 2.0 ** min(self._failures, 16)))
        return longest * (0.5 + 0.5 * self._chance())

    def _rest(self, stop: threading.Event, seconds: float) -> None:
        """Wait in slices: what could not be kept is tried again, and the page is renewed when it grows stale."""
        until, was_stale = self._monotonic() + seconds, self._is_stale()
        while (left := until - self._monotonic()) > 0 and not stop.wait(min(left, 5.0)):
            self.last_sign_of_life = self._monotonic()
            grew_stale = self._is_stale() and not was_stale
            was_stale = was_stale or grew_stale
            with self._change:
                if not self._retired and (self._keep_what_waits() or grew_stale):
                    self._show()

    def _fail(self, error: CloudError) -> None:
        self._failures += 1
        self.vitals.poll_failed(error)
        log.warning("poll failed", extra={"cloud": self.name, "reason": error.kind.value, "error": str(error)})

    def _take(self, heard: Heard) -> None:
        """Take in a complete poll, and keep it: the only place where what is known changes."""
        first, began = self._chronicle.tracker.baseline is None, self._monotonic()
        touched = self._chronicle.take(heard.snapshot(), heard.cloud_time)
        heard.steps["track"] = self._monotonic() - began
        self._questions.answered(heard, first)
        self._note(heard)
        began = self._monotonic()
        self._keep(touched)
        heard.steps["keep"] = self._monotonic() - began

    def _keep(self, touched: Set[str] = frozenset()) -> None:
        self._kept = self._store.save(self.name, self._chronicle.state(self.vitals.last_success), touched)

    def _keep_what_waits(self) -> bool:
        """Try again to keep what could not be kept; return whether that was so."""
        waited = not self._kept
        if waited:
            self._keep()
        return waited

    def _note(self, heard: Heard) -> None:
        self.vitals.reached(heard.microversion)
        for answer in heard.answers:
            self.vitals.count_rejections(answer.rejections)
            self.vitals.count_unknown_statuses(answer.migrations)
        self.vitals.note_features(heard.told.available)
        self.vitals.compare_clocks(heard.date, heard.heard_at)
        self.vitals.poll_succeeded(self._clock(), heard.steps)
        self._failures = 0

    def _is_stale(self) -> bool:
        return self._clock() - (self.vitals.last_success or self._began) > STALE_AFTER

    def _show(self) -> None:
        """Publish what is known now, with the counters that no restart makes fall."""
        settings = self._settings
        view = cloud_view(
            self.name,
            self._lineup,
            self._store.totals(self.name),
            self.vitals.health(),
            stale=self._is_stale(),
            series_cap=settings.series_cap,
            per_host=settings.per_host,
        )
        self._publish(view)
