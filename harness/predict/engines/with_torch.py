"""Networks on PyTorch: eager, compiled, on CUDA as a captured graph; and their export to ONNX."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from harness.data.images import Pixels
from harness.predict.engine import load_predictor
from harness.predict.engines.kinds import Kind
from harness.predict.engines.network import Network, Outputs
from harness.predict.engines.parts import Part

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
_MOST_ROWS = 4096


class Graph(nn.Module):
    """One network of a run: uint8 images (rows, size, size, 3) → (rows, heads, targets).

    The backbone computes in ``dtype``; normalisation, a probe's heads and the activation stay in
    fp32, where they cost nothing and rounding would show.
    """

    def __init__(self, part: Part, dtype: torch.dtype) -> None:
        super().__init__()
        run = part.run
        predictor = load_predictor(run.folder, run.model, run.targets, part.files, run.task)
        self.network: Any = predictor.networks[0]
        self.network.backbone.to(dtype).to(memory_format=torch.channels_last)
        self.activate = predictor.activate
        self.dtype = dtype
        self.shape = (len(part.weights), part.run.targets)
        self.heads: nn.Module = nn.Identity()
        if predictor.heads is not None:
            self.heads = _merge(predictor.heads)
        self.eval().requires_grad_(False)

    def forward(self, images: Tensor) -> Tensor:
        """Predictions (rows, heads, targets), fp32."""
        pixels = self.network.normalise(images).to(self.dtype)
        outputs = self.network.rescale(self.heads(self.network.backbone(pixels).float()))
        return self.activate(outputs.reshape(-1, *self.shape))


class TorchNetwork(Network):
    """A function from uint8 tensors to outputs, run batch by batch."""

    def __init__(self, function: Callable[[Tensor], Tensor], device: torch.device) -> None:
        self._function, self._device = function, device

    def run(self, batches: Sequence[Pixels]) -> Iterator[Outputs]:
        for batch in batches:
            if not batch.flags.writeable:  # torch has no read-only tensors and warns
                batch = batch.copy()
            with torch.inference_mode():
                output = self._function(torch.from_numpy(batch).to(self._device))
                yield output.cpu().numpy()


def load_torch(kind: Kind, part: Part, batch: int) -> Network:
    """The part's own weights on PyTorch.

    What torch.compile makes, torch keeps by content itself (TORCHINDUCTOR_CACHE_DIR).
    """
    device = torch.device(kind.device)
    graph = Graph(part, _DTYPES[kind.precision]).to(device)
    if kind.compiled:
        option = "freezing" if kind.device == "cpu" else "triton.cudagraphs"
        return TorchNetwork(torch.compile(graph, dynamic=False, options={option: True}), device)
    if kind.device == "cuda":
        return TorchNetwork(_Captured(graph, part.run.model.image_size, batch), device)
    return TorchNetwork(graph, device)


class _Captured:
    """A CUDA graph of one batch: replaying it spares the launch of every kernel."""

    def __init__(self, graph: Graph, size: int, batch: int) -> None:
        self.images = torch.zeros((batch, size, size, 3), dtype=torch.uint8, device="cuda")
        self.cuda_graph = torch.cuda.CUDAGraph()
        side: torch.cuda.Stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        side.wait_stream(torch.cuda.current_stream())
        with torch.inference_mode(), torch.cuda.stream(side):
            for _ in range(3):  # libraries choose their algorithms before the capture
                graph(self.images)
        torch.cuda.current_stream().wait_stream(side)
        with torch.inference_mode(), torch.cuda.graph(self.cuda_graph):
            self.output = graph(self.images)

    def __call__(self, images: Tensor) -> Tensor:
        self.images.copy_(images)
        self.cuda_graph.replay()
        return self.output


def export_onnx(part: Part, file: Path) -> None:
    """Write the part's network in fp32, for any number of rows, as one ONNX file."""
    size = part.run.model.image_size
    graph = Graph(part, torch.float32)
    images = torch.zeros((2, size, size, 3), dtype=torch.uint8)
    rows = torch.export.Dim("rows", min=1, max=_MOST_ROWS)
    with warnings.catch_warnings():  # the exporter's own use of what torch has deprecated
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            graph, (images,), dynamo=True, dynamic_shapes=({0: rows},), verbose=False
        )
    assert program is not None
    program.save(file, external_data=False)


def _merge(heads: nn.ModuleList) -> nn.Linear:
    """Every fold's linear head as one: (rows, features) → (rows, heads × targets)."""
    linear = [head for head in heads if isinstance(head, nn.Linear)]
    weight = torch.cat([head.weight for head in linear])
    merged = nn.Linear(weight.shape[1], weight.shape[0])
    merged.load_state_dict({"weight": weight, "bias": torch.cat([head.bias for head in linear])})
    return merged
