"""The laws of exact durations: records go their way, polls see what they see, and the actions of servers tell the rest."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from enum import Enum

from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.domain.cloud import Deletion
from exporter.domain.events import Began, Corrected, Ended, Event, Left, MoveEnded
from exporter.domain.history import needed
from exporter.domain.lifecycle import DELETED, MigrationType, Outcome, passed_between, row_of
from exporter.domain.lookups import MOST_ATTEMPTS, in_turn
from exporter.domain.migration import Migration
from exporter.domain.server import Action, Step
from exporter.domain.snapshot import Snapshot
from exporter.domain.state import CloudState
from exporter.domain.tracked import HEARTBEAT_PERIOD, TOLERANCE, goes_on, left_events
from exporter.domain.tracker import Tracker
from exporter.store.rows import end_row, live_row, lookup_row, state_of, times_row
from tests.domain.histories import FIRST, HEARTBEAT, STEPS, Entry
from tests.domain.records import EVACUATION, LIVE

#: Seconds by which a step may lie beside the change that it tells of.
OFFSET = 0.1

#: Seconds by which a length may be wrong: the offsets of its two ends, and what lies between a failure and its next end.
CLOSE = 0.25

#: Every record begins within so many seconds; when all is over, polls go on until every look-up is settled.
SPAN = 200.0
END = 5000.0

Float = st.SearchStrategy[float]


def hundredths(least: int, most: int) -> Float:
    """Draw a time in hundredths of a second."""
    return st.integers(least, most).map(lambda number: number / 100)


LENGTHS = hundredths(5, 200) | hundredths(5, 6000)
OFFSETS = hundredths(-int(100 * OFFSET), int(100 * OFFSET))
LATER = hundredths(0, int(100 * OFFSET))


# --- the truth ---


@dataclass(frozen=True)
class Way:
    """All that ever happened to one record, and what Nova noted of its server meanwhile."""

    uuid: str
    kind: MigrationType
    entries: tuple[Entry, ...]
    deleted: float | None
    actions: tuple[Action, ...]

    @property
    def created(self) -> float:
        """Return when the record was created."""
        return self.entries[0].at

    def shown(self, at: float) -> Migration | None:
        """Return what Nova shows of the record at a time."""
        entries = [entry for entry in self.entries if entry.at <= at]
        if not entries or (self.deleted is not None and self.deleted <= at):
            return None
        now = entries[-1]
        updated: float | None = now.at if len(entries) > 1 else None
        if row_of(self.kind, now.status).heartbeat:
            updated = now.at + (at - now.at) // HEARTBEAT * HEARTBEAT
        return Migration(self.uuid, self.kind, now.status, f"server of {self.uuid}", self.created, updated)

    def stays(self) -> dict[str, float | None]:
        """Return the true time in each live status that was entered; None where it was never left."""
        ends = [entry.at for entry in self.entries[1:]]
        last = ends[-1] if not row_of(self.kind, self.entries[-1].status).live else self.deleted
        found: dict[str, float | None] = {}
        for entry, end in zip(self.entries, [*ends, last], strict=True):
            if row_of(self.kind, entry.status).live:
                found[entry.status] = None if end is None else end - entry.at
        return found

    @property
    def last_live(self) -> str:
        """Return the last live status."""
        return list(self.stays())[-1]

    def noted(self, at: float) -> tuple[Action, ...]:
        """Return what Nova has noted of the server by a time."""
        return tuple(
            replace(each, steps=tuple(_as_of(step, at) for step in each.steps if step.start <= at))
            for each in self.actions
            if each.start <= at
        )


def _as_of(step: Step, at: float) -> Step:
    return Step(step.name, step.start) if step.finish is None or step.finish > at else step


def onward_from(kind: MigrationType, status: str) -> tuple[str, ...]:
    """Return where a record may go from a status that the lifecycle table knows."""
    return tuple(each for each in STEPS[kind].get(status, ()) if each != "odd")


@st.composite
def walks(draw: st.DrawFn, kind: MigrationType) -> tuple[Entry, ...]:
    """Draw a way through the lifecycle; behind an end there may be one more, at once or as long after as Nova writes it."""
    entries = [Entry(FIRST[kind], draw(hundredths(1, int(100 * SPAN))))]
    for _ in range(draw(st.integers(2, 8))):
        onward = onward_from(kind, entries[-1].status)
        ends = [each for each in entries if not row_of(kind, each.status).live]
        if not onward or len(ends) == 2:
            break
        row, status = row_of(kind, entries[-1].status), draw(st.sampled_from(onward))
        close = not row.live and entries[-1].status not in ("done", "reverted")
        entries.append(Entry(status, entries[-1].at + (0.09 if close else draw(LENGTHS))))
    return tuple(entries)


@st.composite
def ways(draw: st.DrawFn, uuid: str) -> Way:
    """Draw all that happens to a record."""
    kind = draw(st.sampled_from(MigrationType))
    entries = draw(walks(kind))
    deleted = None
    if draw(st.integers(0, 3)) == 0:
        deleted = draw(st.sampled_from((entries[0].at, entries[-1].at))) + draw(hundredths(5, 6000))
        entries = tuple(entry for entry in entries if entry.at < deleted)
    noting = {LIVE: live_actions, EVACUATION: evacuation_actions}.get(kind, cold_actions)
    actions = [*noting(draw, {entry.status: entry.at for entry in entries}, kind)]
    if deleted is not None:
        actions += deletion_actions(deleted, entries[-1].status)
    return Way(uuid, kind, entries, deleted, tuple(actions))


def clouds() -> st.SearchStrategy[tuple[Way, ...]]:
    """Draw a few records, each with a server of its own."""
    return st.integers(1, 4).flatmap(lambda count: st.tuples(*(ways(f"m{place}") for place in range(count))))


# --- what Nova notes ---


def end_of(entered: dict[str, float], status: str) -> float | None:
    """Return when a status was left, and so when a step that failed in it ended."""
    later = [when for when in entered.values() if when > entered[status]]
    return min(later, default=None)


def step_into(
    draw: st.DrawFn, name: str, entered: dict[str, float], begins: str, well: str | None = None, during: bool = False
) -> list[Step]:
    """Return the step that begins with one status, or `during` it, and where it ends well begins another."""
    if begins not in entered:
        return []
    start = entered[begins] + draw(LATER if during else OFFSETS)
    end = entered.get(well or "") or end_of(entered, begins)
    finish = None if end is None else max(start, end + draw(OFFSETS))
    return [Step(name, start, finish, None if finish is None else well is None or well in entered)]


def move_action(draw: st.DrawFn, name: str, entered: dict[str, float], kind: MigrationType, *steps: Step) -> Action:
    created = entered[FIRST[kind]]
    asked = Step("conductor_migrate_server", created - 0.02, created + draw(LATER), ok=True)
    return Action(name, f"req-{name}", created - 0.03 - draw(LATER), (asked, *steps))


def cold_actions(draw: st.DrawFn, entered: dict[str, float], kind: MigrationType) -> Iterator[Action]:
    """Yield what Nova notes of a resize or a cold migration."""
    yield move_action(
        draw,
        "resize" if kind is MigrationType.RESIZE else "migrate",
        entered,
        kind,
        *step_into(draw, "compute_resize_instance", entered, "migrating", well="post-migrating"),
        *step_into(draw, "compute_finish_resize", entered, "post-migrating", well="finished", during=True),
    )
    if "confirming" in entered:
        steps = step_into(draw, "compute_confirm_resize", entered, "confirming", during=True)
        yield Action("confirmResize", "req-confirm", entered["confirming"] - draw(LATER), tuple(steps))
    if "reverting" in entered:
        steps = step_into(draw, "compute_revert_resize", entered, "reverting", well="reverted", during=True)
        yield Action("revertResize", "req-revert", entered["reverting"] - draw(LATER), tuple(steps))


def live_actions(draw: st.DrawFn, entered: dict[str, float], kind: MigrationType) -> Iterator[Action]:
    """Yield what Nova notes of a live migration; one that was aborted in `preparing` prepares well to the end."""
    queued = step_into(draw, "compute_live_migration", entered, "queued")
    preparing = step_into(draw, "compute_pre_live_migration", entered, "preparing", well="running")
    aborted = "cancelled" in entered and "preparing" in entered and "running" not in entered
    if aborted:
        preparing = [replace(each, ok=True) for each in preparing]
    yield move_action(draw, "live-migration", entered, kind, *queued, *preparing)
    if aborted:
        asked = (entered["preparing"] + entered["cancelled"]) / 2
        yield Action("live_migration_cancel", "req-abort", min(asked, entered["cancelled"] - OFFSET - 0.01))


def evacuation_actions(draw: st.DrawFn, entered: dict[str, float], kind: MigrationType) -> Iterator[Action]:
    """Yield what Nova notes of an evacuation; one closed by its old host in the middle is never noted as finished."""
    rebuilt = step_into(draw, "compute_rebuild_instance", entered, "pre-migrating", well="done")
    if "done" not in entered and "failed" not in entered:
        rebuilt = [Step(each.name, each.start) for each in rebuilt]
    yield move_action(draw, "evacuate", entered, kind, *rebuilt)


def deletion_actions(deleted: float, status: str) -> Iterator[Action]:
    """Yield what Nova notes of a deletion; one in VERIFY_RESIZE confirms the move under its own request."""
    yield Action("delete", "req-delete", deleted - 0.03)
    if status in ("finished", "confirming"):
        yield Action("confirmResize", "req-delete", deleted - 0.02)


# --- the polls ---


class Answer(Enum):
    """What comes of the look-ups of a poll."""

    ALL = "all are answered"
    SOME = "some are"
    NONE = "Nova knows none of the servers"
    FAILED = "the first fails"
    NOT_ASKED = "there was no time"


@dataclass(frozen=True)
class Poll:
    """One poll; `dated` tells whether a proof of deletion says when, `seed` which of the look-ups are answered."""

    at: float
    complete: bool = True
    exact: bool = True
    answer: Answer = Answer.ALL
    dated: bool = True
    restart: bool = False
    seed: int = 0


#: When all is over look-ups are answered that wait: as often as one may be tried, and once more.
LAST_POLLS = tuple(Poll(END + 100.0 * place) for place in range(MOST_ATTEMPTS + 2))


@st.composite
def polls(draw: st.DrawFn, ideal: bool = False) -> tuple[Poll, ...]:
    """Draw the polls of a play; the first and the last are complete. In an `ideal` play every look-up is answered.

    Most first looks are at an empty table, for what was there before is not counted.
    """
    later = draw(st.sets(hundredths(1, int(100 * SPAN) + 6000), min_size=1, max_size=10))
    times = sorted({*later, *draw(st.sampled_from(((0.0,), (0.0,), (0.0,), ())))})
    drawn = [
        Poll(
            at,
            complete=draw(st.booleans()),
            exact=ideal or draw(st.integers(0, 4)) > 0,
            answer=Answer.ALL if ideal else draw(st.sampled_from(Answer)),
            dated=ideal or draw(st.booleans()),
            restart=draw(st.booleans()),
            seed=draw(st.integers(0, 99)),
        )
        for at in times
    ]
    return (replace(drawn[0], complete=True), *drawn[1:], *LAST_POLLS)


@dataclass
class Played:
    """What came of a play: all events in order, the live statuses that were shown of each record, and the tracker."""

    tracker: Tracker = field(default_factory=Tracker)
    events: list[Event] = field(default_factory=list)
    shown: dict[str, list[str]] = field(default_factory=dict)

    def of(self, kind: type[Event], uuid: str) -> list[Event]:
        """Return the events of one kind of one record."""
        return [event for event in self.events if isinstance(event, kind) and event.migration.uuid == uuid]

    def lefts(self, uuid: str) -> list[Left]:
        """Return what was told of the statuses of one record."""
        return [event for event in self.events if isinstance(event, Left) and event.migration.uuid == uuid]


def play(cloud: tuple[Way, ...], times: Iterable[Poll]) -> Played:
    """Let a tracker watch a cloud."""
    played = Played()
    for poll in times:
        if poll.restart:
            played.tracker = restarted(played.tracker)
        snapshot = ask(cloud, poll, played.tracker)
        for migration in snapshot.migrations:
            statuses = played.shown.setdefault(migration.uuid, [])
            statuses += [migration.status] if migration.status not in statuses else []
        played.events += played.tracker.observe(snapshot, poll.at)
    return played


def restarted(tracker: Tracker) -> Tracker:
    """Return a tracker that goes on from what the state file keeps of another."""
    times = CloudState(tracker.times)
    tables = {
        "live": [live_row(each, None, tracker.times.last_sweep) for each in tracker.live.values()],
        "lookup": [lookup_row(uuid, each) for uuid, each in tracker.lookups.items()],
        "ended": [end_row(uuid, end) for uuid, end in tracker.ended.items()],
        "counter": [],
        "distribution": [],
        "unknown_status": [],
    }
    state = state_of(times_row(times), tables)
    return Tracker(state.times, state.live, state.ended, state.lookups)


def ask(cloud: tuple[Way, ...], poll: Poll, tracker: Tracker) -> Snapshot:
    """Return what a poll hears: every record that Nova shows, the proofs of deletion, and what it reads of actions."""
    shown = tuple(found for way in cloud if (found := way.shown(poll.at)) is not None)
    newest = max(shown, key=lambda each: each.created_at, default=None) if tracker.baseline is None else None
    deletions = {
        f"server of {way.uuid}": Deletion(way.deleted if poll.dated else None)
        for way in cloud
        if way.deleted is not None and way.deleted <= poll.at
    }
    actions: dict[str, tuple[Action, ...] | None] = {}
    unread: set[str] = set()
    chance = random.Random(poll.seed)
    for uuid in in_turn(tracker.lookups) if poll.exact else ():
        match poll.answer:
            case Answer.NONE:
                actions[uuid] = None
            case Answer.FAILED:
                unread.add(uuid)
                break
            case Answer.ALL | Answer.SOME if poll.answer is Answer.ALL or chance.random() < 0.5:
                actions[uuid] = read(cloud, uuid, poll.at, tracker)
    return Snapshot(
        shown, poll.at, poll.complete, newest, deletions, poll.exact, actions=actions, unread=frozenset(unread)
    )


def read(cloud: tuple[Way, ...], uuid: str, at: float, tracker: Tracker) -> tuple[Action, ...] | None:
    """Return the actions of a record's server, with the steps of those alone that are needed."""
    past = tracker.lookups[uuid].past(tracker.live.get(uuid))
    if past is None:
        return None
    noted = next(way for way in cloud if way.uuid == uuid).noted(at)
    listed = [replace(each, steps=()) for each in noted if each.start >= past.asks_since]
    wanted = {each.request_id for each in needed(past, listed)}
    return tuple(
        each if each.request_id in wanted else replace(each, steps=())
        for each in noted
        if each.start >= past.asks_since
    )


