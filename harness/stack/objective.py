"""What a mixture of members loses, fast enough for thousands of trials.

Greedy selection and weight search both add to the weight of one member at a time. An
``Objective`` says what every such step would lose, without copying the members once a candidate.
"""

from collections.abc import Callable
from typing import Protocol

import numpy as np

from harness.metrics import decide
from harness.stack.link import FLOOR
from harness.stack.problem import Array, Problem, Rows
from harness.stack.resample import CONFUSION_METRICS, scorer

PIECE = 1 << 15
"""Numbers handled at once, so that temporaries stay in the processor's cache."""


class Objective(Protocol):
    """The losses of mixtures of members; lower is better. Weights need not sum to one."""

    def loss(self, weights: Array) -> float:
        """The loss of one mixture (members,)."""

    def losses(self, weights: Array, amount: float) -> Array:
        """(members,): the loss after adding ``amount`` to each member's weight in turn.

        Infinite where a negative amount would leave a negative weight, or nothing at all.
        """


def objective_for(problem: Problem, rows: Rows) -> Objective:
    """The fastest exact objective for the problem's metric on ``rows``."""
    metric = problem.metric.name
    if metric == "log_loss":
        return LogObjective(true_probability(problem, rows))
    if metric in ("brier", "rmse"):
        return SquareObjective(error_products(problem, rows))
    if problem.kind == "classes" and metric in CONFUSION_METRICS:
        return LabelObjective(problem, rows)
    if problem.kind == "classes" and metric == "roc_auc":
        return RankObjective(problem, rows)
    return GeneralObjective(problem, rows)


def _rows_of(member: Array, rows: Rows) -> Array:
    """A member's predictions on ``rows``, without a copy where they are one piece."""
    if rows[-1] - rows[0] + 1 == len(rows):
        return member[rows[0] : rows[-1] + 1]
    return np.asarray(member[rows])


def _possible(weights: Array, amount: float) -> Array:
    return np.asarray((weights + amount >= -1e-12) & (weights.sum() + amount > 1e-12))


class _Mixture:
    """The weighted sum of members; a step that changes few weights costs few additions."""

    def __init__(self, member: Callable[[int], Array], members: int) -> None:
        self.member = member
        self.weights = np.zeros(members)
        self.total = np.zeros_like(member(0), dtype=np.float32)

    def at(self, weights: Array) -> Array:
        """The sum at ``weights``; not to be written to."""
        changed = np.flatnonzero(weights != self.weights)
        if 2 * len(changed) > np.count_nonzero(weights):  # afresh: no rounding piles up
            self.total = np.zeros_like(self.total)
            self.weights = np.zeros_like(self.weights)
            changed = np.flatnonzero(weights)
        for i in changed:
            self.total += np.float32(weights[i] - self.weights[i]) * self.member(int(i))
        self.weights = weights.copy()
        return self.total


class LogObjective:
    """Log loss: only each member's probability of what came true matters."""

    def __init__(self, cells: Array) -> None:
        self.cells = cells

    def loss(self, weights: Array) -> float:
        mixture = (weights / weights.sum()).astype(np.float32) @ self.cells
        return -float(np.log(mixture).mean(dtype=np.float64))

    def losses(self, weights: Array, amount: float) -> Array:
        members, cells = self.cells.shape
        possible, whole = _possible(weights, amount), weights.sum() + amount
        if not possible.any():
            return np.full(members, np.inf)
        mixture = (weights / whole).astype(np.float32) @ self.cells
        total = np.zeros(members)
        buffer = np.empty(PIECE, dtype=np.float32)
        for start in range(0, cells, PIECE):
            piece = self.cells[:, start : start + PIECE]
            trial = buffer[: piece.shape[1]]
            for i in range(members):
                np.multiply(piece[i], np.float32(amount / whole), out=trial)
                trial += mixture[start : start + PIECE]
                np.maximum(trial, FLOOR, out=trial)
                np.log(trial, out=trial)
                total[i] -= trial.sum(dtype=np.float64)
        return np.where(possible, total / cells, np.inf)


