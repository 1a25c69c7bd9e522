"""The program: the only room that builds things and puts them together."""

from __future__ import annotations

import argparse
import json
import logging
import os
import platform
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from exporter import __version__, logs
from exporter.config import CloudConfiguration, Configuration, ConfigurationError, load
from exporter.demo.cloud import SimulatedCloud
from exporter.domain.cloud import Feature
from exporter.domain.diagnosis import Limits
from exporter.domain.view import CloudView, Process
from exporter.filters import Filters, WrongFilterError, read_filters
from exporter.flags import parse
from exporter.listing import silent_clouds, something_is_stuck, table
from exporter.metrics.exposition import Exposition
from exporter.pages import ViewPages
from exporter.pauses import shorten_pauses
from exporter.poller import Poller
from exporter.questions import Settings
from exporter.reload import Reload
from exporter.remote import RemoteError, ask
from exporter.report import report
from exporter.source.connect import Connect, connect_named, connect_to, require_known
from exporter.source.errors import ConnectConfigError
from exporter.source.nova import NovaCloud
from exporter.source.rights import Finding, check
from exporter.store import MemoryStore, StateError, Store
from exporter.store.state_file import StateFile
from exporter.vitals import Vitals
from exporter.watch import Board, Plan, Watch
from exporter.web.app import build_app
from exporter.web.config import WebConfigError
from exporter.web.security import Security
from exporter.web.server import ListenError, WebServer, WrongAddressError

log = logging.getLogger("exporter")

Publish = Callable[[CloudView], None]

DONE, FAILED, WRONG_USAGE, STUCK = 0, 1, 2, 3

#: Everything must have stopped within this many seconds of a signal.
STOP_WITHIN = 4.0

#: A faster clock for the demo: its moves take seconds, not minutes.
_DEMO_THRESHOLD = 20.0


def main(arguments: Sequence[str] | None = None, environ: Mapping[str, str] = os.environ) -> int:
    """Run a subcommand; return 0 when done, 1 when it failed, 2 for wrong usage or configuration."""
    options = parse(arguments)
    logs.configure(options.level, options.format, sys.stderr)
    command: Callable[[argparse.Namespace, Mapping[str, str]], int] = _RUN[options.command]
    try:
        return command(options, environ)
    except (ConfigurationError, ConnectConfigError, WebConfigError) as error:
        print(f"openstack-migration-exporter: wrong configuration:\n{error}", file=sys.stderr)
        return WRONG_USAGE
    except (WrongAddressError, WrongFilterError) as error:
        print(f"openstack-migration-exporter: {error}", file=sys.stderr)
        return WRONG_USAGE
    except (ListenError, StateError, RemoteError) as error:
        print(f"openstack-migration-exporter: {error}", file=sys.stderr)
        return FAILED


def _serve(options: argparse.Namespace, environ: Mapping[str, str]) -> int:
    return _serve_clouds(options, lambda: load(options.config, environ), environ, _connect_configured)


def _once(options: argparse.Namespace, environ: Mapping[str, str]) -> int:
    configuration = load(options.config, environ)
    store = _store(options, environ)
    board = Board(lambda: _process(environ, store))
    watch = Watch(_plans(configuration, board.publish, store, _connect_configured))
    store.retain(watch.clouds)
    complete = watch.poll_once()
    page, _ = Exposition(board.view).page("")
    sys.stdout.write(page.decode())
    return DONE if complete else FAILED


def _list(options: argparse.Namespace, environ: Mapping[str, str]) -> int:
    asked = [(name, value) for name, _, value in (each.partition("=") for each in options.filters)]
    filters = read_filters(asked)
    found = ask(options.exporter_url, asked) if options.exporter_url else _look(options, environ, filters)
    if options.output == "json":
        print(json.dumps(found, indent=2))
    else:
        colours = sys.stdout.isatty() and not environ.get("NO_COLOR")  # https://no-color.org
        sys.stdout.write(table(found, time.time(), colours=colours))
    silent = silent_clouds(found)
    for sentence in silent:
        print(f"openstack-migration-exporter: {sentence}", file=sys.stderr)
    return STUCK if something_is_stuck(found) else FAILED if silent else DONE


def _look(options: argparse.Namespace, environ: Mapping[str, str], filters: Filters) -> Mapping[str, Any]:
    """Return what the clouds themselves show; where something is live, by as many sweeps as a reason needs."""
    store = MemoryStore()
    board = Board(lambda: _process(environ, store))
    watch = Watch(_plans(load(options.config, environ), board.publish, store, _connect_configured, _for_a_look))
    watch.poll_once()
    for _ in range(_MORE_LOOKS if any(cloud.live for cloud in board.view().clouds) else 0):
        time.sleep(_BETWEEN_LOOKS)
        watch.poll_once()
    board.arrange(watch.clouds)
    return dict(json.loads(report(board.view(), filters)[0]))


