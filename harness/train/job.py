"""A training job: one (run, fold), described by data."""

from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from harness.workspace.runs import fold_file, fold_predictions_file, holdout_file, refit_file
from harness.workspace.training import TrainingRows


@dataclass(frozen=True)
class Job:
    """One (run, fold): fold model ``number`` = repeat × k + fold.

    Without a fold it is the refit, which is trained on every row that is in a fold.
    """

    number: int
    repeat: int = 0
    fold: int | None = None

    @property
    def label(self) -> str:
        """What people call it."""
        return "refit" if self.fold is None else f"fold {self.number}"

    def split(self, training: TrainingRows) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """(rows to train on, rows to predict out of fold); the holdout is in neither."""
        folds = training.assignment[:, self.repeat]
        held_out = -1 if self.fold is None else self.fold
        return (
            np.flatnonzero((folds >= 0) & (folds != held_out)),
            np.flatnonzero((folds >= 0) & (folds == held_out)),
        )

    def inner(self, training: TrainingRows, rows: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Which of the training ``rows`` to make choices on: another fold.

        Of two folds there is no other one: a quarter of the rows, whole groups of them.
        """
        if training.folds.k == 2 and self.fold is not None:
            unit = training.ids if training.groups is None else training.groups
            return np.array([crc32(str(unit[row]).encode()) % 4 == 0 for row in rows])
        fold = 0 if self.fold is None else (self.fold + 1) % training.folds.k
        return np.asarray(training.assignment[rows, self.repeat] == fold)

    def weights_file(self, folder: Path) -> Path:
        """Where its weights go; they say that it is done."""
        return refit_file(folder) if self.fold is None else fold_file(folder, self.number)

    def checkpoint_file(self, folder: Path) -> Path:
        """Where an unfinished training is kept."""
        return self.weights_file(folder).with_suffix(".checkpoint.safetensors")

    def lock_file(self, folder: Path) -> Path:
        """Held by the process that does it."""
        return folder / f".{self.weights_file(folder).stem}.lock"

    def predictions_file(self, folder: Path) -> Path:
        """Where its predictions go."""
        if self.fold is None:
            return holdout_file(refit_file(folder))
        return fold_predictions_file(folder, self.number)
