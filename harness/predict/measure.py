"""What engines cost on this machine, and what they answer, measured in fresh processes.

    python -m harness.predict.measure time FOLDER CACHE PIXELS SECONDS ENGINE …
    python -m harness.predict.measure predict FOLDER CACHE PIXELS FOLDS VIEWS ENGINE BATCH OUT

are those processes: a crash in native code, or a hang, ends one of them and not the caller.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from harness.data.images import Pixels
from harness.predict.engines import ENGINES, Kind, Run, load_engine, open_run
from harness.predict.engines.kinds import Runtime
from harness.predict.views import predict_views
from harness.workspace.runs import fold_file

BATCHES = (4, 16)
"""Batch sizes that are tried; where loading compiles for many seconds, only the last."""

LEAST_CHUNKS = 3
ROWS_TIMED = 64
"""Images that an engine is timed on."""
TIMEOUT = 600.0
"""Seconds after which an engine counts as hanging."""


@dataclass(frozen=True)
class EngineCost:
    """Seconds of one engine serving models of one run on one machine.

    ``start_seconds`` is importing the runtime and setting it up, once a process. Loading and
    warming up are for all ``models`` models; ``image_seconds`` (the median chunk's, and the 95th
    percentile's) is for one image through all of them in one view, without reading and decoding it.
    """

    engine: str
    batch: int
    models: int
    start_seconds: float
    load_seconds: float
    warm_up_seconds: float
    image_seconds: float
    image_seconds_p95: float
    images: int


def start_runtime(runtime: Runtime) -> None:
    """Import what engines of that runtime need: the part of their cost that is paid once."""
    if runtime == "torch":
        import harness.predict.engines.with_torch
    elif runtime == "openvino":
        import harness.predict.engines.with_openvino
    else:
        import harness.predict.engines.with_onnxruntime  # noqa: F401


def measure(
    kind: Kind,
    run: Run,
    weights: Sequence[str],
    cache: Path,
    pixels: Pixels,
    *,
    batches: Sequence[int] | None = None,
    seconds: float = 1.0,
    clock: Callable[[], float] = time.perf_counter,
) -> EngineCost:
    """The cost with the batch size that is fastest here; the engine must be converted.

    ``pixels``: images (rows, size, size, 3) to predict, again and again for ``seconds`` a batch
    size. ``start_seconds`` is true only where this is the process's first use of the runtime.
    """
    begun = clock()
    start_runtime(kind.runtime)
    imported = clock()
    sizes = batches or (BATCHES[-1:] if kind.compiled else BATCHES)
    if not kind.compiled:  # the first network of a process also sets the runtime up
        load_engine(kind, run, weights, cache, batch=sizes[0]).warm_up()
    set_up, start = clock() - imported, imported - begun
    costs = []
    for batch in sizes:
        begun = clock()
        engine = load_engine(kind, run, weights, cache, batch=batch)
        loaded = clock()
        engine.warm_up()
        warm = clock()
        if batch == sizes[0]:
            start += max(0.0, set_up - (warm - begun))
        chunk = np.resize(pixels, (engine.chunk, *pixels.shape[1:]))
        spent: list[float] = []
        while len(spent) < LEAST_CHUNKS or sum(spent) < seconds:
            before = clock()
            engine.predict(chunk)
            spent.append(clock() - before)
        a_chunk, slow_chunk = np.quantile(spent, [0.5, 0.95])
        costs.append(
            EngineCost(
                engine=kind.name,
                batch=batch,
                models=len(weights),
                start_seconds=start,
                load_seconds=loaded - begun,
                warm_up_seconds=warm - loaded,
                image_seconds=float(a_chunk) / len(chunk),
                image_seconds_p95=float(slow_chunk) / len(chunk),
                images=len(spent) * len(chunk),
            )
        )
    return min(costs, key=lambda cost: cost.image_seconds)


def predict_oof(
    kind: Kind,
    run: Run,
    cache: Path,
    pixels: Pixels,
    folds: NDArray[np.intp],
    *,
    batch: int,
    views: Sequence[str] = ("identity",),
) -> NDArray[np.float32]:
    """Each row's probabilities (rows, targets) from the fold model whose number ``folds`` gives.

    The mean over ``views`` (harness.predict.views). Rows with −1 stay NaN.
    """
    predictions = np.full((len(pixels), run.targets), np.nan, np.float32)
    for fold in np.unique(folds[folds >= 0]):
        weights = fold_file(run.folder, int(fold)).name
        engine = load_engine(kind, run, [weights], cache, batch=batch)
        rows = np.flatnonzero(folds == fold)
        for start in range(0, len(rows), engine.chunk):
            some = rows[start : start + engine.chunk]
            predictions[some] = predict_views(engine, pixels[some], views)
    return predictions


def time_engines(
    kinds: Sequence[Kind],
    folder: Path,
    cache: Path,
    pixels: Path,
    *,
    seconds: float,
    timeout: float = TIMEOUT,
) -> dict[str, EngineCost | str]:
    """Time engines with the first fold model of the run in ``folder``, in one view.

    ``pixels``: a .npy file of images (rows, size, size, 3); ``seconds`` are spent on each batch
    size. There is one process for each runtime. An engine that fails has the reason, as a phrase,
    and those after it go on in another process.
    """
    found: dict[str, EngineCost | str] = {}
    for _, same in groupby(sorted(kinds, key=lambda kind: kind.runtime), lambda kind: kind.runtime):
        left = [kind.name for kind in same]
        costs: dict[str, EngineCost] = {}
        while left:
            arguments = ("time", folder, cache, pixels, seconds, *left)
            lines, why = _child(arguments, timeout * len(left))
            done, left = left[: len(lines)], left[len(lines) :]
            costs |= {
                name: EngineCost(**json.loads(line)) for name, line in zip(done, lines, strict=True)
            }
            if why and left:
                found[left.pop(0)] = why
        start = max((cost.start_seconds for cost in costs.values()), default=0.0)
        found |= {name: replace(cost, start_seconds=start) for name, cost in costs.items()}
    return found


def predict_apart(
    cost: EngineCost,
    folder: Path,
    cache: Path,
    pixels: Path,
    folds: NDArray[np.intp],
    *,
    views: Sequence[str] = ("identity",),
    timeout: float = TIMEOUT,
) -> NDArray[np.float32] | str:
    """Return ``predict_oof`` of the run in ``folder`` by that engine, from a fresh process.

    ``pixels``: a .npy file of images (rows, size, size, 3). Where the engine fails, return the
    reason as a phrase.
    """
    with TemporaryDirectory() as scratch:
        given, out = Path(scratch) / "folds.npy", Path(scratch) / "predictions.npy"
        np.save(given, folds)
        arguments = (folder, cache, pixels, given, ",".join(views), cost.engine, cost.batch, out)
        _, why = _child(("predict", *arguments), timeout)
        return why or np.load(out)


def _child(arguments: Sequence[object], timeout: float) -> tuple[list[str], str]:
    """Return the lines that such a process printed, and why it failed ("" if it did not)."""
    command = [sys.executable, "-m", __name__, *map(str, arguments)]
    try:
        done = subprocess.run(command, capture_output=True, timeout=timeout)
    except subprocess.TimeoutExpired as error:
        return _lines(error.stdout), f"took longer than {timeout:.0f} s"
    last = _lines(done.stderr)[-1:] or [""]
    return _lines(done.stdout), f"ended with code {done.returncode}: {last[0]}" * bool(
        done.returncode
    )


def _lines(output: bytes | None) -> list[str]:
    return (output or b"").decode(errors="replace").strip().splitlines()


def _time(folder: str, cache: str, pixels: str, seconds: str, *engines: str) -> None:
    run, images = open_run(Path(folder)), np.load(pixels, mmap_mode="r")
    some = np.ascontiguousarray(images[:ROWS_TIMED])
    for name in engines:
        weights = [run.weights[0]]
        cost = measure(ENGINES[name], run, weights, Path(cache), some, seconds=float(seconds))
        print(json.dumps(asdict(cost)), flush=True)


def _predict(
    folder: str, cache: str, pixels: str, folds: str, views: str, engine: str, batch: str, out: str
) -> None:
    run, images, numbers = open_run(Path(folder)), np.load(pixels, mmap_mode="r"), np.load(folds)
    predictions = predict_oof(
        ENGINES[engine],
        run,
        Path(cache),
        images,
        numbers,
        batch=int(batch),
        views=views.split(","),
    )
    np.save(out, predictions)


if __name__ == "__main__":
    if sys.argv[1] == "time":
        _time(*sys.argv[2:])
    else:
        _predict(*sys.argv[2:])
