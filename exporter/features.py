"""What is asked beyond the records themselves: servers and hosts, what was done with servers, what live migrations have moved.

None of it may cost a poll: what fails is said to be not available, and what was known before stays.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass, field

from exporter.domain.chronicle import Chronicle
from exporter.domain.cloud import Cloud, CloudError, ErrorKind, Feature
from exporter.domain.history import needed
from exporter.domain.lifecycle import MigrationType
from exporter.domain.lookups import in_turn
from exporter.domain.migration import Migration
from exporter.domain.server import MOVING_STATUSES, Action, Progress, Server, Sighting
from exporter.domain.stranded import explained_by
from exporter.domain.tracked import Tracked
from exporter.turns import Turns

log = logging.getLogger(__name__)

#: Servers that are looked up one by one in a sweep, because they are in no moving status; the rest have their turn later.
SERVERS_PER_SWEEP = 50

#: Live migrations whose progress is read in a poll; the rest have their turn later.
PROGRESS_PER_POLL = 20

#: Requests that one record takes at most: its server's actions, the steps of the move and of the decision after it.
REQUESTS_OF_A_RECORD = 3

#: What is asked beyond the records may take this share of the time that a poll has left.
SHARE_OF_DEADLINE = 0.5


@dataclass(slots=True)
class Told:
    """What the features told in one poll.

    `available` tells of each feature that was asked for whether that went well. `actions`, `unread`, `sighting` and `progress`
    are as the tracker's snapshot takes them; `exact` tells that actions can be read, now or later.
    """

    available: dict[Feature, bool] = field(default_factory=dict)
    exact: bool = False
    actions: dict[str, Sequence[Action] | None] = field(default_factory=dict)
    unread: set[str] = field(default_factory=set)
    sighting: Sighting | None = None
    progress: dict[str, Progress] = field(default_factory=dict)


class Features:
    """The questions to one cloud that explain its records.

    `name` is the cloud's in the log, `wanted` what is switched on, `action_requests` how many requests for instance actions a
    poll may make; `monotonic` never jumps.
    """

    def __init__(
        self, name: str, wanted: frozenset[Feature], action_requests: int, cloud: Cloud, monotonic: Callable[[], float]
    ) -> None:
        self._name = name
        self._wanted = wanted if action_requests else wanted - {Feature.EXACT_DURATIONS}
        self._action_requests = action_requests
        self._cloud = cloud
        self._monotonic = monotonic
        self._refused: set[Feature] = set()
        self._without_admin: set[Feature] = set()
        self._available: dict[Feature, bool] = {}
        self._servers = Turns(SERVERS_PER_SWEEP, monotonic)
        self._rebuilt = Turns(SERVERS_PER_SWEEP, monotonic)
        self._progress = Turns(PROGRESS_PER_POLL, monotonic)

    def ask(self, chronicle: Chronicle, sweep: bool, deadline: float) -> Told:
        """Ask what there is to be asked in a poll; `sweep` tells that it asked for everything that is live.

        `deadline` is that of the poll, in monotonic seconds. Raises nothing that the cloud is to blame for.
        """
        now, told = self._monotonic(), Told()
        until = now + (deadline - now) * SHARE_OF_DEADLINE
        if sweep:
            self._refused.clear()
        if sweep and Feature.DIAGNOSIS in self._wanted:
            with self._trying(Feature.DIAGNOSIS, told, asks=True):
                told.sighting = self._sight(chronicle, until)
        if self._may_ask(Feature.EXACT_DURATIONS, told):
            with self._trying(Feature.EXACT_DURATIONS, told, asks=bool(chronicle.tracker.lookups)):
                self._read_actions(chronicle, told, until)
        if self._may_ask(Feature.LIVE_PROGRESS, told):
            running = _running(chronicle)
            with self._trying(Feature.LIVE_PROGRESS, told, asks=bool(running)):
                self._read_progress(running, told, until)
        told.exact = Feature.EXACT_DURATIONS in self._wanted - self._refused and self._cloud.shows_servers_by_id()
        self._available.update(told.available)
        told.available = dict(self._available)
        return told

    def _may_ask(self, feature: Feature, told: Told) -> bool:
        """Tell whether to try a feature that asks for servers by their id."""
        if feature not in self._wanted or feature in self._refused:
            return False
        if not self._cloud.shows_servers_by_id():
            told.available[feature] = False
            self._without_admin.add(feature)
            return False
        if (
            feature in self._without_admin
        ):  # the user has become an admin: what was true of the other is not of this one
            self._without_admin.discard(feature)
            self._available.pop(feature, None)
        return True

    @contextmanager
    def _trying(self, feature: Feature, told: Told, *, asks: bool) -> Iterator[None]:
        """Ask for a feature within; what fails, by the cloud's fault or ours, costs that feature and nothing else.

        Where there is nothing that `asks`, nothing follows: what failed before is not available yet.
        """
        told.available[feature] = False
        try:
            yield
            told.available[feature] = asks or self._available.get(feature, True)
        except CloudError as error:
            if error.kind is ErrorKind.FORBIDDEN:
                self._refused.add(feature)
            if self._available.get(feature) is not False:
                words = {"feature": feature.value, "reason": error.kind.value, "error": str(error)}
                log.warning("a feature is not available", extra={"cloud": self._name, **words})
        except Exception:
            log.exception("a feature failed unexpectedly", extra={"cloud": self._name, "feature": feature.value})

    # Servers and hosts

    def _sight(self, chronicle: Chronicle, deadline: float) -> Sighting:
        """Look at every server in a moving status, at the others of live records, and at the hosts that must act."""
        live = chronicle.watched()
        moving = {
            server.id: server
            for status in MOVING_STATUSES
            for server in self._cloud.servers_with_status(status, deadline)
        }
        others = self._look_at_others(live.values(), moving, deadline)
        hosts = {host for each in live.values() if (host := each.migration.acting_host) is not None}
        up = self._cloud.hosts_up(sorted(hosts), deadline) if hosts else {}
        explained = explained_by(chronicle.tracker.live)
        rebuilt = {each.id for each in moving.values() if each.status == "REBUILD" and each.id not in explained}
        evacuating = self._evacuated_of(rebuilt, chronicle, deadline)
        return Sighting(moving, others, frozenset(evacuating), up)

    def _look_at_others(
        self, live: Iterable[Tracked], moving: Mapping[str, Server], deadline: float
    ) -> dict[str, Server]:
        """Look at servers of live records that are in no moving status."""
        wanted = {each.migration.server_id for each in live} - moving.keys()
        found = {server_id: self._cloud.server(server_id, deadline) for server_id in self._servers.of(wanted)}
        return {server_id: server for server_id, server in found.items() if server is not None}

    def _evacuated_of(self, rebuilt: Set[str], chronicle: Chronicle, deadline: float) -> set[str]:
        """Return those servers in REBUILD that an evacuation put there; those come first of which that was said before."""
        turn = self._rebuilt.of(rebuilt, first=chronicle.stranded)
        return {server_id for server_id in turn if self._is_evacuated(server_id, deadline)}

    def _is_evacuated(self, server_id: str, deadline: float) -> bool:
        """Tell whether it was an evacuation that rebuilds a server, and not a rebuild in place: by its newest action.

        Where actions may not be read, by its newest record.
        """
        if self._cloud.shows_servers_by_id():
            actions = self._cloud.actions(server_id, 0.0, deadline)
            return bool(actions) and max(actions or (), key=lambda each: each.start).name == "evacuate"
        records = self._cloud.of_server(server_id, deadline).migrations
        newest = max(records, key=lambda each: each.created_at, default=None)
        return newest is not None and newest.migration_type is MigrationType.EVACUATION

    # What was done with servers

    def _read_actions(self, chronicle: Chronicle, told: Told, deadline: float) -> None:
        """Read the actions of records whose way is in doubt, as far as the budget of requests goes, but of one at least."""
        tracker, left = chronicle.tracker, self._action_requests
        for uuid in in_turn(tracker.lookups):
            past = tracker.lookups[uuid].past(tracker.live.get(uuid))
            if left < min(REQUESTS_OF_A_RECORD, self._action_requests):
                return
            if past is None:
                told.actions[uuid] = None
                continue
            server_id = past.migration.server_id
            told.unread.add(uuid)
            listed = self._cloud.actions(server_id, past.asks_since, deadline)
            wanted = needed(past, listed or ())
            read = {each.request_id: self._cloud.steps(server_id, each.request_id, deadline) for each in wanted}
            left -= 1 + len(wanted)
            told.unread.discard(uuid)
            told.actions[uuid] = listed and [read.get(each.request_id) or each for each in listed]

    # What live migrations have moved

    def _read_progress(self, running: Mapping[str, Migration], told: Told, deadline: float) -> None:
        """Read what running live migrations have moved."""
        for uuid in self._progress.of(running):
            moved = self._cloud.progress(running[uuid].server_id, deadline) or {}
            if uuid in moved:
                told.progress[uuid] = moved[uuid]


def _running(chronicle: Chronicle) -> dict[str, Migration]:
    """Return the running live migrations, of which alone Nova shows what they have moved, by uuid."""
    live = {uuid: each.migration for uuid, each in chronicle.watched().items()}
    return {uuid: migration for uuid, migration in live.items() if migration.status == "running"}
