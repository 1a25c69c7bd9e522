"""The shipped rules and configurations, with the addresses of this machine, and shorter times where they are asked for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parent.parent.parent
RULES = ROOT / "deploy/prometheus/openstack-migration-exporter.rules.yml"
PROMETHEUS = ROOT / "deploy/prometheus/prometheus.yml"
ALERTMANAGER = ROOT / "deploy/alertmanager/alertmanager.yml"

#: How often Prometheus scrapes and evaluates: the moves of the demo take seconds, those of a cloud minutes.
INTERVAL = "5s"

#: By how much --quick shortens what rules and Alertmanager wait for.
QUICKER = 30

_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def read(path: Path) -> dict[str, Any]:
    """Return what a YAML file holds."""
    return dict(yaml.safe_load(path.read_text()))


def write(path: Path, content: Mapping[str, Any]) -> Path:
    """Write a YAML file and return its path."""
    path.write_text(yaml.safe_dump(dict(content), sort_keys=False, width=120))
    return path


def seconds(duration: str) -> float:
    """Return a duration as Prometheus writes it, in seconds."""
    return sum(float(number) * _SECONDS[unit] for number, unit in re.findall(r"(\d+)(ms|[smhdw])", duration))


def shorter(duration: str) -> str:
    """Return a duration as --quick has it: a fraction, in whole seconds, and never none where there was one."""
    whole = seconds(duration)
    return f"{max(1, round(whole / QUICKER)) if whole else 0}s"


def quick_rules(rules: Mapping[str, Any]) -> dict[str, Any]:
    """Return rules whose expressions must hold, and whose alerts go on, for less long; the expressions are the same."""
    return {"groups": [{**group, "rules": [_quick_rule(each) for each in group["rules"]]} for group in rules["groups"]]}


def _quick_rule(rule: Mapping[str, Any]) -> dict[str, Any]:
    return {name: shorter(part) if name in ("for", "keep_firing_for") else part for name, part in rule.items()}


def shortest_wait(rules: Mapping[str, Any]) -> str:
    """Return for how long an expression must hold at least before anything is an alert."""
    waits = [rule["for"] for group in rules["groups"] for rule in group["rules"] if "for" in rule]
    return str(min(waits, key=seconds))


def quick_route(route: Mapping[str, Any]) -> dict[str, Any]:
    """Return a route of Alertmanager, and those below it, that waits less long for more of a group."""
    quick = {name: shorter(part) if name in ("group_wait", "group_interval") else part for name, part in route.items()}
    below = {"routes": [quick_route(each) for each in route["routes"]]} if "routes" in route else {}
    return {**quick, **below}


def scraping(rules: Path, exporter: str, alertmanager: str) -> dict[str, Any]:
    """Return the shipped configuration of Prometheus with these rules and addresses, `host:port` each."""
    shipped = read(PROMETHEUS)
    (job,) = shipped["scrape_configs"]
    return {
        **shipped,
        "global": {"scrape_interval": INTERVAL, "evaluation_interval": INTERVAL},
        "rule_files": [str(rules)],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [alertmanager]}]}]},
        "scrape_configs": [{**job, "static_configs": [{"targets": [exporter]}]}],
    }


def telling(hook: str | None) -> dict[str, Any]:
    """Return the shipped configuration of Alertmanager with one URL in place of every address; None leaves all without.

    Routes, groups and inhibitions are as shipped, and so is who is told that something is over.
    """
    shipped = read(ALERTMANAGER)
    receivers = [_receiver(each, hook) for each in shipped["receivers"]]
    return {"route": shipped["route"], "receivers": receivers, "inhibit_rules": shipped["inhibit_rules"]}


def _receiver(shipped: Mapping[str, Any], hook: str | None) -> dict[str, Any]:
    if hook is None:
        return {"name": shipped["name"]}
    ways = [way for name, ways in shipped.items() if name.endswith("_configs") for way in ways]
    told = any(way.get("send_resolved", True) for way in ways)
    return {"name": shipped["name"], "webhook_configs": [{"url": hook, "send_resolved": told}]}
