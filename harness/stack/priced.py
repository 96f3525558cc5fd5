"""What can be bought, what it costs, and cascades of it. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from harness.predict.plan import Costs
from harness.stack.subset import Subset


@dataclass(frozen=True)
class Option:
    """One way to use one member: seconds of the engine, fold models and test-time views it takes.

    ``fixed_seconds`` to load and warm up, ``image_seconds`` for the forward passes of all fold
    models and views of one image, without decoding it at ``size``. ``runtime`` is paid once for
    all that need it (``Costs.runtimes``).
    """

    name: str
    member: str
    engine: str
    folds: int
    views: int
    size: int
    fixed_seconds: float
    image_seconds: float
    runtime: str = ""


@dataclass(frozen=True)
class Level:
    """The first ``stages`` of the order are for the first ``share`` of the images by ``rule``."""

    stages: int
    share: float
    rule: str


@dataclass(frozen=True)
class Cascade:
    """A candidate: an order of options, and its levels from the first, which needs no rule.

    ``loss`` is nested: the mean of ``row_losses``, or the metric's where that is no mean over rows.
    """

    order: tuple[int, ...]
    levels: tuple[Level, ...]
    seconds: float
    loss: float

    @property
    def stages(self) -> list[tuple[int, float, str]]:
        """(option, share, rule) of every stage of the order; share 0 where no level reaches."""
        found: list[tuple[int, float, str]] = []
        for level in self.levels:
            found += [(i, level.share, level.rule) for i in self.order[len(found) : level.stages]]
        # leftover time: the rest of the order, ranked as the kind's first rule says
        return found + [(i, 0.0, "") for i in self.order[len(found) :]]


class Prices:
    """Predicted seconds of the whole process for any of the options, on so many test rows."""

    def __init__(self, options: Sequence[Option], costs: Costs, rows: int) -> None:
        self.options, self.costs, self.rows = options, costs, rows
        self._passes: dict[tuple[int, ...], tuple[float, float]] = {}

    def of_all(self, chosen: Sequence[int]) -> float:
        """If all images get these options."""
        return self.of_levels(tuple(chosen), (Level(len(chosen), 1.0, ""),))

    def of_levels(self, order: tuple[int, ...], levels: tuple[Level, ...]) -> float:
        """Of a cascade, as ``predicted_seconds`` has them for its plan."""
        last = levels[-1].stages if levels else 0
        total = self.costs.base + self.costs.imports(self.options[i].runtime for i in order[:last])
        before = 0
        for level in levels:
            fixed, per_image = self._pass(order[before : level.stages])
            total += fixed + level.share * self.rows * per_image
            before = level.stages
        return total

    def _pass(self, chosen: tuple[int, ...]) -> tuple[float, float]:
        """Fixed seconds, and seconds an image, of one pass with these options."""
        if chosen not in self._passes:
            options = [self.options[i] for i in chosen]
            per_image = self.costs.images(option.size for option in options)
            per_image += sum(option.image_seconds for option in options)
            self._passes[chosen] = (sum(option.fixed_seconds for option in options), per_image)
        return self._passes[chosen]


Timed = TypeVar("Timed", Cascade, Subset)


def pareto(cascades: Sequence[Cascade]) -> list[Cascade]:
    """Those that lose less than every one that is not dearer, cheapest first."""
    front: list[Cascade] = []
    for one in sorted(cascades, key=lambda one: (one.seconds, one.loss, one.order)):
        if not front or one.loss < front[-1].loss - 1e-12:
            front.append(one)
    return front


def spread(ascending: Sequence[Timed], most: int) -> list[Timed]:
    """At most ``most`` of them, evenly by the logarithm of seconds, with the first and the last."""
    if len(ascending) <= most:
        return list(ascending)
    place = np.log([max(one.seconds, 1e-9) for one in ascending])
    wanted = np.linspace(place[0], place[-1], most)
    return [ascending[int(i)] for i in np.unique(np.abs(place[None] - wanted[:, None]).argmin(1))]
