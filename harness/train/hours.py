"""Which trainings to take first when the hours are limited. Pure."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Work:
    """What is left of a run: ``seconds`` for the missing jobs, ``disk`` in bytes for its files."""

    run: str
    backbone: str
    jobs: int
    seconds: float
    disk: int


def by_gain(
    works: Sequence[Work], trained: Sequence[str] = (), seconds: float | None = None
) -> list[Work]:
    """The order to train in: most expected gain for a second first.

    The n-th member with the same backbone is expected to add 1/n of what the first one adds:
    what it gets wrong, they get wrong (``trained`` are the backbones of members that are there).
    Within ``seconds`` runs that will be complete come before any that will not.
    """
    counts = Counter(trained)
    left, order, spent = list(works), [], 0.0
    while left:
        fitting = [w for w in left if seconds is None or spent + w.seconds <= seconds]
        best = max(
            fitting or left, key=lambda w: 1 / ((1 + counts[w.backbone]) * max(w.seconds, 1e-3))
        )
        left.remove(best)
        order.append(best)
        counts[best.backbone] += 1
        spent += best.seconds
    return order
