"""What a search is about: a model, a space, the rows that choose and the rows that judge."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import ConfigError, nearest
from harness.files import digest
from harness.model import ModelSection, training_settings
from harness.space import TuneSection, Values
from harness.tune.spaces import Axes, settings
from harness.workspace import Workspace
from harness.workspace.runs import fold_predictions_file, load_arrays, noted_views
from harness.workspace.training import TrainingRows

Rows = NDArray[np.intp]
Predictions = NDArray[np.float32]


@dataclass(frozen=True)
class Setup:
    """A search in a workspace; ``model`` is the default that it tries to beat."""

    workspace: Workspace
    section: TuneSection
    model: ModelSection
    training: TrainingRows
    against: str = ""
    """The digest of the ensemble that trials are to add to, if that is what is wanted."""

    @property
    def folder(self) -> Path:
        """Where the search keeps what is not a run: the study, locks, reports."""
        return self.workspace.root / "tune"

    @cached_property
    def axes(self) -> Axes:
        """The space."""
        return self.section.axes

    @property
    def has_holdout(self) -> bool:
        """Whether there are rows that are in no fold."""
        return bool(len(self.training.holdout_rows))

    @cached_property
    def choosing(self) -> tuple[int, ...]:
        """The numbers of the folds that trials are scored on, in their order."""
        k = self.training.folds.k
        count = self.section.folds or (k if self.has_holdout else k - max(1, round(0.4 * k)))
        most = k if self.has_holdout else k - 1
        if count > most:
            raise ConfigError(
                "competition.toml [tune]",
                f"folds = {count} of {k} leave none to judge the choice on",
                f"set it to {most} or less, or set [folds] holdout",
            )
        return tuple(range(count))

    @cached_property
    def judging(self) -> tuple[int, ...]:
        """The fold models that judge the choice: by the holdout, else by folds not chosen on."""
        if self.has_holdout:
            return self.choosing
        return tuple(range(len(self.choosing), self.training.folds.k))

    @cached_property
    def name(self) -> str:
        """The study's name: another space, method or set of folds is another study."""
        chosen = {"trials", "hours", "keep", "seeds", "storage", "model"}
        said = self.section.model_dump(mode="json", exclude=chosen)
        said |= {"folds": self.choosing, "against": self.against}
        return f"{self.model.name}-{self._digest(said)[:12]}"

    def run(self, values: Values) -> ModelSection:
        """The model with those values; equal settings are the same run, in any study.

        A ValueError if the values contradict each other or the task.
        """
        changed = settings(self.model, values)
        changed.require_trainable(self.training.task)
        if training_settings(changed) == training_settings(self.model):
            return self.model
        part = self._digest(training_settings(changed))[:8]
        return changed.model_copy(update={"name": f"{self.model.name[:48]}-{part}"})

    def reseeded(self, model: ModelSection) -> list[ModelSection]:
        """The model, and again with other seeds; alone where training has no chance in it."""
        others = 0 if model.mode == "probe" else self.section.seeds - 1
        seeds = [model.seed + 1 + number for number in range(others)]
        return [
            model,
            *(
                model.model_copy(update={"name": f"{model.name}-s{seed}", "seed": seed})
                for seed in seeds
            ),
        ]

    def out_of_fold(self, run: str, folds: Sequence[int]) -> tuple[Rows, Predictions]:
        """(rows, predictions) of finished folds of a run."""
        rows = [np.flatnonzero(self.training.assignment[:, 0] == fold) for fold in folds]
        said = [self._stored(run, fold)["predictions"] for fold in folds]
        return np.concatenate(rows), np.concatenate(said)

    def judged(self, run: str) -> tuple[Rows, Predictions]:
        """(rows, decided predictions) that chose nothing: the holdout, or folds kept for it."""
        if not self.has_holdout:
            rows, predictions = self.out_of_fold(run, self.judging)
            return rows, self.training.decision.apply(predictions)
        said = [self._stored(run, fold)["holdout"] for fold in self.judging]
        predictions = np.mean(said, axis=0, dtype=np.float32)
        return self.training.holdout_rows, self.training.decision.apply(predictions)

    def has(self, run: str, folds: Sequence[int]) -> bool:
        """Return whether these folds of the run are finished, in the views that are asked for."""
        folder, views = self.workspace.models / run, self.workspace.competition.views
        return all(
            (folder / f"fold{fold}.safetensors").exists()
            and noted_views(fold_predictions_file(folder, fold)) == views
            for fold in folds
        )

    def seconds(self, run: str) -> float:
        """What the training of its finished folds took."""
        folder = self.workspace.models / run
        files = [fold_predictions_file(folder, fold) for fold in range(self.training.folds.k)]
        return sum(float(load_arrays(file)["seconds"][0]) for file in files if file.exists())

    def _stored(self, run: str, fold: int) -> dict[str, NDArray[Any]]:
        return load_arrays(fold_predictions_file(self.workspace.models / run, fold))

    def _digest(self, said: Any) -> str:
        default = training_settings(self.model)
        rows = (self.training.folds.digest, self.training.target_digest)
        return digest(json.dumps(said, sort_keys=True), json.dumps(default), *rows)


def set_up(
    workspace: Workspace, training: TrainingRows, section: TuneSection, against: str = ""
) -> Setup:
    """The search that the section asks for; a ConfigError if it says too little."""
    models = {model.name: model for model in workspace.competition.model}
    name = section.model or next(iter(models), "")
    if name not in models:
        raise ConfigError(
            "competition.toml [tune]", f"there is no model {name!r}", nearest(name, models)
        )
    if section.model is None and len(models) > 1:
        raise ConfigError(
            "competition.toml [tune]", "does not say which model", f"set model = {name!r}"
        )
    if not section.space:
        raise ConfigError(
            "competition.toml",
            "has no [tune.space]",
            "add settings to it, such as lr = { low = 1e-4, high = 1e-1, log = true }",
        )
    return Setup(workspace, section, models[name].trainings()[0], training, against)
