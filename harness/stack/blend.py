"""A fitted combination of members: data that can be stored, compared and applied to new rows."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from harness.errors import WorkspaceError
from harness.predict.plan import KINDS, Kind
from harness.stack.booster import Booster
from harness.stack.linear import Linear
from harness.stack.link import finish
from harness.stack.problem import Array
from harness.stack.rules import Average, RankMean, Rule, Vote

CELLS_AT_ONCE = 1 << 23
"""Rows are combined in pieces of about this many numbers, so temporaries stay small."""


@dataclass(frozen=True)
class Blend:
    """A fitted combination of ``members`` members that predict ``targets`` columns each."""

    method: str
    task: str
    members: int
    targets: int
    rule: Rule

    @property
    def members_used(self) -> tuple[int, ...]:
        """Members with influence, ascending; the others need not be predicted at all."""
        return self.rule.members_used

    def apply(self, predictions: Array, metadata: Array | None = None) -> Array:
        """Combine (members, rows, targets) into (rows, targets) float64.

        For class tasks rows are probabilities that sum to one, none of them zero. Predictions of
        members that are not used are never read (they may be NaN). ValueError on wrong shapes.
        """
        if predictions.ndim != 3 or predictions.shape[::2] != (self.members, self.targets):
            raise ValueError(
                f"{predictions.shape} is not ({self.members}, rows, {self.targets}), "
                f"for which this {self.method} blend was fitted"
            )
        kind = KINDS[self.task]
        rows = predictions.shape[1]
        combined = np.empty((rows, self.targets))
        step = max(1, CELLS_AT_ONCE // (self.members * self.targets))
        for start in range(0, rows, step):
            piece = slice(start, start + step)
            columns = None if metadata is None else metadata[piece]
            combined[piece] = finish(kind, self.rule.apply(kind, predictions[:, piece], columns))
        return combined

    def to_json(self) -> dict[str, Any]:
        """Plain values, from which ``blend_from_json`` makes the same blend."""
        return {
            "method": self.method,
            "task": self.task,
            "members": self.members,
            "targets": self.targets,
            "rule": _KIND_OF_RULE[type(self.rule)],
            **self.rule.to_json(),
        }


def blend_from_json(record: dict[str, Any]) -> Blend:
    """The blend that ``Blend.to_json`` described; WorkspaceError if it is unknown or damaged."""
    try:
        rule_class = _RULES[record["rule"]]
        blend = Blend(
            method=str(record["method"]),
            task=str(record["task"]),
            members=int(record["members"]),
            targets=int(record["targets"]),
            rule=rule_class.from_json(record),
        )
        damaged = blend.task not in KINDS or not blend.rule.fits(blend.members, blend.targets)
    except (LookupError, TypeError, ValueError, OverflowError) as error:
        raise _damaged(record, f"{type(error).__name__}: {error}") from error
    if damaged:
        raise _damaged(record, "its numbers do not have the shapes that its members need")
    return blend


def _damaged(record: object, found: str) -> WorkspaceError:
    method = record.get("method") if isinstance(record, dict) else None
    return WorkspaceError(f"blend {method!r}", f"cannot be read ({found})", "run `stack` again")


@dataclass(frozen=True)
class Committee:
    """The mean of blends that were fitted on different rows (bagging: Breiman 1996)."""

    blends: tuple[Blend, ...]

    @property
    def members_used(self) -> tuple[int, ...]:
        return _used(self.blends)

    def apply(self, kind: Kind, predictions: Array, metadata: Array | None) -> Array:
        total = np.zeros(predictions.shape[1:])
        for blend in self.blends:
            total += blend.apply(predictions, metadata)
        return np.asarray(total / len(self.blends))

    def fits(self, members: int, targets: int) -> bool:
        return bool(self.blends) and _all_fit(self.blends, members, targets)

    def to_json(self) -> dict[str, Any]:
        return {"blends": [blend.to_json() for blend in self.blends]}

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Self:
        return cls(tuple(blend_from_json(blend) for blend in record["blends"]))


@dataclass(frozen=True)
class Layers:
    """Blends of the members whose outputs a second blend combines (Wolpert 1992)."""

    first: tuple[Blend, ...]
    second: Blend

    @property
    def members_used(self) -> tuple[int, ...]:
        return _used(tuple(self.first[i] for i in self.second.members_used))

    def apply(self, kind: Kind, predictions: Array, metadata: Array | None) -> Array:
        outputs = np.zeros((len(self.first), *predictions.shape[1:]))
        for i in self.second.members_used:
            outputs[i] = self.first[i].apply(predictions, metadata)
        return self.second.apply(outputs, metadata)

    def fits(self, members: int, targets: int) -> bool:
        return _all_fit(self.first, members, targets) and _all_fit(
            (self.second,), len(self.first), targets
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "first": [blend.to_json() for blend in self.first],
            "second": self.second.to_json(),
        }

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Self:
        first = tuple(blend_from_json(blend) for blend in record["first"])
        return cls(first, blend_from_json(record["second"]))


def _used(blends: tuple[Blend, ...]) -> tuple[int, ...]:
    return tuple(sorted({member for blend in blends for member in blend.members_used}))


def _all_fit(blends: tuple[Blend, ...], members: int, targets: int) -> bool:
    return all((blend.members, blend.targets) == (members, targets) for blend in blends)


_RULES: dict[str, type[Rule]] = {
    "average": Average,
    "vote": Vote,
    "rank_mean": RankMean,
    "linear": Linear,
    "booster": Booster,
    "committee": Committee,
    "layers": Layers,
}
_KIND_OF_RULE = {rule_class: kind for kind, rule_class in _RULES.items()}
