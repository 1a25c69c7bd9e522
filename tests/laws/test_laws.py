"""Random lives of a cloud and of the exporter that watches it; after every step the laws of the house hold.

A step is something that happens in the cloud, or a poll, or what befalls the exporter on the way. `model.py` says what must
have been counted of what successive complete polls were shown, `truth.py` what must be true of it in the end, and `replay.py`
what an exporter knows that nothing ever befell. `LAWS_EXAMPLES=3000 pytest tests/laws` looks for longer than the tests of every
day do.
"""

from __future__ import annotations

import logging
import os
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from exporter.domain.cloud import CloudError, ErrorKind
from exporter.domain.ledger import NOTHING_COUNTED
from exporter.domain.lifecycle import MigrationType
from exporter.domain.view import CloudView
from tests.domain.records import DAY, HOUR
from tests.domain.test_tracker_laws import numbers
from tests.laws.cloud import Shown, TellingCloud
from tests.laws.exporter import Exporter, InMemory, OnDisk
from tests.laws.faults import Kill
from tests.laws.model import Model, model_of
from tests.laws.replay import replay
from tests.laws.truth import check_truth
from tests.laws.world import CELLS, World, onward
from tests.test_poller import NOW, Time

PICKS = st.integers(0, 9)
WAYS = st.sampled_from((0, 0, 0, 1, 2, 3))
CELL = st.sampled_from(CELLS)
#: Seconds that pass: within one second, within ends that are one, from one poll to the next, past every limit there is.
PAUSES = st.sampled_from((0, 1, 7, 30, 30, 30, 90, 301, 301, 1500, 2 * HOUR, DAY, 8 * DAY, 31 * DAY))
SOON = st.sampled_from((0, 1, 1, 2, 5, 30, 30, 300))
LATE = st.sampled_from((2 * HOUR + 1, 5 * HOUR))

BEGIN = st.tuples(SOON, st.just("begin"), st.sampled_from(MigrationType), CELL, st.booleans())
STEP = st.tuples(SOON, st.just("step"), PICKS, WAYS)
WALK = st.tuples(SOON, st.just("walk"), PICKS, st.lists(WAYS, min_size=2, max_size=6))
RARE = st.one_of(
    st.tuples(SOON | LATE, st.just("begin_again"), PICKS, st.sampled_from(MigrationType)),
    st.tuples(SOON, st.just("rewrite"), PICKS),
    st.tuples(SOON, st.just("delete"), PICKS, st.booleans()),
    st.tuples(SOON, st.just("fail_cell"), CELL),
    st.tuples(SOON, st.just("mend_cells")),
    st.tuples(SOON, st.just("deny"), st.booleans()),
)
#: What may happen in the cloud: how long after what happened before, what, and to which record.
HAPPENING = st.one_of(BEGIN, STEP, STEP, STEP, WALK, RARE)
LIFE = st.lists(HAPPENING, max_size=5)

#: By how much our clock is ahead, and the cloud's, None where it tells no time.
SKEWS = st.sampled_from(((0, 0), (0, 0), (0, HOUR), (0, -HOUR), (HOUR, 0), (-HOUR, 0), (-HOUR, None), (0, None)))

Life = list[tuple[Any, ...]]


