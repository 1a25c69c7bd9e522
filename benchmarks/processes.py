"""What a process takes, as Linux tells it."""

from __future__ import annotations

import os
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def resident(pid: int | str) -> int:
    """Return the resident bytes of a process (VmRSS of proc_pid_status(5))."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    return 1024 * int(next(line.split()[1] for line in lines if line.startswith("VmRSS:")))


def cpu_seconds(pid: int | str) -> float:
    """Return the CPU seconds that a process has spent so far, in all its threads (utime and stime of proc_pid_stat(5))."""
    behind_name = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(behind_name[11]) + int(behind_name[12])) / _TICKS
