"""Do the intervals hold what they promise? Synthetic problems whose true score is known.

In each problem the harness chooses an ensemble, which is then scored on fresh rows. An interval of
95 % should hold the fresh score in 95 % of the problems.

``random``: 500 to 20,000 rows, 5 to 30 members, each as good as it happens to be, 100,000 fresh
rows. ``equals``: six nearly equal members, where luck decides which looks best; cells of four
metrics at 500 and at 2,000 rows, 40,000 fresh rows. ``plans``: the same cells, plans for 35 % and
65 % of the seconds that all six members take.

    nested                  choice made without each fold, and the fresh rows' own sampling error
    nested_expected         the same without the fresh rows' sampling error
    nested_without_choice   the chosen method's own row of the table: its luck in being chosen stays
    in_sample               the method that looks best on the rows it was fitted on, with that score
    mean                    the plain mean, which fits and chooses nothing: its optimism is the
                            chance of these problems

    honest                  plans: the selection made without each fold
    flattering              plans: nested blends, but the rows that chose the plan

    python benchmarks/honesty.py [random] [equals] [plans] [--problems 200] [--jobs 2]
"""

import argparse
import json
import math
import platform
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from zlib import crc32

import numpy as np

from harness.decision import Decision
from harness.metrics import get_metric
from harness.predict.plan import Costs
from harness.stack.decide import fit_decision, rule_for
from harness.stack.honest import Estimate, MethodScore, choose, evaluate, score_of_choice
from harness.stack.priced import Purchase
from harness.stack.problem import Problem
from harness.stack.resample import bootstrap_counts, scorer
from harness.stack.scored import Judge
from harness.stack.select import Selection

METHODS = ("best", "mean", "rank_mean", "vote", "weighted", "greedy", "logistic")
KINDS = ("nested", "nested_expected", "nested_without_choice", "in_sample", "mean")
RESULT = Path(__file__).parent / "results" / "honesty.json"
ROWS = (500, 2_000)
BUDGETS = (0.35, 0.65)
"""Of the seconds that all members take."""
TASKS = {
    "log_loss": ("multiclass", 3),
    "accuracy": ("multiclass", 3),
    "roc_auc": ("binary", 2),
    "quadratic_weighted_kappa": ("ordinal", 5),
}
"""Metrics of the cells → (task, classes)."""


