"""The exporter runs as the pod would run it, and the probes see how it does: with passwords and certificates, too."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import bcrypt
import pytest
import requests

from exporter.demo.cloud import SimulatedCloud
from exporter.web.security import Security
from tests.certificates import CLIENT, OURS, STRANGER, issued
from tests.deploy_kubernetes.pods import Files, Pod
from tests.deploy_kubernetes.programs import container_of, rendered
from tests.running import eventually, write_clouds
from tests.serving import FakePages, serving
from tools.manifests.chart import CHART

PROBE = CHART / "files/probe.py"
PASSWORD = b"a password"


def pair(name: str, certificate: str, authority: object = OURS) -> Files:
    """Return a certificate and its key as a Secret of that kind has them."""
    leaf = issued(certificate, OURS if authority is OURS else STRANGER)
    return {
        f"{name}.crt": b"".join(each.bytes() for each in leaf.cert_chain_pems),
        f"{name}.key": leaf.private_key_pem.bytes(),
    }


def web_secret(tls: bool = True, users: bool = True, clients: bool = True) -> Files:
    """Return the Secret of the web configuration."""
    text = "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n" if tls else ""
    text += "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.crt\n" if clients else ""
    hashed = bcrypt.hashpw(PASSWORD, bcrypt.gensalt(4)).decode()
    text += f"basic_auth_users:\n  probe: {hashed}\n" if users else ""
    return {"web-config.yaml": text, "ca.crt": OURS.cert_pem.bytes(), **pair("server", "localhost")}


SHOWN: Files = {"username": "probe", "password": PASSWORD + b"\n", **pair("tls", CLIENT)}


def clouds(simulated: SimulatedCloud, path: Path) -> Files:
    """Return the Secret with the clouds.yaml of a simulated cloud."""
    credentials = simulated.credentials
    write_clouds(
        path,
        simulated.auth_url,
        username=credentials.username,
        password=credentials.password,
        project_name=credentials.project_name,
        user_domain_name=credentials.user_domain_name,
        project_domain_name=credentials.project_domain_name,
    )
    return {"clouds.yaml": path.read_text()}


@pytest.mark.system
def test_the_default_pod_watches_the_cloud_of_its_secret(tmp_path: Path) -> None:
    with SimulatedCloud() as simulated:
        secret = {"openstack-migration-exporter-clouds": clouds(simulated, tmp_path / "clouds.yaml")}
        pod = Pod(rendered(), tmp_path, secret)
        with pod.start() as exporter:
            probe = container_of(pod.resources)["readinessProbe"]["httpGet"]
            eventually(lambda: exporter.get(probe["path"]).status_code == 200, 60)
            assert exporter.total("openstack_migration_up", cloud="mycloud") == 1
            assert exporter.total("openstack_migration_exporter_state_durable") == 1
            assert (tmp_path / "state/state.db").exists()
            assert requests.post(exporter.url + "/-/reload", timeout=60).status_code == 404
            assert exporter.stop() == 0


@pytest.mark.system
def test_with_tls_certificates_and_passwords_the_rendered_probes_still_come_in(tmp_path: Path) -> None:
    with SimulatedCloud() as simulated:
        secrets = {
            "openstack-migration-exporter-clouds": clouds(simulated, tmp_path / "clouds.yaml"),
            "moves-web": web_secret(),
            "moves-probe": SHOWN,
        }
        pod = Pod(rendered("web_tls"), tmp_path, secrets)
        with pod.start() as exporter:
            assert exporter.url.startswith("https://")
            port = urlsplit(exporter.url).port
            assert port is not None
            ready, alive = (pod.command(probe, port) for probe in ("readinessProbe", "livenessProbe"))
            eventually(lambda: subprocess.run(ready, capture_output=True, check=False).returncode == 0, 60)
            assert subprocess.run(alive, check=False).returncode == 0
            exporter.process.kill()
            exporter.process.wait()
            assert subprocess.run(alive, capture_output=True, check=False).returncode == 1


Ask = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def ask(tmp_path: Path) -> Ask:
    """Return what asks a server with pages of known content, by the probe."""

    def probed(shown: Files, web: Files, good: bool = True) -> subprocess.CompletedProcess[str]:
        for directory, files in (("web", web), ("shown", shown)):
            (tmp_path / directory).mkdir()
            for name, content in files.items():
                (tmp_path / directory / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        scheme = "https" if b"tls_server_config" in (tmp_path / "web/web-config.yaml").read_bytes() else "http"
        security = Security(str(tmp_path / "web/web-config.yaml"))
        with serving(FakePages(good=good), security=security) as server:
            command = [
                sys.executable,
                "-I",
                str(PROBE),
                "/-/healthy",
                scheme,
                str(tmp_path / "shown"),
                str(server.port),
            ]
            return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

    return probed


@pytest.mark.parametrize(
    ("web", "shown"),
    [
        (web_secret(), SHOWN),
        (web_secret(clients=False), {"username": "probe", "password": PASSWORD}),
        (web_secret(users=False), pair("tls", CLIENT)),
        (web_secret(tls=False, clients=False), {"username": "probe\n", "password": PASSWORD + b"\r\n"}),
    ],
    ids=["both", "password", "certificate", "password-without-tls"],
)
def test_the_probe_shows_what_it_has(web: Files, shown: Files, ask: Ask) -> None:
    done = ask(shown, web)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_probe_fails_where_a_poller_hangs_and_says_which(ask: Ask) -> None:
    done = ask(SHOWN, web_secret(), good=False)
    assert done.returncode == 1
    assert "/-/healthy: 503" in done.stderr and "no sign of life from the poller of: prod" in done.stderr


@pytest.mark.parametrize(
    ("web", "shown", "said"),
    [
        (web_secret(clients=False), {}, "/-/healthy: 401"),
        (web_secret(clients=False), {"username": "probe", "password": "another"}, "/-/healthy: 401"),
        (web_secret(users=False), {}, "/-/healthy: "),
        (web_secret(users=False), pair("tls", CLIENT, STRANGER), "/-/healthy: "),
    ],
    ids=["no-password", "wrong-password", "no-certificate", "certificate-of-a-stranger"],
)
def test_the_probe_fails_where_it_is_not_let_in(web: Files, shown: Files, said: str, ask: Ask) -> None:
    done = ask(shown, web)
    assert done.returncode == 1 and done.stderr.startswith(said)
    assert "Traceback" not in done.stderr and PASSWORD.decode() not in done.stderr
