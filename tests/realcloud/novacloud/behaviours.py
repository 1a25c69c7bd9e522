"""Say what happens inside a move: delays, failures, hangs, lost messages, and the gate that holds the whole cloud still.

A rule names a method (of the virt driver, or `rpc:NAME` for a message between Nova's services), optionally a server and a
host, and an action. Every traced method meets the rules in the order in which they were added.
"""

from __future__ import annotations

import builtins
import itertools
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import eventlet
import greenlet
import oslo_messaging
from nova import exception

STEP = 0.02  # seconds between two looks of a thread that waits
ACTIONS = ("delay", "hang", "raise", "drop", "rollback", "post_copy", "heartbeat")


@dataclass
class Rule:
    """One instruction for one method."""

    number: int
    method: str
    action: str
    server: str | None = None
    host: str | None = None
    seconds: float = 0.0
    error: str = "NovaException"
    message: str = "injected failure"
    times: int | None = None
    memory_total: int = 8 << 30
    memory_step: int = 64 << 20
    met: int = 0
    waiting: int = 0

    def fits(self, method: str, server: str | None, host: str | None) -> bool:
        """Tell whether the rule applies to a call."""
        if self.method != method or (self.times is not None and self.met >= self.times):
            return False
        return self.server in (None, server) and self.host in (None, host)


def make_error(name: str, message: str) -> Exception:
    """Make the exception of a name: of nova.exception, of oslo.messaging or of Python."""
    if name == "InstanceFaultRollback":  # nova/compute/manager.py, _error_out_instance_on_exception: the server stays
        return exception.InstanceFaultRollback(inner_exception=exception.NovaException(message))
    for place in (exception, oslo_messaging, builtins):
        kind = getattr(place, name, None)
        if isinstance(kind, type) and issubclass(kind, Exception):
            return kind(message)
    raise ValueError(f"no exception is named {name}")


class Behaviours:
    """Keep the rules and the gate."""

    def __init__(self) -> None:
        """Begin without rules, gate open."""
        self.rules: list[Rule] = []
        self.held = False
        self.epoch = 0
        self.moving = 0
        self._numbers = itertools.count(1)

    def add(self, method: str, action: str, **details: Any) -> dict[str, Any]:
        """Add a rule and return it."""
        if action not in ACTIONS:
            raise ValueError(f"action must be one of {', '.join(ACTIONS)}")
        rule = Rule(next(self._numbers), method, action, **details)
        if action == "raise":
            make_error(rule.error, rule.message)
        self.rules.append(rule)
        return asdict(rule)

    def remove(self, number: int | None = None, method: str | None = None, server: str | None = None) -> int:
        """Remove the rules that fit, all of them by default, which lets their waiters go on; return how many."""
        gone = [
            rule
            for rule in self.rules
            if number in (None, rule.number) and method in (None, rule.method) and server in (None, rule.server)
        ]
        self.rules = [rule for rule in self.rules if rule not in gone]
        return len(gone)

    def kill_waiters(self) -> None:
        """End every thread that waits in a rule or at the gate, as if its process had died."""
        self.rules, self.held = [], False
        self.epoch += 1

    def pause(self, until: Callable[[], bool]) -> None:
        """Wait until a condition holds; die when the cloud is reset meanwhile."""
        epoch = self.epoch
        while not until():
            eventlet.sleep(STEP)
            if self.epoch != epoch:
                raise greenlet.GreenletExit

    def pass_gate(self) -> None:
        """Wait while the cloud is held."""
        if self.held:
            self.pause(lambda: not self.held)

    def meet(
        self,
        method: str,
        server: str | None,
        host: str | None,
        stopped: Callable[[], bool] = lambda: False,
        dead: Callable[[], bool] = lambda: False,
    ) -> list[Rule]:
        """Apply the rules to one call and return those that its caller must apply itself.

        `stopped` cuts a wait short (an abort); a caller that is `dead` (its host crashed) never goes on.
        """
        left = []
        for rule in [rule for rule in self.rules if rule.fits(method, server, host)]:
            if stopped():
                break
            rule.met += 1
            if rule.action in ("delay", "hang"):
                self._wait(rule, stopped)
            elif rule.action == "raise":
                self._until_alive(dead)
                raise make_error(rule.error, rule.message)
            else:
                left.append(rule)
        self._until_alive(dead)
        return left

    def _until_alive(self, dead: Callable[[], bool]) -> None:
        """Wait at the gate, and for ever in a process that is dead."""
        self.pass_gate()
        if dead():
            self.pause(lambda: False)

    def _wait(self, rule: Rule, stopped: Callable[[], bool]) -> None:
        """Wait out a delay or a hang, at most until its rule is removed."""
        end = time.monotonic() + rule.seconds if rule.action == "delay" else float("inf")
        rule.waiting += 1
        try:
            self.pause(lambda: time.monotonic() >= end or rule not in self.rules or stopped())
        finally:
            rule.waiting -= 1

    def wanted(self, action: str, server: str) -> Rule | None:
        """Return the rule that asks for an action of its own for a server's live migration."""
        for rule in self.rules:
            if rule.action == action and rule.server in (None, server):
                return rule
        return None
