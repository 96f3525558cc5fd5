"""How a network is trained fastest on this machine: measured, then remembered."""

import copy
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import Field, TypeAdapter
from torch import nn

from harness.files import digest
from harness.model import ModelSection, Precision
from harness.predict.engine import DTYPES, cpu_has_bf16
from harness.predict.machine import fingerprint
from harness.records import read_json, reading, write_json
from harness.workspace.runs import read_run

WORTH_MEASURING = 60.0  # seconds: a shorter training gains less than the measuring costs
WORTH_COMPILING = 1200.0  # seconds: compiling takes up to a minute, on trial as in earnest
CLEARLY_FASTER = 0.97  # of the time; below that a difference may be chance, and is left alone
TIMED = 0.5  # seconds of steps a way: the least of them counts
HOPELESS = 1.5  # times the best: one step says enough
CALM = 0.75  # of the cores' time that a trial gets where nothing else is running


@dataclass(frozen=True)
class Speed:
    """The precision of products, the memory format, compilation, and passes a step.

    ``pieces`` > 1 accumulates gradients over parts of a batch that does not fit into memory.
    """

    precision: Precision = "fp32"
    channels_last: bool = True
    compile: bool = False
    pieces: Annotated[int, Field(ge=1)] = 1

    def __str__(self) -> str:
        said: list[str] = [self.precision]
        said += ["channels_last"] * self.channels_last + ["compiled"] * self.compile
        said += [f"in {self.pieces} pieces"] * (self.pieces > 1)
        return ", ".join(said)

    def place(self, network: nn.Module, device: torch.device) -> nn.Module:
        """Move the network to the device, in this memory format."""
        network = network.to(device)
        if self.channels_last:
            network = network.to(memory_format=torch.channels_last)
        return network

    def autocast(self, device: torch.device) -> AbstractContextManager[object]:
        """The context to run a forward pass in."""
        if self.precision == "fp32":
            return nullcontext()
        return torch.autocast(device.type, DTYPES[self.precision])


@dataclass(frozen=True)
class Timing:
    """A speed with the seconds of one step, and those before the first.

    ``share`` is how much of the cores' time the trial got; other processes took the rest.
    """

    speed: Speed
    step_seconds: float
    start_seconds: float = 0.0
    share: float = 1.0

    def total(self, steps: int) -> float:
        """The seconds of so many steps."""
        return self.start_seconds + steps * self.step_seconds


def training_device() -> torch.device:
    """The first GPU if there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@contextmanager
def deterministic(wanted: bool) -> Iterator[None]:
    """Only operations that repeat bit for bit on a GPU, too, where that is ``wanted``."""
    if not wanted or not torch.cuda.is_available():
        yield
        return
    # cuBLAS reads it when its first handle is made
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.backends.cudnn.benchmark = False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)


def is_out_of_memory(error: Exception) -> bool:
    """Whether memory ran out; on a CPU torch has no error of its own for that."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(
        words in str(error) for words in ("not enough memory", "can't allocate memory")
    )


def noted_speed(folder: Path) -> Speed | None:
    """Return how fast the run in ``folder`` was trained, None if its run.json does not say it."""
    noted = read_run(folder)["circumstances"].get("speed")
    if noted is None:
        return None
    with reading(f"{folder / 'run.json'}: circumstances.speed", "remove it: it is measured again"):
        text = json.dumps(noted)
        return TypeAdapter(Speed).validate_json(text, strict=True, extra="forbid")


def choices(model: ModelSection, device: torch.device) -> list[Speed]:
    """What may be tried: all that the model does not pin and the device can, the usual one first.

    Old GPUs have no bf16 and get fp16, whose losses are scaled; on a CPU fp16 is never fast.
    """
    if model.precision != "auto":
        precisions: list[Precision] = [model.precision]
    elif device.type == "cuda":
        precisions = ["bf16" if torch.cuda.is_bf16_supported() else "fp16", "fp32"]
    else:
        precisions = ["fp32", "bf16"] if cpu_has_bf16() else ["fp32"]
    formats = [True, False] if model.channels_last is None else [model.channels_last]
    return [
        Speed(precision, channels_last, bool(model.compile))
        for precision in precisions
        for channels_last in formats
    ]


