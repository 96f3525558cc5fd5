"""Cascades over an order of options: who gets a prefix of it, and who is sent on. Pure."""

from collections.abc import Sequence

import numpy as np

from harness.predict.plan import RULES
from harness.stack.cascade import SHARES, Nested, send
from harness.stack.priced import Cascade, Level, Prices, pareto, spread

THIRDS = 96
"""Cascades of two levels to which a third is tried."""
PREFIXES = 10
"""Prefixes of an order, spread over its seconds, that a level may end with."""


def cascades(
    nested: Nested, prices: Prices, orders: Sequence[tuple[int, ...]], nothing: Cascade
) -> list[Cascade]:
    """The frontier of nested loss against seconds, from ``nothing``, of no stage, on."""
    found = [one for order in orders for one in two_levels(nested, prices, order)]
    third = [
        one for two in spread(pareto(found), THIRDS) for one in third_level(nested, prices, two)
    ]
    return pareto([nothing, *found, *third])


def prefixes(nested: Nested, prices: Prices, order: tuple[int, ...]) -> list[int]:
    """Return lengths of prefixes that lose less than every shorter one, at most ``PREFIXES``."""
    better: list[Cascade] = []
    for count in range(1, len(order) + 1):
        levels = (Level(count, 1.0, ""),)
        loss = float(nested.losses(order[:count]).mean())
        if not better or loss < better[-1].loss:
            better.append(Cascade(order, levels, prices.of_levels(order, levels), loss))
    return [one.levels[0].stages for one in spread(better, PREFIXES)]


def two_levels(nested: Nested, prices: Prices, order: tuple[int, ...]) -> list[Cascade]:
    """Cascades in which every image gets one prefix, and the most urgent a longer one."""
    rules = RULES[nested.problem.kind]
    everyone = np.ones(len(nested.problem.folds), dtype=bool)
    ends = prefixes(nested, prices, order)
    losses = {k: nested.losses(order[:k]) for k in (0, *ends)}
    nobody = float(losses[0].mean())
    found = []
    for place, short in enumerate(ends):
        first = (Level(short, 1.0, ""),)
        mean = float(losses[short].mean())
        found.append(Cascade(order, first, prices.of_levels(order, first), mean))
        # too little time even for the first stage: some get the prior
        some = [(share, share * mean + (1 - share) * nobody, "") for share in SHARES[:-1]]
        found += _with_level(prices, order, (), short, some)
        urgencies = nested.urgencies(order[:short])
        for longer in ends[place + 1 :]:
            worth = send(nested, urgencies, losses[short] - losses[longer], everyone)
            some = [
                (share, mean - gain, rules[rule])
                for share, gain, rule in zip(SHARES[:-1], worth.gain, worth.rule, strict=False)
            ]
            found += _with_level(prices, order, first, longer, some)
    return found


def _with_level(
    prices: Prices,
    order: tuple[int, ...],
    levels: tuple[Level, ...],
    stages: int,
    last: Sequence[tuple[float, float, str]],
) -> list[Cascade]:
    """The levels and one more that ends after ``stages``, for each share, loss and rule of it."""
    none = prices.of_levels(order, (*levels, Level(stages, 0.0, "")))
    every = prices.of_levels(order, (*levels, Level(stages, 1.0, "")))
    return [
        Cascade(
            order,
            (*levels, Level(stages, float(share), rule)),
            none + float(share) * (every - none),
            float(loss),
        )
        for share, loss, rule in last
    ]


def third_level(nested: Nested, prices: Prices, two: Cascade) -> list[Cascade]:
    """The cascade with some of the images that were sent on sent on once more."""
    if len(two.levels) != 2:
        return []
    rules = RULES[nested.problem.kind]
    count, (first, second) = len(nested.problem.folds), two.levels
    before = nested.urgencies(two.order[: first.stages])[rules.index(second.rule)]
    among = np.zeros(count, dtype=bool)
    among[np.argsort(-before, kind="stable")[: round(second.share * count)]] = True
    chosen = two.order[: second.stages]
    losses, urgencies = nested.losses(chosen), nested.urgencies(chosen)
    found = []
    for longer in prefixes(nested, prices, two.order):
        if longer <= second.stages:
            continue
        worth = send(nested, urgencies, losses - nested.losses(two.order[:longer]), among)
        some = [
            (share, two.loss - gain, rules[rule])
            for share, gain, rule in zip(SHARES, worth.gain, worth.rule, strict=True)
            if share < second.share
        ]
        found += _with_level(prices, two.order, two.levels, longer, some)
    return found
