"""The methods by name, from the simplest to the most complicated."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from harness.metrics import Metric
from harness.stack.blend import Blend, Committee, Layers
from harness.stack.booster import fit_booster
from harness.stack.calibration import fit_power
from harness.stack.inner import inner_splits
from harness.stack.linear import fit_logistic, fit_ridge
from harness.stack.objective import objective_for
from harness.stack.problem import Array, Problem, Rows, as_rows
from harness.stack.rules import Average, RankMean, Rule, Vote
from harness.stack.weights import fit_greedy, fit_weighted, surrogate_optimum

QUANTILES = 513
BAGS = 8
FIRST_LAYER = ("mean", "weighted", "logistic", "ridge", "lightgbm")


@dataclass(frozen=True)
class Method:
    """A way to combine members.

    ``rule`` (problem, rows, seed) sees those rows only. ``tasks`` and ``needs`` are the tasks and
    the kinds of metric that it makes sense for.
    """

    name: str
    rule: Callable[[Problem, Rows, int], Rule]
    tasks: frozenset[str]
    needs: frozenset[str] = frozenset({"probabilities", "ranks", "labels", "guesses", "values"})

    def applies(self, task: str, metric: Metric) -> bool:
        """Whether the method makes sense for the task and the metric."""
        return task in self.tasks and metric.needs in self.needs

    def fit(self, problem: Problem, rows: Array | slice, seed: int) -> Blend:
        """The blend fitted on ``rows`` (numbers, mask or slice) and on nothing else."""
        members, _, targets = problem.predictions.shape
        rule = self.rule(problem, as_rows(problem, rows), seed)
        return Blend(self.name, problem.task, members, targets, rule)


def nested_predictions(problem: Problem, method: Method, rows: Rows, seed: int) -> Array:
    """(rows, targets): each fold among ``rows`` predicted by a blend fitted on the others."""
    predictions = np.empty((len(rows), problem.predictions.shape[2]))
    for inside, outside in inner_splits(problem, rows):
        blend = method.fit(problem, rows[inside], seed)
        part = rows[outside]
        predictions[outside] = blend.apply(problem.predictions[:, part], problem.metadata_of(part))
    return predictions


def _best(problem: Problem, rows: Rows, seed: int) -> Rule:
    members = len(problem.names)
    alone = objective_for(problem, rows).losses(np.zeros(members), 1.0)
    return Average(_unit(members, min(problem.by_name(), key=lambda i: float(alone[i]))))


def _mean(problem: Problem, rows: Rows, seed: int) -> Rule:
    return Average(_equal(len(problem.names)))


def _geometric_mean(problem: Problem, rows: Rows, seed: int) -> Rule:
    return Average(_equal(len(problem.names)), "logit")


def _rank_mean(problem: Problem, rows: Rows, seed: int) -> Rule:
    positions = np.linspace(0, len(rows) - 1, min(QUANTILES, len(rows))).round().astype(np.intp)
    ordered = (np.sort(member[rows].T, axis=1) for member in problem.predictions)
    return RankMean(np.stack([columns[:, positions] for columns in ordered]).astype(np.float64))


def _vote(problem: Problem, rows: Rows, seed: int) -> Rule:
    return Vote(len(problem.names))


def _weighted(problem: Problem, rows: Rows, seed: int) -> Rule:
    return _average(fit_weighted(problem, rows, seed))


def _greedy(problem: Problem, rows: Rows, seed: int) -> Rule:
    return _average(fit_greedy(problem, rows, seed))


def _logistic(problem: Problem, rows: Rows, seed: int) -> Rule:
    return fit_logistic(problem, rows, seed)


def _temperature(problem: Problem, rows: Rows, seed: int) -> Rule:
    weights = _equal(len(problem.names))
    return Average(weights, power=fit_power(problem, rows, weights))


def _lightgbm(problem: Problem, rows: Rows, seed: int) -> Rule:
    return fit_booster(problem, rows, seed)


def _boosted(problem: Problem, rows: Rows, seed: int) -> Rule:
    return fit_booster(problem, rows, seed, _average(surrogate_optimum(problem, rows)))


def _bagged(method: Method) -> Method:
    def rule(problem: Problem, rows: Rows, seed: int) -> Rule:
        generator = np.random.default_rng(seed)
        units = rows if problem.groups is None else problem.groups[rows]
        known = np.unique(units)
        blends = []
        for bag in range(BAGS):
            # half without replacement does what a bootstrap does, on half the rows (Buja and
            # Stuetzle 2006), and leaves no row in two folds
            drawn = generator.permutation(known)[: max(1, len(known) // 2)]
            blends.append(method.fit(problem, rows[np.isin(units, drawn)], seed + bag))
        return Committee(tuple(blends))

    return Method(f"bagged_{method.name}", rule, method.tasks, method.needs)


def _two_layers(problem: Problem, rows: Rows, seed: int) -> Rule:
    methods = [
        METHODS[name] for name in FIRST_LAYER if METHODS[name].applies(problem.task, problem.metric)
    ]
    folds = np.empty(len(rows), dtype=np.int64)
    for number, (_, outside) in enumerate(inner_splits(problem, rows)):
        folds[outside] = number
    outputs = [nested_predictions(problem, method, rows, seed) for method in methods]
    layer = Problem(
        names=tuple(method.name for method in methods),
        predictions=np.stack(outputs).astype(np.float32),
        truth=problem.truth[rows],
        folds=folds,
        task=problem.task,
        metric=problem.metric,
    )
    second = METHODS["weighted"].fit(layer, slice(None), seed)
    return Layers(tuple(method.fit(problem, rows, seed) for method in methods), second)


def _ridge(problem: Problem, rows: Rows, seed: int) -> Rule:
    return fit_ridge(problem, rows)


def _average(weights: Array) -> Average:
    return Average(_plain(weights))


def _plain(numbers: Array) -> tuple[float, ...]:
    return tuple(float(number) for number in numbers)


def _equal(members: int) -> tuple[float, ...]:
    return (1 / members,) * members


def _unit(members: int, chosen: int) -> tuple[float, ...]:
    return tuple(float(i == chosen) for i in range(members))


_CLASSES = frozenset({"binary", "multiclass", "ordinal"})
_PROBABILITIES = _CLASSES | {"multilabel"}
_ALL = _PROBABILITIES | {"regression"}

_NOTHING_TO_BAG = ("mean", "geometric_mean", "vote")
_SINGLE = (
    Method("best", _best, _ALL),
    Method("mean", _mean, _ALL),
    Method("geometric_mean", _geometric_mean, _PROBABILITIES),
    Method("rank_mean", _rank_mean, _ALL),
    Method("vote", _vote, _PROBABILITIES),
    Method("temperature", _temperature, _PROBABILITIES, frozenset({"probabilities"})),
    Method("weighted", _weighted, _ALL),
    Method("greedy", _greedy, _ALL),
    Method("ridge", _ridge, _ALL),
    Method("logistic", _logistic, _PROBABILITIES),
    Method("lightgbm", _lightgbm, _ALL),
    Method("boosted", _boosted, _ALL),
)
METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        *_SINGLE,
        *(_bagged(method) for method in _SINGLE if method.name not in _NOTHING_TO_BAG),
        Method("two_layers", _two_layers, _ALL),
    )
}
"""In order of simplicity, which decides between methods that cannot be told apart."""
