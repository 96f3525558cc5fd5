"""What a search finds for its seconds: the methods of `tune`, and Optuna's TPE as it comes.

    python benchmarks/tune.py [methods] [pruning] [--seeds 3] [--trials 30]

scikit-learn's digits (1,797 pictures of 8 × 8): a small perceptron, searched for its learning rate
and its label smoothing by log loss on three of five folds. Each method has the same number of
trials; regret is the loss of the best trial over the lowest loss that any search of the part has
seen. pruning: trials that are poor halfway through the first fold's epochs, or after it, get no
more, and what that saves. All folds have the same number of gradient steps, so that folds trained
count those; seconds are the processor's, on one thread.
"""

import argparse
import json
import os
import platform
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar, NamedTuple

import numpy as np
import optuna
import torch
from numpy.typing import NDArray
from PIL import Image
from sklearn.datasets import load_digits
from torch import nn

from harness.cli import main as run_command
from harness.model import ModelSection
from harness.space import TuneSection
from harness.stack.resample import paired_scores
from harness.train.schedule import Schedule
from harness.tune.methods import distribution
from harness.tune.search import Halfway, Search, Tools
from harness.tune.setup import Setup, set_up
from harness.tune.study import open_study
from harness.workspace import Workspace
from harness.workspace.runs import fold_file, fold_predictions_file, save_arrays
from harness.workspace.training import read_training

RESULT = Path(__file__).parent / "results" / "tune.json"
SPACE = {
    "lr": {"low": 1e-4, "high": 1.0, "log": True},
    "label_smoothing": {"low": 0.0, "high": 0.4},
}
METHODS: dict[str, dict[str, Any]] = {
    "grid": {"method": "grid", "steps": 5},
    "zoom, 4 steps": {"method": "zoom", "steps": 4, "rounds": 3},
    "zoom, 3 steps": {"method": "zoom", "steps": 3, "rounds": 5},
    "random": {"method": "random"},
    "bayes (Gaussian process)": {"method": "bayes"},
    "bayes (TPE)": {"method": "bayes", "surrogate": "tpe"},
    "evolution": {"method": "evolution"},
}
PRUNED: dict[str, dict[str, Any]] = {
    "bayes (TPE)": {"method": "bayes", "surrogate": "tpe"},
    "random": {"method": "random"},
}
PRUNERS = ("none", "median", "halving", "hyperband")
PLAIN = "Optuna's TPE, as it comes"
Data = tuple[NDArray[np.float32], NDArray[np.int64]]
Courses = dict[str, list[dict[str, Any]]]
OpenSetup = Callable[..., Setup]
TOML = """\
[competition]
name = "digits"
task = "multiclass"
metric = "log_loss"
[data]
train = "train.csv"
images = "images/{id}.png"
label = "label"
[[model]]
name = "perceptron"
backbone = "resnet18"
epochs = 4
batch_size = 128
"""


def make_workspace(root: Path) -> Data:
    """The digits as pictures in folds; (rows, 64) pixels and their labels, in order of id."""
    pixels, labels = load_digits(return_X_y=True)
    (root / "images").mkdir()
    for row, picture in enumerate(pixels):
        Image.fromarray((picture.reshape(8, 8) * 15).astype(np.uint8)).save(
            root / "images" / f"{row:04d}.png"
        )
    table = "".join(f"{row:04d},{label}\n" for row, label in enumerate(labels))
    (root / "train.csv").write_text(f"id,label\n{table}", encoding="utf-8")
    (root / "competition.toml").write_text(TOML, encoding="utf-8")
    assert run_command(["fold", "-C", str(root)]) == 0
    return (pixels / 16).astype(np.float32), labels.astype(np.int64)


class Part(NamedTuple):
    """Half of a training: what its network says of the fold's rows then, and the seconds of it."""

    said: NDArray[np.float32]
    seconds: float


