"""Which machine this is, and how fast it is just now."""

import os
import platform
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from harness.files import digest
from harness.predict.engines.kinds import cores

PROBE_SECONDS = 0.5


def fingerprint() -> str:
    """A digest of what makes measured seconds comparable: processor, its usable cores, system."""
    return digest(platform.system(), platform.machine(), _processor(), str(cores()))


def probe(seconds: float = PROBE_SECONDS, clock: Callable[[], float] = time.perf_counter) -> float:
    """Seconds of a fixed piece of arithmetic (the median of as many as fit in ``seconds``).

    The ratio of two probes is how much slower one machine is than the other, roughly: it is
    matrix products, as the forward passes are.
    """
    random = np.random.default_rng(0)
    matrix = random.normal(size=(384, 384)).astype(np.float32)
    spent: list[float] = []
    begun = clock()
    while not spent or clock() - begun < seconds:
        before = clock()
        for _ in range(4):
            matrix @ matrix
        spent.append(clock() - before)
    return float(np.median(spent))


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or os.environ.get("PROCESSOR_IDENTIFIER", "")
