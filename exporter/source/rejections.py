"""Log the records that could not be understood."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence

from exporter.domain.cloud import Rejection, RejectReason

LOG = logging.getLogger(__name__)

#: Seconds between two logged rejections for one reason.
REJECTION_LOG_PAUSE = 60.0


class RejectionLog:
    """Log rejected records, one a reason and minute."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._logged: dict[RejectReason, float] = {}

    def note(self, cloud: str, rejections: Sequence[Rejection]) -> None:
        """Log what has not been logged within the last minute."""
        for rejection in rejections:
            now = self._monotonic()
            if now - self._logged.get(rejection.reason, -math.inf) < REJECTION_LOG_PAUSE:
                continue
            self._logged[rejection.reason] = now
            text = "cloud %s: migration %s cannot be understood (%s): %s"
            LOG.warning(text, cloud, rejection.record, rejection.reason, rejection.detail)
