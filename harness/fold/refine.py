"""Local search over placed groups: moves and swaps that even out the classes; pure."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Folds = NDArray[np.int16]

_SHORTLIST = 32  # groups a side whose swaps are tried
_MOST_STEPS = 1000
_NEGLIGIBLE = 1e-9  # of a group's own weight: a gain below this may be rounding
_ROUNDS = 4
_EMPHASIS = 2.0


@dataclass(frozen=True)
class _Step:
    """Groups (their columns) that change to another fold together, and what that gains."""

    gain: float
    changes: tuple[tuple[int, int], ...]  # (group, new fold)


def refine(groups: Floats, folds: Folds, deviation: Floats, share: Floats) -> Folds:
    """The folds of the groups after moves and swaps have evened out the classes: (groups,).

    ``groups`` (classes, groups) is the part of each class's rows that a group holds, and
    ``deviation`` (classes, folds) the part of a class's rows in a fold less the fold's ``share``.
    The cost is the sum of deviation² / share. The sum can leave one class behind, so it is
    lowered again with more and more emphasis on the class that deviates most; the round whose
    largest |deviation| / share is the smallest wins.
    """
    emphasis = np.ones((len(groups), 1))
    best, smallest = folds, np.inf
    for _ in range(_ROUNDS):
        lowered = _descend(groups * emphasis, folds, deviation * emphasis, share)
        deviation = _moved(groups, folds, lowered, deviation)
        folds = lowered
        largest = (np.abs(deviation) / share).max(axis=1)
        if largest.max() < smallest:
            best, smallest = folds, largest.max()
        emphasis[largest.argmax()] *= _EMPHASIS
    return best


def _descend(groups: Floats, folds: Folds, deviation: Floats, share: Floats) -> Folds:
    """Take steps until none lowers the cost, each from or to the fold that costs most if it can."""
    state = _State(groups, folds.copy(), deviation.copy(), 1 / share)
    for _ in range(_MOST_STEPS):
        for fold in np.argsort(-state.cost(), kind="stable").tolist():
            step = state.best_step(fold)
            if step.gain > _NEGLIGIBLE * max((state.size[g] for g, _ in step.changes), default=0):
                state.apply(step)
                break
        else:
            break
    return state.folds


def _moved(groups: Floats, before: Folds, after: Folds, deviation: Floats) -> Floats:
    deviation = deviation.copy()
    for group in np.flatnonzero(before != after).tolist():
        deviation[:, before[group]] -= groups[:, group]
        deviation[:, after[group]] += groups[:, group]
    return deviation


class _State:
    def __init__(self, groups: Floats, folds: Folds, deviation: Floats, urgency: Floats) -> None:
        self.groups = groups
        self.folds = folds
        self.deviation = deviation
        self.urgency = urgency  # 1 / share of each fold
        self.size = _dot(groups, groups)  # squared length of each group
        self.overlap = np.stack(  # (folds, groups): how much a group has of what a fold has
            [_dot(groups, deviation[:, fold, None]) for fold in range(len(urgency))]
        )

    def cost(self) -> Floats:
        """Of each fold."""
        return _dot(self.deviation, self.deviation) * self.urgency

    def best_step(self, fold: int) -> _Step:
        """The best move out of ``fold`` or into it, or swap with another fold."""
        leaving = (2 * self.overlap - self.size) * self.urgency[:, None]  # gain, (folds, groups)
        joining = -(2 * self.overlap + self.size) * self.urgency[:, None]
        mine = np.flatnonzero(self.folds == fold)
        best = _Step(0.0, ())
        for other in range(len(self.urgency)):
            if other == fold:
                continue
            theirs = np.flatnonzero(self.folds == other)
            out = leaving[fold, mine] + joining[other, mine]
            into = leaving[other, theirs] + joining[fold, theirs]
            out_first = np.argsort(-out, kind="stable")[:_SHORTLIST]
            into_first = np.argsort(-into, kind="stable")[:_SHORTLIST]
            mine_first, theirs_first = mine[out_first], theirs[into_first]
            options = []
            if len(mine_first):
                options.append(_Step(float(out[out_first[0]]), ((int(mine_first[0]), other),)))
            if len(theirs_first):
                options.append(_Step(float(into[into_first[0]]), ((int(theirs_first[0]), fold),)))
            if len(options) == 2:
                shared = _outer(self.groups[:, mine_first], self.groups[:, theirs_first])
                gains = (
                    out[out_first][:, None]
                    + into[into_first]
                    + shared * (2 * (self.urgency[fold] + self.urgency[other]))
                )
                i, j = np.unravel_index(int(gains.argmax()), gains.shape)
                options.append(
                    _Step(
                        float(gains[i, j]),
                        ((int(mine_first[i]), other), (int(theirs_first[j]), fold)),
                    )
                )
            best = max([best, *options], key=lambda step: step.gain)
        return best

    def apply(self, step: _Step) -> None:
        for group, fold in step.changes:
            for place, sign in ((int(self.folds[group]), -1.0), (fold, 1.0)):
                self.deviation[:, place] += sign * self.groups[:, group]
                for c in np.flatnonzero(self.groups[:, group]).tolist():
                    self.overlap[place] += sign * self.groups[c, group] * self.groups[c]
            self.folds[group] = fold


def _dot(left: Floats, right: Floats) -> Floats:
    """Sum over the classes (axis 0) of the products, one class after another."""
    total = np.zeros(np.broadcast_shapes(left.shape, right.shape)[1:])
    for row, other in zip(left, right, strict=True):
        total += row * other
    return total


def _outer(left: Floats, right: Floats) -> Floats:
    """Products of every column of ``left`` with every column of ``right``, in the same way."""
    total = np.zeros((left.shape[1], right.shape[1]))
    for c in np.flatnonzero(left.any(axis=1) & right.any(axis=1)).tolist():
        total += left[c][:, None] * right[c]
    return total