class Trainer:
    """Trains a perceptron on folds, with the harness's files; knows what that took."""

    def __init__(self, setup: Setup, pixels: NDArray[Any], labels: NDArray[Any]) -> None:
        self.setup, self.pixels, self.labels = setup, torch.tensor(pixels), torch.tensor(labels)
        self.folds = 0.0
        self.seconds = 0.0

    known: ClassVar[dict[tuple[str, int], tuple[Part, Part]]] = {}
    """Every training; its seconds count again in every search that asks for it."""

    def train(
        self,
        model: ModelSection,
        folds: Sequence[int],
        seconds: float | None,
        halfway: Halfway | None = None,
    ) -> bool:
        """As harness.tune.search.Tools wants it."""
        for fold in folds:
            folder = self.setup.workspace.models / model.name
            key = (model.name, fold)
            if key not in self.known:
                self.known[key] = self.course(model, fold)
            half, whole = self.known[key]
            self._count(half, 0.5)
            if halfway:
                halfway(np.flatnonzero(self.setup.training.assignment[:, 0] == fold), half.said)
            self._count(whole, 0.5)
            arrays = {
                "predictions": whole.said,
                "seconds": np.array([half.seconds + whole.seconds]),
            }
            save_arrays(fold_predictions_file(folder, fold), arrays)
            save_arrays(fold_file(folder, fold), {"none": np.zeros(1)})
        return True

    def _count(self, part: Part, folds: float) -> None:
        self.folds += folds
        self.seconds += part.seconds

    def course(self, model: ModelSection, fold: int) -> tuple[Part, Part]:
        """A fold's training up to the middle of its epochs, and from there to its end."""
        begun = time.thread_time()
        held = torch.tensor(self.setup.training.assignment[:, 0] == fold)
        pixels, labels = self.pixels[~held], self.labels[~held]
        torch.manual_seed(fold)
        network = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
        optimiser = torch.optim.AdamW(network.parameters(), lr=model.lr, weight_decay=0.01)
        loss = nn.CrossEntropyLoss(label_smoothing=model.label_smoothing)
        schedule = Schedule.of(model, len(labels))
        parts, step = [], 0
        for _ in range(model.epochs):
            for batch in torch.randperm(len(labels)).split(model.batch_size):
                optimiser.param_groups[0]["lr"] = model.lr * schedule.rate(step)
                optimiser.zero_grad()
                loss(network(pixels[batch]), labels[batch]).backward()
                optimiser.step()
                step += 1
            if step in (schedule.half, schedule.steps):
                with torch.no_grad():
                    said = network(self.pixels[held]).softmax(dim=1).numpy()
                now = time.thread_time()
                parts.append(Part(said, now - begun))
                begun = now
        return parts[0], parts[1]


def search(setup: Setup, data: Data) -> dict[str, Any]:
    """The best loss after each trial, the folds that were trained, and the seconds they took."""
    trainer = Trainer(setup, *data)
    metric, truth = setup.workspace.competition.metric, setup.training.target
    study = open_study(setup)
    tools = Tools(trainer.train, paired_scores, lambda rows, said: metric.loss(truth[rows], said))
    assert Search(setup, study, tools).run()
    return outcome(study, trainer)


def plain(setup: Setup, data: Data, seed: int) -> dict[str, Any]:
    """The same by Optuna alone, with its defaults."""
    trainer = Trainer(setup, *data)
    metric, truth = setup.workspace.competition.metric, setup.training.target
    axes = {name: distribution(axis) for name, axis in setup.axes.items()}

    def objective(trial: optuna.Trial) -> float:
        values = {name: trial._suggest(name, axis) for name, axis in axes.items()}
        model = setup.run(values)
        trainer.train(model, list(setup.choosing), None)
        rows, said = setup.out_of_fold(model.name, setup.choosing)
        return metric.loss(truth[rows], said)

    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
    study.optimize(objective, n_trials=setup.section.trials)
    return outcome(study, trainer)


