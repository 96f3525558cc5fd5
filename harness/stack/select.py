"""The best plan that the clock allows: which options, in which order, for which images.

First the search knows no cascade: ``subset`` finds, for every number of seconds, the set of options
whose blend loses least. Each such set then opens an order of stages: its options, then those that
the unlimited ensemble adds. Every prefix of an order may serve all images and send the most urgent
of them on to a longer prefix, and those again (Viola and Jones 2001; Wang et al., arXiv
2012.01988). What remains is the frontier of nested loss against predicted seconds. It depends on no
budget, so a larger budget never gets a plan that looked worse.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np

from harness.decision import Decision
from harness.predict.plan import RULES, Combine, Costs, Plan, Stage, blend
from harness.stack.blend import blend_from_json
from harness.stack.cascade import SHARES, Nested, row_losses, send
from harness.stack.decide import decide_nested
from harness.stack.methods import METHODS
from harness.stack.problem import Array, Problem
from harness.stack.resample import ROW_METRICS, bootstrap_scores
from harness.stack.subset import Subset, best_subset, pareto_subsets

BOOTSTRAP = 200
LEARNT = 24
"""Cascades, spread over the frontier, whose prefixes the learner blends too."""
LEARNING_ROUNDS = 2
ORDERS = 48
"""Sets of options, spread over the seconds, from which orders of stages are made."""
THIRDS = 96
"""Cascades of two levels to which a third is tried."""
SCORED = 256
"""Cascades that are scored by a metric that is no mean over rows."""


@dataclass(frozen=True)
class Option:
    """One way to use one member: seconds of the engine, fold models and test-time views it takes.

    ``fixed_seconds`` to load and warm up, ``image_seconds`` for the forward passes of all fold
    models and views of one image, without decoding it at ``size``.
    """

    name: str
    member: str
    engine: str
    folds: int
    views: int
    size: int
    fixed_seconds: float
    image_seconds: float


Timed = TypeVar("Timed", "Cascade", Subset)


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
        self.costs, self.rows = costs, rows
        self.fold_decisions = fold_decisions or (Decision(),) * len(set(problem.folds.tolist()))
        self._passes: dict[tuple[int, ...], tuple[float, float]] = {}
        with threadpool_limits(1):  # thousands of small products: threads would only wait
            self.nested = Nested(self.problem)
            self.subsets = pareto_subsets(self.nested.whole.fit, self.members, self.seconds_of)
            self.gap = max(subset.gap for subset in self.subsets)
            self.frontier = self._frontier(learn)

    def seconds_of(self, chosen: Sequence[int]) -> float:
        """Predicted seconds of the whole process if all images get these options."""
        return self._seconds(tuple(chosen), (Level(len(chosen), 1.0, ""),))

    def subset(self, budget: float) -> Subset | None:
        """The exact best set of options whose blend of all images fits the budget."""
        return best_subset(self.nested.whole.fit, self.members, self.seconds_of, budget)

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
        order = self._greedy((), sorted(chosen))
        levels = (Level(len(order), 1.0, ""),)
        loss = float(self.nested.losses(order).mean())
        return self.plan_of(Cascade(order, levels, self._seconds(order, levels), loss))

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
            costs=self.costs,
            rows=self.rows,
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
        bare = Cascade(self._order(cheapest), (), self.costs.base, 0.0)
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
        )

    def _learn(self, front: Sequence[Cascade]) -> tuple[int, ...]:
        """Let the learner blend what cascades all along the frontier use, and the prefixes of the
        order that it would take itself, which is returned."""
        own = self._learner_order()
        sets = [own[:count] for count in range(1, len(own) + 1)]
        for one in spread(front, LEARNT):
            sets += [one.order[: level.stages] for level in one.levels]
        for chosen in sets:
            self.nested.learn(chosen)
        return own

    def _learner_order(self) -> tuple[int, ...]:
        """What helps the learner most a second comes first."""
        order: tuple[int, ...] = ()
        loss = float(self.nested.losses(()).mean())
        while waiting := [
            i for i, m in enumerate(self.members) if m not in {self.members[j] for j in order}
        ]:
            before = self.seconds_of(order) if order else self.costs.base
            best = max(
                waiting,
                key=lambda i: (
                    (loss - self.nested.quick_loss((*order, i)))
                    / max(self.seconds_of((*order, i)) - before, 1e-9)
                ),
            )
            order, loss = (*order, best), self.nested.quick_loss((*order, best))
        return order

    def _order(self, subset: Subset) -> tuple[int, ...]:
        """The subset's options, then what the unlimited ensemble adds; most gain a second first."""
        head = self._greedy((), subset.options)
        members = {self.members[i] for i in head}
        tail = [i for i in self.subsets[0].options if self.members[i] not in members]
        order = self._greedy(head, tail)
        members = {self.members[i] for i in order}
        # what the convex blend has no use for comes last, the fastest of a member's options
        cheapest = sorted(range(len(self.options)), key=lambda i: (self.seconds_of((i,)), i))
        for i in cheapest:
            if self.members[i] not in members:
                order, members = (*order, i), members | {self.members[i]}
        return order

    def _greedy(self, start: tuple[int, ...], more: Sequence[int]) -> tuple[int, ...]:
        order, waiting = start, list(more)
        loss = self._fitted(order)
        while waiting:
            seconds = self.seconds_of(order)
            best = max(
                waiting,
                key=lambda i: (
                    (loss - self._fitted((*order, i)))
                    / max(self.seconds_of((*order, i)) - seconds, 1e-9)
                ),
            )
            order, loss = (*order, best), self._fitted((*order, best))
            waiting.remove(best)
        return order

    def _fitted(self, chosen: Sequence[int]) -> float:
        return self.nested.whole.fit(sorted(chosen))[0] if chosen else self.nested.prior_loss

    def _seconds(self, order: tuple[int, ...], levels: tuple[Level, ...]) -> float:
        """Predicted seconds of a cascade, as ``predicted_seconds`` has them for its plan."""
        total, before = self.costs.base, 0
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

    def _frontier(self, learn: bool) -> list[Cascade]:
        orders = list(dict.fromkeys(self._order(s) for s in spread(self.subsets[::-1], ORDERS)))
        front = self._cascades(orders)
        for _ in range(LEARNING_ROUNDS if learn else 0):  # what is learnt moves the frontier
            orders = list(dict.fromkeys([*orders, self._learn(front)]))
            front = self._cascades(orders)
        if self._sums_rows:
            return front
        # so far the smooth loss stood in for the metric, or the most probable class for the rule
        return pareto([replace(one, loss=self._loss(one)) for one in spread(front, SCORED)])

    def _cascades(self, orders: Sequence[tuple[int, ...]]) -> list[Cascade]:
        found = [one for order in orders for one in self._two_levels(order)]
        third = [one for two in spread(pareto(found), THIRDS) for one in self._third_level(two)]
        return pareto([self._nothing(), *found, *third])

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

    def _two_levels(self, order: tuple[int, ...]) -> list[Cascade]:
        """Cascades in which every image gets one prefix, and the most urgent a longer one."""
        rules = RULES[self.problem.kind]
        everyone = np.ones(len(self.problem.folds), dtype=bool)
        losses = [self.nested.losses(order[:k]) for k in range(len(order) + 1)]
        found = []
        for short in range(1, len(order) + 1):
            first = (Level(short, 1.0, ""),)
            mean = float(losses[short].mean())
            found.append(Cascade(order, first, self._seconds(order, first), mean))
            for share in SHARES[
                :-1
            ]:  # too little time even for the first stage: some get the prior
                some = (Level(short, float(share), ""),)
                partial = share * mean + (1 - share) * float(losses[0].mean())
                found.append(Cascade(order, some, self._seconds(order, some), partial))
            urgencies = self.nested.urgencies(order[:short])
            for longer in range(short + 1, len(order) + 1):
                worth = send(self.nested, urgencies, losses[short] - losses[longer], everyone)
                for share, gain, rule in zip(SHARES[:-1], worth.gain, worth.rule, strict=False):
                    levels = (*first, Level(longer, float(share), rules[rule]))
                    seconds = self._seconds(order, levels)
                    found.append(Cascade(order, levels, seconds, mean - float(gain)))
        return found

    def _third_level(self, two: Cascade) -> list[Cascade]:
        """The cascade with some of the images that were sent on sent on once more."""
        if len(two.levels) != 2:
            return []
        rules = RULES[self.problem.kind]
        count, (first, second) = len(self.problem.folds), two.levels
        before = self.nested.urgencies(two.order[: first.stages])[rules.index(second.rule)]
        among = np.zeros(count, dtype=bool)
        among[np.argsort(-before, kind="stable")[: round(second.share * count)]] = True
        chosen = two.order[: second.stages]
        losses, urgencies = self.nested.losses(chosen), self.nested.urgencies(chosen)
        found = []
        for longer in range(second.stages + 1, len(two.order) + 1):
            worth = send(
                self.nested, urgencies, losses - self.nested.losses(two.order[:longer]), among
            )
            for share, gain, rule in zip(SHARES, worth.gain, worth.rule, strict=True):
                if share < second.share:
                    levels = (first, second, Level(longer, float(share), rules[rule]))
                    seconds = self._seconds(two.order, levels)
                    found.append(Cascade(two.order, levels, seconds, two.loss - float(gain)))
        return found


