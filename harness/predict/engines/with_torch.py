"""Networks on PyTorch: eager, compiled, on CUDA as a captured graph; and their export to ONNX."""

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from harness.data.images import Pixels
from harness.predict.engine import load_predictor
from harness.predict.engines.kinds import Kind
from harness.predict.engines.network import Features, Network
from harness.predict.engines.parts import Part
from harness.predict.head import Heads

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
_MOST_ROWS = 4096


class Graph(nn.Module):
    """One network of a run: uint8 images (rows, size, size, 3) → features (rows, width).

    The backbone computes in ``dtype``, normalisation in fp32. ``heads`` are the layers that
    follow; the network's own, where it has several, are part of it, and its outputs are the
    features.
    """

    def __init__(self, part: Part, dtype: torch.dtype) -> None:
        super().__init__()
        run = part.run
        predictor = load_predictor(run.folder, run.model, run.targets, part.files, run.task)
        self.network: Any = predictor.networks[0]
        layers = predictor.heads or [self.network.classifier]
        self.whole = layers[0] is None
        self.heads = _heads(layers, self.network.rescale, run.targets)
        following = nn.ModuleList(
            layer for layer in (*layers, self.network.rescale) if layer is not None
        )
        self._following = {id(tensor) for tensor in following.state_dict(keep_vars=True).values()}
        self.network.backbone.to(dtype).to(memory_format=torch.channels_last)
        self.dtype = dtype
        self.eval().requires_grad_(False)

    def weights(self) -> dict[str, Tensor]:
        """The numbers that the features depend on, by name."""
        return {
            name: tensor
            for name, tensor in self.state_dict(keep_vars=True).items()
            if tensor.is_floating_point() and id(tensor) not in self._following
        }

    def forward(self, images: Tensor) -> Tensor:
        """Features (rows, width), fp32."""
        backbone = self.network.backbone
        maps = backbone.forward_features(self.network.normalise(images).to(self.dtype))
        features: Tensor = backbone.forward_head(maps, pre_logits=not self.whole)
        return features.float()


class TorchNetwork(Network):
    """A function from uint8 tensors to features, run batch by batch."""

    def __init__(self, function: Callable[[Tensor], Tensor], device: torch.device) -> None:
        self._function, self._device = function, device

    def run(self, batches: Sequence[Pixels]) -> Iterator[Features]:
        for batch in batches:
            if not batch.flags.writeable:  # torch has no read-only tensors and warns
                batch = batch.copy()
            with torch.inference_mode():
                output = self._function(torch.from_numpy(batch).to(self._device))
                yield output.cpu().numpy()


def load_torch(kind: Kind, part: Part, batch: int) -> tuple[Network, Heads]:
    """The part's own weights on PyTorch, and what follows.

    What torch.compile makes, torch keeps by content itself (TORCHINDUCTOR_CACHE_DIR).
    """
    device = torch.device(kind.device)
    graph = Graph(part, _DTYPES[kind.precision]).to(device)
    if kind.compiled:
        option = "freezing" if kind.device == "cpu" else "triton.cudagraphs"
        compiled = torch.compile(graph, dynamic=False, options={option: True})
        return TorchNetwork(compiled, device), graph.heads
    if kind.device == "cuda":
        captured = _Captured(graph, part.run.model.image_size, batch)
        return TorchNetwork(captured, device), graph.heads
    return TorchNetwork(graph, device), graph.heads


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


def export_onnx(part: Part, file: Path) -> Heads:
    """Write the part's network in fp32, for any number of rows, as one ONNX file; its heads.

    Exporting takes many seconds, and fold models differ in their weights alone: one of them is
    exported, the others put their weights into a copy.
    """
    import onnx_ir
    from onnxscript.optimizer import optimize

    graph = Graph(part, torch.float32)
    run, weights = part.run, graph.weights()
    model = run.model
    shape = (model.backbone, model.mode, model.image_size, model.channels)
    key = (*shape, run.targets if graph.whole else 0)
    exported = _exported.get(key) or _export(graph, model.image_size)
    network = onnx_ir.from_proto(exported)
    constants = network.graph.initializers
    if set(weights) <= set(constants):
        _exported.clear()  # one is enough: runs are converted one after the other
        _exported[key] = exported
        for name, tensor in weights.items():
            constants[name].const_value = onnx_ir.tensor(tensor.numpy(), name=name)
    optimize(network)
    onnx_ir.save(network, file)
    return graph.heads


def export_network(network: nn.Module, size: int, file: Path) -> None:
    """Write a network of uint8 images (rows, size, size, 3), for any number of rows, as ONNX."""
    import onnx_ir
    from onnxscript.optimizer import optimize

    exported = onnx_ir.from_proto(_export(network, size))
    optimize(exported)
    onnx_ir.save(exported, file)


_exported: dict[tuple[object, ...], Any] = {}
"""The network that was exported last, by what it shares with those that differ in weights alone."""


def _export(graph: nn.Module, size: int) -> Any:
    """The ONNX model of the network, whose constants keep the names of the weights."""
    images = torch.zeros((2, size, size, 3), dtype=torch.uint8)
    rows = torch.export.Dim("rows", min=1, max=_MOST_ROWS)
    for module in graph.modules():
        if hasattr(module, "inplace"):  # the exporter takes twice as long to trace these
            module.inplace = False  # type: ignore[assignment]
    with warnings.catch_warnings():  # the exporter's own use of what torch has deprecated
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            graph,
            (images,),
            dynamo=True,
            dynamic_shapes=({0: rows},),
            verbose=False,
            optimize=False,
        )
    assert program is not None
    return program.model_proto


def _heads(layers: Iterable[Any], rescale: Any, targets: int) -> Heads:
    """Linear layers, the same where one is None, and the rescaling of what they answer."""
    weights = [torch.eye(targets) if one is None else one.weight.flatten(1) for one in layers]
    biases = [torch.zeros(targets) if one is None else one.bias for one in layers]
    weight = torch.stack(weights) * getattr(rescale, "spread", 1.0)
    return Heads(weight.detach().numpy(), rescale(torch.stack(biases)).detach().numpy())
