"""Linear probes of one model: a frozen network's features, kept, and heads on them."""

from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from harness.backbone import Network, build_features
from harness.data.images import ImageCache
from harness.files import digest
from harness.locks import holding
from harness.model import ModelSection
from harness.predict.engine import choose_device
from harness.train.job import Job
from harness.train.passes import Passes
from harness.train.pictures import Pictures
from harness.train.probe import Head, apply_head, fit_head
from harness.workspace import Workspace
from harness.workspace.runs import Arrays, load_arrays, save_arrays
from harness.workspace.training import TrainingRows


class Probing:
    """The heads of one model and the features that they stand on."""

    def __init__(
        self,
        workspace: Workspace,
        training: TrainingRows,
        model: ModelSection,
        pictures: Pictures,
        passes: Passes,
        folder: Callable[[], Path],
    ) -> None:
        self.workspace, self.training, self.model = workspace, training, model
        self.pictures, self.passes, self.folder = pictures, passes, folder

    def fit(self, job: Job) -> Head:
        """The job's head."""
        features, more = self.features["identity"], self.extra_features
        extra = self.pictures.extra
        rows, _ = job.split(self.training)
        known = extra.target if len(extra) else self.training.target[:0]
        return fit_head(
            np.concatenate([features[rows], more]),
            np.concatenate([self.training.target[rows], known]),
            len(self.training.targets),
            np.concatenate([job.inner(self.training, rows), np.zeros(len(more), bool)]),
            self.model.strengths,
            self.training.task,
            np.concatenate([np.ones(len(rows)), extra.weight]).astype(np.float32),
        )

    def predict(
        self, head: Head, rows: NDArray[np.intp], views: Sequence[str]
    ) -> NDArray[np.float32]:
        """The head's predictions (rows, targets) of labelled images, means over the views."""
        task = self.training.task
        predictions = [apply_head(head, self.features[view][rows], task) for view in views]
        return np.mean(predictions, axis=0, dtype=np.float32)

    @property
    def features(self) -> dict[str, NDArray[np.float32]]:
        """Features (rows, width) of all images in each view; heads are fitted on ``identity``."""
        return self._all_features[0]

    @property
    def extra_features(self) -> NDArray[np.float32]:
        """Features (rows, width) of the extra images."""
        return self._all_features[1]

    @cached_property
    def _all_features(self) -> tuple[dict[str, NDArray[np.float32]], NDArray[np.float32]]:
        """By the frozen network, which the run keeps."""
        file = self.folder() / "backbone.safetensors"
        with holding(self.folder() / ".features.lock"):
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
            state = {name: t.detach().cpu().numpy() for name, t in network.state_dict().items()}
            if not file.exists():  # kept, so that the run needs nothing from outside its folder
                save_arrays(file, state)
            views = sorted({"identity", *self.workspace.competition.views})
            features = self._features(network, state, self.pictures.images, views)
            if not len(self.pictures.extra):
                return features, features["identity"][:0]
            extra = self._features(network, state, self.pictures.extra_images, ["identity"])
            return features, extra["identity"]

    def _features(
        self, network: Network, state: Arrays, images: ImageCache, views: Sequence[str]
    ) -> dict[str, NDArray[np.float32]]:
        """Features (rows, width) of these images in each view, from the cache if they are there."""
        device = choose_device(self.model.precision)
        precision = f"{device.precision}, pooled in fp32"
        made_by = (self.model.backbone, str(self.model.image_size), precision, images.content)
        weights = [array.tobytes() for array in state.values()]
        folder = self.workspace.cache / "features"
        files = {view: folder / f"{digest(*made_by, view, *weights)}.safetensors" for view in views}
        missing = [view for view, file in files.items() if not file.exists()]
        made = self.passes.features(network, images, missing)
        for view, features in zip(missing, made, strict=True):
            save_arrays(files[view], {"features": features})
        return {
            view: load_arrays(file, "remove it: it is made again")["features"]
            for view, file in files.items()
        }
