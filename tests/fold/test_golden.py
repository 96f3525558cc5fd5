"""Folds that never move: pinned files, byte for byte.

Each shape's function in ``tests/golden/folds/make.py`` says in its docstring what it guards.
Together they guard against

- a change of the hash, of the order of dealing, or of a tie-break, however well meant;
- a NumPy or pandas that sorts, sums, rounds, quotes or ends lines in another way;
- hash randomisation, and another version of Python, which the last tests run for real.
"""

import os
import runpy
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAKER = ROOT / "tests" / "golden" / "folds" / "make.py"
SHAPES: tuple[Callable[[Path], None], ...] = runpy.run_path(str(MAKER))["SHAPES"]


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
def test_files_are_what_they_always_were(shape: Callable[[Path], None], tmp_path: Path) -> None:
    shape(tmp_path)
    pinned = MAKER.parent / shape.__name__
    assert sorted(file.name for file in pinned.iterdir()) == ["folds.csv", "folds.json"]
    for file in pinned.iterdir():
        assert (tmp_path / file.name).read_bytes() == file.read_bytes(), shape.__doc__


@pytest.mark.parametrize("seed", ["0", "4242"])
def test_hash_randomisation_moves_nothing(seed: str) -> None:
    done = compare(sys.executable, PYTHONHASHSEED=seed)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13", "3.14"])
def test_other_pythons_move_nothing(version: str) -> None:
    """Where another interpreter with the libraries is at hand; CI runs all tests in each."""
    python = shutil.which(f"python{version}")
    if version == f"{sys.version_info.major}.{sys.version_info.minor}" or python is None:
        pytest.skip(f"no other Python {version} here")
    if subprocess.run([python, "-c", "import pandas, pydantic"], capture_output=True).returncode:
        pytest.skip(f"Python {version} lacks the libraries")
    done = compare(python)
    assert done.returncode == 0, done.stdout + done.stderr


def compare(python: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [python, str(MAKER)],
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
    )
