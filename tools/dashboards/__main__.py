"""Write the dashboards as JSON that Grafana provisions without edits."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from tools.dashboards import BOARDS
from tools.dashboards.building import written
from tools.rules.__main__ import RUNBOOKS

DIRECTORY = Path("dashboards")


def files(runbooks: str = RUNBOOKS) -> dict[str, str]:
    """Return every file by its name; `runbooks` is where the panels' links lead."""
    return {f"{board.uid}.json": written(board, runbooks) for board in BOARDS}


def main(arguments: Sequence[str] | None = None) -> None:
    """Write every file."""
    parser = argparse.ArgumentParser(prog="python -m tools.dashboards", description=__doc__)
    parser.add_argument("--runbooks", default=RUNBOOKS, help="where the runbooks are (default: %(default)s)")
    parser.add_argument("--directory", type=Path, default=DIRECTORY, help="where to write (default: %(default)s)")
    chosen = parser.parse_args(arguments)
    for name, text in files(chosen.runbooks.rstrip("/")).items():
        (chosen.directory / name).write_text(text)


if __name__ == "__main__":
    main()
