"""Cascades over an order of options: who gets a prefix of it, and who is sent on. Pure."""

from collections.abc import Sequence

import numpy as np

from harness.predict.plan import RULES
from harness.stack.cascade import SHARES, Nested, send
from harness.stack.priced import Cascade, Level, Prices, pareto, spread

THIRDS = 96
"""Cascades of two levels to which a third is tried."""


def cascades(
    nested: Nested, prices: Prices, orders: Sequence[tuple[int, ...]], nothing: Cascade
) -> list[Cascade]:
    """The frontier of nested loss against seconds, from ``nothing``, of no stage, on."""
    found = [one for order in orders for one in two_levels(nested, prices, order)]
    third = [
        one for two in spread(pareto(found), THIRDS) for one in third_level(nested, prices, two)
    ]
    return pareto([nothing, *found, *third])


def two_levels(nested: Nested, prices: Prices, order: tuple[int, ...]) -> list[Cascade]:
    """Cascades in which every image gets one prefix, and the most urgent a longer one."""
    rules = RULES[nested.problem.kind]
    everyone = np.ones(len(nested.problem.folds), dtype=bool)
    losses = [nested.losses(order[:k]) for k in range(len(order) + 1)]
    found = []
    for short in range(1, len(order) + 1):
        first = (Level(short, 1.0, ""),)
        mean = float(losses[short].mean())
        found.append(Cascade(order, first, prices.of_levels(order, first), mean))
        for share in SHARES[:-1]:  # too little time even for the first stage: some get the prior
            some = (Level(short, float(share), ""),)
            partial = share * mean + (1 - share) * float(losses[0].mean())
            found.append(Cascade(order, some, prices.of_levels(order, some), partial))
        urgencies = nested.urgencies(order[:short])
        for longer in range(short + 1, len(order) + 1):
            worth = send(nested, urgencies, losses[short] - losses[longer], everyone)
            for share, gain, rule in zip(SHARES[:-1], worth.gain, worth.rule, strict=False):
                levels = (*first, Level(longer, float(share), rules[rule]))
                seconds = prices.of_levels(order, levels)
                found.append(Cascade(order, levels, seconds, mean - float(gain)))
    return found


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
    for longer in range(second.stages + 1, len(two.order) + 1):
        worth = send(nested, urgencies, losses - nested.losses(two.order[:longer]), among)
        for share, gain, rule in zip(SHARES, worth.gain, worth.rule, strict=True):
            if share < second.share:
                levels = (first, second, Level(longer, float(share), rules[rule]))
                seconds = prices.of_levels(two.order, levels)
                found.append(Cascade(two.order, levels, seconds, two.loss - float(gain)))
    return found
