"""The rules by which others choose members under a limit of seconds.

A peer's choice is an ensemble that every image gets: options with fixed weights. All are charged
with the same predicted seconds, whatever the peer would have thought it costs.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from harness.predict.plan import blend
from harness.stack.objective import Objective, objective_for
from harness.stack.priced import Prices, whole
from harness.stack.problem import Array, Problem
from harness.stack.select import Selection
from harness.stack.weights import greedy

STEPS = 25
"""Steps of greedy selection, as AutoGluon 1.6 takes them."""
COST_WEIGHTS = (0.0, *np.geomspace(1e-4, 1.0, 13))
"""What seconds weigh against score in statically weighted selection, from nothing to everything."""


@dataclass(frozen=True)
class Choice:
    """Options with their weights, for all images; none means that only the prior fits.

    ``seconds`` are the whole process's. ``score`` is on the OOF rows that weights were fitted on.
    """

    options: tuple[int, ...]
    weights: tuple[float, ...]
    seconds: float
    score: float


class Peers:
    """How others choose under a limit, from the same members; one of a member's views each.

    ``options`` are all fold models of a member in one number of views, in the order of the
    problem's columns.
    """

    def __init__(self, selection: Selection) -> None:
        self.problem = selection.problem
        of_column = {
            column: whole(bought, views)
            for bought in selection.purchases
            for views, column in bought.columns.items()
        }
        self.options = [of_column[name] for name in self.problem.names]
        self.prior = selection.nested.prior
        self.prices = Prices(self.options, selection.costs, selection.rows)
        rows = np.arange(len(self.problem.folds))
        self.objective: Objective = objective_for(self.problem, rows)
        self.alone = self.objective.losses(np.zeros(len(self.options)), 1.0)
        self.seconds = [self.prices.of_all((i,)) for i in range(len(self.options))]
        self.statics = [self._static(float(weight)) for weight in COST_WEIGHTS]
        self.rules: dict[str, Callable[[float], Choice]] = {
            "best_single": self.best_single,
            "mean_of_fastest": self.mean_of_fastest,
            "autogluon": self.autogluon,
            "static_cost": self.static_cost,
        }

    def best_single(self, budget: float) -> Choice:
        """The best option that fits."""
        fitting = [i for i, seconds in enumerate(self.seconds) if seconds <= budget]
        return self._choice({min(fitting, key=self._loss_of): 1.0} if fitting else {})

    def mean_of_fastest(self, budget: float) -> Choice:
        """The plain mean of the fastest members, as many as fit."""
        chosen: list[int] = []
        for i in sorted(self._one_each(self.seconds), key=self.seconds.__getitem__):
            if self.prices.of_all((*chosen, i)) > budget:
                break
            chosen.append(i)
        return self._choice(dict.fromkeys(chosen, 1 / max(1, len(chosen))))

    def autogluon(self, budget: float) -> Choice:
        """AutoGluon 1.6's ``infer_limit``: what is over the limit goes, then the worst score first
        until the plain sum fits; then greedy selection that knows no cost.

        If nothing fits it takes what is within 1.2 times the fastest member: that may be late.
        """
        base = self.prices.costs.base
        members = self._one_each([float(loss) for loss in self.alone])
        kept = [i for i in members if self.seconds[i] <= budget]
        if not kept:
            least = min(self.seconds[i] for i in members) - base
            kept = [i for i in members if self.seconds[i] - base <= 1.2 * least]
            budget = base + 1.2 * least
        kept.sort(key=self._loss_of)
        while len(kept) > 1 and base + sum(self.seconds[i] - base for i in kept) > budget:
            kept.pop()
        weights = greedy(
            self.objective, np.array(kept), len(self.seconds), steps=STEPS, patience=None
        )
        return self._choice({i: float(weights[i]) for i in kept if weights[i] > 0})

    def static_cost(self, budget: float) -> Choice:
        """Greedy selection by score and seconds under fixed weights (HA-ES, arXiv 2408.02280;
        HAPEns, 2603.10582): of the ensembles that the weights lead to, the best that fits."""
        fitting = [one for path in self.statics for one in path if one.seconds <= budget]
        sign = 1 if self.problem.metric.greater_is_better else -1
        return max(fitting, key=lambda one: sign * one.score, default=self._choice({}))

    def _static(self, cost_weight: float) -> list[Choice]:
        """Every ensemble on the path of greedy selection under one weight of cost."""
        members = self._one_each([float(loss) for loss in self.alone])
        spread = float(np.ptp(self.alone[members])) or 1.0
        whole = max(self.seconds) or 1.0
        counts = np.zeros(len(self.seconds))
        path: list[Choice] = []
        for _ in range(STEPS):
            losses = self.objective.losses(counts, 1.0) / spread
            used = [int(i) for i in np.flatnonzero(counts)]
            blamed = {
                i: losses[i] + cost_weight * self.prices.of_all(sorted({*used, i})) / whole
                for i in members
            }
            counts[min(blamed, key=blamed.__getitem__)] += 1
            used = [int(i) for i in np.flatnonzero(counts)]
            path.append(self._choice({i: float(counts[i] / counts.sum()) for i in used}))
        return path

    def _one_each(self, blame: Sequence[float]) -> list[int]:
        """Each member's least blamed option: peers know no variants of a member."""
        best: dict[str, int] = {}
        for i, member in enumerate(option.member for option in self.options):
            if member not in best or blame[i] < blame[best[member]]:
                best[member] = i
        return sorted(best.values())

    def _loss_of(self, i: int) -> float:
        return float(self.alone[i])

    def _choice(self, weights: Mapping[int, float]) -> Choice:
        chosen = tuple(weights)
        return Choice(
            chosen,
            tuple(weights.values()),
            self.prices.of_all(chosen),
            self.problem.metric.score(self.problem.truth, self._predictions(weights)),
        )

    def _predictions(self, weights: Mapping[int, float]) -> Array:
        problem: Problem = self.problem
        if not weights:
            return np.tile(self.prior, (len(problem.folds), 1))
        seen = problem.predictions[list(weights)]
        return blend(np.array(list(weights.values())), seen, problem.kind)
