"""The restricted Pod Security Standard, and what this chart promises beyond it, as a function from a pod to what is wrong with it.

Source: https://kubernetes.io/docs/concepts/security/pod-security-standards/
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

_VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
_SECCOMP = ("RuntimeDefault", "Localhost")
_HOST = ("hostNetwork", "hostPID", "hostIPC")
_SYSCTLS = {
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.ping_group_range",
}


def violations(pod: dict[str, Any]) -> list[str]:
    """Return every rule that a pod breaks."""
    return [*_of_pod(pod), *_beyond(pod), *(each for container in _containers(pod) for each in _of(pod, container))]


def _containers(pod: dict[str, Any]) -> list[dict[str, Any]]:
    return [each for kind in ("containers", "initContainers", "ephemeralContainers") for each in pod.get(kind, [])]


def _of_pod(pod: dict[str, Any]) -> Iterator[str]:
    context = pod.get("securityContext", {})
    yield from (each for each in _HOST if pod.get(each))
    yield from (f"volume {each['name']}" for each in pod.get("volumes", []) if {*each} - {"name"} - _VOLUMES)
    yield from (f"sysctl {each['name']}" for each in context.get("sysctls", []) if each["name"] not in _SYSCTLS)
    if context.get("runAsUser") == 0:
        yield "runAsUser of the pod"
    yield from _labels_of_the_kernel("pod", context)


def _of(pod: dict[str, Any], container: dict[str, Any]) -> Iterator[str]:
    name, context, outer = container["name"], container.get("securityContext", {}), pod.get("securityContext", {})
    seccomp = context.get("seccompProfile", outer.get("seccompProfile", {})).get("type")
    capabilities = context.get("capabilities", {})
    broken = {
        "privileged": context.get("privileged", False),
        "allowPrivilegeEscalation": context.get("allowPrivilegeEscalation") is not False,
        "runAsNonRoot": context.get("runAsNonRoot", outer.get("runAsNonRoot")) is not True,
        "runAsUser": context.get("runAsUser") == 0,
        "seccompProfile": seccomp not in _SECCOMP,
        "capabilities.drop": "ALL" not in capabilities.get("drop", []),
        "capabilities.add": bool({*capabilities.get("add", [])} - {"NET_BIND_SERVICE"}),
        "procMount": context.get("procMount", "Default") != "Default",
        "hostPort": any(port.get("hostPort") for port in container.get("ports", [])),
        "probe of another host": any("host" in probe for probe in _asked(container)),
        "readOnlyRootFilesystem": context.get("readOnlyRootFilesystem") is not True,
    }
    yield from (f"{rule} of {name}" for rule, is_broken in broken.items() if is_broken)
    yield from _labels_of_the_kernel(name, context)


def _asked(container: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        yield from (container.get(probe, {}).get(how, {}) for how in ("httpGet", "tcpSocket"))


def _labels_of_the_kernel(name: str, context: dict[str, Any]) -> Iterator[str]:
    linux = context.get("seLinuxOptions", {})
    allowed = {"", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"}
    if linux.get("type", "") not in allowed or "user" in linux or "role" in linux:
        yield f"seLinuxOptions of {name}"
    if context.get("appArmorProfile", {}).get("type", "RuntimeDefault") not in _SECCOMP:
        yield f"appArmorProfile of {name}"
    if context.get("windowsOptions", {}).get("hostProcess"):
        yield f"hostProcess of {name}"


def _beyond(pod: dict[str, Any]) -> Iterator[str]:
    """Yield what the standard allows, but this chart promises not to do."""
    if pod.get("automountServiceAccountToken") is not False:
        yield "automountServiceAccountToken"
    if pod.get("enableServiceLinks") is not False:
        yield "enableServiceLinks"
