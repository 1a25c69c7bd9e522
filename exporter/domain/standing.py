"""Which records are stuck, from poll to poll: judged are those that changed, and those whose time has come."""

from __future__ import annotations

import math
from collections.abc import Mapping, Set
from heapq import heappop, heappush

from exporter.domain.diagnosis import Limits, Stuck, find_late, holds_the_queue, next_moment, without_waiting
from exporter.domain.server import Progress
from exporter.domain.tracked import Tracked


class Standing:
    """What was said of live records at the last poll, and until when it holds if nothing changes."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._at = -math.inf
        self._late: dict[str, Stuck] = {}
        self._moments: dict[str, float] = {}
        self._queue: list[tuple[float, str]] = []
        self._holders: dict[str, Tracked] = {}

    def judge(
        self, live: Mapping[str, Tracked], changed: Set[str], ignored: Set[str], at: float, progress: Mapping[str, Progress]
    ) -> dict[str, Stuck]:  # fmt: skip
        """Return the live records that are stuck and not ignored, by uuid.

        `changed` must hold every record of which anything is not as it was at the last poll. Where time went back, all are
        judged anew.
        """
        again = changed | self._due(at)
        judged = {uuid: live[uuid] for uuid in again if uuid in live and uuid not in ignored}
        kept = {uuid: each for uuid, each in self._late.items() if uuid not in again}
        self._late = kept | find_late(judged, self._limits, at, progress)
        for uuid in again - judged.keys():
            self._moments.pop(uuid, None)
        for uuid in again:
            self._holders.pop(uuid, None)
        for uuid, tracked in judged.items():
            self._expect(uuid, next_moment(tracked, self._limits, at, progress.get(uuid)))
            if holds_the_queue(tracked):
                self._holders[uuid] = tracked
        self._at = at
        return without_waiting(self._late, live, self._holders)

    def _due(self, at: float) -> set[str]:
        """Return the records whose moment has come; all that have one, where time went back."""
        if at < self._at:
            due = {*self._moments, *self._late}
            self._moments.clear()
            self._queue.clear()
            return due
        due = set()
        while self._queue and self._queue[0][0] < at:
            moment, uuid = heappop(self._queue)
            if self._moments.get(uuid) == moment:
                del self._moments[uuid]
                due.add(uuid)
        return due

    def _expect(self, uuid: str, moment: float) -> None:
        """Note when a record is to be judged again; what was noted before stays in the queue, and is passed over there."""
        if self._moments.get(uuid) == moment:
            return
        self._moments[uuid] = moment
        heappush(self._queue, (moment, uuid))
        if len(self._queue) > 1000 + 2 * len(self._moments):
            self._queue = sorted((moment, uuid) for uuid, moment in self._moments.items())
