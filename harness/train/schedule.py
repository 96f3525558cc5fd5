"""When what happens in a fold's training: learning rate, image size, cycles. Pure."""

import math
from dataclasses import dataclass

import numpy as np

from harness.model import ModelSection

SWA_SHARE = 0.25  # of the epochs, at the end, whose weights are averaged
GROWN_AT = 2 / 3  # of the steps: from here on images have their full size
SIZE_STEP = 32  # pixels: what most backbones divide a side by


@dataclass(frozen=True)
class Schedule:
    """``epochs`` of ``batches`` steps each, in ``cycles`` that end at ``cycle_ends`` (steps)."""

    epochs: int
    batches: int
    warmup: int
    head_steps: int
    cycle_ends: tuple[int, ...]
    swa_from: int | None
    image_size: int
    first_size: int

    @classmethod
    def of(cls, model: ModelSection, rows: int) -> "Schedule":
        """The schedule of a model on so many training rows."""
        # the batches of an epoch are of nearly equal size; BatchNorm needs two rows in each
        batches = max(1, min(math.ceil(rows / model.batch_size), rows // 2))
        lengths = [len(part) for part in np.array_split(np.arange(model.epochs), model.snapshots)]
        swa_epochs = max(1, round(SWA_SHARE * model.epochs))
        return cls(
            epochs=model.epochs,
            batches=batches,
            warmup=max(1, round(model.warmup_epochs * batches)),
            head_steps=round(model.head_epochs * batches),
            cycle_ends=tuple(int(end) * batches for end in np.cumsum(lengths)),
            swa_from=(model.epochs - swa_epochs) * batches if model.average == "swa" else None,
            image_size=model.image_size,
            first_size=_round_up(model.image_size * model.progressive, model.image_size),
        )

    @property
    def steps(self) -> int:
        """How many there are in all."""
        return self.epochs * self.batches

    @property
    def half(self) -> int:
        """The step at whose end half of the epochs are done, or a little more."""
        return math.ceil(self.epochs / 2) * self.batches

    def rate(self, step: int) -> float:
        """The factor on the learning rate.

        1 while only the classifier learns; then linear up over the warm-up and half a cosine down
        to nothing, again in every cycle (Loshchilov & Hutter 2017). Where weights are averaged at
        the end it stays as it was when that began.
        """
        if step < self.head_steps:
            return 1.0
        if self.swa_from is not None:
            step = min(step, max(self.swa_from, self.head_steps))
        start = self.head_steps
        for end in self.cycle_ends:
            if step < end:
                break
            start = max(start, end)
        first = start == self.head_steps
        into, length = step - start, end - start
        warmup = min(self.warmup, length) if first else 0
        if into < warmup:
            return (into + 1) / warmup
        return 0.5 * (1 + math.cos(math.pi * (into - warmup) / max(1, length - warmup)))

    def size(self, step: int) -> int:
        """The side of the images in pixels: it grows in steps of 32 (EfficientNetV2, Tan 2021)."""
        grown = min(1.0, step / (GROWN_AT * self.steps))
        wanted = self.first_size + grown * (self.image_size - self.first_size)
        return _round_up(wanted, self.image_size)

    def snapshot_at(self, step: int) -> int | None:
        """Which cycle, counted from 1, ends when ``step`` steps are done; not the last one."""
        earlier = self.cycle_ends[:-1]
        return earlier.index(step) + 1 if step in earlier else None


def _round_up(size: float, largest: int) -> int:
    return min(largest, SIZE_STEP * math.ceil(size / SIZE_STEP))