class Laws(RuleBasedStateMachine):
    """A world, the cloud that shows it, and the exporter that watches."""

    exporter_kind: type[Exporter]

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp(prefix="laws-"))
        self.time = Time()
        self.world = World(lambda: NOW + self.time.passed, self.wait)
        self.cloud = TellingCloud(self.time, self.world)
        self.exporter = self.exporter_kind(self.time, self.cloud, self.directory)

    def wait(self, seconds: float) -> None:
        self.time.passed += seconds

    # --- what happens ---

    @initialize(first=st.lists(BEGIN, max_size=3), before=LIFE, skews=SKEWS)
    def there_was_something_before(self, first: Life, before: Life, skews: tuple[float, float | None]) -> None:
        self.live_on([*first, *before])
        self.clocks_jump(skews)

    @rule(life=LIFE)
    def live_on(self, life: Life) -> None:
        for after, name, *arguments in life:
            self.wait(after)
            getattr(self.world, name)(*arguments)

    @rule(skews=SKEWS)
    def clocks_jump(self, skews: tuple[float, float | None]) -> None:
        self.time.jump, self.cloud.skew = skews

    @rule(life=LIFE, after=PAUSES, slow=st.sampled_from((0, 0, 0, 1, 7)), seed=st.none() | st.integers(0, 99))
    def poll(self, life: Life, after: float, slow: float = 0, seed: int | None = None) -> None:
        self.live_on(life)
        self.wait(after)
        self.cloud.slow, self.cloud.seed = float(slow), seed
        self.exporter.poll()

    @rule(days=st.lists(st.tuples(LIFE, PAUSES), min_size=2, max_size=5))
    def watch(self, days: list[tuple[Life, float]]) -> None:
        for life, after in days:
            self.poll(life, after)

    @rule(times=st.integers(2, 12), step=STEP)
    def watch_closely(self, times: int, step: tuple[Any, ...]) -> None:
        """Poll every thirty seconds, so that each status is seen."""
        for _ in range(times):
            self.poll([step], 30)

    @rule(pick=PICKS, way=WAYS, between=st.sampled_from((0, 1, 2, 30)))
    def one_end_follows_another(self, pick: int, way: int, between: float) -> None:
        """Poll between two ends of one record, which may be one."""
        record = self.world.end(pick, way)
        self.poll([], 0)
        self.wait(between)
        if record is not None and (further := onward(record.kind, record.status)):
            record.enter(further[0], NOW + self.time.passed)
        self.poll([], 0)

    @rule(life=LIFE, at=st.integers(0, 14), midway=HAPPENING, after=PAUSES)
    def poll_while_something_happens(self, life: Life, at: int, midway: tuple[Any, ...], after: float) -> None:
        self.cloud.midway = (at, lambda: self.live_on([midway]))
        self.poll(life, after)
        self.cloud.midway = None

    @rule(life=LIFE, at=st.integers(0, 16), ours=st.booleans(), after=PAUSES)
    def a_question_fails(self, life: Life, at: int, ours: bool, after: float) -> None:
        error = KeyError("ours") if ours else CloudError(ErrorKind.TIMEOUT, "no answer")
        self.cloud.trap.set(at, error)
        self.poll(life, after)

    @rule(life=LIFE, at=st.integers(0, 8), after=PAUSES)
    def a_fault_strikes_while_a_poll_is_taken_in(self, life: Life, at: int, after: float) -> None:
        self.exporter.inner.set(at, ValueError("ours"))
        self.poll(life, after)

    @rule()
    def restart(self) -> None:
        self.exporter.restart()

    @rule(life=LIFE, at=st.integers(0, 16), after=PAUSES)
    def killed_while_it_asks(self, life: Life, at: int, after: float) -> None:
        self.cloud.trap.set(at, Kill())
        self.poll(life, after)

    @rule(life=LIFE, after=PAUSES)
    def killed_while_it_publishes(self, life: Life, after: float) -> None:
        self.exporter.door.set(0, Kill())
        self.poll(life, after)

    # --- the laws ---

    @invariant()
    def the_laws_hold(self) -> None:
        if self.exporter.views[1:]:
            self.check()
            del self.exporter.views[:-1]

    def check(self) -> None:
        """Check what must hold whenever a view was published."""
        self.counters_never_fall()
        self.everything_shown_is_counted_and_only_once()

    def counters_never_fall(self) -> None:
        views = self.exporter.views
        for earlier, later in pairwise(views):
            if earlier.totals != later.totals:
                after = numbers(later.totals)
                assert [key for key, value in numbers(earlier.totals).items() if after.get(key, 0) < value] == []

    def everything_shown_is_counted_and_only_once(self) -> None:
        view, polls = self.exporter.views[-1], self.exporter.polls
        sure = model_of(polls[: self.exporter.sure])
        model = sure if self.exporter.sure == len(polls) else model_of(polls)
        assert shown(view) == counted(sure)
        assert {each.migration.uuid for each in view.live} == model.live.keys()
        assert sure.found + sum(view.totals.started.values()) == len(sure.live) + sum(view.totals.ended.values())
        assert all(ends == 1 for uuid, ends in sure.ends_of.items() if uuid not in sure.came_back)

    def teardown(self) -> None:
        try:
            if sys.exc_info()[0] is None:
                self.all_is_well_in_the_end()
        finally:
            self.exporter.store.close()
            shutil.rmtree(self.directory)

    def all_is_well_in_the_end(self) -> None:
        """The laws hold, also those of what can be known only in the end."""
        self.settle()
        self.check()
        check_truth(self.world, self.exporter.polls)
        self.the_same_answers_give_the_same_counts()

    def settle(self) -> None:
        """Mend everything, and let the exporter see all that there is."""
        self.world.mend_cells()
        self.world.deny(False)
        self.clocks_jump((0, 0))
        for after in (301, 301, HOUR, 301):
            self.poll([], after)

    def the_same_answers_give_the_same_counts(self) -> None:
        """What was killed and restarted on the way knows the same as what was not."""
        state, polls = self.exporter.state(), self.exporter.polls
        restarted = replay(polls)
        assert restarted.times == state.times
        assert restarted.live == state.live
        assert restarted.ended == state.ended
        assert restarted.stuck == state.stuck
        assert restarted.unknown_pairs == state.unknown_pairs
        assert nonzero(numbers(restarted.totals)) == nonzero(numbers(state.totals))
        gone_through = [without_restart(each) for each in polls]
        if not model_of(polls).gave_up | model_of(gone_through).gave_up:
            assert numbers(replay(gone_through).totals) == numbers(restarted.totals)


