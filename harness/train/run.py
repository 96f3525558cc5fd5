"""One model over all folds: what its folds share, its jobs, its files."""

import platform
import time
from collections.abc import Callable, Sequence
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
from harness.backbone import Network, Rescale, build_classifier, require_size
from harness.display import Display
from harness.errors import ResourceError
from harness.files import digest
from harness.locks import holding
from harness.model import ModelSection, training_settings
from harness.predict.engine import choose_device, image_seconds
from harness.predict.machine import fingerprint
from harness.train.interrupt import Stopping
from harness.train.job import Job
from harness.train.loop import (
    Fold,
    NotFinite,
    Progress,
    State,
    Surroundings,
    train_fold,
)
from harness.train.outputs import Output, Spent
from harness.train.passes import Passes
from harness.train.pictures import Pictures
from harness.train.probe import Head
from harness.train.probing import Probing
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
    holdout_file,
    load_arrays,
    noted_views,
    read_run,
    save_arrays,
    save_predictions,
    soup_file,
)
from harness.workspace.training import TrainingRows

Predictions = NDArray[np.float32]
Weights = dict[str, NDArray[Any]]
Halfway = Callable[[NDArray[np.intp], Predictions], None]
"""Gets (rows of the fold, their predictions) when half of the epochs are done; what it raises ends
the training there, and leaves its checkpoint."""

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
        halfway: Halfway | None = None,
    ) -> None:
        self.workspace, self.display, self.training = workspace, display, training
        self.model, self.stopping, self.pinned = model, stopping, pinned
        self.halfway = halfway
        repeats, k = training.assignment.shape[1], training.folds.k
        self.folds = [Job(r * k + f, r, f) for r in range(repeats) for f in range(k)]
        self.refit = [Job(len(self.folds))] if model.predict == "refit" else []
        self.passes = Passes(model, training.task, len(training.targets), display, stopping)
        self.pictures = Pictures(workspace, training, model, self.passes)
        self.probing = Probing(
            workspace, training, model, self.pictures, self.passes, lambda: self.own.folder
        )

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
    def jobs(self) -> list[Job]:
        """All jobs."""
        return [*self.folds, *self.refit]

    @property
    def missing(self) -> list[Job]:
        """The jobs that nobody has done."""
        return [job for job in self.jobs if self.lacks(job)]

    @property
    def done(self) -> bool:
        """Return whether nothing is missing: no job, no soup, no OOF file in the asked views."""
        return all(output.current for output in self.outputs) and not self.missing and self._souped

    @property
    def complete(self) -> bool:
        """Return whether all folds are trained: the OOF files are there, in whatever views."""
        return all(output.complete for output in self.outputs)

    def trained(self, job: Job) -> bool:
        """Return whether the job's model is there; the refit may be asked for later."""
        if job.fold is not None and self.complete:
            return True
        return job.weights_file(self.own.folder).exists()

    def lacks(self, job: Job) -> bool:
        """Return whether the job's model is still to be trained, or to predict in other views."""
        if not self.trained(job):
            return True
        return not all(output.predicted(job) for output in self.outputs)

    @property
    def _souped(self) -> bool:
        if self.model.predict != "soup":
            return True
        file = soup_file(self.own.folder)
        return file.exists() and noted_views(holdout_file(file)) == self.own.views

    def check(self, folder: Path) -> None:
        """Raise a ConfigError if training cannot start in ``folder``: the weights must load, and
        the network must take images of that size."""
        kept = self.model.mode == "probe" and (folder / "backbone.safetensors").exists()
        require_size(self.model, "none" if kept else self.model.weights, self.workspace.root)

    def start(self, *, anew: bool = False) -> None:
        """Write run.json, or accept the one that is there, and know how fast to train.

        ``anew`` begins a training aside, which takes the place of the one that is there when it is
        complete.
        """
        folder = self.own.aside if anew else self.own.folder
        with holding(folder / ".run.lock"):
            path = folder / "run.json"
            known = read_run(folder)["circumstances"] if path.exists() else {}
            over = not anew and all(map(self.trained, self.jobs))
            if self.model.mode == "probe" or over:
                self.speed = Speed()
            elif self.pinned:
                self.speed = self.pinned
            elif known.get("fingerprint") == fingerprint() and "speed" in known:
                self.speed = Speed(**known["speed"])
            else:
                self.speed = self.measure()[0]
            for output in self.outputs:
                output.start(self._circumstances(), anew=anew)

    def measure(self) -> tuple[Speed, float]:
        """(the fastest way to train here, seconds of one step)."""
        rows = len(self.folds[0].split(self.training)[0])  # no batch has more
        with self.display.working(f"{self.model.name}: timing a few steps"):
            timing = measured_speed(
                lambda: self._build("none"),
                self.model.model_copy(update={"batch_size": min(rows, self.model.batch_size)}),
                self.schedule.steps * len(self.jobs),
                len(self.training.targets),
                self.workspace.cache / "speed",
            )
        return timing.speed, timing.step_seconds

    def seconds_of_a_pass(self) -> float:
        """Seconds of an image's way through the network, without gradients."""
        device = choose_device(self.model.precision)
        return image_seconds(self._build("none"), self.model.image_size, device)

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
        """Train one job and keep what came of it; a model that is there only predicts again."""
        if self.trained(job):
            self._predict_again(job)
        elif self.model.mode == "probe":
            self._probe(job)
        else:
            self._finetune(job)

    def finish(self) -> None:
        """Make the soup and the OOF files, once every job is done."""
        for output in self.outputs:
            output.take_place()
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
                if not output.current:
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
        }
        if self.model.snapshots > 1:
            identity["cycle"] = cycle
        if self.model.mode == "finetune":
            if isinstance(self.model.augment, str):
                invariances = self.workspace.competition.data.invariances
                identity["augment"] = list(self.model.transforms(invariances))
            if self.training.task == "regression" and self.workspace.competition.metric.squared:
                identity["loss"] = "squared error"
        return {**identity, **self.pictures.identity()}

    def _finetune(self, job: Job) -> None:
        rows, scored = job.split(self.training)
        wanted = np.concatenate([scored, self.training.holdout_rows])
        seed = _seed(self.model.seed, job.number)
        device = training_device()
        fold = self._fold(job, rows, seed)

        def keep_snapshot(cycle: int, state: State) -> None:
            predicted = self._predictions(job, state, wanted, self.own.views)
            self._keep(self.outputs[cycle - 1], job, _arrays(state), predicted, {"seconds": 0.0})

        def tell_halfway(state: State) -> None:
            if self.halfway:
                # a look in one view: it is compared with other looks, and never stacked
                self.halfway(scored, self._predictions(job, state, scored, ["identity"]))

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
                    device,
                    self.speed,
                    checkpoint,
                    self.stopping,
                    report,
                    keep_snapshot,
                    tell_halfway,
                    lambda text: self.display.say(f"{self.model.name} {job.label}: {text}"),
                )
                try:
                    with deterministic(self.model.deterministic):
                        ended = train_fold(network, fold, around)
                    break
                except Exception as error:
                    self.speed = self._slower(error, job)
        predicted = self._predicted(job.label, network, wanted, self.own.views)
        spent = {"seconds": ended.seconds}
        if len(fold.examples.inner):
            spent["epochs"] = ended.best_epoch
        self._keep(self.own, job, _arrays(network.state_dict()), predicted, spent)
        checkpoint.unlink(missing_ok=True)

    def _predictions(
        self, job: Job, state: State, rows: NDArray[np.intp], views: Sequence[str]
    ) -> Predictions:
        """By a network of its own, so that the one that learns is left as it is."""
        network = self._build("none")
        network.load_state_dict(state)
        return self._predicted(job.label, network, rows, views)

    def _predicted(
        self, what: str, network: Network, rows: NDArray[np.intp], views: Sequence[str]
    ) -> Predictions:
        """What a trained network says of those rows; a ResourceError where that is no number."""
        predicted = self.passes.predict(network, self.pictures.images, rows, views)
        if not np.isfinite(predicted).all():  # the last step's loss may have been finite
            raise ResourceError(
                f"competition.toml model {self.model.name!r}",
                f"diverged in {what}: its predictions hold NaN or infinity",
                "lower lr or clip",
            )
        return predicted

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
        """What a job learns, and how."""
        spread, last_epoch = 1.0, None
        if self.training.task == "regression":
            spread = float(self.training.target[rows].std()) or 1.0
        if job.fold is None and self.model.patience:
            last_epoch = self._usual_epochs()
        return Fold(
            model=self.model,
            task=self.training.task,
            examples=self.pictures.examples(job, self.own.folder),
            augment=self.model.transforms(self.workspace.competition.data.invariances),
            seed=seed,
            key=digest("recipe 2", str(self.own.identity), job.label, str(last_epoch)),
            spread=spread,
            squared=self.workspace.competition.metric.squared,
            last_epoch=last_epoch,
        )

    def _usual_epochs(self) -> int:
        """Return the median number of epochs after which the fold models were best.

        All epochs, where it was not noted.
        """
        files = [job.predictions_file(self.own.folder) for job in self.folds]
        epochs = [float(load_arrays(file).get("epochs", [self.model.epochs])[0]) for file in files]
        return max(1, round(float(np.median(epochs))))

    def _probe(self, job: Job) -> None:
        started = time.perf_counter()
        _, scored = job.split(self.training)
        head = self.probing.fit(job)
        self._log(job, strength=head.strength)
        wanted = np.concatenate([scored, self.training.holdout_rows])
        predicted = self.probing.predict(head, wanted, self.own.views)
        spent = {"seconds": time.perf_counter() - started}
        self._keep(self.own, job, head.tensors(), predicted, spent)

    def _predict_again(self, job: Job) -> None:
        """Predict with a trained model in the views that are asked for now."""
        _, scored = job.split(self.training)
        wanted = np.concatenate([scored, self.training.holdout_rows])
        for output in self.outputs:
            if output.predicted(job):
                continue
            weights = load_arrays(job.weights_file(output.folder))
            predicted = self._by_weights(job.label, weights, wanted)
            file = job.predictions_file(output.folder)
            stored = load_arrays(file) if file.exists() else {"seconds": np.array([np.nan])}
            spent = {str(n): float(stored[n][0]) for n in ("seconds", "epochs") if n in stored}
            output.keep_predictions(job, predicted, spent)
            self.display.say(f"{output.name}: {self._title(job)} predicted again")

    def _by_weights(self, what: str, weights: Weights, rows: NDArray[np.intp]) -> Predictions:
        """Predictions (rows, targets) by a model with these weights."""
        if self.model.mode == "probe":
            head = Head(weights["weight"], weights["bias"], float("nan"))
            return self.probing.predict(head, rows, self.own.views)
        network = self._build("none")
        network.load_state_dict({name: torch.from_numpy(a) for name, a in weights.items()})
        return self._predicted(what, network, rows, self.own.views)

    def _make_soup(self) -> None:
        """Average the fold models' weights, and predict the holdout with the result."""
        folder, holdout = self.own.folder, self.training.holdout_rows
        soup = average_weights([load_arrays(job.weights_file(folder)) for job in self.folds])
        predicted = self._by_weights("the soup", soup, holdout)
        file = soup_file(folder)
        save_predictions(holdout_file(file), {"holdout": predicted}, self.own.views)
        save_arrays(file, soup)
        self.display.say(f"{self.model.name}: soup of {len(self.folds)} fold models → {file.name}")

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

    def _keep(
        self, output: Output, job: Job, weights: Weights, predicted: Predictions, spent: Spent
    ) -> None:
        score, seconds = output.keep(job, weights, predicted, spent), spent["seconds"]
        self._log(job, run=output.name, score=score, seconds=round(seconds, 3))
        said = f"{output.name}: {self._title(job)}"
        if score is not None:
            said += f" {output.metric.name} {score:.4f}"
        self.display.say(f"{said}, {seconds:.0f} s" if seconds else said)

    def _title(self, job: Job) -> str:
        if job.fold is None:
            return job.label
        return f"{job.label} ({job.number + 1} of {len(self.folds)})"

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
