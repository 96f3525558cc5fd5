"""Since when a process runs, on a clock that its children share."""

import time
from pathlib import Path

START_ALLOWANCE = 0.5
"""Seconds assumed between a process's start and this module's import where nobody can tell."""

_imported = time.monotonic()


def started() -> float:
    """When this process started, on ``time.monotonic``'s clock (one clock for the whole machine).

    Linux knows it to a hundredth of a second. Elsewhere it is this module's import less half a
    second: rather too early than too late, since deadlines count from it.
    """
    try:
        # proc(5): the 22nd field, counted from behind the name, which may hold spaces
        fields = Path("/proc/self/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        since_boot = int(fields[19]) / _ticks_per_second()
        return time.monotonic() - (time.clock_gettime(time.CLOCK_BOOTTIME) - since_boot)
    except (OSError, AttributeError, ValueError, IndexError):
        return _imported - START_ALLOWANCE


def _ticks_per_second() -> int:
    import os

    return os.sysconf("SC_CLK_TCK")
