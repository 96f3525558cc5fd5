"""The decision rule that suits a metric, fitted on out-of-fold predictions. Pure.

Accuracy wants the most probable class; F1, kappa and balanced accuracy do not. What they want
instead is searched here: weights of classes, thresholds of labels, cut points on an order.
"""

from collections.abc import Callable, Sequence

import numpy as np

from harness.decision import Decision, Rule
from harness.stack.inner import thinned
from harness.stack.problem import Array, Problem, Rows
from harness.stack.resample import scorer

SEARCH_ROWS = 10_000
MOST_SEARCHED = 32
"""Classes or labels up to which each gets a number of its own; more get what one number makes."""
ORDER_BLIND = ("accuracy", "balanced_accuracy", "f1", "f1_macro", "f1_micro", "mcc")
"""Metrics to which a wrong class is wrong however near it is."""
STEPS = (1.0, 0.5, 0.25, 0.1)
"""Of a weight's or a threshold's logarithm (of the odds); cut points take half of them."""

Make = Callable[[Array], Decision]


def plain_decision(problem: Problem, *, at_least_one: bool = False) -> Decision:
    """What is done in any case: labels from one half on, values within the training range.

    ``at_least_one``: rows must not go without a label.
    """
    if problem.kind == "values":
        return Decision("range", (float(problem.truth.min()), float(problem.truth.max())))
    if problem.kind == "labels" and problem.metric.needs == "labels":
        return Decision("thresholds", (0.5,) * problem.predictions.shape[2], at_least_one)
    return Decision()


def rule_for(problem: Problem) -> Rule | None:
    """The rule that may serve the metric; None where it does not look at decisions.

    The probabilistic F1 does, in disguise: certain answers score better than honest ones.
    """
    if problem.metric.needs != "labels" and problem.metric.name != "pf1":
        return None
    if problem.kind == "labels":
        return "thresholds"
    distance_matters = problem.task == "ordinal" and problem.metric.name not in ORDER_BLIND
    return "cut_points" if distance_matters else "class_weights"


def fit_decisions(
    problem: Problem, predictions: Array, rule: Rule, seed: int, *, at_least_one: bool = False
) -> tuple[Decision, tuple[Decision, ...]]:
    """The rule fitted on all rows, and for each fold (ascending) on the others.

    ``predictions`` (rows, targets) are nested: no row's own label is in them.
    """
    everything = np.arange(len(problem.folds), dtype=np.intp)

    def fit(rows: Rows) -> Decision:
        rows = thinned(rows, SEARCH_ROWS, seed)
        return _fit(problem, predictions[rows], rows, rule, at_least_one)

    folds = problem.fold_numbers(slice(None))
    return fit(everything), tuple(fit(everything[problem.folds != fold]) for fold in folds)


def decide_nested(problem: Problem, predictions: Array, by_fold: Sequence[Decision]) -> Array:
    """Every fold's predictions decided by its own rule; ``by_fold`` is in the folds' order."""
    decided = np.empty(predictions.shape)
    for fold, decision in zip(problem.fold_numbers(slice(None)), by_fold, strict=True):
        rows = problem.folds == fold
        decided[rows] = decision.apply(predictions[rows])
    return decided


def _fit(
    problem: Problem, predictions: Array, rows: Rows, rule: Rule, at_least_one: bool
) -> Decision:
    truth, metric = problem.truth[rows], problem.metric
    once = np.ones((1, len(rows)), dtype=np.float32)
    sign = -1 if metric.greater_is_better else 1
    starts, make, steps = _family(rule, truth, predictions, at_least_one)

    def loss(parameters: Array) -> float:
        decided = make(parameters).apply(predictions)
        return sign * float(scorer(metric, truth, decided)(once)[0])

    start = min(starts, key=loss)
    searched = range(len(start)) if len(start) <= MOST_SEARCHED else ()
    return make(_search(loss, start, searched, steps))


def _family(
    rule: Rule, truth: Array, predictions: Array, at_least_one: bool
) -> tuple[list[Array], Make, tuple[float, ...]]:
    """(where the search starts, parameters → decision, its steps)."""
    targets = predictions.shape[1]
    if rule == "thresholds":
        common = [np.full(targets, odds) for odds in (0.0, -2.0, -1.5, -1.0, -0.5, 0.5)]
        return common, lambda p: Decision(rule, _plain(1 / (1 + np.exp(-p))), at_least_one), STEPS
    share = (np.bincount(truth, minlength=targets) + 0.5) / (len(truth) + 0.5 * targets)
    if rule == "cut_points":
        rounded = np.arange(targets - 1) + 0.5
        expected = predictions @ np.arange(targets)
        as_often = np.quantile(expected, np.cumsum(share)[:-1].clip(0, 1))
        half = tuple(step / 2 for step in STEPS)
        return [rounded, as_often], lambda p: Decision(rule, _plain(np.sort(p))), half
    # a class as rare as it may be gets a weight of 1 / share (Menon et al. 2021: logit adjustment)
    adjusted = [-power * np.log(share) for power in (0.0, 0.25, 0.5, 0.75, 1.0)]
    return adjusted, lambda p: Decision(rule, _plain(np.exp(p - p.mean()))), STEPS


def _search(
    loss: Callable[[Array], float],
    start: Array,
    searched: Sequence[int],
    steps: Sequence[float],
) -> Array:
    """A coordinate search in shrinking steps: decisions change in jumps, so there is no slope."""
    found, least = start, loss(start)
    for step in steps:
        improved = True
        while improved:
            improved = False
            for place in searched:
                for change in (step, -step):
                    trial = found.copy()
                    trial[place] += change
                    new = loss(trial)
                    if new < least:
                        found, least, improved = trial, new, True
    return found


def _plain(numbers: Array) -> tuple[float, ...]:
    return tuple(float(number) for number in numbers)
