"""What a benchmark tells: a number, what it was meant to be, and whether it is that."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of a table: what was measured, the number as it is shown, the goal in words, and whether it is met.

    `met` is None where there is no goal: the number is told for what it is worth on the machine of the run.
    """

    what: str
    value: str
    goal: str = ""
    met: bool | None = None


def times(what: str, theirs: float, ours: float, at_least: float | None = None) -> Figure:
    """Return how many times as much of something others need as we do; raise ZeroDivisionError where we need nothing."""
    ratio = theirs / ours
    goal = "" if at_least is None else f"at least {shown(at_least)} times"
    return Figure(what, f"{shown(ratio)} times", goal, None if at_least is None else ratio >= at_least)


def share(what: str, ours: float, whole: float, below: float | None = None) -> Figure:
    """Return which share of a whole ours is."""
    part = ours / whole
    goal = "" if below is None else f"below {below:.0%}"
    return Figure(what, f"{part * 100:.2g} %", goal, None if below is None else part < below)


def ratio(what: str, one: float, other: float, below: float | None = None) -> Figure:
    """Return one number over another that it should not exceed by much."""
    found = one / other
    goal = "" if below is None else f"below {shown(below)}"
    return Figure(what, f"{found:.3g}", goal, None if below is None else found < below)


def count(what: str, number: float, at_most: float | None = None, unit: str = "") -> Figure:
    """Return something that was counted."""
    unit = unit and f" {unit}"
    goal = "" if at_most is None else f"at most {shown(at_most)}{unit}"
    return Figure(what, f"{shown(number)}{unit}", goal, None if at_most is None else number <= at_most)


def same(what: str, ours: object, truth: object) -> Figure:
    """Return whether something is as it must be."""
    return Figure(what, "yes" if ours == truth else f"no: {ours!r:.60} is not {truth!r:.60}", "yes", ours == truth)


def shown(number: float) -> str:
    """Return a number to three digits."""
    if number >= 100:
        return f"{round(number, 3 - len(str(int(number)))):,.0f}"
    return f"{number:.3g}"


def cpu(work: Callable[[], object]) -> float:
    """Return the CPU seconds that this process, with all of its threads, spends on some work."""
    begun = time.process_time()
    work()
    return time.process_time() - begun


def median_cpu(work: Callable[[], object], rounds: int) -> float:
    """Return the median of the CPU seconds that this process spends on some work, which is done so many times."""
    return statistics.median(cpu(work) for _ in range(rounds))
