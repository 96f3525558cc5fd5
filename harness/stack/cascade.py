"""What the prefixes of an order of options score, and what sending some images on is worth.

Everything is nested: weights, priors and ranking rules that touch a fold's rows were fitted on the
other folds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from harness.metrics import Metric, get_metric
from harness.predict.plan import RULES, Kind, blend, urgency
from harness.stack.blend import Blend
from harness.stack.methods import METHODS, Method
from harness.stack.priced import Option
from harness.stack.problem import Array, Problem, Rows
from harness.stack.resample import row_values
from harness.stack.rules import Average
from harness.stack.subset import Blends

SHARES = np.unique(np.round(np.geomspace(0.01, 1.0, 48), 3))
"""Shares of the images that are tried."""
DOUBT = 1.0
"""Standard errors that are taken off what sending images on gains: chosen among thousands, a
cascade looks better than it is."""
SMOOTH = ("log_loss", "brier", "rmse", "mae")
"""Metrics that a search may look at itself; all of them are losses."""


def learner(problem: Problem) -> Method:
    """Return the method that may learn how to blend a plan's members."""
    return METHODS["ridge" if problem.kind == "values" else "logistic"]


@dataclass(frozen=True)
class Send:
    """What sending the first images on is worth, for every one of ``SHARES``.

    ``gain`` (shares,) is the mean loss over all rows that it takes off, less ``DOUBT`` standard
    errors; ``rule`` (shares,) indexes the kind's ``RULES``: the one that is best on all rows.
    """

    gain: Array
    rule: Array


