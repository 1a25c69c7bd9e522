"""No password, token or application credential shows in anything that the exporter writes, whatever clouds say to it."""

from __future__ import annotations

import html
import http.client
import json
import re
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
import requests
import yaml
from keystoneauth1 import exceptions as ksa

from exporter.demo.cloud import SimulatedCloud
from exporter.demo.keystone import ADMIN_ACCOUNT, Account
from exporter.domain.cloud import CloudError
from exporter.source.connect import connect_named, connect_to, require_known
from exporter.source.errors import ConnectConfigError, Place, cloud_error
from exporter.source.nova import NovaCloud
from exporter.source.rights import check
from tests.realcloud.cloud import RealCloud
from tests.running import Exporter, eventually, run

#: With whatever JSON, HTML, URLs and YAML write in another way.
PASSWORD = 'pa"ss wörd/<&>\\@#%s3cret'
SECRET = "application-credential-s3cret"

ACCOUNT = Account(
    username="watcher",
    password=PASSWORD,
    roles=ADMIN_ACCOUNT.roles,
    application_credential_id="3e9f7d0c5b1a4f6d8c2e4a6b8d0f1c3e",
    application_credential_secret=SECRET,
)


# --- what must not show ---


def writings(secret: str) -> set[str]:
    """Return a secret as it may stand in a text."""
    ascii_only, plain = json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]
    doubled = (json.dumps(ascii_only)[1:-1], json.dumps(plain, ensure_ascii=False)[1:-1])
    urls = (quote(secret), quote(secret, safe=""))
    return {secret, ascii_only, plain, *doubled, html.escape(secret), repr(secret)[1:-1], *urls}


def leaks(text: str, secrets: set[str]) -> list[str]:
    """Return what of the secrets stands in a text, in whatever writing, with what stands before it."""
    found = [each for secret in secrets for each in writings(secret) if each in text]
    return [text[max(0, text.index(each) - 200) : text.index(each) + len(each)] for each in found]


@pytest.mark.parametrize(
    "shape", [str, json.dumps, html.escape, quote, repr, lambda text: json.dumps(json.dumps(text))]
)
def test_these_tests_find_a_secret_however_it_is_written(shape: Callable[[str], str]) -> None:
    assert leaks(f"msg={shape(PASSWORD)}", {PASSWORD})
    assert not leaks("msg=***", {PASSWORD, SECRET})


# --- a thing in front of the cloud that answers with what it was sent ---

Answer = Callable[["Heard"], tuple[int, Mapping[str, str], bytes]]


