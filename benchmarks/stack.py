"""How fast are the ensembles, and do they lose anything for it?

    weighted   20 members x 100,000 rows x 10 classes, log loss, against 200 EM updates
    greedy     25 steps on log loss and on accuracy, against AutoGluon's own code if it is there
    table      every default method by nested cross-validation on the same problem
    large      100 members x 1,000,000 rows x 5 classes from a memory map, with its peak memory

    python benchmarks/stack.py [--only weighted,greedy,table,large]

AutoGluon is not a dependency: in an environment that also has ``autogluon.core`` its selection is
timed on the same data, else the ratio is left out.
"""

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from harness.metrics import get_metric
from harness.stack.honest import choose, evaluate
from harness.stack.objective import objective_for, true_probability
from harness.stack.problem import Problem
from harness.stack.simplex import log_optimum
from harness.stack.weights import greedy

RESULT = Path(__file__).parent / "results" / "stack.json"
METHODS = ("best", "mean", "rank_mean", "vote", "weighted", "logistic", "lightgbm")


def make(
    members: int, rows: int, classes: int, metric: str, predictions: np.ndarray | None = None
) -> Problem:
    """Members of unequal quality whose errors are correlated; written into ``predictions``."""
    draw = np.random.default_rng(0)
    if predictions is None:
        predictions = np.empty((members, rows, classes), dtype=np.float32)
    shape = (rows, classes)
    signal = 2 * draw.standard_normal(shape, dtype=np.float32)
    truth = (1.5 * signal + draw.gumbel(size=shape)).argmax(axis=1)
    signal += 0.7 * draw.standard_normal(shape, dtype=np.float32)
    for member in predictions:
        noise = np.float32(draw.uniform(0.3, 1.5)) * draw.standard_normal(shape, dtype=np.float32)
        np.exp(np.float32(draw.uniform(0.5, 1.5)) * (signal + noise), out=noise)
        member[:] = noise / noise.sum(axis=1, keepdims=True)
    return Problem(
        names=tuple(f"member {i}" for i in range(members)),
        predictions=predictions,
        truth=truth,
        folds=np.arange(rows) % 5,
        task="multiclass",
        metric=get_metric(metric),
    )


def timed(work: Callable[[], object], repeats: int = 5) -> tuple[object, dict[str, float]]:
    """The result, and the median and spread of the seconds it took."""
    seconds = []
    for _ in range(repeats):
        started = time.perf_counter()
        result = work()
        seconds.append(time.perf_counter() - started)
    return result, {
        "seconds": round(statistics.median(seconds), 3),
        "least": round(min(seconds), 3),
        "most": round(max(seconds), 3),
    }


def em_updates(likelihood: np.ndarray, updates: int) -> np.ndarray:
    """The textbook fit of mixture weights: multiply each by its mean responsibility."""
    weights = np.full(len(likelihood), 1 / len(likelihood), dtype=likelihood.dtype)
    for _ in range(updates):
        weights *= likelihood @ (1 / (weights @ likelihood)) / likelihood.shape[1]
    return weights


def weighted() -> dict[str, object]:
    problem = make(20, 100_000, 10, "log_loss")
    rows = np.arange(len(problem.truth))
    optimum, ours = timed(lambda: log_optimum(true_probability(problem, rows)))
    reference, theirs = timed(lambda: em_updates(true_probability(problem, rows), 200), 3)
    return {
        "ours": ours | {"loss": exact_loss(problem, optimum)},
        "em_200": theirs | {"loss": exact_loss(problem, reference)},
        "speedup": round(theirs["seconds"] / ours["seconds"], 1),
    }


def exact_loss(problem: Problem, weights: np.ndarray) -> float:
    mixture = np.tensordot(weights.astype(np.float64), problem.predictions, 1)
    return problem.metric.loss(problem.truth, mixture)


def greedy_selection() -> dict[str, object]:
    found: dict[str, object] = {}
    for metric in ("log_loss", "accuracy"):
        problem = make(20, 100_000, 10, metric)
        rows = np.arange(len(problem.truth))

        def ours(problem: Problem = problem, rows: np.ndarray = rows) -> np.ndarray:
            members = np.arange(len(problem.names))
            return greedy(objective_for(problem, rows), members, 20, steps=25, patience=None)

        weights, seconds = timed(ours, 3)
        record: dict[str, object] = {"ours": seconds | {"loss": exact_loss(problem, weights)}}
        try:
            theirs, seconds = timed(lambda problem=problem: autogluon(problem), 1)
        except ImportError:
            record["autogluon"] = "not installed"
        else:
            record["autogluon"] = seconds | {"loss": exact_loss(problem, theirs)}
            record["speedup"] = round(seconds["seconds"] / record["ours"]["seconds"], 1)
        found[metric] = record
    return found


def autogluon(problem: Problem) -> np.ndarray:
    """The weights that AutoGluon's own greedy selection finds in 25 steps."""
    from autogluon.core.metrics import get_metric as get_autogluon_metric
    from autogluon.core.models.greedy_ensemble.ensemble_selection import EnsembleSelection

    selection = EnsembleSelection(
        ensemble_size=25,
        problem_type="multiclass",
        metric=get_autogluon_metric(problem.metric.name, "multiclass"),
    )
    selection.fit(list(problem.predictions), problem.truth)
    return np.asarray(selection.weights_)


def table() -> dict[str, object]:
    problem = make(20, 100_000, 10, "log_loss")
    started = time.perf_counter()
    scores = evaluate(problem, METHODS, seed=0)
    seconds = time.perf_counter() - started
    return {
        "seconds": round(seconds, 1),
        "chosen": choose(scores).method,
        "methods": {
            score.method: {
                "nested": round(score.nested.value, 5),
                "seconds": round(score.seconds, 2),
            }
            for score in scores
        },
    }


def large() -> dict[str, object]:
    """In a process of its own, so that the peak is that of this work."""
    done = subprocess.run(
        [sys.executable, __file__, "--large-here"], check=True, capture_output=True, text=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def large_here() -> dict[str, object]:
    with tempfile.TemporaryDirectory() as folder:
        cube = np.memmap(Path(folder) / "cube", np.float32, "w+", shape=(100, 1_000_000, 5))
        problem = make(100, 1_000_000, 5, "log_loss", cube)
        started = time.perf_counter()
        scores = evaluate(problem, METHODS, seed=0)
        return {
            "seconds": round(time.perf_counter() - started, 1),
            "peak_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 2),
            "methods": {score.method: round(score.seconds, 1) for score in scores},
            "chosen": choose(scores).method,
        }


def machine() -> dict[str, object]:
    return {
        "processors": os.cpu_count(),
        "architecture": platform.machine(),
        "load": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "numpy": np.__version__,
    }


PARTS = {"weighted": weighted, "greedy": greedy_selection, "table": table, "large": large}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default=",".join(PARTS))
    parser.add_argument("--large-here", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--result", type=Path, default=RESULT)
    options = parser.parse_args()
    if options.large_here:
        print(json.dumps(large_here()))
        return
    summary = json.loads(options.result.read_text()) if options.result.exists() else {}
    for part in options.only.split(","):
        summary[part] = PARTS[part]() | {"machine": machine()}
        print(part, json.dumps(summary[part], indent=1), flush=True)
    options.result.parent.mkdir(exist_ok=True)
    options.result.write_text(json.dumps(summary, indent=1) + "\n")


if __name__ == "__main__":
    main()
