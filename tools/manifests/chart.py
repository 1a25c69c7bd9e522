"""The generated files of the chart: what it copies from elsewhere, its version, its schema, the table in its README."""

from __future__ import annotations

import json
import re
from pathlib import Path

from exporter import __version__
from tools.manifests.table import table
from tools.manifests.values_schema import schema

CHART = Path("deploy/helm/openstack-migration-exporter")
RULES = Path("deploy/prometheus/openstack-migration-exporter.rules.yml")
DASHBOARDS = Path("dashboards")

_BEGIN, _END = "<!-- values: written by `make generate` -->\n", "<!-- end of values -->"


def files(root: Path = Path()) -> dict[Path, str]:
    """Return every generated file of the chart by its path below the project's root."""
    dashboards = {
        CHART / "files/dashboards" / path.name: path.read_text()
        for path in sorted((root / DASHBOARDS).glob("openstack-migration*.json"))
    }
    return {
        CHART / "Chart.yaml": versioned((root / CHART / "Chart.yaml").read_text(), __version__),
        CHART / "README.md": with_table(
            (root / CHART / "README.md").read_text(), table((root / CHART / "values.yaml").read_text())
        ),
        CHART / "values.schema.json": json.dumps(schema(), indent=2) + "\n",
        CHART / "files/rules.yaml": (root / RULES).read_text(),
        **dashboards,
    }


def versioned(text: str, version: str) -> str:
    """Return the text of a Chart.yaml with another version; chart and exporter have the same."""
    text = re.sub(r"(?m)^version: .*$", f"version: {semantic(version)}", text)
    return re.sub(r"(?m)^appVersion: .*$", f'appVersion: "{version}"', text)


def semantic(version: str) -> str:
    """Return a version of Python's (PEP 440) as Helm wants it (SemVer 2): 1.2.0rc1 is 1.2.0-rc.1, 1.2.0.dev3 is 1.2.0-dev.3."""
    match = re.fullmatch(r"(\d+\.\d+\.\d+)(?:\.?(a|b|rc|dev|post)(\d+))?", version)
    if match is None:
        raise ValueError(f"version {version} cannot be one of a Helm chart")
    release, stage, number = match.groups()
    joint = "+" if stage == "post" else "-"
    return f"{release}{joint}{stage}.{number}" if stage else release


def with_table(text: str, rows: str) -> str:
    """Return the text of the chart's README with another table between its two marks."""
    before, rest = text.split(_BEGIN)
    _, after = rest.split(_END)
    return f"{before}{_BEGIN}\n{rows}\n{_END}{after}"
