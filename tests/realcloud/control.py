"""The commands of the real cloud's control, as typed methods."""

from __future__ import annotations

from typing import Any

import requests

from tests.realcloud.processes import CloudError

Row = dict[str, Any]


class Control:
    """Tell the real Nova what to do, what to suffer, and read the truth."""

    def __init__(self, url: str) -> None:
        """Remember where the control listens."""
        self.control_url = url
        self._session = requests.Session()
        self._session.trust_env = False

    def command(self, name: str, /, **arguments: Any) -> Any:
        """Give one command and return its result."""
        answer = self._session.post(f"{self.control_url}/{name}", json=arguments, timeout=600)
        body = answer.json()
        if answer.status_code == 504:
            raise TimeoutError(body["error"])
        if answer.status_code != 200:
            raise CloudError(f"{name}: {body['error']}")
        return body["result"]

    # servers

    def create_server(self, name: str = "server", host: str = "host1", flavor: str = "1") -> str:
        """Create a server on a host, wait until it is active, return its id."""
        return str(self.command("create_server", name=name, host=host, flavor=flavor)["id"])

    def show_server(self, server: str) -> Row:
        """Return a server as the API shows it to the administrator."""
        return dict(self.request("GET", f"/servers/{server}", wait=60)["body"]["server"])

    def list_servers(self) -> list[Row]:
        """Return all servers of all projects."""
        return list(self.request("GET", "/servers/detail?all_tenants=1", wait=60)["body"]["servers"])

    def delete_server(self, server: str, wait: bool = True) -> Row:
        """Delete a server through the API; its migration records vanish when that is done."""
        answer = self.request("DELETE", f"/servers/{server}", wait=60)
        if wait:
            self.command("wait_deleted", server=server)
        return answer

    def wait_server(self, server: str, status: str, timeout: float = 30) -> Row:
        """Wait until a server has a status (ACTIVE, VERIFY_RESIZE, ERROR, ...) and no task."""
        return dict(self.command("wait_server", server=server, status=status, timeout=timeout))

    # moves: each starts through Nova's REST API as the administrator; `wait` is for the API's answer, not the move's end

    def request(
        self, method: str, path: str, body: Any = None, wait: float | None = 30, microversion: str = "2.95"
    ) -> Row:
        """Make any request to Nova's API as the administrator; with wait=None only start it."""
        arguments = {"method": method, "path": path, "body": body, "wait": wait, "microversion": microversion}
        return dict(self.command("request", **arguments))

    def answer(self, operation: Row, timeout: float = 60) -> Row:
        """Wait for the answer to a request that was only started."""
        return dict(self.command("answer", operation=operation["operation"], timeout=timeout))

    def act(self, server: str, action: str, details: Any = None, wait: float | None = 30) -> Row:
        """Start a server action; an answer that is an error raises."""
        result = self.request("POST", f"/servers/{server}/action", {action: details}, wait)
        if wait is not None and result["status"] >= 400:
            raise CloudError(f"{action}: {result['status']} {result['body']}")
        return result

    def migrate(self, server: str, host: str | None = None, wait: float | None = 30) -> Row:
        """Start a cold migration."""
        return self.act(server, "migrate", {"host": host} if host else None, wait)

    def resize(self, server: str, flavor: str = "2", wait: float | None = 30) -> Row:
        """Start a resize; flavors are 1 to 5."""
        return self.act(server, "resize", {"flavorRef": flavor}, wait)

    def confirm(self, server: str, wait: float | None = 30) -> Row:
        """Confirm a finished resize or cold migration."""
        return self.act(server, "confirmResize", None, wait)

    def revert(self, server: str, wait: float | None = 30) -> Row:
        """Revert a finished resize or cold migration."""
        return self.act(server, "revertResize", None, wait)

    def live_migrate(self, server: str, host: str | None = None, wait: float | None = 30) -> Row:
        """Start a live migration."""
        return self.act(server, "os-migrateLive", {"host": host, "block_migration": "auto"}, wait)

    def abort(self, server: str) -> Row:
        """Abort the live migration of a server that the API shows."""
        return self.request("DELETE", f"/servers/{server}/migrations/{self._shown(server)}")

    def force_complete(self, server: str) -> Row:
        """Force the running live migration of a server to complete, or into post-copy where a rule says so."""
        path = f"/servers/{server}/migrations/{self._shown(server)}/action"
        return self.request("POST", path, {"force_complete": None})

    def _shown(self, server: str) -> int:
        """Return the number of the migration that the API shows under a server."""
        shown = self.request("GET", f"/servers/{server}/migrations")["body"]["migrations"]
        if not shown:
            raise CloudError(f"the API shows no live migration of {server}")
        return int(shown[0]["id"])

    def evacuate(self, server: str, host: str | None = None, wait: float | None = 30) -> Row:
        """Evacuate a server; its host must be stopped and forced down first (`fail_host`)."""
        return self.act(server, "evacuate", {"host": host} if host else {}, wait)

    def allow_same_host(self, only: bool = True) -> None:
        """Disable all other hosts of cell1 for the scheduler, so that a resize stays on host1; undone by reset."""
        for host in ("host2", "host3", "host4", "host5"):
            self.set_service(host, "disabled" if only else "enabled")

    def allow_cross_cell(self) -> None:
        """Let moves of servers on host1 go to the other cell, and nowhere else; undone by reset."""
        self.set_policy({"compute:servers:resize:cross_cell": "rule:admin_api"})
        for host in ("host2", "host3"):
            self.set_service(host, "disabled")

    def set_service(self, host: str, status: str) -> None:
        """Enable or disable a host for the scheduler through the API."""
        found = self.request("GET", f"/os-services?host={host}&binary=nova-compute")["body"]["services"]
        self.request("PUT", f"/os-services/{found[0]['id']}", {"status": status})

    # hosts and cells

    def hosts(self) -> dict[str, Row]:
        """Return the hosts: host1 to host3 in cell1, host4 and host5 in cell2."""
        return dict(self.command("hosts"))

    def stop_host(self, host: str, graceful: bool = False) -> None:
        """Stop a compute service as kill -9 does (what it was doing never goes on), or gracefully."""
        self.command("stop_host", host=host, graceful=graceful)

    def start_host(self, host: str) -> None:
        """Start a stopped compute service; its servers are still on it."""
        self.command("start_host", host=host)

    def force_down(self, host: str, down: bool = True) -> None:
        """Mark a compute service as down through the API, or no longer so."""
        self.command("force_down", host=host, down=down)

    def fail_host(self, host: str) -> None:
        """Stop a host's compute service and force it down: what an evacuation needs."""
        self.stop_host(host)
        self.force_down(host)

    def break_cell(self, cell: str, how: str = "down", seconds: float = 0.0, timeout: float | None = None) -> None:
        """Let a cell's database fail (`down`), never answer (`hung`) or answer after so many `seconds` (`slow`).

        Only public requests notice. Nova leaves out the rows of a cell that fails, and of one that answers later than
        `timeout` (Nova's 60 s by default). It looks at the clock only when the answer has come: nova/compute/
        multi_cell_list.py, query_wrapper; so a request for migrations waits for a hung cell for ever.
        """
        self.command("break_cell", cell=cell, how=how, seconds=seconds, timeout=timeout)

    def repair_cell(self, cell: str) -> None:
        """Make a cell reachable again."""
        self.command("break_cell", cell=cell, how=None)

    # rules: what happens inside a move

    def rule(self, method: str, action: str, server: str | None = None, **details: Any) -> int:
        """Add a rule and return its number; see the README for methods and actions."""
        return int(self.command("add_rule", method=method, action=action, server=server, **details)["number"])

    def delay(self, method: str, seconds: float, server: str | None = None, **details: Any) -> int:
        """Make a step take so long."""
        return self.rule(method, "delay", server, seconds=seconds, **details)

    def hang(self, method: str, server: str | None = None, **details: Any) -> int:
        """Make a step wait until its rule is removed."""
        return self.rule(method, "hang", server, **details)

    def fail(self, method: str, server: str | None = None, error: str = "NovaException", **details: Any) -> int:
        """Make a step raise an exception of nova.exception, oslo_messaging or Python, by name."""
        return self.rule(method, "raise", server, error=error, **details)

    def lose(self, message: str, server: str | None = None, times: int | None = 1) -> int:
        """Lose a message between Nova's services, for example prep_resize: casts vanish, calls time out at once."""
        return self.rule(f"rpc:{message}", "drop", server, times=times)

    def heartbeat(self, seconds: float, server: str | None = None, **details: Any) -> int:
        """Let running live migrations write memory_* each so many seconds (memory_total, memory_step)."""
        return self.rule("live_migration", "heartbeat", server, seconds=seconds, **details)

    def remove(self, number: int | None = None, method: str | None = None, server: str | None = None) -> int:
        """Remove the rules that fit (all by default); whoever waits in them goes on."""
        return int(self.command("remove_rules", number=number, method=method, server=server))

    def rules(self) -> list[Row]:
        """Return the rules, with `met` and `waiting` counts."""
        return list(self.command("rules"))

    # the whole cloud

    def hold(self, timeout: float = 30) -> Row:
        """Stop every status change; return the truth once all is still. The API goes on answering."""
        return dict(self.command("hold", timeout=timeout))

    def release(self) -> None:
        """End a hold."""
        self.command("release")

    def set_config(self, group: str, name: str, value: Any) -> None:
        """Override an option of Nova until the reset, for example ("api", "max_limit", 3)."""
        self.command("set_config", group=group, name=name, value=value)

    def set_policy(self, rules: dict[str, str]) -> None:
        """Override policy rules of Nova until the reset."""
        self.command("set_policy", rules=rules)

    def stamps(self, kind: str) -> None:
        """Keep times with microseconds (`exact`) or whole seconds as MySQL does (`round`, or `truncate`)."""
        self.command("stamps", kind=kind)

    def cost(self) -> Row:
        """Return the CPU seconds that Nova has used."""
        return dict(self.command("cost"))

    # truth

    def truth(self, server: str | None = None, uuid: str | None = None) -> Row:
        """Return {"at", "records": [row], "history": {uuid: [{"status", "event", "type", "at"}]}}."""
        return dict(self.command("truth", server=server, uuid=uuid))

    def records(self, server: str | None = None, uuid: str | None = None) -> list[Row]:
        """Return the records, soft-deleted ones (`deleted` not 0) included."""
        return list(self.truth(server, uuid)["records"])

    def statuses(self, server: str | None = None, uuid: str | None = None) -> list[str]:
        """Return the statuses of a server's newest record, or of a record, in their order."""
        newest = self.command("newest", server=server, uuid=uuid)["uuid"]
        history = self.truth(uuid=newest)["history"][newest]
        return [row["status"] for row in history if row["event"] in ("created", "status")]

    def wait_status(
        self, status: str | list[str], server: str | None = None, uuid: str | None = None, timeout: float = 30
    ) -> Row:
        """Wait until the newest record of a server, or a record, has a status; return the record."""
        return dict(self.command("wait_status", status=status, server=server, uuid=uuid, timeout=timeout))

    def insert_record(self, cell: str = "cell1", **columns: Any) -> Row:
        """Insert a record by SQL with any column values; times are epoch seconds, text or None."""
        return dict(self.command("insert_record", cell=cell, **columns))

    def insert_records(self, count: int, **details: Any) -> float:
        """Insert many records by SQL (cell, migration_type, status, oldest, newest, duration); return the seconds."""
        return float(self.command("insert_records", count=count, **details)["seconds"])

    def update_record(self, uuid: str, **columns: Any) -> int:
        """Overwrite columns of a record by SQL (all cells, or `cell`)."""
        return int(self.command("update_record", uuid=uuid, **columns))

    def delete_records(self, uuids: list[str], soft: bool = False, cell: str | None = None) -> int:
        """Delete records by SQL, or mark them deleted."""
        return int(self.command("delete_records", uuids=uuids, soft=soft, cell=cell))

    def sql(self, statement: str, cell: str | None = None) -> int:
        """Run a statement as an operator would in the database of each cell (or one); return how many rows it changed."""
        return int(self.command("sql", statement=statement, cell=cell))

    # the public door

    def requests(self, reset: bool = False) -> list[Row]:
        """Return the public API's request log: at, method, path, query, microversion, user_agent, status, seconds."""
        return list(self.command("requests", reset=reset))

    def fault(self, kind: str = "status", path: str = "", times: int | None = None, **details: Any) -> None:
        """Spoil public answers: kind status (status, body, headers), delay (seconds), hang, close or cut."""
        self.command("add_fault", kind=kind, path=path, times=times, **details)

    def clear_faults(self) -> None:
        """Spoil no answers any more; those that wait go on."""
        self.command("clear_faults")
