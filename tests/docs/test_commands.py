"""Every command in the documents is one that its program takes, or is named here with the reason why nothing runs it."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest

from exporter.flags import parse
from tests.docs import openstack_client
from tests.docs.blocks import ROOT, Block, blocks, commands

#: Programs that no test runs, and why. The two that the documents are about, ours and the client, are looked at below.
NOT_RUN = {
    "of the system, for looking": "cd date df dmesg echo grep head journalctl ls mount pgrep ping ps sleep ss tail tr",
    "of the system, and changes it": "chown cp install mkdir systemctl",
    "asks a running exporter, as tests/test_cli.py does with requests": "curl",
    "needs a clock that is kept by it": "chronyc timedatectl",
    "needs a hypervisor": "qemu-img virsh",
    "needs another host": "ssh",
    "needs Nova's own configuration; tests/acceptance/ runs what the exporter itself offers": "nova-manage",
    "installs as CI does, only elsewhere": "python3 /opt/openstack-migration-exporter/bin/pip",
    "needs a daemon that cannot run here": "docker",
    "needs a cluster; the chart has tests of its own": "helm kubectl",
    "needs a cloud of that deployer": "kolla-ansible openstack-ansible",
    "changes the repository, and goes to the forge": "git",
    "asks for a password; the other way to a hash stands beside it": "htpasswd",
}
REASONS = {program: reason for reason, programs in NOT_RUN.items() for program in programs.split()}

OURS, CLIENT, MAKE = "openstack-migration-exporter", "openstack", "make"
SHELL = blocks("sh", "console", "bash")
COMMANDS = [(block, words) for block in SHELL for words in commands(block.text)]


def uses(program: str) -> list[tuple[Block, Sequence[str]]]:
    return [(block, words[1:]) for block, words in COMMANDS if words[0] == program]


def names(each: object) -> str:
    return str(each) if isinstance(each, Block) else " ".join(each)[:60] if isinstance(each, list) else ""


@pytest.mark.parametrize("block", SHELL, ids=names)
def test_a_block_for_the_shell_is_accounted_for(block: Block) -> None:
    found = commands(block.text)
    strangers = {words[0] for words in found} - {OURS, CLIENT, MAKE, *REASONS}
    assert not strangers, "say in NOT_RUN why nothing runs it"
    assert found or "=" in block.text, "a block without a command"


def test_no_reason_is_left_over() -> None:
    assert {program for program in REASONS if not any(words[0] == program for _, words in COMMANDS)} == set()


def status_of(words: Sequence[str]) -> int:
    """Return 0 where the exporter takes these words; --help and --version end it by themselves, and so does a wrong flag."""
    try:
        parse(words)
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def test_a_wrong_flag_would_be_found() -> None:
    assert status_of(["check", "--config.fil=x"]) == 2


@pytest.mark.parametrize(("block", "words"), uses(OURS), ids=names)
def test_the_exporter_takes_its_flags(block: Block, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert status_of(words) == 0, capsys.readouterr().err


@pytest.mark.parametrize(("block", "words"), uses(CLIENT), ids=names)
def test_the_openstack_client_takes_its_words(block: Block, words: list[str]) -> None:
    openstack_client.parse(words)


@pytest.mark.parametrize(
    "words", ["server shove $SERVER", "server migration list --speed 9", "server resize confirm", "role add"]
)
def test_what_the_client_would_refuse_is_refused(words: str) -> None:
    with pytest.raises(openstack_client.UnknownCommandError):
        openstack_client.parse(words.split())


@pytest.mark.parametrize(("block", "words"), uses(MAKE), ids=names)
def test_make_has_the_target(block: Block, words: list[str]) -> None:
    targets = re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert {word for word in words if "=" not in word} <= set(targets)


def test_commands_are_found() -> None:
    """A search that finds nothing would agree with any page."""
    assert len(uses(OURS)) > 10 and len(uses(CLIENT)) > 50 and len(uses(MAKE)) >= 2
    text = "A=1 time openstack server list --long | grep x  # why\nfor s in a b; do\n  ssh $H \"df -h; ls '/x y'\"\ndone\nsudo -u nova ls > f\n"
    assert commands(text) == [
        ["openstack", "server", "list", "--long"],
        ["grep", "x"],
        ["ssh", "$H", "df -h; ls '/x y'"],
        ["df", "-h"],
        ["ls", "/x y"],
        ["ls"],
    ]
    assert commands("docker run \\\n  --rm x\nM=$(openstack token issue)") == [
        ["docker", "run", "--rm", "x"],
        ["openstack", "token", "issue"],
    ]
