"""Fine-tuning: one run, one fold, straight down the page."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from harness.backbone import Network
from harness.competition import ModelSection
from harness.data.images import Pixels
from harness.predict.engine import Device
from harness.train.augment import make_augment


@dataclass(frozen=True)
class Progress:
    """Where a fold's training stands; ``loss`` is the mean over the epoch so far."""

    epoch: int
    epochs: int
    images: int
    images_total: int
    loss: float
    images_per_second: float
    epoch_done: bool


def train_fold(
    network: Network,
    pixels: Pixels,
    target: NDArray[np.int64],
    rows: NDArray[np.intp],
    model: ModelSection,
    device: Device,
    seed: int,
    report: Callable[[Progress], None],
) -> None:
    """Train ``network`` in place on ``rows`` of ``pixels`` (all rows, size, size, 3).

    The weights after the last epoch are kept: nothing is chosen on the fold that is scored.
    The same seed on the same machine gives the same weights on a CPU.
    """
    torch.manual_seed(seed)
    order = np.random.default_rng(seed)
    augment = make_augment(model.augment, model.image_size)
    loss_of = nn.CrossEntropyLoss(label_smoothing=model.label_smoothing)
    optimizer = torch.optim.AdamW(_parameter_groups(network, model.weight_decay), lr=model.lr)
    batches = math.ceil(len(rows) / model.batch_size)
    steps = batches * model.epochs
    warmup = max(1, round(model.warmup_epochs * batches))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: _warmup_cosine(step, warmup, steps)
    )

    device.place(network).train()
    for epoch in range(1, model.epochs + 1):
        started, seen, loss_sum = time.perf_counter(), 0, 0.0
        for batch in _batches(order.permutation(rows), batches):
            images = augment(_tensor(pixels[np.sort(batch)])).to(device.torch, non_blocking=True)
            labels = torch.from_numpy(target[np.sort(batch)]).to(device.torch)
            with device.autocast():
                loss = loss_of(network(images), labels)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            schedule.step()

            seen += len(batch)
            loss_sum += float(loss.detach()) * len(batch)
            report(
                Progress(
                    epoch=epoch,
                    epochs=model.epochs,
                    images=seen,
                    images_total=len(rows),
                    loss=loss_sum / seen,
                    images_per_second=seen / (time.perf_counter() - started),
                    epoch_done=seen == len(rows),
                )
            )
    network.eval()


def _warmup_cosine(step: int, warmup: int, steps: int) -> float:
    """The factor on the learning rate: linear up over ``warmup`` steps, then half a cosine."""
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


def _batches(rows: NDArray[np.intp], count: int) -> list[NDArray[np.intp]]:
    """``rows`` in batches of nearly equal size: a last batch of one would break BatchNorm."""
    return np.array_split(rows, count)


def _parameter_groups(network: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Weights decay; biases and normalisation gains, which are vectors, do not."""
    parameters = [p for p in network.parameters() if p.requires_grad]
    return [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]


def _tensor(pixels: Pixels) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(pixels))
