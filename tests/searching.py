"""A search whose trainings are a formula: what it decides is real, and so are its files."""

import json
import math
import platform
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from harness.model import ModelSection
from harness.space import TuneSection
from harness.stack.resample import paired_scores
from harness.tune import study
from harness.tune.search import Halfway, Search, Tools
from harness.tune.setup import Setup, set_up
from harness.tune.study import open_study
from harness.workspace import Workspace
from harness.workspace.runs import (
    fold_file,
    fold_predictions_file,
    save_arrays,
    save_predictions,
)
from harness.workspace.training import read_training

SPACE = {
    "lr": {"low": 1e-4, "high": 1e-1, "log": True},
    "drop_path": {"low": 0, "high": 0.8},
}


def landscape(model: ModelSection, fold: int) -> float:
    """A bowl whose lowest point is lr = 0.004, drop_path = 0.2, and its height another a fold."""
    return (math.log10(model.lr) - math.log10(4e-3)) ** 2 + 4 * (model.drop_path - 0.2) ** 2 + fold


def open_setup(root: Path, **options: Any) -> Setup:
    """The search of ``SPACE`` for the tiny workspace's model."""
    section = TuneSection.model_validate({"model": "tuned", "space": SPACE, **options})
    workspace = Workspace.open(root)
    return set_up(workspace, read_training(workspace), section)


def formula_tools(
    setup: Setup,
    height: Callable[[ModelSection, int], float] = landscape,
    before: Callable[[ModelSection, int], None] = lambda model, fold: None,
) -> Tools:
    """Training writes the landscape's height as every prediction; their mean is the loss.

    Halfway it is one higher.
    """

    def train(
        model: ModelSection,
        folds: Sequence[int],
        seconds: float | None,
        halfway: Halfway | None,
    ) -> bool:
        for fold in folds:
            before(model, fold)
            rows = np.flatnonzero(setup.training.assignment[:, 0] == fold)
            folder = setup.workspace.models / model.name
            predictions = np.full((len(rows), 3), height(model, fold), np.float32)
            if halfway:
                halfway(rows, predictions + 1)
            arrays = {"predictions": predictions, "seconds": np.array([1.0])}
            views = setup.workspace.competition.views
            save_predictions(fold_predictions_file(folder, fold), arrays, views)
            save_arrays(fold_file(folder, fold), {"weight": np.zeros(1)})
        return True

    return Tools(train, paired_scores, lambda rows, predictions: float(predictions.mean()))


def worker(
    root: Path, options: Mapping[str, Any], hang: int = 0, machine: str = ""
) -> subprocess.Popen[str]:
    """A process that searches, too; in its trial of the number ``hang`` it stops and says so.

    It believes that it is on that ``machine``, and that heartbeats are short, if one is given.
    """
    arguments = [str(root), json.dumps(options), str(hang), machine]
    return subprocess.Popen(
        [sys.executable, __file__, *arguments], stdout=subprocess.PIPE, text=True
    )


def main(root: str, options: str, hang: str, machine: str) -> None:
    """What a worker does."""
    if machine:
        platform.node = lambda: machine
        study.HEARTBEAT, study.GRACE = 1, 2
    setup = open_setup(Path(root), **json.loads(options))
    seen: set[str] = set()

    def before(model: ModelSection, fold: int) -> None:
        seen.add(model.name)
        if len(seen) == int(hang):
            print("hanging", flush=True)
            threading.Event().wait()

    Search(setup, open_study(setup), formula_tools(setup, before=before)).run()


if __name__ == "__main__":
    main(*sys.argv[1:])