LAWS = settings(max_examples=80, deadline=None)


# --- the laws of every play ---


@LAWS
@given(clouds(), polls())
def test_every_status_is_told_once_at_most_and_none_that_was_not_passed(
    cloud: tuple[Way, ...], times: tuple[Poll, ...]
) -> None:
    played = play(cloud, times)
    for way in cloud:
        told = Counter(event.status for event in played.lefts(way.uuid))
        assert set(told.values()) <= {1}
        assert set(told) <= set(way.stays())


@LAWS
@given(clouds(), polls())
def test_every_status_that_was_seen_or_surely_passed_is_told_of_a_record_that_ended(
    cloud: tuple[Way, ...], times: tuple[Poll, ...]
) -> None:
    played = play(cloud, times)
    for way in cloud:
        if played.of(Began, way.uuid) and played.of(Ended, way.uuid):
            shown = [FIRST[way.kind], *played.shown.get(way.uuid, [])]
            sure = {between for status in shown for between in passed_between(way.kind, FIRST[way.kind], status)}
            seen = {status for status in shown if row_of(way.kind, status).live}
            assert seen | sure <= {event.status for event in played.lefts(way.uuid)}


@LAWS
@given(clouds(), polls())
def test_no_length_is_negative(cloud: tuple[Way, ...], times: tuple[Poll, ...]) -> None:
    assert all(
        event.seconds is None or event.seconds >= 0 for event in play(cloud, times).events if isinstance(event, Left)
    )


