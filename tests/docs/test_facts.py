"""What the pages say in numbers and names of ours is so: sizes, releases, proxies, where files are."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from exporter.demo.cloud import SimulatedCloud
from exporter.domain.lifecycle import TABLE
from exporter.metrics.records import RECORD_FAMILIES
from exporter.source import policies
from exporter.source.login import LOWEST, WANTED
from exporter.source.paging import MAX_RECORDS, MAX_TOTAL_BYTES
from exporter.source.rights import MAX_SKEW
from tests.deploy_systemd.unit import SETTINGS
from tests.docs.blocks import ROOT
from tests.running import Exporter, eventually, run, write_clouds
from tests.source.certificate import self_signed
from tests.source.hostile import serving
from tests.source.test_hostile import null

OPERATIONS, RELEASES, DEPLOYMENT, TROUBLESHOOTING = (
    (ROOT / f"docs/{name}.md").read_text()
    for name in ("operations", "releases-of-nova", "deployment", "troubleshooting")
)


@pytest.fixture
def cloud() -> Iterator[SimulatedCloud]:
    with SimulatedCloud() as simulated:
        yield simulated


def login(cloud: SimulatedCloud, path: Path) -> dict[str, str]:
    return write_clouds(path / "clouds.yaml", cloud.auth_url, **dataclasses.asdict(cloud.credentials))


def number(pattern: str, text: str) -> int:
    """Return the number in the one place of a page that reads so."""
    (found,) = re.findall(pattern, re.sub(r"\s+", " ", text))
    return int(found.replace(",", ""))


# docs/operations.md


def test_a_cloud_at_rest_has_as_many_series_as_is_said(cloud: SimulatedCloud, tmp_path: Path) -> None:
    page = run("once", environ=login(cloud, tmp_path)).stdout
    samples = [each for family in text_string_to_metric_families(page) for each in family.samples]
    of_clouds = sum("cloud" in each.labels for each in samples)
    assert of_clouds == pytest.approx(number(r"at rest has about ([\d,]+) series", OPERATIONS), rel=0.05)
    assert "the process itself a dozen more" in re.sub(r"\s+", " ", OPERATIONS)
    assert 6 <= len(samples) - of_clouds <= 30


def test_single_migrations_and_servers_add_as_many_series_as_is_said() -> None:
    of_records = [family for family in RECORD_FAMILIES if "migration_id" in family.labels]
    of_servers = [family for family in RECORD_FAMILIES if "migration_id" not in family.labels]
    progress = [family for family in of_records if re.search(r"memory|disk|progress", family.name)]
    assert len(of_records) - len(progress) == number(
        r"migration adds up to (\d+), of which one while it is stuck", OPERATIONS
    )
    assert len(progress) == number(r"running live migration up to (\d+) more", OPERATIONS)
    assert len(of_servers) == number(r"a stranded server (\d+)\.", OPERATIONS)
    at_rest = number(r"at rest has about ([\d,]+) series", OPERATIONS)
    most = at_rest + 1000 * (len(of_records) + len(of_servers))
    assert most == pytest.approx(number(r"at most some ([\d,]+) series for each cloud", OPERATIONS), rel=0.02)


def test_the_bounds_of_a_poll_are_those_of_the_source() -> None:
    assert number(r"reads at most ([\d,]+) records", OPERATIONS) == MAX_RECORDS
    assert number(r"records or (\d+) MiB", OPERATIONS) == MAX_TOTAL_BYTES // 1024**2
    assert SETTINGS["MemoryMax"] == ["1G"] and "1 GiB as a last bound" in re.sub(r"\s+", " ", OPERATIONS)


def test_the_difference_of_clocks_that_check_allows_is_that_of_the_source() -> None:
    assert number(r"the clocks differ by more than (\d+) s", TROUBLESHOOTING) == MAX_SKEW


# docs/releases-of-nova.md


def test_microversions_and_statuses_are_those_of_the_source() -> None:
    assert f"The exporter speaks {WANTED[0]}.{WANTED[1]}" in RELEASES
    assert f"below {LOWEST[0]}.{LOWEST[1]} it refuses" in RELEASES
    known = {row.status for row in TABLE}
    named = set(re.findall(r"`((?:[a-z]+-)*[a-z]+ing(?: \(post-copy\))?|accepted|queued|finished|done)`", RELEASES))
    assert named and named <= known


def test_the_rules_of_the_policy_are_those_that_check_names() -> None:
    for name in (policies.OLD_SERVICES, policies.OLD_ACTIONS, policies.INDEX):
        assert f"`{name}`" in RELEASES
    for name in (policies.SERVICES, policies.ACTIONS):
        assert f"`{name.removeprefix('os_compute_api:')}`" in RELEASES


# docs/deployment.md


def test_a_proxy_of_the_environment_is_heeded_and_what_is_excepted_goes_past_it(
    cloud: SimulatedCloud, tmp_path: Path
) -> None:
    nobody = {"HTTP_PROXY": "http://127.0.0.1:9", "http_proxy": "http://127.0.0.1:9"}  # the port discard
    for excepted, status in (("", 1), ("localhost,127.0.0.1,.cloud.example.com", 0)):
        environ = {**login(cloud, tmp_path), **nobody, "NO_PROXY": excepted, "no_proxy": excepted}
        done = run("once", environ=environ)
        assert done.returncode == status, done.stderr
    assert "NO_PROXY=localhost,127.0.0.1,.cloud.example.com" in DEPLOYMENT


def test_what_the_page_says_of_the_container_is_what_the_image_does() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    assert "USER 10001" in dockerfile and "`chown 10001`" in DEPLOYMENT
    assert '"--web.listen-address=0.0.0.0:19180"' in dockerfile


def test_a_second_address_to_listen_on_wins(cloud: SimulatedCloud, tmp_path: Path) -> None:
    with Exporter("--web.listen-address=127.0.0.1:1", environ=login(cloud, tmp_path)) as exporter:
        eventually(lambda: exporter.get("/-/healthy").status_code == 200, 30.0)


def test_the_authorities_come_from_where_the_page_says(tmp_path: Path) -> None:
    """What answers over TLS is no Keystone; the message tells whether its certificate was taken."""
    bundle = tmp_path / "bundle.pem"
    with serving(null, self_signed(bundle)) as port:
        url = f"https://127.0.0.1:{port}/v3"
        entry = write_clouds(tmp_path / "clouds.yaml", url, username="u", password="p", project_name="p")
        variables = {"OS_AUTH_URL": url, "OS_USERNAME": "u", "OS_PASSWORD": "p", "OS_PROJECT_NAME": "p"}
        for environ, taken in (
            (entry, False),
            ({**entry, "REQUESTS_CA_BUNDLE": str(bundle)}, True),
            (variables, False),
            ({**variables, "OS_CACERT": str(bundle)}, True),
            (with_authority(tmp_path, bundle), True),
        ):
            said = run("once", environ=environ).stderr
            assert ("no TLS connection" in said) is not taken, said


def with_authority(path: Path, bundle: Path) -> dict[str, str]:
    """Return the environment of the cloud above, with a bundle in its entry."""
    clouds = yaml.safe_load((path / "clouds.yaml").read_text())
    clouds["clouds"]["mycloud"]["cacert"] = str(bundle)
    (path / "trusting.yaml").write_text(yaml.safe_dump(clouds))
    return {"OS_CLIENT_CONFIG_FILE": str(path / "trusting.yaml"), "OS_CLOUD": "mycloud"}
