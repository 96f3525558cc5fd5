"""What to predict under a deadline, as data: stages, their weights, and whom they are meant for.

Pure. A plan is made by ``stack.select``, followed by ``submit.plan`` and applied by the runner.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from harness.decision import Decision

Array = NDArray[Any]
Kind = Literal["classes", "labels", "values"]
KINDS: dict[str, Kind] = {
    "binary": "classes",
    "multiclass": "classes",
    "ordinal": "classes",
    "multilabel": "labels",
    "regression": "values",
}
"""Task → what a row of predictions is: class probabilities that sum to one, one probability a
label, or a value."""
Span = tuple[int, int]
"""The first of some things in a row, and the one after the last."""
FLOOR = 1e-7
"""The least probability of a class, as in the ensembles that are fitted without a deadline."""

RULES: dict[str, tuple[str, ...]] = {
    "classes": ("entropy", "margin", "spread"),
    "labels": ("entropy", "margin", "spread"),
    "values": ("spread", "high", "low"),
}
"""How images can be ranked for the next stage, by kind of prediction; see ``urgency``."""


@dataclass(frozen=True)
class Stage:
    """Some passes of one member, and the share of all images (0 to 1) that they are meant for.

    ``models`` and ``views`` are the fold models and the test-time views that the passes combine. A
    member's first stage begins with model 0 and view 0; each further one adds models in all views
    so far, or views of all models so far, and the member's prediction is the mean over the passes
    that an image got. The images of the share are the first by ``rule`` (see ``urgency``) given the
    predictions of the stages before; the first stage has no rule. A share of 0 is for time that is
    left over. A ``size`` of 0 needs no images: its predictions are there already.
    ``image_seconds`` is the forward passes of one image; ``fixed_seconds`` loading and warming up
    the models that the member's earlier stages did not load. ``alone`` is how much better than the
    prior the member by itself is, in mean loss a row. ``runtime`` is what must be imported before,
    by the name that ``Costs.runtimes`` has for it.
    """

    option: str
    member: str
    engine: str
    models: Span
    views: Span
    size: int
    share: float
    rule: str
    fixed_seconds: float
    image_seconds: float
    alone: float
    runtime: str = ""

    @property
    def passes(self) -> int:
        """The forward passes that an image takes."""
        return (self.models[1] - self.models[0]) * (self.views[1] - self.views[0])


@dataclass(frozen=True)
class Costs:
    """Seconds of the whole process that no option owns.

    ``start`` until the first option's runtime can be imported, which ``runtimes`` ((name, seconds),
    …) has, once a process; ``write`` to combine and write the file. An image takes ``read`` once a
    pass, and ``decode`` ((size, seconds), …) for each size it is brought to. ``spread`` is the part
    of the seconds after the start by which a run may differ from the next one.
    """

    start: float
    write: float
    decode: tuple[tuple[int, float], ...]
    read: float = 0.0
    runtimes: tuple[tuple[str, float], ...] = ()
    spread: float = 0.0

    @property
    def base(self) -> float:
        """What is spent before and after all predicting."""
        return self.start + self.write

    def images(self, sizes: Iterable[int]) -> float:
        """Seconds to read an image and bring it to each of the sizes; none for size 0."""
        seconds, needed = dict(self.decode), sorted(set(sizes) - {0})
        return self.read + sum(seconds[size] for size in needed) if needed else 0.0

    def imports(self, runtimes: Iterable[str]) -> float:
        """Seconds to import each of these runtimes once; "" is none."""
        seconds = dict(self.runtimes)
        return sum(seconds[name] for name in sorted(set(runtimes) - {""}))


@dataclass(frozen=True)
class Plan:
    """Stages in order, with a blend for every prefix of them.

    ``blends[k]`` is the record of the blend of the members of the first k + 1 stages
    (``stack.chosen.combiner`` applies them), empty where it is the same as the one before;
    ``weights`` (members,) a convex one of all members, from which other sets of stages are served.
    ``prior`` (targets,) stands for an image that no stage reached. ``seconds`` are predicted for
    ``rows`` images and the whole process. ``score`` is in the metric's own direction, ``error`` its
    standard error; the whole selection was repeated without the rows that were scored.
    ``gain`` (positive is better) is what averaging fold models is expected to add to the score,
    which knows one model a member and image, with its standard error ``gain_error``.
    ``prefix_scores`` (stages + 1,) are the nested scores if all images got the prior, the first
    stage, the first two, and so on. ``decision`` is what becomes of the blends' predictions.
    ``whole``: all of the ensemble, so that rows with all members get its own blend.
    """

    kind: Kind
    metric: str
    greater_is_better: bool
    stages: tuple[Stage, ...]
    blends: tuple[Mapping[str, Any], ...]
    weights: tuple[float, ...]
    prior: tuple[float, ...]
    costs: Costs
    rows: int
    seconds: float
    score: float
    error: float
    gain: float = 0.0
    gain_error: float = 0.0
    prefix_scores: tuple[float, ...] = ()
    decision: Decision = field(default_factory=Decision)
    whole: bool = False

    def __post_init__(self) -> None:
        shares = [stage.share for stage in self.stages]
        if any(not 0 <= share <= 1 for share in shares) or shares != sorted(shares, reverse=True):
            raise ValueError(f"shares {shares} do not fall from at most 1 to at least 0")
        if not self.decision.fits(len(self.prior)):
            raise ValueError("the decision is for other targets")
        if len(self.blends) != len(shares) or len(self.weights) != len(self.members):
            raise ValueError("every prefix needs its blend, and every member its weight")
        self._check_spans()
        if not {stage.size for stage in self.stages} <= {0, *dict(self.costs.decode)}:
            raise ValueError("no cost is known of an image's size")
        if not {stage.runtime for stage in self.stages} <= {"", *dict(self.costs.runtimes)}:
            raise ValueError("no cost is known of a runtime")
        if not {stage.rule for stage in self.stages[1:]} <= {"", *RULES[self.kind]}:
            raise ValueError("a rule is unknown")

    def _check_spans(self) -> None:
        """Hold that each stage adds models in all views so far, or views of all models so far."""
        reached: dict[str, Span] = {}
        for stage in self.stages:
            models, views = reached.get(stage.member, (0, 0))
            more_models = stage.models[0] == models and stage.views == (0, views or stage.views[1])
            more_views = stage.views[0] == views and stage.models == (0, models)
            if stage.passes < 1 or not (more_models or more_views):
                raise ValueError(f"{stage.option} does not go on where {stage.member} stands")
            reached[stage.member] = (stage.models[1], stage.views[1])

    @property
    def members(self) -> tuple[str, ...]:
        """The members, in the order of their first stages."""
        return tuple(dict.fromkeys(stage.member for stage in self.stages))

    def models_of(self, member: str) -> tuple[int, int]:
        """Return (the most fold models of a member that an image is meant to get, all of them)."""
        of_member = [stage for stage in self.stages if stage.member == member]
        planned = [stage.models[1] for stage in of_member if stage.share]
        return max(planned, default=0), max(stage.models[1] for stage in of_member)

    @property
    def expected(self) -> float:
        """The score with what averaging fold models is expected to add to it."""
        return self.score + (self.gain if self.greater_is_better else -self.gain)

    def passes(self) -> list[tuple[int, ...]]:
        """Stages that one pass over the images serves: those in a row that have one share.

        Each stage without a share is a pass of its own.
        """
        keyed = [(stage.share, 0 if stage.share else i) for i, stage in enumerate(self.stages)]
        groups = groupby(range(len(keyed)), key=keyed.__getitem__)
        return [tuple(group) for _, group in groups]

    def weights_for(self, members: Sequence[str]) -> Array:
        """(members,) convex weights for any set of members: those of all, scaled to sum to one.

        A set that the whole gives no weight gets its mean.
        """
        known = dict(zip(self.members, self.weights, strict=True))
        kept = np.array([known[member] for member in members])
        if not kept.sum() > 1e-6:
            kept = np.ones(len(members))
        return np.asarray(kept / kept.sum())

    def by_member(self, stages: Sequence[int], predictions: Array) -> tuple[tuple[str, ...], Array]:
        """Return the members of these stages, and each one's mean prediction over its passes.

        ``predictions`` (stages, rows, targets) → (members, rows, targets), in the plan's order.
        """
        places: dict[str, list[int]] = {}
        for place, stage in enumerate(stages):
            places.setdefault(self.stages[stage].member, []).append(place)
        if len(places) == len(stages):
            return tuple(places), predictions
        passes = np.array([self.stages[stage].passes for stage in stages], dtype=predictions.dtype)
        means = [
            np.tensordot(passes[some] / passes[some].sum(), predictions[some], 1)
            for some in places.values()
        ]
        return tuple(places), np.stack(means)

    def on(self, rows: int, slowdown: float = 1.0) -> "Plan":
        """The same plan with the seconds of another number of rows, on a slower machine.

        Writing takes longer for more rows than the plan was made for, and is not trusted to take
        less for fewer.
        """
        costs = Costs(
            self.costs.start * slowdown,
            self.costs.write * slowdown * max(1.0, rows / self.rows),
            tuple((size, seconds * slowdown) for size, seconds in self.costs.decode),
            self.costs.read * slowdown,
            tuple((name, seconds * slowdown) for name, seconds in self.costs.runtimes),
        )
        stages = tuple(
            replace(
                stage,
                fixed_seconds=stage.fixed_seconds * slowdown,
                image_seconds=stage.image_seconds * slowdown,
            )
            for stage in self.stages
        )
        seconds = predicted_seconds(stages, costs, rows)
        return replace(self, stages=stages, costs=costs, rows=rows, seconds=seconds)

    def score_of(self, reached: Mapping[tuple[int, ...], int]) -> float:
        """What to believe where the plan was cut short: ``reached`` images by the stages they have.

        The mean of their prefixes' scores, which knows nothing of whom it was more urgent for; for
        other sets that of their longest prefix.
        """
        total = sum(reached.values())
        if not self.prefix_scores or not total:
            return self.score
        scores = 0.0
        for stages, count in reached.items():
            prefix = next((k for k, stage in enumerate(stages) if k != stage), len(stages))
            scores += count * self.prefix_scores[prefix]
        return scores / total


@dataclass(frozen=True)
class Plans:
    """Plans for every budget, cheapest first, for the ensemble of that digest."""

    ensemble: str
    plans: tuple[Plan, ...]

    def __post_init__(self) -> None:
        if not self.plans:
            raise ValueError("there is no plan")


def predicted_seconds(stages: Sequence[Stage], costs: Costs, rows: int) -> float:
    """Seconds from the process's start to the file on disk, for ``rows`` images.

    An image is read and decoded once a pass for each size that the pass's stages need.
    """
    used = [stage for stage in stages if stage.share > 0]
    total = costs.base + costs.imports(stage.runtime for stage in used)
    for share, group in groupby(used, key=lambda stage: stage.share):
        members = list(group)
        per_image = costs.images(stage.size for stage in members)
        per_image += sum(stage.image_seconds for stage in members)
        total += share * rows * per_image + sum(stage.fixed_seconds for stage in members)
    return total


Combine = Callable[[Sequence[int], Array], Array]
"""Stages (ascending) and their predictions (stages, rows, targets) → blended (rows, targets)."""


def blend(weights: Array, predictions: Array, kind: Kind) -> Array:
    """(rows, targets) float64 of the stages' predictions (stages, rows, targets).

    Class rows sum to one and no probability is zero.
    """
    mixture = np.tensordot(np.asarray(weights, np.float64), predictions, 1)
    if kind == "values":
        return mixture
    if kind == "labels":
        return np.clip(mixture, FLOOR, 1 - FLOOR)
    mixture = np.maximum(mixture, FLOOR)
    return np.asarray(mixture / mixture.sum(axis=1, keepdims=True))


def urgency(rule: str, mixture: Array, predictions: Array, kind: Kind) -> Array:
    """(rows,): the higher, the sooner an image should go on to the next stage.

    ``mixture`` (rows, targets) blends the ``predictions`` (stages, rows, targets) of the stages
    that saw the rows. ``entropy`` and ``margin`` (the lead of the first class over the second) look
    at the mixture, ``spread`` at how far the stages are from it, ``high`` and ``low`` at its value.
    """
    if rule == "entropy":
        sides = [mixture, 1 - mixture] if kind == "labels" else [mixture]
        sure = [np.maximum(side, FLOOR) for side in sides]
        return -sum(np.sum(side * np.log(side), axis=1) for side in sure)
    if rule == "margin":
        if kind == "labels":
            return -np.abs(mixture - 0.5).mean(axis=1)
        first_two = np.partition(mixture, -2, axis=1)[:, -2:] if mixture.shape[1] > 1 else mixture
        return np.asarray(first_two[:, 0] - first_two[:, -1])
    if rule == "spread":
        return np.abs(predictions - mixture).mean(axis=(0, 2))
    if rule in ("high", "low"):
        return mixture.mean(axis=1) * (1 if rule == "high" else -1)
    raise ValueError(f"no rule is called {rule!r}")
