"""The files of a run: one of them for a model, more for one that leaves snapshots."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import WorkspaceError
from harness.files import to_write
from harness.locks import holding
from harness.metrics import Metric
from harness.predict.plan import KINDS, blend
from harness.train.job import Job
from harness.workspace import Workspace
from harness.workspace.oof import oof_metadata, oof_views, write_oof
from harness.workspace.runs import (
    Values,
    fold_predictions_file,
    identity_digest,
    is_same_run,
    load_arrays,
    noted_views,
    save_arrays,
    save_predictions,
    start_run,
)
from harness.workspace.training import TrainingRows

Predictions = NDArray[np.float32]
Spent = Mapping[str, float]
"""The ``seconds`` of a training, and the ``epochs`` to its best one if it looked for that."""


@dataclass(frozen=True)
class Output:
    """models/<name>/ and oof/<name>.parquet of one run; ``identity`` is all that decides it.

    A run that is trained again is made in models/.retrained/<name>/, and takes its place when all
    of its models are there. Who trains the run meanwhile goes on there, in any process.
    """

    workspace: Workspace
    training: TrainingRows
    name: str
    identity: Values

    @property
    def folder(self) -> Path:
        """models/<name>/, or where the run is trained again."""
        return self.aside if self.is_retrained else self.workspace.models / self.name

    @property
    def aside(self) -> Path:
        """Where the run is trained again."""
        return self.workspace.models / ".retrained" / self.name

    @property
    def is_retrained(self) -> bool:
        """Return whether a training of this run that was begun anew has not taken its place yet."""
        return is_same_run(self.aside, self.identity)

    def take_place(self) -> None:
        """Put the run that was trained again in the place of the old one."""
        place = self.workspace.models / self.name
        with holding(self.aside.with_name(f".{self.name}.lock")):
            if self.is_retrained:
                to_write(self.oof_file).unlink(missing_ok=True)
                if place.exists():
                    shutil.rmtree(to_write(place))
                self.aside.rename(place)

    @property
    def oof_file(self) -> Path:
        """Its existence says that the run is complete."""
        return self.workspace.oof / f"{self.name}.parquet"

    @property
    def complete(self) -> bool:
        """Return whether the OOF file is there and of this run, in whatever views."""
        return self._complete_in() is not None

    @property
    def current(self) -> bool:
        """Return whether the OOF file is there, of this run and in the views that are asked for."""
        return self._complete_in() == self.views

    def _complete_in(self) -> tuple[str, ...] | None:
        """Return the views of this run's OOF file; None if it is missing or damaged: it is written
        again from the fold models' predictions."""
        if self.is_retrained or not self.oof_file.exists():
            return None
        try:
            metadata = oof_metadata(self.oof_file)
        except WorkspaceError:
            return None
        same = metadata.get("config") == identity_digest(self.identity)
        return oof_views(metadata) if same else None

    @property
    def views(self) -> tuple[str, ...]:
        """The test-time views that predictions are means over."""
        return self.workspace.competition.views

    def predicted(self, job: Job) -> bool:
        """Return whether the job's predictions are in the views that are asked for."""
        file = job.predictions_file(self.folder)
        return noted_views(file) == self.views if file.exists() else self.current

    def start(self, circumstances: Values, *, anew: bool) -> Values:
        """Write run.json or accept the same run's; the circumstances that are noted there."""
        labels = (self.training.ids, self.training.target)
        folder = self.aside if anew else self.folder
        return start_run(folder, self.identity, circumstances, labels)

    def keep(
        self, job: Job, weights: dict[str, NDArray[Any]], predicted: Predictions, spent: Spent
    ) -> float | None:
        """Write a job's predictions, then its weights, which say that it is done; its score.

        ``predicted`` are the rows of its fold, then those of the holdout.
        """
        score = self.keep_predictions(job, predicted, spent)
        save_arrays(job.weights_file(self.folder), weights)
        return score

    def keep_predictions(self, job: Job, predicted: Predictions, spent: Spent) -> float | None:
        """Write the predictions of a job and what its training took; its score."""
        _, scored = job.split(self.training)
        out_of_fold, holdout = np.split(predicted, [len(scored)])
        arrays = {name: np.array([value]) for name, value in spent.items()}
        if len(scored):
            arrays["predictions"] = out_of_fold
        if len(holdout):
            arrays["holdout"] = holdout
        save_predictions(job.predictions_file(self.folder), arrays, self.views)
        if not len(scored):
            return None
        return self._score(scored, out_of_fold)

    def finish(self, jobs: Sequence[Job], kept: str) -> float:
        """Write the OOF file from the predictions of all folds; the score.

        ``kept`` says which weights predicted: the last, or an average, never the best on a fold
        that is scored.
        """
        shape = (len(self.training.ids), len(self.training.targets))
        total = np.zeros(shape, np.float32)
        for job in jobs:
            _, scored = job.split(self.training)
            stored = load_arrays(fold_predictions_file(self.folder, job.number))
            total[scored] += stored["predictions"]
        rows = self.training.rows_in_folds
        predictions = total[rows] / np.float32(self.training.assignment.shape[1])
        score = self._score(rows, predictions)
        write_oof(
            self.oof_file,
            self.training,
            predictions,
            {
                "run": self.name,
                "folds": self.training.folds.digest,
                "task": self.training.task,
                "metric": self.metric.name,
                "score": f"{score:.6f}",
                "kept": kept,
                "views": ",".join(self.views),
                "config": identity_digest(self.identity),
            },
        )
        return score

    def _score(self, rows: NDArray[np.intp], predictions: Predictions) -> float:
        kind = KINDS[self.training.task]
        decided = self.training.decision.apply(blend(np.ones(1), predictions[None], kind))
        return self.metric.score(self.training.target[rows], decided)

    @property
    def metric(self) -> Metric:
        """The metric that decides the competition."""
        return self.workspace.competition.metric
