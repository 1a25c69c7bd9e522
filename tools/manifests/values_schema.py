"""The schema of the chart's values: unknown keys and wrong types are refused before anything reaches a cluster.

What Kubernetes itself checks (affinity, volumes and the like) is only said to be a mapping or a list. The configuration of the
exporter has the keys of exporter/config_schema.py.
"""

from __future__ import annotations

from typing import Any

from exporter.config_schema import Document

Schema = dict[str, Any]

_DURATION = r"^(never|0|([0-9]+(ms|s|m|h|d|w|y))+)$"
_PROMETHEUS_DURATION = r"^(0|([0-9]+(ms|s|m|h|d|w|y))+)$"
_QUANTITY = r"^[0-9]+(\.[0-9]+)?(m|k|Ki|M|Mi|G|Gi|T|Ti)?$"
_OWN_LABELS = r"^(app\.kubernetes\.io|helm\.sh)/"


def schema() -> Schema:
    """Return the schema, of draft 7, which every Helm knows."""
    configuration = _configuration()
    definitions = configuration.pop("$defs")
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Values of the chart openstack-migration-exporter",
        **_section({**_pods(), **_exporter(configuration), **_prometheus(), **_network(), "global": _mapping()}),
        "definitions": definitions,
    }


def _exporter(configuration: Schema) -> dict[str, Schema]:
    """Return what the exporter is told."""
    web = {
        "existingSecret": _text(),
        "key": _some_text(),
        "tls": _flag(),
        "password": _flag(),
        "clientCertificate": _flag(),
        "probeSecret": _text(),
    }
    return {
        "clouds": _section({"existingSecret": _text(), "key": _some_text(), "content": _text(), "cloud": _some_text()}),
        "config": configuration,
        "log": _section({"level": _one_of("debug", "info", "warn", "error"), "format": _one_of("logfmt", "json")}),
        "web": _section(
            {"telemetryPath": _text(pattern="^/.+"), "enableLifecycle": _flag(), "config": _section(web)},
        ),
        "state": _section(
            {
                "kind": _one_of("volume", "emptyDir"),
                "size": _text(pattern=_QUANTITY),
                "storageClass": _text(),
                "accessMode": _one_of("ReadWriteOnce", "ReadWriteOncePod", "ReadWriteMany"),
                "annotations": _texts(),
                "whenDeleted": _one_of("Retain", "Delete"),
                "whenScaled": _one_of("Retain", "Delete"),
            }
        ),
        "extraArgs": _list(_text(pattern="^--")),
    }


def _pods() -> dict[str, Schema]:
    """Return what Kubernetes is told of the pods."""
    image = {
        "repository": _some_text(),
        "tag": _text(),
        "digest": _text(pattern="^(sha256:[0-9a-f]{64})?$"),
        "pullPolicy": _one_of("Always", "IfNotPresent", "Never"),
    }
    mappings = ("podSecurityContext", "securityContext", "livenessProbe", "readinessProbe", "startupProbe", "affinity")
    lists = ("imagePullSecrets", "extraEnv", "extraEnvFrom", "extraVolumes", "extraVolumeMounts", "tolerations")
    return {
        "replicas": _number(1, 10),
        "image": _section(image),
        "nameOverride": _text(),
        "fullnameOverride": _text(),
        "commonLabels": _labels(),
        "serviceAccount": _section({"create": _flag(), "name": _text(), "annotations": _texts()}),
        "resources": _section({"requests": _mapping(), "limits": _mapping(), "claims": _list(_mapping())}),
        **{name: _mapping() for name in mappings},
        **{name: _list(_mapping()) for name in (*lists, "topologySpreadConstraints")},
        "probePython": _text(pattern="^/"),
        "terminationGracePeriodSeconds": _number(6, 3600),
        "podAnnotations": _texts(),
        "podLabels": _labels(),
        "priorityClassName": _text(),
        "nodeSelector": _texts(),
        "podDisruptionBudget": _section({"maxUnavailable": {"type": ["integer", "string"], "pattern": "^[0-9]+%$"}}),
    }


def _prometheus() -> dict[str, Schema]:
    """Return what Prometheus and Grafana find."""
    monitor = {
        "enabled": _flag(),
        "labels": _labels(),
        "jobName": _text(pattern="openstack-migration"),
        "interval": _text(pattern=_PROMETHEUS_DURATION),
        "scrapeTimeout": _text(pattern=_PROMETHEUS_DURATION),
        "tlsConfig": _mapping(),
        "basicAuth": _mapping(),
        "relabelings": _list(_mapping()),
        "metricRelabelings": _list(_mapping()),
    }
    dashboards = {
        "enabled": _flag(),
        "namespace": _text(),
        "label": _some_text(),
        "labelValue": _text(),
        "annotations": _texts(),
    }
    return {
        "serviceMonitor": _section(monitor),
        "prometheusRule": _section({"enabled": _flag(), "labels": _labels()}),
        "links": _section({"runbooks": _address(), "dashboards": _address()}),
        "dashboards": _section(dashboards),
    }


def _network() -> dict[str, Schema]:
    port = _number(1, 65535)
    policy = {
        "enabled": _flag(),
        "ingressFrom": _list(_mapping()),
        "dnsPorts": _list(port) | {"minItems": 1},
        "openstackPorts": _list(port) | {"minItems": 1},
        "openstackTo": _list(_mapping()),
        "extraEgress": _list(_mapping()),
    }
    return {"service": _section({"port": port, "annotations": _texts()}), "networkPolicy": _section(policy)}


def _configuration() -> Schema:
    """Return the schema of the exporter's own configuration, as it is written."""
    return dict(_written(Document.model_json_schema(ref_template="#/definitions/{model}")))


def _written(node: Any) -> Any:
    """Return, from what pydantic says of values once they are read, what is written in YAML: durations are texts."""
    if isinstance(node, list):
        return [_written(each) for each in node]
    if not isinstance(node, dict):
        return node
    if node.get("anyOf") == [{"type": "number"}, {"type": "null"}]:
        return {"type": ["string", "null"]}  # a moment
    if node.get("type") == "number":
        return _text(pattern=_DURATION)
    if node.get("type") == "integer":
        return {"type": "integer", "minimum": 0}
    return {key: _written(value) for key, value in node.items() if key not in _UNSAID}


#: Defaults are the exporter's own business, titles repeat the keys, and Python's docstrings are not for who writes YAML.
_UNSAID = frozenset({"default", "title", "description"})


def _section(properties: dict[str, Schema]) -> Schema:
    return {"type": "object", "additionalProperties": False, "properties": properties}


def _mapping() -> Schema:
    return {"type": "object"}


def _texts() -> Schema:
    return {"type": "object", "additionalProperties": {"type": "string"}}


def _labels() -> Schema:
    """Return the schema of labels, of which those that the chart sets itself are refused."""
    return _texts() | {"propertyNames": {"not": {"pattern": _OWN_LABELS}}}


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _flag() -> Schema:
    return {"type": "boolean"}


def _number(lowest: int, highest: int) -> Schema:
    return {"type": "integer", "minimum": lowest, "maximum": highest}


def _text(pattern: str | None = None) -> Schema:
    return {"type": "string"} if pattern is None else {"type": "string", "pattern": pattern}


def _some_text() -> Schema:
    return {"type": "string", "minLength": 1}


def _address() -> Schema:
    return _text(pattern="^https?://[^ ]+$")


def _one_of(*values: str) -> Schema:
    return {"type": "string", "enum": list(values)}
