"""Start Nova's functional environment once and keep it: API, conductor, scheduler, placement, and hosts in two cells."""

from __future__ import annotations

import logging
import sys
import time
from typing import Any
from unittest import mock

import eventlet
import nova.conf
import nova.context
from nova import objects
from nova.tests import fixtures as nova_fixtures
from nova.tests.functional import integrated_helpers
from novacloud import tracing
from novacloud.driver import BEHAVIOURS, TracedDriver, install_driver
from oslo_db import exception as db_exception

CELLS = {"host1": "cell1", "host2": "cell1", "host3": "cell1", "host4": "cell2", "host5": "cell2"}
KEPT_TABLES = {"services", "compute_nodes", "alembic_version", "realcloud_truth", "sqlite_sequence"}


class Cells(nova_fixtures.CellDatabases):  # type: ignore[misc]
    """Nova's cell databases without the global switch of Nova's fixture.

    The fixture points the whole process at one cell at a time, under a lock that a stopped green thread would keep for ever.
    Nova's own `target_cell` carries the database in the context, as a real deployment does.
    """

    latest: Cells

    def __init__(self) -> None:
        """Begin with every cell up."""
        super().__init__()
        self.broken: dict[str, tuple[str, float]] = {}
        self.public_requests: set[str] = set()
        Cells.latest = self

    def _wrap_target_cell(self, context: Any, cell_mapping: Any) -> Any:
        """Use Nova's own function."""
        return self._real_target_cell(context, cell_mapping)

    def _wrap_get_context_manager(self, context: Any) -> Any:
        """Return the database that a context names, cell1's where it names none."""
        chosen = getattr(context, "db_connection", None) or self._default_ctxt_mgr
        if self.broken and getattr(context, "request_id", None) in self.public_requests:
            self._fail_if_broken(chosen)
        return chosen

    def _fail_if_broken(self, chosen: Any) -> None:
        """Fail, hang or dawdle as a database does that cannot be reached."""
        for connection in list(self.broken):
            if self._ctxt_mgrs[connection] is chosen:
                self._fail(connection, *self.broken[connection])

    def _fail(self, connection: str, how: str, seconds: float) -> None:
        """Do what is wrong with one database."""
        end = time.monotonic() + {"down": 0.0, "slow": seconds, "hung": float("inf")}[how]
        BEHAVIOURS.pause(lambda: time.monotonic() >= end or connection not in self.broken)
        if how != "slow":
            raise db_exception.DBConnectionError("injected: the cell database cannot be reached")


