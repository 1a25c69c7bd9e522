"""Start the real cloud and keep it until interrupted: `python -m tests.realcloud [DIRECTORY]`."""

from __future__ import annotations

import signal
import sys
import tempfile
from pathlib import Path

from tests.realcloud.cloud import RealCloud


def main() -> None:
    """Start, say where everything is, and wait."""
    directory = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp(prefix="realcloud-"))
    cloud = RealCloud.start(directory)
    print(f"OS_CLIENT_CONFIG_FILE={cloud.clouds_yaml(cloud.directory / 'clouds.yaml')}")
    print(f"auth url     {cloud.auth_url}")
    print(f"compute url  {cloud.compute_url}")
    print(f"control url  {cloud.control_url}")
    print(f"logs         {cloud.nova.log_path} {cloud.keystone.log_path}", flush=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        signal.pause()
    except KeyboardInterrupt:
        pass
    finally:
        cloud.stop()


if __name__ == "__main__":
    main()
