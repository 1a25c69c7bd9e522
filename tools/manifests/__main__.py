"""Fill the chart's copies, and render the plain manifests where there is Helm."""

from __future__ import annotations

import sys
from pathlib import Path

from tools.manifests import chart, plain


def write(files: dict[Path, str]) -> None:
    """Write files that differ, and make their directories."""
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def main() -> None:
    """Write every generated file below deploy/helm/ and deploy/kubernetes/."""
    write(chart.files())
    program = plain.helm()
    if program is None:
        cure = "python tests/deploy_kubernetes/fetch_tools.py"
        print(f"{plain.DIRECTORY} left as it is: Helm is missing, `{cure}` brings it", file=sys.stderr)
        return
    write(plain.files(plain.rendered(program)))


if __name__ == "__main__":
    main()
