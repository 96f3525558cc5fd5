"""Scores that can be believed: nested cross-validation, paired bootstrap, a rule for the winner."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from harness.decision import Decision
from harness.errors import ConfigError, nearest
from harness.estimate import Estimate
from harness.metrics import Metric
from harness.stack.blend import Blend
from harness.stack.decide import as_scored, decide_nested, fit_decisions, rule_for
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
    ``in_sample`` on the rows it was fitted on. Differences are turned so that positive is better,
    and so is ``quality`` (1 + samples,): the nested score, then the same under bootstrap samples
    that all methods share. ``blend`` is fitted on all rows; ``predictions`` (rows, targets) are
    the nested ones, as decided.

    A decision rule that was searched for makes a method of its own, such as "mean+thresholds".
    ``decision`` is fitted on all rows, ``fold_decisions`` (one a fold, ascending) on the others.
    """

    method: str
    nested: Estimate
    in_sample: float
    over_mean: Estimate
    over_best: Estimate
    seconds: float
    blend: Blend
    decision: Decision
    fold_decisions: tuple[Decision, ...]
    quality: Array = field(repr=False, compare=False)
    predictions: Array = field(repr=False, compare=False)


def evaluate(
    problem: Problem,
    methods: Sequence[str],
    *,
    seed: int,
    bootstrap: int = 1000,
    progress: Callable[[str], None] | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> list[MethodScore]:
    """Score the methods by nested cross-validation, simplest first.

    "best" and "mean" are always among them, methods that do not apply are left out. ``progress``
    is told each method's name before its turn.
    ConfigError names an unknown method.
    """
    fitted: list[_Fitted] = []
    for method in _applicable(problem, methods):
        if progress is not None:
            progress(method.name)
        fitted += _fit(problem, method, seed, clock)
    names = [one.name for one in fitted]
    nested = [one.predictions for one in fitted]
    whole, samples = bootstrap_scores(problem, nested, slice(None), bootstrap, seed)
    quality = _quality(problem.metric, whole, samples)
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
                over_mean=_lead(quality[i], quality[names.index("mean")]),
                over_best=_lead(quality[i], quality[names.index("best")]),
                seconds=one.seconds,
                blend=one.blend,
                decision=one.decision,
                fold_decisions=one.fold_decisions,
                quality=quality[i],
                predictions=one.predictions,
            )
        )
    return scores


def member_scores(problem: Problem) -> tuple[float, ...]:
    """Return each member's own score, decided as a method without a searched rule is."""
    plain = problem.plain_decision
    return tuple(
        problem.metric.score(problem.truth, as_scored(problem.kind, plain, member))
        for member in problem.predictions
    )


def choose(scores: Sequence[MethodScore]) -> MethodScore:
    """The simplest ensemble within one standard error of the best one (Breiman et al. 1984).

    ``scores`` are simplest first, as ``evaluate`` returns them. The error is that of the paired
    difference from the best, which is much smaller than that of either score: both were scored on
    the same rows. A single member is chosen only if it is better than that ensemble beyond noise:
    the 95 % interval of the difference is above zero. The luckiest of several members looks good.
    """
    return scores[_pick(_single(scores), _qualities(scores))]


def reason(scores: Sequence[MethodScore]) -> str:
    """Return a sentence that says by which rule and numbers ``choose`` chose; "" for one member."""
    single, quality = _single(scores), _qualities(scores)
    if single.all():
        return ""
    chosen = _pick(single, quality)
    name = f"{scores[chosen].method} is chosen"
    ensembles = np.flatnonzero(~single)
    if single[chosen]:
        rival = _simplest(ensembles, quality)
        lead = _lead(quality[chosen], quality[rival])
        return (
            f"{name}: one member leads {scores[rival].method} by {lead.value:.4f} "
            f"(95 % interval {lead.low:.4f} to {lead.high:.4f})."
        )
    leader = ensembles[quality[ensembles, 0].argmax()]
    behind, error = _behind(quality, leader)
    if chosen != leader:
        return (
            f"{name}: the simplest ensemble within one standard error of the best "
            f"({behind[chosen]:.4f} behind {scores[leader].method}, "
            f"standard error {error[chosen]:.4f})."
        )
    simpler = ensembles[ensembles < chosen]
    if not len(simpler):
        return f"{name}: the simplest ensemble is also the best."
    nearest = min(simpler, key=lambda i: float(behind[i] - error[i]))
    return (
        f"{name}: the best ensemble, and no simpler one is within one standard error of it "
        f"({scores[nearest].method} is {behind[nearest]:.4f} behind, "
        f"standard error {error[nearest]:.4f})."
    )


def cost_of_a_label(problem: Problem, chosen: MethodScore, *, seed: int) -> str:
    """Return a sentence: what it costs to give every row a label though some rows have none.

    "" where rows may go without one, or where every row has one.
    """
    if not problem.at_least_one or problem.truth.any(axis=1).all():
        return ""
    rows = np.arange(len(problem.truth), dtype=np.intp)
    method = METHODS[chosen.method.partition("+")[0]]
    free = [replace(decision, at_least_one=False) for decision in chosen.fold_decisions]
    decided = decide_nested(problem, nested_predictions(problem, method, rows, seed), free)
    score, name = problem.metric.score(problem.truth, decided), problem.metric.name
    return (
        f"Every row gets a label, though some training rows have none: {name} is "
        f"{chosen.nested.value:.4f}, and would be {score:.4f} with [data] allow_empty = true."
    )


