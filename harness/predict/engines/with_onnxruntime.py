"""Networks on ONNX Runtime's CPU provider."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from harness.data.images import Pixels
from harness.predict.engines.kinds import cores, forbid_reporting
from harness.predict.engines.network import Features, Network

forbid_reporting()
import onnxruntime  # noqa: E402


class ONNXRuntimeNetwork(Network):
    """A converted network in fp32, one batch at a time on all cores."""

    def __init__(self, file: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = cores()
        # threads that spin while they wait take the cores that decode the next images
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(
            file, options, providers=["CPUExecutionProvider"]
        )
        self._input = self._session.get_inputs()[0].name

    def run(self, batches: Sequence[Pixels]) -> Iterator[Features]:
        for batch in batches:
            (output,) = self._session.run(None, {self._input: batch})
            yield output
