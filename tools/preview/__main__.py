"""Take a picture of each dashboard, drawn with Grafana's panel code, and say what became of its panels."""

from __future__ import annotations

import argparse
import re
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlencode

from tests.browser import CHROMIUM, browser
from tools.preview.page import built
from tools.preview.pictures import Outcome, photograph
from tools.preview.programs import BROUGHT_BY, demo, missing
from tools.preview.scraping import SCRAPE, prometheus
from tools.preview.site import dashboards, site

_UNITS = {"s": 1, "m": 60, "h": 3600}


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0, or 1 where a panel showed an error or a program is missing."""
    chosen = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, _stop)
    lacking = _lacking(chosen)
    if lacking:
        print(*lacking, sep="\n", file=sys.stderr)
        return 1
    try:
        with tempfile.TemporaryDirectory(prefix="preview-", ignore_cleanup_errors=True) as directory:
            return _preview(chosen, Path(directory))
    except RuntimeError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _preview(chosen: argparse.Namespace, directory: Path) -> int:
    pages = built()
    with _metrics(chosen, directory) as url, site(pages, url, chosen.port) as address:
        if chosen.serve:
            print(f"open {address}/?{_shown(chosen)} (Ctrl-C ends it)", flush=True)
            signal.pause()
        return int(_pictures(chosen, address, directory))


@contextmanager
def _metrics(chosen: argparse.Namespace, directory: Path) -> Iterator[str]:
    """Yield the URL of a Prometheus that has enough to show."""
    if chosen.prometheus:
        yield chosen.prometheus
        return
    with demo(directory) as target, prometheus(target, directory) as url:
        if not chosen.serve:
            print(f"the demo plays for {chosen.after} s before a picture is taken", flush=True)
            time.sleep(chosen.after)
        yield url


def _pictures(chosen: argparse.Namespace, address: str, directory: Path) -> bool:
    """Write every picture; return whether a panel showed an error."""
    chosen.out.mkdir(parents=True, exist_ok=True)
    profile = directory / "browser"
    profile.mkdir()
    outcomes: list[Outcome] = []
    with browser(profile) as new_tab:
        for theme in chosen.theme or ["light"]:
            for uid in chosen.dashboard or dashboards():
                query = {"dashboard": uid, "theme": theme, **_time(chosen), **dict(chosen.var)}
                picture, found = photograph(new_tab(), address, query, chosen.width, chosen.top)
                file = chosen.out / f"{uid}-{theme}.png"
                file.write_bytes(picture)
                _tell(file, found)
                outcomes += found
    return any(each.state == "error" for each in outcomes)


def _tell(file: Path, outcomes: Sequence[Outcome]) -> None:
    print(f"\n{file}")
    for each in outcomes:
        print(
            f"  {each.state:5}  {each.kind:10}  {each.panel}{f': {each.message}' if each.message else ''}", flush=True
        )


def _time(chosen: argparse.Namespace) -> dict[str, str]:
    begin = chosen.begin or ("now-1h" if chosen.prometheus else f"now-{max(chosen.after, 60)}s")
    return {"from": begin, "to": "now", "scrape": str(chosen.scrape)}


def _shown(chosen: argparse.Namespace) -> str:
    uid = (chosen.dashboard or list(dashboards()))[0]
    theme = (chosen.theme or ["light"])[0]
    return urlencode({"dashboard": uid, "theme": theme, **_time(chosen), **dict(chosen.var)})


def _lacking(chosen: argparse.Namespace) -> list[str]:
    lines = missing(["node", "npm", *([] if chosen.prometheus else ["prometheus"])])
    if CHROMIUM is None and not chosen.serve:
        lines.append(f"chromium is missing: install {BROUGHT_BY['chromium']}")
    unknown = set(chosen.dashboard or []) - dashboards().keys()
    return lines + [f"there is no dashboard {uid}; there are {', '.join(dashboards())}" for uid in sorted(unknown)]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tools.preview", description=__doc__)
    parser.add_argument("--dashboard", action="append", metavar="UID", help="may be repeated; default: all of them")
    parser.add_argument("--theme", action="append", choices=["light", "dark"], help="may be repeated; default: light")
    parser.add_argument("--out", type=Path, default=Path("build/preview"), help="where to write (default: %(default)s)")
    parser.add_argument("--width", type=int, default=1600, help="of the pictures, in pixels (default: %(default)s)")
    parser.add_argument("--top", type=int, metavar="PIXELS", help="keep so much at the top; default: all of it")
    parser.add_argument("--prometheus", metavar="URL", help="ask this one; without it, one is started beside the demo")
    parser.add_argument(
        "--after", type=_seconds, default="3m", help="how long the demo plays first (default: %(default)s)"
    )
    parser.add_argument("--from", dest="begin", metavar="TIME", help="begin of what is shown, as now-15m")
    parser.add_argument(
        "--var", type=_variable, action="append", default=[], metavar="NAME=VALUE", help="may be repeated"
    )
    parser.add_argument("--scrape", type=int, default=SCRAPE, help="seconds between scrapes (default: %(default)s)")
    parser.add_argument(
        "--serve", action="store_true", help="take no pictures; serve the page to a browser of your own"
    )
    parser.add_argument("--port", type=int, default=0, help="where --serve listens (default: a free one)")
    return parser


def _seconds(text: str) -> int:
    found = re.fullmatch(r"(\d+)([smh])", text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text} is no time; for example 90s or 3m")
    return int(found[1]) * _UNITS[found[2]]


def _variable(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{text} is not NAME=VALUE")
    return f"var-{name}", value


def _stop(_signal: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
