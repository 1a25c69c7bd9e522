"""The workflows of the forge: valid, with no more rights than they use, and with every action pinned. They cannot be run here;
what is a script in them can be."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from exporter import __version__
from tests.packaging.released import ROOT, bare

DIRECTORY = ROOT / ".github/workflows"
FILES = sorted(DIRECTORY.glob("*.yml"))
WORKFLOWS: dict[str, dict[Any, Any]] = {path.stem: yaml.safe_load(path.read_text()) for path in FILES}
JOBS = [(name, job) for name, workflow in WORKFLOWS.items() for job in workflow["jobs"]]

#: Every right beyond reading the source that a job has.
RIGHTS = {
    ("release", "attest"): {"id-token": "write", "attestations": "write"},
    ("release", "publish"): {"id-token": "write"},
    ("release", "page"): {"contents": "write"},
    ("release", "image"): {"contents": "read", "packages": "write"},
}

PINNED = re.compile(r"uses: ([\w-]+/[\w./-]+)@([0-9a-f]{40}) # (v\d+\.\d+\.\d+)$")


def job_of(workflow: str, job: str) -> dict[str, Any]:
    found: dict[str, Any] = WORKFLOWS[workflow]["jobs"][job]
    return found


def steps() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every step with the name of its workflow and job."""
    for workflow, job in JOBS:
        for step in job_of(workflow, job).get("steps", []):
            yield f"{workflow}/{job}", step