def outcome(study: optuna.Study, trainer: Trainer) -> dict[str, Any]:
    """A search's course: pruned trials find nothing."""
    complete = optuna.trial.TrialState.COMPLETE
    losses = [t.value if t.state == complete else np.inf for t in study.get_trials(deepcopy=False)]
    return {
        "best": np.minimum.accumulate(np.array(losses, dtype=float)),
        "folds": trainer.folds,
        "training": trainer.seconds,
    }


def summarise(courses: Courses, trials: int) -> list[dict[str, Any]]:
    """A row a search, means over seeds; a grid that is smaller than ``trials`` ends earlier."""
    lowest = min(course["best"][-1] for several in courses.values() for course in several)
    rows = []
    for name, several in courses.items():
        regret = {
            after: [float(course["best"][:after][-1] - lowest) for course in several]
            for after in (10, 20, trials)
        }
        rows.append(
            {
                "search": name,
                **{f"regret_after_{after}": _mean(found) for after, found in regret.items()},
                "regret_error": float(np.std(regret[trials], ddof=1) / np.sqrt(len(several))),
                "trials": int(np.mean([len(course["best"]) for course in several])),
                "folds_trained": _mean([course["folds"] for course in several]),
                "training_seconds": _mean([course["training"] for course in several]),
            }
        )
    return rows


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values))


def methods(open_setup: OpenSetup, data: Data, seeds: int, trials: int) -> list[dict[str, Any]]:
    """All methods, with no pruner, and Optuna's TPE."""
    courses: Courses = {}
    for seed in range(seeds):
        for name, changes in METHODS.items():
            courses.setdefault(name, []).append(search(open_setup(seed=seed, **changes), data))
            print(seed, name, courses[name][-1]["best"][-1], flush=True)
        courses.setdefault(PLAIN, []).append(plain(open_setup(), data, seed))
    return summarise(courses, trials)


def pruning(open_setup: OpenSetup, data: Data, seeds: int, trials: int) -> list[dict[str, Any]]:
    """Two methods with every pruner; ``saved`` is the share of what they take with none."""
    courses: Courses = {}
    for seed in range(seeds):
        for name, changes in PRUNED.items():
            for pruner in PRUNERS:
                setup = open_setup(seed=seed, pruner=pruner, **changes)
                courses.setdefault(f"{name}, {pruner}", []).append(search(setup, data))
                print(seed, name, pruner, courses[f"{name}, {pruner}"][-1]["best"][-1], flush=True)
    rows = summarise(courses, trials)
    whole = {row["search"]: row for row in rows}
    for row in rows:
        other = whole[row["search"].rpartition(", ")[0] + ", none"]
        for what in ("folds_trained", "training_seconds"):
            row[f"{what}_saved"] = 1 - row[what] / other[what]
    return rows


def main() -> None:
    """Run the parts that are named, or all, and keep their figures beside the others'."""
    parts = {"methods": methods, "pruning": pruning}
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("parts", nargs="*", choices=[*parts, []], help="default: all")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--trials", type=int, default=30)
    options = parser.parse_args()
    torch.set_num_threads(1)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    results = json.loads(RESULT.read_text(encoding="utf-8")) if RESULT.exists() else {}
    with TemporaryDirectory() as folder:
        root = Path(folder)
        data = make_workspace(root)
        workspace = Workspace.open(root)
        training = read_training(workspace)
        default = TuneSection.model_validate(
            {"space": SPACE, "trials": options.trials, "pruner": "none", "storage": "sqlite://"}
        )

        def open_setup(**changes: Any) -> Setup:
            return set_up(workspace, training, default.model_copy(update=changes))

        for name in options.parts or parts:
            results[name] = {
                "machine": platform.processor() or platform.machine(),
                "cores": os.cpu_count(),
                "seeds": options.seeds,
                "searches": parts[name](open_setup, data, options.seeds, options.trials),
            }
            RESULT.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
            for row in results[name]["searches"]:
                print(row)


if __name__ == "__main__":
    main()
