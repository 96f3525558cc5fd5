"""The best plan that the clock allows: which options, in which order, for which images.

First the search knows no cascade: ``subset`` finds, for every number of seconds, the set of options
whose blend loses least. Each such set then opens an order of stages: its options, then those that
the unlimited ensemble adds. Every prefix of an order may serve all images and send the most urgent
of them on to a longer prefix, and those again (Viola and Jones 2001; Wang et al., arXiv
2012.01988). What remains is the frontier of nested loss against predicted seconds. It depends on no
budget, so a larger budget never gets a plan that looked worse.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from harness.decision import Decision
from harness.predict.plan import RULES, Costs, Plan, Stage
from harness.stack.cascade import Nested, row_losses
from harness.stack.decide import decide_nested
from harness.stack.levels import cascades
from harness.stack.orders import Orders
from harness.stack.priced import Cascade, Level, Option, Prices, pareto, spread
from harness.stack.problem import Array, Problem
from harness.stack.resample import ROW_METRICS, bootstrap_scores
from harness.stack.subset import Subset, best_subset, pareto_subsets

BOOTSTRAP = 200
LEARNT = 24
"""Cascades, spread over the frontier, whose prefixes the learner blends too."""
LEARNING_ROUNDS = 2
ORDERS = 48
"""Sets of options, spread over the seconds, from which orders of stages are made."""
SCORED = 256
"""Cascades that are scored by a metric that is no mean over rows."""


class Selection:
    """The frontier of cascades for one problem, its options, costs and number of test rows.

    ``problem``'s members are the options' predictions, by name. With ``learn`` prefixes may be
    blended by logistic regression (ridge for values) where its nested loss is lower; that takes
    a fit a fold for some dozens of sets, half a minute for a dozen members and 2,000 rows. ``gap``
    is how much lower the loss of the best subset could be where there were too many members to
    search them all. ``fold_decisions`` (one a fold, ascending) become of predictions what the
    ensemble's decision does on test rows: with them plans are scored.
    ValueError if the options' names are not those of the problem's members.
    """

    def __init__(
        self,
        problem: Problem,
        options: Sequence[Option],
        costs: Costs,
        rows: int,
        *,
        learn: bool = True,
        fold_decisions: Sequence[Decision] = (),
    ) -> None:
        from threadpoolctl import threadpool_limits

        by_name = {option.name: option for option in options}
        if sorted(by_name) != sorted(problem.names) or len(options) != len(by_name):
            raise ValueError(f"options {sorted(by_name)} are not the members {problem.names}")
        order = problem.by_name()  # so that the order they came in cannot matter
        self.problem = replace(
            problem,
            names=tuple(problem.names[i] for i in order),
            predictions=problem.predictions[order],
        )
        self.options = tuple(by_name[name] for name in self.problem.names)
        self.members = [option.member for option in self.options]
        self.prices = Prices(self.options, costs, rows)
        self.fold_decisions = fold_decisions or (Decision(),) * len(set(problem.folds.tolist()))
        with threadpool_limits(1):  # thousands of small products: threads would only wait
            self.nested = Nested(self.problem)
            self.subsets = pareto_subsets(self.nested.whole.fit, self.members, self.prices.of_all)
            unlimited = self.subsets[0].options
            self.orders = Orders(self.nested, self.members, self.prices, unlimited)
            self.gap = max(subset.gap for subset in self.subsets)
            self.frontier = self._frontier(learn)

    def subset(self, budget: float) -> Subset | None:
        """The exact best set of options whose blend of all images fits the budget."""
        return best_subset(self.nested.whole.fit, self.members, self.prices.of_all, budget)

    def plan(self, budget: float) -> Plan:
        """The plan of the best nested score whose predicted seconds are within the budget."""
        return self.plan_of(self.cascade(budget))

    def cascade(self, budget: float) -> Cascade:
        """The frontier's last cascade within the budget; its first, of no stage, if none fits."""
        fitting = [one for one in self.frontier if one.seconds <= budget]
        return fitting[-1] if fitting else self.frontier[0]

    def plans(self, most: int = 64) -> tuple[Plan, ...]:
        """The frontier as plans, cheapest first; spread evenly by the logarithm of seconds."""
        return tuple(self.plan_of(one) for one in spread(self.frontier, most))

    def plan_for_all(self, chosen: Sequence[int]) -> Plan:
        """The plan in which every image gets these options, of one a member."""
        order = self.orders.greedy((), sorted(chosen))
        levels = (Level(len(order), 1.0, ""),)
        loss = float(self.nested.losses(order).mean())
        return self.plan_of(Cascade(order, levels, self.prices.of_levels(order, levels), loss))

    def plan_of(self, cascade: Cascade) -> Plan:
        """The cascade as a plan: weights fitted on all rows, its score with its standard error."""
        default = RULES[self.problem.kind][0]
        stages = [
            self._stage(i, share, rule if rule or not position else default)
            for position, (i, share, rule) in enumerate(cascade.stages)
        ]
        (score,), samples = bootstrap_scores(
            self.problem, [self._decided(self.predictions(cascade))], slice(None), BOOTSTRAP, 0
        )
        if self._sums_rows:  # even the ranking rule is nested there
            score = -cascade.loss if self.problem.metric.greater_is_better else cascade.loss
            score = score**0.5 if self.problem.metric.name == "rmse" else score
        return Plan(
            kind=self.problem.kind,
            metric=self.problem.metric.name,
            greater_is_better=self.problem.metric.greater_is_better,
            stages=tuple(stages),
            blends=self._blends(cascade.order),
            weights=self.weights(cascade.order),
            prior=tuple(float(p) for p in self.nested.prior),
            costs=self.prices.costs,
            rows=self.prices.rows,
            seconds=cascade.seconds,
            score=float(score),
            error=float(np.std(samples[:, 0])),
            prefix_scores=tuple(
                self.problem.metric.score(
                    self.problem.truth, self._decided(self.nested.predictions(cascade.order[:k]))
                )
                for k in range(len(stages) + 1)
            ),
        )

    def _blends(self, order: tuple[int, ...]) -> tuple[dict[str, Any], ...]:
        from threadpoolctl import threadpool_limits

        with threadpool_limits(1):
            return tuple(self.nested.blend(order[: k + 1]).to_json() for k in range(len(order)))

    def weights(self, chosen: Sequence[int]) -> tuple[float, ...]:
        """The convex weights of these options, in the given order."""
        ordered = sorted(chosen)
        fitted = dict(zip(ordered, self.nested.whole.fit(ordered)[1], strict=True))
        return tuple(float(fitted[i]) for i in chosen)

    def predictions(self, cascade: Cascade) -> Array:
        """(rows, targets) nested predictions of the OOF rows, sent on as on test rows."""
        count = len(self.problem.folds)
        found = self.nested.predictions(()).copy()
        reached = np.arange(count)
        before: tuple[int, ...] = ()
        for level in cascade.levels:
            chosen = cascade.order[: level.stages]
            keep = min(len(reached), round(level.share * count))
            if before:
                rule = RULES[self.problem.kind].index(level.rule)
                values = self.nested.urgencies(before)[rule][reached]
                reached = reached[np.argsort(-values, kind="stable")]
            elif keep < count:  # whom the first stage reaches is chance
                reached = np.random.default_rng(0).permutation(count)
            reached = reached[:keep]
            found[reached] = self.nested.predictions(chosen)[reached]
            before = chosen
        return found

    def _nothing(self) -> Cascade:
        """No stage at all: every image gets the prior."""
        cheapest = min(self.subsets, key=lambda subset: subset.seconds)
        bare = Cascade(self.orders.order(cheapest), (), self.prices.costs.base, 0.0)
        return replace(bare, loss=float(self.nested.losses(()).mean()))

    def _stage(self, i: int, share: float, rule: str) -> Stage:
        option = self.options[i]
        by_itself = row_losses(self.problem, self.problem.predictions[i]).mean()
        gain = self.nested.losses(()).mean() - by_itself
        return Stage(
            option=option.name,
            member=option.member,
            engine=option.engine,
            folds=option.folds,
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
        return own

    def _frontier(self, learn: bool) -> list[Cascade]:
        orders = list(
            dict.fromkeys(self.orders.order(s) for s in spread(self.subsets[::-1], ORDERS))
        )
        front = cascades(self.nested, self.prices, orders, self._nothing())
        for _ in range(LEARNING_ROUNDS if learn else 0):  # what is learnt moves the frontier
            orders = list(dict.fromkeys([*orders, self._learn(front)]))
            front = cascades(self.nested, self.prices, orders, self._nothing())
        if self._sums_rows:
            return front
        # so far the smooth loss stood in for the metric, or the most probable class for the rule
        return pareto([replace(one, loss=self._loss(one)) for one in spread(front, SCORED)])

    def _loss(self, cascade: Cascade) -> float:
        decided = self._decided(self.predictions(cascade))
        return self.problem.metric.loss(self.problem.truth, decided)

    def _decided(self, predictions: Array) -> Array:
        return decide_nested(self.problem, predictions, self.fold_decisions)

    @property
    def _sums_rows(self) -> bool:
        """Whether a cascade's loss, which knows no rule of decision, is the metric's."""
        ruled = any(one.rule not in ("as_they_are", "range") for one in self.fold_decisions)
        return self.problem.metric.family in ROW_METRICS and not ruled
