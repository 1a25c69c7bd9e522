"""The pod fits the restricted Pod Security Standard; every rule of it is seen when it is broken."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from tests.deploy_kubernetes.pod_security import violations
from tests.deploy_kubernetes.programs import VALUES, pod_of, rendered, resources

PLAIN = pod_of(resources(Path("deploy/kubernetes/statefulset.yaml").read_text()))

#: Where a pod is changed, to what, and the rule that this breaks; None removes.
BREAKS: list[tuple[str, Any, str]] = [
    ("hostNetwork", True, "hostNetwork"),
    ("hostPID", True, "hostPID"),
    ("hostIPC", True, "hostIPC"),
    ("volumes.0", {"name": "node", "hostPath": {"path": "/"}}, "volume node"),
    ("securityContext.sysctls", [{"name": "kernel.msgmax", "value": "1"}], "sysctl kernel.msgmax"),
    ("securityContext.runAsUser", 0, "runAsUser of the pod"),
    ("securityContext.runAsNonRoot", None, "runAsNonRoot of exporter"),
    ("securityContext.seccompProfile", None, "seccompProfile of exporter"),
    ("securityContext.seccompProfile.type", "Unconfined", "seccompProfile of exporter"),
    ("securityContext.seLinuxOptions", {"type": "spc_t"}, "seLinuxOptions of pod"),
    ("securityContext.appArmorProfile", {"type": "Unconfined"}, "appArmorProfile of pod"),
    ("securityContext.windowsOptions", {"hostProcess": True}, "hostProcess of pod"),
    ("containers.0.securityContext.privileged", True, "privileged of exporter"),
    ("containers.0.securityContext.allowPrivilegeEscalation", None, "allowPrivilegeEscalation of exporter"),
    ("containers.0.securityContext.runAsNonRoot", False, "runAsNonRoot of exporter"),
    ("containers.0.securityContext.runAsUser", 0, "runAsUser of exporter"),
    ("containers.0.securityContext.capabilities", None, "capabilities.drop of exporter"),
    ("containers.0.securityContext.capabilities.add", ["SYS_ADMIN"], "capabilities.add of exporter"),
    ("containers.0.securityContext.procMount", "Unmasked", "procMount of exporter"),
    ("containers.0.securityContext.seLinuxOptions", {"user": "root"}, "seLinuxOptions of exporter"),
    ("containers.0.securityContext.readOnlyRootFilesystem", None, "readOnlyRootFilesystem of exporter"),
    ("containers.0.ports.0.hostPort", 19180, "hostPort of exporter"),
    ("containers.0.livenessProbe.httpGet.host", "192.0.2.1", "probe of another host of exporter"),
    ("automountServiceAccountToken", None, "automountServiceAccountToken"),
    ("enableServiceLinks", None, "enableServiceLinks"),
]


def broken(pod: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """Return a copy of a pod with another value at a place."""
    copied = copy.deepcopy(pod)
    *parents, last = path.split(".")
    place: Any = copied
    for each in parents:
        place = place[int(each)] if isinstance(place, list) else place[each]
    if isinstance(place, list):
        place[int(last)] = value
    elif value is None:
        del place[last]
    else:
        place[last] = value
    return copied


def test_the_plain_pod_breaks_no_rule() -> None:
    assert violations(PLAIN) == []


@pytest.mark.parametrize(("path", "value", "rule"), BREAKS, ids=[f"{path}-{value}" for path, value, _ in BREAKS])
def test_a_broken_rule_is_seen(path: str, value: Any, rule: str) -> None:
    assert violations(broken(PLAIN, path, value)) == [rule]


def test_an_init_container_is_looked_at_too() -> None:
    assert "privileged of setup" in violations(
        {**PLAIN, "initContainers": [{"name": "setup", "securityContext": {"privileged": True}}]}
    )


@pytest.mark.system
@pytest.mark.parametrize("values", VALUES)
def test_a_rendered_pod_breaks_no_rule(values: str) -> None:
    assert violations(pod_of(rendered(values))) == []
