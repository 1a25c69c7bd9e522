"""Load the configuration anew, when a signal or a request asks for it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

log = logging.getLogger(__name__)

T = TypeVar("T")


class Reload(Generic[T]):
    """Load a configuration and put it into force; a bad one is refused, and the old one goes on.

    `refusals` are the exceptions of `load` and `apply` that mean a bad one. It may be called from several threads.
    """

    def __init__(
        self, load: Callable[[], T], apply: Callable[[T], None], refusals: tuple[type[Exception], ...]
    ) -> None:
        self._load = load
        self._apply = apply
        self._refusals = refusals
        self._one_at_a_time = threading.Lock()
        self.successful = True

    def __call__(self) -> tuple[bool, str]:
        """Return whether the new configuration is in force, and in words what is wrong with it if not."""
        with self._one_at_a_time:
            try:
                self._apply(self._load())
            except self._refusals as error:
                self.successful = False
                log.error("configuration refused; the old one goes on", extra={"error": str(error)})
                return False, f"configuration refused; the old one goes on:\n{error}"
            self.successful = True
            log.info("configuration loaded")
            return True, "configuration loaded"
