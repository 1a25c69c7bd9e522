"""A cloud that answers from a world as Nova does, and remembers what it told in one poll."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from exporter.domain.cloud import Answer, Deletion
from exporter.domain.migration import Migration
from exporter.domain.snapshot import Snapshot
from tests.laws.faults import Trap
from tests.laws.world import World
from tests.test_poller import NOW, FakeCloud, Time


@dataclass(frozen=True)
class Shown:
    """What a complete poll was shown, and whether it was the first one since a restart; `true_time` is when it began."""

    snapshot: Snapshot
    resumed: bool
    true_time: float


class TellingCloud(FakeCloud):
    """A cloud with the records of a world; `trap` lies before each question.

    With a `seed` its answers are shuffled, and some records stand in them twice. `midway` happens before the question of that
    number.
    """

    def __init__(self, time: Time, world: World) -> None:
        super().__init__(time)
        self.world = world
        self.trap = Trap()
        self.seed: int | None = None
        self.midway: tuple[int, Callable[[], None]] | None = None
        self.forget()

    def forget(self) -> None:
        """Begin to remember anew: a poll begins."""
        self.asks()
        self.began, self._true_time = self.time.clock(), NOW + self.time.passed
        self._answers: list[Answer] = []
        self._newest: Migration | None = None
        self._proofs: dict[str, Deletion] = {}

    def told(self, resumed: bool) -> Shown:
        """Return what was told since the poll began."""
        date = self._answers[0].date if self._answers else None
        begun = self.began if date is None else min(self.began, date)
        complete = ("status", "migrating") in self.asked
        heard = tuple(each for answer in self._answers for each in answer.migrations)
        snapshot = Snapshot(heard, begun, complete, self._newest, dict(self._proofs))
        return Shown(snapshot, resumed, self._true_time)

    def newest(self, deadline: float) -> Answer:
        answer = super().newest(deadline)
        self._answers[-1] = answer
        self._newest = answer.migrations[0] if answer.migrations else None
        return answer

    def deletion_of(self, server_id: str, deadline: float) -> Deletion | None:
        super().deletion_of(server_id, deadline)
        self._answers.pop()
        proof = self.world.proof(server_id)
        if proof is not None:
            self._proofs[server_id] = proof
        return proof

    def _answer(self, question: str, detail: str | float, deadline: float, fits: Callable[[Migration], bool]) -> Answer:
        self.trap.step()
        if self.midway is not None and len(self.asked) == self.midway[0]:
            self.midway[1]()
        self.asked.append((question, detail))
        shown = [each for each in self.world.answers() if fits(each)]
        date = None if self.skew is None else NOW + self.time.passed + self.skew
        self.time.passed += self.slow
        answer = Answer(tuple(self._in_some_order(shown)), date=date)
        if question != "open":
            self._answers.append(answer)
        return answer

    def _in_some_order(self, shown: list[Migration]) -> list[Migration]:
        """Return answers newest first, as Nova does, or shuffled."""
        if self.seed is None:
            return sorted(shown, key=lambda each: (each.created_at, each.uuid), reverse=True)
        chance = random.Random(self.seed)
        mixed = [*shown, *(each for each in shown if chance.random() < 0.3)]
        chance.shuffle(mixed)
        return mixed
