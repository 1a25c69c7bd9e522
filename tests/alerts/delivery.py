"""The way of an alert: a real Prometheus, a real Alertmanager, and a mailbox for what it sends."""

from __future__ import annotations

import json
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import requests
import yaml

from tests.alerts.shortened import shorten_route, shorten_rules
from tests.programs import installed
from tests.running import eventually, free_port

ROOT = Path(__file__).parent.parent.parent
RULES = ROOT / "deploy/prometheus/openstack-migration-exporter.rules.yml"
PROMETHEUS = ROOT / "deploy/prometheus/prometheus.yml"
ALERTMANAGER = ROOT / "deploy/alertmanager/alertmanager.yml"

#: Seconds that a program may take to start, or to end.
PATIENCE = 60.0

Labels = frozenset[tuple[str, str]]


def amtool() -> str:
    return installed("amtool", package="prometheus-alertmanager")


# --- what was sent ---


@dataclass(frozen=True, slots=True)
class Told:
    """An alert as a message tells of it."""

    labels: Labels
    annotations: Mapping[str, str]
    firing: bool

    @property
    def name(self) -> str:
        """Return the alert's name."""
        return dict(self.labels)["alertname"]


@dataclass(frozen=True, slots=True)
class Message:
    """A message to a receiver; `group` is Alertmanager's own key of the group, `by` are the labels it is grouped by."""

    receiver: str
    group: str
    by: Mapping[str, str]
    alerts: tuple[Told, ...]

    @property
    def firing(self) -> frozenset[Labels]:
        """Return what the message says to be firing."""
        return frozenset(each.labels for each in self.alerts if each.firing)

    @property
    def resolved(self) -> frozenset[Labels]:
        """Return what the message says to be over."""
        return frozenset(each.labels for each in self.alerts if not each.firing)


class Mailbox:
    """A web server that takes what Alertmanager sends: to /hook messages for machines, to /chat those for people."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.chat: list[dict[str, Any]] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        mailbox = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:  # http.server names it
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if self.path.startswith("/chat"):
                    mailbox.chat.append(body)
                else:
                    mailbox.messages.append(_message(body))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        return Handler

    def of(self, name: str, **labels: str) -> list[Told]:
        """Return what was told to be firing under a name and these labels, as often as it was."""
        wanted = {"alertname": name, **labels}.items()
        return [
            each
            for message in list(self.messages)
            for each in message.alerts
            if each.firing and wanted <= dict(each.labels).items()
        ]

    def news(self) -> tuple[Counter[Labels], Counter[Labels]]:
        """Return how often each alert was told to have begun, and to be over, where the message before did not say so."""
        begun, over = Counter[Labels](), Counter[Labels]()
        before: dict[tuple[str, str], frozenset[Labels]] = {}
        for message in list(self.messages):
            place = message.receiver, message.group
            begun.update(message.firing - before.get(place, frozenset()))
            over.update(message.resolved & before.get(place, frozenset()))
            before[place] = message.firing
        return begun, over

    def repeated(self) -> list[Message]:
        """Return the messages that say nothing that the one before did not."""
        before: dict[tuple[str, str], frozenset[Labels]] = {}
        found = []
        for message in list(self.messages):
            place = message.receiver, message.group
            if message.firing == before.get(place):
                found.append(message)
            before[place] = message.firing
        return found


def _message(body: Mapping[str, Any]) -> Message:
    alerts = tuple(
        Told(frozenset(each["labels"].items()), each["annotations"], each["status"] == "firing")
        for each in body["alerts"]
    )
    return Message(body["receiver"], body["groupKey"], body["groupLabels"], alerts)


# --- Alertmanager ---


def alertmanager_config(mailbox: str, *, quick: bool = True) -> dict[str, Any]:
    """Return the shipped configuration with the mailbox for all addresses, and a hook for receivers that have none."""
    config = yaml.safe_load(ALERTMANAGER.read_text())
    config["global"]["slack_api_url"] = f"{mailbox}/chat"
    config["templates"] = [str(ALERTMANAGER.parent / each) for each in config["templates"]]
    for receiver in config["receivers"]:
        told = all(each.get("send_resolved", True) for each in receiver.get("slack_configs", ()))
        hooks = receiver.setdefault("webhook_configs", [{"send_resolved": told}])
        hooks[:] = [{**each, "url": f"{mailbox}/hook"} for each in hooks]
    if quick:
        config["route"] = shorten_route(config["route"])
    return dict(config)


class Alertmanager:
    """A running Alertmanager."""

    def __init__(self, url: str) -> None:
        self.url = url

    def alerts(self) -> list[dict[str, Any]]:
        """Return every alert there is, with what it is silenced by under status.inhibitedBy."""
        answer = requests.get(f"{self.url}/api/v2/alerts", timeout=30)
        answer.raise_for_status()
        return list(answer.json())

    def silenced(self) -> list[dict[str, str]]:
        """Return the labels of the alerts that others silence."""
        return [each["labels"] for each in self.alerts() if each["status"]["inhibitedBy"]]

    def send(self, *alerts: Mapping[str, str]) -> None:
        """Send alerts, by their labels, as Prometheus does."""
        body = [{"labels": each} for each in alerts]
        requests.post(f"{self.url}/api/v2/alerts", json=body, timeout=30).raise_for_status()


@contextmanager
def alertmanager(config: Mapping[str, Any], directory: Path) -> Iterator[Alertmanager]:
    """Run an Alertmanager."""
    binary = installed("alertmanager", "prometheus-alertmanager", package="prometheus-alertmanager")
    (directory / "alertmanager.yml").write_text(yaml.safe_dump(dict(config), sort_keys=False))
    url = f"http://127.0.0.1:{free_port()}"
    command = [
        binary,
        f"--config.file={directory}/alertmanager.yml",
        f"--storage.path={directory}/alertmanager",
        f"--web.listen-address={url.removeprefix('http://')}",
        "--cluster.listen-address=",
    ]
    with _running(command, directory / "alertmanager.log", f"{url}/-/ready"):
        yield Alertmanager(url)


# --- Prometheus ---


@dataclass(frozen=True, slots=True)
class Target:
    """An exporter as Prometheus finds it: `instance` stays when it is started again on another port."""

    job: str
    instance: str
    address: str


class Prometheus:
    """A running Prometheus with the shipped rules; its targets can be changed."""

    def __init__(self, url: str, targets: Path) -> None:
        self.url = url
        self._targets = targets

    def aim(self, *targets: Target) -> None:
        """Scrape these and no others; that begins within about five seconds."""
        point(self._targets, targets)

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return the result of an instant query."""
        answer = requests.get(f"{self.url}/api/v1/query", {"query": expression}, timeout=30).json()
        return list(answer["data"]["result"])

    def faulty_rules(self) -> list[str]:
        """Return what went wrong with rules, and with templates of annotations."""
        groups = requests.get(f"{self.url}/api/v1/rules", timeout=30).json()["data"]["groups"]
        found = [rule["lastError"] for group in groups for rule in group["rules"] if rule.get("lastError")]
        return found + [
            text
            for group in groups
            for rule in group["rules"]
            for alert in rule.get("alerts", ())
            for text in alert["annotations"].values()
            if "<error" in text
        ]