@LAWS
@given(clouds(), polls())
def test_a_length_between_two_stamps_that_were_seen_is_exactly_the_truth(
    cloud: tuple[Way, ...], times: tuple[Poll, ...]
) -> None:
    played = play(cloud, times)
    for way in cloud:
        shown = played.shown.get(way.uuid, [])
        for event in played.lefts(way.uuid):
            place = [entry.status for entry in way.entries].index(event.status)
            following = way.entries[place + 1].status if place + 1 < len(way.entries) else DELETED
            rows = row_of(way.kind, event.status), row_of(way.kind, following)
            if {event.status, following} <= set(shown) and all(row.live and not row.heartbeat for row in rows):
                true = way.stays()[event.status]
                assert event.seconds is not None and true is not None
                assert abs(event.seconds - true) < 1e-6


@LAWS
@given(clouds(), polls())
def test_every_look_up_is_settled_in_the_end(cloud: tuple[Way, ...], times: tuple[Poll, ...]) -> None:
    assert play(cloud, times).tracker.lookups == {}


@LAWS
@given(clouds(), polls(), st.sampled_from((Answer.FAILED, Answer.NONE)))
def test_every_look_up_is_settled_even_if_none_is_ever_answered(
    cloud: tuple[Way, ...], times: tuple[Poll, ...], answer: Answer
) -> None:
    longer = [*times, *(replace(LAST_POLLS[-1], at=END * 2 + place) for place in range(MOST_ATTEMPTS * len(cloud)))]
    assert play(cloud, [replace(poll, answer=answer) for poll in longer]).tracker.lookups == {}


