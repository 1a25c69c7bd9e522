"""The commands of the openstack client that the documents use, and what each takes.

The client itself is not installed for the tests: with what it needs it is as large as all the rest of them. Each command in
the documents was given to its own parser instead, that of python-openstackclient 10.5.0, and what that takes was written down
here. A command that is not in the table has to be tried in the same way, by hand: `openstack COMMAND --help`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class UnknownCommandError(ValueError):
    """Not a command of the client, or not so; the message says what is wrong."""


@dataclass(frozen=True, slots=True)
class Command:
    """How many words a command takes at least and at most, its options with a value, and those without."""

    least: int
    most: int
    values: frozenset[str]
    flags: frozenset[str]


def _command(least: int, most: int, values: str = "", flags: str = "") -> Command:
    return Command(least, most, frozenset(values.split()), frozenset(flags.split()))


_MANY = 99
_OUTPUT = "-f --format -c --column --max-width"
_LIST = f"{_OUTPUT} --sort-column"

#: Options of the client itself that the documents use; each has a value.
GLOBAL = {"--os-cloud", "--os-compute-api-version"}

COMMANDS = {
    "application credential create": _command(
        1,
        1,
        f"{_OUTPUT} --secret --role --expiration --description --access-rules",
        "--unrestricted --restricted",
    ),
    "catalog show": _command(1, 1, _OUTPUT),
    "compute service list": _command(0, 0, f"{_LIST} --host --service", "--long"),
    "compute service set": _command(2, 2, "--disable-reason", "--enable --disable --up --down"),
    "network agent list": _command(0, 0, f"{_LIST} --agent-type --host --network --router", "--long"),
    # of osc-placement, an extension of the client
    "resource provider allocation delete": _command(1, 1),
    "resource provider allocation show": _command(1, 1, _OUTPUT),
    "role add": _command(1, 1, "--system --domain --project --user --group", "--inherited"),
    "role assignment list": _command(0, 0, f"{_LIST} --role --user --group --project --system", "--effective --names"),
    "role create": _command(1, 1, f"{_OUTPUT} --description --domain", "--or-show"),
    "server delete": _command(1, _MANY, "", "--force --all-projects --wait"),
    "server evacuate": _command(1, 1, f"{_OUTPUT} --host --password", "--wait"),
    "server event list": _command(1, 1, f"{_LIST} --changes-since --changes-before --limit", "--long"),
    "server event show": _command(2, 2, _OUTPUT),
    "server list": _command(
        0,
        0,
        f"{_LIST} --status --host --project --user --vm-state --task-state --power-state --limit --changes-since",
        "--all-projects --deleted --long -n --no-name-lookup",
    ),
    "server migrate": _command(1, 1, "--host", "--live-migration --shared-migration --block-migration --wait"),
    "server migration abort": _command(2, 2),
    "server migration force complete": _command(2, 2),
    "server migration list": _command(
        0,
        0,
        f"{_LIST} --server --host --status --type --limit --marker --changes-since --changes-before --project --user",
    ),
    "server migration show": _command(2, 2, _OUTPUT),
    "server reboot": _command(1, 1, "", "--hard --soft --wait"),
    "server rebuild": _command(1, 1, f"{_OUTPUT} --image --name", "--wait"),
    "server resize confirm": _command(1, 1),
    "server resize revert": _command(1, 1),
    "server set": _command(1, 1, "--name --property --state --description --tag --hostname", "--auto-approve"),
    "server show": _command(1, 1, _OUTPUT, "--diagnostics --topology"),
    "token issue": _command(0, 0, _OUTPUT),
    "user create": _command(
        1, 1, f"{_OUTPUT} --domain --project --password --email --description", "--password-prompt --or-show"
    ),
}


def parse(words: Sequence[str]) -> str:
    """Return the command that these words, `openstack` left out, are a use of; raise UnknownCommandError."""
    words = list(words)
    while words and words[0] in GLOBAL:
        words = words[2:]
    name = next((" ".join(words[:count]) for count in range(5, 0, -1) if " ".join(words[:count]) in COMMANDS), None)
    if name is None:
        raise UnknownCommandError(f"no command of the client, or not tried yet: {' '.join(words)}")
    given = _words_of(COMMANDS[name], words[len(name.split()) :])
    if not COMMANDS[name].least <= given <= COMMANDS[name].most:
        raise UnknownCommandError(f"{name} does not take {given} words")
    return name


def _words_of(command: Command, rest: Sequence[str]) -> int:
    """Return how many words there are that belong to no option."""
    count, at = 0, 0
    while at < len(rest):
        option = rest[at].split("=")[0]
        if not rest[at].startswith("-"):
            count += 1
        elif option in command.values:
            at += "=" not in rest[at]
        elif option not in command.flags:
            raise UnknownCommandError(f"no such option: {rest[at]}")
        at += 1
    return count
