"""Write docs/configuration-reference.md."""

from __future__ import annotations

from pathlib import Path

from tools.reference.page import page

PAGE = Path("docs/configuration-reference.md")


def main(path: Path = PAGE) -> None:
    """Write the page."""
    path.write_text(page())


if __name__ == "__main__":
    main()
