"""Networks on OpenVINO's CPU plugin: reading, quantising, running."""

import io
from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np

from harness.data.images import Pixels
from harness.predict.engines.kinds import Kind, cores, forbid_reporting
from harness.predict.engines.network import Features, Network

forbid_reporting()
import openvino  # noqa: E402


class OpenVINONetwork(Network):
    """A converted network, compiled for one batch size.

    Asynchronous: one stream, and one request in flight, for each core. Synchronous: one stream
    of all cores.
    """

    def __init__(self, kind: Kind, file: Path, batch: int) -> None:
        core = openvino.Core()
        model = core.read_model(file)
        # fixed shapes let the plugin choose its kernels once
        model.reshape([batch, *list(model.input().partial_shape)[1:]])
        streams = cores() if kind.asynchronous else 1
        compiled = core.compile_model(
            model,
            "CPU",
            {
                "INFERENCE_PRECISION_HINT": _precision(core, kind),
                "NUM_STREAMS": streams,
                "INFERENCE_NUM_THREADS": cores(),
                # a pinned thread cannot step aside for whoever else uses its core
                "ENABLE_CPU_PINNING": False,
            },
        )
        self._queue = openvino.AsyncInferQueue(compiled, streams)
        self._queue.set_callback(_keep)

    def run(self, batches: Sequence[Pixels]) -> Iterator[Features]:
        outputs: dict[int, Features] = {}
        for i, batch in enumerate(batches):
            # shared, not copied: were it not contiguous, the plugin would read a freed copy
            self._queue.start_async({0: batch}, (outputs, i), share_inputs=True)
        self._queue.wait_all()
        yield from (outputs[i] for i in range(len(batches)))


def read_onnx(file: Path) -> Any:
    """The network of an ONNX file as an OpenVINO model."""
    return openvino.Core().read_model(file)


def save(model: Any, folder: Path) -> None:
    """Write graph.xml and graph.bin, the weights as they are (the default rounds them to fp16)."""
    openvino.save_model(model, folder / "graph.xml", compress_to_fp16=False)


def quantise(model: Any, calibration: Pixels) -> Any:
    """The model with int8 weights and activations, their ranges learnt from uint8 images.

    Weights get half of the range. Processors without VNNI add pairs of products in 16 bits, which
    would overflow, and a network may run on another processor than the one that made it.
    """
    import nncf

    kinds = {operation.get_type_name() for operation in model.get_ops()}
    attends = not kinds.isdisjoint({"Softmax", "ScaledDotProductAttention"})
    with redirect_stdout(io.StringIO()):  # progress bars of its own
        return nncf.quantize(
            model,
            nncf.Dataset([image[None] for image in calibration]),
            subset_size=len(calibration),
            model_type=nncf.ModelType.TRANSFORMER if attends else None,
            advanced_parameters=nncf.AdvancedQuantizationParameters(
                overflow_fix=nncf.OverflowFix.ENABLE
            ),
        )


def _precision(core: Any, kind: Kind) -> str:
    """int8 networks keep a few layers in floating point: in bf16 where the processor has it."""
    if kind.precision == "fp32":
        return "f32"
    capable = "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return "bf16" if capable else "f32"


def _keep(request: Any, where: tuple[dict[int, Features], int]) -> None:
    outputs, i = where
    outputs[i] = np.array(request.get_output_tensor().data)