class SquareObjective:
    """Brier score and squared error: only the products of the members' errors matter."""

    def __init__(self, products: Array) -> None:
        self.products = products

    def loss(self, weights: Array) -> float:
        return float(weights @ self.products @ weights) / float(weights.sum()) ** 2

    def losses(self, weights: Array, amount: float) -> Array:
        possible = _possible(weights, amount)
        if not possible.any():
            return np.full(len(weights), np.inf)
        towards = self.products @ weights
        total = float(weights @ towards) + 2 * amount * towards + amount**2 * np.diag(self.products)
        return np.where(possible, total / (weights.sum() + amount) ** 2, np.inf)


class LabelObjective:
    """Metrics of the decided class alone.

    A step changes a row's decision only where the member decides otherwise and outweighs the lead
    of the class decided for; only those rows are decided again.
    """

    def __init__(self, problem: Problem, rows: Rows) -> None:
        members, _, self.classes = problem.predictions.shape
        self.predictions, self.rows, self.truth = problem.predictions, rows, problem.truth[rows]
        self.mixture = _Mixture(lambda i: _rows_of(problem.predictions[i], rows), members)
        self.alone = np.stack(
            [decide(_rows_of(member, rows)).astype(np.uint16) for member in problem.predictions]
        )
        self.sign = -1 if problem.metric.greater_is_better else 1
        self.of_table = CONFUSION_METRICS[problem.metric.name]

    def loss(self, weights: Array) -> float:
        return self._loss(self._table(self.truth, decide(self.mixture.at(weights))))

    def losses(self, weights: Array, amount: float) -> Array:
        if not weights.any() and amount > 0:
            return np.array([self._loss(self._table(self.truth, alone)) for alone in self.alone])
        mixture = self.mixture.at(weights)
        decided, lead = _decide_with_lead(mixture)
        table = self._table(self.truth, decided)
        lead -= 1e-6 * weights.sum()  # some slack: float32 sums may differ in the last place
        near = np.flatnonzero(lead <= abs(amount))
        decided, lead = decided[near], lead[near]
        losses = np.full(len(weights), np.inf)
        for i in np.flatnonzero(_possible(weights, amount)):
            again = self._may_change(int(i), amount, near, decided, lead)
            rows = near[again]
            member = self.predictions[i][self.rows[rows]]
            new = decide(mixture[rows] + np.float32(amount) * member)
            truth = self.truth[rows]
            change = self._table(truth, new) - self._table(truth, decided[again])
            losses[i] = self._loss(table + change)
        return losses

    def _may_change(
        self, member: int, amount: float, near: Rows, decided: Array, lead: Array
    ) -> Rows:
        """Positions in ``near`` whose decision the step may change."""
        predictions = self.predictions[member]
        if amount < 0:  # taking a member out: the class decided for may lose all it gave
            return np.flatnonzero(-amount * predictions[self.rows[near], decided] >= lead)
        other = self.alone[member][near]
        differs = np.flatnonzero(other != decided)
        first = self.rows[near[differs]] * self.classes
        numbers = predictions.reshape(-1)
        gain = numbers.take(first + other[differs]) - numbers.take(first + decided[differs])
        return differs[amount * gain >= lead[differs]]

    def _table(self, truth: Array, decided: Array) -> Array:
        counts = np.bincount(truth * self.classes + decided, minlength=self.classes**2)
        return counts.reshape(self.classes, self.classes)

    def _loss(self, table: Array) -> float:
        return self.sign * float(self.of_table(table[None])[0])


def _decide_with_lead(probabilities: Array) -> tuple[Array, Array]:
    """The class decided for, and its lead over the next; column by column, as rows are short."""
    first = probabilities[:, 0].copy()
    second = np.full_like(first, -np.inf)
    decided = np.zeros(len(first), dtype=np.uint16)
    for code, column in enumerate(probabilities.T[1:], start=1):
        np.putmask(decided, column > first, code)
        np.maximum(second, np.minimum(first, column), out=second)
        np.maximum(first, column, out=first)
    return decided, first - second


