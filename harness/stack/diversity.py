"""What each member adds: how its errors agree with the others', and what is lost without it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from harness.estimate import Estimate
from harness.stack.honest import estimate
from harness.stack.inner import thinned
from harness.stack.methods import METHODS, nested_predictions
from harness.stack.objective import true_probability
from harness.stack.problem import Array, Problem
from harness.stack.resample import bootstrap_scores

ROWS_ENOUGH = 20_000
ALIKE = 0.95
"""Errors that correlate this strongly leave nothing for a combination to gain."""


@dataclass(frozen=True)
class Diversity:
    """How the members complement each other.

    ``correlation`` (members, members) is that of their errors. ``contributions`` are what the
    ensemble's nested score loses without each member, positive where the member helps. ``drop``
    is the member that helps least, if its help cannot be told from none; ``next_kind`` the family
    (or, without families, the member) of which another is most promising. ``sentences`` say so.
    """

    names: tuple[str, ...]
    correlation: Array
    contributions: tuple[Estimate, ...]
    drop: str | None
    next_kind: str
    sentences: tuple[str, ...]


def diversity(
    problem: Problem,
    *,
    seed: int,
    treat: Callable[[Array], Array] = np.asarray,
    method: str = "weighted",
    families: Sequence[str] | None = None,
    bootstrap: int = 500,
) -> Diversity:
    """Measure the members' diversity in an ensemble of ``method``.

    ``treat`` is what becomes of predictions before they are scored. ``families`` (members,) names
    each member's kind, such as its architecture. More than 20,000 rows are thinned to as many.
    ValueError if ``families`` does not name every member.
    """
    if families is not None and len(families) != len(problem.names):
        raise ValueError(f"{len(problem.names)} members need as many families: {families}")
    problem = _thin(problem, seed)
    correlation = error_correlation(problem)
    contributions = _contributions(problem, treat, method, seed, bootstrap)
    kinds = tuple(families or problem.names)
    worth = np.array([contribution.value for contribution in contributions])
    least = int(worth.argmin())
    drop = problem.names[least] if contributions[least].low <= 0 < len(worth) - 1 else None
    next_kind = _most_promising(kinds, worth, correlation)
    return Diversity(
        problem.names,
        correlation,
        contributions,
        drop,
        next_kind,
        _sentences(problem, correlation, contributions, drop, next_kind, kinds),
    )


def error_correlation(problem: Problem) -> Array:
    """(members, members): correlation over rows of the probability missed, or of the residual."""
    rows = np.arange(len(problem.folds), dtype=np.intp)
    if problem.kind == "values":
        errors = problem.predictions[:, :, 0] - problem.truth
    else:
        errors = 1 - true_probability(problem, rows)
    errors = errors - errors.mean(axis=1, keepdims=True, dtype=np.float64)
    length = np.sqrt(np.sum(errors**2, axis=1))
    length[length == 0] = 1.0  # a member without a single error has no correlation
    correlation = (errors / length[:, None]) @ (errors / length[:, None]).T
    np.fill_diagonal(correlation, 1.0)
    return np.clip(correlation, -1, 1)


def _thin(problem: Problem, seed: int) -> Problem:
    rows = thinned(np.arange(len(problem.folds), dtype=np.intp), ROWS_ENOUGH, seed)
    return problem if len(rows) == len(problem.folds) else problem.of_rows(rows)


def _contributions(
    problem: Problem,
    treat: Callable[[Array], Array],
    method: str,
    seed: int,
    bootstrap: int,
) -> tuple[Estimate, ...]:
    rows = np.arange(len(problem.folds), dtype=np.intp)
    members = len(problem.names)
    if members == 1:
        return (Estimate(0.0, 0.0, 0.0),)
    predictions = [nested_predictions(problem, METHODS[method], rows, seed)]
    for left_out in range(members):
        others = np.flatnonzero(np.arange(members) != left_out)
        rest = problem.of_members(others.tolist())
        predictions.append(nested_predictions(rest, METHODS[method], rows, seed))
    decided = [treat(one) for one in predictions]
    whole, samples = bootstrap_scores(problem, decided, slice(None), bootstrap, seed)
    sign = 1 if problem.metric.greater_is_better else -1
    return tuple(
        estimate(sign * (whole[0] - whole[i]), sign * (samples[:, 0] - samples[:, i]))
        for i in range(1, members + 1)
    )


def _most_promising(kinds: tuple[str, ...], worth: Array, correlation: Array) -> str:
    """The kind whose members help most on average; of two, the one that agrees less."""
    agreement = _agreement(correlation)

    def promise(kind: str) -> tuple[float, float]:
        of_kind = [i for i, other in enumerate(kinds) if other == kind]
        return float(worth[of_kind].mean()), -float(agreement[of_kind].mean())

    return max(sorted(set(kinds)), key=promise)


def _agreement(correlation: Array) -> Array:
    """(members,): mean correlation with the other members."""
    others = max(1, len(correlation) - 1)
    return (correlation.sum(axis=1) - 1) / others


def _sentences(
    problem: Problem,
    correlation: Array,
    contributions: tuple[Estimate, ...],
    drop: str | None,
    next_kind: str,
    kinds: tuple[str, ...],
) -> tuple[str, ...]:
    names = problem.names
    if len(names) == 1:
        return ("One member alone: train another kind of model.",)
    pairs = correlation - np.eye(len(names)) * 2
    one, other = np.unravel_index(int(pairs.argmax()), pairs.shape)
    closest = float(correlation[one, other])
    said = [f"Most alike: {names[one]} and {names[other]} (errors correlate {closest:.2f})."]
    if drop is not None:
        value = contributions[names.index(drop)].value
        said.append(f"Without {drop} nothing is lost that can be told from noise ({value:+.5f}).")
    if float(_agreement(correlation).min()) > ALIKE:
        said.append("All members make the same errors: train a kind that is not here yet.")
    else:
        of_kind = [i for i, kind in enumerate(kinds) if kind == next_kind]
        value = float(np.mean([contributions[i].value for i in of_kind]))
        agreement = float(_agreement(correlation)[of_kind].mean())
        said.append(
            f"Train another like {next_kind}: it adds most ({value:+.5f}) "
            f"and its errors correlate {agreement:.2f} with the others'."
        )
    return tuple(said)
