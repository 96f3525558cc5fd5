"""What training makes small, by task; targets are (rows, targets) float32."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

Loss = Callable[[Tensor, Tensor], Tensor]


def target_matrix(target: NDArray[Any], targets: int) -> NDArray[np.float32]:
    """Targets (see harness.metrics) as a matrix: classes become one-hot rows."""
    if target.ndim == 2:
        return target.astype(np.float32)
    if target.dtype.kind == "f":
        return target.astype(np.float32)[:, None]
    return np.eye(targets, dtype=np.float32)[target]


def make_loss(
    task: str,
    label_smoothing: float = 0.0,
    weights: Tensor | None = None,
    spread: float = 1.0,
    *,
    squared: bool = False,
) -> Loss:
    """Each row's loss (rows,) of network outputs (rows, targets) against targets of that shape.

    Classes: cross-entropy. Ordinal: the cross-entropy of every "is it more than k?", which a
    softmax answers by its upper sums, so that far misses cost more than near ones. Multilabel:
    binary cross-entropy. Regression: half the ``squared`` error, or Huber's loss, which is the same
    for errors of less than one; both in units of the targets' ``spread``.
    """
    if task == "regression":

        def distance(outputs: Tensor, targets: Tensor) -> Tensor:
            if squared:
                return (outputs / spread - targets / spread).square().mean(dim=1) / 2
            cells = F.smooth_l1_loss(outputs / spread, targets / spread, reduction="none")
            return cells.mean(dim=1)

        return distance
    if task == "multilabel":

        def binary(outputs: Tensor, targets: Tensor) -> Tensor:
            smooth = targets * (1 - label_smoothing) + label_smoothing / 2
            cells = F.binary_cross_entropy_with_logits(
                outputs, smooth, pos_weight=weights, reduction="none"
            )
            return cells.mean(dim=1)

        return binary
    if task == "ordinal":

        def ordinal(outputs: Tensor, targets: Tensor) -> Tensor:
            whole = outputs.logsumexp(dim=1, keepdim=True)
            above = outputs.flip(1).logcumsumexp(dim=1).flip(1)[:, 1:] - whole
            below = outputs.logcumsumexp(dim=1)[:, :-1] - whole
            is_above = targets.flip(1).cumsum(dim=1).flip(1)[:, 1:]
            is_above = is_above * (1 - label_smoothing) + label_smoothing / 2
            cells = -(is_above * above + (1 - is_above) * below).sum(dim=1)
            return cells if weights is None else cells * (targets @ weights)

        return ordinal
    return lambda outputs, targets: F.cross_entropy(
        outputs, targets, weight=weights, label_smoothing=label_smoothing, reduction="none"
    )
