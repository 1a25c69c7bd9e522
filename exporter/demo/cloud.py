"""The simulated cloud as a whole: a Keystone and a Nova on one port of the loopback."""

import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Self

import uvicorn

from exporter.demo.app import IDENTITY, CloudApp
from exporter.demo.keystone import ADMIN_ACCOUNT, READER_ACCOUNT, Account, Keystone
from exporter.demo.nova import Nova
from exporter.demo.player import Player
from exporter.demo.settings import Journal, Settings, Trouble
from exporter.demo.stamps import Precision

_PATIENCE = 10.0  # seconds that the server may take to start or to stop


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a client needs besides the auth_url."""

    username: str
    password: str
    project_name: str
    user_domain_name: str
    project_domain_name: str
    region_name: str


class SimulatedCloud:
    """Serve a simulated OpenStack on the loopback; a context manager, and it can be stopped and started again.

    With `story_seed` moves of all kinds are played to it; without, it holds what is put into `nova`.
    """

    def __init__(
        self,
        *,
        story_seed: int | None = None,
        clock: Callable[[], float] = time.time,
        precision: Precision = Precision.MICROSECONDS,
        accounts: tuple[Account, ...] = (ADMIN_ACCOUNT, READER_ACCOUNT),
        region: str = "RegionOne",
        port: int = 0,
    ) -> None:
        self.nova = Nova(clock=clock, precision=precision)
        self.keystone = Keystone(accounts, region=region, clock=clock)
        self.journal = Journal(clock)
        self._app = CloudApp(self.nova, self.keystone, Settings(), self.journal)
        self._port = port
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None
        self._player = None if story_seed is None else Player(self.nova, story_seed)

    # Life

    def start(self) -> None:
        """Serve; returns when requests are answered. The port stays the same after a stop."""
        listener = socket.create_server(("127.0.0.1", self._port))
        # Head and body of an answer leave as two packets: without this the second waits 40 ms for the client's word.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._port = listener.getsockname()[1]
        config = uvicorn.Config(
            self._app.asgi(), log_config=None, access_log=False, server_header=False, date_header=False,
            lifespan="off", ws="none", loop="asyncio", http="h11", timeout_graceful_shutdown=1,
        )  # fmt: skip
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, args=([listener],), name="simulated-cloud", daemon=True
        )
        self._thread.start()
        _wait(lambda: self._server is not None and self._server.started)
        if self._player is not None:
            self._player.start()

    def stop(self) -> None:
        """Serve no more; what is in the cloud stays."""
        if self._player is not None:
            self._player.stop()
        if self._server is not None and self._thread is not None:
            self._server.should_exit = True
            self._thread.join(_PATIENCE)
            self._server = self._thread = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # What a client needs

    @property
    def auth_url(self) -> str:
        """Give the URL of Keystone."""
        return f"http://127.0.0.1:{self._port}{IDENTITY}/v3"

    @property
    def credentials(self) -> Credentials:
        """Give the credentials of the first account."""
        return self.credentials_of(self.keystone.accounts[0])

    def credentials_of(self, account: Account) -> Credentials:
        """Give the credentials of an account."""
        return Credentials(
            account.username, account.password, account.project_name, "Default", "Default", self.keystone.region
        )

    # What a test may change

    @property
    def settings(self) -> Settings:
        """Give the settings in force."""
        return self._app.settings

    def change(self, **settings: Any) -> None:
        """Change settings, such as max_limit, max_microversion, policy."""
        self._app.settings = replace(self._app.settings, **settings)

    def expect(self, trouble: Trouble) -> None:
        """Let the next requests that fit run into trouble."""
        self.journal.expect(trouble)


def _wait(ready: Callable[[], bool]) -> None:
    end = time.monotonic() + _PATIENCE
    while not ready():
        if time.monotonic() > end:
            raise TimeoutError("the simulated cloud did not start")
        time.sleep(0.01)
