"""Which cloud is asked, and what is said where that cannot be told."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml
from openstack.config import loader

from exporter.source.connect import connect_named, connect_to, known_clouds, require_known, searched_files
from exporter.source.errors import ConnectConfigError
from tests.source.cloud import KEYSTONE, PASSWORD

AUTH = {
    "auth_url": KEYSTONE,
    "username": "exporter",
    "password": PASSWORD,
    "project_name": "ops",
    "user_domain_name": "Default",
    "project_domain_name": "Default",
}


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Hide the files and variables of whoever runs the tests."""
    for variable in [name for name in __import__("os").environ if name.startswith("OS_")]:
        monkeypatch.delenv(variable)
    monkeypatch.setattr(loader, "CONFIG_FILES", [str(tmp_path / "clouds.yaml")])
    monkeypatch.setattr(loader, "SECURE_FILES", [str(tmp_path / "secure.yaml")])


def write(directory: Path, text: str | None = None, **clouds: Mapping[str, object]) -> Path:
    path = directory / "clouds.yaml"
    path.write_text(yaml.safe_dump({"clouds": clouds}) if text is None else text)
    return path


def test_nothing_at_all_is_refused_with_the_paths_that_were_searched(tmp_path: Path) -> None:
    with pytest.raises(ConnectConfigError) as error:
        require_known()
    assert str(error.value).startswith(
        "no cloud is configured: write a clouds.yaml and set OS_CLOUD, or set OS_AUTH_URL"
    )
    assert str(tmp_path / "clouds.yaml") in str(error.value)


def test_an_unknown_cloud_is_refused_with_the_names_there_are(tmp_path: Path) -> None:
    path = write(tmp_path, prod={"auth": AUTH}, test={"auth": AUTH})
    with pytest.raises(ConnectConfigError) as error:
        require_known("prd")
    assert str(error.value) == f"cloud 'prd' was not found; known clouds: prod, test; read: {path}"


def test_an_unknown_cloud_without_any_file_names_the_paths(tmp_path: Path) -> None:
    with pytest.raises(ConnectConfigError, match="cloud 'prod' was not found; no cloud is known; looked for: "):
        require_known("prod")


def test_several_clouds_and_no_choice_are_refused(tmp_path: Path) -> None:
    write(tmp_path, prod={"auth": AUTH}, test={"auth": AUTH})
    with pytest.raises(ConnectConfigError, match=r"no cloud is named: set OS_CLOUD, .* to one of prod, test"):
        require_known()


def test_the_only_cloud_needs_no_name(tmp_path: Path) -> None:
    write(tmp_path, prod={"auth": AUTH})
    assert require_known() == "prod"


def test_os_cloud_names_the_cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, prod={"auth": AUTH}, test={"auth": AUTH})
    monkeypatch.setenv("OS_CLOUD", "test")
    assert require_known() == "test"
    monkeypatch.setenv("OS_CLOUD", "tset")
    with pytest.raises(ConnectConfigError, match="cloud 'tset' was not found; known clouds: prod, test"):
        require_known()


def test_os_client_config_file_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(write(elsewhere, there={"auth": AUTH})))
    assert searched_files()[0] == str(elsewhere / "clouds.yaml")
    assert known_clouds() == ("there",)


def test_the_variables_alone_are_a_cloud(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in AUTH.items():
        monkeypatch.setenv(f"OS_{name.upper()}", value)
    assert require_known() == "envvars"
    assert connect_named()().config.get_auth_args()["username"] == "exporter"


def test_a_mended_file_is_read_at_the_next_call(tmp_path: Path) -> None:
    write(tmp_path, prod={"auth": {**AUTH, "password": "old"}})
    connect = connect_named("prod")
    assert connect().config.get_auth_args()["password"] == "old"
    write(tmp_path, prod={"auth": {**AUTH, "password": "new"}})
    assert connect().config.get_auth_args()["password"] == "new"


def test_a_region_is_chosen_by_name(tmp_path: Path) -> None:
    write(tmp_path, prod={"auth": AUTH, "regions": ["one", "two"]})
    assert connect_named("prod", "two")().config.get_region_name() == "two"
    with pytest.raises(ConnectConfigError, match="Valid choices are one,two"):
        require_known("prod", "three")


def test_a_cloud_without_what_a_login_needs_is_refused(tmp_path: Path) -> None:
    write(tmp_path, prod={"auth": {"username": "exporter", "password": PASSWORD}})
    with pytest.raises(ConnectConfigError, match=r"cloud 'prod' lacks auth_url") as error:
        require_known("prod")
    assert PASSWORD not in str(error.value)


def test_an_unknown_way_to_log_in_is_refused(tmp_path: Path) -> None:
    write(tmp_path, prod={"auth": AUTH, "auth_type": "telepathy"})
    with pytest.raises(ConnectConfigError, match="telepathy"):
        require_known("prod")


@pytest.mark.parametrize(
    "text",
    [
        f"clouds:\n  prod: {{auth: {{password: {PASSWORD}\n",
        f"clouds: [{PASSWORD}]\n",
        f"clouds:\n  prod: {PASSWORD}\n",
        f"clouds:\n  prod: {{auth: {PASSWORD}}}\n",
        f"- {PASSWORD}\n",
        f"clouds: {{prod: {{auth: {{auth_url: 7, username: [x], password: {PASSWORD}}}}}}}\n",
        f"\t{PASSWORD}: x\n",
    ],
)
def test_a_broken_file_is_refused_without_quoting_it(tmp_path: Path, text: str) -> None:
    write(tmp_path, text)
    with pytest.raises(ConnectConfigError) as error:
        require_known("prod")
    assert PASSWORD not in str(error.value)


def test_a_broken_file_is_refused_by_line(tmp_path: Path) -> None:
    path = write(tmp_path, "clouds:\n  prod: {auth: {password: x\n")
    with pytest.raises(
        ConnectConfigError, match=f"cloud 'prod' was not found; .* cannot be read: {path}: line 3, column 1"
    ):
        require_known("prod")


def test_a_connection_from_arguments_reads_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OS_USERNAME", "somebody-else")
    write(tmp_path, demo={"auth": {**AUTH, "username": "another"}})
    connection = connect_to(KEYSTONE, "exporter", PASSWORD, "ops", region_name="one")()
    assert connection.config.get_auth_args()["username"] == "exporter"
    assert (connection.config.name, connection.config.get_region_name()) == ("demo", "one")


@pytest.mark.parametrize("text", ["clouds: text\n", "clouds: [a, b]\n"])
def test_clouds_that_are_no_mapping_are_refused(tmp_path: Path, text: str) -> None:
    write(tmp_path, text)
    with pytest.raises(ConnectConfigError, match=r"no mapping of names to clouds|not the shape of a clouds\.yaml"):
        require_known("x")