def point(file: Path, targets: Sequence[Target]) -> None:
    """Write the file in which Prometheus finds its targets, all at once."""
    entries = [{"targets": [each.address], "labels": {"job": each.job, "instance": each.instance}} for each in targets]
    new = file.with_suffix(".new")
    new.write_text(json.dumps(entries))
    new.rename(file)


def prometheus_config(rules: Path, targets: Path, alertmanager_url: str) -> dict[str, Any]:
    """Return the shipped configuration with these rules, targets and addresses, and other intervals.

    A scrape may take as long as there is between two: more than the second between evaluations, for a machine may be busy.
    """
    config = yaml.safe_load(PROMETHEUS.read_text())
    config["global"] = {"scrape_interval": "2s", "evaluation_interval": "1s"}
    config["rule_files"] = [str(rules)]
    (told,) = config["alerting"]["alertmanagers"]
    told["static_configs"] = [{"targets": [alertmanager_url.removeprefix("http://")]}]
    (job,) = config["scrape_configs"]
    del job["static_configs"]
    job["file_sd_configs"] = [{"files": [str(targets)], "refresh_interval": "1s"}]
    return dict(config)


@contextmanager
def prometheus(directory: Path, alertmanager_url: str, targets: Sequence[Target]) -> Iterator[Prometheus]:
    """Run a Prometheus with the shipped rules, their times shortened."""
    binary = installed("prometheus", package="prometheus")
    rules, found = directory / "rules.yml", directory / "targets.json"
    rules.write_text(yaml.safe_dump(shorten_rules(yaml.safe_load(RULES.read_text())), sort_keys=False))
    point(found, targets)
    (directory / "prometheus.yml").write_text(
        yaml.safe_dump(prometheus_config(rules, found, alertmanager_url), sort_keys=False)
    )
    url = f"http://127.0.0.1:{free_port()}"
    command = [
        binary,
        f"--config.file={directory}/prometheus.yml",
        f"--storage.tsdb.path={directory}/prometheus",
        f"--web.listen-address={url.removeprefix('http://')}",
    ]
    with _running(command, directory / "prometheus.log", f"{url}/-/ready"):
        yield Prometheus(url, found)


@contextmanager
def _running(command: Sequence[str], log: Path, ready: str) -> Iterator[None]:
    with log.open("w") as written, subprocess.Popen(command, stderr=written, stdout=written) as process:
        try:
            eventually(lambda: process.poll() is not None or _answers(ready), PATIENCE)
            assert process.poll() is None, log.read_text()
            yield
        finally:
            process.terminate()
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=5).ok
    except requests.RequestException:
        return False
