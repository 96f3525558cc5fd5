"""Scores that can be believed: nested cross-validation, paired bootstrap, a rule for the winner."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from harness.decision import Decision
from harness.errors import ConfigError, nearest
from harness.estimate import Estimate
from harness.metrics import Metric
from harness.stack.blend import Blend
from harness.stack.decide import decide_nested, fit_decisions, plain_decision, rule_for
from harness.stack.methods import METHODS, Method, nested_predictions
from harness.stack.problem import Array, Problem
from harness.stack.resample import ROW_METRICS, bootstrap_scores

BASELINES = ("best", "mean")
CONFIDENCE = 0.95
NORMAL = 1.96
"""Standard errors from the middle to the end of a 95 % interval."""


@dataclass(frozen=True)
class MethodScore:
    """One method's row of the table.

    ``nested`` is scored on rows that nothing was fitted on, in the metric's own direction;
    ``in_sample`` on the rows it was fitted on. Differences are turned so that positive is better.
    ``behind`` is the distance from the best nested score (0 or more) and ``behind_error`` the
    standard error of that paired difference. ``indistinguishable_from`` names the other methods
    whose difference's interval includes zero. ``blend`` is fitted on all rows; ``predictions``
    (rows, targets) are the nested ones, as decided.

    A decision rule that was searched for makes a method of its own, such as "mean+thresholds".
    ``decision`` is fitted on all rows, ``fold_decisions`` (one a fold, ascending) on the others.
    """

    method: str
    nested: Estimate
    in_sample: float
    over_mean: Estimate
    over_best: Estimate
    behind: float
    behind_error: float
    indistinguishable_from: tuple[str, ...]
    seconds: float
    blend: Blend
    decision: Decision
    fold_decisions: tuple[Decision, ...]
    predictions: Array = field(repr=False, compare=False)


def evaluate(
    problem: Problem,
    methods: Sequence[str],
    *,
    seed: int,
    bootstrap: int = 1000,
    at_least_one: bool = False,
    progress: Callable[[str], None] | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> list[MethodScore]:
    """Score the methods by nested cross-validation, simplest first.

    "best" and "mean" are always among them, methods that do not apply are left out. ``progress``
    is told each method's name before its turn. ``at_least_one``: no row may go without a label.
    ConfigError names an unknown method.
    """
    fitted: list[_Fitted] = []
    for method in _applicable(problem, methods):
        if progress is not None:
            progress(method.name)
        fitted += _fit(problem, method, seed, at_least_one, clock)
    names = [one.name for one in fitted]
    nested = [one.predictions for one in fitted]
    whole, samples = bootstrap_scores(problem, nested, slice(None), bootstrap, seed)
    sign = 1 if problem.metric.greater_is_better else -1
    leader = int((sign * whole).argmax())

    def difference(one: int, other: int) -> Estimate:
        return estimate(
            sign * (whole[one] - whole[other]), sign * (samples[:, one] - samples[:, other])
        )

    scores = []
    for i, one in enumerate(fitted):
        in_sample = one.decision.apply(one.blend.apply(problem.predictions, problem.metadata))
        scores.append(
            MethodScore(
                method=names[i],
                nested=never_certain(
                    estimate(whole[i], samples[:, i]), problem.metric, problem.draws
                ),
                in_sample=problem.metric.score(problem.truth, in_sample),
                over_mean=difference(i, names.index("mean")),
                over_best=difference(i, names.index("best")),
                behind=float(abs(whole[leader] - whole[i])),
                behind_error=float(np.std(samples[:, leader] - samples[:, i])),
                indistinguishable_from=tuple(
                    name
                    for j, name in enumerate(names)
                    if j != i and difference(i, j).includes_zero
                ),
                seconds=one.seconds,
                blend=one.blend,
                decision=one.decision,
                fold_decisions=one.fold_decisions,
                predictions=one.predictions,
            )
        )
    return scores


def choose(scores: Sequence[MethodScore]) -> MethodScore:
    """The simplest method within one standard error of the best (Breiman et al. 1984).

    The error is that of the paired difference from the best, which is much smaller than that of
    either score: both were scored on the same rows.
    """
    within = [score for score in scores if score.behind <= score.behind_error]
    order = list(METHODS)

    def complexity(score: MethodScore) -> tuple[int, bool]:
        method, _, rule = score.method.partition("+")
        return order.index(method), bool(rule)

    return min(within, key=complexity)


def score_of_choice(
    problem: Problem, scores: Sequence[MethodScore], *, seed: int, bootstrap: int = 200
) -> Estimate:
    """The nested score of what ``choose`` picks, with the choice itself made without each fold.

    The best of several estimates flatters: it was picked for its luck too. So for each fold the
    choice is made again on the other folds, and what that choice loses on the fold against the
    final one is the optimism of choosing. It is taken off the final choice's estimate, and its
    own error (from its spread over the folds) widens the interval.
    """
    final = scores.index(choose(scores))
    predictions = [score.predictions for score in scores]
    sign = 1 if problem.metric.greater_is_better else -1
    parts = []
    for fold in problem.fold_numbers(slice(None)):
        inside, outside = problem.folds != fold, problem.folds == fold
        whole, samples = bootstrap_scores(problem, predictions, inside, bootstrap, seed)
        picked = _simplest_within_error(sign * whole, samples)
        optimism = 0.0
        if picked != final:
            pair = [predictions[final], predictions[picked]]
            (of_final, of_picked), _ = bootstrap_scores(problem, pair, outside, 1, seed)
            optimism = float(of_final - of_picked)
        # a fold without one of the classes may have no score at all, and says nothing then
        parts.append(0.0 if math.isnan(optimism) else optimism * float(outside.mean()))
    nested, optimism = scores[final].nested, sum(parts)
    error = NORMAL * math.sqrt(len(parts)) * float(np.std(parts, ddof=1))
    return Estimate(
        nested.value - optimism,
        nested.value - optimism - math.hypot(nested.value - nested.low, error),
        nested.value - optimism + math.hypot(nested.high - nested.value, error),
    )


@dataclass(frozen=True)
class _Fitted:
    name: str
    blend: Blend
    decision: Decision
    fold_decisions: tuple[Decision, ...]
    predictions: Array
    seconds: float


def _fit(
    problem: Problem,
    method: Method,
    seed: int,
    at_least_one: bool,
    clock: Callable[[], float],
) -> list[_Fitted]:
    """The method as it is, and with the decision rule that may serve the metric."""
    started = clock()
    rows = np.arange(len(problem.truth), dtype=np.intp)
    predictions = nested_predictions(problem, method, rows, seed)
    blend, seconds = method.fit(problem, rows, seed), clock() - started
    plain = plain_decision(problem, at_least_one=at_least_one)
    by_fold = (plain,) * len(problem.fold_numbers(slice(None)))
    found = [_Fitted(method.name, blend, plain, by_fold, plain.apply(predictions), seconds)]
    if rule := rule_for(problem):
        whole, by_fold = fit_decisions(problem, predictions, rule, seed, at_least_one=at_least_one)
        decided = decide_nested(problem, predictions, by_fold)
        name = f"{method.name}+{rule}"
        found.append(_Fitted(name, blend, whole, by_fold, decided, clock() - started))
    return found


def _applicable(problem: Problem, methods: Sequence[str]) -> list[Method]:
    for name in methods:
        if name not in METHODS:
            raise ConfigError("stack.methods", f"{name!r} is not a method", nearest(name, METHODS))
    return [
        method
        for name, method in METHODS.items()
        if name in {*BASELINES, *methods} and method.applies(problem.task, problem.metric)
    ]


def _simplest_within_error(quality: Array, samples: Array) -> int:
    """The first method whose distance from the best is within that difference's error."""
    best = int(quality.argmax())
    error = np.std(samples - samples[:, [best]], axis=0)
    return int(np.flatnonzero(quality[best] - quality <= error)[0])


def never_certain(given: Estimate, metric: Metric, draws: int) -> Estimate:
    """A mean over rows that is perfect in all ``draws``, with what may still go wrong in others.

    A bootstrap of nothing but hits knows no miss. By the rule of three (Hanley and Lippman-Hand
    1983) up to 3 in ``draws`` may be missed with 95 % confidence. Other metrics, such as ranks, and
    those without a worst score are left as they are.
    """
    lowest, highest = metric.bounds
    best = highest if metric.greater_is_better else lowest
    drawn = (given.value, given.low, given.high)
    a_mean = metric.family in ROW_METRICS and math.isfinite(highest - lowest)
    if not (a_mean and np.allclose(drawn, best, rtol=0, atol=1e-9)):
        return given
    spare = min(1.0, 3 / draws) * (highest - lowest)
    ends = (best - spare, best) if metric.greater_is_better else (best, best + spare)
    return Estimate(best, *ends)


def estimate(value: float, samples: Array) -> Estimate:
    """The figure with the percentile interval of its bootstrap samples."""
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(samples, [tail, 1 - tail])
    return Estimate(float(value), float(low), float(high))
