"""Keep short what a scrape waits for while a poll is at work in the same interpreter."""

from __future__ import annotations

import gc
import sys

#: Seconds after which a thread that computes lets one go on that has got its answer from the network. Python's own 5 ms are
#: waited at each step of a scrape.
SWITCH_INTERVAL = 0.001

#: When to look for garbage in cycles, of which the exporter makes hardly any: a look at everything, with all records of a large
#: cloud, holds up every thread for a quarter of a second, and by Python's own measure comes with every other sweep.
GARBAGE_THRESHOLDS = (20_000, 20, 20)


def shorten_pauses() -> None:
    """Let threads take turns more often, and look for garbage less often, in this process."""
    sys.setswitchinterval(SWITCH_INTERVAL)
    gc.set_threshold(*GARBAGE_THRESHOLDS)
