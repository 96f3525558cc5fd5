"""What a space of settings holds: its grid, its priors, and what applies when. Pure."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from scipy.special import ndtr, ndtri

from harness.model import ModelSection
from harness.space import Axis, Number, Values

Axes = Mapping[str, Axis]


def applies(axis: Axis, values: Values, model: ModelSection) -> bool:
    """Whether the axis is searched, beside those values of the others."""
    return all(
        values.get(other, getattr(model, other)) in allowed for other, allowed in axis.when.items()
    )


def grid(axes: Axes, model: ModelSection, steps: int) -> list[Values]:
    """Every combination of the axes' grids, each once; axes that do not apply are left out."""
    return combinations(axes, {name: grid_of(axis, steps) for name, axis in axes.items()}, model)


def combinations(
    axes: Axes, choices: Mapping[str, Sequence[Any]], model: ModelSection
) -> list[Values]:
    """Every combination of the values given for each axis; the last axis changes fastest."""
    points: list[Values] = [{}]
    for name, axis in axes.items():
        points = [
            {**point, name: value} if applies(axis, point, model) else point
            for point in points
            for value in (choices[name] if applies(axis, point, model) else (None,))
        ]
    return points


def grid_of(axis: Axis, steps: int) -> tuple[Any, ...]:
    """The axis's own grid or choices, else ``steps`` values from its low to its high."""
    if axis.choices is not None:
        return axis.choices
    return axis.grid or between(axis, *axis.span, steps)


def between(axis: Axis, low: Number, high: Number, steps: int) -> tuple[Number, ...]:
    """Up to ``steps`` values from low to high at equal distances, on the axis's own scale."""
    spaced = np.geomspace(low, high, steps) if axis.log else np.linspace(low, high, steps)
    return tuple(dict.fromkeys(nearest_value(axis, float(value)) for value in spaced))


def nearest_value(axis: Axis, value: float) -> Number:
    """The value that the axis has next to that one, to six digits: 0.003 and not 0.0030000001."""
    low, high = axis.span
    if axis.step is not None:
        value = low + round((value - low) / axis.step) * axis.step
    value = min(max(float(f"{value:.6g}"), low), high)
    return round(value) if axis.integer else value


def draw(axis: Axis, generator: np.random.Generator) -> Any:
    """A value at random by the axis's prior: uniform, log-uniform or the normal one."""
    if axis.choices is not None:
        return axis.choices[int(generator.integers(len(axis.choices)))]
    if axis.integer and axis.normal is None and not axis.log:
        return int(axis.span[0] + (axis.step or 1) * generator.integers(_count(axis)))
    first, last = (_scaled(axis, end) for end in _widened(axis))
    if axis.normal is None:
        drawn = generator.uniform(first, last)
    else:
        mean, deviation = _scaled(axis, axis.normal[0]), (last - first) / 6
        share = generator.uniform(ndtr((first - mean) / deviation), ndtr((last - mean) / deviation))
        drawn = mean + deviation * float(ndtri(share))
    return _valued(axis, drawn)


def share_of(axis: Axis, value: Any) -> float:
    """Where a value lies between the axis's ends, on its own scale, from 0 to 1; NaN outside."""
    first, last = (_scaled(axis, end) for end in _widened(axis))
    if not (isinstance(value, int | float) and axis.span[0] <= value <= axis.span[1]):
        return math.nan
    return (_scaled(axis, value) - first) / (last - first)


def value_at(axis: Axis, share: float) -> Number:
    """The inverse of ``share_of``, as near as the axis has values."""
    first, last = (_scaled(axis, end) for end in _widened(axis))
    return _valued(axis, first + share * (last - first))


def _count(axis: Axis) -> int:
    low, high = axis.span
    return round((high - low) / (axis.step or 1)) + 1


def _widened(axis: Axis) -> tuple[float, float]:
    """The ends so that the first and last of stepped values get a whole step's share, too."""
    low, high = axis.span
    half = 0.5 * (axis.step or (1 if axis.integer else 0)) if axis.normal is None else 0.0
    return (low if axis.log and low <= half else low - half), high + half


def _scaled(axis: Axis, value: float) -> float:
    return math.log(value) if axis.log else value


def _valued(axis: Axis, scaled: float) -> Number:
    """The value that the axis has next to that one of its scale."""
    value, (low, high) = math.exp(scaled) if axis.log else scaled, axis.span
    if axis.step is None and not axis.integer:
        return min(max(value, low), high)
    return nearest_value(axis, value)


def settings(model: ModelSection, values: Values) -> ModelSection:
    """The model with those values; a ValueError if they contradict each other."""
    return ModelSection.model_validate({**model.model_dump(), **values})


def differences(axes: Axes, values: Values, model: ModelSection) -> Iterator[tuple[str, Any, Any]]:
    """(setting, the model's value, the new one) where they differ."""
    for name in axes:
        before = getattr(model, name)
        if name in values and values[name] != before:
            yield name, before, values[name]
