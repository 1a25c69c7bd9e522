"""Write the rules for Prometheus and, the same, as a PrometheusRule for Kubernetes."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from tools.rules import GROUPS
from tools.rules.rows import Alert, Group, Record

#: Where the runbooks of docs/runbooks/ can be read, and where Grafana is: the one place for both. Whoever has them elsewhere
#: writes the files anew: python -m tools.rules --runbooks URL --dashboards URL
RUNBOOKS = "https://runbooks.example.com/openstack-migration-exporter"
DASHBOARDS = "https://grafana.example.com/d"

DIRECTORY = Path("deploy/prometheus")
PLAIN = "openstack-migration-exporter.rules.yml"
KUBERNETES = "prometheusrule.yaml"

_HEAD = """\
# Written by `make generate`; change tools/rules/ instead.
#
# Needs Prometheus 2.42 or newer (keep_firing_for), and a scrape job of the exporter with openstack-migration in its name.
# With runbooks and dashboards elsewhere: python -m tools.rules --runbooks URL --dashboards URL
"""

_NAME = "openstack-migration-exporter"


def files(runbooks: str = RUNBOOKS, dashboards: str = DASHBOARDS) -> dict[str, str]:
    """Return every file by its name."""
    groups = {"groups": [_group(group, runbooks, dashboards) for group in GROUPS]}
    resource = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": _NAME, "labels": {"app.kubernetes.io/name": _NAME}},
        "spec": groups,
    }
    return {PLAIN: _HEAD + _written(groups), KUBERNETES: _HEAD + _written(resource)}


def _group(group: Group, runbooks: str, dashboards: str) -> dict[str, Any]:
    return {"name": group.name, "rules": [_rule(rule, runbooks, dashboards) for rule in group.rules]}


def _rule(rule: Record | Alert, runbooks: str, dashboards: str) -> dict[str, Any]:
    if isinstance(rule, Record):
        return {"record": rule.name, "expr": rule.expr}
    keep = {} if rule.keep is None else {"keep_firing_for": rule.keep}
    annotations = {
        "summary": rule.summary,
        "description": rule.description,
        "runbook_url": f"{runbooks}/{rule.full_name}.md",
        "dashboard_url": f"{dashboards}/{rule.dashboard}?{'&'.join(map(_variable, rule.variables))}",
    }
    labels = {"severity": str(rule.severity)}
    return {
        "alert": rule.full_name,
        "expr": rule.expr,
        "for": rule.wait,
        **keep,
        "labels": labels,
        "annotations": annotations,
    }


def _variable(label: str) -> str:
    return f"var-{label}={{{{ $labels.{label} | urlquery }}}}"


class _Dumper(yaml.SafeDumper):
    """Writes what has several lines as it is, and long sentences folded."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    style = "|" if "\n" in text else ">" if len(text) > 100 else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def _written(content: Mapping[str, Any]) -> str:
    return str(yaml.dump(content, Dumper=_Dumper, sort_keys=False, width=120))


def main(arguments: Sequence[str] | None = None) -> None:
    """Write every file."""
    parser = argparse.ArgumentParser(prog="python -m tools.rules", description=__doc__)
    parser.add_argument("--runbooks", default=RUNBOOKS, help="where the runbooks are (default: %(default)s)")
    parser.add_argument("--dashboards", default=DASHBOARDS, help="where the dashboards are (default: %(default)s)")
    parser.add_argument("--directory", type=Path, default=DIRECTORY, help="where to write (default: %(default)s)")
    chosen = parser.parse_args(arguments)
    for name, text in files(chosen.runbooks.rstrip("/"), chosen.dashboards.rstrip("/")).items():
        (chosen.directory / name).write_text(text)


if __name__ == "__main__":
    main()
