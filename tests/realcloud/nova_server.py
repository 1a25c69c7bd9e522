"""Run a real Nova without hypervisors on two loopback ports, public and control; runs inside the nova environment."""

# ruff: noqa: E402
import sys
from pathlib import Path

# `fixtures.py` of this directory must not stand before the `fixtures` package that Nova's tests import; and Nova's
# functional tests come before everything else, because they patch the standard library for green threads.
HERE = sys.path.pop(0)
import nova.tests.functional  # noqa: F401

sys.path.append(str(Path(__file__).parent))

import argparse
import json
import os
import traceback

import eventlet
from novacloud import control, frontdoor
from novacloud.environment import Environment


def die_with(parent: int) -> None:
    """End the process as soon as its parent is gone, however that happened."""
    while os.getppid() == parent:
        eventlet.sleep(0.5)
    os._exit(1)


def main() -> None:
    """Start the cloud, then serve both doors for ever."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--public-fd", type=int, required=True)
    parser.add_argument("--control-fd", type=int, required=True)
    parser.add_argument(
        "--keystone", type=json.loads, required=True, help="JSON: auth_url, username, password, project_name"
    )
    options = parser.parse_args()
    sys.argv = sys.argv[:1]
    eventlet.spawn(die_with, os.getppid())
    environment = Environment("runTest")
    environment.setUp()
    door = frontdoor.Door(environment.cells, options.keystone)
    commands = control.application(control.Control(environment, door))
    eventlet.spawn(frontdoor.serve, options.public_fd, door)
    frontdoor.serve(options.control_fd, commands)


if __name__ == "__main__":
    try:
        main()
    except BaseException:  # oslo.log's excepthook would write to handlers that Nova's fixtures took away
        traceback.print_exc()
        os._exit(1)
