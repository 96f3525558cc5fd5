"""Averages of a network's weights over its training: EMA and SWA."""

import torch
from torch import nn


class WeightAverage:
    """A mean of weights, floating-point buffers included.

    An exponential moving average with ``decay`` (Polyak & Juditsky 1992), warmed up so that the
    first weights do not linger; without one, the plain mean of all that it was shown (SWA,
    Izmailov et al. 2018).
    """

    def __init__(self, network: nn.Module, decay: float | None) -> None:
        self.decay = decay
        self.count = 0
        self.weights = {name: t.detach().clone() for name, t in network.state_dict().items()}

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Take the network's present weights in."""
        self.count += 1
        rate = 1 / self.count
        if self.decay is not None:
            rate = 1 - min(self.decay, self.count / (9 + self.count))
        for name, tensor in network.state_dict().items():
            mean = self.weights[name]
            if mean.is_floating_point() and self.count > 1:
                mean.lerp_(tensor.to(mean), rate)
            else:
                mean.copy_(tensor)
