"""What an engine costs on this machine, and what it answers, measured in a fresh process.

    python -m harness.predict.measure FOLDER CACHE ENGINE PIXELS FOLDS VIEWS OUT

is that process: a crash in native code, or a hang, ends it and not the caller.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
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

LEAST_CHUNKS = 5


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


@dataclass(frozen=True)
class Assessment:
    """An engine's cost and its OOF predictions (rows, targets), NaN where none were asked for."""

    cost: EngineCost
    predictions: NDArray[np.float32]


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


def assess(
    kind: Kind,
    folder: Path,
    cache: Path,
    pixels: Path,
    folds: NDArray[np.intp],
    *,
    views: Sequence[str] = ("identity",),
    timeout: float = 600,
) -> Assessment | str:
    """Measure an engine for the run in ``folder``, in a fresh process.

    ``pixels``: a .npy file of images (rows, size, size, 3); ``folds`` (rows,): the number of the
    fold model that may predict the row, −1 where it is not needed. The cost is that of one fold
    model in one view, the predictions are the mean over ``views``. Returns why, as a phrase, where
    the engine fails.
    """
    with TemporaryDirectory() as scratch:
        given, out = Path(scratch) / "folds.npy", Path(scratch) / "predictions.npy"
        np.save(given, folds)
        command = [sys.executable, "-m", __name__]
        parts = (folder, cache, kind.name, pixels, given, ",".join(views), out)
        command += [str(part) for part in parts]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=timeout)
        except subprocess.TimeoutExpired:
            return f"took longer than {timeout:.0f} s"
        if done.returncode:
            last = done.stderr.strip().splitlines()[-1:] or [""]
            return f"ended with code {done.returncode}: {last[0]}"
        cost = EngineCost(**json.loads(done.stdout.strip().splitlines()[-1]))
        return Assessment(cost, np.load(out))


def _main(
    folder: str, cache: str, engine: str, pixels: str, folds: str, views: str, out: str
) -> None:
    kind, run = ENGINES[engine], open_run(Path(folder))
    images, numbers = np.load(pixels, mmap_mode="r"), np.load(folds)
    some = np.ascontiguousarray(images[np.flatnonzero(numbers >= 0)[:256]])
    weights = [fold_file(run.folder, int(numbers.max())).name]
    cost = measure(kind, run, weights, Path(cache), some)
    predictions = predict_oof(
        kind, run, Path(cache), images, numbers, batch=cost.batch, views=views.split(",")
    )
    np.save(out, predictions)
    print(json.dumps(asdict(cost)))


if __name__ == "__main__":
    _main(*sys.argv[1:])
