"""Training every model on every fold: what is done is skipped, what is finished is kept."""

import platform
import shutil
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import timm
import torch
from numpy.typing import NDArray
from torch import Tensor

import harness
from harness.backbone import Network, build_classifier, build_features, check_backbone
from harness.competition import ModelSection, training_settings
from harness.data.images import ImageCache, cached_images, find_images
from harness.display import Display
from harness.errors import ConfigError, nearest
from harness.files import digest
from harness.predict.engine import BATCH, Device, choose_device, predict_batch
from harness.train.job import Job
from harness.train.loop import Progress, train_fold
from harness.train.probe import Head, apply_head, fit_head
from harness.train.soup import average_weights
from harness.workspace import Workspace
from harness.workspace.oof import oof_metadata, write_oof
from harness.workspace.runs import (
    append_log,
    fold_predictions_file,
    holdout_file,
    identity_digest,
    load_arrays,
    save_arrays,
    soup_file,
    start_run,
)
from harness.workspace.training import TrainingRows, read_training

Probabilities = NDArray[np.float32]


def train(
    workspace: Workspace, display: Display, *, only: Sequence[str] = (), retrain: Sequence[str] = ()
) -> None:
    """Train the models of competition.toml, or those named in ``only``.

    ``retrain`` names runs whose files are deleted first.
    """
    models = _choose(workspace.competition.model, (*only, *retrain))
    if workspace.competition.task in ("multilabel", "regression"):
        raise ConfigError(
            "competition.toml [competition]",
            f"task {workspace.competition.task!r} can be folded and stacked but not trained yet",
            "train elsewhere and drop the predictions into oof/ (docs/guide.md)",
        )
    for model in models:  # all of them before the first is trained for hours
        check_backbone(model.backbone, model.weights, workspace.root)
    training = read_training(workspace)
    for name in retrain:
        shutil.rmtree(workspace.models / name, ignore_errors=True)
        (workspace.oof / f"{name}.parquet").unlink(missing_ok=True)
    paths = find_images(workspace.competition, workspace.root, training.ids)
    for model in models:
        with display.progress(f"reading at {model.image_size} px", len(paths)) as advance:
            images = cached_images(
                paths,
                model.image_size,
                workspace.cache / "images",
                lambda done: advance(done, ""),
            )
        _Run(workspace, display, training, model, images).train()


def _choose(models: Sequence[ModelSection], names: Sequence[str]) -> Sequence[ModelSection]:
    known = {model.name: model for model in models}
    if not models:
        raise ConfigError("competition.toml", "has no [[model]]", "add at least one")
    for name in names:
        if name not in known:
            raise ConfigError(
                "competition.toml", f"has no [[model]] named {name!r}", nearest(name, known)
            )
    return [known[name] for name in dict.fromkeys(names)] if names else models


