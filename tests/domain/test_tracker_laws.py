"""The laws of the tracker for any possible history, looked at at any instants, against a plain model."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.domain.cloud import Deletion
from exporter.domain.events import Began, Corrected, Ended, Event, Left, MoveEnded
from exporter.domain.ledger import Distribution, Ledger, Totals
from exporter.domain.lifecycle import LIVE_STATUSES, NEVER_UPDATED_STATUSES, MigrationType, Outcome, row_of
from exporter.domain.migration import Migration
from exporter.domain.snapshot import SAME_MOMENT, Snapshot
from exporter.domain.tracked import HEARTBEAT_PERIOD, TOLERANCE
from exporter.domain.tracker import SAME_END, Tracker
from tests.domain.histories import SPAN, Entry, History, clouds
from tests.domain.records import LIVE, RESIZE

OVERLAP = 90.0

Cloud = tuple[History, ...]


@dataclass(frozen=True)
class Poll:
    """One poll: when it began, how many seconds it took, whether it sweeps, whether its proofs of deletion have a date."""

    at: float
    slow: int
    complete: bool
    dated: bool


@st.composite
def polls(draw: st.DrawFn) -> tuple[Poll, ...]:
    """Draw the polls of a play: the first is complete, and so is the last, which comes when all is over."""
    times = sorted(draw(st.sets(st.integers(0, SPAN - 1), min_size=1, max_size=15)))
    kinds = [Poll(float(at), draw(st.integers(0, 3)), draw(st.booleans()), draw(st.booleans())) for at in times]
    last = Poll(2.0 * SPAN, 0, complete=True, dated=True)
    return (replace(kinds[0], complete=True), *kinds[1:], last)


@dataclass(frozen=True)
class Observation:
    """What one poll was shown and what it said."""

    snapshot: Snapshot
    events: tuple[Event, ...]
    live: int
    totals: Totals


def play(cloud: Cloud, times: tuple[Poll, ...], seed: int | None = None) -> list[Observation]:
    """Let a tracker watch a cloud; with a seed its answers come shuffled."""
    tracker, ledger, seen = Tracker(), Ledger(), []
    for poll in times:
        snapshot = ask(cloud, poll, tracker)
        if seed is not None:
            answers = list(snapshot.migrations)
            random.Random(seed).shuffle(answers)
            snapshot = replace(snapshot, migrations=tuple(answers))
        events = tracker.observe(snapshot, poll.at)
        ledger.enter(events, lambda kind, status: status)
        seen.append(Observation(snapshot, tuple(events), len(tracker.live), ledger.totals()))
    return seen


def ask(cloud: Cloud, poll: Poll, tracker: Tracker) -> Snapshot:
    """Return what a poller hears: each question a little later than the one before, as a real poll asks them."""
    first, over = tracker.baseline is None, poll.at > SPAN
    newest = max(shown(cloud, poll.at), key=lambda each: (each.created_at, each.uuid), default=None) if first else None
    since = poll.at if tracker.watermark is None else tracker.watermark
    since = -math.inf if over else since - OVERLAP
    heard: list[Migration] = []
    asked = [*(LIVE_STATUSES if poll.complete else ()), *NEVER_UPDATED_STATUSES]
    moments = [list(shown(cloud, poll.at + later)) for later in range(poll.slow + 1)]
    for place, status in enumerate(asked):
        heard += [each for each in moments[place * len(moments) // len(asked)] if each.status == status]
    unknown = {each.migration.status for each in tracker.live.values()} - set(LIVE_STATUSES)
    late = moments[-1]
    heard += [each for each in late if each.updated_at is not None and each.updated_at >= since]
    if not poll.complete:
        return Snapshot(tuple(heard), poll.at, complete=False)
    heard += [each for each in late if each.status in unknown]
    lookups = {each.migration.uuid for each in tracker.missing(heard)}
    heard += [each for each in late if each.uuid in lookups]
    return Snapshot(tuple(heard), poll.at, True, newest, dict(deletions(cloud, poll)))


def shown(cloud: Cloud, at: float) -> Iterator[Migration]:
    """Yield every record that a cloud shows at a time."""
    for history in cloud:
        yield from history.shown(at)


def deletions(cloud: Cloud, poll: Poll) -> Iterator[tuple[str, Deletion]]:
    """Yield the proofs of deletion that a cloud has, by server."""
    for history in cloud:
        gone = history.deleted is not None and history.deleted <= poll.at + poll.slow
        if gone and not history.is_hidden(poll.at):
            yield f"server of {history.uuid}", Deletion(history.deleted if poll.dated else None)


# --- the plain model ---


@dataclass(frozen=True)
class Fate:
    """What must have been counted of one record when all is over: found live, begun, ended."""

    found: bool
    begun: bool
    ended: bool


def fate(history: History, seen: list[Observation]) -> Fate:
    """Say what must have been counted of a record, from nothing but what the polls were shown of it."""
    sights = [(place, each) for place, each in enumerate(all_shown(seen)) if history.uuid in each]
    if not sights:
        return Fate(found=False, begun=False, ended=False)
    place, sight = sights[0]
    live = all(each.row.live for each in sight[history.uuid])
    is_new = place > 0 and created_after_baseline(history, seen[0].snapshot)
    over = history.has_ended()
    return Fate(found=live and not is_new, begun=is_new, ended=over and (live or is_new))


def all_shown(seen: list[Observation]) -> list[Mapping[str, list[Migration]]]:
    """Return what each poll was shown, by record; the newest record belongs to the first."""
    by_poll: list[Mapping[str, list[Migration]]] = []
    for each in seen:
        newest = () if each.snapshot.newest is None else (each.snapshot.newest,)
        answers: dict[str, list[Migration]] = {}
        for migration in (*each.snapshot.migrations, *newest):
            answers.setdefault(migration.uuid, []).append(migration)
        by_poll.append(answers)
    return by_poll


def created_after_baseline(history: History, first: Snapshot) -> bool:
    """Tell whether a record was created after the newest one of the first look, or with it just then."""
    if first.newest is None:
        return True
    just_then = first.begun - first.newest.created_at < SAME_MOMENT
    return history.created > first.newest.created_at or (just_then and history.created == first.newest.created_at)


def count(seen: list[Observation], kind: type[Event]) -> Counter[str]:
    """Count the events of one kind by record."""
    return Counter(event.migration.uuid for each in seen for event in each.events if isinstance(event, kind))


LAWS = settings(max_examples=80, deadline=None)


@LAWS
@given(clouds(), polls())
def test_every_migration_is_counted_once_when_it_begins_and_once_when_it_ends(
    cloud: Cloud, times: tuple[Poll, ...]
) -> None:
    seen = play(cloud, times)
    fates = {history.uuid: fate(history, seen) for history in cloud}
    assert count(seen, Began) == Counter({uuid: 1 for uuid, each in fates.items() if each.begun})
    assert count(seen, Ended) == Counter({uuid: 1 for uuid, each in fates.items() if each.ended})


@LAWS
@given(clouds(), polls())
def test_live_at_the_baseline_and_begun_are_live_and_ended(cloud: Cloud, times: tuple[Poll, ...]) -> None:
    seen = play(cloud, times)
    first_sights: dict[str, int] = {}
    for place, answers in enumerate(all_shown(seen)):
        for uuid in answers:
            first_sights.setdefault(uuid, place)
    fates = {history.uuid: fate(history, seen) for history in cloud}
    for place, each in enumerate(seen):
        found = sum(fates[uuid].found for uuid, first in first_sights.items() if first <= place)
        assert found + sum(each.totals.started.values()) == each.live + sum(each.totals.ended.values())


@LAWS
@given(clouds(), polls())
def test_an_end_is_the_first_end_that_was_seen(cloud: Cloud, times: tuple[Poll, ...]) -> None:
    possible = {history.uuid: history.ends() for history in cloud}
    seen = play(cloud, times)
    ended: set[str] = set()
    for each, answers in zip(seen, all_shown(seen), strict=True):
        for event in each.events:
            if isinstance(event, Ended):
                uuid = event.migration.uuid
                ends = {answer.status for answer in answers.get(uuid, ()) if not answer.row.live}
                assert event.status in (ends or possible[uuid] & {"deleted"})
                ended.add(uuid)
    assert {uuid for uuid, how_often in count(seen, Ended).items() if how_often} == ended


@LAWS
@given(clouds(), polls())
def test_a_vanished_record_is_never_a_success(cloud: Cloud, times: tuple[Poll, ...]) -> None:
    seen = play(cloud, times)
    for each, answers in zip(seen, all_shown(seen), strict=True):
        for event in each.events:
            if isinstance(event, Ended) and event.migration.uuid not in answers:
                assert (event.status, event.outcome) == ("deleted", Outcome.DELETED)


@LAWS
@given(clouds(), polls())
def test_counters_never_fall(cloud: Cloud, times: tuple[Poll, ...]) -> None:
    books = [numbers(each.totals) for each in play(cloud, times)]
    for earlier, later in pairwise(books):
        assert all(later[name] >= number for name, number in earlier.items())


def numbers(totals: Totals) -> dict[tuple[object, ...], float]:
    """Return every number of the books by its place."""
    flat: dict[tuple[object, ...], float] = {}
    for book in Totals.__slots__:
        for key, value in getattr(totals, book).items():
            if isinstance(value, Distribution):
                flat |= {(book, key, place): part for place, part in enumerate((*value.counts, value.total))}
            else:
                flat[book, key] = value
    return flat


@LAWS
@given(clouds(), polls())
def test_a_record_begins_before_all_else_and_leaves_each_status_once_and_ends_once(
    cloud: Cloud, times: tuple[Poll, ...]
) -> None:
    events = [event for each in play(cloud, times) for event in each.events]
    for history in cloud:
        own = [event for event in events if event.migration.uuid == history.uuid]
        begun = [place for place, event in enumerate(own) if isinstance(event, Began)]
        assert begun in ([], [0])
        left = Counter(event.status for event in own if isinstance(event, Left))
        assert set(left.values()) <= {1}
        assert set(left) <= {entry.status for entry in history.entries}
        assert sum(isinstance(event, MoveEnded) for event in own) <= 1
        after = [type(event) for event in own if isinstance(event, Ended | Corrected)]
        assert after[1:] == [Corrected] * len(after[1:])
        assert not after or after[0] is Ended


@LAWS
@given(clouds(), polls())
def test_corrections_are_real_and_apart(cloud: Cloud, times: tuple[Poll, ...]) -> None:
    by_uuid = {history.uuid: history for history in cloud}
    for each in play(cloud, times):
        for event in each.events:
            if isinstance(event, Corrected):
                entered = {entry.status: entry.at for entry in by_uuid[event.migration.uuid].entries}
                assert entered[event.to_status] - entered[event.from_status] >= SAME_END


@LAWS
@given(clouds(), polls())
def test_a_time_in_a_status_is_observed_only_if_it_is_true_to_a_heartbeat_or_a_tenth(
    cloud: Cloud, times: tuple[Poll, ...]
) -> None:
    stays = {history.uuid: history.true_stays() for history in cloud}
    for each in play(cloud, times):
        for event in each.events:
            if isinstance(event, Left) and event.seconds is not None:
                heartbeat = row_of(event.migration.migration_type, event.status).heartbeat
                doubt = max(HEARTBEAT_PERIOD if heartbeat else 0.0, TOLERANCE * event.seconds)
                true = stays[event.migration.uuid][event.status]
                assert any(abs(event.seconds - seconds) <= doubt for seconds in true)


@LAWS
@given(clouds(), polls())
def test_the_duration_of_a_move_ends_with_an_entry_into_a_status_or_with_a_deletion(
    cloud: Cloud, times: tuple[Poll, ...]
) -> None:
    by_uuid = {history.uuid: history for history in cloud}
    for each in play(cloud, times):
        for event in each.events:
            if isinstance(event, MoveEnded):
                history = by_uuid[event.migration.uuid]
                ends: set[tuple[Outcome | None, float | None]] = {(Outcome.DELETED, history.deleted)}
                ends |= {(row_of(history.kind, entry.status).outcome, entry.at) for entry in finishing(history)}
                assert (event.outcome, event.seconds + history.created) in ends


def finishing(history: History) -> list[Entry]:
    """Return the entries into statuses that end the move itself."""
    return [entry for entry in history.entries if row_of(history.kind, entry.status).finishes_move]


@LAWS
@given(clouds(), polls(), st.integers(0, 2**32))
def test_the_order_of_the_answers_does_not_matter(cloud: Cloud, times: tuple[Poll, ...], seed: int) -> None:
    plain, shuffled = play(cloud, times), play(cloud, times, seed)
    assert [(each.events, each.live) for each in shuffled] == [(each.events, each.live) for each in plain]


@LAWS
@given(clouds(), polls())
def test_the_same_answers_give_the_same_events(cloud: Cloud, times: tuple[Poll, ...]) -> None:
    assert play(cloud, times) == play(cloud, times)


@LAWS
@given(clouds(), polls())
def test_the_same_snapshot_again_is_nothing(cloud: Cloud, times: tuple[Poll, ...]) -> None:
    tracker = Tracker()
    for poll in times:
        snapshot = ask(cloud, poll, tracker)
        tracker.observe(snapshot, poll.at)
        known = (dict(tracker.live), dict(tracker.ended), tracker.watermark)
        assert tracker.observe(snapshot, poll.at) == []
        assert (tracker.live, tracker.ended, tracker.watermark) == known


@LAWS
@given(clouds(), polls())
def test_the_watermark_never_runs_ahead_of_the_poll(cloud: Cloud, times: tuple[Poll, ...]) -> None:
    tracker = Tracker()
    for poll in times:
        tracker.observe(ask(cloud, poll, tracker), poll.at)
        assert tracker.watermark is not None
        assert tracker.watermark <= poll.at


@pytest.mark.parametrize(
    ("kind", "statuses"),
    [
        (RESIZE, ("pre-migrating", "migrating", "post-migrating", "finished", "confirming", "confirmed")),
        (LIVE, ("accepted", "queued", "preparing", "running", "completed")),
    ],
)
def test_a_history_that_is_watched_closely_is_observed_in_full(kind: MigrationType, statuses: tuple[str, ...]) -> None:
    entries = tuple(Entry(status, 100.0 * place) for place, status in enumerate(statuses, start=1))
    history = History("m0", kind, entries, deleted=None, rewrite=None, twin=False, hidden=(0.0, 0.0))
    seen = play((history,), tuple(Poll(float(at), 0, True, True) for at in range(50, 1000, 5)))
    left = {event.status: event.seconds for each in seen for event in each.events if isinstance(event, Left)}
    assert left == dict.fromkeys([entry.status for entry in history.entries[:-1]], 100.0)
