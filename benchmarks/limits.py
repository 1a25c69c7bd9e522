"""When a record counts as stuck by default: the thresholds of the lifecycle table."""

from exporter.domain.diagnosis import Limits
from exporter.domain.lifecycle import LIVE_ROWS, UNKNOWN_EXPECTED, UNKNOWN_STATUS, MigrationType

LIMITS = Limits(
    {
        **{(row.migration_type, row.status): row.expected for row in LIVE_ROWS},
        **{(kind, UNKNOWN_STATUS): UNKNOWN_EXPECTED for kind in MigrationType},
    },
    no_progress=300.0,
)
