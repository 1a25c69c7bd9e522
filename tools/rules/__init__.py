"""The alerting and recording rules of deploy/prometheus/, each alert a row; `python -m tools.rules` writes the files."""

from tools.rules.health import HEALTH
from tools.rules.outcomes import OUTCOMES
from tools.rules.rows import Group
from tools.rules.stuck import STUCK

GROUPS: tuple[Group, ...] = (STUCK, OUTCOMES, HEALTH)
