"""All clouds together: a thread for each poller, and the newest view of each for whoever asks for the page."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from exporter.domain.view import CloudView, Process, View
from exporter.poller import Poller
from exporter.vitals import Vitals

log = logging.getLogger(__name__)


class Board:
    """The newest view of each cloud, in the order of the configuration; `process` tells of the exporter itself."""

    def __init__(self, process: Callable[[], Process]) -> None:
        self._process = process
        self._clouds: dict[str, CloudView] = {}
        self._lock = threading.Lock()

    def publish(self, view: CloudView) -> None:
        """Put a cloud's new view in the place of its old one; readers see the one or the other, never a mixture."""
        with self._lock:
            self._clouds = {**self._clouds, view.cloud: view}

    def arrange(self, clouds: Sequence[str]) -> None:
        """Show these clouds in this order, and no others."""
        with self._lock:
            self._clouds = {name: self._clouds[name] for name in clouds if name in self._clouds}

    def view(self) -> View:
        """Return what is known of all clouds now."""
        return View(self._process(), tuple(self._clouds.values()))


@dataclass(frozen=True, slots=True)
class Plan:
    """How a cloud is to be watched: two plans with equal `settings` are the same.

    `build` makes its poller; it is given the vitals of the poller that watched the cloud before, if there was one.
    """

    name: str
    settings: object
    build: Callable[[Vitals | None], Poller]


class _Post:
    """A poller at work, in a thread of its own."""

    def __init__(self, plan: Plan, poller: Poller) -> None:
        self.plan = plan
        self.poller = poller
        self._stop = threading.Event()
        self._thread = threading.Thread(target=poller.run, args=(self._stop,), name=f"poll {plan.name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def retire(self) -> None:
        """Let the poller change nothing any more, and its thread end when its cloud has answered."""
        self._stop.set()
        self.poller.retire()

    def join(self, seconds: float) -> None:
        if self._thread.is_alive():
            self._thread.join(seconds)


class Watch:
    """The pollers of all clouds, so that none waits for another."""

    def __init__(self, plans: Iterable[Plan], *, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Build every poller; raises what building one raises."""
        self._posts = {plan.name: _Post(plan, plan.build(None)) for plan in plans}
        self._monotonic = monotonic

    @property
    def clouds(self) -> tuple[str, ...]:
        """Return the names of the clouds that are watched, in the order of the configuration."""
        return tuple(self._posts)

    def start(self) -> None:
        """Begin to poll."""
        for post in self._posts.values():
            post.start()

    def change(self, plans: Sequence[Plan]) -> None:
        """Watch by other plans from now on.

        What stays as it was goes on and only logs in anew; what was changed goes on from what was known; what is new begins.
        Raises what building a new poller raises, and then everything is as before.
        """
        old = self._posts
        new = {plan.name: _Post(plan, plan.build(None)) for plan in plans if plan.name not in old}
        posts = {plan.name: new.get(plan.name) or self._succeed(old[plan.name], plan) for plan in plans}
        for name in old.keys() - posts.keys():
            old[name].retire()
        self._posts = posts
        for name, post in posts.items():
            if post is not old.get(name):
                post.start()

    def _succeed(self, post: _Post, plan: Plan) -> _Post:
        if plan.settings == post.plan.settings:
            post.poller.log_in_anew()
            return post
        post.retire()
        return _Post(plan, plan.build(post.poller.vitals))

    def stop(self, within: float) -> None:
        """Stop polling; a poll that waits for its cloud longer than `within` seconds is left behind, and changes nothing."""
        posts, until = tuple(self._posts.values()), self._monotonic() + within
        for post in posts:
            post.retire()
        for post in posts:
            post.join(max(0.0, until - self._monotonic()))

    def poll_once(self) -> bool:
        """Poll every cloud once, all at the same time; return whether every poll was complete."""
        results: list[bool] = []
        pollers = [post.poller for post in self._posts.values()]
        threads = [threading.Thread(target=lambda each=poller: results.append(each.poll())) for poller in pollers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return len(results) == len(threads) and all(results)

    def healthy(self) -> tuple[bool, str]:
        """Tell whether every poller runs, and in words which does not."""
        now, pollers = self._monotonic(), [post.poller for post in self._posts.values()]
        hung = [each.name for each in pollers if now - each.last_sign_of_life > each.longest_silence]
        return (False, f"no sign of life from the poller of: {', '.join(hung)}") if hung else (True, "ok")

    def ready(self) -> tuple[bool, str]:
        """Tell whether every cloud was tried once, and in words which was not."""
        untried = [post.plan.name for post in self._posts.values() if not post.poller.tried]
        return (False, f"not tried yet: {', '.join(untried)}") if untried else (True, "ok")
