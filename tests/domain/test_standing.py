"""What is stuck is the same whether all is judged anew at each poll, or only what changed and what is due."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.domain.diagnosis import Limits
from exporter.domain.lifecycle import LIVE_ROWS, UNKNOWN_STATUS, MigrationType, Reason
from exporter.domain.revocable import Revocable
from exporter.domain.server import Progress
from exporter.domain.standing import Standing
from exporter.domain.tracked import Stay, Tracked, Verdict
from tests.domain.records import LIVE, RESIZE, record

LIMITS = Limits(
    {**{(row.migration_type, row.status): 10.0 for row in LIVE_ROWS}, (RESIZE, "finished"): math.inf}
    | dict.fromkeys([(kind, UNKNOWN_STATUS) for kind in MigrationType], 30.0),
    no_progress=15.0,
    completion_timeout_per_gib=20.0,
)
UUIDS = "abcde"
MOMENTS = st.integers(0, 100).map(float)


@st.composite
def live_records(draw: st.DrawFn, uuid: str) -> Tracked:
    status = draw(st.sampled_from(["accepted", "queued", "preparing", "running", "odd"]))
    kind = draw(st.sampled_from([LIVE, RESIZE]))
    since = draw(MOMENTS)
    tracked = Tracked(
        record(kind, "finished" if kind is RESIZE else status, since, uuid=uuid),
        Stay(status, since),
        since,
        since,
        False,
    )
    verdict = draw(st.sampled_from([Verdict(), Verdict(Reason.OVERDUE, since), Verdict(Reason.SOURCE_DOWN, since)]))
    heartbeat, unseen = draw(st.none() | MOMENTS), draw(st.none() | MOMENTS)
    return replace(tracked, verdict=verdict, heartbeat=heartbeat, unseen_since=unseen)


@given(st.data())
def test_what_is_judged_from_poll_to_poll_is_what_is_judged_anew(data: st.DataObject) -> None:
    standing, live, progress, ignored = Standing(LIMITS), dict[str, Tracked](), dict[str, Progress](), set[str]()
    for _ in range(data.draw(st.integers(1, 8))):
        changed = data.draw(st.sets(st.sampled_from(UUIDS)))
        for uuid in changed:
            live.pop(uuid, None)
            if data.draw(st.booleans()):
                live[uuid] = data.draw(live_records(uuid))
            (ignored.add if data.draw(st.integers(0, 5)) == 0 else ignored.discard)(uuid)
            progress[uuid] = Progress(2**30, 0, data.draw(st.sampled_from([0, 2**30])))
        at = data.draw(st.integers(0, 200).map(float))
        kept = standing.judge(live, changed, ignored, at, progress)
        assert kept == Standing(LIMITS).judge(live, live.keys(), ignored, at, progress)


def test_what_changes_again_and_again_leaves_nothing_behind() -> None:
    standing, live = Standing(LIMITS), {}
    for at in range(5000):
        live["a"] = Tracked(record(LIVE, "accepted", at, uuid="a"), Stay("accepted", float(at)), at, at, False)
        assert standing.judge(live, {"a"}, frozenset(), float(at), {}) == {}
    assert standing.judge(live, frozenset(), frozenset(), 6000.0, {}).keys() == {"a"}
    assert len(standing._queue) < 2000


@given(
    st.dictionaries(st.sampled_from(UUIDS), st.integers()),
    st.lists(st.tuples(st.sampled_from(UUIDS), st.none() | st.integers())),
)
def test_a_table_takes_back_everything_since_it_was_marked(
    before: dict[str, int], changes: list[tuple[str, int | None]]
) -> None:
    table, plain = Revocable(before), dict(before)
    for key, value in changes:
        if value is not None:
            table[key] = plain[key] = value
        elif key in table:
            del table[key], plain[key]
    assert table == plain
    table.take_back()
    assert table == before
    table["new"] = 1
    table.mark()
    table.take_back()
    assert table == {**before, "new": 1}


def test_nothing_that_is_not_there_can_be_removed() -> None:
    with pytest.raises(KeyError):
        del Revocable({})["a"]