class RankObjective:
    """Area under the ROC curve, the mean over classes; one column is enough for two.

    Sorting dominates, and sorting integers is fastest: a probability's bits order like the
    probability, and its last bit can carry the label. Where rows tie it is done both ways round,
    because they count one half.
    """

    def __init__(self, problem: Problem, rows: Rows) -> None:
        members, _, classes = problem.predictions.shape
        codes = np.array([1]) if classes == 2 else np.arange(classes)
        positive = problem.truth[rows] == codes[:, None]
        known = positive.any(axis=1) & ~positive.all(axis=1)
        codes, self.positive = codes[known], positive[known].astype(np.int32)
        self.columns = np.ascontiguousarray(
            problem.predictions[:, rows][:, :, codes].transpose(0, 2, 1)
        )
        self.mixture = _Mixture(self.columns.__getitem__, members)
        self.count = self.positive.sum(axis=1)
        self.ranks = np.arange(1, len(rows) + 1, dtype=np.float64)

    def loss(self, weights: Array) -> float:
        return self._loss(self.mixture.at(weights))

    def losses(self, weights: Array, amount: float) -> Array:
        mixture = self.mixture.at(weights)
        losses = np.full(len(weights), np.inf)
        for i in np.flatnonzero(_possible(weights, amount)):
            losses[i] = self._loss(mixture + np.float32(amount) * self.columns[i])
        return losses

    def _loss(self, mixture: Array) -> float:
        rows = mixture.shape[1]
        bits = np.maximum(mixture, 0).view(np.int32) & ~1
        ordered = np.sort(bits | self.positive, axis=1)  # positives last among ties
        rank_sum = (ordered & 1) @ self.ranks
        if np.any(ordered[:, 1:] ^ ordered[:, :-1] <= 1):
            other = np.sort(bits | (1 - self.positive), axis=1)
            rank_sum = (rank_sum + (1 - (other & 1)) @ self.ranks) / 2
        pairs = self.count * (rows - self.count)
        return -float(np.mean((rank_sum - self.count * (self.count + 1) / 2) / pairs))


class GeneralObjective:
    """Any metric, by scoring every mixture."""

    def __init__(self, problem: Problem, rows: Rows) -> None:
        self.metric, self.truth = problem.metric, problem.truth[rows]
        self.predictions, self.rows = problem.predictions, rows
        self.mixture = _Mixture(self._member, len(problem.names))
        self.sign = -1 if problem.metric.greater_is_better else 1
        self.once = np.ones((1, len(rows)), dtype=np.float32)

    def loss(self, weights: Array) -> float:
        return self._loss(self.mixture.at(weights) / weights.sum())

    def losses(self, weights: Array, amount: float) -> Array:
        mixture, whole = self.mixture.at(weights), weights.sum() + amount
        losses = np.full(len(weights), np.inf)
        for i in np.flatnonzero(_possible(weights, amount)):
            losses[i] = self._loss((mixture + amount * self._member(int(i))) / whole)
        return losses

    def _member(self, member: int) -> Array:
        return _rows_of(self.predictions[member], self.rows)

    def _loss(self, mixture: Array) -> float:
        return self.sign * float(scorer(self.metric, self.truth, mixture)(self.once)[0])


def true_probability(problem: Problem, rows: Rows) -> Array:
    """(members, cells) float32: each member's probability of what came true, above zero.

    A cell is a row, or a row's label where there are several.
    """
    truth = problem.truth[rows]
    cells = np.empty((len(problem.names), truth.size), dtype=np.float32)
    for i, member in enumerate(problem.predictions):
        if problem.kind == "classes":
            cells[i] = member[rows, truth]
        else:
            chosen = member[rows]
            cells[i] = np.where(truth == 1, chosen, 1 - chosen).ravel()
    return np.maximum(cells, FLOOR, out=cells)


def error_products(problem: Problem, rows: Rows) -> Array:
    """(members, members): mean products of the members' errors, on the Brier score's scale."""
    truth = problem.truth[rows]
    if problem.kind == "classes":
        truth = truth[:, None] == np.arange(problem.predictions.shape[2])
    truth = truth.reshape(len(rows), -1)
    members = len(problem.names)
    products = np.zeros((members, members))
    step = max(1, (1 << 22) // problem.predictions[:, 0].size)
    for start in range(0, len(rows), step):
        piece = slice(start, start + step)
        error = problem.predictions[:, rows[piece]] - truth[piece].astype(np.float64)
        error = error.reshape(members, -1)
        products += error @ error.T
    # of two classes the second says all; of labels it is their mean (metrics.functions.row_brier)
    targets = truth.shape[1]
    alike = targets if problem.kind == "labels" or targets == 2 else 1
    return np.asarray(products / (len(rows) * alike))
