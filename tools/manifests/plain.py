"""The plain manifests of deploy/kubernetes/: what the chart renders with its default values, one file for each resource."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from tools.manifests.chart import CHART

DIRECTORY = Path("deploy/kubernetes")
RELEASE = "openstack-migration-exporter"

#: Where tests/deploy_kubernetes/fetch_tools.py puts Helm; that of the system will do as well.
TOOLS = Path(".envs/kubernetes")

#: Labels that say that Helm looks after a resource; here nobody does.
_HELMS_OWN = re.compile(r"^ *(?:helm\.sh/chart|app\.kubernetes\.io/managed-by): .*\n", re.MULTILINE)

_HEAD = (
    "# Written by `make generate`: what the chart renders by default. Change the chart, or lay your own over this.\n"
)


def helm(root: Path = Path()) -> str | None:
    """Return the path of Helm, or None where there is none."""
    beside = root.resolve() / TOOLS / "bin/helm"
    return str(beside) if beside.exists() else shutil.which("helm")


def rendered(program: str, chart: Path = CHART) -> str:
    """Return what `helm template` makes of the default values."""
    command = [program, "template", RELEASE, str(chart)]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=300).stdout  # noqa: S603


def files(text: str) -> dict[Path, str]:
    """Return each manifest by its path, from what Helm rendered; among them what `kubectl apply -k` starts with."""
    manifests = dict(map(_file, re.split(r"^---\n", text, flags=re.MULTILINE)[1:]))
    names = "".join(f"- {name}\n" for name in sorted(manifests))
    start = f"apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources:\n{names}"
    return {DIRECTORY / name: _HEAD + each for name, each in {**manifests, "kustomization.yaml": start}.items()}


def _file(document: str) -> tuple[str, str]:
    """Return the name of a manifest's file, its kind, and its text without what only Helm needs."""
    source, text = document.split("\n", 1)
    match = re.fullmatch(r"# Source: .*/templates/(.+\.yaml)", source)
    if match is None:
        raise ValueError(f"not what Helm renders: {source}")
    return match[1], _HELMS_OWN.sub("", text).rstrip("\n") + "\n"
