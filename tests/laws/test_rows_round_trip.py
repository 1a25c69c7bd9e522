"""What goes into the state file comes out of it, whatever a cloud can say."""

from __future__ import annotations

import math
import os
import sqlite3
from collections.abc import Mapping
from dataclasses import replace
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exporter.domain.diagnosis import Stuck
from exporter.domain.ledger import BUCKETS, Distribution, Totals
from exporter.domain.lifecycle import MigrationType, Outcome, Reason
from exporter.domain.lookups import Lookup
from exporter.domain.migration import Migration
from exporter.domain.server import Server
from exporter.domain.state import UNKNOWN, CloudState
from exporter.domain.stranded import Stranded
from exporter.domain.tracked import NO_VERDICT, Doubt, Stay, Tracked, Verdict
from exporter.domain.tracker import End, Times
from exporter.store.rows import (
    COLUMNS,
    MIGRATIONS,
    Row,
    counter_rows,
    distribution_rows,
    end_row,
    live_row,
    lookup_row,
    state_of,
    times_row,
    unknown_rows,
)
from exporter.store.state_file import StateFile

K = TypeVar("K")
V = TypeVar("V")

#: Whatever UTF-8 can carry: NUL, quotes, characters beyond the first plane; lone surrogates are no text (RFC 8259, 8.1).
TEXTS = st.text(st.characters(codec="utf-8"), max_size=20) | st.sampled_from(
    ("\0", "a\0b", "\U0001d54f", "'; --", '["x"]', "ß" * 255)
)
TIMES = st.floats(allow_nan=False) | st.sampled_from((math.inf, -math.inf, 0.0, -0.0, 1.0, 2.0**53 + 1, 5e-324))
SECONDS = st.floats(min_value=0, allow_infinity=False)
INTEGERS = st.integers(-(2**63), 2**63 - 1)
COUNTS = st.integers(1, 2**63 - 1)
KINDS = st.sampled_from(MigrationType)
OUTCOMES = st.sampled_from(Outcome)
PAIRS = st.tuples(KINDS, TEXTS)
STUCK = st.builds(Stuck, st.sampled_from(Reason), TIMES)
STAYS = st.builds(Stay, TEXTS, TIMES, TIMES)
DOUBTS = st.builds(Doubt, TEXTS, st.none() | TIMES)
REASONS = st.none() | st.sampled_from(Reason)
VERDICTS = st.just(NO_VERDICT) | st.builds(Verdict, REASONS, TIMES, REASONS, TIMES)
ENDS = st.builds(End, TEXTS, TIMES, TIMES, st.booleans())

LONG = int(os.environ.get("LAWS_EXAMPLES", "0"))
SETTINGS = settings(max_examples=LONG or 60, deadline=None, suppress_health_check=list(HealthCheck))


def few(keys: st.SearchStrategy[K], values: st.SearchStrategy[V]) -> st.SearchStrategy[dict[K, V]]:
    """Draw a small mapping."""
    return st.dictionaries(keys, values, max_size=4)


@st.composite
def distributions(draw: st.DrawFn) -> Distribution:
    """Draw a distribution with at least one observation; one with none is not kept."""
    counts = draw(st.lists(st.integers(0, 2**40), min_size=len(BUCKETS) + 1, max_size=len(BUCKETS) + 1).filter(any))
    return Distribution(tuple(counts), draw(SECONDS))


@st.composite
def tracked(draw: st.DrawFn, uuid: str, last_sweep: float | None) -> Tracked:
    """Draw a live record; most were seen by the last sweep."""
    hosts, flavors = st.none() | TEXTS, st.none() | INTEGERS
    migration = Migration(
        uuid,
        draw(KINDS),
        draw(TEXTS),
        draw(TEXTS),
        draw(TIMES),
        draw(st.none() | TIMES),
        *(draw(hosts) for _ in range(3)),
        *(draw(flavors) for _ in range(2)),
    )
    return Tracked(
        migration,
        Stay(migration.status, draw(TIMES), draw(TIMES)),
        seen=draw(TIMES if last_sweep is None else TIMES | st.just(last_sweep)),
        first_seen=draw(TIMES),
        counted=draw(st.booleans()),
        history=tuple(draw(st.lists(STAYS, max_size=3))),
        move_over=draw(st.booleans()),
        created_proven=draw(st.booleans()),
        heartbeat=draw(st.none() | TIMES),
        stuck_in=draw(st.frozensets(TEXTS, max_size=3)),
        unseen_since=draw(st.none() | TIMES),
        verdict=draw(VERDICTS),
        doubts=tuple(draw(st.lists(DOUBTS, max_size=3))),
    )


@st.composite
def lookups(draw: st.DrawFn, uuid: str) -> Lookup:
    """Draw a record to be read, that lives or has ended."""
    queued, attempts = draw(TIMES), draw(st.integers(0, 9))
    if draw(st.booleans()):
        return Lookup(queued, attempts)
    return Lookup(queued, attempts, draw(tracked(uuid, None)), draw(TEXTS), draw(st.none() | TIMES))