class Nested:
    """Nested predictions of the members that options have bought, made once each.

    A set of members is blended by their mean, unless convex weights, or where ``learn`` was told to
    the learner, lose less than it by more than one standard error on rows that they were not
    fitted on. ``noise`` is, for each member, how much of its loss would go if infinitely many of
    its fold models were averaged; a blend keeps the square of its weight of that, over the number
    of models that were bought (Krogh and Vedelsby 1995).
    """

    def __init__(
        self, problem: Problem, options: Sequence[Option], noise: Mapping[str, float]
    ) -> None:
        self.problem, self.options, self.noise = problem, options, noise
        self.column = [problem.names.index(option.column) for option in options]
        folds = problem.fold_numbers(slice(None))
        self.fold = np.searchsorted(folds, problem.folds)
        self.fold_rows = [np.flatnonzero(problem.folds == fold) for fold in folds]
        self.other_rows = [np.flatnonzero(problem.folds != fold) for fold in folds]
        self.whole = Blends(problem, np.arange(len(problem.folds)))
        self.blends = [Blends(problem, rows) for rows in self.other_rows]
        self.prior = prior(problem, slice(None))
        self.prior_loss = _constant_loss(problem, self.prior)
        self.learner = learner(problem)
        self.luck = luck(problem, self.last(range(len(options))))
        self._averaged = {option.member for option in options if option.models[0]}
        self.method: dict[tuple[int, ...], str] = {}
        self._asked: set[tuple[int, ...]] = set()
        self._ordered: dict[tuple[int, ...], Blend] = {}
        self._blends: dict[tuple[int, ...], Blend] = {}
        self._predictions: dict[tuple[int, ...], Array] = {}
        self._losses: dict[tuple[int, ...], Array] = {}
        self._urgencies: dict[tuple[int, ...], Array] = {}

    def columns(self, chosen: Sequence[int]) -> tuple[int, ...]:
        """The problem's members, ascending, that hold what these options predict together."""
        return tuple(sorted(self.last(chosen).values()))

    def last(self, chosen: Sequence[int]) -> dict[str, int]:
        """{member: its column with all views that these options have bought}, as first bought."""
        found: dict[str, int] = {}
        for i in chosen:
            option = self.options[i]
            known = found.get(option.member)
            if known is None or option.views[1] > self._views[known]:
                found[option.member] = self.column[i]
        return found

    @cached_property
    def _views(self) -> dict[int, int]:
        return {c: o.views[1] for c, o in zip(self.column, self.options, strict=True)}

    def gain(self, chosen: Sequence[int], noise: Mapping[str, float] | None = None) -> float:
        """Return the loss that averaging the models which these options buy takes off the blend's.

        In the unit of ``noise``, by default that of the smooth loss.
        """
        noise = self.noise if noise is None else noise
        bought: dict[str, Option] = {}
        for i in chosen:
            option = self.options[i]
            if option.member not in bought or option.models[1] > bought[option.member].models[1]:
                bought[option.member] = option
        weights = self.weights(chosen)
        return sum(
            weights[member] ** 2 * noise[member] * (1 / option.known - 1 / option.models[1])
            for member, option in bought.items()
            if member in noise
        )

    def weights(self, chosen: Sequence[int]) -> dict[str, float]:
        """Each bought member's weight: those of the convex optimum, or all the same."""
        last, columns = self.last(chosen), self.columns(chosen)
        if not columns or self.method.get(columns, "mean") == "mean":
            return dict.fromkeys(last, 1 / max(1, len(last)))
        fitted = dict(zip(columns, self.whole.fit(columns)[1], strict=True))
        return {member: float(fitted[column]) for member, column in last.items()}

    def predictions(self, chosen: Sequence[int]) -> Array:
        """(rows, targets) of the blend of what ``chosen`` buys; of the prior if that is nothing."""
        key = self.columns(chosen)
        if key not in self._predictions:
            self._keep(key)
        return self._predictions[key]

    def losses(self, chosen: Sequence[int]) -> Array:
        """(rows,): what the blend loses on each row, less what averaging its models takes off.

        Its members' luck is taken off, too.
        """
        key = self.columns(chosen)
        if key not in self._losses:
            self._losses[key] = row_losses(self.problem, self.predictions(chosen))
        lucky = sum(weight * self.luck[member] for member, weight in self.weights(chosen).items())
        return self._losses[key] + (lucky - self.gain(chosen))

    def urgencies(self, chosen: Sequence[int]) -> Array:
        """(rules, rows): by each of the kind's rules, how urgent a row is after these options."""
        key = self.columns(chosen)
        if key not in self._urgencies:
            seen = self.problem.predictions[list(key)]
            self._urgencies[key] = urgencies(self.problem, self.predictions(chosen), seen)
        return self._urgencies[key]

    def blend(self, order: Sequence[int]) -> Blend:
        """The blend of what these options buy, members in the order of buying, for all rows."""
        columns = tuple(self.last(order).values())
        if columns not in self._blends:
            self.predictions(order)  # which decides on the method
            self._blends[columns] = self._fit(columns)
        return self._blends[columns]

    def _fit(self, columns: tuple[int, ...]) -> Blend:
        key = tuple(sorted(columns))
        method = self.method[key]
        if method == self.learner.name:
            return self._learner_for(columns, slice(None))
        part = _part(self.problem, columns)
        if method == "mean":
            return METHODS["mean"].fit(part, slice(None), 0)
        fitted = dict(zip(key, self.whole.fit(key)[1], strict=True))
        rule = Average(tuple(float(fitted[column]) for column in columns))
        return Blend(method, part.task, len(columns), part.predictions.shape[2], rule)

    def quick_loss(self, chosen: Sequence[int]) -> float:
        """The learner's mean loss on the rows it was fitted on: to compare sets of one size."""
        key = self.columns(chosen)
        if key not in self._ordered:
            self._ordered[key] = self._learner_for(key, slice(None))
        found = self._ordered[key].apply(self.problem.predictions[list(key)])
        return float(row_losses(self.problem, found).mean())

    def learn(self, chosen: Sequence[int]) -> None:
        """Let the learner blend what these options buy, if that is better beyond noise.

        Not where fold models can be averaged: it learns how sure single models are, and averages
        are less sure already.
        """
        key = self.columns(chosen)
        if key in self._asked or not key or self._averaged & set(self.last(chosen)):
            return
        self._asked.add(key)
        found = np.empty(self.problem.predictions.shape[1:])
        for rows, others in zip(self.fold_rows, self.other_rows, strict=True):
            seen = self.problem.predictions[list(key)][:, rows]
            found[rows] = self._learner_for(key, others).apply(seen)
        if self._better(found, self.predictions(chosen)):
            self._set(key, self.learner.name, found)

    def _keep(self, key: tuple[int, ...]) -> None:
        """Blend by the mean, or by convex weights where they are better beyond noise."""
        problem = self.problem
        if not key:
            found = np.empty(problem.predictions.shape[1:])
            for rows, others in zip(self.fold_rows, self.other_rows, strict=True):
                found[rows] = prior(problem, others)
            self._set(key, "mean", found)
            return
        seen = problem.predictions[list(key)]
        self._set(key, "mean", blend(np.full(len(key), 1 / len(key)), seen, problem.kind))
        if len(key) == 1:
            return
        found = np.empty(problem.predictions.shape[1:])
        for rows, blends in zip(self.fold_rows, self.blends, strict=True):
            found[rows] = blend(blends.fit(key)[1], seen[:, rows], problem.kind)
        if self._better(found, self._predictions[key]):
            self._set(key, "weighted", found)

    def _better(self, found: Array, before: Array) -> bool:
        """Return whether predictions lose less than others by more than the difference's error."""
        gained = row_losses(self.problem, before) - row_losses(self.problem, found)
        return bool(gained.mean() > gained.std() / np.sqrt(len(gained)))

    def _set(self, key: tuple[int, ...], method: str, predictions: Array) -> None:
        self.method[key] = method
        self._blends.clear()
        self._predictions[key] = predictions
        self._losses.pop(key, None)
        self._urgencies.pop(key, None)

    def _learner_for(self, columns: Sequence[int], rows: Rows | slice) -> Blend:
        # two inner parts choose a penalty as well, in half the time
        part = replace(_part(self.problem, columns), folds=self.fold % 2)
        return self.learner.fit(part, rows, 0)


