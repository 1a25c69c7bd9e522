"""Servers that are in the middle of a move of which no live record is left: pure, from one sweep after the other."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass

from exporter.domain.lifecycle import MINUTE, Reason
from exporter.domain.server import Server, Sighting
from exporter.domain.tracked import Tracked

#: A server is stranded when so many complete sweeps have seen it so, over so many seconds: records and servers are read one
#: after the other, and Nova writes them at different moments.
STRANDED_SWEEPS = 2
STRANDED_AFTER = 10 * MINUTE


@dataclass(frozen=True, slots=True)
class Stranded:
    """A server in a moving status without a live record, as last seen; `since` is when the first of `sweeps` saw it so."""

    server: Server
    since: float
    sweeps: int


def find_stranded(
    known: Mapping[str, Stranded], sighting: Sighting, explained: Set[str], at: float
) -> dict[str, Stranded]:
    """Return the servers that a complete sweep at this time (the cloud's) saw in a move that no live record explains, by id.

    `known` is what the sweep before returned, `explained` the ids of the servers that a live record explains.
    """
    return {
        server_id: _seen_again(known.get(server_id), server, at)
        for server_id, server in sighting.moving.items()
        if server_id not in explained and _is_moved(server, sighting)
    }


def explained_by(live: Mapping[str, Tracked]) -> Set[str]:
    """Return the ids of the servers that live records explain; an orphaned record explains nothing.

    So a server that hangs at the end of a revert is found, though a dead record of an older move is left.
    """
    return {each.migration.server_id for each in live.values() if each.verdict.reason is not Reason.ORPHANED}


def is_stranded(each: Stranded, at: float, after: float = STRANDED_AFTER) -> bool:
    """Tell whether a server has been so for long enough: `after` so many seconds."""
    return each.sweeps >= STRANDED_SWEEPS and at - each.since >= after


def _is_moved(server: Server, sighting: Sighting) -> bool:
    """Tell whether a server is really in a move: one in REBUILD only if an evacuation put it there."""
    return server.status != "REBUILD" or server.id in sighting.evacuating


def _seen_again(before: Stranded | None, server: Server, at: float) -> Stranded:
    """Return a server with what was seen of it before; in another status it begins anew."""
    if before is None or before.server.status != server.status:
        return Stranded(server, at, 1)
    return Stranded(server, before.since, before.sweeps + 1)
