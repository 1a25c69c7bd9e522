"""What a rule is, and the pieces of text that many of them share."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from textwrap import dedent

#: Every alert's name begins with it, so that nobody else's has the same.
PREFIX = "OpenStackMigration"


class Severity(StrEnum):
    """Who is told: critical wakes somebody, warning waits for the morning, info is for whoever looks."""

    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"


class Dashboard(StrEnum):
    """The dashboards that alerts lead to, by uid."""

    MIGRATIONS = "openstack-migrations"
    ONE = "openstack-migration-one"
    EXPORTER = "openstack-migration-exporter"


@dataclass(frozen=True, slots=True)
class Record:
    """A recording rule, named level:metric:operations."""

    name: str
    expr: str


@dataclass(frozen=True, slots=True)
class Alert:
    """An alerting rule; `name` is without the prefix.

    `wait` is how long the expression must hold before it fires, `keep` for how long it goes on when the expression holds no
    more. `variables` are the labels that the link to the dashboard hands on.
    """

    name: str
    severity: Severity
    expr: str
    wait: str
    summary: str
    description: str
    dashboard: Dashboard
    variables: tuple[str, ...] = ("cloud",)
    keep: str | None = None

    @property
    def full_name(self) -> str:
        """Return the name under which Prometheus knows it."""
        return PREFIX + self.name


@dataclass(frozen=True, slots=True)
class Group:
    """Rules that are evaluated one after the other, so that an alert sees what was recorded just before."""

    name: str
    rules: tuple[Record | Alert, ...]


def promql(text: str) -> str:
    """Return an expression as it is written to the files: without the indentation it has in the source."""
    return dedent(text).strip()


def asked(selector: str, labels: tuple[str, ...], found: str) -> str:
    """Return a template that asks Prometheus for one series and writes `found` of it, or nothing where there is none.

    `selector` has a %q for each of the labels, by which the alert and the series belong together. What is asked for stays out
    of the alert's labels: a label that changes would make another alert of it.
    """
    values = " ".join(f"$labels.{label}" for label in labels)
    quoted = selector.replace('"', '\\"')
    return f'{{{{ with printf "{quoted}" {values} | query }}}}{found}{{{{ end }}}}'
