"""A frozen backbone of competition.toml as the audit's eyes."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from harness.audit.look import SIDE, Embed
from harness.backbone import build_features
from harness.errors import ConfigError
from harness.model import ModelSection
from harness.predict.engine import BATCH, Device, choose_device, predict_batch
from harness.workspace import Workspace


@dataclass(frozen=True)
class Eyes:
    """A name that identifies the backbone and its weights, and what it makes of pictures."""

    name: str
    embed: Embed


def open_eyes(workspace: Workspace, say: Callable[[str], None]) -> Eyes | None:
    """The first model of competition.toml whose pretrained weights can be had.

    None, with the reason said, where there is none: then only what pixels tell is looked at.
    """
    reason = "no [[model]] has pretrained weights"
    for model in pretrained(workspace):
        try:
            return eyes_of(workspace, model)
        except ConfigError as error:
            reason = error.found
    say(f"audit: without a backbone, only pixels are compared ({reason})")
    return None


def pretrained(workspace: Workspace) -> list[ModelSection]:
    """The models of competition.toml that begin with weights, one a backbone."""
    models = [model for model in workspace.competition.model if model.weights != "none"]
    return list({(model.backbone, model.weights): model for model in reversed(models)}.values())[
        ::-1
    ]


def eyes_of(workspace: Workspace, model: ModelSection) -> Eyes:
    """What a model's backbone sees before it is trained; a ConfigError without its weights."""
    network = build_features(model.backbone, model.weights, image_size=SIDE, root=workspace.root)
    device = choose_device("auto")
    device.place(network)
    name = f"{model.backbone} {model.weights} {SIDE} {device.precision} {torch.__version__}"
    name += " tokens" * hasattr(network.backbone, "pooling")
    return Eyes(name, _embed(network, device))


def _embed(network: torch.nn.Module, device: Device) -> Embed:
    def embed(squares: np.ndarray) -> np.ndarray:
        batches = range(0, len(squares), BATCH)
        return np.concatenate(
            [predict_batch(network, squares[b : b + BATCH], device) for b in batches]
        )

    return embed
