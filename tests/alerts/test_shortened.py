"""Only times differ between what is shipped and what the stories are played with."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from tests.alerts.delivery import ALERTMANAGER, RULES, alertmanager_config
from tests.alerts.shortened import GROUP_WAITS, RANGES, WAITS, shorten_rules

SHIPPED: dict[str, Any] = yaml.safe_load(RULES.read_text())
SHORT = shorten_rules(SHIPPED)

#: Every place of an expression, or of a template that asks for one, where a length of time stands.
LENGTH = re.compile(r"(?<=\[)[0-9a-z]+(?=\])|(?<=offset )[0-9a-z]+")

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def seconds(text: str) -> int:
    return int(text[:-1]) * UNITS[text[-1]]


def without_times(rule: dict[str, Any]) -> dict[str, Any]:
    texts = {"expr": rule["expr"], **rule.get("annotations", {})}
    bare = {name: LENGTH.sub("LENGTH", text) for name, text in texts.items()}
    kept = {name: rule[name] for name in rule.keys() - {"expr", "annotations", "for", "keep_firing_for"}}
    return {**kept, **bare, "times": sorted({"for", "keep_firing_for"} & rule.keys())}


def rules(file: dict[str, Any]) -> list[dict[str, Any]]:
    return [rule for group in file["groups"] for rule in group["rules"]]


def test_rules_differ_in_times_only() -> None:
    assert [group["name"] for group in SHORT["groups"]] == [group["name"] for group in SHIPPED["groups"]]
    assert [set(group) for group in SHORT["groups"]] == [set(group) for group in SHIPPED["groups"]]
    assert [list(map(set, group["rules"])) for group in SHORT["groups"]] == [
        list(map(set, group["rules"])) for group in SHIPPED["groups"]
    ]
    assert list(map(without_times, rules(SHORT))) == list(map(without_times, rules(SHIPPED)))


def test_every_time_is_shortened() -> None:
    for long, short in zip(rules(SHIPPED), rules(SHORT), strict=True):
        for name in {"for", "keep_firing_for"} & long.keys():
            assert seconds(short[name]) < seconds(long[name])
        before, after = LENGTH.findall(str(long)), LENGTH.findall(str(short))
        assert len(before) == len(after)
        assert all(seconds(one) < seconds(other) for one, other in zip(after, before, strict=True))


def test_what_is_longer_stays_longer_or_equal() -> None:
    for table in (WAITS, RANGES, GROUP_WAITS):
        pairs = sorted((seconds(long), seconds(short)) for long, short in table.items())
        assert [short for _, short in pairs] == sorted(short for _, short in pairs)


def test_the_search_for_lengths_finds_them() -> None:
    assert LENGTH.findall("increase(x[1h]) unless x offset 1d and last_over_time(y{a=%q}[5m])") == ["1h", "1d", "5m"]


def test_a_time_that_is_not_known_is_an_error() -> None:
    with pytest.raises(KeyError):
        shorten_rules({"groups": [{"name": "g", "rules": [{"alert": "A", "expr": "x[17m]", "for": "5m"}]}]})
    with pytest.raises(KeyError):
        shorten_rules({"groups": [{"name": "g", "rules": [{"alert": "A", "expr": "x", "for": "17m"}]}]})


def bare_route(route: dict[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in route.items() if name not in ("group_wait", "group_interval", "routes")}
    return {**kept, "routes": [bare_route(each) for each in route.get("routes", ())]}


def test_alertmanager_differs_in_addresses_and_waits_only() -> None:
    shipped, used = yaml.safe_load(ALERTMANAGER.read_text()), alertmanager_config("http://mailbox")
    assert bare_route(used["route"]) == bare_route(shipped["route"])
    assert used["inhibit_rules"] == shipped["inhibit_rules"]
    assert used.keys() == shipped.keys()
    for ours, theirs in zip(used["receivers"], shipped["receivers"], strict=True):
        assert (ours["name"], ours.get("slack_configs")) == (theirs["name"], theirs.get("slack_configs"))
        (hook,) = ours["webhook_configs"]
        assert hook.pop("url") == "http://mailbox/hook"
        (expected,) = theirs.get("webhook_configs", [{"send_resolved": False}])
        expected.pop("url", None)
        assert hook == expected
