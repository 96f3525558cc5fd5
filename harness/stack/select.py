"""The best plan that the clock allows: which options, in which order, for which images.

First the search knows no cascade: ``subset`` finds, for every number of seconds, the set of members
(one model in one view each) whose blend loses least. Each such set then opens an order of stages:
its members, those that the unlimited ensemble adds, and in between, wherever they gain most a
second, further fold models and test-time views of the members before. Every prefix of an order may
serve all images and send the most urgent of them on to a longer prefix, and those again (Viola and
Jones 2001; Wang et al., arXiv 2012.01988). What remains is the frontier of nested loss against
predicted seconds. It depends on no budget, so a larger budget never gets a plan that looked worse.

The loss is a smooth one throughout. ``stack.scored`` scores what was found by the metric.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from harness.predict.plan import RULES, Costs, Plan, Stage
from harness.stack.cascade import Nested, row_losses, urgencies
from harness.stack.levels import cascades
from harness.stack.orders import Orders
from harness.stack.priced import Cascade, Level, Prices, Purchase, ladder, spread
from harness.stack.problem import Array, Problem
from harness.stack.subset import Subset, best_subset, pareto_subsets

LEARNT = 12
"""Cascades, spread over the frontier, whose prefixes the learner blends too."""
ORDERS = 48
"""Sets of members, spread over the seconds, from which orders of stages are made."""
TIE = 1e-6
"""The worth of averaging where nothing is known: next to nothing, but more than nothing."""
MOST_STAGES = 64
"""Stages of a plan; what an order has beyond them is for time that is left over, and is cut off."""


class Selection:
    """The frontier of cascades for one problem, what can be bought, costs and number of test rows.

    ``problem``'s members are the columns of the ``purchases``. ``noise`` is, for each member of
    which that is known, how much of its smooth loss would go if infinitely many fold models were
    averaged; where it is not, more models win a tie. With ``learn`` prefixes may be blended by
    logistic regression (ridge for values) where its nested loss is lower beyond noise; that takes
    a fit a fold for some dozens of sets. ``gap`` is how much lower the loss of the best subset
    could be where there were too many members to search them all.
    ValueError if the purchases' columns are not the problem's members.
    """

    def __init__(
        self,
        problem: Problem,
        purchases: Sequence[Purchase],
        costs: Costs,
        rows: int,
        *,
        noise: Mapping[str, float] | None = None,
        learn: bool = True,
    ) -> None:
        from threadpoolctl import threadpool_limits

        columns = sorted(column for bought in purchases for column in bought.columns.values())
        if columns != sorted(problem.names):
            raise ValueError(f"columns {columns} are not the members {problem.names}")
        self.problem = problem.of_members(
            problem.by_name()
        )  # so that the order they came in cannot matter
        self.purchases = tuple(sorted(purchases, key=lambda bought: bought.member))
        self.rows, self.costs, self.learn = rows, costs, learn
        self.noise = {bought.member: TIE for bought in purchases} | dict(noise or {})
        with threadpool_limits(1):  # thousands of small products: threads would only wait
            self._search()

    def _search(self) -> None:
        alone = {
            name: float(row_losses(self.problem, predictions).mean())
            for name, predictions in zip(self.problem.names, self.problem.predictions, strict=True)
        }
        ladders = [ladder(one, alone, self.noise[one.member]) for one in self.purchases]
        self.options = tuple(option for rungs in ladders for option in rungs)
        ends = np.cumsum([len(rungs) for rungs in ladders])
        numbered = [range(end - len(r), end) for end, r in zip(ends, ladders, strict=True)]
        self.prices = Prices(self.options, self.costs, self.rows)
        self.nested = Nested(self.problem, self.options, self.noise)
        self.first = [rungs[0] for rungs in numbered]
        self.subsets = [
            self._numbered(one)
            for one in pareto_subsets(self._fit, len(self.purchases), self._seconds)
        ]
        self.orders = Orders(self.nested, numbered, self.prices, self.subsets[0].options)
        self.gap = max(subset.gap for subset in self.subsets)
        self.frontier = self._frontier(self.learn)

    def subset(self, budget: float) -> Subset | None:
        """The exact best set of first rungs whose blend of all images fits the budget."""
        found = best_subset(self._fit, len(self.purchases), self._seconds, budget)
        return None if found is None else self._numbered(found)

    def cascade(self, budget: float) -> Cascade:
        """The frontier's last cascade within the budget; its first, of no stage, if none fits."""
        fitting = [one for one in self.frontier if one.seconds <= budget]
        return fitting[-1] if fitting else self.frontier[0]

    def some(self, most: int = 64) -> list[Cascade]:
        """The frontier, cheapest first, spread evenly by the logarithm of seconds."""
        return spread(self.frontier, most)

    def for_all(self, chosen: Sequence[int]) -> Cascade:
        """The cascade in which every image gets these first rungs."""
        order = self.orders.greedy((), sorted(chosen))
        levels = (Level(len(order), 1.0, ""),)
        loss = float(self.nested.losses(order).mean())
        return Cascade(order, levels, self.prices.of_levels(order, levels), loss)

    def gain(self, cascade: Cascade, noise: Mapping[str, float]) -> float:
        """Return the loss that averaging is expected to take off, in the unit of ``noise``."""
        total, before = 0.0, 0.0
        for level in reversed(cascade.levels):
            chosen = cascade.order[: level.stages]
            total += (level.share - before) * self.nested.gain(chosen, noise)
            before = level.share
        return total

    def trimmed(self, cascade: Cascade) -> Cascade:
        """Return the cascade without the last stages for left-over time that make it worse."""
        order = cascade.order  # the plan of the prior keeps a first stage to go on with
        planned = max(1, cascade.levels[-1].stages if cascade.levels else 0)
        losses = [
            float(self.nested.losses(order[:k]).mean()) for k in range(planned, len(order) + 1)
        ]
        kept = max(i for i, loss in enumerate(losses) if loss <= min(losses) + TIE)
        return replace(cascade, order=order[: planned + kept])

    def plan_of(self, cascade: Cascade) -> Plan:
        """The cascade as a plan, blends fitted on all rows; its score is not known here."""
        default = RULES[self.problem.kind][0]
        stages = [
            self._stage(i, share, rule if rule or not position else default)
            for position, (i, share, rule) in enumerate(cascade.stages[:MOST_STAGES])
        ]
        order = cascade.order[:MOST_STAGES]
        weights = self._weights(order)
        return Plan(
            kind=self.problem.kind,
            metric=self.problem.metric.name,
            greater_is_better=self.problem.metric.greater_is_better,
            stages=tuple(stages),
            blends=self._blends(order),
            weights=tuple(weights[member] for member in self.nested.last(order)),
            prior=tuple(float(p) for p in self.nested.prior),
            costs=self.costs,
            rows=self.rows,
            seconds=cascade.seconds,
            score=math.nan,
            error=math.nan,
        )

    def predictions(self, cascade: Cascade) -> Array:
        """(rows, targets) nested predictions of the OOF rows, sent on as on test rows."""
        count = len(self.problem.folds)
        blended = [self.nested.predictions(())]
        ranked = []
        for level in cascade.levels:
            chosen = cascade.order[: level.stages]
            blended.append(self.nested.predictions(chosen))
            ranked.append(self.nested.urgencies(chosen))
        return self._sent_on(cascade, np.arange(count), blended, ranked)

    def applied(self, cascade: Cascade, predictions: Array) -> Array:
        """(rows, targets) of other rows, from their ``predictions`` (columns, rows, targets).

        Columns are in the order of their names. Blends are fitted on all rows of the problem.
        """
        count = predictions.shape[1]
        blended, ranked = [np.tile(self.nested.prior, (count, 1))], []
        for level in cascade.levels:
            chosen = cascade.order[: level.stages]
            seen = predictions[list(self.nested.last(chosen).values())]
            blended.append(self.nested.blend(chosen).apply(seen))
            ranked.append(urgencies(self.problem, blended[-1], seen))
        return self._sent_on(cascade, np.arange(count), blended, ranked)

    def _sent_on(
        self, cascade: Cascade, reached: Array, blended: Sequence[Array], ranked: Sequence[Array]
    ) -> Array:
        """Rows by how far they are sent: ``blended[k]`` after k levels, ranked by ``ranked``."""
        count = len(reached)
        found = blended[0].copy()
        for k, level in enumerate(cascade.levels):
            keep = min(len(reached), round(level.share * count))
            if k:
                rule = RULES[self.problem.kind].index(level.rule)
                values = ranked[k - 1][rule][reached]
                reached = reached[np.argsort(-values, kind="stable")]
            elif keep < count:  # whom the first stage reaches is chance
                reached = np.random.default_rng(0).permutation(count)
            reached = reached[:keep]
            found[reached] = blended[k + 1][reached]
        return found

    def _fit(self, chosen: Sequence[int]) -> tuple[float, Array]:
        """The loss and the weights of the best blend of first rungs, by their places there."""
        return self.nested.whole.fit([self.nested.column[self.first[i]] for i in chosen])

    def _seconds(self, chosen: Sequence[int]) -> float:
        return self.prices.of_all([self.first[i] for i in chosen])

    def _numbered(self, subset: Subset) -> Subset:
        return replace(subset, options=tuple(self.first[i] for i in subset.options))

    def _blends(self, order: tuple[int, ...]) -> tuple[dict[str, Any], ...]:
        from threadpoolctl import threadpool_limits

        found: list[dict[str, Any]] = []
        before: tuple[int, ...] = ()
        with threadpool_limits(1):
            for k in range(len(order)):
                columns = tuple(self.nested.last(order[: k + 1]).values())
                same = columns == before
                found.append({} if same else self.nested.blend(order[: k + 1]).to_json())
                before = columns
        return tuple(found)

    def _weights(self, order: tuple[int, ...]) -> dict[str, float]:
        """The convex weights of all members of the order."""
        columns = self.nested.columns(order)
        fitted = dict(zip(columns, self.nested.whole.fit(columns)[1], strict=True))
        return {m: float(fitted[c]) for m, c in self.nested.last(order).items()}

    def _nothing(self) -> Cascade:
        """No stage at all: every image gets the prior."""
        cheapest = min(self.subsets, key=lambda subset: subset.seconds)
        order = self.orders.climb(self.orders.order(cheapest))
        loss = float(self.nested.losses(()).mean())
        return Cascade(order, (), self.costs.base, loss)

    def _stage(self, i: int, share: float, rule: str) -> Stage:
        option = self.options[i]
        by_itself = row_losses(self.problem, self.problem.predictions[self.nested.column[i]])
        gain = self.nested.losses(()).mean() - by_itself.mean()
        return Stage(
            option=option.name,
            member=option.member,
            engine=option.engine,
            models=option.models,
            views=option.views,
            size=option.size,
            share=share,
            rule=rule,
            fixed_seconds=option.fixed_seconds,
            image_seconds=option.image_seconds,
            alone=float(gain),
            runtime=option.runtime,
        )

    def _learn(self, front: Sequence[Cascade]) -> tuple[int, ...]:
        """Let the learner blend what cascades all along the frontier use, and the prefixes of the
        order that it would take itself, which is returned."""
        own = self.orders.learner_order()
        sets = [own[:count] for count in range(1, len(own) + 1)]
        for one in spread(front, LEARNT):
            sets += [one.order[: level.stages] for level in one.levels]
        for chosen in sets:
            self.nested.learn(chosen)
        return self.orders.climb(own)

    def _frontier(self, learn: bool) -> list[Cascade]:
        fastest = sorted(self.first, key=lambda i: (self.prices.of_all((i,)), i))
        orders = [tuple(fastest), *map(self.orders.order, spread(self.subsets[::-1], ORDERS))]
        orders = list(dict.fromkeys(self.orders.climb(order) for order in orders))
        front = cascades(self.nested, self.prices, orders, self._nothing())
        if learn:  # what is learnt moves the frontier
            orders = list(dict.fromkeys([*orders, self._learn(front)]))
            front = cascades(self.nested, self.prices, orders, self._nothing())
        return front