@LAWS
@given(clouds(), polls())
def test_the_same_play_gives_the_same_events_and_a_restart_changes_none(
    cloud: tuple[Way, ...], times: tuple[Poll, ...]
) -> None:
    once = play(cloud, times)
    assert play(cloud, times).events == once.events
    assert play(cloud, [replace(poll, restart=False) for poll in times]).events == once.events


@LAWS
@given(clouds(), polls())
def test_what_actions_tell_changes_no_count_of_records(cloud: tuple[Way, ...], times: tuple[Poll, ...]) -> None:
    def counts(played: Played) -> Counter[Event]:
        return Counter(event for event in played.events if isinstance(event, Began | Ended | Corrected))

    assert counts(play(cloud, times)) == counts(play(cloud, [replace(poll, exact=False) for poll in times]))


# --- the laws of a play in which every look-up is answered ---


@LAWS
@given(clouds(), polls(ideal=True))
def test_every_status_of_a_counted_record_is_told_with_its_true_length(
    cloud: tuple[Way, ...], times: tuple[Poll, ...]
) -> None:
    played = play(cloud, times)
    for way in cloud:
        if played.of(Ended, way.uuid):
            lefts = {event.status: event.seconds for event in played.lefts(way.uuid)}
            if played.of(Began, way.uuid):
                unseen = {"running (post-copy)"} - set(played.shown[way.uuid]) if way.uuid in played.shown else set()
                assert set(way.stays()) - unseen <= set(lefts)
            for status, seconds in lefts.items():
                assert_true(way, played, status, seconds)


