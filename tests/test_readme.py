"""The README's figures are the results' figures."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_figures_come_from_the_results() -> None:
    command = [sys.executable, str(ROOT / "benchmarks/readme.py"), "--check"]
    assert subprocess.run(command, check=False).returncode == 0, "run benchmarks/readme.py"
