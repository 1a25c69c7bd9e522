"""What was done with servers: Nova's instance actions with their events, as its services write them."""

import threading
import uuid
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from typing import Any

from exporter.demo.records import ActionRow, EventRow
from exporter.demo.stamps import Precision

_TRACEBACK = """\
  File "nova/compute/utils.py", line 1475, in decorated_function
    return function(self, context, *args, **kwargs)
"""


class Actions:
    """Hold the actions of each server, the oldest first; safe to use from several threads. Times are epoch seconds."""

    def __init__(self, *, clock: Callable[[], float], precision: Precision) -> None:
        self._clock = clock
        self._precision = precision
        self._lock = threading.Lock()
        self._ids = count(1)
        self._by_server: dict[str, list[ActionRow]] = {}
        self._events: dict[int, list[EventRow]] = {}

    def _stamp(self, at: float | None) -> float:
        return self._precision.keep(self._clock() if at is None else at)

    def start(
        self, server_id: str, action: str, *, request_id: str | None = None, at: float | None = None, **columns: Any
    ) -> ActionRow:
        """Write that something was asked of a server; `at` is when the request came in, now by default.

        The request id is made up where it is not given. Columns: message, user_id, project_id.
        """
        stamp = self._stamp(at)
        row = ActionRow(
            id=next(self._ids), instance_uuid=server_id, action=action, request_id=request_id or f"req-{uuid.uuid4()}",
            start_time=stamp, updated_at=stamp, **columns,
        )  # fmt: skip
        with self._lock:
            self._by_server.setdefault(server_id, []).append(row)
            self._events[row.id] = []
        return row

    def start_event(
        self, server_id: str, request_id: str, event: str, *, host: str | None, at: float | None = None
    ) -> None:
        """Write that a step of an action begins on a host; nothing where there is no such action any more."""
        stamp = self._stamp(at)
        with self._lock:
            action = self._newest(server_id, request_id)
            if action is not None:
                self._events[action.id].append(EventRow(event=event, host=host, start_time=stamp))
                self._swap(action, replace(action, updated_at=stamp))

    def finish_event(
        self, server_id: str, request_id: str, event: str, *, error: str | None = None, at: float | None = None
    ) -> None:
        """Write that a step ends, with an error or well; of several of a name the first gets it, however often.

        So does Nova (nova/db/main/api.py action_event_finish). Nothing where there is no such step any more.
        """
        stamp = self._stamp(at)
        with self._lock:
            action = self._newest(server_id, request_id)
            events = [] if action is None else self._events[action.id]
            places = [place for place, row in enumerate(events) if row.event == event]
            if action is None or not places:
                return
            row = replace(events[places[0]], finish_time=stamp, result="Success" if error is None else "Error")
            events[places[0]] = row if error is None else replace(row, details=error, traceback=_TRACEBACK)
            message = action.message if error is None else "Error"
            self._swap(action, replace(action, updated_at=stamp, message=message))

    def _newest(self, server_id: str, request_id: str) -> ActionRow | None:
        """Give the newest action of a request id: a deletion in VERIFY_RESIZE also confirms, under one id."""
        found = (row for row in reversed(self._by_server.get(server_id, ())) if row.request_id == request_id)
        return next(found, None)

    def _swap(self, former: ActionRow, row: ActionRow) -> None:
        rows = self._by_server[row.instance_uuid]
        rows[rows.index(former)] = row

    def of_server(self, server_id: str) -> list[ActionRow]:
        """Give what was done with a server, the newest first."""
        with self._lock:
            return self._by_server.get(server_id, [])[::-1]

    def action(self, server_id: str, request_id: str) -> ActionRow | None:
        """Give the newest action of a server with a request id."""
        with self._lock:
            return self._newest(server_id, request_id)

    def events(self, action: ActionRow) -> list[EventRow]:
        """Give the steps of an action, the newest first."""
        with self._lock:
            return self._events.get(action.id, [])[::-1]

    def forget(self, server_id: str) -> None:
        """Forget all that was done with a server."""
        with self._lock:
            for row in self._by_server.pop(server_id, ()):
                del self._events[row.id]
