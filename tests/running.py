"""The exporter as its users run it: a process, asked over HTTP."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import requests
import yaml
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

T = TypeVar("T")


class Exporter:
    """A running exporter; `url` is where it listens, `log` what it wrote to its standard error so far."""

    def __init__(self, *arguments: str, environ: Mapping[str, str] | None = None) -> None:
        command = [sys.executable, "-m", "exporter", *arguments, "--web.listen-address", "127.0.0.1:0"]
        self.process = subprocess.Popen(command, env=environment(environ), stderr=subprocess.PIPE, text=True)
        self.log = ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.url = eventually(self._url, 60.0)

    def get(self, path: str, **headers: str) -> requests.Response:
        """Return the answer to a request."""
        return requests.get(self.url + path, headers=headers, timeout=60)

    def samples(self) -> list[Sample]:
        """Return every sample of the page."""
        page = self.get("/metrics")
        page.raise_for_status()
        return [sample for family in text_string_to_metric_families(page.text) for sample in family.samples]

    def total(self, name: str, **labels: str) -> float:
        """Return the sum of the samples of a name that have these labels."""
        return total(self.samples(), name, **labels)

    def stop(self) -> int:
        """Send SIGTERM and return the exit status."""
        self.process.terminate()
        return self.process.wait(30)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.log += line

    def _url(self) -> str | None:
        if self.process.poll() is not None:
            raise AssertionError(f"the exporter ended with {self.process.returncode}:\n{self.log}")
        found = re.search(r'url"?[=:]\s*"?(http://[^\s"]+)', self.log)
        return found and found[1]


def run(*arguments: str, environ: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run the exporter to its end."""
    command = [sys.executable, "-m", "exporter", *arguments]
    return subprocess.run(command, env=environment(environ), capture_output=True, text=True, timeout=60, check=False)


def environment(more: Mapping[str, str] | None) -> dict[str, str]:
    """Return this process's environment without any OpenStack of the developer's own, and what is given."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("OS_")}
    return {**own, "OS_CLIENT_CONFIG_FILE": "/nonexistent/clouds.yaml", **(more or {})}


def total(samples: list[Sample], name: str, **labels: str) -> float:
    """Return the sum of the samples of a name that have these labels."""
    chosen = [each for each in samples if each.name == name and labels.items() <= each.labels.items()]
    assert chosen, f"no sample {name}{labels}"
    return sum(each.value for each in chosen)


def eventually(ask: Callable[[], T | None], seconds: float) -> T:
    """Return the first answer that is true, or fail after so many seconds."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        answer = ask()
        if answer:
            return answer
        time.sleep(0.1)
    raise AssertionError(f"did not happen within {seconds} s")


def free_port() -> int:
    """Return a port of the loopback address that nobody uses at the moment."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def write_clouds(path: Path, auth_url: str, **credentials: str) -> dict[str, str]:
    """Write a clouds.yaml with the cloud `mycloud` and return the environment that names it."""
    region = credentials.pop("region_name", "RegionOne")
    cloud = {"auth": {"auth_url": auth_url, **credentials}, "region_name": region, "identity_api_version": "3"}
    path.write_text(yaml.safe_dump({"clouds": {"mycloud": cloud}}))
    return {"OS_CLIENT_CONFIG_FILE": str(path), "OS_CLOUD": "mycloud"}
