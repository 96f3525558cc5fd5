"""Since when a process runs."""

import subprocess
import sys
import time

from harness.clock import started


def test_a_process_knows_when_it_started() -> None:
    before = time.monotonic()
    code = "from harness.clock import started; print(started())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    after = time.monotonic()
    # the kernel counts in hundredths, other systems guess half a second
    assert before - 0.6 <= float(done.stdout) <= after
    assert started() < before
