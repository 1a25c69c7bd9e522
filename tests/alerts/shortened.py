"""The shipped rules, and the shipped configuration of Alertmanager, with shorter times and nothing else changed.

So that a test sees in two minutes what takes an hour: a time is only ever replaced by the one that stands for it here, and one
that has none is an error. Scrapes come every two seconds and evaluations every second, in place of thirty.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

#: How long an expression must hold.
WAITS = {"5m": "6s", "10m": "9s", "15m": "12s", "1h": "20s"}

#: How long an alert goes on: an exporter that is started again, and found by Prometheus, must be back within.
KEEPS = {"10m": "40s"}

#: How far expressions look back. Polls that fail come ever more seldom, as they do in the long run.
RANGES = {"5m": "6s", "15m": "40s", "30m": "40s", "1h": "40s", "1d": "60s"}

#: How long Alertmanager waits for more of a group. What it repeats (repeat_interval) stays as seldom as it is.
GROUP_WAITS = {"30s": "3s", "5m": "4s", "30m": "20s", "24h": "30s"}

_RANGE = re.compile(r"(\[|\boffset )(\d+[smhd])\b")


def shorten_rules(rules: Mapping[str, Any]) -> dict[str, Any]:
    """Return a file of rules with shorter times."""
    return {
        "groups": [{**group, "rules": [_shorten_rule(rule) for rule in group["rules"]]} for group in rules["groups"]]
    }


def _shorten_rule(rule: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _shorten_part(name, part) for name, part in rule.items()}


def _shorten_part(name: str, part: Any) -> Any:
    if name == "for":
        return WAITS[part]
    if name == "keep_firing_for":
        return KEEPS[part]
    if name == "expr":
        return shorten_ranges(part)
    if name == "annotations":
        return {key: shorten_ranges(text) for key, text in part.items()}
    return part


def shorten_ranges(text: str) -> str:
    """Return an expression, or a template that asks for some, that looks back less far."""
    return _RANGE.sub(lambda found: found[1] + RANGES[found[2]], text)


def shorten_route(route: Mapping[str, Any]) -> dict[str, Any]:
    """Return a route of Alertmanager, and those below it, that waits less long."""
    short = dict(route)
    for name in {"group_wait", "group_interval"} & short.keys():
        short[name] = GROUP_WAITS[short[name]]
    if "routes" in short:
        short["routes"] = [shorten_route(each) for each in short["routes"]]
    return short
