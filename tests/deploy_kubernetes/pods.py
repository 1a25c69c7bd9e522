"""A rendered pod, run on this machine: its mounts are directories, its flags and variables those that were rendered."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.deploy_kubernetes.programs import Resource, container_of, pod_of
from tests.running import Exporter

#: What a Secret or ConfigMap holds: the text of each file.
Files = Mapping[str, str | bytes]


@dataclass
class Pod:
    """The exporter's pod, below a directory; `secrets` are those that the chart expects to be there."""

    resources: list[Resource]
    place: Path
    secrets: Mapping[str, Files] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Fill the mounts."""
        self._mounts = {
            each["mountPath"]: self.place / each["name"] for each in container_of(self.resources)["volumeMounts"]
        }
        for directory in self._mounts.values():
            directory.mkdir()
        for volume in pod_of(self.resources)["volumes"]:
            for name, content in self._content(volume).items():
                path = self.place / volume["name"] / name
                path.write_bytes(content if isinstance(content, bytes) else content.encode())

    def _content(self, volume: Resource) -> Files:
        if "configMap" in volume:
            wanted = volume["configMap"]["name"]
            (found,) = (
                each for each in self.resources if each["kind"] == "ConfigMap" and each["metadata"]["name"] == wanted
            )
            return dict(found["data"])
        return self.secrets[volume["secret"]["secretName"]] if "secret" in volume else {}

    def local(self, text: str) -> str:
        """Return a text in which paths of the pod are paths of this machine."""
        for mounted in sorted(self._mounts, key=len, reverse=True):
            text = re.sub(rf"{re.escape(mounted)}(?=/|$)", str(self._mounts[mounted]), text)
        return text

    def start(self) -> PodsExporter:
        """Start the exporter as the pod does."""
        container = container_of(self.resources)
        environ = {each["name"]: self.local(each["value"]) for each in container["env"]}
        return PodsExporter(*map(self.local, container["args"]), environ=environ)

    def command(self, probe: str, port: int) -> list[str]:
        """Return the command of a probe, with this Python, and the port on which the exporter listens here."""
        _, *arguments = container_of(self.resources)[probe]["exec"]["command"]
        return [sys.executable, *map(self.local, arguments), str(port)]


class PodsExporter(Exporter):
    """An exporter that may speak TLS."""

    def _url(self) -> str | None:
        if self.process.poll() is not None:
            raise AssertionError(f"the exporter ended with {self.process.returncode}:\n{self.log}")
        found = re.search(r'url"?[=:]\s*"?(https?://[^\s"]+)', self.log)
        return found and found[1]
