"""Running networks: which device, which precision, and a run's fold models as one predictor."""

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from harness.backbone import Network, activation, build_classifier, build_features
from harness.data.images import Pixels
from harness.errors import WorkspaceError
from harness.model import ModelSection, Precision
from harness.workspace.runs import load_arrays, retrain

BATCH = 16
"""Larger batches overflow the processor's caches: 32 is a third slower than 16 at 300 px."""


DTYPES: dict[Precision, torch.dtype] = {"bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Device:
    """A torch device and the precision that matrix products run in there."""

    torch: torch.device
    precision: Precision

    def place(self, module: nn.Module) -> nn.Module:
        """Move the module there, in the memory format that convolutions are fastest in."""
        return module.to(self.torch).to(memory_format=torch.channels_last)

    def autocast(self) -> AbstractContextManager[object]:
        """The context to run a forward pass in."""
        if self.precision == "fp32":
            return nullcontext()
        return torch.autocast(self.torch.type, DTYPES[self.precision])


def choose_device(precision: Precision | Literal["auto"]) -> Device:
    """The first GPU if there is one, else the CPU; ``auto`` takes bf16 where hardware has it."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if precision != "auto":
        return Device(device, precision)
    fast = torch.cuda.is_bf16_supported() if device.type == "cuda" else cpu_has_bf16()
    return Device(device, "bf16" if fast else "fp32")


class Predictor(nn.Module):
    """A run's fold models: uint8 images → predictions, averaged over the folds."""

    def __init__(
        self,
        networks: list[Network] | Network,
        heads: nn.ModuleList | None,
        task: str = "multiclass",
    ) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks if isinstance(networks, list) else [networks])
        self.heads = heads
        self.activate = activation(task)

    def forward(self, images: Tensor) -> Tensor:
        """Predictions (rows, targets) for uint8 images (rows, size, size, 3)."""
        outputs = [network(images) for network in self.networks]
        if self.heads is not None:  # one frozen backbone serves every fold's head
            with torch.autocast(images.device.type, enabled=False):
                outputs = [head(outputs[0]) for head in self.heads]
        return torch.stack([self.activate(one) for one in outputs]).mean(dim=0)


def load_predictor(
    folder: Path,
    model: ModelSection,
    targets: int,
    fold_files: list[Path],
    task: str = "multiclass",
) -> Predictor:
    """The fold models of the run in ``folder`` as one predictor, in evaluation mode.

    A WorkspaceError names a file that is damaged, or holds the weights of another network.
    """
    # the trained weights replace these, so none are looked for
    options: dict[str, Any] = {
        "image_size": model.image_size,
        "root": folder,
        "channels": model.channels,
    }
    if model.mode == "probe":
        features = build_features(model.backbone, "none", **options)
        _load_weights(features, folder / "backbone.safetensors")
        heads = nn.ModuleList()
        for file in fold_files:
            head = nn.Linear(features.backbone.width, targets)
            _load_weights(head, file)
            heads.append(head)
        return Predictor(features, heads, task).eval()
    networks = []
    for file in fold_files:
        network = build_classifier(model.backbone, "none", targets, **options, task=task)
        _load_weights(network, file)
        networks.append(network)
    return Predictor(networks, None, task).eval()


def _load_weights(module: nn.Module, file: Path) -> None:
    arrays = load_arrays(file)
    try:
        module.load_state_dict({name: torch.from_numpy(array) for name, array in arrays.items()})
    except RuntimeError as error:  # other names or shapes, each on a line of its own
        found = f"holds the weights of another network ({str(error).splitlines()[1].strip()})"
        raise WorkspaceError(file, found, retrain(file.parent)) from error


def predict_batch(module: nn.Module, pixels: Pixels, device: Device) -> NDArray[np.float32]:
    """The module's output (rows, outputs) for uint8 images (rows, size, size, 3)."""
    images = torch.from_numpy(np.ascontiguousarray(pixels)).to(device.torch)
    with torch.inference_mode(), device.autocast():
        return module(images).cpu().numpy()


def image_seconds(network: Network, image_size: int, device: Device) -> float:
    """Return the seconds of an image's way through the network, by the faster of two batches."""
    device.place(network).eval()
    pixels, spent = np.zeros((BATCH, image_size, image_size, 3), np.uint8), []
    for _ in range(3):  # the first one warms up
        begun = time.perf_counter()
        predict_batch(network, pixels, device)
        spent.append(time.perf_counter() - begun)
    return min(spent[1:]) / BATCH


def cpu_has_bf16() -> bool:
    get_capabilities: Callable[[], Mapping[str, Any]]
    get_capabilities = getattr(torch.cpu, "get_capabilities", dict)  # not in older versions
    capabilities = get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
