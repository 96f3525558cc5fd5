"""What decides imports no torch, and reaches no files or network by importing."""

import subprocess
import sys

import pytest

PURE = [
    "harness.board.medals",
    "harness.board.relation",
    "harness.audit.align",
    "harness.audit.curve",
    "harness.audit.drift",
    "harness.audit.duplicates",
    "harness.audit.labels",
    "harness.audit.shortcuts",
    "harness.competition",
    "harness.data.metadata",
    "harness.decision",
    "harness.estimate",
    "harness.fold.assign",
    "harness.metrics",
    "harness.stack.blend",
    "harness.stack.decide",
    "harness.stack.diversity",
    "harness.stack.fold_models",
    "harness.stack.honest",
    "harness.stack.methods",
    "harness.stack.select",
    "harness.stack.scored",
    "harness.predict.plan",
    "harness.submit.forms",
    "harness.submit.plan",
    "harness.train.soup",
    "harness.stack.addition",
    "harness.space",
    "harness.tune.judge",
    "harness.tune.spaces",
    "harness.tune.tables",
    "harness.tune.zoom",
    "harness.workspace.ensemble",
]


@pytest.mark.parametrize("module", PURE)
def test_pure_modules_leave_torch_and_lightgbm_alone(module: str) -> None:
    code = (
        f"import sys, {module}; "
        "loaded = {'torch', 'timm', 'lightgbm', 'kaggle', 'sqlite3'} & set(sys.modules); "
        "assert not loaded, loaded"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