class _Run:
    """One model over all folds: what its folds share, and its files."""

    def __init__(
        self,
        workspace: Workspace,
        display: Display,
        training: TrainingRows,
        model: ModelSection,
        images: ImageCache,
    ) -> None:
        self.workspace, self.display, self.training = workspace, display, training
        self.model, self.images = model, images
        self.holdout = training.holdout_rows
        self.folder = workspace.models / model.name
        self.oof_file = workspace.oof / f"{model.name}.parquet"
        self.identity = {
            "model": training_settings(model),
            "task": training.task,
            "targets": list(training.targets),
            "folds": training.folds.digest,
            "labels": training.target_digest,
            "images": images.content,
        }
        repeats, k = training.assignment.shape[1], training.folds.k
        self.jobs = [Job(r * k + f, r, f) for r in range(repeats) for f in range(k)]
        self.refit = [Job(len(self.jobs))] if model.predict == "refit" else []

    def train(self) -> None:
        """Do the jobs that are missing, then write the OOF file, which says that all is done.

        What ``predict`` asks for beside the fold models, a soup or a refit, may come later.
        """
        start_run(self.folder, self.identity, self._circumstances())
        config = identity_digest(self.identity)
        done = self.oof_file.exists() and oof_metadata(self.oof_file).get("config") == config
        jobs = self.refit if done else [*self.jobs, *self.refit]
        missing = [job for job in jobs if not job.weights_file(self.folder).exists()]
        soup_there = not missing and soup_file(self.folder).exists()
        soup_missing = self.model.predict == "soup" and not soup_there
        if done and not missing and not soup_missing:
            self.display.say(f"{self.model.name}: done before, nothing to do")
            return
        if there := len(jobs) - len(missing):
            self.display.say(f"{self.model.name}: {there} folds are there already")
        if self.model.mode == "probe":
            self._probe(missing)
        else:
            self._finetune(missing)
        if soup_missing:
            self._make_soup()
        if not done:
            self._finish(config)

    def _finish(self, config: str) -> None:
        """Write the OOF file."""
        predictions = self._gather()
        metric = self.workspace.competition.metric
        rows = self.training.rows_in_folds
        score = metric.score(self.training.target[rows], predictions)
        seconds = sum(
            float(load_arrays(fold_predictions_file(self.folder, job.number))["seconds"][0])
            for job in self.jobs
        )
        write_oof(
            self.oof_file,
            self.training,
            predictions,
            {
                "run": self.model.name,
                "folds": self.training.folds.digest,
                "task": self.training.task,
                "metric": metric.name,
                "score": f"{score:.6f}",
                "seconds": f"{seconds:.3f}",
                "config": config,
            },
        )
        self.display.say(
            f"{self.model.name}: OOF {metric.name} {score:.4f} in {seconds:.0f} s of training "
            f"→ oof/{self.oof_file.name}, models/{self.model.name}/"
        )

    def _finetune(self, jobs: Sequence[Job]) -> None:
        training_device = choose_device(self.model.precision, training=True)
        for job in jobs:
            rows, scored = job.split(self.training)
            seed = _seed(self.model.seed, job.number)
            torch.manual_seed(seed)  # the fresh classifier's weights come from it
            network = build_classifier(
                self.model.backbone,
                self.model.weights,
                len(self.training.targets),
                image_size=self.model.image_size,
                root=self.workspace.root,
                drop_path=self.model.drop_path,
            )
            started = time.perf_counter()
            with self.display.progress(
                f"{self.model.name} {self._title(job)}",
                len(rows) * self.model.epochs,
            ) as advance:

                def report(progress: Progress, job: Job = job, advance: Any = advance) -> None:
                    done = (progress.epoch - 1) * progress.images_total + progress.images
                    note = (
                        f"epoch {progress.epoch}/{progress.epochs} loss {progress.loss:.3f} "
                        f"{progress.images_per_second:.0f} images/s"
                    )
                    advance(done, note)
                    if progress.epoch_done:
                        self._log(job, epoch=progress.epoch, loss=round(progress.loss, 5))

                train_fold(
                    network,
                    self.images.pixels,
                    self.training.target,
                    rows,
                    self.model,
                    training_device,
                    seed,
                    report,
                )
            predicted = self._predict(network, np.concatenate([scored, self.holdout]))
            self._finish_job(job, _arrays(network.state_dict()), predicted, started)

    def _probe(self, jobs: Sequence[Job]) -> None:
        if not jobs:
            return
        started = time.perf_counter()
        features = self._probe_features()
        share = (time.perf_counter() - started) / len(jobs)  # the features serve all folds
        for job in jobs:
            started = time.perf_counter() - share
            rows, scored = job.split(self.training)
            head = fit_head(
                features[rows],
                self.training.target[rows],
                len(self.training.targets),
                job.inner(self.training, rows),
                self.model.strengths,
            )
            self._log(job, strength=head.strength)
            self._finish_job(
                job,
                {"weight": head.weight, "bias": head.bias},
                apply_head(head, features[np.concatenate([scored, self.holdout])]),
                started,
            )

    def _make_soup(self) -> None:
        """Average the fold models' weights, and predict the holdout with the result."""
        soup = average_weights([load_arrays(job.weights_file(self.folder)) for job in self.jobs])
        if self.model.mode == "probe":
            head = Head(soup["weight"], soup["bias"], float("nan"))
            predicted = apply_head(head, self._probe_features()[self.holdout])
        else:
            network = build_classifier(
                self.model.backbone,
                "none",
                len(self.training.targets),
                image_size=self.model.image_size,
                root=self.workspace.root,
            )
            network.load_state_dict({name: torch.from_numpy(a) for name, a in soup.items()})
            predicted = self._predict(network, self.holdout)
        file = soup_file(self.folder)
        save_arrays(holdout_file(file), {"holdout": predicted})
        save_arrays(file, soup)
        self.display.say(f"{self.model.name}: soup of {len(self.jobs)} fold models → {file.name}")

    def _probe_features(self) -> NDArray[np.float32]:
        """Features (rows, width) of all images by the frozen network, which the run keeps."""
        file = self.folder / "backbone.safetensors"
        torch.manual_seed(self.model.seed)  # what weights = "none" leaves to chance
        network = build_features(
            self.model.backbone,
            "none" if file.exists() else self.model.weights,
            image_size=self.model.image_size,
            root=self.workspace.root,
        )
        if file.exists():  # the heads that are there were fitted on its features
            stored = load_arrays(file)
            network.load_state_dict({name: torch.from_numpy(a) for name, a in stored.items()})
        state = _arrays(network.state_dict())
        if not file.exists():  # kept, so that the run needs nothing from outside its folder
            save_arrays(file, state)
        return self._features(network, state)

    def _features(self, network: Network, state: dict[str, NDArray[Any]]) -> NDArray[np.float32]:
        """Features (rows, width) of all images, from the cache where they are there."""
        device = choose_device(self.model.precision, training=False)
        key = digest(
            self.model.backbone,
            str(self.model.image_size),
            device.precision,
            self.images.content,
            *(array.tobytes() for array in state.values()),
        )
        file = self.workspace.cache / "features" / f"{key}.safetensors"
        if not file.exists():
            rows = np.arange(len(self.images.pixels))
            save_arrays(file, {"features": self._outputs(network, rows, device, "features")})
        return load_arrays(file)["features"]

    def _predict(self, network: Network, rows: NDArray[np.intp]) -> Probabilities:
        """Probabilities (rows, targets) by one fold model; there may be no row."""
        from scipy.special import softmax

        if not len(rows):
            return np.empty((0, len(self.training.targets)), np.float32)
        device = choose_device(self.model.precision, training=False)
        logits = self._outputs(network, rows, device, "predicting")
        return softmax(logits, axis=1)

    def _outputs(
        self, network: Network, rows: NDArray[np.intp], device: Device, what: str
    ) -> NDArray[np.float32]:
        device.place(network).eval()
        outputs = []
        with self.display.progress(f"{self.model.name} {what}", len(rows)) as advance:
            for start in range(0, len(rows), BATCH):
                batch = rows[start : start + BATCH]
                outputs.append(predict_batch(network, self.images.pixels[batch], device))
                advance(start + len(batch), "")
        return np.concatenate(outputs)

    def _finish_job(
        self,
        job: Job,
        weights: dict[str, NDArray[Any]],
        predicted: Probabilities,
        started: float,
    ) -> None:
        """Write the predictions, then the weights: these say that the job is done.

        ``predicted`` are the rows of its fold, then those of the holdout.
        """
        seconds = time.perf_counter() - started
        _, scored = job.split(self.training)
        out_of_fold, holdout = np.split(predicted, [len(scored)])
        arrays = {"seconds": np.array([seconds])}
        if len(scored):
            arrays["predictions"] = out_of_fold
        if len(self.holdout):
            arrays["holdout"] = holdout
        save_arrays(job.predictions_file(self.folder), arrays)
        save_arrays(job.weights_file(self.folder), weights)
        said = f"{self.model.name}: {self._title(job)}"
        if len(scored):
            metric = self.workspace.competition.metric
            score = metric.score(self.training.target[scored], out_of_fold)
            self._log(job, score=round(score, 6), seconds=round(seconds, 3))
            said += f" {metric.name} {score:.4f}"
        else:
            self._log(job, seconds=round(seconds, 3))
        self.display.say(f"{said}, {seconds:.0f} s")

    def _title(self, job: Job) -> str:
        return job.label if job.fold is None else f"{job.label}/{len(self.jobs)}"

    def _gather(self) -> Probabilities:
        """OOF predictions (rows in folds, targets), averaged over repeats."""
        shape = (len(self.training.ids), len(self.training.targets))
        total = np.zeros(shape, np.float32)
        for job in self.jobs:
            _, scored = job.split(self.training)
            stored = load_arrays(fold_predictions_file(self.folder, job.number))
            total[scored] += stored["predictions"]
        repeats = self.training.assignment.shape[1]
        return total[self.training.rows_in_folds] / np.float32(repeats)

    def _log(self, job: Job, **values: object) -> None:
        which: dict[str, object] = {"refit": True} if job.fold is None else {"fold": job.number}
        append_log(self.folder, {**which, **values})

    def _circumstances(self) -> dict[str, str]:
        device = choose_device(self.model.precision, training=self.model.mode == "finetune")
        return {
            "harness": harness.__version__,
            "torch": torch.__version__,
            "timm": timm.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
            "machine": platform.machine(),
            "device": str(device.torch),
            "precision": device.precision,
        }


def _seed(base: int, number: int) -> int:
    """Another seed for each fold model, the same in every process."""
    return int(digest("fold model", str(base), str(number))[:8], 16)


def _arrays(state: dict[str, Tensor]) -> dict[str, NDArray[Any]]:
    return {name: tensor.detach().cpu().numpy() for name, tensor in state.items()}
