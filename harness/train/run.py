"""One model over all folds: what its folds share, its jobs, its files."""

import platform
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from numpy.typing import NDArray
from torch import Tensor

import harness
from harness.backbone import Network, Rescale, activation, build_classifier, build_features
from harness.data.extra import NOTHING, Extra, read_extra
from harness.data.images import ImageCache, cache_bytes, cached_images, find_images
from harness.data.table import read_test_ids
from harness.display import Display
from harness.errors import ConfigError, ResourceError, WorkspaceError
from harness.files import digest
from harness.locks import holding
from harness.model import ModelSection, training_settings
from harness.predict.engine import BATCH, choose_device, load_predictor, predict_batch
from harness.predict.machine import fingerprint
from harness.train.examples import Examples
from harness.train.interrupt import Stopping
from harness.train.job import Job
from harness.train.loop import (
    Fold,
    NotFinite,
    Progress,
    State,
    Stopped,
    Surroundings,
    train_fold,
)
from harness.train.loss import target_matrix
from harness.train.outputs import Output
from harness.train.probe import Head, apply_head, fit_head
from harness.train.schedule import Schedule
from harness.train.soup import average_weights
from harness.train.speed import (
    Speed,
    deterministic,
    is_out_of_memory,
    measured_speed,
    training_device,
)
from harness.workspace import Workspace
from harness.workspace.runs import (
    append_log,
    fold_file,
    holdout_file,
    load_arrays,
    read_run,
    save_arrays,
    soup_file,
)
from harness.workspace.training import TrainingRows

Predictions = NDArray[np.float32]
Weights = dict[str, NDArray[Any]]

KEPT = {"none": "last weights", "ema": "moving average", "swa": "mean of the last quarter"}