#: The first sweep finds the records, two more must agree about their servers. Between them some seconds: a race is over by then.
_MORE_LOOKS, _BETWEEN_LOOKS = 2, 2.0


def _for_a_look(settings: Settings) -> Settings:
    """Return settings by which every poll is a sweep, and nothing is asked about what is over."""
    return replace(settings, sweep_interval=0.0, features=settings.features - {Feature.EXACT_DURATIONS})


def _check(options: argparse.Namespace, environ: Mapping[str, str]) -> int:
    configuration = load(options.config, environ)
    print(f"configuration: ok, {len(configuration.clouds)} cloud(s)")
    if options.web_config:
        Security(options.web_config)
        print("web configuration: ok")
    good = True
    for each in configuration.clouds:
        print(f"{each.name}:")
        for finding in _findings(each):
            good = good and finding.ok is not False
            print(f"  {_MARKS[finding.ok]:8}{finding.subject}: {finding.text}")
    return DONE if good else FAILED


_MARKS = {True: "ok", False: "MISSING", None: "unknown"}


def _findings(configuration: CloudConfiguration) -> list[Finding]:
    cloud = NovaCloud(_connect_configured(configuration), timeout=configuration.poll.timeout)
    try:
        deadline = time.monotonic() + configuration.poll.deadline
        return check(cloud, deadline, features=_features(configuration))
    finally:
        cloud.close()


def _demo(options: argparse.Namespace, environ: Mapping[str, str]) -> int:
    with SimulatedCloud(story_seed=1) as simulated:
        connect = connect_to(simulated.auth_url, **asdict(simulated.credentials))
        stateless = {**environ, "STATE_DIRECTORY": ""}
        return _serve_clouds(options, _demo_configuration, stateless, lambda _: connect, hint=_DEMO_HINT)


_DEMO_HINT = """
A simulated cloud moves its servers now; statuses last seconds, and whatever lasts longer than 20 s counts as stuck.
  page     {url}/                     what is live and stuck, and what to do about it
  metrics  {url}{path}              what Prometheus scrapes
  JSON     {url}/api/v1/migrations    the same for programs; as a table:
           openstack-migration-exporter list --exporter.url {url}

What happens in the next three minutes:
  at once  moves of all four types begin and end; a dead host is evacuated, a resize is never confirmed
  0:20     compute-6 dies: a cold migration, a live migration and a resize that need it are stuck
  0:30     compute-10 is drained: eight servers leave it by live migration, one after the other
  1:00     there are live, stuck and ended moves of all four types; each stuck one says why
Stop with Ctrl-C.
"""


def _demo_configuration() -> Configuration:
    """Return a configuration in which everything goes as fast as the simulated cloud."""
    configuration = load(None, {})
    (cloud,) = configuration.clouds
    thresholds = {pair: min(seconds, _DEMO_THRESHOLD) for pair, seconds in cloud.thresholds.items()}
    poll = cloud.poll.model_copy(update={"interval": 1.0, "sweep_interval": 5.0, "overlap": 10.0})
    live = cloud.live_migration.model_copy(update={"no_progress": _DEMO_THRESHOLD})
    demo = replace(
        cloud,
        name="demo",
        poll=poll,
        thresholds=thresholds,
        live_migration=live,
        stranded_after=_DEMO_THRESHOLD,
    )
    return replace(configuration, clouds=(demo,))


