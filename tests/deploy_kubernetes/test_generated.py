"""What is generated for Kubernetes is current; the plain manifests are what the chart renders."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
import yaml

from exporter import __version__
from exporter.config_schema import Document
from tests.deploy_kubernetes.programs import VALUES, only, output, program, resources, run
from tools.manifests import chart, plain
from tools.manifests.__main__ import write
from tools.manifests.chart import CHART, semantic, versioned, with_table
from tools.manifests.table import explained, table

README = Path("deploy/kubernetes/README.md")
VALUES_TEXT = (CHART / "values.yaml").read_text()


@pytest.mark.parametrize("path", chart.files(), ids=str)
def test_a_file_of_the_chart_is_current(path: Path) -> None:
    assert path.read_text() == chart.files()[path], "run `make generate` and commit what it changes"


def test_no_dashboard_of_former_times_is_left() -> None:
    there = set((CHART / "files/dashboards").iterdir())
    assert there == {path for path in chart.files() if path.parent == CHART / "files/dashboards"}
    assert len(there) == 3


def test_chart_and_exporter_have_one_version() -> None:
    found = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert (found["version"], found["appVersion"]) == (semantic(__version__), __version__)
    changed = yaml.safe_load(versioned((CHART / "Chart.yaml").read_text(), "2.0.0rc1"))
    assert (changed["version"], changed["appVersion"]) == ("2.0.0-rc.1", "2.0.0rc1")
    assert {**changed, "version": 0, "appVersion": 0} == {**found, "version": 0, "appVersion": 0}


@pytest.mark.parametrize(
    ("python", "helm"),
    [("1.2.3", "1.2.3"), ("1.2.0rc1", "1.2.0-rc.1"), ("1.2.0.dev3", "1.2.0-dev.3"), ("1.2.0.post1", "1.2.0+post.1")],
)
def test_a_version_of_python_becomes_one_of_helm(python: str, helm: str) -> None:
    assert semantic(python) == helm


def test_a_version_that_helm_cannot_have_is_refused() -> None:
    with pytest.raises(ValueError, match=r"1!2\.0"):
        semantic("1!2.0")


def leaves(schema: dict[str, object], path: tuple[str, ...] = ()) -> set[tuple[str, ...]]:
    properties = schema.get("properties")
    if not isinstance(properties, dict) or path in (("config",), ("resources",)):
        return {path}
    return {leaf for name, each in properties.items() for leaf in leaves(each, (*path, name))}


def test_schema_and_table_have_every_value_and_no_other() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    assert leaves(schema) - {("global",)} == {path for path, _ in explained(VALUES_TEXT)}


def test_the_schema_knows_every_key_of_the_configuration() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    configured = schema["properties"]["config"]
    assert set(configured["properties"]) == {*Document.model_fields}
    assert configured["additionalProperties"] is False
    assert schema["definitions"]["Poll"]["properties"]["interval"]["type"] == "string"
    text = json.dumps(schema)
    assert set(re.findall(r'"#/definitions/(\w+)"', text)) <= set(schema["definitions"])


def test_a_value_that_nobody_explains_is_refused() -> None:
    with pytest.raises(ValueError, match=r"web\.path: no comment"):
        table("web:\n  # Whether it is served.\n  enabled: true\n\n  path: /\n")


def test_a_mapping_without_comments_is_one_value() -> None:
    text = "# What it may use.\nresources:\n  limits:\n    cpu: 1\n# Of\n# two lines | a bar.\nnext: [a|b]\n"
    assert table(text).splitlines()[2:] == [
        '| `resources` | `{"limits": {"cpu": 1}}` | What it may use. |',
        '| `next` | `["a\\|b"]` | Of two lines | a bar. |',
    ]


def test_the_table_stands_between_its_marks() -> None:
    text = (CHART / "README.md").read_text()
    changed = with_table(text, "| nothing |\n")
    assert "| nothing |" in changed and "`replicas`" not in changed
    assert with_table(changed, table(VALUES_TEXT)) == text


def test_files_are_written_where_they_belong(tmp_path: Path) -> None:
    write({tmp_path / "new/one": "1", tmp_path / "two": "2"})
    assert ((tmp_path / "new/one").read_text(), (tmp_path / "two").read_text()) == ("1", "2")


def test_rendered_text_becomes_one_file_for_each_manifest() -> None:
    text = "---\n# Source: chart/templates/a.yaml\nkind: A\nlabels:\n  helm.sh/chart: c-1\n  b: c\n---\n# Source: chart/templates/b.yaml\nkind: B\n\n"
    files = {path.name: text.split("\n", 1)[1] for path, text in plain.files(text).items()}
    assert files["a.yaml"] == "kind: A\nlabels:\n  b: c\n"
    assert files["b.yaml"] == "kind: B\n"
    assert yaml.safe_load(files["kustomization.yaml"])["resources"] == ["a.yaml", "b.yaml"]
    with pytest.raises(ValueError, match="not what Helm renders"):
        plain.files("---\nkind: A\n")


@pytest.mark.system
def test_the_plain_manifests_are_what_the_chart_renders() -> None:
    wanted = plain.files(plain.rendered(program("helm")))
    there = {path: path.read_text() for path in plain.DIRECTORY.glob("*.yaml")}
    assert there == wanted, "run `make generate` and commit what it changes"


@pytest.mark.system
def test_kubectl_puts_the_plain_manifests_together() -> None:
    together = resources(output(program("kubectl"), "kustomize", str(plain.DIRECTORY)))
    alone = [
        each
        for path in plain.DIRECTORY.glob("*.yaml")
        for each in resources(path.read_text())
        if each["kind"] != "Kustomization"
    ]
    key = lambda each: each["kind"]  # noqa: E731
    assert sorted(together, key=key) == sorted(alone, key=key)
    assert not any("helm" in json.dumps(each).lower() for each in alone)


@pytest.mark.system
def test_an_overlay_as_the_readme_has_it_changes_image_namespace_and_configuration(tmp_path: Path) -> None:
    found = re.search(r"```yaml\n(   apiVersion: kustomize.*?)   ```", README.read_text(), re.DOTALL)
    assert found is not None
    shutil.copytree(plain.DIRECTORY, tmp_path / "kubernetes")
    (tmp_path / "kustomization.yaml").write_text(re.sub(r"(?m)^   ", "", found[1]))
    text = output(program("kubectl"), "kustomize", str(tmp_path))
    (configured,) = (each for each in resources(text) if each["kind"] == "ConfigMap")
    assert yaml.safe_load(configured["data"]["config.yaml"]) == {"clouds": [{"cloud": "prod"}]}
    assert f"image: registry.example.com/monitoring/openstack-migration-exporter:{__version__}" in text
    assert {each["metadata"]["namespace"] for each in resources(text)} == {"monitoring"}


@pytest.mark.system
@pytest.mark.parametrize("path", [CHART / "README.md", README], ids=str)
def test_what_is_written_as_yaml_in_a_readme_is_accepted(path: Path, tmp_path: Path) -> None:
    examples = re.findall(r"(?m)^( *)```yaml\n(.*?)^ *```", path.read_text(), re.DOTALL)
    assert examples
    for indent, text in examples:
        example = re.sub(rf"(?m)^{indent}", "", text)
        assert yaml.safe_load(example)
        if path.parent == CHART:
            (tmp_path / "values.yaml").write_text(example)
            output(program("helm"), "template", "moves", str(CHART), f"--values={tmp_path / 'values.yaml'}")


@pytest.mark.system
def test_a_package_has_the_chart_and_nothing_else(tmp_path: Path) -> None:
    shutil.copytree(CHART, tmp_path / CHART.name)
    (tmp_path / CHART.name / "files/probe.pyc").write_text("")
    output(program("helm"), "package", str(tmp_path / CHART.name), f"--destination={tmp_path}")
    shutil.unpack_archive(tmp_path / f"{CHART.name}-{semantic(__version__)}.tgz", tmp_path / "unpacked", filter="data")
    packed = {path.relative_to(tmp_path / "unpacked" / CHART.name) for path in (tmp_path / "unpacked").rglob("*.*")}
    wanted = {path.relative_to(CHART) for path in CHART.rglob("*.*") if "__pycache__" not in path.parts}
    assert {path for path in packed if path.name != CHART.name} == wanted
    done = run(
        program("helm"),
        "template",
        "moves",
        str(tmp_path / "unpacked" / CHART.name),
        f"--values={VALUES['everything']}",
    )
    assert done.returncode == 0, done.stderr


#: What Kubernetes lets nobody change of a StatefulSet: an upgrade that tries to is refused.
UNCHANGEABLE = ("serviceName", "selector", "volumeClaimTemplates", "podManagementPolicy")


@pytest.mark.system
def test_an_upgrade_changes_nothing_that_kubernetes_lets_nobody_change(tmp_path: Path) -> None:
    newer = tmp_path / CHART.name
    shutil.copytree(CHART, newer)
    (newer / "Chart.yaml").write_text(versioned((newer / "Chart.yaml").read_text(), "9.9.9"))
    command = [program("helm"), "template", "moves"]
    flags = [
        "--set=config.poll.interval=1m",
        "--set=commonLabels.team=cloud",
        "--set=replicas=2",
        "--set=log.level=debug",
    ]
    before, after = (
        only("StatefulSet", resources(output(*command, *each))) for each in ([str(CHART)], [str(newer), *flags])
    )
    assert after["spec"]["template"]["spec"]["containers"][0]["image"].endswith(":9.9.9")
    for each in UNCHANGEABLE:
        assert before["spec"][each] == after["spec"][each]
