"""What the prefixes of an order of options score, and what sending some images on is worth.

Everything is nested: weights, priors and ranking rules that touch a fold's rows were fitted on the
other folds.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from harness.metrics import get_metric
from harness.predict.plan import RULES, blend, urgency
from harness.stack.blend import Blend
from harness.stack.methods import METHODS
from harness.stack.problem import Array, Problem, Rows
from harness.stack.resample import ROW_METRICS, row_values
from harness.stack.rules import Average
from harness.stack.subset import Blends

SHARES = np.unique(np.round(np.geomspace(0.01, 1.0, 48), 3))
"""Shares of the images that are tried."""


@dataclass(frozen=True)
class Send:
    """What sending the first images on is worth, for every one of ``SHARES``.

    ``gain`` (shares,) is the mean loss over all rows that it takes off; ``rule`` (shares,) indexes
    the kind's ``RULES``: the one that is best on all rows.
    """

    gain: Array
    rule: Array


class Nested:
    """Nested predictions of blends of any options, made once each.

    A set of options is blended by convex weights; where ``learn`` was told to, by the learner
    instead if that lost less on rows that neither was fitted on.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        folds = problem.fold_numbers(slice(None))
        self.fold = np.searchsorted(folds, problem.folds)
        self.fold_rows = [np.flatnonzero(problem.folds == fold) for fold in folds]
        self.other_rows = [np.flatnonzero(problem.folds != fold) for fold in folds]
        self.whole = Blends(problem, np.arange(len(problem.folds)))
        self.blends = [Blends(problem, rows) for rows in self.other_rows]
        self.prior = prior(problem, slice(None))
        self.prior_loss = _constant_loss(problem, self.prior)
        self.learner = METHODS["ridge" if problem.kind == "values" else "logistic"]
        self.learned: set[tuple[int, ...]] = set()
        self._refused: set[tuple[int, ...]] = set()
        self._ordered: dict[tuple[int, ...], Blend] = {}
        self._predictions: dict[tuple[int, ...], Array] = {}
        self._losses: dict[tuple[int, ...], Array] = {}
        self._urgencies: dict[tuple[int, ...], Array] = {}

    def predictions(self, options: Sequence[int]) -> Array:
        """(rows, targets) of the blend of ``options``; of the prior if there are none."""
        key = tuple(sorted(options))
        if key not in self._predictions:
            self._predictions[key] = self._predict(key)
        return self._predictions[key]

    def losses(self, options: Sequence[int]) -> Array:
        """(rows,): what the blend loses on each row; see ``row_losses``."""
        key = tuple(sorted(options))
        if key not in self._losses:
            self._losses[key] = row_losses(self.problem, self.predictions(key))
        return self._losses[key]

    def urgencies(self, options: Sequence[int]) -> Array:
        """(rules, rows): by each of the kind's rules, how urgent a row is after these options."""
        key = tuple(sorted(options))
        if key not in self._urgencies:
            seen, mixture = self.problem.predictions[list(key)], self.predictions(key)
            kind = self.problem.kind
            rules = [urgency(rule, mixture, seen, kind) for rule in RULES[kind]]
            self._urgencies[key] = np.stack(rules)
        return self._urgencies[key]

    def blend(self, order: Sequence[int]) -> Blend:
        """The blend of these options, in this order, fitted on all rows."""
        key = tuple(sorted(order))
        if key in self.learned:
            if (
                tuple(order) not in self._ordered
            ):  # a learner's numbers belong to its members' order
                self._ordered[tuple(order)] = self._learner_for(order, slice(None))
            return self._ordered[tuple(order)]
        fitted = dict(zip(key, self.whole.fit(key)[1], strict=True))
        rule = Average(tuple(float(fitted[i]) for i in order))
        targets = self.problem.predictions.shape[2]
        return Blend("weighted", self.problem.task, len(order), targets, rule)

    def quick_loss(self, options: Sequence[int]) -> float:
        """The learner's mean loss on the rows it was fitted on: to compare sets of one size."""
        key = tuple(sorted(options))
        if key not in self._ordered:
            self._ordered[key] = self._learner_for(key, slice(None))
        found = self._ordered[key].apply(self.problem.predictions[list(key)])
        return float(row_losses(self.problem, found).mean())

    def learn(self, options: Sequence[int]) -> None:
        """Let the learner blend these options, if its nested loss is the lower one."""
        key = tuple(sorted(options))
        if key in self.learned or key in self._refused:
            return
        found = np.empty(self.problem.predictions.shape[1:])
        for rows, others in zip(self.fold_rows, self.other_rows, strict=True):
            seen = self.problem.predictions[list(key)][:, rows]
            found[rows] = self._learner_for(key, others).apply(seen)
        if row_losses(self.problem, found).mean() < self.losses(key).mean():
            self.learned.add(key)
            self._predictions[key] = found
            self._losses.pop(key, None)
            self._urgencies.pop(key, None)
        else:
            self._refused.add(key)

    def _learner_for(self, order: Sequence[int], rows: Rows | slice) -> Blend:
        problem = self.problem
        part = replace(
            problem,
            names=tuple(problem.names[i] for i in order),
            predictions=problem.predictions[list(order)],
            folds=problem.folds % 2,  # two inner parts choose a penalty as well, in half the time
            metadata=None,
        )
        return self.learner.fit(part, rows, 0)

    def _predict(self, key: tuple[int, ...]) -> Array:
        problem = self.problem
        found = np.empty(problem.predictions.shape[1:])
        for i, rows in enumerate(self.fold_rows):
            if key:
                seen = problem.predictions[list(key)][:, rows]
                found[rows] = blend(self.blends[i].fit(key)[1], seen, problem.kind)
            else:
                found[rows] = prior(problem, self.other_rows[i])
        return found


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
    """(rows,): each row's part of the metric, lower is better.

    For a metric that is no mean over rows, that of the smooth loss in its place.
    """
    metric = problem.metric
    if metric.family not in ROW_METRICS:
        metric = get_metric("rmse" if problem.kind == "values" else "log_loss")
    values = row_values(metric, problem.truth, predictions)
    return -values if metric.greater_is_better else values


def send(nested: Nested, urgencies: Array, gain: Array, among: Array) -> Send:
    """What it is worth to send rows on, most urgent first.

    ``urgencies`` (rules, rows), ``gain`` (rows,) what each row would gain, ``among`` (rows,) bool
    which rows may go. The rule for a fold's rows is the best of the other folds'.
    """
    rows, folds = len(gain), len(nested.fold_rows)
    parts = np.zeros((len(urgencies), folds, len(SHARES)))
    candidates = np.flatnonzero(among)
    for part, values in zip(parts, urgencies, strict=True):
        order = candidates[np.argsort(-values[candidates], kind="stable")]
        bins = np.searchsorted(np.round(SHARES * rows), np.arange(len(order)), side="right")
        inside = bins < len(SHARES)
        cells = nested.fold[order[inside]] * len(SHARES) + bins[inside]
        sums = np.bincount(cells, gain[order[inside]], minlength=folds * len(SHARES))
        part[:] = sums.reshape(folds, -1).cumsum(axis=1)
    totals = parts.sum(axis=1)
    chosen = (totals[:, None] - parts).argmax(axis=0)  # (folds, shares)
    gained = np.take_along_axis(parts, chosen[None], 0)[0].sum(axis=0)
    return Send(gained / rows, totals.argmax(axis=0))
