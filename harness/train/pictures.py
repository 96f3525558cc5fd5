"""What a model is shown: labelled images, extra ones, and test images that others label."""

from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.data.extra import NOTHING, Extra, extra_table, read_extra
from harness.data.images import USUAL, ImageCache, cache_bytes, cached_images, find_images
from harness.data.sample import read_test_ids
from harness.errors import ConfigError, WorkspaceError
from harness.files import digest
from harness.model import ModelSection
from harness.predict.engine import choose_device, load_predictor, predict_batch
from harness.train.examples import Examples
from harness.train.job import Job
from harness.train.loss import target_matrix
from harness.train.passes import Passes
from harness.workspace import Workspace
from harness.workspace.runs import fold_file, load_arrays, read_model, read_run, save_arrays
from harness.workspace.training import TrainingRows

Predictions = NDArray[np.float32]


class Pictures:
    """The pictures of one model, at its size, decoded when they are first needed."""

    def __init__(
        self, workspace: Workspace, training: TrainingRows, model: ModelSection, passes: Passes
    ) -> None:
        self.workspace, self.training = workspace, training
        self.model, self.passes = model, passes

    @cached_property
    def images(self) -> ImageCache:
        """All labelled images at the model's size."""
        return self._cached(self.training.ids)

    @cached_property
    def extra(self) -> Extra:
        """Pictures beside the table: trained on in every fold, validated in none."""
        table = extra_table(self.workspace.root, self.workspace.competition.data.extra)
        if table is None:
            return NOTHING
        if self.training.task in ("multilabel", "regression"):
            raise ConfigError(
                "competition.toml [data]",
                f"'extra' pictures have one class each, and the task is {self.training.task!r}",
                "remove 'extra'",
            )
        return read_extra(table, self.training.targets)

    @cached_property
    def extra_images(self) -> ImageCache:
        """The extra pictures at the model's size."""
        return self._cached_files(self.extra.paths, self.model.image_size)

    def identity(self) -> dict[str, Any]:
        """What a run depends on, of all this."""
        identity: dict[str, Any] = {"images": self.images.content}
        rendering = self.workspace.competition.data.rendering
        usual = vars(USUAL)
        identity |= {key: said for key, said in vars(rendering).items() if said != usual[key]}
        if len(self.extra):
            counts = self.extra.target.tobytes() + self.extra.weight.tobytes()
            identity["extra"] = digest(self.extra_images.content, counts)
        if self.model.pseudo:
            identity["pseudo"] = {name: self._source(name) for name in self.model.pseudo}
        return identity

    def examples(self, job: Job, folder: Path) -> Examples:
        """What a job of the run in ``folder`` learns from, and where asked for what it watches."""
        rows, _ = job.split(self.training)
        targets = target_matrix(self.training.target, len(self.training.targets))
        inner = np.empty(0, np.intp)
        if self.model.patience and job.fold is not None:  # a refit learns from all rows
            held = job.inner(self.training, rows)
            inner, rows = rows[held], rows[~held]
        sources, weights = [self.images.pixels], [np.ones(len(targets), np.float32)]
        more: list[tuple[NDArray[np.uint8], Predictions, NDArray[Any]]] = []
        if len(self.extra):
            known = target_matrix(self.extra.target, len(self.training.targets))
            more.append((self.extra_images.pixels, known, self.extra.weight))
        if self.model.pseudo:
            pixels, labels = self._pseudo(job, folder)
            more.append((pixels, labels, np.ones(len(labels))))
        for pixels, labels, counts in more:
            rows = np.concatenate([rows, len(targets) + np.arange(len(labels))])
            sources.append(pixels)
            targets = np.concatenate([targets, labels])
            weights.append(counts.astype(np.float32))
        return Examples(tuple(sources), targets, np.concatenate(weights), rows, inner)

    def _source(self, name: str) -> str:
        """The digest of a run whose models label the test images."""
        folder = self.workspace.models / name
        if not (self.workspace.oof / f"{name}.parquet").exists():
            raise WorkspaceError(
                folder,
                f"is not a complete run, and {self.model.name!r} takes pseudo-labels from it",
                "train it first",
            )
        return digest(str(read_run(folder)["identity"]))

    def _pseudo(self, job: Job, folder: Path) -> tuple[NDArray[np.uint8], Predictions]:
        """Test images, and what models that did not see this job's fold say of them.

        In one view: labels decide what is trained, and [predict] views must not.
        """
        ids = read_test_ids(self.workspace.competition, self.workspace.root)
        file = job.weights_file(folder).with_suffix(".pseudo.safetensors")
        if not file.exists():  # kept, so that an interrupted fold goes on with the same labels
            count = self.training.assignment.shape[1] * self.training.folds.k
            said = [
                self._said_by(name, job, number)
                for name in self.model.pseudo
                for number in ([job.number] if job.fold is not None else range(count))
            ]
            labels: Predictions = np.mean(said, axis=0, dtype=np.float32)
            save_arrays(file, {"targets": labels})
        return self._cached(ids, test=True).pixels, load_arrays(file)["targets"]

    def _said_by(self, name: str, job: Job, number: int) -> Predictions:
        folder = self.workspace.models / name
        stored = read_run(folder)["identity"]
        if stored["folds"] != self.training.folds.digest:
            raise WorkspaceError(folder, "was trained on other folds", "train it again")
        model = read_model(folder)
        predictor = load_predictor(
            folder,
            model,
            len(self.training.targets),
            [fold_file(folder, number)],
            self.training.task,
        )
        ids = read_test_ids(self.workspace.competition, self.workspace.root)
        pixels = self._cached(ids, model.image_size, test=True).pixels
        device = choose_device(model.precision)
        device.place(predictor)
        return self.passes.in_batches(
            lambda batch: predict_batch(predictor, pixels[batch], device),
            np.arange(len(pixels)),
            f"{job.label} pseudo-labels",
        )

    def _cached(
        self, ids: Iterable[str], size: int | None = None, *, test: bool = False
    ) -> ImageCache:
        paths = find_images(self.workspace.competition, self.workspace.root, ids, test=test)
        return self._cached_files(paths, size or self.model.image_size)

    def _cached_files(self, paths: Sequence[Path], size: int) -> ImageCache:
        room = cache_bytes(len(paths), size) / 1e6
        title = f"reading at {size} px, {room:.0f} MB"
        with self.passes.display.progress(title, len(paths)) as advance:
            return cached_images(
                paths,
                size,
                self.workspace.cache / "images",
                lambda done: advance(done, ""),
                rendering=self.workspace.competition.data.rendering,
            )