@st.composite
def servers(draw: st.DrawFn, server_id: str) -> Stranded:
    """Draw a server that no record explains."""
    shown = [draw(st.none() | TEXTS) for _ in range(6)]
    return Stranded(Server(server_id, draw(TEXTS), *shown), draw(TIMES), draw(st.integers(1, 9)))


TOTALS = st.builds(
    Totals,
    started=few(KINDS, COUNTS),
    ended=few(PAIRS, COUNTS),
    corrections=few(st.tuples(KINDS, TEXTS, TEXTS), COUNTS),
    unobserved=few(PAIRS, COUNTS),
    became_stuck=few(PAIRS, COUNTS),
    status_durations=few(PAIRS, distributions()),
    move_durations=few(st.tuples(KINDS, OUTCOMES), distributions()),
    ended_per_host=few(st.tuples(TEXTS, TEXTS, KINDS, OUTCOMES), COUNTS),
)


@st.composite
def states(draw: st.DrawFn) -> CloudState:
    """Draw all that can be known of a cloud."""
    times = draw(st.builds(Times, *[st.none() | TIMES] * 4))
    names = draw(st.lists(TEXTS, max_size=4, unique=True))
    live = {uuid: draw(tracked(uuid, times.last_sweep)) for uuid in names}
    stuck = {uuid: draw(STUCK) for uuid in names if draw(st.booleans())}
    ended = {uuid: end for uuid, end in draw(few(TEXTS, ENDS)).items() if uuid not in live}
    unknown, last_success = draw(st.frozensets(PAIRS, max_size=4)), draw(st.none() | TIMES)
    read = {uuid: draw(lookups(uuid)) for uuid in draw(st.sets(TEXTS, max_size=3))}
    stranded = {server_id: draw(servers(server_id)) for server_id in draw(st.sets(TEXTS, max_size=3))}
    return CloudState(times, live, stuck, ended, draw(TOTALS), unknown, last_success, read, stranded)


def rows_of(state: CloudState) -> Mapping[str, list[Row]]:
    """Return the rows of a state by table, without their clouds."""
    last_sweep = state.times.last_sweep
    return {
        "live": [live_row(each, state.stuck.get(uuid), last_sweep) for uuid, each in state.live.items()],
        "lookup": [lookup_row(uuid, each) for uuid, each in state.lookups.items()],
        "ended": [end_row(uuid, end) for uuid, end in state.ended.items()],
        "counter": list(counter_rows(state.totals)),
        "distribution": list(distribution_rows(state.totals)),
        "unknown_status": list(unknown_rows(state)),
    }


def stored(tables: Mapping[str, list[Row]]) -> Mapping[str, list[Row]]:
    """Return what SQLite makes of rows."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    for statement in "".join(MIGRATIONS).split(";"):
        connection.execute(statement)
    connection.execute("INSERT INTO cloud (id, name) VALUES (1, 'one')")
    found = {}
    for table, rows in tables.items():
        names = ", ".join(COLUMNS[table])
        marks = ", ".join("?" * len(COLUMNS[table]))
        connection.executemany(f"INSERT INTO {table} (cloud, {names}) VALUES (1, {marks})", rows)
        found[table] = connection.execute(f"SELECT {names} FROM {table}").fetchall()
    connection.close()
    return found


def after(first: CloudState, then: CloudState) -> CloudState:
    """Return a state such as may follow: no counter and no name is forgotten, and what has ended does not live again."""
    books = {book: {**getattr(first.totals, book), **getattr(then.totals, book)} for book in Totals.__slots__}
    return replace(
        then,
        live={uuid: each for uuid, each in then.live.items() if uuid not in first.ended},
        stuck={uuid: each for uuid, each in then.stuck.items() if uuid not in first.ended},
        totals=Totals(**books),
        unknown_pairs=first.unknown_pairs | then.unknown_pairs,
    )


def touched(state: CloudState) -> set[str]:
    """Return every record that a state has to do with."""
    return {*state.live, *state.ended, *state.lookups}


@SETTINGS
@given(states())
def test_a_state_is_what_its_rows_say(state: CloudState) -> None:
    assert state_of(times_row(state), rows_of(state)) == state


@SETTINGS
@given(states())
def test_a_state_is_what_its_rows_say_when_a_database_had_them(state: CloudState) -> None:
    assert state_of(times_row(state), stored(rows_of(state))) == state


@settings(SETTINGS, max_examples=LONG or 30)
@given(name=TEXTS, first=states(), then=states())
def test_a_state_file_gives_back_the_state_that_was_saved_last(
    tmp_path_factory: pytest.TempPathFactory, name: str, first: CloudState, then: CloudState
) -> None:
    path = tmp_path_factory.mktemp("rows") / "state.db"
    store = StateFile(path)
    assert store.load(name) == UNKNOWN
    assert store.save(name, first, touched(first))
    then = after(first, then)
    assert store.save(name, then, touched(first) | touched(then))
    store.close()
    again = StateFile(path)
    assert again.load(name) == then
    again.close()
