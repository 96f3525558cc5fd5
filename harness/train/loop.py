"""Fine-tuning: one run, one fold, straight down the page."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.transforms import v2

from harness.backbone import Network
from harness.files import digest
from harness.model import Augmentation, ModelSection
from harness.train.augment import make_augment
from harness.train.average import WeightAverage
from harness.train.checkpoint import Parts, Position, load_checkpoint, save_checkpoint
from harness.train.examples import Examples, Rows
from harness.train.interrupt import Stopped, Stopping
from harness.train.loss import Loss, make_loss
from harness.train.order import balanced, class_weights, epoch_batches
from harness.train.schedule import Schedule
from harness.train.speed import Speed

CHECKPOINT_SECONDS = 60.0
LOOK_SECONDS = 0.2  # between looks at a GPU's loss: each waits for the device

State = dict[str, Tensor]


class NotFinite(Exception):
    """The loss is NaN or infinite: the last checkpoint is from before that."""


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


@dataclass(frozen=True)
class Fold:
    """What is trained: the recipe, the examples, and what makes it this fold and no other.

    ``key`` identifies its checkpoint. For regression ``spread`` is the standard deviation of the
    targets, and errors are ``squared`` (see ``make_loss``). Training ends after ``last_epoch`` of
    the schedule's epochs, if one is given.
    """

    model: ModelSection
    task: str
    examples: Examples
    augment: tuple[Augmentation, ...]
    seed: int
    key: str
    spread: float = 1.0
    squared: bool = False
    last_epoch: int | None = None


@dataclass(frozen=True)
class Surroundings:
    """What training does to the world: its device, its checkpoint, what it tells and is told."""

    device: torch.device
    speed: Speed
    checkpoint: Path
    stopping: Stopping
    report: Callable[[Progress], None]
    snapshot: Callable[[int, State], None]
    halfway: Callable[[State], None] = lambda state: None
    say: Callable[[str], None] = lambda text: None
    clock: Callable[[], float] = time.perf_counter


def train_fold(network: Network, fold: Fold, around: Surroundings) -> Position:
    """Train ``network`` in place from its checkpoint, or from the start; return where it ended.

    Nothing is chosen on the fold that is scored: the last weights are kept, or their average,
    or the best on the inner fold where ``patience`` asks for one. The same seed on the same
    machine gives the same weights on a CPU, with or without interruptions.

    ``around.snapshot`` gets the weights at the end of each cycle but the last, ``around.halfway``
    those that would be kept after half of the epochs. Stopped, NotFinite, running out of memory and
    whatever these two raise leave the last checkpoint.
    """
    model, examples, device = fold.model, fold.examples, around.device
    schedule = Schedule.of(model, len(examples.rows))
    around.speed.place(network, device)
    loss_of = _loss(fold, device)
    moving = _freeze(network, model.frozen)
    parts = Parts(network, _optimizer(network, model, device), _average(network, model))
    position = load_checkpoint(around.checkpoint, parts, fold.key, around.say) or Position()
    begun, saved = around.clock() - position.seconds, around.clock()
    network.eval()  # until the first step says what learns
    forward: Any = torch.compile(network) if around.speed.compile else network
    scaler = torch.amp.GradScaler(device.type, enabled=around.speed.precision == "fp16")
    losses: list[Tensor] = []  # not looked at yet
    looked = epoch_begun = around.clock()
    epoch_seen = position.seen
    if position.step == schedule.half < schedule.steps:  # it may have ended at this look
        around.halfway(_kept(network, parts))

    for rows, pixels in _ahead(fold, schedule, position):
        step = position.step
        if not network.training or step == schedule.head_steps:
            _set_modes(network, moving, head_only=step < schedule.head_steps)
        _seed_step(fold.seed, step)
        images, targets, weights = _batch(fold, rows, pixels, schedule.size(step), device)
        for group in parts.optimizer.param_groups:
            group["lr"] = group["initial_lr"] * schedule.rate(step)
        losses.append(
            _step(forward, parts, scaler, loss_of, images, targets, weights, model.clip, around)
            * len(rows)
        )
        if model.average == "ema" and parts.average:
            parts.average.update(network)

        position.step += 1
        position.seen += len(rows)
        epoch_done = position.step % schedule.batches == 0
        stopping = around.stopping()
        due = around.clock() - saved > CHECKPOINT_SECONDS
        patient = device.type == "cuda" and around.clock() - looked < LOOK_SECONDS
        if patient and not (epoch_done or stopping or due):
            continue
        position.loss_sum += float(torch.stack(losses).sum())
        losses, looked = [], around.clock()
        if not np.isfinite(position.loss_sum):
            raise NotFinite
        around.report(
            Progress(
                epoch=(position.step - 1) // schedule.batches + 1,
                epochs=schedule.epochs,
                images=position.seen,
                images_total=len(examples.rows),
                loss=position.loss_sum / position.seen,
                images_per_second=(position.seen - epoch_seen) / max(1e-9, looked - epoch_begun),
                epoch_done=epoch_done,
            )
        )
        if epoch_done:
            if schedule.swa_from is not None and position.step > schedule.swa_from:
                assert parts.average
                parts.average.update(network)
            if len(examples.inner):
                _watch(network, fold, parts, position, schedule, around, loss_of)
            if cycle := schedule.snapshot_at(position.step):
                around.snapshot(cycle, _kept(network, parts))
            position.loss_sum, position.seen = 0.0, 0
        if epoch_done or stopping or due:
            position.seconds = around.clock() - begun
            save_checkpoint(around.checkpoint, parts, position, fold.key)
            saved = around.clock()
        if _out_of_patience(fold, schedule, position):
            break
        if position.step == schedule.half < schedule.steps:
            around.halfway(_kept(network, parts))
        if stopping and position.step < schedule.steps:
            raise Stopped
        if epoch_done:
            epoch_begun, epoch_seen = around.clock(), 0

    network.load_state_dict(_kept(network, parts))
    if model.average == "swa" and not model.frozen:  # running statistics do not average well
        torch.optim.swa_utils.update_bn(_plain_batches(fold, schedule, device), network, device)
    network.eval()
    position.seconds = around.clock() - begun
    return position


def _loss(fold: Fold, device: torch.device) -> Loss:
    weights = None
    if fold.model.balance == "weights" and fold.task != "regression":
        targets = fold.examples.targets[fold.examples.rows]
        if fold.task == "multilabel":
            share = targets.mean(axis=0).clip(1e-3, 1 - 1e-3)
            weights = torch.from_numpy((1 - share) / share).to(device)
        else:
            weights = torch.from_numpy(class_weights(targets)).to(device)
    smoothing = fold.model.label_smoothing
    return make_loss(fold.task, smoothing, weights, fold.spread, squared=fold.squared)


def _freeze(network: Network, share: float) -> list[nn.Parameter]:
    """Freeze the first layers of the backbone; the parameters that may move, by and by."""
    if share:
        from timm.models import group_parameters

        backbone = network.backbone
        classifier = {id(p) for p in backbone.get_classifier().parameters()}
        layers = group_parameters(backbone, backbone.group_matcher(coarse=False))
        named = dict(backbone.named_parameters())
        for names in list(layers.values())[: round(share * len(layers))]:
            for name in names:
                named[name].requires_grad_(id(named[name]) in classifier)
    return [p for p in network.parameters() if p.requires_grad]


def _optimizer(
    network: Network, model: ModelSection, device: torch.device
) -> torch.optim.Optimizer:
    """AdamW; biases and normalisation gains, which are vectors, do not decay.

    The same holds for what the network names itself, such as a transformer's place embedding.
    """
    from timm.optim import (  # type: ignore[attr-defined]
        param_groups_layer_decay,
        param_groups_weight_decay,
    )

    groups: list[dict[str, Any]]
    backbone, decay = network.backbone, model.weight_decay
    kept: set[str] = getattr(backbone, "no_weight_decay", set)()
    if model.layer_decay < 1:
        groups = param_groups_layer_decay(backbone, decay, kept, layer_decay=model.layer_decay)
    else:
        groups = param_groups_weight_decay(backbone, decay, no_weight_decay_list=kept)
    for group in groups:
        group["initial_lr"] = group["lr"] = model.lr * group.pop("lr_scale", 1.0)
    return torch.optim.AdamW(groups, fused=device.type == "cuda")


def _average(network: Network, model: ModelSection) -> WeightAverage | None:
    if model.average == "none":
        return None
    return WeightAverage(network, model.average_decay if model.average == "ema" else None)


def _set_modes(network: Network, moving: list[nn.Parameter], *, head_only: bool) -> None:
    """What does not learn stands still: its parameters, its dropout, its BatchNorm statistics."""
    learning = {id(parameter) for parameter in moving}
    if head_only:
        learning = {id(parameter) for parameter in network.backbone.get_classifier().parameters()}
    network.train()
    for module in network.modules():
        own = list(module.parameters())
        if own and not any(id(parameter) in learning for parameter in own):
            module.eval()
    for parameter in moving:
        parameter.requires_grad_(id(parameter) in learning)


def _seed_step(seed: int, step: int) -> None:
    number = int(digest("step", str(seed), str(step))[:15], 16)
    torch.default_generator.manual_seed(number)
    if torch.cuda.is_available():  # torch.manual_seed would also note a traceback where it is not
        torch.cuda.manual_seed_all(number)


def _ahead(fold: Fold, schedule: Schedule, position: Position) -> Iterator[tuple[Rows, Any]]:
    """(rows, pixels) of every step that is left; the next batch is read while one is used."""
    examples, start = fold.examples, position.step
    drawn = None
    if fold.model.balance == "sampling":
        drawn = balanced(examples.targets[examples.rows])

    def batches() -> Iterator[Rows]:
        if _out_of_patience(fold, schedule, position):  # it was killed after its last step
            return
        for epoch in range(start // schedule.batches, fold.last_epoch or schedule.epochs):
            first = start - epoch * schedule.batches if start > epoch * schedule.batches else 0
            order = epoch_batches(examples.rows, schedule.batches, fold.seed, epoch, drawn)
            yield from order[first:]

    with ThreadPoolExecutor(1) as reader:
        waiting = None
        for rows in batches():
            read = reader.submit(examples.gather, rows)
            if waiting:
                yield waiting[0], waiting[1].result()
            waiting = rows, read
        if waiting:
            yield waiting[0], waiting[1].result()


def _batch(
    fold: Fold, rows: Rows, pixels: Any, size: int, device: torch.device
) -> tuple[Tensor, Tensor, Tensor]:
    """Augmented images (rows, size, size, 3), targets (rows, targets) and weights (rows,), whose
    mean is 1, on the device."""
    model = fold.model
    counts = fold.examples.weights[rows]
    images, targets, weights = (
        _moved(array, device)
        for array in (pixels, fold.examples.targets[rows], counts / counts.mean())
    )
    if size < model.image_size:
        planes = images.permute(0, 3, 1, 2).float()
        smaller = F.interpolate(planes, size=(size, size), mode="area")
        images = smaller.round().to(torch.uint8).permute(0, 2, 3, 1)
    images = make_augment(fold.augment)(images)
    mixers = [
        mixer(alpha=alpha)
        for mixer, alpha in ((v2.MixUp, model.mixup), (v2.CutMix, model.cutmix))
        if alpha and len(rows) > 1
    ]
    if mixers:
        mix = mixers[int(torch.randint(len(mixers), ()))]
        planes, targets = mix(images.permute(0, 3, 1, 2).float().contiguous(), targets)
        images = planes.permute(0, 2, 3, 1)
    return images, targets, weights


def _moved(array: Any, device: torch.device) -> Tensor:
    tensor = torch.from_numpy(array)
    if device.type == "cuda":  # from pinned memory a copy waits for nobody
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)


def _step(
    forward: Any,
    parts: Parts,
    scaler: torch.amp.GradScaler,
    loss_of: Loss,
    images: Tensor,
    targets: Tensor,
    weights: Tensor,
    clip: float,
    around: Surroundings,
) -> Tensor:
    """One step of the optimiser; the batch's weighted mean loss, still on the device."""
    total = torch.zeros((), device=around.device)
    pieces = max(1, min(around.speed.pieces, len(images) // 2))  # BatchNorm needs two rows
    batch = (images, targets, weights)
    for piece, wanted, counts in zip(*(t.tensor_split(pieces) for t in batch), strict=True):
        with around.speed.autocast(around.device):
            outputs = forward(piece)
        loss = (loss_of(outputs.float(), wanted) * counts).sum() / len(images)
        scaler.scale(loss).backward()
        total += loss.detach()
    scaler.unscale_(parts.optimizer)
    nn.utils.clip_grad_norm_(parts.network.parameters(), clip)
    scaler.step(parts.optimizer)
    scaler.update()
    parts.optimizer.zero_grad()
    return total


def _kept(network: Network, parts: Parts) -> State:
    """The weights that are to be used: the best, the average, or the last."""
    if parts.best:
        return parts.best
    if parts.average and parts.average.count:  # SWA begins late
        return parts.average.weights
    return network.state_dict()


def _watch(
    network: Network,
    fold: Fold,
    parts: Parts,
    position: Position,
    schedule: Schedule,
    around: Surroundings,
    loss_of: Loss,
) -> None:
    """Note the inner fold's loss, and the weights if it is the least so far."""
    current = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    candidate = parts.average.weights if parts.average else current
    network.load_state_dict(candidate)
    network.eval()
    total = 0.0
    inner = fold.examples.inner
    with torch.inference_mode():
        for start in range(0, len(inner), fold.model.batch_size):
            rows = inner[start : start + fold.model.batch_size]
            images = torch.from_numpy(fold.examples.gather(rows)).to(around.device)
            wanted = torch.from_numpy(fold.examples.targets[rows]).to(around.device)
            with around.speed.autocast(around.device):
                outputs = network(images)
            total += float(loss_of(outputs.float(), wanted).sum())
    epoch = position.step // schedule.batches
    if position.best_loss is None or total < position.best_loss:
        position.best_loss, position.best_epoch = total, epoch
        parts.best = {name: tensor.clone() for name, tensor in candidate.items()}
    network.load_state_dict(current)


def _out_of_patience(fold: Fold, schedule: Schedule, position: Position) -> bool:
    """Return whether the inner fold's loss has not become better for ``patience`` epochs."""
    waited = position.step // schedule.batches - position.best_epoch
    return bool(len(fold.examples.inner)) and waited >= fold.model.patience


def _plain_batches(fold: Fold, schedule: Schedule, device: torch.device) -> Iterator[Tensor]:
    for rows in epoch_batches(fold.examples.rows, schedule.batches, fold.seed, 0):
        yield torch.from_numpy(fold.examples.gather(rows)).to(device)
