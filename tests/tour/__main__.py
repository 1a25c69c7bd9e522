"""Play the story of docs/tour.md and take its pictures: `make tour`, some five minutes."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from tests.browser import Tab, browser
from tests.pictures import smaller
from tests.realcloud.cloud import RealCloud
from tests.tour.story import Scene, Tale, stage, tell
from tools.preview.page import built
from tools.preview.pictures import photograph
from tools.preview.site import site
from tools.rules.rows import Dashboard

#: In pixels; a dashboard is laid out for a wide screen.
WIDTH, PAGE_WIDTH = 1600, 1200

#: How much of the top is kept of each, in pixels.
PAGE_TOP = 760
TOPS = {Dashboard.MIGRATIONS: 970, Dashboard.ONE: 840}


#: Which dashboards are looked at in which part of the story.
LOOKS = {
    "moving": (Dashboard.ONE,),
    "stuck": (Dashboard.MIGRATIONS, Dashboard.ONE),
    "orphaned": (),
    "mended": (Dashboard.MIGRATIONS,),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Play the story; write the pictures, and print when each thing was seen and what was told."""
    parser = argparse.ArgumentParser(prog="python -m tests.tour", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("build/tour"), help="where to write (default: %(default)s)")
    out: Path = parser.parse_args(arguments).out
    out.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tour-")))
        cloud = RealCloud.start(directory / "cloud")
        stack.callback(cloud.stop)
        scene = stack.enter_context(stage(cloud, directory))
        address = stack.enter_context(site(built(), scene.prometheus.url, 0))
        (directory / "browser").mkdir()
        new_tab = stack.enter_context(browser(directory / "browser"))
        tale = tell(scene, lambda name, so_far: _show(scene, out, new_tab, address, name, so_far))
        _print(tale, scene)


def _show(scene: Scene, out: Path, new_tab: Callable[[], Tab], address: str, name: str, tale: Tale) -> None:
    """Take the pictures of a part of the story: the exporter's page, and the dashboards."""
    page = new_tab()
    page.look(PAGE_WIDTH)
    page.show(scene.exporter.url)
    page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
    (out / f"tour-{name}-page.png").write_bytes(smaller(page.picture(PAGE_TOP)))
    for dashboard in LOOKS[name]:
        query = {"dashboard": str(dashboard), "theme": "light", "from": "now-5m", "to": "now", "scrape": "1"}
        if dashboard is Dashboard.ONE:
            query |= {"var-cloud": "prod", "var-migration_id": tale.migration}
        picture, _ = photograph(new_tab(), address, query, WIDTH, TOPS[dashboard])
        (out / f"tour-{name}-{dashboard}.png").write_bytes(smaller(picture))


def _print(tale: Tale, scene: Scene) -> None:
    print(f"server {tale.server}, migration {tale.migration}")
    for what, seconds in tale.seen.items():
        print(f"  {seconds:5.0f} s  {what}")
    for said in scene.mailbox.chat:
        print(said)
    print(*tale.done, sep="\n")


if __name__ == "__main__":
    main()