def without_restart(shown: Shown) -> Shown:
    """Return what the same poll was shown as if no restart had come before it, in the opposite order."""
    backwards = replace(shown.snapshot, migrations=shown.snapshot.migrations[::-1])
    return replace(shown, snapshot=backwards, resumed=False)


def counted(model: Model) -> tuple[Mapping[object, int], ...]:
    """Return what must have been counted."""
    return +model.begun, +model.ended, +model.corrected, +model.left


def shown(view: CloudView) -> tuple[Mapping[object, int], ...]:
    """Return what a page shows as counted; a status that was left is observed or unobserved."""
    totals = view.totals
    left = Counter(totals.unobserved)
    left.update({pair: each.count for pair, each in totals.status_durations.items()})
    return +Counter(totals.started), +Counter(totals.ended), +Counter(totals.corrections), +left


def nonzero(books: Mapping[tuple[object, ...], float]) -> dict[tuple[object, ...], float]:
    return {key: value for key, value in books.items() if value}


class LawsInMemory(Laws):
    exporter_kind = InMemory


class LawsOnDisk(Laws):
    """The same with a state file, and all that can befall it."""

    exporter_kind = OnDisk
    exporter: OnDisk
    commits_seen = 0

    @rule(life=LIFE, at=st.integers(0, 40), after=PAUSES)
    def killed_while_it_writes(self, life: Life, at: int, after: float) -> None:
        self.exporter.disk.trap.set(at, Kill())
        self.poll(life, after)

    @rule(at=st.integers(0, 40))
    def killed_while_it_starts(self, at: int) -> None:
        self.exporter.disk.trap.set(at, Kill())
        self.exporter.restart()
        self.exporter.clear()

    @rule(full=st.booleans())
    def the_disk_is_full_or_not(self, full: bool) -> None:
        self.exporter.disk.full = full

    @rule(life=LIFE, after=PAUSES)
    def the_disk_does_not_say_what_it_did(self, life: Life, after: float) -> None:
        self.exporter.disk.mute = True
        self.poll(life, after)
        self.exporter.disk.mute = False

    @rule()
    def it_waits_for_its_next_poll(self) -> None:
        self.exporter.rest()

    @rule()
    def killed_while_it_waits(self) -> None:
        self.exporter.kill()

    def check(self) -> None:
        super().check()
        self.what_is_called_durable_is_on_disk()

    def what_is_called_durable_is_on_disk(self) -> None:
        """The disk is read anew whenever something was written."""
        exporter = self.exporter
        if exporter.store.durable:
            assert exporter.kept == exporter.sure == len(exporter.polls)
        if exporter.store.durable and self.commits_seen < exporter.saves():
            self.commits_seen = exporter.saves()
            found, known = exporter.reloaded(), exporter.state()
            assert replace(found, totals=NOTHING_COUNTED) == replace(known, totals=NOTHING_COUNTED)
            assert nonzero(numbers(found.totals)) == nonzero(numbers(known.totals))

    def settle(self) -> None:
        self.exporter.disk.full = False
        super().settle()
        assert self.exporter.store.durable


@pytest.fixture(autouse=True, scope="module")
def _quiet() -> Iterator[None]:
    """Say nothing of all that fails."""
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


LONG = int(os.environ.get("LAWS_EXAMPLES", "0"))
SETTINGS = settings(
    max_examples=LONG or 100,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    report_multiple_bugs=False,
)

TestLawsInMemory = LawsInMemory.TestCase
TestLawsInMemory.settings = settings(SETTINGS, max_examples=LONG or 60)
TestLawsOnDisk = LawsOnDisk.TestCase
TestLawsOnDisk.settings = SETTINGS
