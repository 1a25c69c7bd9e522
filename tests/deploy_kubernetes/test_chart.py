"""The chart renders what Kubernetes, the Prometheus Operator and the exporter itself accept, for five sets of values."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from exporter import config, flags
from tests.deploy_kubernetes.programs import (
    HERE,
    VALUES,
    DuplicateKeyError,
    Resource,
    container_of,
    custom_faults,
    only,
    output,
    pod_of,
    program,
    rendered,
    resources,
    run,
)
from tools.manifests.chart import CHART

pytestmark = pytest.mark.system

OPERATORS_OWN = ("ServiceMonitor", "PrometheusRule")
BAD = sorted((HERE / "bad").glob("*.yaml"))

#: The oldest Kubernetes that Chart.yaml allows, and the newest whose definitions there are.
KUBERNETES = ("1.25", kubernetes_validate.latest_version())


def kinds(found: list[Resource]) -> list[str]:
    return sorted(each["kind"] for each in found)


def test_there_are_five_sets_of_values() -> None:
    assert list(VALUES) == ["default", "everything", "no_state", "two_replicas", "web_tls"]


@pytest.mark.parametrize("values", VALUES)
def test_helm_lint_finds_no_fault(values: str) -> None:
    said = output(program("helm"), "lint", "--strict", str(CHART), f"--values={VALUES[values]}")
    assert "[WARNING]" not in said and "[ERROR]" not in said


@pytest.mark.parametrize("version", KUBERNETES)
@pytest.mark.parametrize("values", VALUES)
def test_kubernetes_accepts_what_is_rendered(values: str, version: str) -> None:
    for each in rendered(values):
        if each["kind"] not in OPERATORS_OWN:
            kubernetes_validate.validate(each, version, strict=True)


@pytest.mark.parametrize("version", KUBERNETES)
def test_what_kubernetes_does_not_know_is_seen(version: str) -> None:
    stateful = copy.deepcopy(only("StatefulSet", rendered()))
    stateful["spec"]["template"]["spec"]["containers"][0]["readynessProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError, match="readynessProbe"):
        kubernetes_validate.validate(stateful, version, strict=True)


def test_the_operator_accepts_its_resources() -> None:
    shipped = yaml.safe_load(Path("deploy/prometheus/prometheusrule.yaml").read_text())
    custom = [each for values in VALUES for each in rendered(values) if each["kind"] in OPERATORS_OWN]
    assert kinds(custom) == ["PrometheusRule", "ServiceMonitor", "ServiceMonitor", "ServiceMonitor"]
    for resource, faults in zip([shipped, *custom], custom_faults([shipped, *custom]), strict=True):
        assert faults == [], resource["metadata"]["name"]


def test_what_the_operator_does_not_accept_is_seen() -> None:
    monitor, rule = (only(kind, rendered("everything")) for kind in OPERATORS_OWN)
    changed = [copy.deepcopy(each) for each in (monitor, monitor, rule, rule)]
    changed[0]["spec"]["endpoints"][0]["intervall"] = "30s"
    changed[1]["spec"]["endpoints"][0]["interval"] = "30 seconds"
    changed[2]["spec"]["groups"][0]["rules"][0]["runbook"] = "overdue"
    del changed[3]["spec"]["groups"][0]["name"]
    unknown, wrong, unknown_too, missing = custom_faults(changed)
    assert unknown == [".spec.endpoints[0].intervall: unknown key"]
    assert "must match pattern" in wrong[0]
    assert unknown_too == [".spec.groups[0].rules[0].runbook: unknown key"]
    assert "must have required property name" in missing[0]


def test_a_key_that_is_there_twice_is_seen() -> None:
    with pytest.raises(DuplicateKeyError, match="name"):
        resources("metadata: {name: a, name: b}")


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_a_mistake_is_refused_with_what_is_wrong(path: Path) -> None:
    done = run(program("helm"), "template", "moves", str(CHART), f"--values={path}")
    assert done.returncode != 0
    wanted = path.read_text().splitlines()[0].removeprefix("# ")
    assert wanted in done.stderr
    assert len(done.stderr.strip().splitlines()) <= 4, "one mistake, one complaint"


def test_of_the_mistakes_none_is_there_twice() -> None:
    wanted = [path.read_text().splitlines()[0] for path in BAD]
    assert len(set(wanted)) == len(wanted) >= 25


@pytest.mark.parametrize("values", VALUES)
def test_the_exporter_accepts_its_flags_behind_those_of_the_image(values: str) -> None:
    found = re.search(r"^ENTRYPOINT (\[.*\])$", Path("Dockerfile").read_text(), re.MULTILINE)
    assert found is not None
    _, *of_the_image = json.loads(found[1])
    options = flags.parse([*of_the_image, *container_of(rendered(values))["args"]])
    assert (options.command, options.config) == ("serve", "/etc/openstack-migration-exporter/config.yaml")
    assert options.state == "/var/lib/openstack-migration-exporter/state.db"
    assert options.listen == ("[::]:19180" if values == "everything" else ":19180")
    assert options.lifecycle is (values == "everything")
    assert options.web_config == (
        "/etc/openstack-migration-exporter-web/web-config.yaml" if values == "web_tls" else None
    )
    if values == "everything":
        assert (options.path, options.level, options.format) == ("/moves", "debug", "json")


@pytest.mark.parametrize("values", VALUES)
def test_the_exporter_reads_its_configuration_as_it_was_meant(values: str, tmp_path: Path) -> None:
    container = container_of(rendered(values))
    environ = {each["name"]: each.get("value", "") for each in container.get("env", [])}
    (tmp_path / "rendered.yaml").write_text(the_configuration(rendered(values)))
    meant = yaml.safe_load(VALUES[values].read_text()).get("config", {})
    meant.get("ignore", {}).update({"created_before": "2025-01-01T00:00:00Z"})  # which PyYAML reads as a date
    (tmp_path / "meant.yaml").write_text(yaml.safe_dump(meant))
    assert config.load(str(tmp_path / "rendered.yaml"), environ) == config.load(str(tmp_path / "meant.yaml"), environ)


def the_configuration(found: list[Resource]) -> str:
    (text,) = (each["data"]["config.yaml"] for each in found if "config.yaml" in each.get("data", {}))
    return str(text)


@pytest.mark.parametrize("values", VALUES)
def test_everything_bears_the_common_labels(values: str) -> None:
    for each in rendered(values):
        labels = each["metadata"]["labels"]
        assert labels["app.kubernetes.io/name"] == "openstack-migration-exporter"
        assert labels["app.kubernetes.io/instance"] == "moves"
        assert labels["app.kubernetes.io/managed-by"] == "Helm"
        assert labels.get("team") == ("cloud" if values == "everything" else None)


@pytest.mark.parametrize("values", VALUES)
def test_what_selects_pods_selects_them(values: str) -> None:
    found = rendered(values)
    pod = only("StatefulSet", found)["spec"]["template"]["metadata"]["labels"]
    service = only("Service", found)
    chosen = [only("StatefulSet", found)["spec"]["selector"]["matchLabels"], service["spec"]["selector"]]
    chosen += [each["spec"]["podSelector"]["matchLabels"] for each in found if each["kind"] == "NetworkPolicy"]
    chosen += [each["spec"]["selector"]["matchLabels"] for each in found if each["kind"] == "PodDisruptionBudget"]
    assert all(each and each.items() <= pod.items() for each in chosen)
    for each in found:
        if each["kind"] == "ServiceMonitor":
            assert each["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()


@pytest.mark.parametrize("values", VALUES)
def test_every_mount_has_its_volume_and_every_volume_its_mount(values: str) -> None:
    found = rendered(values)
    claims = only("StatefulSet", found)["spec"].get("volumeClaimTemplates", [])
    volumes = [each["name"] for each in pod_of(found)["volumes"]] + [each["metadata"]["name"] for each in claims]
    assert sorted(volumes) == sorted(each["name"] for each in container_of(found)["volumeMounts"])
    assert bool(claims) is (values != "no_state")


def test_by_default_there_is_one_pod_and_nothing_that_needs_the_operator() -> None:
    wanted = ["ConfigMap", "NetworkPolicy", "Service", "ServiceAccount", "StatefulSet"]
    assert kinds(rendered()) == wanted
    assert only("StatefulSet", rendered())["spec"]["replicas"] == 1


def test_two_replicas_have_a_budget_and_spread() -> None:
    found = rendered("two_replicas")
    assert only("PodDisruptionBudget", found)["spec"]["maxUnavailable"] == "50%"
    (spread,) = pod_of(found)["topologySpreadConstraints"]
    assert spread["topologyKey"] == "kubernetes.io/hostname"
    assert "topologySpreadConstraints" not in pod_of(rendered())


def test_without_state_it_lies_in_the_pod() -> None:
    (state,) = (each for each in pod_of(rendered("no_state"))["volumes"] if each["name"] == "state")
    assert state["emptyDir"] == {"sizeLimit": "100Mi"}


def test_without_clouds_yaml_no_variable_names_a_cloud() -> None:
    container = container_of(rendered("no_state"))
    assert "env" not in container and container["envFrom"] == [{"secretRef": {"name": "keystone-admin"}}]


def test_clouds_of_the_configuration_are_not_overruled_by_a_variable() -> None:
    names = {each["name"] for each in container_of(rendered("everything"))["env"]}
    assert names == {"OS_CLIENT_CONFIG_FILE", "REQUESTS_CA_BUNDLE", "HTTPS_PROXY"}


def test_credentials_of_the_values_are_in_a_secret_alone() -> None:
    found = rendered("everything")
    assert "password: secret" in only("Secret", found)["stringData"]["clouds.yaml"]
    assert not any("password: secret" in json.dumps(each) for each in found if each["kind"] != "Secret")


def checksum(*more: str) -> dict[str, str]:
    annotations: dict[str, str] = only("StatefulSet", rendered("default", *more))["spec"]["template"]["metadata"][
        "annotations"
    ]
    return annotations


def test_another_configuration_restarts_the_pods_and_the_same_does_not() -> None:
    changed = checksum("--set=config.poll.interval=1m")
    assert changed.keys() == checksum().keys() and changed != checksum()
    assert checksum("--set=service.port=9090") == checksum()
    clouds = checksum("--set=clouds.content=a")
    assert clouds["checksum/clouds"] != checksum("--set=clouds.content=b")["checksum/clouds"]


@pytest.mark.parametrize(
    ("web", "asked"),
    [
        ([], {"httpGet": {"path": "/-/ready", "port": "http", "scheme": "HTTP"}}),
        (["tls=true"], {"httpGet": {"path": "/-/ready", "port": "http", "scheme": "HTTPS"}}),
        (["tls=true", "clientCertificate=true"], {"tcpSocket": {"port": "http"}}),
        (["password=true"], {"tcpSocket": {"port": "http"}}),
    ],
)
def test_probes_ask_by_what_the_web_configuration_demands(web: list[str], asked: dict[str, Any]) -> None:
    more = [f"--set=web.config.{each}" for each in web]
    container = container_of(rendered("default", "--set=web.config.existingSecret=web", *more))
    ready = container["readinessProbe"]
    assert ready == {**asked, "failureThreshold": 3, "periodSeconds": 10, "timeoutSeconds": 10}
    how, where = next(iter(asked.items()))
    for probe in ("startupProbe", "livenessProbe"):
        assert container[probe][how] == ({**where, "path": "/-/healthy"} if "path" in where else where)


def test_whom_the_policy_lets_in_and_out() -> None:
    usual = only("NetworkPolicy", rendered())["spec"]
    assert usual["ingress"][0]["from"][0]["podSelector"] == {"matchLabels": {"app.kubernetes.io/name": "prometheus"}}
    ports = {(port["port"], port["protocol"]) for rule in usual["egress"] for port in rule["ports"]}
    assert ports >= {(53, "UDP"), (53, "TCP"), (443, "TCP"), (5000, "TCP"), (8774, "TCP")}
    assert only("NetworkPolicy", rendered("two_replicas"))["spec"]["ingress"] == []
    _, openstack, proxy = only("NetworkPolicy", rendered("everything"))["spec"]["egress"]
    assert openstack["to"] == [{"ipBlock": {"cidr": "198.51.100.0/24"}}]
    assert proxy["ports"] == [{"port": 3128, "protocol": "TCP"}]
    assert "NetworkPolicy" not in kinds(rendered("no_state"))


def test_names_fit_however_long_the_release_is() -> None:
    for each in rendered("two_replicas", "--set=dashboards.enabled=true", release="r" * 53):
        limit = 52 if each["kind"] in ("StatefulSet", "Service") else 253
        assert len(each["metadata"]["name"]) <= limit, each["kind"]


@pytest.mark.parametrize("values", VALUES)
def test_the_notes_say_what_comes_next(values: str) -> None:
    command = [program("helm"), "install", "moves", str(CHART), "--dry-run=client", f"--values={VALUES[values]}"]
    _, notes = output(*command).split("NOTES:\n")
    assert "openstack-migration-exporter check" in notes
    assert ("create secret" in notes) is (values not in ("everything", "no_state"))
    assert ("Nothing scrapes it yet" in notes) is (values in ("default", "no_state"))
    assert ("The state goes with the pod" in notes) is (values == "no_state")
    assert ("A NetworkPolicy lets in" in notes) is (values != "no_state")
    assert "only that the port is open" not in notes


def test_the_notes_say_that_probes_see_little() -> None:
    more = ["--set=web.config.existingSecret=web", "--set=web.config.password=true"]
    assert "only that the port is open" in output(
        program("helm"), "install", "moves", str(CHART), "--dry-run=client", *more
    )
