"""A real Chromium, driven over a pipe by the DevTools protocol: https://chromedevtools.github.io/devtools-protocol/."""

from __future__ import annotations

import json
import os
import select
import shlex
import shutil
import subprocess
import time
from base64 import b64decode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

#: The program, where there is one; Debian's package `chromium`.
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

#: Seconds that any answer may take: a machine that does much else starts a browser slowly.
PATIENCE = 120.0

_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)

Message = dict[str, Any]


@dataclass
class Pipe:
    """Both ends of the talk with the browser: messages are JSON, each ended by a NUL."""

    out: int
    back: int
    events: list[Message] = field(default_factory=list)
    _heard: bytes = b""
    _asked: int = 0

    def call(self, method: str, session: str | None = None, **parameters: object) -> Message:
        """Return what the browser answers."""
        self._asked += 1
        asked = {"id": self._asked, "method": method, "params": parameters}
        self._send(json.dumps(asked if session is None else {**asked, "sessionId": session}).encode() + b"\0")
        while (message := self._next()).get("id") != asked["id"]:
            self.events.append(message)
        assert "error" not in message, f"{method}: {message['error']}"
        return dict(message["result"])

    def wait_for(self, event: str, session: str) -> None:
        """Wait until the browser has told of an event."""
        while not any(each["method"] == event and each.get("sessionId") == session for each in self.events):
            self.events.append(self._next())

    def _send(self, message: bytes) -> None:
        while message:
            message = message[os.write(self.out, message) :]

    def _next(self) -> Message:
        end = time.monotonic() + PATIENCE
        while b"\0" not in self._heard:
            ready, _, _ = select.select([self.back], [], [], max(0.0, end - time.monotonic()))
            assert ready, "the browser says nothing any more"
            read = os.read(self.back, 1 << 20)
            assert read, "the browser has ended"
            self._heard += read
        message, _, self._heard = self._heard.partition(b"\0")
        return dict(json.loads(message))


@dataclass
class Tab:
    """A tab of the browser, and the page in it."""

    pipe: Pipe
    session: str

    def call(self, method: str, **parameters: object) -> Message:
        """Return what the browser answers about this tab."""
        return self.pipe.call(method, self.session, **parameters)

    def look(self, width: int, height: int = 800, *, dark: bool = False) -> None:
        """Give the tab a size in CSS pixels and its reader a taste."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        taste = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[taste])

    def show(self, url: str) -> None:
        """Show a page, and wait until it is there."""
        self.pipe.events.clear()
        self.call("Page.navigate", url=url)
        self.pipe.wait_for("Page.loadEventFired", self.session)

    def evaluate(self, expression: str) -> Any:
        """Return what an expression of JavaScript gives; the page itself may run none."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def press(self, key: str, code: int, text: str = "") -> None:
        """Press a key and let go of it."""
        what = {"key": key, "code": key, "windowsVirtualKeyCode": code}
        self.call("Input.dispatchKeyEvent", type="keyDown", **what, **({"text": text} if text else {}))
        self.call("Input.dispatchKeyEvent", type="keyUp", **what)

    def complaints(self) -> list[str]:
        """Return what the browser has to say of the page: errors, warnings, and what it refused to load or to run."""
        self.evaluate("0")  # whatever it had to say comes before this answer
        told = [each for each in self.pipe.events if each.get("sessionId") == self.session]
        logged = [each["params"]["entry"]["text"] for each in told if each["method"] == "Log.entryAdded"]
        return logged + [str(each["params"]) for each in told if each["method"] == "Runtime.exceptionThrown"]

    def accessible(self) -> list[Message]:
        """Return the page as a screen reader gets it: what has a role, in order."""
        nodes = self.call("Accessibility.getFullAXTree")["nodes"]
        return [each for each in nodes if not each["ignored"]]

    def picture(self, height: int | None = None) -> bytes:
        """Return a picture (PNG) of the top of the page, down to a height; of all of it where none is given."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": height or size["height"], "scale": 1}
        shot = self.call("Page.captureScreenshot", format="png", clip=clip, captureBeyondViewport=True)
        return b64decode(shot["data"])


@contextmanager
def browser(profile: Path) -> Iterator[Callable[[], Tab]]:
    """Run a Chromium with a new profile; yield what opens a tab in it."""
    assert CHROMIUM is not None, "there is no Chromium"
    hears, out = os.pipe()
    back, says = os.pipe()
    # The protocol wants the numbers 3 and 4, which a shell can give and the standard library cannot.
    flags = shlex.join([CHROMIUM, *_FLAGS, f"--user-data-dir={profile}", "about:blank"])
    command = ["bash", "-c", f"exec {flags} 3<&{hears} 4>&{says}"]
    with (profile / "log").open("w") as log:
        process = subprocess.Popen(command, pass_fds=(hears, says), stdout=log, stderr=log, env=_environment(profile))
    os.close(hears)
    os.close(says)
    pipe = Pipe(out, back)
    try:
        yield lambda: _tab(pipe)
    finally:
        os.close(out)
        os.close(back)
        process.terminate()
        process.wait(PATIENCE)


def _environment(profile: Path) -> Mapping[str, str]:
    return {**os.environ, "HOME": str(profile), "XDG_CONFIG_HOME": str(profile), "XDG_CACHE_HOME": str(profile)}


def _tab(pipe: Pipe) -> Tab:
    target = pipe.call("Target.createTarget", url="about:blank")["targetId"]
    tab = Tab(pipe, pipe.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"])
    for domain in ("Page", "Runtime", "Log", "Accessibility"):
        tab.call(f"{domain}.enable")
    return tab