class Run:
    """One model over all folds."""

    def __init__(
        self,
        workspace: Workspace,
        display: Display,
        training: TrainingRows,
        model: ModelSection,
        stopping: Stopping,
        pinned: Speed | None = None,
    ) -> None:
        self.workspace, self.display, self.training = workspace, display, training
        self.model, self.stopping, self.pinned = model, stopping, pinned
        repeats, k = training.assignment.shape[1], training.folds.k
        self.folds = [Job(r * k + f, r, f) for r in range(repeats) for f in range(k)]
        self.refit = [Job(len(self.folds))] if model.predict == "refit" else []

    @cached_property
    def images(self) -> ImageCache:
        """All labelled images at the model's size."""
        return self._cached(self.training.ids)

    @cached_property
    def extra(self) -> Extra:
        """Pictures beside the table: trained on in every fold, validated in none."""
        table = self.workspace.competition.data.extra
        if table is None:
            return NOTHING
        if self.training.task in ("multilabel", "regression"):
            raise ConfigError(
                "competition.toml [data]",
                f"'extra' pictures have one class each, and the task is {self.training.task!r}",
                "remove 'extra'",
            )
        return read_extra(self.workspace.root / table, self.training.targets)

    @cached_property
    def extra_images(self) -> ImageCache:
        """The extra pictures at the model's size."""
        return self._cached_files(self.extra.paths, self.model.image_size)

    @cached_property
    def outputs(self) -> tuple[Output, ...]:
        """Its own files last, before them those of its snapshots."""
        runs = self.model.snapshot_runs()
        return tuple(
            Output(self.workspace, self.training, run.name, self._identity(run, cycle))
            for cycle, run in enumerate(runs, start=1)
        )

    @property
    def own(self) -> Output:
        """The files of the run that has the model's name."""
        return self.outputs[-1]

    @property
    def missing(self) -> list[Job]:
        """The jobs that nobody has done; the refit may be asked for when all folds are there."""
        jobs = self.refit if self._all_complete else [*self.folds, *self.refit]
        return [job for job in jobs if not job.weights_file(self.own.folder).exists()]

    @property
    def done(self) -> bool:
        """Whether nothing is missing: no job, no soup, no OOF file."""
        soup = self.model.predict == "soup" and not soup_file(self.own.folder).exists()
        return self._all_complete and not self.missing and not soup

    @property
    def _all_complete(self) -> bool:
        return all(output.complete for output in self.outputs)

    def start(self) -> None:
        """Write run.json, or accept the one that is there, and know how fast to train."""
        with holding(self.own.folder / ".run.lock"):
            path = self.own.folder / "run.json"
            known = read_run(self.own.folder)["circumstances"] if path.exists() else {}
            if self.model.mode == "probe" or self.done:
                self.speed = Speed()
            elif self.pinned:
                self.speed = self.pinned
            elif known.get("fingerprint") == fingerprint() and "speed" in known:
                self.speed = Speed(**known["speed"])
            else:
                self.speed = self.measure()[0]
            for output in self.outputs:
                output.start(self._circumstances())

    def measure(self) -> tuple[Speed, float]:
        """(the fastest way to train here, seconds of one step)."""
        with self.display.working(f"{self.model.name}: timing a few steps"):
            timing = measured_speed(
                lambda: self._build("none"),
                self.model,
                self.schedule.steps * len([*self.folds, *self.refit]),
                len(self.training.targets),
                self.workspace.cache / "speed",
            )
        return timing.speed, timing.step_seconds

    def seconds_of_a_pass(self) -> float:
        """Seconds of an image's way through the network, without gradients; one batch is timed."""
        device = choose_device(self.model.precision)
        network = device.place(self._build("none")).eval()
        noise = np.zeros((BATCH, *2 * (self.model.image_size,), 3), np.uint8)
        predict_batch(network, noise, device)
        begun = time.perf_counter()
        predict_batch(network, noise, device)
        return (time.perf_counter() - begun) / BATCH

    @cached_property
    def schedule(self) -> Schedule:
        """The schedule of the first fold; the others' rows differ by one or two."""
        return Schedule.of(self.model, len(self.folds[0].split(self.training)[0]))

    @cached_property
    def weights_bytes(self) -> int:
        """The size of one fold model's weights."""
        network = self._build("none")
        return sum(tensor.nbytes for tensor in network.state_dict().values())

    def do(self, job: Job) -> None:
        """Train one job and keep what came of it."""
        if self.model.mode == "probe":
            self._probe(job)
        else:
            self._finetune(job)

    def finish(self) -> None:
        """Make the soup and the OOF files, once every job is done."""
        with holding(self.own.folder / ".run.lock"):
            if self.done:  # another process was faster
                return
            for output in self.outputs:  # what processes that died left behind
                for pattern in ("*.checkpoint.safetensors", ".*.tmp"):
                    for file in output.folder.glob(pattern):
                        file.unlink(missing_ok=True)
            if self.model.predict == "soup":
                self._make_soup()
            for output in self.outputs:
                if not output.complete:
                    score = output.finish(self.folds, self._kept)
                    self.display.say(
                        f"{output.name}: OOF {output.metric.name} {score:.4f} "
                        f"→ oof/{output.oof_file.name}, models/{output.name}/"
                    )

    @property
    def _kept(self) -> str:
        if self.model.mode == "probe":
            return "strength chosen on an inner fold"
        return "best on an inner fold" if self.model.patience else KEPT[self.model.average]

    def _identity(self, run: ModelSection, cycle: int) -> dict[str, Any]:
        identity: dict[str, Any] = {
            "model": training_settings(run),
            "task": self.training.task,
            "targets": list(self.training.targets),
            "folds": self.training.folds.digest,
            "labels": self.training.target_digest,
            "images": self.images.content,
        }
        if self.model.snapshots > 1:
            identity["cycle"] = cycle
        if self.model.mode == "finetune" and isinstance(self.model.augment, str):
            invariances = self.workspace.competition.data.invariances
            identity["augment"] = list(self.model.transforms(invariances))
        if len(self.extra):
            counts = self.extra.target.tobytes() + self.extra.weight.tobytes()
            identity["extra"] = digest(self.extra_images.content, counts)
        if self.model.pseudo:
            identity["pseudo"] = {name: self._source(name) for name in self.model.pseudo}
        return identity

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

    def _finetune(self, job: Job) -> None:
        rows, scored = job.split(self.training)
        wanted = np.concatenate([scored, self.training.holdout_rows])
        seed = _seed(self.model.seed, job.number)
        device = training_device()
        fold = self._fold(job, rows, seed)

        def keep_snapshot(cycle: int, state: State) -> None:
            network = self._build("none")
            network.load_state_dict(state)
            predicted = self._predict(network, wanted)
            self._keep(self.outputs[cycle - 1], job, _arrays(state), predicted, 0.0)

        with self.display.progress(
            f"{self.model.name} {self._title(job)}", len(fold.examples.rows) * self.model.epochs
        ) as advance:

            def report(progress: Progress) -> None:
                done = (progress.epoch - 1) * progress.images_total + progress.images
                advance(
                    done,
                    f"epoch {progress.epoch}/{progress.epochs} loss {progress.loss:.3f} "
                    f"{progress.images_per_second:.0f} images/s",
                )
                if progress.epoch_done:
                    self._log(job, epoch=progress.epoch, loss=round(progress.loss, 5))

            while True:
                torch.manual_seed(seed)  # the fresh classifier's weights come from it
                network = self._build(self.model.weights)
                if isinstance(network.rescale, Rescale):
                    network.rescale = Rescale(float(self.training.target[rows].mean()), fold.spread)
                checkpoint = job.checkpoint_file(self.own.folder)
                around = Surroundings(
                    device, self.speed, checkpoint, self.stopping, report, keep_snapshot
                )
                try:
                    with deterministic(self.model.deterministic):
                        seconds = train_fold(network, fold, around)
                    break
                except Exception as error:
                    self.speed = self._slower(error, job)
        predicted = self._predict(network, wanted)
        self._keep(self.own, job, _arrays(network.state_dict()), predicted, seconds)
        checkpoint.unlink(missing_ok=True)

    def _slower(self, error: Exception, job: Job) -> Speed:
        """What to go on with after a failure that a slower way may survive."""
        if isinstance(error, NotFinite):
            if self.speed.precision == "fp32":
                raise ResourceError(
                    f"competition.toml model {self.model.name!r}",
                    f"the loss of {job.label} became infinite or no number",
                    "lower lr or clip; the last checkpoint is from before that",
                ) from error
            slower = replace(self.speed, precision="fp32")
            why = f"the loss in {self.speed.precision} became infinite or no number"
        elif is_out_of_memory(error):
            if self.speed.pieces * 4 > self.model.batch_size:
                raise ResourceError(
                    f"competition.toml model {self.model.name!r}",
                    "even two images at a time do not fit into memory",
                    "lower image_size or take a smaller backbone",
                ) from error
            slower = replace(self.speed, pieces=self.speed.pieces * 2)
            why = "memory ran out"
        else:
            raise error
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        self.display.say(f"{self.model.name}: {why}; on from the last checkpoint with {slower}")
        self._log(job, trouble=why, speed=asdict(slower))
        return slower

    def _fold(self, job: Job, rows: NDArray[np.intp], seed: int) -> Fold:
        """What a job learns from."""
        targets = target_matrix(self.training.target, len(self.training.targets))
        spread = 1.0
        if self.training.task == "regression":
            spread = float(self.training.target[rows].std()) or 1.0
        inner = np.empty(0, np.intp)
        if self.model.patience:
            held = job.inner(self.training, rows)
            inner, rows = rows[held], rows[~held]
        sources, weights = [self.images.pixels], [np.ones(len(targets), np.float32)]
        more: list[tuple[NDArray[np.uint8], Predictions, NDArray[Any]]] = []
        if len(self.extra):
            known = target_matrix(self.extra.target, len(self.training.targets))
            more.append((self.extra_images.pixels, known, self.extra.weight))
        if self.model.pseudo:
            pixels, labels = self._pseudo(job)
            more.append((pixels, labels, np.ones(len(labels))))
        for pixels, labels, counts in more:
            rows = np.concatenate([rows, len(targets) + np.arange(len(labels))])
            sources.append(pixels)
            targets = np.concatenate([targets, labels])
            weights.append(counts.astype(np.float32))
        return Fold(
            model=self.model,
            task=self.training.task,
            examples=Examples(tuple(sources), targets, np.concatenate(weights), rows, inner),
            augment=self.model.transforms(self.workspace.competition.data.invariances),
            seed=seed,
            key=digest(str(self.own.identity), job.label),
            spread=spread,
        )

    def _pseudo(self, job: Job) -> tuple[NDArray[np.uint8], Predictions]:
        """Test images, and what models that did not see this job's fold say of them."""
        ids = read_test_ids(self.workspace.competition, self.workspace.root)
        file = self.own.folder / f"{job.weights_file(self.own.folder).stem}.pseudo.safetensors"
        if not file.exists():  # kept, so that an interrupted fold goes on with the same labels
            said = [
                self._said_by(name, job, number)
                for name in self.model.pseudo
                for number in ([job.number] if job.fold is not None else range(len(self.folds)))
            ]
            labels: Predictions = np.mean(said, axis=0, dtype=np.float32)
            save_arrays(file, {"targets": labels})
        return self._cached(ids, test=True).pixels, load_arrays(file)["targets"]

    def _said_by(self, name: str, job: Job, number: int) -> Predictions:
        folder = self.workspace.models / name
        stored = read_run(folder)["identity"]
        if stored["folds"] != self.training.folds.digest:
            raise WorkspaceError(folder, "was trained on other folds", "train it again")
        model = ModelSection.model_validate(stored["model"], strict=False)
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
        return self._in_batches(
            lambda batch: predict_batch(predictor, pixels[batch], device),
            np.arange(len(pixels)),
            f"{job.label} pseudo-labels",
        )

    def _probe(self, job: Job) -> None:
        started = time.perf_counter()
        features, more = self._probe_features
        rows, scored = job.split(self.training)
        head = fit_head(
            np.concatenate([features[rows], more]),
            np.concatenate([self.training.target[rows], self.extra.target]),
            len(self.training.targets),
            np.concatenate([job.inner(self.training, rows), np.zeros(len(more), bool)]),
            self.model.strengths,
            self.training.task,
            np.concatenate([np.ones(len(rows)), self.extra.weight]).astype(np.float32),
        )
        self._log(job, strength=head.strength)
        predicted = apply_head(
            head, features[np.concatenate([scored, self.training.holdout_rows])], self.training.task
        )
        seconds = time.perf_counter() - started
        weights = {"weight": head.weight, "bias": head.bias}
        self._keep(self.own, job, weights, predicted, seconds)

    def _make_soup(self) -> None:
        """Average the fold models' weights, and predict the holdout with the result."""
        folder, holdout = self.own.folder, self.training.holdout_rows
        soup = average_weights([load_arrays(job.weights_file(folder)) for job in self.folds])
        if self.model.mode == "probe":
            head = Head(soup["weight"], soup["bias"], float("nan"))
            predicted = apply_head(head, self._probe_features[0][holdout], self.training.task)
        else:
            network = self._build("none")
            network.load_state_dict({name: torch.from_numpy(a) for name, a in soup.items()})
            predicted = self._predict(network, holdout)
        file = soup_file(folder)
        save_arrays(holdout_file(file), {"holdout": predicted})
        save_arrays(file, soup)
        self.display.say(f"{self.model.name}: soup of {len(self.folds)} fold models → {file.name}")

    @cached_property
    def _probe_features(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Features (rows, width) of all images, and of the extra ones, by the frozen network,
        which the run keeps."""
        file = self.own.folder / "backbone.safetensors"
        with holding(self.own.folder / ".features.lock"):
            torch.manual_seed(self.model.seed)  # what weights = "none" leaves to chance
            network = build_features(
                self.model.backbone,
                "none" if file.exists() else self.model.weights,
                image_size=self.model.image_size,
                root=self.workspace.root,
                channels=self.model.channels,
            )
            if file.exists():  # the heads that are there were fitted on its features
                stored = load_arrays(file)
                network.load_state_dict({name: torch.from_numpy(a) for name, a in stored.items()})
            state = _arrays(network.state_dict())
            if not file.exists():  # kept, so that the run needs nothing from outside its folder
                save_arrays(file, state)
            features = self._features(network, state, self.images)
            if not len(self.extra):
                return features, features[:0]
            return features, self._features(network, state, self.extra_images)

    def _features(
        self, network: Network, state: Weights, images: ImageCache
    ) -> NDArray[np.float32]:
        """Features (rows, width) of these images, from the cache where they are there."""
        device = choose_device(self.model.precision)
        key = digest(
            self.model.backbone,
            str(self.model.image_size),
            device.precision,
            images.content,
            *(array.tobytes() for array in state.values()),
        )
        file = self.workspace.cache / "features" / f"{key}.safetensors"
        if not file.exists():
            rows = np.arange(len(images.pixels))
            save_arrays(file, {"features": self._through(network, images, rows, "features")})
        return load_arrays(file)["features"]

    def _build(self, weights: str) -> Network:
        return build_classifier(
            self.model.backbone,
            weights,
            len(self.training.targets),
            image_size=self.model.image_size,
            root=self.workspace.root,
            drop_path=self.model.drop_path,
            channels=self.model.channels,
            task=self.training.task,
        )

    def _cached(
        self, ids: Iterable[str], size: int | None = None, *, test: bool = False
    ) -> ImageCache:
        paths = find_images(self.workspace.competition, self.workspace.root, ids, test=test)
        return self._cached_files(paths, size or self.model.image_size)

    def _cached_files(self, paths: Sequence[Path], size: int) -> ImageCache:
        room = cache_bytes(len(paths), size) / 1e6
        title = f"reading at {size} px, {room:.0f} MB"
        with self.display.progress(title, len(paths)) as advance:
            return cached_images(
                paths, size, self.workspace.cache / "images", lambda done: advance(done, "")
            )

    def _predict(self, network: Network, rows: NDArray[np.intp]) -> Predictions:
        """Predictions (rows, targets) by one fold model; there may be no row."""
        if not len(rows):
            return np.empty((0, len(self.training.targets)), np.float32)
        outputs = self._through(network, self.images, rows, "predicting")
        return activation(self.training.task)(torch.from_numpy(outputs)).numpy()

    def _through(
        self, network: Network, images: ImageCache, rows: NDArray[np.intp], what: str
    ) -> NDArray[np.float32]:
        """The network's outputs (rows, outputs) for those rows of the images."""
        device = choose_device(self.model.precision)
        device.place(network).eval()
        return self._in_batches(
            lambda batch: predict_batch(network, images.pixels[batch], device), rows, what
        )

    def _in_batches(
        self,
        predict: Callable[[NDArray[np.intp]], NDArray[np.float32]],
        rows: NDArray[np.intp],
        what: str,
    ) -> NDArray[np.float32]:
        outputs = []
        with self.display.progress(f"{self.model.name} {what}", len(rows)) as advance:
            for start in range(0, len(rows), BATCH):
                if self.stopping():
                    raise Stopped
                batch = rows[start : start + BATCH]
                outputs.append(predict(batch))
                advance(start + len(batch), "")
        return np.concatenate(outputs)

    def _keep(
        self, output: Output, job: Job, weights: Weights, predicted: Predictions, seconds: float
    ) -> None:
        score = output.keep(job, weights, predicted, seconds)
        self._log(job, run=output.name, score=score, seconds=round(seconds, 3))
        said = f"{output.name}: {self._title(job)}"
        if score is not None:
            said += f" {output.metric.name} {score:.4f}"
        self.display.say(f"{said}, {seconds:.0f} s" if seconds else said)

    def _title(self, job: Job) -> str:
        return job.label if job.fold is None else f"{job.label}/{len(self.folds)}"

    def _log(self, job: Job, **values: object) -> None:
        which: dict[str, object] = {"refit": True} if job.fold is None else {"fold": job.number}
        append_log(self.own.folder, {**which, **values})

    def _circumstances(self) -> dict[str, Any]:
        said: dict[str, Any] = {
            "harness": harness.__version__,
            "torch": torch.__version__,
            "timm": timm.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
            "machine": platform.machine(),
            "fingerprint": fingerprint(),
            "device": str(training_device()),
        }
        return said if self.model.mode == "probe" else {**said, "speed": asdict(self.speed)}


def _seed(base: int, number: int) -> int:
    """Another seed for each fold model, the same in every process."""
    return int(digest("fold model", str(base), str(number))[:8], 16)


def _arrays(state: dict[str, Tensor]) -> Weights:
    return {name: tensor.detach().cpu().numpy() for name, tensor in state.items()}
