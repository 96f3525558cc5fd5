"""Which options to buy: the subset whose best blend loses least among those that are affordable.

The loss of a subset is that of its convex optimum (log loss, or squared error), so it can only
fall when an option is added. That makes it a bound: what a node of the search could still reach is
no better than the blend of all that it has not excluded (branch and bound: Land and Doig 1960).
"""

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from harness.stack.inner import thinned
from harness.stack.objective import error_products, true_probability
from harness.stack.problem import Array, Problem, Rows
from harness.stack.simplex import log_optimum, square_optimum

EXACT_OPTIONS = 16
NODES = 500
"""Nodes that a search over more options than ``EXACT_OPTIONS`` may look at."""
SEARCH_ROWS = 20_000
NEGLIGIBLE = 1e-6
"""A weight below this is rounding: the option is not used."""
TOLERANCE = 1e-9

Fit = Callable[[Sequence[int]], tuple[float, Array]]
"""Options → their best blend's loss and its weights, in the given order."""
Seconds = Callable[[Sequence[int]], float]


@dataclass(frozen=True)
class Subset:
    """Options (ascending) with the loss of their best blend.

    ``gap`` is how much lower the loss of the best subset could at most be: 0 where the search was
    exhaustive.
    """

    options: tuple[int, ...]
    loss: float
    seconds: float
    gap: float


class Blends:
    """Losses of the best blends of subsets of a problem's members, each fitted once."""

    def __init__(self, problem: Problem, rows: Rows) -> None:
        rows = thinned(rows, SEARCH_ROWS, 0)
        self.squared = problem.metric.name == "brier" or problem.kind == "values"
        self.data = error_products(problem, rows) if self.squared else None
        if self.data is None:
            self.data = true_probability(problem, rows).astype(np.float64)
        self.known: dict[tuple[int, ...], tuple[float, Array]] = {}

    def fit(self, options: Sequence[int]) -> tuple[float, Array]:
        """The least loss of a blend of these members, and its weights."""
        key = tuple(options)
        if key not in self.known:
            self.known[key] = self._fit(list(key))
        return self.known[key]

    def _fit(self, chosen: list[int]) -> tuple[float, Array]:
        assert self.data is not None
        if self.squared:
            gram = self.data[np.ix_(chosen, chosen)]
            weights = square_optimum(gram)
            return float(weights @ gram @ weights), weights
        cells = self.data[chosen]
        weights = log_optimum(cells)
        return -float(np.log(weights @ cells).mean()), weights


def best_subset(
    fit: Fit, options: int, seconds: Seconds, budget: float, *, nodes: int | None = None
) -> Subset | None:
    """The affordable subset of so many ``options`` that loses least; None if there is none.

    ``seconds`` must not fall when an option is added. Exact for up to ``EXACT_OPTIONS``; for more,
    or where ``nodes`` limits it, the search stops there and tells the gap to its bound.
    """
    search = _Search(fit, options, seconds, budget)
    if nodes is None and options > EXACT_OPTIONS:
        nodes = NODES
    return search.run(nodes)


def pareto_subsets(fit: Fit, options: int, seconds: Seconds, *, step: float = 0.01) -> list[Subset]:
    """Subsets from the dearest to the cheapest, each the best for its seconds.

    Depends on no budget: each search is given a little less (``step``) than the last one spent.
    """
    front: list[Subset] = []
    budget = np.inf
    while (found := best_subset(fit, options, seconds, budget)) is not None:
        front.append(found)
        budget = found.seconds * (1 - step)
    return front


class _Search:
    def __init__(self, fit: Fit, options: int, seconds: Seconds, budget: float) -> None:
        self.fit, self.options, self.seconds, self.budget = fit, options, seconds, budget
        self.best: Subset | None = None

    def run(self, nodes: int | None) -> Subset | None:
        everything = self._reachable((), range(self.options))
        if not everything:
            return None
        heap = [self._node((), everything)]
        looked_at = 0
        while heap and heap[0][0] < self._least():
            if nodes is not None and looked_at >= nodes:
                break
            looked_at += 1
            for child in self._branch(*heapq.heappop(heap)):
                if child[0] < self._least():
                    heapq.heappush(heap, child)
        assert self.best is not None  # every node rounds to an affordable subset
        bound = heap[0][0] if heap else self.best.loss
        gap = max(0.0, self.best.loss - bound)
        return Subset(
            self.best.options, self.best.loss, self.best.seconds, gap if gap > TOLERANCE else 0.0
        )

    def _least(self) -> float:
        return np.inf if self.best is None else self.best.loss - TOLERANCE

    def _node(
        self, taken: tuple[int, ...], free: tuple[int, ...]
    ) -> tuple[float, tuple[int, ...], tuple[int, ...]]:
        """(bound, taken, free) of the subsets that hold ``taken`` and some of ``free``."""
        bound, _ = self.fit(sorted(taken + free))
        return bound, taken, free

    def _branch(
        self, bound: float, taken: tuple[int, ...], free: tuple[int, ...]
    ) -> list[tuple[float, tuple[int, ...], tuple[int, ...]]]:
        options = sorted(taken + free)
        _, weights = self.fit(options)
        used = [i for i, weight in zip(options, weights, strict=True) if weight > NEGLIGIBLE]
        by_weight = sorted(used, key=lambda i: (-weights[options.index(i)], i))
        rounded: tuple[int, ...] = taken
        for i in by_weight:
            if i not in rounded and self._fits((*rounded, i)):
                rounded = (*rounded, i)
        self._offer(rounded or free[:1])
        if set(used) <= set(rounded):  # the bound itself is affordable: nothing here is better
            return []
        first = next(i for i in by_weight if i not in taken)
        others = tuple(i for i in free if i != first)
        children = [self._node((*taken, first), self._reachable((*taken, first), others))]
        if taken or others:
            children.append(self._node(taken, others))
        return children

    def _offer(self, options: tuple[int, ...]) -> None:
        """Keep the subset if it is the best yet; what its blend does not use is not bought."""
        chosen = sorted(options)
        loss, weights = self.fit(chosen)
        used = tuple(i for i, w in zip(chosen, weights, strict=True) if w > NEGLIGIBLE)
        if used != tuple(chosen):
            loss, _ = self.fit(used)
        spent = self.seconds(used)
        better = self.best is None or loss < self.best.loss - TOLERANCE
        if not better and self.best is not None and loss <= self.best.loss + TOLERANCE:
            better = (spent, used) < (self.best.seconds, self.best.options)
        if better:
            self.best = Subset(used, loss, spent, 0.0)

    def _reachable(self, taken: tuple[int, ...], free: Sequence[int]) -> tuple[int, ...]:
        return tuple(i for i in free if self._fits((*taken, i)))

    def _fits(self, options: tuple[int, ...]) -> bool:
        return self.seconds(options) <= self.budget