def checked(program: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [Path(sys.executable).parent / program, *arguments]
    return subprocess.run(command, env=bare(), capture_output=True, text=True, timeout=300, check=False)


def script(workflow: str, job: str, telling: str) -> str:
    """Return the one script of a job that has something in it."""
    (found,) = [step["run"] for step in job_of(workflow, job)["steps"] if telling in step.get("run", "")]
    return str(found)


def run(text: str, at: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run a script as the forge does: each line must succeed."""
    python = {"PATH": f"{Path(sys.executable).parent}:{bare()['PATH']}"}
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", text]
    return subprocess.run(
        command, cwd=at, env={**bare(), **python, **environ}, capture_output=True, text=True, timeout=60, check=False
    )


# --- valid ---


def test_they_are_what_they_must_be() -> None:
    assert set(WORKFLOWS) == {"ci", "release"}


def test_they_are_valid(tmp_path: Path) -> None:
    schema = ("--builtin-schema", "vendor.github-workflows")
    done = checked("check-jsonschema", *schema, *FILES)
    assert done.returncode == 0, done.stdout
    (tmp_path / "bad.yml").write_text(FILES[0].read_text().replace("runs-on:", "runs-at:", 1))
    assert checked("check-jsonschema", *schema, tmp_path / "bad.yml").returncode == 1


def test_an_auditor_of_workflows_finds_nothing(tmp_path: Path) -> None:
    strict = ("--offline", "--no-progress", "--persona=pedantic")
    done = checked("zizmor", *strict, *FILES)
    assert done.returncode == 0, done.stdout
    (tmp_path / "bad.yml").write_text(FILES[0].read_text().replace("permissions: {}", "permissions: write-all"))
    assert checked("zizmor", *strict, tmp_path / "bad.yml").returncode > 0


# --- rights ---


@pytest.mark.parametrize(("workflow", "job"), JOBS)
def test_a_job_has_the_rights_that_it_uses_and_no_other(workflow: str, job: str) -> None:
    assert WORKFLOWS[workflow]["permissions"] == {}
    assert job_of(workflow, job)["permissions"] == RIGHTS.get((workflow, job), {"contents": "read"})


def test_no_right_is_given_to_a_job_that_is_not_there() -> None:
    assert RIGHTS.keys() <= set(JOBS)


def test_nobody_else_can_start_them() -> None:
    # `on` is a boolean to YAML 1.1.
    assert set(WORKFLOWS["ci"][True]) == {"push", "pull_request", "workflow_call"}
    assert WORKFLOWS["release"][True] == {"push": {"tags": ["v*"]}}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_there_are_no_secrets(path: Path) -> None:
    assert re.findall(r"\bsecrets\b|\bpassword:|api[_-]token", path.read_text()) == []


def test_only_who_writes_to_the_forge_has_its_token() -> None:
    assert {name for name, step in steps() if "github.token" in str(step)} == {"release/page", "release/image"}


def test_no_checkout_leaves_its_token_behind() -> None:
    checkouts = [step for _, step in steps() if step.get("uses", "").startswith("actions/checkout@")]
    assert [step.get("with") for step in checkouts] == [{"persist-credentials": False}] * len(checkouts)
    assert len(checkouts) >= 5


def test_no_script_has_foreign_text_in_it() -> None:
    """What the forge puts into a script becomes part of it; what comes by the environment does not."""
    assert [name for name, step in steps() if "${{" in step.get("run", "")] == []


def test_who_publishes_runs_nothing_of_ours() -> None:
    job = job_of("release", "publish")
    assert job["environment"] == "pypi"
    assert [step["uses"].partition("@")[0] for step in job["steps"]] == [
        "actions/download-artifact",
        "pypa/gh-action-pypi-publish",
    ]
    assert "attest" in job["needs"]
    assert set(job_of("release", "attest")["needs"]) == {"ci", "build"}


# --- pinned and bounded ---


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_action_is_pinned(path: Path) -> None:
    lines = [line.strip().removeprefix("- ") for line in path.read_text().splitlines() if "uses:" in line]
    foreign = [line for line in lines if not line.startswith("uses: ./.github/workflows/ci.yml")]
    assert [line for line in foreign if not PINNED.fullmatch(line)] == []
    assert foreign


def test_an_action_is_the_same_everywhere() -> None:
    found = {
        match.groups() for path in FILES for match in re.finditer(f"{PINNED.pattern}", path.read_text(), re.MULTILINE)
    }
    assert len({name for name, _, _ in found}) == len(found)


@pytest.mark.parametrize(("workflow", "job"), [each for each in JOBS if each != ("release", "ci")])
def test_a_job_ends_and_runs_on_a_machine_that_is_named(workflow: str, job: str) -> None:
    assert 5 <= job_of(workflow, job)["timeout-minutes"] <= 180
    assert re.fullmatch(r"ubuntu-\d\d\.\d\d", job_of(workflow, job)["runs-on"])


def test_two_of_one_kind_do_not_run_at_once() -> None:
    assert {name: workflow["concurrency"]["group"] for name, workflow in WORKFLOWS.items()} == {
        "ci": "ci-${{ github.ref }}",
        "release": "release",
    }
    assert WORKFLOWS["release"]["concurrency"]["cancel-in-progress"] is False


# --- what they do ---


def test_every_python_that_is_named_is_tried() -> None:
    named = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["classifiers"]
    versions = [each.rpartition(" ")[2] for each in named if re.search(r"Python :: 3\.\d+$", each)]
    assert job_of("ci", "test")["strategy"]["matrix"]["python"] == versions


def test_what_they_make_is_there_to_be_made() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    made = {target for _, step in steps() for target in re.findall(r"\bmake ([a-z]+)", step.get("run", ""))}
    assert {"lint", "venv", "sbom"} == made <= targets
    assert any(".ci/run" in step.get("run", "") for _, step in steps())
    assert (ROOT / ".ci/run").stat().st_mode & 0o100


@pytest.mark.parametrize(
    ("tag", "heading", "passes"),
    [
        (f"v{__version__}", f"## [{__version__}] - 2026-01-31", True),
        (f"v{__version__}1", f"## [{__version__}] - 2026-01-31", False),
        (__version__, f"## [{__version__}] - 2026-01-31", False),
        (f"v{__version__}", f"## [{__version__.replace('.', 'x')}] - 2026-01-31", False),
        (f"v{__version__}", "## [Unreleased]", False),
    ],
)
def test_a_tag_that_is_not_the_version_or_not_in_the_changelog_stops_a_release(
    tag: str, heading: str, passes: bool, tmp_path: Path
) -> None:
    (tmp_path / "CHANGELOG.md").write_text(f"# Changelog\n\n{heading}\n")
    done = run(script("release", "build", "CHANGELOG.md\n"), tmp_path, GITHUB_REF_NAME=tag, PYTHONPATH=str(ROOT))
    assert (done.returncode == 0) == passes, done.stderr


def test_the_notes_of_a_release_are_its_section_of_the_changelog(tmp_path: Path) -> None:
    (tmp_path / "dist").mkdir()
    (tmp_path / "CHANGELOG.md").write_text(
        "# Changelog\n\n## [Unreleased]\n\n## [1.1.0] - 2026-01-31\n\n### Added\n\n- New.\n\n## [1.0.0] - 2026-01-30\n\n- Old.\n"
    )
    done = run(script("release", "build", "notes.md"), tmp_path)
    assert (done.returncode, (tmp_path / "dist/notes.md").read_text()) == (0, "\n### Added\n\n- New.\n\n")
