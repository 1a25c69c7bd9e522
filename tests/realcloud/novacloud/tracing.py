"""Put the gate before every status write, and the rules before every message between Nova's services."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import eventlet
import futurist
import greenlet
import nova.compute.manager
import nova.conf
import oslo_messaging
from nova import objects, thread_pool_factory
from novacloud.driver import BEHAVIOURS, server_of
from oslo_messaging.rpc import client as rpc_client

_MANAGER = eventlet.corolocal.local()


def gated(real: Callable[..., Any], changes: Callable[[Any], bool]) -> Callable[..., Any]:
    """Wrap an object's write so that one that changes a status waits while the cloud is held."""

    @functools.wraps(real)
    def write(self: Any, *args: Any, **kwargs: Any) -> Any:
        if not changes(self):
            return real(self, *args, **kwargs)
        BEHAVIOURS.pass_gate()
        if outlived_its_cloud(self):
            raise greenlet.GreenletExit
        BEHAVIOURS.moving += 1
        try:
            return real(self, *args, **kwargs)
        finally:
            BEHAVIOURS.moving -= 1

    return write


def outlived_its_cloud(record: Any) -> bool:
    """Tell whether a record was wiped and its number given to another one.

    What a service was doing when the cloud was reset fails for want of its server, and a busy machine gets to its `error` late.
    """
    if not isinstance(record, objects.Migration) or "id" not in record:
        return False
    return bool(objects.Migration.get_by_id(record._context, record.id).uuid != record.uuid)


def gate_status_writes() -> None:
    """Gate the birth, the changes and the deletion of migration records."""
    objects.Migration.create = gated(objects.Migration.create, lambda _record: True)
    objects.Migration.save = gated(objects.Migration.save, lambda record: "status" in record.obj_get_changes())
    objects.Instance.destroy = gated(objects.Instance.destroy, lambda _server: True)  # soft-deletes its records


def trace_messages() -> None:
    """Let casts and calls meet the rules named `rpc:METHOD`."""
    base = rpc_client._BaseCallContext
    base.cast = _traced_message(base.cast, lambda: None)
    base.call = _traced_message(base.call, _timed_out)


def _timed_out() -> None:
    """Say what a caller is told whose answer never comes."""
    raise oslo_messaging.MessagingTimeout("injected: no answer")


def _traced_message(real: Callable[..., Any], lost: Callable[[], None]) -> Callable[..., Any]:
    """Wrap cast or call."""

    @functools.wraps(real)
    def send(self: Any, ctxt: Any, method: str, **kwargs: Any) -> Any:
        host = getattr(self.target, "server", None)
        rules = BEHAVIOURS.meet(f"rpc:{method}", server_of((), kwargs), host)
        if any(rule.action == "drop" for rule in rules):
            return lost()
        return real(self, ctxt, method, **kwargs)

    return send


def queue_live_migrations_per_host() -> None:
    """Give each compute service its own queue of live migrations.

    Nova's queue belongs to a process (nova/thread_pool_factory.py, ThreadPoolFactory), and here all hosts share one.
    """
    real_start = nova.compute.manager.ComputeManager._start_recorded_task
    real_get = thread_pool_factory.get_executor

    def start(self: Any, *args: Any, **kwargs: Any) -> Any:
        _MANAGER.now = self
        try:
            return real_start(self, *args, **kwargs)
        finally:
            _MANAGER.now = None

    def get(executor_type: Any, **kwargs: Any) -> Any:
        manager = getattr(_MANAGER, "now", None)
        if manager is None or executor_type is not thread_pool_factory.ExecutorType.LIVE_MIGRATION:
            return real_get(executor_type, **kwargs)
        if not hasattr(manager, "own_live_migrations"):
            workers = nova.conf.CONF.max_concurrent_live_migrations or 1000
            manager.own_live_migrations = futurist.GreenThreadPoolExecutor(workers)
        return manager.own_live_migrations

    nova.compute.manager.ComputeManager._start_recorded_task = start
    thread_pool_factory.get_executor = get