def luck(problem: Problem, columns: Mapping[str, int]) -> dict[str, float]:
    """Return by how much each member's own loss is likely to look too low (or too high: negative).

    ``columns``: {member: its place in the problem}. The losses of members that differ no more than
    chance makes them differ are shrunk to their mean (James and Stein 1961): the noise is that of
    each member's paired difference from the mean loss. Without this, what is added to an ensemble
    would depend on which of several equal members looks best.
    """
    losses = np.stack([row_losses(problem, problem.predictions[i]) for i in columns.values()])
    count, own = len(columns), losses.mean(axis=1)
    if count < 4:
        return dict.fromkeys(columns, 0.0)
    noise = float(np.mean((losses - losses.mean(axis=0)).var(axis=1))) / losses.shape[1]
    spread = float(own.var(ddof=1))
    shrunk = min(1.0, (count - 3) / (count - 1) * noise / max(spread, 1e-300))
    away = shrunk * (own.mean() - own)
    return {member: float(one) for member, one in zip(columns, away, strict=True)}


def urgencies(problem: Problem, mixture: Array, seen: Array) -> Array:
    """(rules, rows) of a mixture (rows, targets) of ``seen`` (members, rows, targets)."""
    kind = problem.kind
    return np.stack([urgency(rule, mixture, seen, kind) for rule in RULES[kind]])


def _part(problem: Problem, columns: Sequence[int]) -> Problem:
    return replace(problem.of_members(columns), metadata=None)


def prior(problem: Problem, rows: Rows | slice) -> Array:
    """(targets,): what is known without looking at an image: class shares, or the mean value."""
    truth = problem.truth[rows]
    if problem.kind == "classes":
        counts = np.bincount(truth, minlength=problem.predictions.shape[2])
        return (counts + 0.5) / (counts + 0.5).sum()
    if problem.kind == "labels":
        return (truth.sum(axis=0) + 0.5) / (len(truth) + 1)
    return np.array([truth.mean()])


def _constant_loss(problem: Problem, constant: Array) -> float:
    """What predicting the prior everywhere loses, on the scale of ``Blends``."""
    shape = (1, *problem.predictions.shape[1:])
    predictions = np.broadcast_to(constant.astype(np.float32), shape)
    bare = replace(problem, names=("prior",), predictions=predictions)
    return Blends(bare, np.arange(len(problem.folds))).fit((0,))[0]


def row_losses(problem: Problem, predictions: Array) -> Array:
    """(rows,): each row's part of ``smooth_metric``, lower is better (its square for RMSE)."""
    metric = smooth_metric(problem.metric, problem.kind)
    return row_values(metric, problem.truth, predictions)


def smooth_metric(metric: Metric, kind: Kind) -> Metric:
    """Return the metric itself where it is smooth and a mean over rows, else log loss or RMSE.

    A search on decisions would pick what looks best by luck.
    """
    if metric.family in SMOOTH:
        return metric
    return get_metric("rmse" if kind == "values" else "log_loss")


def send(nested: Nested, urgencies: Array, gain: Array, among: Array) -> Send:
    """What it is worth to send rows on, most urgent first.

    ``urgencies`` (rules, rows), ``gain`` (rows,) what each row would gain, ``among`` (rows,) bool
    which rows may go. The rule for a fold's rows is the best of the other folds'.
    """
    rows, folds = len(gain), len(nested.fold_rows)
    parts = np.zeros((len(urgencies), folds, len(SHARES)))
    squares = np.zeros((len(urgencies), len(SHARES)))
    candidates = np.flatnonzero(among)
    for part, square, values in zip(parts, squares, urgencies, strict=True):
        order = candidates[np.argsort(-values[candidates], kind="stable")]
        bins = np.searchsorted(np.round(SHARES * rows), np.arange(len(order)), side="right")
        inside = bins < len(SHARES)
        cells = nested.fold[order[inside]] * len(SHARES) + bins[inside]
        sums = np.bincount(cells, gain[order[inside]], minlength=folds * len(SHARES))
        part[:] = sums.reshape(folds, -1).cumsum(axis=1)
        places = bins[inside]
        square[:] = np.bincount(places, gain[order[inside]] ** 2, len(SHARES)).cumsum()
    totals = parts.sum(axis=1)
    chosen = (totals[:, None] - parts).argmax(axis=0)  # (folds, shares)
    gained = np.take_along_axis(parts, chosen[None], 0)[0].sum(axis=0)
    best = totals.argmax(axis=0)
    error = np.sqrt(np.take_along_axis(squares, best[None], 0)[0])
    return Send((gained - DOUBT * error) / rows, best)