def score_of_choice(
    problem: Problem, scores: Sequence[MethodScore], *, seed: int, bootstrap: int = 200
) -> Estimate:
    """The nested score of what ``choose`` picks, with the choice itself made without each fold.

    The best of several estimates flatters: it was picked for its luck too. So for each fold the
    choice is made again on the other folds, and what that choice loses on the fold against the
    final one is the optimism of choosing. It is taken off the final choice's estimate, and its
    own error (from its spread over the folds) widens the interval.
    """
    single = _single(scores)
    final = _pick(single, _qualities(scores))
    predictions = [score.predictions for score in scores]
    parts = []
    for fold in problem.fold_numbers(slice(None)):
        inside, outside = problem.folds != fold, problem.folds == fold
        whole, samples = bootstrap_scores(problem, predictions, inside, bootstrap, seed)
        picked = _pick(single, _quality(problem.metric, whole, samples))
        optimism = 0.0
        if picked != final:
            pair = [predictions[final], predictions[picked]]
            (of_final, of_picked), _ = bootstrap_scores(problem, pair, outside, 1, seed)
            optimism = float(of_final - of_picked)
        # a fold without one of the classes may have no score at all, and says nothing then
        parts.append(0.0 if math.isnan(optimism) else optimism * float(outside.mean()))
    nested, optimism = scores[final].nested, sum(parts)
    error = NORMAL * math.sqrt(len(parts)) * float(np.std(parts, ddof=1))
    value = nested.value - optimism
    low, high = (math.hypot(nested.value - end, error) for end in (nested.low, nested.high))
    return Estimate(value, value - low, value + high).within(*problem.metric.bounds)


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
    clock: Callable[[], float],
) -> list[_Fitted]:
    """The method as it is, and with the decision rule that may serve the metric."""
    started = clock()
    rows = np.arange(len(problem.truth), dtype=np.intp)
    predictions = nested_predictions(problem, method, rows, seed)
    blend, seconds = method.fit(problem, rows, seed), clock() - started
    plain = problem.plain_decision
    by_fold = (plain,) * len(problem.fold_numbers(slice(None)))
    found = [_Fitted(method.name, blend, plain, by_fold, plain.apply(predictions), seconds)]
    if rule := rule_for(problem):
        whole, by_fold = fit_decisions(problem, predictions, rule, seed)
        decided = decide_nested(problem, predictions, by_fold)
        name = f"{method.name}+{rule}"
        found.append(_Fitted(name, blend, whole, by_fold, decided, clock() - started))
    return found


def require_methods(methods: Sequence[str]) -> None:
    """Raise a ConfigError unless every name is one of a method."""
    for name in methods:
        if name not in METHODS:
            raise ConfigError("stack.methods", f"{name!r} is not a method", nearest(name, METHODS))


def _applicable(problem: Problem, methods: Sequence[str]) -> list[Method]:
    require_methods(methods)
    return [
        method
        for name, method in METHODS.items()
        if name in {*BASELINES, *methods} and method.applies(problem.task, problem.metric)
    ]


def _pick(single: Array, quality: Array) -> int:
    """Return the place of the method that ``choose`` chooses.

    ``single`` (methods,) marks those that use one member; ``quality`` (methods, 1 + samples) are
    scores as in ``MethodScore``.
    """
    alone, ensembles = np.flatnonzero(single), np.flatnonzero(~single)
    if not len(alone) or not len(ensembles):
        return _simplest(np.arange(len(single)), quality)
    ensemble, member = _simplest(ensembles, quality), _simplest(alone, quality)
    return member if _lead(quality[member], quality[ensemble]).low > 0 else ensemble


def _simplest(places: Array, quality: Array) -> int:
    """Return the first of ``places`` within one standard error of the best of them."""
    behind, error = _behind(quality, places[quality[places, 0].argmax()])
    return int(places[behind[places] <= error[places]][0])


def _behind(quality: Array, leader: int) -> tuple[Array, Array]:
    """(methods,) distances from the leader, and the standard errors of these differences."""
    difference = quality[leader] - quality
    return difference[:, 0], difference[:, 1:].std(axis=1)


def _lead(one: Array, other: Array) -> Estimate:
    return estimate(float(one[0] - other[0]), one[1:] - other[1:])


def _single(scores: Sequence[MethodScore]) -> Array:
    return np.array([len(score.blend.members_used) == 1 for score in scores])


def _qualities(scores: Sequence[MethodScore]) -> Array:
    return np.stack([score.quality for score in scores])


def _quality(metric: Metric, whole: Array, samples: Array) -> Array:
    """(methods, 1 + samples) of what ``bootstrap_scores`` returns: greater is better."""
    return (1 if metric.greater_is_better else -1) * np.vstack([whole, samples]).T


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