class World:
    """A competition whose rows never run out: classes, and members with correlated errors."""

    fresh_rows = 100_000

    def __init__(self, seed: int, metric: str | None = None) -> None:
        draw = np.random.default_rng([seed, 1])
        self.seed, self.entropy = seed, (seed, 2)
        self.rows = round(math.exp(draw.uniform(math.log(500), math.log(20_000))))
        self.members = int(draw.integers(5, 31))
        self.classes = int(draw.choice([2, 3, 5]))
        self.task = "binary" if self.classes == 2 else "multiclass"
        self.metric = metric or ("log_loss", "accuracy", "roc_auc", "brier")[seed % 4]
        self.signal = draw.uniform(0.5, 2.5)
        self.shared_noise = draw.uniform(0.2, 1.5)
        self.own_noise = draw.uniform(0.2, 1.5, self.members)
        self.sharpness = draw.uniform(0.5, 2.0, self.members)
        # of one metric alone, on classes of unequal size: where decision rules matter
        self.bias = np.linspace(0, 3, self.classes) if metric else np.zeros(self.classes)

    def sample(self, rows: int, stream: int) -> tuple[np.ndarray, np.ndarray]:
        """(members, rows, classes) predictions and (rows,) truth."""
        draw = np.random.default_rng([*self.entropy, stream])
        # a class's own evidence each, or a place on the scale of an ordinal task
        shape = (rows, 1 if self.task == "ordinal" else self.classes)
        signal = self.signal * draw.standard_normal(shape, dtype=np.float32)
        logits = self._logits(signal)
        truth = (logits + draw.gumbel(size=logits.shape)).argmax(axis=1)
        signal += self.shared_noise * draw.standard_normal(shape, dtype=np.float32)
        predictions = np.empty((self.members, rows, self.classes), dtype=np.float32)
        for i, member in enumerate(predictions):
            own = self.own_noise[i] * draw.standard_normal(shape, dtype=np.float32)
            member[:] = self.sharpness[i] * self._logits(signal + own)
            member -= member.max(axis=1, keepdims=True)
            np.exp(member, out=member)
            member /= member.sum(axis=1, keepdims=True)
        return predictions, truth

    def _logits(self, signal: np.ndarray) -> np.ndarray:
        if self.task == "ordinal":
            signal = -((signal + self.classes // 2 - np.arange(self.classes)) ** 2)
        return signal + self.bias.astype(np.float32)

    def problem(self) -> Problem:
        predictions, truth = self.sample(self.rows, 0)
        return Problem(
            names=tuple(f"member {i}" for i in range(self.members)),
            predictions=predictions,
            truth=truth,
            folds=np.arange(self.rows) % 5,
            task=self.task,
            metric=get_metric(self.metric),
        )


class Equals(World):
    """Six nearly equal members: which of them looks best is luck, and a mean is hard to beat."""

    fresh_rows = 40_000

    def __init__(self, seed: int, metric: str, rows: int) -> None:
        # cells share no random numbers, so that they err independently
        self.seed, self.entropy = seed, (seed, crc32(metric.encode()), rows)
        draw = np.random.default_rng(self.entropy)
        self.metric, self.rows, self.members = metric, rows, 6
        self.task, self.classes = TASKS[metric]
        self.signal = draw.uniform(1.2, 1.6)
        self.shared_noise = draw.uniform(0.5, 0.8)
        self.own_noise = draw.uniform(0.7, 0.8, self.members)
        self.sharpness = draw.uniform(0.7, 1.3, self.members)
        self.bias = np.linspace(0, 1, self.classes)


def in_sample_interval(problem: Problem, score: MethodScore, samples: int) -> Estimate:
    """What fitting and scoring on the same rows would claim."""
    predictions = score.decision.apply(score.blend.apply(problem.predictions))
    of_counts = scorer(problem.metric, problem.truth, predictions)
    blocks = bootstrap_counts(len(problem.truth), None, samples, 0)
    drawn = np.concatenate([of_counts(counts) for counts in blocks])
    low, high = np.nanquantile(drawn, [0.025, 0.975])
    return Estimate(score.in_sample, float(low), float(high))


def held(interval: Estimate, fresh: float, sign: int) -> dict[str, object]:
    """Return whether the interval holds the fresh score, and its optimism in standard errors."""
    return {
        "fresh": fresh,
        "value": interval.value,
        "low": interval.low,
        "high": interval.high,
        "covers": interval.low <= fresh <= interval.high,
        "optimism": sign * (interval.value - fresh) / (interval.high - interval.low) * 3.92,
    }


def trial(world: World, methods: tuple[str, ...], samples: int) -> dict[str, object]:
    """One problem's record: each of KINDS as ``held`` has it, and the fresh scores of others.

    ``fresh`` has the scores on fresh rows of the best single member, of the mean, and of the
    method that looks best (``argmax``).
    """
    problem = world.problem()
    scores = evaluate(problem, methods, seed=world.seed, bootstrap=samples)
    chosen = choose(scores)
    sign = 1 if problem.metric.greater_is_better else -1
    naive = max(scores, key=lambda score: sign * score.in_sample)
    predictions, truth = world.sample(world.fresh_rows, 1)

    def fresh(score: MethodScore) -> float:
        decided = score.decision.apply(score.blend.apply(predictions))
        return problem.metric.score(truth, decided)

    believed = score_of_choice(problem, scores, seed=world.seed)
    by_name = {score.method: score for score in scores}
    return {
        "rows": world.rows,
        "members": world.members,
        "classes": world.classes,
        "metric": world.metric,
        "sign": sign,
        "method": chosen.method,
        "naive": naive.method,
        "nested": held(believed.for_new_rows(world.rows, world.fresh_rows), fresh(chosen), sign),
        "nested_expected": held(believed, fresh(chosen), sign),
        "nested_without_choice": held(chosen.nested, fresh(chosen), sign),
        "in_sample": held(in_sample_interval(problem, naive, samples), fresh(naive), sign),
        "mean": held(
            by_name["mean"].nested.for_new_rows(world.rows, world.fresh_rows),
            fresh(by_name["mean"]),
            sign,
        ),
        "fresh": {
            "best": fresh(by_name["best"]),
            "mean": fresh(by_name["mean"]),
            "argmax": fresh(max(scores, key=lambda score: sign * score.nested.value)),
        },
    }


def plan_trial(world: World, budgets: tuple[float, ...] = BUDGETS) -> dict[str, object]:
    """One problem's record: for each budget the plan as ``held`` has it, and the mean's gain.

    ``gain_over_mean`` is over the plain mean of the fastest members, as many as the budget pays
    for, on fresh rows, in the plan's standard errors.
    """
    problem = world.problem()
    draw = np.random.default_rng([world.seed, 4])
    seconds = draw.uniform(0.8, 1.2, world.members)
    purchases = [
        Purchase(name, "any", 64, 1, False, 0.5, 0.02 * float(each), {1: name})
        for name, each in zip(problem.names, seconds, strict=True)
    ]
    selection = Selection(problem, purchases, Costs(2.0, 0.1, ((64, 0.001),)), 1000)
    rule = rule_for(problem)
    judge = Judge(selection, rule)
    base = selection.costs.base
    limits = [base + share * (selection.prices.of_all(selection.first) - base) for share in budgets]
    cascades = [selection.cascade(limit) for limit in limits]
    believed, _ = judge.scores(cascades)
    predictions, truth = world.sample(world.fresh_rows, 1)
    sign = 1 if problem.metric.greater_is_better else -1
    everything = np.arange(world.rows, dtype=np.intp)
    record: dict[str, object] = {"sign": sign}
    for share, limit, cascade, score in zip(budgets, limits, cascades, believed, strict=True):
        fresh = problem.metric.score(
            truth, score.decision.apply(selection.applied(cascade, predictions))
        )
        own = score.decision.apply(selection.predictions(cascade))
        spread = 1.96 * score.error
        flattering = problem.metric.score(problem.truth, own)
        fitting: list[int] = []
        for i in np.argsort(seconds):
            if selection.prices.of_all([*fitting, int(i)]) <= limit:
                fitting.append(int(i))
        plain = problem.predictions[fitting].mean(axis=0)
        decision = Decision() if rule is None else fit_decision(problem, plain, rule, 0, everything)
        mean = problem.metric.score(truth, decision.apply(predictions[fitting].mean(axis=0)))
        record[f"{share:.0%}"] = {
            "honest": held(
                Estimate(score.score, score.score - spread, score.score + spread), fresh, sign
            ),
            "flattering": held(
                Estimate(flattering, flattering - spread, flattering + spread), fresh, sign
            ),
            "gain_over_mean": sign * (fresh - mean) / score.error,
        }
    return record


def report_plans(trials: list[dict]) -> dict[str, object]:
    """Coverage, optimism and gain of the plans at each budget."""
    summary: dict[str, object] = {"problems": len(trials)}
    for budget in [f"{share:.0%}" for share in BUDGETS]:
        found = [trial[budget] for trial in trials]
        summary[budget] = {
            kind: {
                "coverage": float(np.mean([one[kind]["covers"] for one in found])),
                "mean_optimism_in_standard_errors": float(
                    np.mean([one[kind]["optimism"] for one in found])
                ),
            }
            for kind in ("honest", "flattering")
        } | {"gain_over_mean": float(np.mean([one["gain_over_mean"] for one in found]))}
    return summary


def report(trials: list[dict]) -> dict[str, object]:
    """Coverage and optimism of each kind, and what the chosen gains over other choices.

    Optimism and gains are in standard errors of the chosen ensemble's score.
    """
    summary: dict[str, object] = {"problems": len(trials)}
    for kind in KINDS:
        summary[kind] = {
            "coverage": float(np.mean([trial[kind]["covers"] for trial in trials])),
            "mean_optimism_in_standard_errors": float(
                np.mean([trial[kind]["optimism"] for trial in trials])
            ),
        }
    for other in ("best", "mean", "argmax"):
        gains = [_gain(trial, other) for trial in trials]
        summary[f"gain_over_{other}"] = float(np.mean(gains))
    return summary


def _gain(trial: dict, other: str) -> float:
    chosen = trial["nested_expected"]
    gain = trial["sign"] * (chosen["fresh"] - trial["fresh"][other])
    return gain / (chosen["high"] - chosen["low"]) * 3.92


def run(worlds: Iterable[World], of_world: Callable[[World], dict], jobs: int) -> list[dict]:
    """The worlds' records, in ``jobs`` processes."""
    with ProcessPoolExecutor(jobs) as pool:
        return list(pool.map(of_world, worlds))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sections", nargs="*", help="random, equals, plans; all if not said")
    parser.add_argument("--problems", type=int, help="200; of equals 100 a cell")
    parser.add_argument("--first", type=int, default=0, help="seed of the first problem")
    parser.add_argument("--bootstrap", type=int, default=1000)
    parser.add_argument("--metric", help="this one alone; random: on classes of unequal size")
    parser.add_argument("--methods", default=",".join(METHODS))
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--result", type=Path, default=RESULT)
    options = parser.parse_args()
    methods = tuple(options.methods.split(","))
    of_world = partial(trial, methods=methods, samples=options.bootstrap)
    for section in options.sections or ("random", "equals", "plans"):
        started = time.perf_counter()
        summary: dict[str, object] = {}
        if section == "random":
            seeds = range(options.first, options.first + (options.problems or 200))
            worlds = [World(seed, options.metric) for seed in seeds]
            summary = report(run(worlds, of_world, options.jobs))
            print(json.dumps(summary), flush=True)
        else:
            seeds = range(options.first, options.first + (options.problems or 100))
            for metric, rows in cells([options.metric] if options.metric else TASKS):
                worlds = [Equals(seed, metric, rows) for seed in seeds]
                if section == "plans":
                    cell = report_plans(run(worlds, plan_trial, options.jobs))
                else:
                    cell = report(run(worlds, of_world, options.jobs))
                summary[f"{metric}, {rows} rows"] = cell
                print(metric, rows, json.dumps(cell), flush=True)
        summary["seconds"] = round(time.perf_counter() - started, 1)
        summary["methods"] = list(methods)
        summary["machine"] = f"{platform.processor() or platform.machine()}, numpy {np.__version__}"
        results = json.loads(options.result.read_text()) if options.result.exists() else {}
        options.result.parent.mkdir(exist_ok=True)
        options.result.write_text(json.dumps({**results, section: summary}, indent=1) + "\n")


def cells(metrics: Iterable[str]) -> list[tuple[str, int]]:
    """(metric, rows) of every cell."""
    return [(metric, rows) for metric in metrics for rows in ROWS]


if __name__ == "__main__":
    main()
