"""What needs somebody: a card for each migration that is stuck and each server that is stranded."""

from __future__ import annotations

from collections.abc import Iterable

from exporter.domain.advice import Advice, advice_on, advice_on_stranded
from exporter.domain.lifecycle import Reason
from exporter.domain.server import Server
from exporter.domain.view import LiveMigrationRecord, StrandedServer
from exporter.landing.markup import NOTHING, Html, element, together, value
from exporter.landing.tables import not_seen, progress_of
from exporter.landing.words import age, counted, moment

#: Reasons for which no server suffers: the record alone is stale, or somebody has yet to confirm.
_MILD = frozenset({Reason.ORPHANED, Reason.UNCONFIRMED})

#: Facts with a uuid in them, which needs room.
_WIDE = frozenset({"server", "migration", "project"})

Facts = Iterable[tuple[str, Html | str]]


def stuck_card(cloud: str, record: LiveMigrationRecord, at: float) -> Html:
    """Return what there is to know of a migration that is stuck."""
    migration, stuck = record.migration, record.stuck
    assert stuck is not None  # noqa: S101  # whoever asks for this card has looked
    facts = (
        ("stuck", _since(stuck.since, at)),
        ("in this status", together(_since(record.since, at), not_seen(record))),
        ("server", _server(migration.server_id, record.server)),
        ("from, to", together(_host(migration.source_host), " → ", _host(migration.dest_host))),
        ("migration", element("code", migration.uuid)),
        *([] if record.progress is None else [("progress", progress_of(record, at))]),
    )
    who = _name(migration.server_id, record.server)
    heading = (f"{migration.migration_type.value} of ", who, " in ", value(cloud), ": ", value(record.status))
    look = "mild" if stuck.reason in _MILD else "bad"
    return _card(stuck.reason.value, look, heading, facts, advice_on(record))


def stranded_card(cloud: str, stranded: StrandedServer, at: float) -> Html:
    """Return what there is to know of a server that no migration explains."""
    server = stranded.server
    facts = (
        ("stranded", _since(stranded.since, at)),
        ("project", element("code", server.project_id or "not known")),
        ("server", _server(server.id, server)),
        ("host", _host(server.host)),
    )
    heading = (_name(server.id, server), " in ", value(cloud), ": ", value(server.status))
    return _card("stranded", "bad", heading, facts, advice_on_stranded(stranded))


def _card(reason: str, look: str, heading: Iterable[Html | str], facts: Facts, advice: Advice | None) -> Html:
    return element(
        "article",
        element("h3", element("span", reason, class_=f"mark {look}"), " ", *heading),
        element("dl", *(_fact(name, what) for name, what in facts)),
        NOTHING if advice is None else _counsel(advice),
        class_=f"card {look}",
    )


def _fact(name: str, what: Html | str) -> Html:
    return element("div", element("dt", name), element("dd", what), class_="wide" if name in _WIDE else "fact")


def _counsel(advice: Advice) -> Html:
    """Return what to do; the commands are there for whoever wants them."""
    hint = element("p", advice.hint, class_="hint")
    if not advice.commands:
        return hint
    head = element("summary", "What to do: ", counted(len(advice.commands), "command", "commands"))
    return together(hint, element("details", head, *map(_command, advice.commands)))


def _command(command: str) -> Html:
    """Return a command as it is to be copied: line by line, for the end of a line is the one control character it may have."""
    lines = command.split("\n")
    return element("pre", lines[0], *(part for line in lines[1:] for part in (Html("\n"), line)))


def _since(since: float, at: float) -> Html:
    return together("for ", age(at - since), element("small", moment(since)))


def _host(host: str | None) -> Html:
    return value(host or "not known")


def _name(server_id: str, server: Server | None) -> Html:
    return value((server and server.name) or server_id)


def _server(server_id: str, server: Server | None) -> Html:
    """Return a server's uuid, and what a sweep saw of it."""
    if server is None:
        return element("code", server_id)
    seen = {"": server.status, "task ": server.task_state, "power ": server.power_state, "on ": server.host}
    parts = [together(word, value(state)) for word, state in seen.items() if state]
    return together(
        element("code", server_id), element("small", *parts[:1], *(together(", ", each) for each in parts[1:]))
    )
