"""Every alert on real output: simulated clouds, exporters, Prometheus, Alertmanager, and whoever is told.

The story is played once, in about two minutes; each test looks at one thing that came of it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import pytest
from _pytest.tmpdir import TempPathFactory

from tests.alerts.delivery import (
    Alertmanager,
    Labels,
    Mailbox,
    Message,
    Prometheus,
    Told,
    alertmanager,
    alertmanager_config,
    prometheus,
)
from tests.alerts.expected import EXPECTED, PREFIX, SILENCED, Act, Expected
from tests.alerts.shortened import RANGES
from tests.alerts.story import FIRST, JOB, ON_DEAD_HOST, SECOND, THIRD, World, named, server_of
from tests.running import eventually
from tools.rules import GROUPS
from tools.rules.rows import Alert

pytestmark = [pytest.mark.system, pytest.mark.long]

#: Seconds that the alerts of one act may take to arrive or to resolve, on a slow machine.
PATIENCE = 150.0

#: The same, once something was missing: the story is spoilt, and only goes on so that the tests say what was.
IMPATIENCE = 30.0

#: An alert on a single record that only the exporter which is stopped has seen.
(FAR,) = (each for each in EXPECTED if each.labels.get("cloud") == "outpost")
(DOWN,) = (each for each in EXPECTED if each.name == "ExporterDown")


@dataclass
class Played:
    """What came of the story.

    `news` is how often each alert was told to have begun and to be over, `silenced` are those that were once seen to be
    silenced, `left` those that were still there at the end. `watchers` are the exporters that saw the records of `prod`.
    `told_while_down` is what was told from the moment that the second exporter was stopped until it was back, and
    `far_while_down` whether the alert on a record that it alone sees was there just before it came back, and after.
    """

    mailbox: Mailbox
    silenced: set[Labels] = field(default_factory=set)
    left: set[Labels] = field(default_factory=set)
    told_while_down: list[Message] = field(default_factory=list)
    far_while_down: list[bool] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    watchers: set[str] = field(default_factory=set)
    news: tuple[Counter[Labels], Counter[Labels]] = (Counter(), Counter())


class Stage:
    """The story under way."""

    def __init__(self, world: World, prometheus: Prometheus, alertmanager: Alertmanager, mailbox: Mailbox) -> None:
        self.world, self.prometheus, self.alertmanager, self.mailbox = world, prometheus, alertmanager, mailbox
        self.played = Played(mailbox)
        self._patience = PATIENCE

    def make(self, act: Act) -> None:
        """Make the troubles of an act."""
        for each in of_act(act):
            each.make(self.world)

    def mend(self, troubles: Iterable[Expected]) -> None:
        """Mend troubles."""
        for each in troubles:
            each.end(self.world)

    def await_told(self, troubles: Iterable[Expected]) -> None:
        """Wait until alerts have arrived; which did not, the tests say."""
        labels = {each.all_labels for each in troubles}
        self._wait(lambda: labels <= set(self.mailbox.news()[0]))

    def await_over(self) -> None:
        """Wait until nothing fires any more, and until that was told."""
        told = {each.all_labels for each in EXPECTED if each.severity != "info"}
        self._wait(lambda: told <= set(self.mailbox.news()[1]) and not self._alerts())
        self.played.left = self._alerts()

    def await_silenced(self) -> None:
        """Wait until the alerts that others silence have been seen to be."""
        self._wait(lambda: {labels for _, labels in SILENCED} <= {frozenset(each) for each in self._silenced()})

    def _alerts(self) -> set[Labels]:
        return {frozenset(each["labels"].items()) for each in self.alertmanager.alerts()}

    def _silenced(self) -> list[set[tuple[str, str]]]:
        found = self.alertmanager.silenced()
        self.played.silenced |= {frozenset(each.items()) for each in found}
        own = {"alertname", "severity"}
        return [{pair for pair in each.items() if pair[0] not in own} for each in found]

    def _wait(self, true: Callable[[], bool]) -> None:
        try:
            eventually(true, self._patience)
        except AssertionError:
            self._patience = IMPATIENCE
        self.played.faults += self.prometheus.faulty_rules()

    def await_scraped(self) -> None:
        """Wait until Prometheus has scraped both replicas twice, and so sees whatever increases from now on."""
        twice = f'count_over_time(up{{job="{JOB}"}}[1m]) >= 2'
        eventually(lambda: len(self.prometheus.query(twice)) == 2, PATIENCE)

    def watchers(self) -> set[str]:
        """Return the exporters that show a record of the cloud that both replicas watch."""
        shown = self.prometheus.query('openstack_migration_stuck_info{cloud="prod",reason="server_error"}')
        return {each["metric"]["instance"] for each in shown}

    def await_looked_back(self) -> None:
        """Wait until Prometheus has scraped the first exporter for as long as the rules on ends look back."""
        seconds = int(RANGES["1h"].removesuffix("s")) + 2
        polls = f'openstack_migration_polls_total{{instance="{FIRST}"}} offset {seconds}s'
        eventually(lambda: self.prometheus.query(polls), PATIENCE)

    def stop_and_go_on(self) -> None:
        """Stop the second exporter until that is told, then start it again, with a state file."""
        before = len(self.mailbox.messages)
        self.world.stop(SECOND)
        self.await_told([DOWN])
        self.played.far_while_down.append(FAR.all_labels in self._alerts())
        self.world.begin_again(SECOND, self.prometheus)
        up = f'up{{job="{JOB}",instance="{SECOND}"}} == 1'
        eventually(lambda: self.prometheus.query(up), PATIENCE)
        stuck = 'openstack_migration_stuck_info{cloud="outpost"}'
        eventually(lambda: self.prometheus.query(stuck), PATIENCE)
        self.played.far_while_down.append(FAR.all_labels in self._alerts())
        self.played.told_while_down = self.mailbox.messages[before:]


def of_act(*acts: Act) -> list[Expected]:
    return [each for each in EXPECTED if each.act in acts]


def play(stage: Stage) -> Played:
    """Play the story from its first trouble to its last mend."""
    world, before, failing = stage.world, of_act(Act.BEFORE), of_act(Act.WATCHED)
    stage.await_scraped()
    stage.make(Act.WATCHED)
    stage.await_told(failing)
    stage.await_silenced()
    stage.mend(failing)
    world.begin_again(THIRD, stage.prometheus)
    stage.await_told(before)
    stage.played.watchers = stage.watchers()
    stage.mend(each for each in before if each is not FAR)
    stage.await_looked_back()
    stage.make(Act.COUNTED)
    stage.stop_and_go_on()
    stage.mend([FAR])
    stage.await_told(EXPECTED)
    stage.mend(of_act(Act.MENDED))
    stage.await_over()
    stage.played.news = stage.mailbox.news()
    return stage.played


@pytest.fixture(scope="module")
def played(tmp_path_factory: TempPathFactory) -> Iterator[Played]:
    path = tmp_path_factory.mktemp("alerts")
    with (
        Mailbox() as mailbox,
        alertmanager(alertmanager_config(mailbox.url), path) as told,
        World(path) as world,
    ):
        for each in of_act(Act.BEFORE):
            each.make(world)
        world.start(FIRST)
        world.start(SECOND, lasting=False)
        with prometheus(path, told.url, world.targets()) as scraping:
            yield play(Stage(world, scraping, told, mailbox))


def name_of(each: Expected) -> str:
    return "-".join([each.name, *list(each.labels.values())[:1], each.labels.get("migration_id", "")[:4]]).rstrip("-")


every_alert = pytest.mark.parametrize("expected", EXPECTED, ids=name_of)


def told(played: Played, expected: Expected) -> list[Told]:
    return [
        alert
        for message in played.mailbox.messages
        for alert in message.alerts
        if alert.labels == expected.all_labels and alert.firing
    ]


def test_the_story_has_every_alert() -> None:
    alerts = [rule for group in GROUPS for rule in group.rules if isinstance(rule, Alert)]
    assert {each.full_name: each.severity for each in EXPECTED} == {each.full_name: each.severity for each in alerts}


@every_alert
def test_an_alert_arrives_once(played: Played, expected: Expected) -> None:
    begun, _ = played.news
    assert begun[expected.all_labels] == 1, [
        sorted(labels) for labels in begun if ("alertname", expected.full_name) in labels
    ]


@every_alert
def test_an_alert_arrives_at_whom_it_is_for_and_nowhere_else(played: Played, expected: Expected) -> None:
    receivers = {
        message.receiver
        for message in played.mailbox.messages
        if any(each.labels == expected.all_labels for each in message.alerts)
    }
    assert receivers == {expected.receiver}


@every_alert
def test_an_alert_says_what_it_must(played: Played, expected: Expected) -> None:
    annotations = told(played, expected)[0].annotations
    for part in expected.says:
        assert part in annotations["description"]
    assert annotations["runbook_url"].endswith(f"/{expected.full_name}.md")
    assert re.fullmatch(r"https://[^\s{}]+\?var-[^\s{}]+", annotations["dashboard_url"])
    for text in annotations.values():
        assert "<no value>" not in text and "<error" not in text and "{{" not in text
        assert not re.search(r"\s\s|\s[,.;:]|\s$", text), f"a value is missing in: {text}"


@every_alert
def test_an_alert_is_told_to_be_over_when_its_cause_is_gone(played: Played, expected: Expected) -> None:
    _, over = played.news
    assert over[expected.all_labels] == (0 if expected.severity == "info" else 1)


def test_nothing_fires_at_the_end(played: Played) -> None:
    assert [sorted(each) for each in played.left] == []


def test_nothing_else_is_told(played: Played) -> None:
    wanted = {each.all_labels for each in EXPECTED}
    assert [sorted(labels) for labels in played.news[0] if labels not in wanted] == []


def test_no_message_says_only_what_the_one_before_did(played: Played) -> None:
    assert [(each.receiver, each.group) for each in played.mailbox.repeated()] == []


def test_rules_and_templates_are_evaluated_without_a_fault(played: Played) -> None:
    assert played.faults == []


def test_moves_that_wait_for_one_dead_host_are_one_page(played: Played) -> None:
    pages = [
        message
        for message in played.mailbox.messages
        if message.by.get("alertname") == f"{PREFIX}HostDown" and message.by.get("cloud") == "prod" and message.firing
    ]
    assert [len(page.firing) for page in pages] == [ON_DEAD_HOST]


def test_a_record_that_two_exporters_see_is_told_once(played: Played) -> None:
    assert played.watchers == {FIRST, SECOND}
    stuck = [labels for labels in played.news[0] if {("cloud", "prod"), ("reason", "server_error")} <= labels]
    assert [played.news[0][labels] for labels in stuck] == [1]


def test_messages_are_grouped_as_configured(played: Played) -> None:
    for message in played.mailbox.messages:
        labels = {"cloud"} if message.receiver == "digest" else {"cloud", "alertname", "job"}
        for alert in message.alerts:
            shared = {name: value for name, value in alert.labels if name in labels}
            assert dict(message.by) == shared


def test_what_is_of_little_weight_comes_in_one_message_for_each_cloud(played: Played) -> None:
    for cloud in ("prod", "edge"):
        wanted = {each.all_labels for each in EXPECTED if each.severity == "info" and each.labels["cloud"] == cloud}
        digests = [
            each for each in played.mailbox.messages if each.receiver == "digest" and each.by == {"cloud": cloud}
        ]
        assert [message.firing for message in digests] == [wanted]


@pytest.mark.parametrize(("name", "labels"), SILENCED, ids=[f"{name}-{sorted(each)[0][1]}" for name, each in SILENCED])
def test_what_another_alert_says_better_is_silenced(played: Played, name: str, labels: Labels) -> None:
    full = labels | {("alertname", name), ("severity", "warning")}
    assert full in played.silenced
    assert full not in played.news[0]


def test_an_alert_on_a_record_goes_on_while_its_exporter_is_down(played: Played) -> None:
    assert played.far_while_down == [True, True]
    assert [message for message in played.told_while_down if message.by.get("cloud") == "outpost"] == []
    assert played.news[0][FAR.all_labels] == 1
    assert any(DOWN.all_labels in message.firing for message in played.told_while_down)


def test_the_page_in_chat_has_server_hosts_commands_and_runbook(played: Played) -> None:
    (page,) = [
        each for each in played.mailbox.chat if "HostDown, cloud prod" in text_of(each) and "firing" in text_of(each)
    ]
    text = text_of(page)
    assert f"{ON_DEAD_HOST} firing: {PREFIX}HostDown, cloud prod" in text
    for number in range(ON_DEAD_HOST):
        server = server_of(f"dead {number}")
        assert named(f"dead {number}") in text
        assert f"```\nopenstack server show {server}\nopenstack server event list --long {server}\n" in text
    assert "from cmp-dead to cmp-2" in text
    assert text.count(f"/{PREFIX}HostDown.md") == 2  # the title leads there, too
    assert page["channel"] == "#on-call"


def test_the_digest_in_chat_names_every_alert_and_its_runbook(played: Played) -> None:
    (digest,) = [
        each for each in played.mailbox.chat if each["channel"] == "#openstack" and "cloud prod" in text_of(each)
    ]
    for name in ("Backlog", "ResizeForgotten", "UnknownStatus"):
        assert f"/{PREFIX}{name}.md" in text_of(digest)


def test_chat_shows_no_gaps(played: Played) -> None:
    assert played.mailbox.chat
    for each in played.mailbox.chat:
        text = text_of(each)
        assert "<no value>" not in text and "{{" not in text and "&#" not in text
        assert len(text) < 20_000


def text_of(posted: dict[str, object]) -> str:
    """Return title, link and text of what was posted."""
    (attachment,) = posted["attachments"]  # type: ignore[misc]
    return "\n".join(attachment[name] for name in ("title", "title_link", "text"))
