"""Coarse to fine: a grid, then a finer grid between the two best neighbouring values. Pure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.model import ModelSection
from harness.space import Axis, Values
from harness.tune.spaces import Axes, between, combinations, grid_of


@dataclass(frozen=True)
class Tried:
    """A point of the space with its loss, or its place among the others' by loss: infinity if it
    failed, None while it is not known."""

    values: Values
    loss: float | None


def next_of(points: Sequence[Values], tried: Sequence[Tried]) -> Values | None:
    """The first of the points that nobody has tried yet."""
    known = [one.values for one in tried]
    return next((point for point in points if point not in known), None)


def next_point(
    axes: Axes, model: ModelSection, tried: Sequence[Tried], steps: int, rounds: int
) -> Values | None:
    """What zoom tries next; None when it is done, or has to wait for losses of its round.

    All is computed from what was tried, so that it goes on wherever it was cut short. From the
    second round on an axis has ``steps`` values from the one to the other of its two best
    neighbours, both included (they are not tried again); of choices the best one stays.
    """
    values = {name: grid_of(axis, steps) for name, axis in axes.items()}
    for _ in range(rounds):
        points = combinations(axes, values, model)
        if (point := next_of(points, tried)) is not None:
            return point
        losses = [(one.values, one.loss) for one in tried if one.values in points]
        if any(loss is None for _, loss in losses):
            return None
        known = [(point, loss) for point, loss in losses if loss is not None]
        values = {
            name: finer(axis, values[name], _profile(name, known), steps)
            for name, axis in axes.items()
        }
    return None


def finer(
    axis: Axis, values: Sequence[Any], losses: Mapping[Any, float], steps: int
) -> tuple[Any, ...]:
    """The next round's values of an axis: between its best value and the better neighbour of that.

    ``losses`` are by value; a value that was not tried counts as the worst.
    """
    best = min(values, key=lambda value: losses.get(value, math.inf))
    if not axis.numeric or len(values) == 1:
        return (best,)
    place = list(values).index(best)
    beside = [values[i] for i in (place - 1, place + 1) if 0 <= i < len(values)]
    other = min(beside, key=lambda value: losses.get(value, math.inf))
    low, high = sorted((best, other))
    return between(axis, low, high, steps)


def _profile(name: str, tried: Sequence[tuple[Values, float]]) -> dict[Any, float]:
    """The least loss of each value of an axis, whatever the other axes' values."""
    least: dict[Any, float] = {}
    for values, loss in tried:
        if name in values:
            least[values[name]] = min(loss, least.get(values[name], math.inf))
    return least
