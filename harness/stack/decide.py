"""The decision rule that suits a metric, fitted on out-of-fold predictions. Pure.

Accuracy wants the most probable class; F1, kappa and balanced accuracy do not. What they want
instead is searched here: weights of classes, thresholds of labels, cut points on an order.
"""

from collections.abc import Callable, Sequence

import numpy as np

from harness.decision import Decision, Rule
from harness.predict.plan import Kind
from harness.stack.inner import thinned
from harness.stack.link import finish, to_logits
from harness.stack.problem import Array, Problem, Rows
from harness.stack.resample import CONFUSION_METRICS, Scorer, scorer

SEARCH_ROWS = 10_000
SEARCH_CELLS = 100_000
"""Rows, and rows times labels, that a search looks at, at most."""
MOST_SEARCHED = 32
"""Classes or labels up to which each gets a number of its own; more get what one number makes."""
ORDER_BLIND = ("accuracy", "balanced_accuracy", "f1", "f1_macro", "f1_micro", "mcc")
"""Metrics to which a wrong class is wrong however near it is."""
CHANGES = np.array([-1.0, -0.5, -0.25, -0.1, 0.1, 0.25, 0.5, 1.0])
"""What one move adds to a weight's logarithm or to a threshold's odds'; cut points get half."""
SWEEPS = 20
TOLERANCE = 1e-9

Along = Callable[[Array, int], Array]
"""Parameters and the place of one of them → the losses (changes,) of the moves there."""


def as_scored(kind: Kind, decision: Decision, predictions: Array) -> Array:
    """Return predictions (rows, targets) of a member or an average as a blend's are scored.

    No probability is zero, and the decision is applied.
    """
    return decision.apply(finish(kind, predictions))


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
    problem: Problem, predictions: Array, rule: Rule, seed: int
) -> tuple[Decision, tuple[Decision, ...]]:
    """The rule fitted on all rows, and for each fold (ascending) on the others.

    ``predictions`` (rows, targets) are nested: no row's own label is in them.
    """

    def fit(rows: Array) -> Decision:
        some = np.flatnonzero(rows)
        return fit_decision(problem, predictions, rule, seed, some)

    folds = problem.fold_numbers(slice(None))
    by_fold = tuple(fit(problem.folds != fold) for fold in folds)
    return fit(problem.folds >= 0), by_fold


def fit_decision(
    problem: Problem,
    predictions: Array,
    rule: Rule,
    seed: int,
    rows: Rows,
) -> Decision:
    """The rule fitted on these rows of nested ``predictions`` (all rows, targets)."""
    targets = predictions.shape[1]
    slow = rule == "thresholds" and targets <= MOST_SEARCHED
    most = min(SEARCH_ROWS, SEARCH_CELLS // targets) if slow else SEARCH_ROWS
    rows = thinned(rows, most, seed)
    return _fit(problem, predictions[rows], rows, rule)


def decide_nested(problem: Problem, predictions: Array, by_fold: Sequence[Decision]) -> Array:
    """Every fold's predictions decided by its own rule; ``by_fold`` is in the folds' order."""
    decided = np.empty(predictions.shape)
    for fold, decision in zip(problem.fold_numbers(slice(None)), by_fold, strict=True):
        rows = problem.folds == fold
        decided[rows] = decision.apply(predictions[rows])
    return decided


def _fit(problem: Problem, predictions: Array, rows: Rows, rule: Rule) -> Decision:
    truth, metric = problem.truth[rows], problem.metric
    once = np.ones((1, len(rows)), dtype=np.float32)
    sign = -1 if metric.greater_is_better else 1
    starts, decision = _family(rule, truth, predictions, problem.at_least_one)
    changes = CHANGES / 2 if rule == "cut_points" else CHANGES

    def loss(parameters: Array) -> float:
        decided = decision(parameters).apply(predictions)
        return sign * float(scorer(metric, truth, decided)(once)[0])

    def anew(parameters: Array, place: int) -> Array:
        moves = np.eye(len(parameters))[place] * changes[:, None]
        return np.array([loss(parameters + move) for move in moves])

    along: Along = anew
    if rule == "class_weights" and metric.name in CONFUSION_METRICS:
        along = _along_class(CONFUSION_METRICS[metric.name], sign, truth, predictions)
    start = min(starts, key=loss)
    searched = range(len(start)) if len(start) <= MOST_SEARCHED else range(0)
    return decision(_search(loss, along, start, searched, changes))


def _family(
    rule: Rule, truth: Array, predictions: Array, at_least_one: bool
) -> tuple[list[Array], Callable[[Array], Decision]]:
    """(where a search may start, parameters → decision)."""
    targets = predictions.shape[1]
    if rule == "thresholds":
        common = [np.full(targets, odds) for odds in (0.0, -2.0, -1.5, -1.0, -0.5, 0.5)]
        return common, lambda p: Decision(rule, _plain(1 / (1 + np.exp(-p))), at_least_one)
    share = (np.bincount(truth, minlength=targets) + 0.5) / (len(truth) + 0.5 * targets)
    if rule == "cut_points":
        rounded = np.arange(targets - 1) + 0.5
        expected = predictions @ np.arange(targets)
        as_often = np.quantile(expected, np.cumsum(share)[:-1].clip(0, 1))
        return [rounded, as_often], lambda p: Decision(rule, _plain(np.sort(p)))
    # a class as rare as it may be gets a weight of 1 / share (Menon et al. 2021: logit adjustment)
    adjusted = [-power * np.log(share) for power in (0.0, 0.25, 0.5, 0.75, 1.0)]
    return adjusted, lambda p: Decision(rule, _plain(np.exp(p - p.mean())))


def _search(
    loss: Callable[[Array], float], along: Along, start: Array, places: range, changes: Array
) -> Array:
    """One parameter at a time, by its best move, until none helps: decisions change in jumps, so
    there is no slope."""
    found, least = start.copy(), loss(start)
    for _ in range(SWEEPS):
        before = least
        for place in places:
            losses = along(found, place)
            best = int(losses.argmin())
            if losses[best] < least - TOLERANCE:
                found[place] += changes[best]
                least = float(losses[best])
        if least == before:
            break
    return found


def _along_class(of_tables: Scorer, sign: int, truth: Array, predictions: Array) -> Along:
    """As scoring every move anew, but a move of one class only asks where it beats the others."""
    rows, classes = predictions.shape
    logits = to_logits("classes", predictions)

    def along(parameters: Array, place: int) -> Array:
        moved = logits + parameters
        own = moved[:, place].copy()
        moved[:, place] = -np.inf
        other = moved.argmax(axis=1)
        lead = moved[np.arange(rows), other] - own
        codes = np.where(lead < CHANGES[:, None], place, other)
        cells = (np.arange(len(CHANGES))[:, None] * classes + truth) * classes + codes
        counts = np.bincount(cells.ravel(), minlength=len(CHANGES) * classes**2)
        return sign * of_tables(counts.reshape(-1, classes, classes).astype(np.float64))

    return along


def _plain(numbers: Array) -> tuple[float, ...]:
    return tuple(float(number) for number in numbers)
