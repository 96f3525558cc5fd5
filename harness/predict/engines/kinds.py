"""Which engines there are, and which of them can run on this machine."""

import importlib.util
import os
import shutil
import sys
from dataclasses import dataclass
from functools import cache
from typing import Literal

Runtime = Literal["torch", "openvino", "onnxruntime"]


@dataclass(frozen=True)
class Kind:
    """An engine's name and what it is made of.

    ``compiled`` is torch.compile. ``asynchronous`` runs one batch on each core at a time; else
    all cores share one batch, which answers a single batch sooner.
    """

    name: str
    runtime: Runtime
    precision: Literal["fp32", "bf16", "fp16", "int8"]
    device: Literal["cpu", "cuda"] = "cpu"
    compiled: bool = False
    asynchronous: bool = False

    @property
    def converted(self) -> Literal["onnx", "openvino", "openvino-int8"] | None:
        """Which converted network it reads; None: the run's own weights."""
        if self.runtime == "torch":
            return None
        if self.runtime == "onnxruntime":
            return "onnx"
        return "openvino-int8" if self.precision == "int8" else "openvino"


_KINDS = (
    Kind("torch-fp32", "torch", "fp32"),
    Kind("torch-bf16", "torch", "bf16"),
    Kind("torch-compile-fp32", "torch", "fp32", compiled=True),
    Kind("torch-compile-bf16", "torch", "bf16", compiled=True),
    Kind("onnxruntime-fp32", "onnxruntime", "fp32"),
    Kind("openvino-fp32", "openvino", "fp32"),
    Kind("openvino-fp32-async", "openvino", "fp32", asynchronous=True),
    Kind("openvino-bf16", "openvino", "bf16"),
    Kind("openvino-bf16-async", "openvino", "bf16", asynchronous=True),
    Kind("openvino-int8", "openvino", "int8"),
    Kind("openvino-int8-async", "openvino", "int8", asynchronous=True),
    Kind("cuda-fp32", "torch", "fp32", "cuda"),
    Kind("cuda-bf16", "torch", "bf16", "cuda"),
    Kind("cuda-fp16", "torch", "fp16", "cuda"),
    Kind("cuda-compile-bf16", "torch", "bf16", "cuda", compiled=True),
)
ENGINES = {kind.name: kind for kind in _KINDS}
REFERENCE = ENGINES["torch-fp32"]
"""What every other engine's answers are held against."""

_NEEDS = {
    "torch": (),
    "openvino": ("openvino",),
    "onnxruntime": ("onnxruntime",),
    "onnx": ("onnx", "onnxscript"),
    "openvino-int8": ("nncf",),
}


def engines_here() -> list[Kind]:
    """The engines that can be loaded on this machine."""
    return [kind for kind in ENGINES.values() if why_missing(kind) is None]


def why_missing(kind: Kind, *, converting: bool = False) -> str | None:
    """Why the engine cannot run here, as a phrase; None if it can.

    ``converting`` asks for what making its converted network needs, too.
    """
    needed: list[str] = [*_NEEDS[kind.runtime]]
    if converting and kind.converted:
        needed += _NEEDS["onnx"] + _NEEDS.get(kind.converted, ())
    for package in needed:
        if importlib.util.find_spec(package) is None:
            extra = "onnx" if kind.runtime == "onnxruntime" else "openvino"
            return f"the package {package} is not installed (pip install '.[{extra}]')"
    if kind.device == "cuda":
        return _cuda_lacks(kind)
    if kind.runtime == "openvino":
        capability = {"fp32": "FP32", "bf16": "BF16", "int8": "INT8"}[kind.precision]
        if capability not in _openvino_capabilities():
            return f"this processor has no {kind.precision}"
    if kind.compiled and shutil.which(os.environ.get("CXX", "g++")) is None:
        return "torch.compile needs a C++ compiler"
    return None


def forbid_reporting() -> None:
    """Keep the runtimes from reporting their use; call it before they are imported.

    Reporting reaches for the network, and OpenVINO's forks a process that outlives a killed one.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("NNCF_CI", "1")
    # OpenVINO and nncf do without the package where it cannot be imported
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]


def cores() -> int:
    """The processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _cuda_lacks(kind: Kind) -> str | None:
    import torch

    if not torch.cuda.is_available():
        return "there is no CUDA device"
    if kind.precision == "bf16" and not torch.cuda.is_bf16_supported():
        return "this GPU has no bf16"
    return None


@cache
def _openvino_capabilities() -> tuple[str, ...]:
    forbid_reporting()
    import openvino

    return tuple(openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"))