def assert_true(way: Way, played: Played, status: str, seconds: float | None) -> None:
    """Compare a length with the truth."""
    true = way.stays()[status]
    assert true is not None
    ended_unseen = played.of(Ended, way.uuid)[0].status == DELETED and status == way.last_live  # type: ignore[union-attr]
    ended_unseen = ended_unseen and way.entries[-1].status != "finished"
    post_copy = "running (post-copy)" in way.stays() and row_of(way.kind, status).heartbeat
    if not ended_unseen and not post_copy:
        assert seconds is not None
        assert abs(seconds - true) <= CLOSE
    elif seconds is not None:
        doubt = max(HEARTBEAT_PERIOD if row_of(way.kind, status).heartbeat else CLOSE, TOLERANCE * seconds)
        both = true + (way.stays().get("running (post-copy)") or 0.0)
        assert min(abs(seconds - true), abs(seconds - both)) <= doubt


@LAWS
@given(clouds(), polls(ideal=True))
def test_a_length_between_stamps_stays_exact_whatever_the_steps_say(
    cloud: tuple[Way, ...], times: tuple[Poll, ...]
) -> None:
    played = play(cloud, times)
    for way in cloud:
        shown = played.shown.get(way.uuid, [])
        for event in played.lefts(way.uuid):
            place = [entry.status for entry in way.entries].index(event.status)
            entry, rest = way.entries[place], way.entries[place + 1 :]
            seen = bool(rest) and {entry.status, rest[0].status} <= set(shown)
            if seen and not any(row_of(way.kind, each.status).heartbeat for each in (entry, rest[0])):
                assert event.seconds is not None
                assert abs(event.seconds - (rest[0].at - entry.at)) < 1e-6


