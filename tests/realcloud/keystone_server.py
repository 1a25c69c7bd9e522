"""Serve a real Keystone on a loopback port; runs inside the keystone environment.

The database, the keys and the first administrator are made once and kept beside the environment; every start works on a
copy, so a cloud begins clean within two or three seconds. The only thing added to Keystone is one private address,
`POST /_realcloud/token-expiration`, because the lifetime of tokens is no part of Keystone's API.
"""

from __future__ import annotations

import sys

sys.path.pop(0)  # this directory has names of its own that must not stand before the environment's

import argparse
import hashlib
import json
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

CONF = """\
[DEFAULT]
log_file = {home}/keystone-service.log
[database]
connection = sqlite:///{home}/keystone.db
[fernet_tokens]
key_repository = {home}/fernet-keys
[credential]
key_repository = {home}/credential-keys
[fernet_receipts]
key_repository = {home}/fernet-keys
[identity]
password_hash_rounds = 4
[token]
provider = fernet
[security_compliance]
[oslo_policy]
policy_file = {home}/policy.yaml
"""


def manage(conf: Path, *words: str) -> None:
    """Run one command of keystone-manage."""
    program = Path(sys.prefix, "bin", "keystone-manage")
    subprocess.run([str(program), "--config-file", str(conf), *words], check=True, stdout=subprocess.DEVNULL)


def write_conf(home: Path) -> Path:
    """Write keystone.conf for a home directory."""
    conf = home / "keystone.conf"
    conf.write_text(CONF.format(home=home))
    return conf


def build_home(home: Path, password: str) -> None:
    """Make the database, the keys and the first administrator in a home directory."""
    for keys in ("fernet-keys", "credential-keys"):
        (home / keys).mkdir(parents=True)
    (home / "policy.yaml").write_text("{}\n")
    conf = write_conf(home)
    manage(conf, "db_sync")
    owner = ("--keystone-user", str(os.getuid()), "--keystone-group", str(os.getgid()))
    manage(conf, "fernet_setup", *owner)
    manage(conf, "credential_setup", *owner)
    manage(conf, "bootstrap", "--bootstrap-password", password, "--bootstrap-region-id", "RegionOne")


def template(password: str) -> Path:
    """Return the prepared home directory, made at the first start of an environment."""
    mark = hashlib.sha256((CONF + password).encode()).hexdigest()[:12]
    home = Path(sys.prefix) / f"realcloud-template-{mark}"
    if not home.exists():
        fresh = Path(tempfile.mkdtemp(dir=sys.prefix, prefix="realcloud-making-"))
        build_home(fresh, password)
        try:
            fresh.rename(home)
        except OSError:  # another session was faster
            shutil.rmtree(fresh)
    return home


def die_with(parent: int) -> None:
    """End the process as soon as its parent is gone, however that happened."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


class TokenExpiration:
    """Let tests set how long new tokens live, and pass everything else to Keystone."""

    def __init__(self, application: Callable[..., Iterable[bytes]], conf: Any) -> None:
        """Keep the application and Keystone's configuration."""
        self.application, self.conf = application, conf

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer one request."""
        if environ.get("PATH_INFO") != "/_realcloud/token-expiration":
            return self.application(environ, start_response)
        body = json.loads(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
        self.conf.set_override("expiration", int(body["seconds"]), group="token")
        start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", "2")])
        return [b"{}"]


def keep_references() -> None:
    """Let SQLite delete what belongs to a deleted row, as the databases that Keystone is made for do.

    Else the roles of a deleted user's application credential stay, and the next one, which gets its number, conflicts.
    """
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    event.listen(Engine, "connect", lambda connection, _record: connection.execute("PRAGMA foreign_keys=ON"))


def serve(fd: int) -> None:
    """Serve Keystone on a listening socket until the process ends."""
    keep_references()
    import keystone.conf
    from keystone.wsgi.api import application
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Quiet(WSGIRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_request(self, *_args: Any) -> None:
            """Leave the log to Keystone itself."""

    listening = socket.socket(fileno=fd)
    host, port = listening.getsockname()
    app = TokenExpiration(application, keystone.conf.CONF)
    make_server(host, port, app, threaded=True, request_handler=Quiet, fd=fd).serve_forever()


def main() -> None:
    """Copy the prepared home, then serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fd", type=int, required=True)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--password", required=True)
    options = parser.parse_args()
    threading.Thread(target=die_with, args=(os.getppid(),), daemon=True).start()
    shutil.copytree(template(options.password), options.home)
    os.environ["OS_KEYSTONE_CONFIG_FILES"] = str(write_conf(options.home))
    sys.argv = sys.argv[:1]  # Keystone reads the command line itself when its WSGI module is imported
    serve(options.fd)


if __name__ == "__main__":
    main()