def fastest(timings: Sequence[Timing], steps: int) -> Timing:
    """The first of them, or one that is clearly faster over so many steps."""
    best = timings[0]
    for timing in timings[1:]:
        if timing.total(steps) < CLEARLY_FASTER * best.total(steps):
            best = timing
    return best


def measured_speed(
    build: Callable[[], nn.Module], model: ModelSection, steps: int, targets: int, cache: Path
) -> Timing:
    """Return the fastest way to train the network that ``build`` makes for ``steps`` steps.

    The timings are kept in ``cache`` for this backbone, size and machine; those of a busy machine
    are made again. Compilation is tried on a calm machine only, and chosen if it pays within these
    steps. A training that is over in a minute is not worth timing: it takes the usual way.
    """
    device = training_device()
    options = choices(model, device)
    name = torch.cuda.get_device_name() if device.type == "cuda" else ""
    settings = (model.backbone, model.image_size, model.batch_size, model.channels, model.frozen)
    key = digest(torch.__version__, fingerprint(), name, *map(str, (*settings, *options)))
    file = cache / f"{key}.json"
    timings, network = _stored(file), None
    if not timings:
        network = build()
        for option in options:
            best = min((t.step_seconds for t in timings), default=None)
            timings.append(_time(network, model, option, device, targets, best))
            if len(timings) == 1 and timings[0].total(steps) < WORTH_MEASURING:
                return timings[0]  # not kept: a longer training measures
    choice = fastest(timings, steps)
    tried = model.compile is not None or any(timing.speed.compile for timing in timings)
    if not tried and choice.share >= CALM and choice.total(steps) > WORTH_COMPILING:
        compiled = replace(choice.speed, compile=True)
        with suppress(Exception):  # no compiler on this machine, or an operation it cannot take
            timings.append(_time(network or build(), model, compiled, device, targets, None))
            choice = fastest(timings, steps)
    write_json(file, json.dumps({"all": [asdict(timing) for timing in timings]}))
    return choice


def _stored(file: Path) -> list[Timing]:
    """The timings that are kept, if the machine was calm then; else none."""
    try:
        note = json.loads(read_json(file))
        timings = [Timing(**{**one, "speed": Speed(**one["speed"])}) for one in note["all"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    return timings if all(timing.share >= CALM for timing in timings) else []


def _time(
    original: nn.Module,
    model: ModelSection,
    speed: Speed,
    device: torch.device,
    targets: int,
    best: float | None,
) -> Timing:
    """Time a few steps on noise, fewer where memory is short or the first is hopeless."""
    while True:
        try:
            return _time_steps(original, model, speed, device, targets, best)
        except Exception as error:
            if not is_out_of_memory(error) or speed.pieces * 4 > model.batch_size:
                raise
            speed = replace(speed, pieces=speed.pieces * 2)


def _time_steps(
    original: nn.Module,
    model: ModelSection,
    speed: Speed,
    device: torch.device,
    targets: int,
    best: float | None,
) -> Timing:
    network: Any = speed.place(copy.deepcopy(original), device).train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.0, fused=device.type == "cuda")
    forward = torch.compile(network) if speed.compile else network
    rows = max(2, model.batch_size // speed.pieces)
    images = torch.randint(256, (rows, model.image_size, model.image_size, 3), dtype=torch.uint8)
    images = images.to(device)

    def step() -> float:
        begun = time.perf_counter()
        for _ in range(speed.pieces):
            with speed.autocast(device):
                loss = forward(images).square().mean()
            loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        if device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - begun

    first = step()
    if best is not None and not speed.compile and first > 2 * HOPELESS * best:
        return Timing(speed, first)
    begun, used = time.perf_counter(), time.process_time()
    seconds = [step()]
    hopeless = best is not None and seconds[0] > HOPELESS * best
    while sum(seconds) < TIMED and not hopeless:
        seconds.append(step())
    share = (time.process_time() - used) / (time.perf_counter() - begun) / torch.get_num_threads()
    # compiling is what a process pays once; anything else that is slow at first is forgotten
    start = max(0.0, first - min(seconds)) if speed.compile else 0.0
    return Timing(speed, min(seconds), start, share if device.type == "cpu" else 1.0)
