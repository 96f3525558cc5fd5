"""Do the intervals hold what they promise? Synthetic problems whose true score is known.

Each problem draws 500 to 20,000 rows and 5 to 30 members with correlated errors, lets the
harness choose an ensemble, and scores that ensemble on 100,000 fresh rows. An interval of 95 %
should hold the fresh score in 95 % of the problems.

    nested                  choice made without each fold, and the fresh rows' own sampling error
    nested_expected         the same without the fresh rows' sampling error
    nested_without_choice   the chosen method's own row of the table: its luck in being chosen stays
    in_sample               the method that looks best on the rows it was fitted on, with that score

    python benchmarks/honesty.py [--problems 200] [--methods best,mean,…]
"""

import argparse
import json
import math
import platform
import time
from pathlib import Path

import numpy as np

from harness.metrics import get_metric
from harness.stack.honest import Estimate, MethodScore, choose, evaluate, score_of_choice
from harness.stack.problem import Problem
from harness.stack.resample import bootstrap_counts, scorer

FRESH_ROWS = 100_000
METHODS = ("best", "mean", "rank_mean", "vote", "weighted", "greedy", "logistic")
KINDS = ("nested", "nested_expected", "nested_without_choice", "in_sample")
RESULT = Path(__file__).parent / "results" / "honesty.json"


class World:
    """A competition whose rows never run out: classes, and members with correlated errors."""

    def __init__(self, seed: int, metric: str | None) -> None:
        draw = np.random.default_rng([seed, 1])
        self.seed = seed
        self.rows = round(math.exp(draw.uniform(math.log(500), math.log(20_000))))
        self.members = int(draw.integers(5, 31))
        self.classes = int(draw.choice([2, 3, 5]))
        self.metric = metric or ("log_loss", "accuracy", "roc_auc", "brier")[seed % 4]
        self.signal = draw.uniform(0.5, 2.5)
        self.shared_noise = draw.uniform(0.2, 1.5)
        self.own_noise = draw.uniform(0.2, 1.5, self.members)
        self.sharpness = draw.uniform(0.5, 2.0, self.members)
        # of one metric alone, on classes of unequal size: where decision rules matter
        self.bias = np.linspace(0, 3, self.classes) if metric else np.zeros(self.classes)

    def sample(self, rows: int, stream: int) -> tuple[np.ndarray, np.ndarray]:
        """(members, rows, classes) predictions and (rows,) truth."""
        draw = np.random.default_rng([self.seed, 2, stream])
        shape = (rows, self.classes)
        signal = self.signal * draw.standard_normal(shape, dtype=np.float32)
        signal += self.bias.astype(np.float32)
        truth = (signal + draw.gumbel(size=shape)).argmax(axis=1)
        signal += self.shared_noise * draw.standard_normal(shape, dtype=np.float32)
        predictions = np.empty((self.members, *shape), dtype=np.float32)
        for i, member in enumerate(predictions):
            member[:] = signal + self.own_noise[i] * draw.standard_normal(shape, dtype=np.float32)
            member *= self.sharpness[i]
            member -= member.max(axis=1, keepdims=True)
            np.exp(member, out=member)
            member /= member.sum(axis=1, keepdims=True)
        return predictions, truth

    def problem(self) -> Problem:
        predictions, truth = self.sample(self.rows, 0)
        return Problem(
            names=tuple(f"member {i}" for i in range(self.members)),
            predictions=predictions,
            truth=truth,
            folds=np.arange(self.rows) % 5,
            task="binary" if self.classes == 2 else "multiclass",
            metric=get_metric(self.metric),
        )


def in_sample_interval(problem: Problem, score: MethodScore, samples: int) -> Estimate:
    """What fitting and scoring on the same rows would claim."""
    predictions = score.decision.apply(score.blend.apply(problem.predictions))
    of_counts = scorer(problem.metric, problem.truth, predictions)
    blocks = bootstrap_counts(len(problem.truth), None, samples, 0)
    drawn = np.concatenate([of_counts(counts) for counts in blocks])
    low, high = np.nanquantile(drawn, [0.025, 0.975])
    return Estimate(score.in_sample, float(low), float(high))


def trial(
    seed: int, methods: tuple[str, ...], samples: int, metric: str | None
) -> dict[str, object]:
    world = World(seed, metric)
    problem = world.problem()
    scores = evaluate(problem, methods, seed=seed, bootstrap=samples)
    chosen = choose(scores)
    sign = 1 if problem.metric.greater_is_better else -1
    naive = max(scores, key=lambda score: sign * score.in_sample)
    predictions, truth = world.sample(FRESH_ROWS, 1)
    record: dict[str, object] = {
        "rows": world.rows,
        "members": world.members,
        "classes": world.classes,
        "metric": world.metric,
        "method": chosen.method,
        "naive": naive.method,
    }
    chosen_interval = score_of_choice(problem, scores, seed=seed)
    for kind, score, interval in (
        ("nested", chosen, chosen_interval.for_new_rows(world.rows, FRESH_ROWS)),
        ("nested_expected", chosen, chosen_interval),
        ("nested_without_choice", chosen, chosen.nested),
        ("in_sample", naive, in_sample_interval(problem, naive, samples)),
    ):
        decided = score.decision.apply(score.blend.apply(predictions))
        fresh = problem.metric.score(truth, decided)
        record[kind] = {
            "fresh": fresh,
            "value": interval.value,
            "low": interval.low,
            "high": interval.high,
            "covers": interval.low <= fresh <= interval.high,
            "optimism": sign * (interval.value - fresh) / (interval.high - interval.low) * 3.92,
        }
    return record


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--problems", type=int, default=200)
    parser.add_argument("--first", type=int, default=0, help="seed of the first problem")
    parser.add_argument("--bootstrap", type=int, default=1000)
    parser.add_argument("--metric", help="this one alone, on classes of unequal size")
    parser.add_argument("--methods", default=",".join(METHODS))
    parser.add_argument("--result", type=Path, default=RESULT)
    options = parser.parse_args()
    methods = tuple(options.methods.split(","))
    started = time.perf_counter()
    trials = []
    for seed in range(options.first, options.first + options.problems):
        trials.append(trial(seed, methods, options.bootstrap, options.metric))
        if len(trials) % 20 == 0:
            report(trials)
    summary = report(trials)
    summary["seconds"] = round(time.perf_counter() - started, 1)
    summary["methods"] = list(methods)
    summary["machine"] = f"{platform.processor() or platform.machine()}, numpy {np.__version__}"
    options.result.parent.mkdir(exist_ok=True)
    options.result.write_text(json.dumps(summary, indent=1) + "\n")


def report(trials: list[dict]) -> dict[str, object]:
    summary: dict[str, object] = {"problems": len(trials)}
    for kind in KINDS:
        covers = np.array([trial[kind]["covers"] for trial in trials])
        optimism = np.array([trial[kind]["optimism"] for trial in trials])
        summary[kind] = {
            "coverage": float(covers.mean()),
            "mean_optimism_in_standard_errors": float(optimism.mean()),
        }
    print(json.dumps(summary), flush=True)
    return summary


if __name__ == "__main__":
    main()