class Environment(integrated_helpers.ProviderUsageBaseTestCase):  # type: ignore[misc]
    """The cloud."""

    NUMBER_OF_CELLS = 2

    def runTest(self) -> None:  # noqa: N802  # unittest names it
        """Satisfy unittest; nothing is ever run."""

    def setUp(self) -> None:
        """Start all services."""
        self.compute_driver = install_driver()
        nova_fixtures.CellDatabases = Cells
        tracing.queue_live_migrations_per_host()
        super().setUp()
        self._log_to_stderr()
        self.cells = Cells.latest
        self.flags(response_validation="warn", group="api")  # Nova's default; its tests say `error`
        self.flags(allow_resize_to_same_host=True)
        tracing.gate_status_writes()
        tracing.trace_messages()
        for host, cell in CELLS.items():
            self._start_compute(host, cell_name=cell)

    def _log_to_stderr(self) -> None:
        """Log plainly, where Nova's fixture collects everything in memory."""
        root = logging.getLogger()
        for present in list(root.handlers):
            root.removeHandler(present)
        target = logging.StreamHandler(sys.stderr)
        target.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
        root.addHandler(target)
        root.setLevel(logging.INFO)
        for loud in ("nova.api.validation", "nova.api.openstack.requestlog", "placement.requestlog"):
            logging.getLogger(loud).setLevel(logging.CRITICAL)
        nova.conf.CONF.set_override("debug", False)

    # hosts

    def kill_host(self, host: str) -> None:
        """Stop a compute service as kill -9 does: what it was doing never goes on."""
        service = self.computes[host]
        service.manager.driver.dead = True
        for server in (service.rpcserver, service.rpcserver_alt):
            if server is not None:
                server.stop()
        service.tg.stop()
        self._service_fixture_count["compute"] -= 1

    def stop_host(self, host: str) -> None:
        """Stop a compute service as systemd does."""
        self.computes[host].stop()
        self.computes[host].manager.driver.dead = True

    def start_host(self, host: str) -> None:
        """Start the compute service of a stopped host anew; its servers are still on it."""
        old = self.computes[host].manager.driver
        if not old.dead:
            raise ValueError(f"{host} is not stopped")

        def load(virtapi: Any, *_args: Any, **_kwargs: Any) -> TracedDriver:
            fresh = TracedDriver(virtapi)
            fresh.instances, fresh.resources = old.instances, old.resources
            return fresh

        with mock.patch("nova.virt.driver.load_compute_driver", load):
            self._start_compute(host, cell_name=CELLS[host])

    def is_stopped(self, host: str) -> bool:
        """Tell whether a host's compute service is stopped."""
        return bool(self.computes[host].manager.driver.dead)

    # databases

    def connection(self, cell: str) -> Any:
        """Return the SQLite connection of a cell's database; Nova uses the same one."""
        engine = self.cells._ctxt_mgrs[self.cell_mappings[cell].database_connection].writer.get_engine()
        return engine.raw_connection().driver_connection

    def break_cell(self, cell: str, how: str | None, seconds: float = 0.0) -> None:
        """Make a cell unreachable for the public API (`down`, `hung` or `slow`), or reachable again (None)."""
        if how not in (None, "down", "hung", "slow"):
            raise ValueError("a cell is down, hung or slow")
        connection = self.cell_mappings[cell].database_connection
        if how is None:
            self.cells.broken.pop(connection, None)
        else:
            self.cells.broken[connection] = (how, seconds)

    def wipe(self) -> None:
        """Empty the cloud: no servers, no records, no allocations, all hosts up."""
        BEHAVIOURS.kill_waiters()
        self.cells.broken.clear()
        eventlet.sleep(0.1)
        for cell in self.cell_mappings:
            empty_tables(self.connection(cell), KEPT_TABLES)
        self._wipe_api_databases()
        for host, compute in self.computes.items():
            compute.manager.driver.instances = {}
            compute.manager._waiting_live_migrations = {}
            compute.manager.__dict__.pop("own_live_migrations", None)
            if self.is_stopped(host):
                self.start_host(host)
        for cell in ("cell1", "cell2"):
            self.connection(cell).execute(
                "UPDATE services SET forced_down = 0, disabled = 0, disabled_reason = NULL, last_seen_up = datetime('now')"
            )  # a service that was stopped for longer than service_down_time would count as down until its first report
            self.connection(cell).commit()
        self._run_periodics()

    def _wipe_api_databases(self) -> None:
        """Empty Nova's API database and placement's of what belongs to servers."""
        from nova.db.api import api as api_db
        from placement import db_api as placement_db

        api = api_db.get_engine().raw_connection().driver_connection
        for table in ("instance_mappings", "request_specs", "build_requests"):
            api.execute(f"DELETE FROM {table}")
        api.commit()
        placement = placement_db.get_placement_engine().raw_connection().driver_connection
        for table in ("allocations", "consumers"):
            placement.execute(f"DELETE FROM {table}")
        placement.commit()


def empty_tables(connection: Any, kept: set[str]) -> None:
    """Delete every row of a database but those of the tables kept."""
    names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    for name in names:
        if name not in kept and not name.startswith("shadow_"):
            connection.execute(f"DELETE FROM {name}")
    connection.commit()


def admin_context() -> Any:
    """Return a context that may do everything."""
    return nova.context.get_admin_context()


def host_cell(environment: Environment, host: str) -> Any:
    """Return the cell mapping of a host."""
    return objects.HostMapping.get_by_host(admin_context(), host).cell_mapping
