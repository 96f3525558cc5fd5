"""What there is to combine: the members' out-of-fold predictions beside the truth."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.decision import Decision, plain_decision
from harness.metrics import Metric
from harness.predict.plan import KINDS, Kind

Array = NDArray[Any]
Rows = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Problem:
    """Members' out-of-fold predictions of one competition, with what is needed to score them.

    ``predictions`` (members, rows, targets) may be a memory map; it is never copied whole. The
    shapes of ``truth`` and of one member's predictions are those of ``harness.metrics``.
    ``groups`` (rows,) are rows that belong together: the bootstrap draws them together.
    ``metadata`` (rows, columns) enters the meta-learners; NaN means not known. ``at_least_one``: no
    row may go without a label.
    ValueError if the shapes do not fit or a prediction is not finite.
    """

    names: tuple[str, ...]
    predictions: NDArray[np.float32]
    truth: Array
    folds: NDArray[np.integer[Any]]
    task: str
    metric: Metric
    groups: Array | None = None
    metadata: NDArray[np.float32] | None = None
    at_least_one: bool = False

    def __post_init__(self) -> None:
        if self.task not in KINDS:
            raise ValueError(f"unknown task {self.task!r}")
        if self.predictions.ndim != 3 or 0 in self.predictions.shape:
            raise ValueError(f"predictions: {self.predictions.shape} is not members, rows, targets")
        members, rows, targets = self.predictions.shape
        if len(self.names) != members or len(set(self.names)) != members:
            raise ValueError(f"{members} members need as many different names: {self.names}")
        truth_shape = (rows, targets) if self.kind == "labels" else (rows,)
        if self.truth.shape != truth_shape or self.folds.shape != (rows,):
            raise ValueError(f"{rows} rows, truth {self.truth.shape}, folds {self.folds.shape}")
        if self.groups is not None and self.groups.shape != (rows,):
            raise ValueError(f"{rows} rows, groups {self.groups.shape}")
        if self.metadata is not None and self.metadata.shape[:1] != (rows,):
            raise ValueError(f"{rows} rows, metadata {self.metadata.shape}")
        if self.folds.min() < 0 or len(self.fold_numbers(slice(None))) < 2:
            raise ValueError("every row needs a fold of 0 or more, and at least two folds")
        if self.kind == "classes" and not 0 <= self.truth.min() <= self.truth.max() < targets:
            raise ValueError(f"truth holds class codes outside 0 … {targets - 1}")
        for name, member in zip(self.names, self.predictions, strict=True):
            if not np.isfinite(member.sum(dtype=np.float64)):
                raise ValueError(f"member {name}: predictions hold NaN or infinity")

    @property
    def kind(self) -> Kind:
        """What a row of predictions is."""
        return KINDS[self.task]

    @property
    def plain_decision(self) -> Decision:
        """What is done with predictions where no rule was searched for."""
        targets, needs = self.predictions.shape[2], self.metric.needs
        return plain_decision(self.task, needs, self.truth, targets, at_least_one=self.at_least_one)

    @property
    def draws(self) -> int:
        """How many rows, or groups of rows, were drawn independently of one another."""
        return len(self.folds if self.groups is None else np.unique(self.groups))

    def fold_numbers(self, rows: Rows | slice) -> list[int]:
        """The folds that occur among ``rows``, ascending."""
        return [int(fold) for fold in np.unique(self.folds[rows])]

    def metadata_of(self, rows: Rows) -> Array | None:
        """The metadata of these rows, if there is any."""
        return None if self.metadata is None else self.metadata[rows]

    def by_name(self) -> list[int]:
        """Member indices in order of name: what depends on an order uses this one.

        So the order in which files were listed cannot change a result.
        """
        return sorted(range(len(self.names)), key=self.names.__getitem__)

    def of_rows(self, rows: Array | slice) -> "Problem":
        """The same members on these rows alone."""
        return replace(
            self,
            predictions=self.predictions[:, rows],
            truth=self.truth[rows],
            folds=self.folds[rows],
            groups=None if self.groups is None else self.groups[rows],
            metadata=None if self.metadata is None else self.metadata[rows],
        )

    def of_members(self, places: Sequence[int]) -> "Problem":
        """These members alone, in this order."""
        return replace(
            self,
            names=tuple(self.names[i] for i in places),
            predictions=self.predictions[list(places)],
        )


def as_rows(problem: Problem, rows: Array | slice) -> Rows:
    """Row numbers, ascending and each once, for an index array, a mask or a slice."""
    return np.unique(np.arange(len(problem.folds), dtype=np.intp)[rows])
