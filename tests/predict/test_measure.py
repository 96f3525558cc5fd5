"""What engines cost, by a clock of the test's own, and in a fresh process."""

import itertools
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from harness.backbone import build_features
from harness.competition import as_plain
from harness.data.images import Pixels
from harness.model import ModelSection
from harness.predict.engines import ENGINES, REFERENCE, Run, convert, load_engine, open_run
from harness.predict.engines.kinds import why_missing
from harness.predict.measure import (
    EngineCost,
    measure,
    predict_apart,
    predict_oof,
    time_engines,
)
from harness.workspace.runs import fold_file, save_arrays, start_run

IMAGES: Pixels = np.random.default_rng(0).integers(0, 255, (9, 32, 32, 3), dtype=np.uint8)
FOLDS = np.array([0, 1, 1, 0, -1, 0, 1, 0, 1])


def names(folds: Sequence[int]) -> list[str]:
    return [f"fold{fold}.safetensors" for fold in folds]


def arrays(module: nn.Module) -> dict[str, np.ndarray]:
    return {name: tensor.detach().numpy() for name, tensor in module.state_dict().items()}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("run")
    model = ModelSection(name="x", backbone="test_resnet", mode="probe", image_size=32)
    start_run(
        folder,
        {"model": as_plain(model), "targets": list("abc"), "task": "multiclass", "folds": ""},
        {},
    )
    torch.manual_seed(0)
    frozen = build_features("test_resnet", "none", image_size=32, root=folder)
    save_arrays(folder / "backbone.safetensors", arrays(frozen))
    for fold in range(2):
        save_arrays(fold_file(folder, fold), arrays(nn.Linear(frozen.backbone.width, 3)))
    return open_run(folder)


def test_cost_is_what_the_clock_says(run: Run, tmp_path: Path) -> None:
    ticks = itertools.count()
    cost = measure(
        REFERENCE, run, names([0, 1]), tmp_path, IMAGES, seconds=7, clock=lambda: float(next(ticks))
    )
    # every step takes one tick, so the larger batch is the cheaper one
    assert cost == EngineCost(
        engine="torch-fp32",
        batch=16,
        models=2,
        start_seconds=1,
        load_seconds=1,
        warm_up_seconds=1,
        image_seconds=1 / 16,
        image_seconds_p95=1 / 16,
        images=7 * 16,
    )
    assert EngineCost(**json.loads(json.dumps(asdict(cost)))) == cost


def test_oof_rows_are_predicted_by_their_own_fold_model(run: Run, tmp_path: Path) -> None:
    predictions = predict_oof(REFERENCE, run, tmp_path, IMAGES, FOLDS, batch=4)
    for fold in (0, 1):
        engine = load_engine(REFERENCE, run, names([fold]), tmp_path, batch=4)
        rows = np.flatnonzero(fold == FOLDS)
        assert predictions[rows] == pytest.approx(engine.predict(IMAGES[rows]), abs=1e-6)
    assert np.isnan(predictions[FOLDS == -1]).all()
    assert np.abs(np.diff(predictions[[0, 1]], axis=0)).max() > 1e-3


def test_timed_and_asked_in_processes_of_their_own(run: Run, tmp_path: Path) -> None:
    kind, cache, pixels = ENGINES["onnxruntime-fp32"], tmp_path / "cache", tmp_path / "pixels.npy"
    if why := why_missing(kind, converting=True):
        pytest.skip(why)
    np.save(pixels, IMAGES)
    failed = time_engines([kind], run.folder, cache, pixels, seconds=0.01)[kind.name]
    assert isinstance(failed, str)
    assert "convert it again" in failed
    convert(kind, run, names([0]), cache, IMAGES)
    cost = time_engines([kind], run.folder, cache, pixels, seconds=0.01)[kind.name]
    assert isinstance(cost, EngineCost)
    assert cost.engine == kind.name
    assert cost.start_seconds > 0
    expected = predict_oof(REFERENCE, run, tmp_path, IMAGES, FOLDS, batch=4)
    predictions = predict_apart(cost, run.folder, cache, pixels, FOLDS)
    assert predictions == pytest.approx(expected, abs=1e-4, nan_ok=True)
    hung = predict_apart(cost, run.folder, cache, pixels, FOLDS, timeout=0.01)
    assert hung == "took longer than 0 s"


def test_an_engine_that_fails_does_not_stop_those_after_it(run: Run, tmp_path: Path) -> None:
    np.save(tmp_path / "pixels.npy", IMAGES)
    kinds = [ENGINES["cuda-fp16"], REFERENCE]
    if torch.cuda.is_available():
        pytest.skip("with CUDA neither fails")
    found = time_engines(kinds, run.folder, tmp_path, tmp_path / "pixels.npy", seconds=0.01)
    assert isinstance(found["cuda-fp16"], str)
    assert isinstance(found[REFERENCE.name], EngineCost)
