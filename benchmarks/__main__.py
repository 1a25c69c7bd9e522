"""Run the benchmarks: `python -m benchmarks` all of them, `python -m benchmarks page soak` those named.

Each runs in a process of its own and writes its table into benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.figures import Figure

#: The benchmarks, in the order in which they are told. Each is a module with TITLE, ABOUT and measure().
NAMES = ("page", "tracking", "nova", "start", "clouds", "memory", "soak")

README = Path(__file__).parent / "README.md"
BEGIN, END = "<!-- what follows is written by `make bench` -->\n", "<!-- end of what is written -->\n"


@dataclass(frozen=True, slots=True)
class Told:
    """What one benchmark told, and the seconds that it took."""

    title: str
    about: str
    figures: Sequence[Figure]
    seconds: float


def main(arguments: Sequence[str]) -> int:
    """Run what is asked for; return 1 where a goal is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[[], *NAMES], help="which; all by default")
    parser.add_argument("--json", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args(arguments)
    if asked.json:
        print(json.dumps([asdict(each) for each in importlib.import_module(f"benchmarks.{asked.names[0]}").measure()]))
        return 0
    told = [run(name) for name in asked.names or NAMES]
    write(told)
    return int(any(figure.met is False for each in told for figure in each.figures))


def run(name: str) -> Told:
    """Run one benchmark in a process of its own, and print its table."""
    module, begun = importlib.import_module(f"benchmarks.{name}"), time.monotonic()
    print(f"{name}: {module.TITLE}", file=sys.stderr)
    command = [sys.executable, "-m", "benchmarks", "--json", name]
    out = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout  # noqa: S603  # ourselves
    figures = [Figure(**each) for each in json.loads(out.splitlines()[-1])]
    told = Told(module.TITLE, module.ABOUT, figures, time.monotonic() - begun)
    print(table(told))
    return told


def table(told: Told) -> str:
    """Return the section of one benchmark as Markdown."""
    rows = ["| what | measured | goal | |", "|---|---:|---|---|"]
    for each in told.figures:
        verdict = "" if each.met is None else "met" if each.met else "**missed**"
        rows.append(f"| {each.what} | {each.value} | {each.goal} | {verdict} |")
    machine = f"Python {platform.python_version()}, {os.cpu_count()} CPUs; {told.seconds / 60:.1f} minutes."
    return "\n".join([f"### {told.title}", "", told.about, "", *rows, "", machine, ""])


def write(told: Sequence[Told]) -> None:
    """Put the sections into the README, in the place of those of the runs before."""
    text = README.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    between, after = rest.split(END)
    titles = [importlib.import_module(f"benchmarks.{name}").TITLE for name in NAMES]
    sections = {part.split("\n")[0]: f"### {part.strip()}\n" for part in between.split("### ")[1:]}
    sections |= {each.title: table(each) for each in told}
    tables = "\n".join(sections[title] for title in titles if title in sections)
    README.write_text(f"{before}{BEGIN}\n{tables}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
