"""The arithmetic of the simple combinations; each is a record of plain numbers.

Rules work row by row: predicting a part of the rows, or in pieces, changes nothing.
"""

from dataclasses import asdict, dataclass
from typing import Any, Literal, Protocol, Self

import numpy as np

from harness.predict.plan import Kind
from harness.stack.link import from_logits, to_logits
from harness.stack.problem import Array


class Rule(Protocol):
    """How one method combines members. Never reads the predictions of members it does not use."""

    @property
    def members_used(self) -> tuple[int, ...]:
        """Members with influence, ascending."""

    def apply(self, kind: Kind, predictions: Array, metadata: Array | None) -> Array:
        """(members, rows, targets) → (rows, targets), not yet normalised."""

    def fits(self, members: int, targets: int) -> bool:
        """Whether the stored numbers have the shapes that this many members and targets need."""

    def to_json(self) -> dict[str, Any]:
        """Plain values."""

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Self:
        """The inverse of ``to_json``; KeyError, TypeError or ValueError if it is damaged."""


@dataclass(frozen=True)
class Average:
    """A weighted mean of probabilities or of logits, then ``power`` · logits: 1 / temperature."""

    weights: tuple[float, ...]
    scale: Literal["probability", "logit"] = "probability"
    power: float = 1.0

    @property
    def members_used(self) -> tuple[int, ...]:
        return tuple(i for i, weight in enumerate(self.weights) if weight != 0)

    def apply(self, kind: Kind, predictions: Array, metadata: Array | None) -> Array:
        total = np.zeros(predictions.shape[1:])
        for i in self.members_used:
            member = (
                predictions[i] if self.scale == "probability" else to_logits(kind, predictions[i])
            )
            total += self.weights[i] * member
        if self.scale == "probability" and self.power == 1:
            return total
        logits = total if self.scale == "logit" else to_logits(kind, total)
        return from_logits(kind, self.power * logits)

    def fits(self, members: int, targets: int) -> bool:
        return len(self.weights) == members

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"weights": list(self.weights)}

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Self:
        if record["scale"] not in ("probability", "logit"):
            raise ValueError(f"scale {record['scale']!r}")
        return cls(
            tuple(float(weight) for weight in record["weights"]),
            record["scale"],
            float(record["power"]),
        )


@dataclass(frozen=True)
class Vote:
    """Votes for the most probable class, smoothed by one vote that the mean probability shares.

    (votes + mean probability) / (members + 1): its largest class is the mode, ties go to the
    larger mean probability, and it has no zeros where the mean has none. A member votes for a
    label when it gives it at least one half.
    """

    members: int

    @property
    def members_used(self) -> tuple[int, ...]:
        return tuple(range(self.members))

    def apply(self, kind: Kind, predictions: Array, metadata: Array | None) -> Array:
        votes = predictions.mean(axis=0, dtype=np.float64)
        for member in predictions:
            if kind == "labels":
                votes += member >= 0.5
            else:
                votes[np.arange(len(votes)), member.argmax(axis=1)] += 1
        return votes / (self.members + 1)

    def fits(self, members: int, targets: int) -> bool:
        return self.members == members

    def to_json(self) -> dict[str, Any]:
        return {}

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Self:
        return cls(int(record["members"]))


@dataclass(frozen=True, eq=False)
class RankMean:
    """Mean of ranks, on the scale of a typical member.

    A rank is looked up in the member's own out-of-fold distribution, stored as quantiles
    (members, targets, levels), so that a row's result does not depend on the rows beside it. The
    mean rank is turned into a prediction by the members' mean quantile function (Vincentization:
    Ratcliff 1979), which keeps its order and makes it a probability again.
    """

    quantiles: Array

    @property
    def members_used(self) -> tuple[int, ...]:
        return tuple(range(len(self.quantiles)))

    def apply(self, kind: Kind, predictions: Array, metadata: Array | None) -> Array:
        members, rows, targets = predictions.shape
        levels = np.linspace(0, 1, self.quantiles.shape[2])
        combined = np.empty((rows, targets))
        for target in range(targets):
            rank = np.zeros(rows)
            for i in range(members):
                known, inverse = np.unique(self.quantiles[i, target], return_inverse=True)
                # equal predictions share the mean of the ranks they span
                mid_rank = np.bincount(inverse, levels) / np.bincount(inverse)
                rank += np.interp(predictions[i, :, target], known, mid_rank)
            typical = self.quantiles[:, target].mean(axis=0)
            combined[:, target] = np.interp(rank / members, levels, typical)
        if kind == "classes" and targets == 2:  # keep the order of the second class exactly
            combined[:, 0] = 1 - combined[:, 1]
        return combined

    def fits(self, members: int, targets: int) -> bool:
        return self.quantiles.ndim == 3 and self.quantiles.shape[:2] == (members, targets)

    def to_json(self) -> dict[str, Any]:
        return {"quantiles": self.quantiles.tolist()}

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Self:
        return cls(np.array(record["quantiles"], dtype=np.float64))
