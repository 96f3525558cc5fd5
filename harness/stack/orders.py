"""In which order options become stages: what gains most a second comes first. Pure."""

from collections.abc import Sequence

from harness.stack.cascade import Nested
from harness.stack.priced import Prices
from harness.stack.subset import Subset


class Orders:
    """Orders of options, one a member, by ``members`` (the options' members).

    ``unlimited`` is the set of options that is best where time does not matter.
    """

    def __init__(
        self, nested: Nested, members: Sequence[str], prices: Prices, unlimited: Sequence[int]
    ) -> None:
        self.nested, self.members = nested, members
        self.prices, self.unlimited = prices, unlimited

    def learner_order(self) -> tuple[int, ...]:
        """What helps the learner most a second comes first."""
        order: tuple[int, ...] = ()
        loss = float(self.nested.losses(()).mean())
        while waiting := [
            i for i, m in enumerate(self.members) if m not in {self.members[j] for j in order}
        ]:
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
        """The subset's options, then what the unlimited ensemble adds; most gain a second first."""
        head = self.greedy((), subset.options)
        members = {self.members[i] for i in head}
        tail = [i for i in self.unlimited if self.members[i] not in members]
        order = self.greedy(head, tail)
        members = {self.members[i] for i in order}
        # what the convex blend has no use for comes last, the fastest of a member's options
        cheapest = sorted(range(len(self.members)), key=lambda i: (self.prices.of_all((i,)), i))
        for i in cheapest:
            if self.members[i] not in members:
                order, members = (*order, i), members | {self.members[i]}
        return order

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
        return self.nested.whole.fit(sorted(chosen))[0] if chosen else self.nested.prior_loss