@LAWS
@given(clouds(), polls(ideal=True))
def test_the_move_itself_ends_once_at_most_and_when_it_did(cloud: tuple[Way, ...], times: tuple[Poll, ...]) -> None:
    played = play(cloud, times)
    for way in cloud:
        ends = [event for event in played.of(MoveEnded, way.uuid) if isinstance(event, MoveEnded)]
        assert len(ends) <= 1
        for end in ends:
            possible = [
                entry.at - way.created for entry in way.entries if row_of(way.kind, entry.status).outcome is end.outcome
            ]
            possible += (
                [way.deleted - way.created] if way.deleted is not None and end.outcome is Outcome.DELETED else []
            )
            assert any(abs(end.seconds - seconds) <= CLOSE for seconds in possible)


@LAWS
@given(clouds(), polls(ideal=True))
def test_a_move_that_was_kept_or_undone_has_its_duration_whether_or_not_anybody_saw_it_finished(
    cloud: tuple[Way, ...], times: tuple[Poll, ...]
) -> None:
    played = play(cloud, times)
    for way in cloud:
        entered = {entry.status: entry.at for entry in way.entries}
        ended = {event.status for event in played.of(Ended, way.uuid) if isinstance(event, Ended)}
        if played.of(Began, way.uuid) and ended & {"confirmed", "reverted"}:
            [end] = played.of(MoveEnded, way.uuid)
            assert isinstance(end, MoveEnded)
            assert end.outcome is Outcome.SUCCESS
            assert abs(end.seconds - (entered["finished"] - way.created)) <= CLOSE


# --- the laws of a play without look-ups ---


@LAWS
@given(clouds(), polls())
def test_where_exact_durations_are_off_what_the_stamps_prove_counts_at_once(
    cloud: tuple[Way, ...], times: tuple[Poll, ...]
) -> None:
    tracker = Tracker()
    for poll in [replace(poll, exact=False) for poll in times]:
        snapshot = ask(cloud, poll, tracker)
        expected: list[Left] = []
        for migration in snapshot.migrations:
            tracked = tracker.live.get(migration.uuid)
            if tracked is not None and migration.status != tracked.migration.status and goes_on(tracked, migration):
                passed = passed_between(migration.migration_type, tracked.migration.status, migration.status)
                expected += [*left_events(tracked, migration), *(Left(migration, status, None) for status in passed)]
        began = {migration.uuid for migration in snapshot.migrations} - tracker.live.keys()
        events = tracker.observe(snapshot, poll.at)
        shown = [each for each in events if isinstance(each, Left) and each.migration in snapshot.migrations]
        known = [each for each in shown if each.migration.uuid not in began]
        assert sorted(known, key=repr) == sorted(expected, key=repr)
        assert tracker.lookups == {}
        assert all(each.doubts == () for each in tracker.live.values())


@LAWS
@given(clouds(), polls())
def test_where_nova_knows_nothing_the_same_counts_as_where_exact_durations_are_off(
    cloud: tuple[Way, ...], times: tuple[Poll, ...]
) -> None:
    def books(exact: bool) -> Counter[tuple[object, ...]]:
        played = play(cloud, [replace(poll, exact=exact, answer=Answer.NONE) for poll in times])
        ended = {way.uuid for way in cloud if played.of(Ended, way.uuid)}
        return Counter(_plain(event) for event in played.events if event.migration.uuid in ended)

    assert books(exact=True) == books(exact=False)


def _plain(event: Event) -> tuple[object, ...]:
    """Return an event without the record, which is shown as it was a poll earlier or later."""
    match event:
        case Left(status=status, seconds=seconds):
            return ("left", event.migration.uuid, status, seconds)
        case MoveEnded(outcome=outcome, seconds=seconds):
            return ("moved", event.migration.uuid, outcome, seconds)
        case _:
            return (type(event), event)
