"""Build the environments of the real cloud: .envs/nova and .envs/keystone, from the lock files beside this file.

Nova, its functional test base and Keystone need versions of their own (SQLAlchemy below 2.1 for example), so each gets an
environment apart from the exporter's. What is up to date stays as it is.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import time
import venv
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
PLACE = HERE.parent.parent / ".envs"
PARTS = ("nova", "keystone")


def wanted_stamp(part: str) -> str:
    """Return what an environment that is up to date says of itself."""
    lock = hashlib.sha256((HERE / f"{part}.lock").read_bytes()).hexdigest()
    return f"{lock} python {sys.version_info.major}.{sys.version_info.minor}\n"


def link_nova_etc(home: Path) -> None:
    """Link etc/nova beside the nova package, where Nova's fixtures look for api-paste.ini (nova/conf/paths.py)."""
    package = next(home.glob("lib/python*/site-packages/nova"))
    link = package.parent / "etc" / "nova"
    link.parent.mkdir(exist_ok=True)
    if not link.is_symlink():
        link.symlink_to(home / "etc" / "nova")


def install(part: str, home: Path) -> None:
    """Install a part's lock file into a new environment."""
    pip = [str(home / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    log = home / "pip.log"
    with log.open("wb") as output:
        done = subprocess.run([*pip, "-r", str(HERE / f"{part}.lock")], stdout=output, stderr=subprocess.STDOUT)
    if done.returncode:
        raise SystemExit(f"{part}: pip failed:\n{log.read_text()[-3000:]}")


def build(part: str) -> str:
    """Build one environment unless it is up to date; return what was done."""
    home, begun = PLACE / part, time.monotonic()
    stamp = home / "realcloud-stamp"
    if stamp.exists() and stamp.read_text() == wanted_stamp(part):
        return f"{part}: up to date in {home}"
    print(f"{part}: building {home} with Python {sys.version.split()[0]} (a minute or two)", flush=True)
    shutil.rmtree(home, ignore_errors=True)
    venv.create(home, with_pip=True, symlinks=True)
    install(part, home)
    if part == "nova":
        link_nova_etc(home)
    stamp.write_text(wanted_stamp(part))
    return f"{part}: built in {time.monotonic() - begun:.0f} s"


def main() -> None:
    """Build both environments at the same time."""
    PLACE.mkdir(exist_ok=True)
    with ThreadPoolExecutor() as pool:
        for result in pool.map(build, PARTS):
            print(result)


if __name__ == "__main__":
    main()
