"""Run the demo, Prometheus and Alertmanager until Ctrl-C, and print what Alertmanager would send."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tools.demostack.configuration import (
    INTERVAL,
    QUICKER,
    RULES,
    quick_route,
    quick_rules,
    read,
    scraping,
    shortest_wait,
    telling,
    write,
)
from tools.demostack.notifications import mailbox
from tools.demostack.programs import Running, StackError, address, find, running

DONE, FAILED, CANNOT = 0, 1, 2

_OPEN = """
Open these:
  exporter      {exporter:<28}  what is live and stuck, and what to do about it
  Prometheus    {prometheus:<28}  the shipped rules, and which of them wait or fire
  Alertmanager  {alertmanager:<28}  what is told to whom, and what silences what

A simulated cloud moves its servers; whatever stays in a status for more than 20 s counts as stuck there.
Prometheus scrapes and evaluates every {interval}. {times}
What Alertmanager would send is printed below. Stop with Ctrl-C.
"""

_AS_SHIPPED = "Its rules wait as shipped: no alert comes before {wait}. --quick shortens that."
_QUICK = "Alerts and messages wait {quicker} times less long than shipped (--quick): none comes before {wait}."


def _say(text: str) -> None:
    print(text, flush=True)


def _exporter(directory: Path) -> tuple[str, str, list[str], Path]:
    at = address(19180)
    flags = [f"--web.listen-address={at}", f"--state.path={directory / 'state.db'}"]
    return "exporter", at, [sys.executable, "-m", "exporter", "demo", *flags], directory


def _alertmanager(directory: Path, hook: str, *, quick: bool) -> tuple[str, str, list[str], Path]:
    config, at = telling(hook), address(9093)
    if quick:
        config["route"] = quick_route(config["route"])
    command = [
        find("Alertmanager"),
        f"--config.file={write(directory / 'alertmanager.yml', config)}",
        f"--storage.path={directory / 'alertmanager'}",
        f"--web.listen-address={at}",
        f"--web.external-url=http://{at}",
        "--cluster.listen-address=",
    ]
    return "Alertmanager", at, command, directory


def _prometheus(directory: Path, rules: Path, exporter: str, alertmanager: str) -> tuple[str, str, list[str], Path]:
    at = address(9090)
    command = [
        find("Prometheus"),
        f"--config.file={write(directory / 'prometheus.yml', scraping(rules, exporter, alertmanager))}",
        f"--storage.tsdb.path={directory / 'prometheus'}",
        f"--web.listen-address={at}",
        f"--web.external-url=http://{at}",
    ]
    return "Prometheus", at, command, directory


@contextmanager
def stack(directory: Path, *, quick: bool) -> Iterator[list[Running]]:
    """Run all of it until the block is left; raise StackError where it cannot be."""
    rules = write(directory / "rules.yml", quick_rules(read(RULES))) if quick else RULES
    with ExitStack() as whole:
        hook = whole.enter_context(mailbox(_say))
        alertmanager = whole.enter_context(running(*_alertmanager(directory, hook, quick=quick)))
        exporter = whole.enter_context(running(*_exporter(directory)))
        prometheus = whole.enter_context(
            running(*_prometheus(directory, rules, exporter.address, alertmanager.address))
        )
        times = (_QUICK if quick else _AS_SHIPPED).format(quicker=QUICKER, wait=shortest_wait(read(rules)))
        where = {
            "exporter": f"{exporter.url}/",
            "prometheus": f"{prometheus.url}/alerts",
            "alertmanager": f"{alertmanager.url}/",
        }
        _say(_OPEN.format(**where, interval=INTERVAL, times=times))
        yield [exporter, prometheus, alertmanager]


def _stop_once(_: int, __: object) -> None:
    """Leave by KeyboardInterrupt; from now on nothing interrupts the way out."""
    _listen_to_signals(signal.SIG_IGN)
    raise KeyboardInterrupt


def _listen_to_signals(handler: object) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, handler)  # type: ignore[arg-type]  # typeshed keeps the name of this type to itself


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the stack; return 0 when it was told to stop, 1 when a program of it failed, 2 when one is missing."""
    parser = argparse.ArgumentParser(prog="python -m tools.demostack", description=__doc__)
    parser.add_argument("--quick", action="store_true", help=f"alerts wait {QUICKER} times less long than shipped")
    quick = parser.parse_args(arguments).quick
    try:
        find("Prometheus"), find("Alertmanager")
    except StackError as error:
        print(error, file=sys.stderr)
        return CANNOT
    _listen_to_signals(_stop_once)
    try:
        with tempfile.TemporaryDirectory(prefix="demo-stack-") as place, stack(Path(place), quick=quick) as programs:
            while True:
                for each in programs:
                    each.require()
                time.sleep(0.5)
    except StackError as error:
        print(error, file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        _say("\nstopped")
        return DONE


if __name__ == "__main__":
    sys.exit(main())