@dataclass(frozen=True)
class Heard:
    """A request."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def everything(self) -> str:
        sent = json.loads(self.body)["auth"]["identity"] if self.body else {}
        return json.dumps({"headers": dict(self.headers), "body": sent}, ensure_ascii=False)

    @property
    def token(self) -> str:
        return self.headers.get("X-Auth-Token") or "no-token"


@dataclass
class Mirror:
    """A proxy in front of the simulated cloud; what `reflects` names is answered from the request itself.

    `tokens` are all that Keystone issued through it, `reflected` how often it answered by itself.
    """

    cloud: SimulatedCloud
    reflects: Callable[[Heard], Answer | None]
    tokens: set[str] = field(default_factory=set)
    reflected: int = 0

    def __enter__(self) -> Mirror:
        mirror = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                mirror.answer(self)

            do_POST = do_GET  # noqa: N815  # the name that http.server looks for

            def log_message(self, *_: Any) -> None:
                """Write no log of requests."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: object) -> None:
                """Say nothing of clients that went away."""

        self._server = Server(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def auth_url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/identity/v3"

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        heard = Heard(handler.command, handler.path, dict(handler.headers.items()), body)
        own = self.reflects(heard)
        self.reflected += own is not None
        status, headers, content = (own or self.forward)(heard)
        handler.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            handler.send_header(name, value.encode().decode("latin-1"))
        handler.end_headers()
        handler.wfile.write(content)

    def forward(self, heard: Heard) -> tuple[int, Mapping[str, str], bytes]:
        """Ask the cloud, which then names this proxy in its catalogue."""
        connection = http.client.HTTPConnection(urlsplit(self.cloud.auth_url).netloc, timeout=10)
        connection.request(heard.method, heard.path, heard.body or None, dict(heard.headers))
        response = connection.getresponse()
        content = response.read()
        self.tokens |= {value for name, value in response.getheaders() if name.lower() == "x-subject-token"}
        kept = {
            name: value
            for name, value in response.getheaders()
            if name.lower() not in ("content-length", "connection", "transfer-encoding")
        }
        connection.close()
        return response.status, kept, content


def fault(status: int) -> Answer:
    """Answer an error of OpenStack whose message and headers are the request."""

    def answer(heard: Heard) -> tuple[int, Mapping[str, str], bytes]:
        message = {"message": f"You sent {heard.token}: {heard.everything}", "code": status, "title": heard.token}
        key = "error" if heard.method == "POST" else "someFault"
        headers = {
            "Content-Type": "application/json",
            "WWW-Authenticate": f"Reflected {heard.token}",
            "X-Seen": heard.token,
        }
        return status, headers, json.dumps({key: message}).encode()

    return answer


def page(status: int) -> Answer:
    """Answer a page for people that shows the request."""

    def answer(heard: Heard) -> tuple[int, Mapping[str, str], bytes]:
        content = f"<html><title>{heard.token}</title><pre>{html.escape(heard.everything)}</pre></html>"
        return status, {"Content-Type": "text/html", "Server": f"proxy ({heard.token})"}, content.encode()

    return answer


def elsewhere(heard: Heard) -> tuple[int, Mapping[str, str], bytes]:
    """Send the client, with its token in the address, to where nobody listens."""
    return 302, {"Location": f"http://{heard.token}:x@127.0.0.1:1/{heard.token}?token={heard.token}"}, b""


def cut_headers(heard: Heard) -> tuple[int, Mapping[str, str], bytes]:
    """Answer headers with a line that is none, so that the rest of them is no header: urllib3 warns of it."""
    return 200, {"X-Odd\r\n broken line\r\nno header\r\nX-Auth-Token": heard.token}, b"{}"


def spaced_token(heard: Heard) -> tuple[int, Mapping[str, str], bytes]:
    """Answer a token that no request can carry."""
    return (
        201,
        {"X-Subject-Token": "\u00a0odd-t0ken-s3cret"},
        json.dumps({"token": {"catalog": [], "expires_at": "2099-01-01T00:00:00Z"}}).encode(),
    )


def at(part: str, answer: Answer, method: str = "GET") -> Callable[[Heard], Answer | None]:
    """Reflect requests whose path contains a part."""
    return lambda heard: answer if part in heard.path and heard.method == method else None


#: What stands between the exporter and each of its clouds.
MIRRORS: Mapping[str, Callable[[Heard], Answer | None]] = {
    "good": lambda heard: None,
    "login_400": at("/auth/tokens", fault(400), "POST"),
    "login_401": at("/auth/tokens", fault(401), "POST"),
    "login_403": at("/auth/tokens", fault(403), "POST"),
    "login_page": at("/auth/tokens", page(200), "POST"),
    "login_elsewhere": at("/auth/tokens", elsewhere, "POST"),
    "login_odd_token": at("/auth/tokens", spaced_token, "POST"),
    "versions_page": at("/compute/v2.1", page(200)),
    "nova_400": at("/os-migrations", fault(400)),
    "nova_401": at("/os-migrations", fault(401)),
    "nova_403": at("/os-migrations", fault(403)),
    "nova_503": at("/os-migrations", fault(503)),
    "nova_page": at("/os-migrations", page(200)),
    "nova_page_502": at("/os-migrations", page(502)),
    "nova_elsewhere": at("/os-migrations", elsewhere),
    "nova_cut_headers": at("/os-migrations", cut_headers),
}


def auth(auth_url: str, **more: str) -> dict[str, str]:
    """Return the auth section of clouds.yaml."""
    domains = {"user_domain_name": "Default", "project_domain_name": "Default"}
    return {
        "auth_url": auth_url,
        "username": "watcher",
        "password": PASSWORD,
        "project_name": "demo",
        **domains,
        **more,
    }


POLL = {"interval": "500ms", "sweep_interval": "1s", "timeout": "5s", "deadline": "20s"}


@dataclass(frozen=True)
class World:
    """Clouds of every kind, the files that name them, and all secrets there are."""

    cloud: SimulatedCloud
    mirrors: Mapping[str, Mirror]
    environ: Mapping[str, str]
    configuration: Path
    names: tuple[str, ...]

    def arguments(self, form: str) -> tuple[str, ...]:
        return (f"--config.file={self.configuration}", "--log.level=debug", f"--log.format={form}")

    @property
    def secrets(self) -> set[str]:
        tokens = set[str]().union(*(mirror.tokens for mirror in self.mirrors.values()))
        pairs = {b64encode(f"watcher:{each}".encode()).decode() for each in (PASSWORD, quote(PASSWORD, safe=""))}
        return {PASSWORD, SECRET, "wrong-passw0rd", "given-t0ken-s3cret", "odd-t0ken-s3cret", *tokens, *pairs}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with ExitStack() as stack:
        cloud = stack.enter_context(SimulatedCloud(accounts=(ACCOUNT,)))
        mirrors = {name: stack.enter_context(Mirror(cloud, reflects)) for name, reflects in MIRRORS.items()}
        good = mirrors["good"].auth_url
        secret = {
            "application_credential_id": ACCOUNT.application_credential_id,
            "application_credential_secret": SECRET,
        }
        token = {"auth_url": mirrors["login_400"].auth_url, "token": "given-t0ken-s3cret", "project_id": "demo"}
        entries: dict[str, dict[str, Any]] = {name: {"auth": auth(each.auth_url)} for name, each in mirrors.items()}
        entries |= {
            "wrong": {"auth": auth(good, password="wrong-passw0rd")},
            "application": {"auth_type": "v3applicationcredential", "auth": {"auth_url": good, **secret}},
            "application_401": {
                "auth_type": "v3applicationcredential",
                "auth": {"auth_url": mirrors["login_401"].auth_url, **secret},
            },
            "application_400": {
                "auth_type": "v3applicationcredential",
                "auth": {"auth_url": mirrors["login_400"].auth_url, **secret},
            },
            "token": {"auth_type": "v3token", "auth": token},
            "beside": {"auth": auth(mirrors["login_400"].auth_url, password=""), "password": PASSWORD},
        }
        entries |= {f"url_{name}": {"auth": auth(url)} for name, url in odd_urls(good).items()}
        (tmp_path / "clouds.json").write_text(json.dumps({"clouds": entries}))  # which is read much faster than YAML
        names = (*entries, "envvars")
        (tmp_path / "exporter.yaml").write_text(
            yaml.safe_dump({"clouds": [{"cloud": name} for name in names], "poll": POLL})
        )
        environ = {"OS_CLIENT_CONFIG_FILE": str(tmp_path / "clouds.json"), "OS_AUTH_URL": mirrors["login_401"].auth_url}
        environ |= {
            "OS_USERNAME": "watcher",
            "OS_PASSWORD": PASSWORD,
            "OS_PROJECT_NAME": "demo",
        }
        yield World(cloud, mirrors, environ, tmp_path / "exporter.yaml", names)


def odd_urls(url: str) -> Mapping[str, str]:
    """Return addresses of Keystone with user and password in them, most of which lead nowhere."""
    encoded, place = quote(PASSWORD, safe=""), url.removeprefix("http://")
    return {
        "encoded": f"http://watcher:{encoded}@{place}",
        "raw": f"http://watcher:{PASSWORD}@{place}",
        "closed": f"http://watcher:{encoded}@127.0.0.1:1/v3",
        "no_keystone": f"http://watcher:{encoded}@{place.split('/')[0]}/nothing",
        "odd_host": f"http://watcher:{encoded}@[127.0.0.1/v3",
        "no_port": f"http://watcher:{encoded}@127.0.0.1:port/v3",
        "no_scheme": f"watcher:{encoded}@{place}",
    }


PAGES = ("/", "/metrics", "/-/healthy", "/-/ready", "/api/v1/migrations", "/api/v1/nothing", "/nothing", "/-/reload")


def shown(exporter: Exporter) -> str:
    """Return everything that the exporter shows to whoever asks, headers included."""
    answers = [exporter.get(path) for path in PAGES]
    answers += [requests.request(verb, exporter.url + path, timeout=10) for path in PAGES for verb in ("POST", "HEAD")]
    answers.append(exporter.get("/metrics", Accept="application/openmetrics-text; version=1.0.0"))
    return "\n".join(f"{answer.status_code} {dict(answer.headers)}\n{answer.text}" for answer in answers)


def listening(exporter: Exporter) -> str | None:
    """Return where the exporter says that it listens; other lines name URLs too."""
    found = re.search(r'listening".*?url"?[=:] *"?(http://[0-9.:]+)|listening url=(\S+)', exporter.log)
    return found and (found[1] or found[2])


def polls(exporter: Exporter) -> list[int]:
    """Return how often each cloud was polled; by a pattern, for so large a page is read too slowly by a parser."""
    found = re.findall(r"^openstack_migration_polls_total\{.*\} (\d+)", exporter.get("/metrics").text, re.MULTILINE)
    return [int(count) for count in found]


def test_nothing_that_is_served_logged_or_kept_has_a_secret(world: World, tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    state = f"--state.path={tmp_path}/state/state.db"
    with Exporter(*world.arguments("logfmt"), state, "--web.enable-lifecycle", environ=world.environ) as exporter:
        exporter.url = eventually(lambda: listening(exporter), 30.0)
        eventually(lambda: min(polls(exporter)) >= 2, 90.0)
        first = shown(exporter)
        world.cloud.keystone.revoke_all()  # as when they expire: every login is made anew
        world.cloud.keystone.token_lifetime = -1.0  # and no token is good for anything from now on
        before = max(polls(exporter))
        eventually(lambda: max(polls(exporter)) > before + 2, 90.0)
        text = first + shown(exporter)
        up = {name for name in world.names if f'openstack_migration_up{{cloud="{name}"}} 1' in first}
        kept = "".join(each.read_bytes().decode("utf-8", "replace") for each in (tmp_path / "state").iterdir())
        assert exporter.stop() == 0
    assert all(name in kept for name in up)
    assert up == {"good", "application", "url_encoded"}
    assert all(name in exporter.log and name in text for name in world.names)
    assert all(mirror.reflected for name, mirror in world.mirrors.items() if name != "good")
    assert len(world.secrets) > 20
    assert leaks(text + kept + exporter.log, world.secrets) == []


def test_nothing_that_once_prints_has_a_secret(world: World) -> None:
    done = run("once", *world.arguments("json"), environ=world.environ)
    assert (done.returncode, [name for name in world.names if name not in done.stdout]) == (1, [])
    assert leaks(done.stdout + done.stderr, world.secrets) == []


def test_nothing_that_check_prints_has_a_secret(world: World) -> None:
    names = [name for name in world.names if name != "nova_403"]  # which has a test of its own, below
    world.configuration.write_text(yaml.safe_dump({"clouds": [{"cloud": name} for name in names], "poll": POLL}))
    done = run("check", *world.arguments("logfmt"), environ=world.environ)
    assert (done.returncode, [name for name in names if f"{name}:" not in done.stdout]) == (1, [])
    assert leaks(done.stdout + done.stderr, world.secrets) == []


@pytest.mark.parametrize("path", ["/os-migrations", "/servers/detail"])
def test_what_check_quotes_of_a_refusal_has_no_secret(path: str) -> None:
    with SimulatedCloud(accounts=(ACCOUNT,)) as cloud, Mirror(cloud, at(path, fault(403))) as mirror:
        nova = NovaCloud(connect_to(mirror.auth_url, "watcher", PASSWORD, "demo"), timeout=5.0)
        findings = check(nova, time.monotonic() + 10.0)
        nova.close()
    assert mirror.reflected and len(mirror.tokens) == 1
    assert leaks(" ".join(finding.text for finding in findings), {PASSWORD, *mirror.tokens}) == []


# --- exceptions ---


def test_the_traceback_of_an_unexpected_exception_has_no_secret(caplog: pytest.LogCaptureFixture) -> None:
    place = Place("prod", f"http://watcher:{quote(SECRET)}@keystone.test/v3", secrets=(PASSWORD,))
    token, short = f"gAAAAA{'0a' * 20}", "sh0rt"
    try:
        try:
            raise KeyError(f"{PASSWORD} and {token}")
        except KeyError as error:
            raise AttributeError(f"no such thing: {SECRET!r}, 'X-Auth-Token: {short}'") from error
    except AttributeError as error:
        said = str(cloud_error(error, place))
    (record,) = caplog.records
    assert record.__dict__["traceback"].count("Traceback") == 2
    assert leaks(f"{said} {record.__dict__}", {PASSWORD, SECRET, token, short}) == []


@pytest.mark.parametrize(
    "exception",
    [
        ksa.UnknownConnectionError(
            f"Unexpected exception for http://u:{SECRET}@x", requests.exceptions.InvalidURL(SECRET)
        ),
        ksa.UnknownConnectionError(f"Invalid header value {SECRET}", requests.exceptions.InvalidHeader(SECRET)),
        requests.exceptions.InvalidURL(f"Failed to parse: http://watcher:{SECRET}@x"),
        requests.exceptions.InvalidProxyURL(f"http://watcher:{SECRET}@x"),
        ksa.ConnectFailure(f"Unable to establish connection to http://watcher:{SECRET}@x: no"),
        OSError(5, f"cannot open http://watcher:{SECRET}@x"),
    ],
    ids=lambda exception: type(exception).__name__,
)
def test_no_text_of_a_library_shows_the_url_or_header_that_it_quotes(exception: Exception) -> None:
    assert leaks(str(cloud_error(exception, Place("prod"))), {SECRET}) == []


# --- clouds.yaml ---

AUTH = """
      auth_url: http://127.0.0.1:1/v3
      username: watcher
      project_name: demo
      user_domain_name: Default
      project_domain_name: Default
"""
MINE = f"clouds:\n  mycloud:\n    region_name: RegionOne\n    auth:{AUTH}"
GIVEN = "clouds: {mycloud: {auth: {auth_url: 'http://127.0.0.1:1/v3', password: SECRET}"

MALFORMED = {
    "open quote": f'{MINE}      password: "SECRET',
    "colon": f"{MINE}      password: SECRET: x",
    "at": f"{MINE}      password: @SECRET",
    "percent": f"{MINE}      password: %SECRET",
    "backtick": f"{MINE}      password: `SECRET",
    "tab": f"{MINE}\tpassword: SECRET",
    "indent": f"{MINE}     password: SECRET",
    "open brace": f"{MINE}      x: {{password: SECRET",
    "control character": f"{MINE}      password: SECRET\x01",
    "binary": f"{MINE}      password: !!binary SECRET",
    "number": f"{MINE}      password: !!int SECRET",
    "moment": f"{MINE}      password: !!timestamp SECRET",
    "merged": f"{MINE}      <<: SECRET",
    "second document": f"{MINE}      password: x\n---\nSECRET",
    "whole file": "SECRET",
    "cloud": "clouds: {mycloud: SECRET}",
    "auth": "clouds: {mycloud: {auth: SECRET}}",
    "auth list": "clouds: {mycloud: {auth: [SECRET]}}",
    "region list": "clouds: {mycloud: {regions: [[SECRET]]}}",
    "mistyped": f"{MINE}      passwrd: SECRET",
    "written twice": f"{MINE}      pass-word: SECRET\n      pass_word: SECRET",
    "nested": f"{MINE}      password: {{a: SECRET}}",
    "beside auth": f"{MINE}    password: SECRET",
    "as verify": f"{MINE}      password: SECRET\n    verify: SECRET\n    cert: SECRET",
    "as interface": f"{MINE}      password: SECRET\n    interface: {{a: SECRET}}",
    "as timeout": f"{MINE}      password: SECRET\n    api_timeout: SECRET",
    "as version": f"{MINE}      password: SECRET\n    compute_api_version: SECRET",
    "alias": f"{MINE}      password: *SECRET",
    "tag": f"{MINE}      password: !SECRET x",
    "python tag": f"{MINE}      password: !!python/object:SECRET x",
    "tag handle": f"{MINE}      password: !SECRET!x x",
    "nameless region": f"{GIVEN}, regions: [{{values: {{auth: {{password: SECRET}}}}}}]}}}}",
}


def said_of(text: str, directory: Path, environ: pytest.MonkeyPatch) -> str:
    """Return what is said of a clouds.yaml, at the start and at a poll."""
    (directory / "clouds.yaml").write_text(text.replace("SECRET", SECRET))
    environ.setenv("OS_CLIENT_CONFIG_FILE", str(directory / "clouds.yaml"))
    said = []
    nova = NovaCloud(connect_named("mycloud"), timeout=1.0, wait=lambda seconds: None)
    for ask in (lambda: require_known("mycloud"), lambda: nova.open(time.monotonic() + 5.0)):
        try:
            ask()
        except (ConnectConfigError, CloudError) as error:
            said.append(str(error))
    nova.close()
    assert said
    return " ".join(said)


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_clouds_yaml_is_not_quoted(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = said_of(MALFORMED[name], tmp_path, monkeypatch)
    assert leaks(said, {SECRET}) == []


@pytest.mark.parametrize("name", ["alias", "tag handle"])
def test_a_malformed_clouds_yaml_is_refused_without_its_text(name: str, tmp_path: Path) -> None:
    """openstacksdk itself logs PyYAML's words of it (openstack/config/loader.py, `_load_yaml_json_file`)."""
    (tmp_path / "clouds.yaml").write_text(MALFORMED[name].replace("SECRET", SECRET))
    environ = {"OS_CLIENT_CONFIG_FILE": str(tmp_path / "clouds.yaml"), "OS_CLOUD": "mycloud"}
    done = run("check", "--log.level=debug", environ=environ)
    assert (done.returncode, "clouds.yaml: line 10" in done.stderr, "logger=openstack" in done.stderr) == (
        2,
        True,
        True,
    )
    assert leaks(done.stdout + done.stderr, {SECRET}) == []


@pytest.mark.parametrize(
    "more",
    [
        {"OS_TOKEN": SECRET},
        {
            "OS_AUTH_TYPE": "v3applicationcredential",
            "OS_APPLICATION_CREDENTIAL_ID": "x",
            "OS_APPLICATION_CREDENTIAL_SECRET": SECRET,
        },
    ],
    ids=["token beside password", "application credential"],
)
def test_a_secret_of_the_environment_is_not_told(more: Mapping[str, str]) -> None:
    environ = {"OS_AUTH_URL": "http://127.0.0.1:1/v3", **more}
    if "OS_AUTH_TYPE" not in more:
        environ |= {"OS_USERNAME": "watcher", "OS_PASSWORD": PASSWORD, "OS_PROJECT_NAME": "demo"}
    done = run("check", "--log.level=debug", environ=environ)
    assert done.returncode in (1, 2)
    assert leaks(done.stdout + done.stderr, {PASSWORD, SECRET}) == []


def test_the_password_of_a_proxy_is_not_told() -> None:
    environ = {"OS_AUTH_URL": "http://keystone.test/v3", "OS_USERNAME": "watcher", "OS_PASSWORD": PASSWORD}
    environ |= {"OS_PROJECT_NAME": "demo", "OS_USER_DOMAIN_NAME": "Default", "OS_PROJECT_DOMAIN_NAME": "Default"}
    environ |= {"http_proxy": f"http://watcher:{SECRET}@127.0.0.1:1", "no_proxy": ""}
    done = run("once", "--log.level=debug", environ=environ)
    assert (done.returncode, "no connection for GET http://keystone.test/v3" in done.stderr) == (1, True)
    assert leaks(done.stdout + done.stderr, {PASSWORD, SECRET}) == []


@pytest.mark.realcloud
def test_an_application_credential_of_the_real_keystone_is_not_told(real_cloud: RealCloud, tmp_path: Path) -> None:
    good = real_cloud.application_credential_entry(real_cloud.admin, "exporter", unrestricted=False)
    wrong = {**good, "auth": {**good["auth"], "application_credential_secret": SECRET}}
    clouds = real_cloud.clouds_yaml(tmp_path / "clouds.yaml", mine=good, wrong=wrong)
    secrets = {SECRET, good["auth"]["application_credential_secret"]}
    for name, status in (("mine", 0), ("wrong", 1)):
        environ = {"OS_CLIENT_CONFIG_FILE": str(clouds), "OS_CLOUD": name}
        done = [run(command, "--log.level=debug", environ=environ) for command in ("once", "check")]
        assert [each.returncode for each in done] == [status, status], done
        text = "".join(each.stdout + each.stderr for each in done)
        assert leaks(text, secrets) == []
        assert "gAAAA" not in text