def combiner(plan: Plan, problem: Problem | None = None) -> Combine:
    """What blends the predictions of any set of a plan's stages.

    A prefix has its own blend. Another set (a stage failed, or there was no time for one) is fitted
    on the spot if the ``problem`` with the options' OOF predictions is given, else it gets the
    plan's convex weights for those stages. WorkspaceError if a blend's record is damaged.
    """
    fitted = {tuple(range(k + 1)): blend_from_json(dict(b)) for k, b in enumerate(plan.blends)}

    def combine(stages: Sequence[int], predictions: Array) -> Array:
        key = tuple(stages)
        if key not in fitted and problem is not None:
            places = [problem.names.index(plan.stages[i].option) for i in key]
            part = replace(
                problem,
                names=tuple(problem.names[i] for i in places),
                predictions=problem.predictions[places],
                metadata=None,
            )
            method = plan.blends[-1]["method"]
            fitted[key] = METHODS[method].fit(part, slice(None), 0)
        if key in fitted:
            return fitted[key].apply(predictions)
        return blend(plan.weights_for(key), predictions, plan.kind)

    return combine


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


def choose(plans: Sequence[Plan], budget: float, rows: int, slowdown: float = 1.0) -> Plan:
    """Of stored plans (cheapest first), the best score whose seconds for ``rows`` fit the budget.

    The cheapest if none does: following it, as far as it gets, is the best there is.
    """
    sign = 1 if plans[0].greater_is_better else -1
    fitting = [plan for plan in plans if plan.seconds_for(rows, slowdown) <= budget]
    return max(fitting, key=lambda plan: sign * plan.score) if fitting else plans[0]
