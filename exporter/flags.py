"""The command line: subcommands and flags, in the habit of the Prometheus exporters."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from exporter import __version__

#: Where the page is unless --web.listen-address says otherwise: on this machine only.
LISTEN = "127.0.0.1:19180"

_COMMANDS = {
    "serve": "poll the clouds and serve their metrics (the default)",
    "once": "poll every cloud once, print the metrics, exit",
    "check": "check the configuration and what each cloud allows; print what is missing",
    "list": "print the live and stuck migrations; exits with 3 when something is stuck",
    "demo": "serve the metrics of a simulated cloud inside this process; needs neither OpenStack nor configuration",
}


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return the subcommand and the flags; ends the process with status 2 where they are wrong."""
    commands = "\n".join(f"  {name:8}{text}" for name, text in _COMMANDS.items())
    parser = argparse.ArgumentParser(
        prog="openstack-migration-exporter",
        description="Prometheus exporter for the migrations of OpenStack Nova.",
        epilog=f"commands:\n{commands}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("command", nargs="?", default="serve", choices=_COMMANDS, metavar="command", help="see below")
    add = parser.add_argument
    add("--config.file", dest="config", metavar="FILE", help="YAML configuration; without it, one cloud from OS_*")
    add(
        "--web.listen-address",
        dest="listen",
        metavar="HOST:PORT",
        default=LISTEN,
        help="default: %(default)s",
    )
    add("--web.telemetry-path", dest="path", metavar="PATH", default="/metrics", help="default: %(default)s")
    add("--web.config.file", dest="web_config", metavar="FILE", help="TLS and users, as the exporter-toolkit has them")
    add("--web.enable-lifecycle", dest="lifecycle", action="store_true", help="allow POST /-/reload")
    add(
        "--state.path",
        dest="state",
        metavar="FILE",
        help="where counters survive; default: state.db in $STATE_DIRECTORY",
    )
    add(
        "--exporter.url",
        dest="exporter_url",
        metavar="URL",
        help="list: ask a running exporter; without it, the clouds themselves",
    )
    add("--format", dest="output", default="table", choices=["table", "json"], help="list: default: %(default)s")
    add(
        "--filter",
        dest="filters",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="list: as the JSON's, for example stuck=true; may be repeated",
    )
    add("--log.level", dest="level", default="info", choices=["debug", "info", "warn", "error"])
    add("--log.format", dest="format", default="logfmt", choices=["logfmt", "json"])
    add("--version", action="version", version=f"openstack-migration-exporter {__version__}")
    return parser.parse_args(arguments)
