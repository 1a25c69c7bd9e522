"""Write Alertmanager's configuration for deploy/compose: the shipped one, with receivers that send nothing anywhere."""

from __future__ import annotations

import yaml

from tools.demostack.configuration import ROOT, telling

FILE = ROOT / "deploy/compose/alertmanager.yml"

_HEAD = """\
# Written by `python -m tools.demostack.silent` from deploy/alertmanager/alertmanager.yml, which says why it is as it is.
#
# The same routes, groups and inhibitions; its receivers have no addresses, so nothing leaves this machine. What they would be
# told is shown by Alertmanager itself. Give them addresses of yours, or mount the other file.
"""


def text() -> str:
    """Return the file."""
    return _HEAD + yaml.safe_dump(telling(None), sort_keys=False, width=120)


def main() -> None:
    """Write the file."""
    FILE.write_text(text())


if __name__ == "__main__":
    main()
