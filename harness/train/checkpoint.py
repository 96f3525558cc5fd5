"""What a fold's training needs to go on after a crash, as one safetensors file."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from harness.errors import ResourceError
from harness.files import replacing
from harness.train.average import WeightAverage
from harness.workspace.runs import checksum


@dataclass
class Position:
    """How far a fold is; the random numbers of a step are a function of the seed and the step."""

    step: int = 0
    seconds: float = 0.0
    loss_sum: float = 0.0  # over the images of the epoch so far
    seen: int = 0  # these images
    best_loss: float | None = None  # on the inner fold
    best_epoch: int = 0


@dataclass
class Parts:
    """The tensors that training moves."""

    network: nn.Module
    optimizer: torch.optim.Optimizer
    average: WeightAverage | None = None
    best: dict[str, Tensor] | None = None


def save_checkpoint(path: Path, parts: Parts, position: Position, key: str) -> None:
    """Write it, all or nothing; ``key`` says what is trained.

    A ResourceError if there is no room; the checkpoint before this one stays then.
    """
    tensors = {f"network/{name}": tensor for name, tensor in parts.network.state_dict().items()}
    state = parts.optimizer.state_dict()["state"]
    for index, slots in state.items():
        tensors |= {f"optimizer/{index}/{slot}": tensor for slot, tensor in slots.items()}
    note: dict[str, Any] = {"key": key, "position": vars(position)}
    if parts.average:
        note["averaged"] = parts.average.count
        tensors |= {f"average/{name}": t for name, t in parts.average.weights.items()}
    if parts.best:
        tensors |= {f"best/{name}": tensor for name, tensor in parts.best.items()}
    whole = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    try:
        with replacing(path) as temporary:
            text = json.dumps(note)
            metadata = {"harness": text, "crc32": _checksum(whole, text)}
            save_file(_unshared(whole), temporary, metadata=metadata)
    except Exception as error:  # safetensors has its own untyped error for a full disk
        raise ResourceError(
            path,
            f"the checkpoint cannot be written ({error})",
            "make room, then run the same command: it goes on from the last checkpoint",
        ) from error


def load_checkpoint(
    path: Path, parts: Parts, key: str, say: Callable[[str], None]
) -> Position | None:
    """Put the stored tensors into ``parts``; None if there is no sound checkpoint of that key.

    If there is another or a damaged one, ``say`` gets a sentence about it.
    """
    again = "the training starts again from the beginning"
    try:
        with safe_open(path, framework="pt") as file:
            note = json.loads(file.metadata()["harness"])
            if note["key"] != key:
                say(f"{path} is the checkpoint of another training: {again}")
                return None
            whole = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
            noted = file.metadata().get("crc32")
            if noted not in (None, _checksum(whole, file.metadata()["harness"])):
                raise ValueError("its checksum is another")
        tensors: dict[str, dict[str, Tensor]] = {}
        for name, tensor in whole.items():
            part, _, rest = name.partition("/")
            tensors.setdefault(part, {})[rest] = tensor
    except FileNotFoundError:
        return None
    except Exception as error:  # safetensors raises its own untyped errors
        say(f"{path} is damaged ({error}): {again}")
        return None
    parts.network.load_state_dict(tensors["network"])
    state = parts.optimizer.state_dict()
    slots: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.get("optimizer", {}).items():
        index, _, slot = name.partition("/")
        slots.setdefault(int(index), {})[slot] = tensor
    parts.optimizer.load_state_dict({**state, "state": slots})
    if parts.average:
        parts.average.count = note["averaged"]
        for name, tensor in tensors["average"].items():
            parts.average.weights[name].copy_(tensor)
    if "best" in tensors:
        parts.best = tensors["best"]
    return Position(**note["position"])


def _checksum(tensors: dict[str, Tensor], note: str) -> str:
    """Return the checksum of the tensors' bytes, whatever their types, and of the note."""
    arrays = {
        f"{name} {tensor.dtype} {tuple(tensor.shape)}": tensor.reshape(-1).view(torch.uint8).numpy()
        for name, tensor in tensors.items()
    }
    return checksum({**arrays, "": np.frombuffer(note.encode(), np.uint8)})


def _unshared(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Tensors that share memory (tied weights) as copies: the format wants each by itself."""
    seen: set[int] = set()
    for name, tensor in tensors.items():
        if tensor.data_ptr() in seen and tensor.numel():
            tensors[name] = tensor.clone()
        seen.add(tensor.data_ptr())
    return tensors
