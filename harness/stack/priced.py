"""What can be bought, what it costs, and cascades of it. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from harness.predict.plan import Costs, Span
from harness.stack.subset import Subset


@dataclass(frozen=True)
class Purchase:
    """A member as it can be bought: an engine's seconds, its fold models and its views.

    ``load_seconds`` and ``image_seconds`` are for one model in one view; with a ``shared`` backbone
    for all ``models``, which then come together. ``columns`` names, for each number of test-time
    views, the problem's member that holds its OOF predictions in so many; the ensemble predicts in
    ``base`` of them. ``known`` is how many models' mean each of those predictions is (the repeats
    of the folds).
    """

    member: str
    engine: str
    size: int
    models: int
    shared: bool
    load_seconds: float
    image_seconds: float
    columns: Mapping[int, str]
    runtime: str = ""
    base: int = 1
    known: int = 1


@dataclass(frozen=True)
class Option:
    """A rung of a member's ladder: the first passes of it, or what the next rung adds to them.

    ``models`` and ``views`` are as in ``predict.plan.Stage``. ``column`` names the problem's member
    that holds the OOF predictions in all views so far. ``fixed_seconds`` to load and warm up,
    ``image_seconds`` for the forward passes of one image, without decoding it at ``size``.
    ``runtime`` is paid once for all that need it (``Costs.runtimes``).
    """

    name: str
    member: str
    column: str
    engine: str
    models: Span
    views: Span
    size: int
    fixed_seconds: float
    image_seconds: float
    runtime: str = ""
    known: int = 1


def ladder(bought: Purchase, loss_of: Mapping[str, float], noise: float) -> list[Option]:
    """Return the member's rungs, from one model in one view to all models in the most views.

    Each rung adds models (about half of them, then all) or doubles the views: whichever gains most
    for its passes. ``loss_of`` is each column's own loss, ``noise`` how much of it would go if
    infinitely many models were averaged. More views than the ensemble's come after all else.
    """
    counts = sorted({1, (bought.models + 1) // 2, bought.models})
    if bought.shared:
        counts = [bought.models]
    views = sorted(bought.columns)
    rungs = [((0, counts[0]), (0, views[0]))]
    k, v = 0, 0
    while k + 1 < len(counts) or v + 1 < len(views):
        gain_of_models = gain_of_views = -np.inf
        if k + 1 < len(counts):
            gain = noise * (1 / counts[k] - 1 / counts[k + 1])
            gain_of_models = gain / ((counts[k + 1] - counts[k]) * views[v])
        if v + 1 < len(views) and (views[v + 1] <= bought.base or k + 1 == len(counts)):
            gain = loss_of[bought.columns[views[v]]] - loss_of[bought.columns[views[v + 1]]]
            gain_of_views = gain / ((views[v + 1] - views[v]) * counts[k])
        if gain_of_models >= gain_of_views:
            rungs.append(((counts[k], counts[k + 1]), (0, views[v])))
            k += 1
        else:
            rungs.append(((0, counts[k]), (views[v], views[v + 1])))
            v += 1
    options = []
    for models, span in rungs:
        passes = 1 if bought.shared else models[1] - models[0]
        loaded = 0 if span[0] else passes
        options.append(
            Option(
                name=_name(bought, models[1], span[1]),
                member=bought.member,
                column=bought.columns[span[1]],
                engine=bought.engine,
                models=models,
                views=span,
                size=bought.size,
                fixed_seconds=bought.load_seconds * loaded,
                image_seconds=bought.image_seconds * passes * (span[1] - span[0]),
                runtime=bought.runtime,
                known=bought.known,
            )
        )
    return options


def whole(bought: Purchase, views: int) -> Option:
    """Return one stage with all models of the member, in so many views where they are known."""
    views = views if views in bought.columns else max(bought.columns)
    passes = 1 if bought.shared else bought.models
    return Option(
        name=_name(bought, bought.models, views),
        member=bought.member,
        column=bought.columns[views],
        engine=bought.engine,
        models=(0, bought.models),
        views=(0, views),
        size=bought.size,
        fixed_seconds=bought.load_seconds * passes,
        image_seconds=bought.image_seconds * passes * views,
        runtime=bought.runtime,
        known=bought.known,
    )


def _name(bought: Purchase, models: int, views: int) -> str:
    seen = "1 view" if views == 1 else f"{views} views"
    if bought.models == 1:
        return f"{bought.member} in {seen} on {bought.engine}"
    return f"{bought.member}, {models} of {bought.models} models in {seen} on {bought.engine}"


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
