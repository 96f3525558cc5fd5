"""Outputs, rescaling and activation are in full precision on every path, for every task."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny import write_table

from harness.cli import main
from harness.data.images import Pixels
from harness.predict.engine import choose_device, load_predictor
from harness.predict.engines import ENGINES, Kind, convert, open_run, why_missing
from harness.predict.measure import predict_oof
from harness.predict.stream import Loaded
from harness.workspace import Workspace
from harness.workspace.oof import read_oof
from harness.workspace.runs import fold_file
from harness.workspace.training import TrainingRows, read_training

ROWS = 24
MEAN, DEVIATION = 1990, 15
TOLERANCE = {"fp32": 1e-3, "bf16": 0.02, "fp16": 0.02}
"""In probabilities, or in standard deviations of the targets.

A backbone in bf16 rounds each of its steps to 8 bits (0.004) and moves these predictions by up to
0.008. Outputs in bf16 would move a year near 1990 by up to 4, which is 0.27.
"""

TOML = """\
[competition]
name = "precision"
task = "{task}"
metric = "{metric}"

[data]
train = "data/train.csv"
images = "data/images/{{id}}.png"
labels = {labels}

[predict]
views = 1

[folds]
k = 2
"""
MODEL = """
[[model]]
name = "{mode}-{precision}"
mode = "{mode}"
precision = "{precision}"
backbone = "test_resnet"
weights = "none"
image_size = 32
epochs = 8
batch_size = 8
lr = 3e-3
"""


@dataclass(frozen=True)
class Task:
    """A task, with the label cells of an image whose brightness is so many deviations."""

    name: str
    metric: str
    cells: Callable[[float], Sequence[object]]
    unit: float = 1.0

    def __str__(self) -> str:
        return self.name


def grade(brightness: float) -> int:
    return int(brightness > -0.5) + int(brightness > 0.5)


TASKS = (
    Task("binary", "log_loss", lambda b: [int(b > 0)]),
    Task("multiclass", "log_loss", lambda b: ["abc"[grade(b)]]),
    Task("ordinal", "quadratic_weighted_kappa", lambda b: [grade(b)]),
    Task("multilabel", "f1_micro", lambda b: [int(b > 0), int(abs(b) > 0.7)]),
    Task("regression", "rmse", lambda b: [MEAN + DEVIATION * b], DEVIATION),
)


@dataclass(frozen=True)
class Trained:
    """A competition whose models are trained; ``images`` are in the order of its OOF files."""

    task: Task
    workspace: Workspace
    training: TrainingRows
    images: Pixels

    def out_of_fold(self, model: str) -> np.ndarray:
        return read_oof(self.workspace.oof / f"{model}.parquet", self.training).predictions

    def submitted(self, model: str) -> np.ndarray:
        """What plain PyTorch says of each row, by the fold model that did not see it."""
        run = open_run(self.workspace.models / model)
        predictions = np.empty((ROWS, run.targets), np.float32)
        for fold in (0, 1):
            files = [fold_file(run.folder, fold)]
            predictor = load_predictor(run.folder, run.model, run.targets, files, run.task)
            device = choose_device(run.model.precision)
            device.place(predictor)
            rows = self.training.assignment[:, 0] == fold
            predictions[rows] = Loaded(predictor, device, 32).predict(self.images[rows])
        return predictions

    def difference(self, predictions: np.ndarray, expected: np.ndarray) -> float:
        """The largest one, in probabilities or in standard deviations of the targets."""
        assert expected.std(axis=0).max() > 0.05 * self.task.unit  # the images tell something
        assert len(np.unique(expected, axis=0)) > len(expected) / 2  # rounding would make them few
        return float(np.abs(predictions - expected).max()) / self.task.unit


Train = Callable[[Task], Trained]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Train:
    """A task's competition, made and trained once."""

    @cache
    def train(task: Task) -> Trained:
        folder: Path = tmp_path_factory.mktemp(task.name)
        brightness = np.linspace(-1.5, 1.5, ROWS)
        noise = np.random.default_rng(0).normal(0, 20, (ROWS, 32, 32, 3))
        images = (120 + 50 * brightness[:, None, None, None] + noise).clip(0, 255).astype(np.uint8)
        (folder / "data/images").mkdir(parents=True)
        for i, image in enumerate(images):
            Image.fromarray(image).save(folder / f"data/images/{i:02d}.png")
        cells = [[f"{i:02d}", *task.cells(b)] for i, b in enumerate(brightness)]
        labels = ["y", "z"][: len(cells[0]) - 1]
        write_table(folder / "data/train.csv", ["id", *labels], cells)
        text = TOML.format(task=task, metric=task.metric, labels=labels)
        if len(labels) == 1:
            text = text.replace("labels = ['y']", "label = 'y'")
        for mode in ("finetune", "probe"):
            for precision in ("fp32", "bf16"):
                text += MODEL.format(mode=mode, precision=precision)
        (folder / "competition.toml").write_text(text, encoding="utf-8")
        for verb in ("fold", "train"):
            assert main([verb, "-C", str(folder)]) == 0
        workspace = Workspace.open(folder)
        return Trained(task, workspace, read_training(workspace), images)

    return train


every_task = pytest.mark.parametrize("task", TASKS, ids=str)


@every_task
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("mode", ["finetune", "probe"])
def test_submitted_as_out_of_fold(trained: Train, task: Task, mode: str, precision: str) -> None:
    world, model = trained(task), f"{mode}-{precision}"
    assert world.difference(world.submitted(model), world.out_of_fold(model)) < 1e-3


def slow(kind: Kind) -> object:
    return pytest.param(kind, id=kind.name, marks=[pytest.mark.slow] if kind.compiled else [])


@every_task
@pytest.mark.parametrize("mode", ["finetune", "probe"])
@pytest.mark.parametrize(
    "kind", [slow(kind) for kind in ENGINES.values() if kind.precision in TOLERANCE]
)
def test_engines_as_out_of_fold(trained: Train, task: Task, mode: str, kind: Kind) -> None:
    if why := why_missing(kind, converting=True):
        pytest.skip(why)
    world = trained(task)
    run, cache = open_run(world.workspace.models / f"{mode}-fp32"), world.workspace.root / "cache"
    folds = world.training.assignment[:, 0]
    convert(kind, run, [fold_file(run.folder, 0).name], cache, world.images)
    numbers, rows = np.where(folds == 0, 0, -1), folds == 0
    predictions = predict_oof(kind, run, cache, world.images, numbers, batch=4)[rows]
    expected = world.out_of_fold(run.folder.name)[rows]
    assert world.difference(predictions, expected) < TOLERANCE[kind.precision]
