"""In which order options become stages: what gains most a second comes first. Pure."""

from collections.abc import Sequence
from itertools import pairwise

from harness.stack.cascade import Nested
from harness.stack.priced import Prices
from harness.stack.subset import Subset


class Orders:
    """Orders of options. ``ladders`` holds, for each member, its options from the first rung up.

    ``unlimited`` is the set of first rungs that is best where time does not matter.
    """

    def __init__(
        self,
        nested: Nested,
        ladders: Sequence[Sequence[int]],
        prices: Prices,
        unlimited: Sequence[int],
    ) -> None:
        self.nested, self.prices, self.unlimited = nested, prices, unlimited
        self.first = [rungs[0] for rungs in ladders]
        self.after = {i: j for rungs in ladders for i, j in pairwise(rungs)}

    def climb(self, order: Sequence[int]) -> tuple[int, ...]:
        """Return an order of first rungs with all further rungs in it.

        What gains most a second comes first: the next member, or the next rung of one before it.
        """
        climbed: tuple[int, ...] = ()
        waiting, loss = list(order), float(self.nested.losses(()).mean())
        seconds = self.prices.of_all(())
        while options := waiting[:1] + [
            self.after[i] for i in climbed if i in self.after and self.after[i] not in climbed
        ]:
            trials = [(*climbed, i) for i in options]
            after = [float(self.nested.losses(trial).mean()) for trial in trials]
            spent = [max(self.prices.of_all(trial) - seconds, 1e-9) for trial in trials]
            best = max(range(len(trials)), key=lambda k: (loss - after[k]) / spent[k])
            climbed, loss = trials[best], after[best]
            seconds += spent[best]
            if waiting and climbed[-1] == waiting[0]:
                del waiting[0]
        return climbed

    def learner_order(self) -> tuple[int, ...]:
        """What helps the learner most a second comes first."""
        order: tuple[int, ...] = ()
        loss = float(self.nested.losses(()).mean())
        while waiting := [i for i in self.first if i not in order]:
            before = self.prices.of_all(order) if order else self.prices.costs.base
            best = max(
                waiting,
                key=lambda i: (
                    (loss - self.nested.quick_loss((*order, i)))
                    / max(self.prices.of_all((*order, i)) - before, 1e-9)
                ),
            )
            order, loss = (*order, best), self.nested.quick_loss((*order, best))
        return order

    def order(self, subset: Subset) -> tuple[int, ...]:
        """The subset, then what the unlimited ensemble adds; most gain a second first."""
        order = self.greedy((), subset.options)
        order = self.greedy(order, [i for i in self.unlimited if i not in order])
        # what the convex blend has no use for comes last, the cheapest first
        cheapest = sorted(self.first, key=lambda i: (self.prices.of_all((i,)), i))
        return (*order, *(i for i in cheapest if i not in order))

    def greedy(self, start: tuple[int, ...], more: Sequence[int]) -> tuple[int, ...]:
        order, waiting = start, list(more)
        loss = self._fitted(order)
        while waiting:
            seconds = self.prices.of_all(order)
            best = max(
                waiting,
                key=lambda i: (
                    (loss - self._fitted((*order, i)))
                    / max(self.prices.of_all((*order, i)) - seconds, 1e-9)
                ),
            )
            order, loss = (*order, best), self._fitted((*order, best))
            waiting.remove(best)
        return order

    def _fitted(self, chosen: Sequence[int]) -> float:
        columns = self.nested.columns(chosen)
        return self.nested.whole.fit(columns)[0] if columns else self.nested.prior_loss