def _serve_clouds(
    options: argparse.Namespace,
    configured: Callable[[], Configuration],
    environ: Mapping[str, str],
    connect: Callable[[CloudConfiguration], Connect],
    hint: str | None = None,
) -> int:
    """Watch the clouds and serve their pages until a signal comes."""
    shorten_pauses()
    next_signal = _signals()
    configuration, store = configured(), _store(options, environ)
    board = Board(lambda: _process(environ, store, reload.successful))
    exposition = Exposition(board.view)

    def publish(view: CloudView) -> None:
        board.publish(view)
        exposition.renew()

    def apply(changed: Configuration) -> None:
        try:
            watch.change(_plans(changed, publish, store, connect))
        finally:  # a poller that was built for a change that is refused has shown its cloud
            board.arrange(watch.clouds)
        store.retain(watch.clouds)

    reload = Reload(configured, apply, (ConfigurationError, ConnectConfigError, StateError))
    watch = Watch(_plans(configuration, publish, store, connect))
    store.retain(watch.clouds)
    pages = ViewPages(exposition.page, board.view, watch.healthy, watch.ready)
    app = build_app(pages, options.path, reload if options.lifecycle else None)
    security = Security(options.web_config) if options.web_config else None
    server = WebServer(app, options.listen, security=security)
    server.start()
    watch.start()
    if isinstance(store, MemoryStore):
        log.warning("counters live in memory only: a restart begins at zero; --state.path FILE lets them survive")
    log.info("listening", extra={"url": server.url, "version": __version__, "clouds": len(configuration.clouds)})
    if hint is not None:
        print(hint.format(url=server.url, path=options.path), file=sys.stderr, flush=True)
    while next_signal() == signal.SIGHUP:
        reload()
    log.info("stopping")
    server.stop()
    watch.stop(within=STOP_WITHIN / 2)
    store.close()
    return DONE


def _store(options: argparse.Namespace, environ: Mapping[str, str]) -> Store:
    """Return the state file that was asked for, or a store in memory where none was; raise StateError."""
    directory = environ.get("STATE_DIRECTORY", "").split(":")[0]  # systemd.exec(5): several are separated by colons
    path = options.state or (os.path.join(directory, "state.db") if directory else None)
    return StateFile(path) if path else MemoryStore()


def _plans(
    configuration: Configuration,
    publish: Publish,
    store: Store,
    connect: Callable[[CloudConfiguration], Connect],
    adapt: Callable[[Settings], Settings] = lambda settings: settings,
) -> list[Plan]:
    """Return how each cloud is to be watched; raise ConnectConfigError where one is not known to OpenStack's files."""
    return [_plan(each, connect(each), publish, store, adapt) for each in configuration.clouds]


def _plan(
    configuration: CloudConfiguration,
    connect: Connect,
    publish: Publish,
    store: Store,
    adapt: Callable[[Settings], Settings],
) -> Plan:
    def build(vitals: Vitals | None) -> Poller:
        cloud = NovaCloud(connect, timeout=configuration.poll.timeout)
        return Poller(adapt(_settings(configuration)), cloud, publish, store, vitals)

    return Plan(configuration.name, configuration, build)


def _connect_configured(configuration: CloudConfiguration) -> Connect:
    require_known(configuration.cloud, configuration.region)
    return connect_named(configuration.cloud, configuration.region)


def _features(configuration: CloudConfiguration) -> frozenset[Feature]:
    """Return the features that are switched on."""
    return frozenset(feature for feature in Feature if getattr(configuration.features, feature))


def _settings(configuration: CloudConfiguration) -> Settings:
    poll, ignore, live = configuration.poll, configuration.ignore, configuration.live_migration
    return Settings(
        name=configuration.name,
        limits=Limits(
            configuration.thresholds,
            live.no_progress,
            live.completion_timeout_per_gib,
            configuration.stranded_after,
        ),
        interval=poll.interval,
        sweep_interval=poll.sweep_interval,
        deadline=poll.deadline,
        overlap=poll.overlap,
        deep_interval=poll.deep_interval,
        deep_overlap=poll.deep_overlap,
        per_host=configuration.features.per_host,
        series_cap=configuration.limits.per_migration_series,
        features=_features(configuration),
        action_requests=configuration.limits.action_requests_per_poll,
        ignore_created_before=ignore.created_before,
        ignore_ids=ignore.migration_ids,
    )


def _process(environ: Mapping[str, str], store: Store, reloaded: bool = True) -> Process:
    revision = environ.get("OPENSTACK_MIGRATION_EXPORTER_REVISION", "unknown")
    return Process(__version__, revision, platform.python_version(), store.durable, store.errors, reloaded)


def _signals() -> Callable[[], int]:
    """Return what waits for the next signal; one that comes while another is worked on is not lost.

    Python runs its own handlers only between two steps of the main thread: one that comes just before that thread begins to wait
    would not wake it. A pipe does, for into it the signal itself writes its number.
    """
    hears, says = os.pipe()
    os.set_blocking(says, False)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: None)
    signal.set_wakeup_fd(says, warn_on_full_buffer=False)
    return lambda: os.read(hears, 1)[0]


_RUN: dict[str, Callable[[argparse.Namespace, Mapping[str, str]], int]] = {
    "serve": _serve,
    "once": _once,
    "check": _check,
    "list": _list,
    "demo": _demo,
}
