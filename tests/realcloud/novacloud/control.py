"""The private door of the cloud: commands of tests, as `POST /COMMAND` with a JSON object of arguments."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from typing import Any

import eventlet
import nova.conf
import nova.context
import nova.policy
from novacloud.driver import BEHAVIOURS
from novacloud.environment import CELLS, Environment
from novacloud.frontdoor import Door, json_answer
from novacloud.operations import Operations
from novacloud.truth import Truth

LOG = logging.getLogger(__name__)
CONF = nova.conf.CONF
QUIET = 0.1  # seconds without a change that show a held cloud to be still


class Control:
    """Every public method is a command; its arguments and its result are JSON."""

    def __init__(self, environment: Environment, door: Door) -> None:
        """Take command of a started cloud."""
        self.environment, self.door = environment, door
        self.operations = Operations(door.trusted)
        self.truth_of = Truth({name: environment.connection(name) for name in environment.cell_mappings})
        self._overrides: set[tuple[str, str]] = set()
        self._cell_timeout = nova.context.CELL_TIMEOUT

    # the cloud as a whole

    def hosts(self) -> dict[str, Any]:
        """Return the hosts, each with its cell and whether it is stopped."""
        return {host: {"cell": cell, "stopped": self.environment.is_stopped(host)} for host, cell in CELLS.items()}

    def identify(self, user_id: str, project_id: str) -> None:
        """Say who the administrator is in whose name moves are made."""
        self.operations.identity = {"user_id": user_id, "project_id": project_id}

    def cost(self) -> dict[str, float]:
        """Return the CPU seconds of this process so far."""
        return {"cpu_seconds": time.process_time(), "at": time.time()}

    def hold(self, timeout: float = 30) -> dict[str, Any]:
        """Stop every status change and return the truth once nothing moves any more."""
        BEHAVIOURS.held = True
        end = time.monotonic() + timeout
        before = -1
        while (now := self.truth_of.changes()) != before or BEHAVIOURS.moving:
            if time.monotonic() > end:
                raise TimeoutError(f"the cloud was not still within {timeout} s")
            before = now
            eventlet.sleep(QUIET)
        return self.truth()

    def release(self) -> None:
        """Let everything go on."""
        BEHAVIOURS.held = False

    def reset(self) -> None:
        """Return to a clean cloud: no servers, records, rules, faults or overrides; all hosts up."""
        self.door.faults.clear()
        for group, name in self._overrides:
            CONF.clear_override(name, None if group == "DEFAULT" else group)
        self._overrides.clear()
        nova.context.CELL_TIMEOUT = self._cell_timeout
        self.truth_of.stop_watching()
        self.environment.wipe()
        self.truth_of.watch()
        self.truth_of.stamps("exact")
        self.reset_policy()
        self.truth_of.forget()
        self.operations.forget()
        self.door.log.clear()

    def set_config(self, group: str, name: str, value: Any) -> None:
        """Override one of Nova's options until the next reset."""
        CONF.set_override(name, value, None if group == "DEFAULT" else group)
        self._overrides.add((group, name))

    def set_policy(self, rules: dict[str, str]) -> None:
        """Override policy rules until the next reset."""
        self.environment.policy.set_rules(rules, overwrite=False)

    def reset_policy(self) -> None:
        """Return to the policies that Nova ships."""
        nova.policy.reset()
        nova.policy.init(suppress_deprecation_warnings=True)

    def policy_default(self, name: str) -> str:
        """Return the check string of a rule that is in force."""
        nova.policy.init(suppress_deprecation_warnings=True)
        return str(nova.policy._ENFORCER.registered_rules[name].check_str)

    # hosts and cells

    def stop_host(self, host: str, graceful: bool = False) -> None:
        """Stop a compute service: as kill -9 does, or gracefully."""
        (self.environment.stop_host if graceful else self.environment.kill_host)(host)

    def start_host(self, host: str) -> None:
        """Start a stopped compute service."""
        self.environment.start_host(host)

    def force_down(self, host: str, down: bool = True) -> None:
        """Mark a compute service as down, or no longer so, through the API."""
        services = self.operations.ask("GET", f"/os-services?host={host}&binary=nova-compute")["services"]
        self.operations.ask("PUT", f"/os-services/{services[0]['id']}", {"forced_down": down})

    def break_cell(
        self, cell: str, how: str | None = "down", seconds: float = 0.0, timeout: float | None = None
    ) -> None:
        """Make a cell's database fail (`down`), never answer (`hung`) or answer late (`slow`); None repairs it."""
        if timeout is not None:
            nova.context.CELL_TIMEOUT = timeout
        self.environment.break_cell(cell, how, seconds)

    # rules

    def add_rule(self, method: str, action: str, **details: Any) -> dict[str, Any]:
        """Add a behaviour."""
        return BEHAVIOURS.add(method, action, **details)

    def remove_rules(self, number: int | None = None, method: str | None = None, server: str | None = None) -> int:
        """Remove behaviours and let their waiters go on."""
        return BEHAVIOURS.remove(number, method, server)

    def rules(self) -> list[dict[str, Any]]:
        """Return the behaviours with how often each was met and how many threads wait in it."""
        return [vars(rule) for rule in BEHAVIOURS.rules]

    # requests to Nova

    def request(
        self, method: str, path: str, body: Any = None, microversion: str = "2.95", wait: float | None = None
    ) -> dict[str, Any]:
        """Start a request to Nova's API as the administrator; wait so many seconds for the answer, or not at all."""
        operation = self.operations.start(method, path, body, microversion)
        if wait is not None:
            self.operations.wait(operation.number, wait)
        return operation.plain()

    def answer(self, operation: int, timeout: float = 60) -> dict[str, Any]:
        """Wait for the answer to a request that was started."""
        return self.operations.wait(operation, timeout).plain()

    def create_server(self, name: str = "server", host: str = "host1", flavor: str = "1", timeout: float = 30) -> Any:
        """Create a server on a host and wait until it is active."""
        image = "155d900f-4e14-4e4c-a73d-069cbf4541e6"  # nova/tests/fixtures/glance.py
        body = {"name": name, "imageRef": image, "flavorRef": flavor, "networks": "none", "host": host}
        server = self.operations.ask("POST", "/servers", {"server": body})["server"]["id"]
        return self.wait_server(server, "ACTIVE", timeout)

    def wait_server(self, server: str, status: str, timeout: float = 30) -> Any:
        """Wait until a server has a status and no task, and return it."""
        end = time.monotonic() + timeout
        while True:
            shown = self.operations.ask("GET", f"/servers/{server}")["server"]
            if shown["status"] == status and (status == "ERROR" or shown["OS-EXT-STS:task_state"] is None):
                return shown
            if time.monotonic() > end:
                raise TimeoutError(
                    f"server {server} is {shown['status']}/{shown['OS-EXT-STS:task_state']}, not {status}"
                )
            eventlet.sleep(0.05)

    def wait_deleted(self, server: str, timeout: float = 30) -> None:
        """Wait until a server is gone."""
        end = time.monotonic() + timeout
        while self.operations.wait(self.operations.start("GET", f"/servers/{server}").number, timeout).status != 404:
            if time.monotonic() > end:
                raise TimeoutError(f"server {server} was not deleted within {timeout} s")
            eventlet.sleep(0.05)

    # truth

    def truth(self, uuid: str | None = None, server: str | None = None) -> dict[str, Any]:
        """Return the records, the history of every uuid, and the time."""
        history: dict[str, list[dict[str, Any]]] = {}
        for row in self.truth_of.history(uuid):
            history.setdefault(row["uuid"], []).append(row)
        records = self.truth_of.records(uuid, server)
        if server is not None:
            history = {key: history[key] for key in {row["uuid"] for row in records} if key in history}
        return {"at": time.time(), "records": records, "history": history}

    def newest(self, server: str | None = None, uuid: str | None = None) -> dict[str, Any] | None:
        """Return the newest record of a server, or a record."""
        return self.truth_of.newest(uuid, server)

    def wait_status(
        self, status: str | list[str], server: str | None = None, uuid: str | None = None, timeout: float = 30
    ) -> dict[str, Any]:
        """Wait until the newest record of a server, or a record, has one of some statuses; return the record."""
        wanted = [status] if isinstance(status, str) else status
        end = time.monotonic() + timeout
        while True:
            newest = self.truth_of.newest(uuid, server)
            if newest and newest["status"] in wanted:
                return newest
            if time.monotonic() > end:
                found = [row["status"] for row in self.truth_of.records(uuid, server)]
                raise TimeoutError(f"no {' or '.join(wanted)} within {timeout} s; the records have {found}")
            eventlet.sleep(0.02)

    def insert_record(self, **columns: Any) -> dict[str, Any]:
        """Insert a record by SQL."""
        return self.truth_of.insert(**columns)

    def insert_records(self, count: int, **details: Any) -> dict[str, float]:
        """Insert many ended records by SQL."""
        return self.truth_of.insert_many(count, **details)

    def update_record(self, uuid: str, **columns: Any) -> int:
        """Overwrite columns of a record by SQL."""
        return self.truth_of.update(uuid, **columns)

    def delete_records(self, uuids: list[str], **details: Any) -> int:
        """Delete records by SQL."""
        return self.truth_of.delete(uuids, **details)

    def sql(self, statement: str, cell: str | None = None) -> int:
        """Run a statement of an operator in the cells' databases."""
        return self.truth_of.run(statement, cell)

    def stamps(self, kind: str) -> None:
        """Choose how the database keeps times: exact, truncate or round."""
        self.truth_of.stamps(kind)

    # the public door

    def requests(self, reset: bool = False) -> list[dict[str, Any]]:
        """Return the log of public requests, and empty it where wanted."""
        log = list(self.door.log)
        if reset:
            self.door.log.clear()
        return log

    def add_fault(
        self,
        kind: str = "status",
        path: str = "",
        times: int | None = None,
        status: int = 503,
        seconds: float = 0.0,
        body: str = '{"injected": true}',
        content_type: str = "application/json",
        headers: dict[str, str] | None = None,
    ) -> None:
        """Spoil public answers: kind status, delay, hang, close or cut."""
        if kind not in ("status", "delay", "hang", "close", "cut"):
            raise ValueError("kind is status, delay, hang, close or cut")
        self.door.faults.append(
            {"kind": kind, "path": path, "times": times, "status": status, "seconds": seconds, "body": body}
            | {"content_type": content_type, "headers": headers or {}}
        )

    def clear_faults(self) -> None:
        """Spoil nothing any more."""
        self.door.faults.clear()


def application(control: Control) -> Callable[..., list[bytes]]:
    """Return the WSGI application of the control."""

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        command = environ["PATH_INFO"].strip("/")
        method = getattr(control, command, None)
        if command.startswith("_") or not callable(method):
            return json_answer(start_response, "404 Not Found", {"error": f"no command is named {command}"})
        length = int(environ.get("CONTENT_LENGTH") or 0)
        arguments = json.loads(environ["wsgi.input"].read(length)) if length else {}
        try:
            return json_answer(start_response, "200 OK", {"result": method(**arguments)})
        except TimeoutError as error:
            return json_answer(start_response, "504 Timeout", {"error": str(error)})
        except Exception as error:
            LOG.exception("command %s failed", command)
            return json_answer(start_response, "400 Bad Request", {"error": f"{type(error).__name__}: {error}"})

    return answer
