"""A proxy in front of a cloud that spoils what it is told to spoil; `proxy.py` says how to use it."""

from tests.faults.clock import Clock
from tests.faults.proxy import Answer, Asked, Exchange, Fault, FaultProxy, Rule

__all__ = ["Answer", "Asked", "Clock", "Exchange", "Fault", "FaultProxy", "Rule"]
