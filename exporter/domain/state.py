"""What must survive of one cloud: a value between the chronicle that makes it and the store that keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from exporter.domain.diagnosis import Stuck
from exporter.domain.ledger import Totals
from exporter.domain.lifecycle import MigrationType
from exporter.domain.lookups import Lookup
from exporter.domain.stranded import Stranded
from exporter.domain.tracked import Tracked
from exporter.domain.tracker import End, Times


@dataclass(frozen=True, slots=True)
class CloudState:
    """Everything that must survive of one cloud after a poll; the records of a chronicle's state go on with the chronicle.

    `unknown_pairs` are the statuses seen that the lifecycle table does not know, under the names they are exposed by.
    `last_success` is when the poll ended, in seconds since the epoch. `lookups` are the records to be read from actions,
    `stranded` the servers, by id, that no record explains.
    """

    times: Times = field(default_factory=Times)
    live: Mapping[str, Tracked] = field(default_factory=dict)
    stuck: Mapping[str, Stuck] = field(default_factory=dict)
    ended: Mapping[str, End] = field(default_factory=dict)
    totals: Totals = field(default_factory=Totals)
    unknown_pairs: frozenset[tuple[MigrationType, str]] = frozenset()
    last_success: float | None = None
    lookups: Mapping[str, Lookup] = field(default_factory=dict)
    stranded: Mapping[str, Stranded] = field(default_factory=dict)


#: What is known of a cloud that was never looked at.
UNKNOWN = CloudState()
