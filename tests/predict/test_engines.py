"""One contract for all engines: whatever runs the networks, the answers are plain fp32's."""

import importlib
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from harness.backbone import Network, Rescale, build_classifier, build_features
from harness.competition import as_plain
from harness.data.images import Pixels
from harness.errors import WorkspaceError
from harness.metrics import get_metric
from harness.model import ModelSection
from harness.predict.engine import choose_device, load_predictor, predict_batch
from harness.predict.engines import (
    ENGINES,
    REFERENCE,
    Engine,
    Kind,
    Run,
    convert,
    engines_here,
    kinds,
    load_engine,
    open_run,
    why_missing,
)
from harness.predict.engines.convert import converted_file
from harness.predict.engines.parts import parts
from harness.predict.guard import agreement
from harness.workspace.runs import fold_file, fold_files, save_arrays, start_run


def make_images(rows: int) -> Pixels:
    """Images (rows, 32, 32, 3) of four colours each, with noise: as different as photographs."""
    draw = np.random.default_rng(0)
    quarters = draw.integers(20, 235, (rows, 2, 2, 3)).repeat(16, axis=1).repeat(16, axis=2)
    return (quarters + draw.integers(-20, 20, (rows, 32, 32, 3))).astype(np.uint8)


SCORED = make_images(400)
IMAGES = SCORED[:11]
TARGETS = 4

Load = Callable[..., Engine]


def names(folds: Sequence[int]) -> list[str]:
    return [f"fold{fold}.safetensors" for fold in folds]


def spread(layer: nn.Linear, features: Tensor) -> None:
    """Scale a layer so that its logits differ between images: a constant answer tests nothing."""
    with torch.no_grad():
        layer.bias.zero_()
        logits = layer(features)
        layer.bias -= logits.mean(0)
        factor = 2 / logits.std(0).mean()
        layer.weight *= factor
        layer.bias *= factor


def arrays(module: nn.Module) -> dict[str, np.ndarray]:
    return {name: tensor.detach().numpy() for name, tensor in module.state_dict().items()}


def write_fold(folder: Path, fold: int, seed: int) -> None:
    """A network with random weights that answers differently to different images."""
    torch.manual_seed(seed)
    network = build_classifier("test_resnet", "none", TARGETS, image_size=32, root=folder).eval()
    layer = network.backbone.get_classifier()
    network.backbone.reset_classifier(0)
    with torch.no_grad():
        spread(layer, network(torch.from_numpy(SCORED)))
    network.backbone.fc = layer
    save_arrays(fold_file(folder, fold), arrays(network))


def write_run(folder: Path, mode: str) -> Run:
    backbone = "test_resnet" if mode == "finetune" else "test_efficientnet"
    model = ModelSection(name="x", backbone=backbone, mode=mode, image_size=32)  # type: ignore[arg-type]
    start_run(
        folder,
        {"model": as_plain(model), "targets": list("abcd"), "task": "multiclass", "folds": ""},
        {},
    )
    if mode == "finetune":
        for fold in range(2):
            write_fold(folder, fold, seed=fold)
    else:
        torch.manual_seed(0)
        frozen: Network = build_features(backbone, "none", image_size=32, root=folder)
        save_arrays(folder / "backbone.safetensors", arrays(frozen))
        features = frozen(torch.from_numpy(SCORED))
        for fold in range(2):
            head = nn.Linear(features.shape[1], TARGETS)
            spread(head, features)
            save_arrays(fold_file(folder, fold), arrays(head))
    return open_run(folder)


@pytest.fixture(scope="module")
def load(tmp_path_factory: pytest.TempPathFactory) -> Load:
    """(kind, mode, folds, batch) → a converted and loaded engine, the same one each time."""
    home = tmp_path_factory.mktemp("engines")

    @cache
    def run(mode: str) -> Run:
        return write_run(home / mode, mode)

    @cache
    def engine(kind: Kind, mode: str, folds: Sequence[int] = (0, 1), batch: int = 4) -> Engine:
        if why := why_missing(kind, converting=True):
            pytest.skip(why)
        convert(kind, run(mode), names(folds), home / "cache", SCORED)
        return load_engine(kind, run(mode), names(folds), home / "cache", batch=batch)

    return engine


def slow(kind: Kind) -> object:
    return pytest.param(kind, id=kind.name, marks=[pytest.mark.slow] if kind.compiled else [])


every_engine = pytest.mark.parametrize("kind", [slow(kind) for kind in ENGINES.values()])
both_modes = pytest.mark.parametrize("mode", ["finetune", "probe"])


@both_modes
def test_reference_is_the_plain_predictor(load: Load, mode: str) -> None:
    engine = load(REFERENCE, mode)
    run = engine.run
    predictor = load_predictor(run.folder, run.model, TARGETS, fold_files(run.folder))
    expected = predict_batch(predictor, IMAGES, choose_device("fp32"))
    assert engine.predict(IMAGES) == pytest.approx(expected, abs=1e-5)
    assert expected.std(axis=0).min() > 0.05  # the images differ, so that agreeing means something


@every_engine
@both_modes
def test_agrees_with_plain_fp32(load: Load, kind: Kind, mode: str) -> None:
    engine, reference = load(kind, mode), load(REFERENCE, mode)
    engine.warm_up()
    predictions, expected = engine.predict(SCORED), reference.predict(SCORED)
    assert predictions.shape == (len(SCORED), TARGETS)
    assert predictions.dtype == np.float32
    assert predictions.sum(axis=1) == pytest.approx(1, abs=1e-5)
    assert np.array_equal(predictions, engine.predict(SCORED))
    if kind.precision == "fp32":
        assert predictions == pytest.approx(expected, abs=1e-4)
    # by the metric, as the guard does; the labels are as probable as plain fp32 says
    draw = np.random.default_rng(0).random((len(SCORED), 1))
    truth = (expected.cumsum(axis=1) < draw).sum(axis=1).clip(max=TARGETS - 1)
    agreed = agreement(get_metric("log_loss"), truth, expected, predictions)
    if kind.precision == "int8":  # the guard may refuse it, and does for random weights like these
        assert abs(agreed.score - agreed.reference) < 2 * agreed.standard_error
    else:
        assert agreed.acceptable


def test_int8_weights_take_half_of_their_range(load: Load) -> None:
    """Without VNNI pairs of products are added in 16 bits: 2 × 255 × 64 fits, × 127 does not."""
    engine = load(ENGINES["openvino-int8"], "finetune")
    import openvino

    run = engine.run
    (part,) = parts(run, names([0]))
    file = converted_file(engine.kind, part, run.folder.parent / "cache")
    constants = [
        operation.data
        for operation in openvino.Core().read_model(file).get_ops()
        if operation.get_type_name() == "Constant" and operation.data.dtype == np.int8
    ]
    assert len(constants) > 3
    assert max(np.abs(constant.astype(int)).max() for constant in constants) == 64


def test_a_backbone_with_several_classifiers(tmp_path: Path) -> None:
    model = ModelSection(name="x", backbone="repvit_m0_9", image_size=32)
    identity = {"model": as_plain(model), "targets": ["y"], "task": "regression", "folds": ""}
    start_run(tmp_path, identity, {})
    network = build_classifier(
        "repvit_m0_9", "none", 1, image_size=32, root=tmp_path, task="regression"
    )
    assert network.classifier is None
    network.rescale = Rescale(7, 1e5)  # random weights answer almost the same to all
    save_arrays(fold_file(tmp_path, 0), arrays(network))
    run = open_run(tmp_path)
    predictor = load_predictor(run.folder, model, 1, fold_files(run.folder), "regression")
    expected = predict_batch(predictor, IMAGES, choose_device("fp32"))
    engine = load_engine(REFERENCE, run, names([0]), tmp_path, batch=4)
    assert engine.predict(IMAGES) == pytest.approx(expected, abs=0.1)
    assert expected.std() > 1


@every_engine
@pytest.mark.parametrize("rows", [0, 1, 4, 5])
def test_any_number_of_rows(load: Load, kind: Kind, rows: int) -> None:
    engine = load(kind, "finetune")
    predictions = engine.predict(IMAGES[:rows])
    assert predictions.shape == (rows, TARGETS)
    # a row's answer does not depend on its company
    assert predictions == pytest.approx(engine.predict(IMAGES)[:rows], abs=1e-3)


@every_engine
def test_many_more_rows_than_requests_keep_their_order(load: Load, kind: Kind) -> None:
    engine = load(kind, "finetune")
    order = np.random.default_rng(1).integers(0, len(IMAGES), 150)
    expected = engine.predict(IMAGES)[order]
    assert engine.predict(IMAGES[order]) == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("name", ["torch-fp32", "onnxruntime-fp32", "openvino-fp32"])
@both_modes
def test_fold_models_kept(load: Load, name: str, mode: str) -> None:
    kind = ENGINES[name]
    both, first, second = (load(kind, mode, folds) for folds in [(0, 1), (0,), (1,)])
    alone = [first.predict(IMAGES), second.predict(IMAGES)]
    assert np.abs(alone[0] - alone[1]).max() > 0.1
    assert both.predict(IMAGES) == pytest.approx(np.mean(alone, axis=0), abs=1e-4)
    with pytest.raises(WorkspaceError, match=r"fold2\.safetensors: is missing"):
        load(kind, mode, (2,))


def test_conversions_are_kept_by_content(tmp_path: Path) -> None:
    # OpenVINO's are made from ONNX Runtime's, so that one comes first
    converted = ("onnxruntime-fp32", "openvino-fp32", "openvino-int8")
    here = [ENGINES[name] for name in converted if not why_missing(ENGINES[name], converting=True)]
    if not here:
        pytest.skip("no extra is installed")
    model = ModelSection(name="x", backbone="test_resnet", image_size=32)
    start_run(
        tmp_path / "run",
        {"model": as_plain(model), "targets": list("abcd"), "task": "multiclass", "folds": ""},
        {},
    )
    write_fold(tmp_path / "run", 0, seed=0)
    run, cache = open_run(tmp_path / "run"), tmp_path / "cache"

    def load(kind: Kind) -> Engine:
        return load_engine(kind, run, names([0]), cache, batch=4)

    def convert_again() -> list[np.ndarray]:
        assert [convert(kind, run, names([0]), cache, IMAGES) for kind in here] == [1] * len(here)
        assert [convert(kind, run, names([0]), cache, IMAGES) for kind in here] == [0] * len(here)
        return [load(kind).predict(IMAGES) for kind in here]

    def refuses(why: str) -> None:
        for kind in here:
            with pytest.raises(WorkspaceError, match=why):
                load(kind)

    refuses("missing or stale")
    before = convert_again()

    write_fold(run.folder, 0, seed=5)  # trained again
    refuses("missing or stale")
    after = convert_again()
    assert np.abs(np.subtract(after, before)).max(axis=(1, 2)).min() > 0.1

    for file in [*cache.glob("*/graph.bin"), *cache.glob("*/graph.onnx")]:  # a bad disk
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 255
        file.write_bytes(content)
    refuses("is damaged")
    assert np.allclose(convert_again(), after, atol=1e-4)

    for note in cache.glob("*/note.json"):
        if "openvino" in note.read_text(encoding="utf-8"):  # what is quick to make again
            note.write_text("{", encoding="utf-8")
    made = [convert(kind, run, names([0]), cache, IMAGES) for kind in here]
    assert made == [int(kind.runtime == "openvino") for kind in here]
    assert not list(cache.glob("**/*.tmp"))


def test_newer_converters_make_it_again_and_readers_need_none(
    load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = load(ENGINES["onnxruntime-fp32"], "finetune")
    kind, run, cache = engine.kind, engine.run, engine.run.folder.parent / "cache"
    module = importlib.import_module("harness.predict.engines.convert")

    def without(package: str) -> str:
        raise module.PackageNotFoundError(package)

    monkeypatch.setattr(module, "version", without)  # as on a machine that only predicts
    assert convert(kind, run, names([0]), cache, IMAGES) == 0
    load_engine(kind, run, names([0]), cache, batch=4)
    monkeypatch.setattr(module, "version", lambda package: "0.0.1")
    assert convert(kind, run, names([0]), cache, IMAGES) == 1
    assert convert(kind, run, names([0]), cache, IMAGES) == 0


def test_missing_extra_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(kinds.importlib.util, "find_spec", lambda name: None)
    assert why_missing(REFERENCE) is None
    why = why_missing(ENGINES["openvino-bf16"])
    assert why == "the package openvino is not installed (pip install '.[openvino]')"
    why = why_missing(ENGINES["onnxruntime-fp32"])
    assert why == "the package onnxruntime is not installed (pip install '.[onnx]')"
    assert {kind.runtime for kind in engines_here()} == {"torch"}
    run = write_run(tmp_path / "run", "probe")
    with pytest.raises(WorkspaceError, match="openvino is not installed"):
        convert(ENGINES["openvino-int8"], run, names([0]), tmp_path / "cache", IMAGES)


def test_packages_that_only_converting_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    kind = ENGINES["openvino-int8"]
    if why := why_missing(kind):
        pytest.skip(why)
    monkeypatch.setattr(kinds.importlib.util, "find_spec", lambda name: name == "openvino" or None)
    assert why_missing(kind) is None
    assert "onnx is not installed" in (why_missing(kind, converting=True) or "")


TORCHLESS = """
import json, sys
from pathlib import Path
from harness.predict import pixels, stream, views
from harness.predict.engines import ENGINES, load_engine, open_run
import numpy as np
run, cache = open_run(Path(sys.argv[2])), Path(sys.argv[3])
engine = load_engine(ENGINES[sys.argv[1]], run, ["fold0.safetensors"], cache, batch=4)
engine.predict(np.zeros((3, 32, 32, 3), np.uint8))
print(json.dumps("torch" in sys.modules))
"""


@pytest.mark.parametrize("name", ["onnxruntime-fp32", "openvino-fp32"])
def test_converted_networks_run_without_torch(load: Load, name: str) -> None:
    run = load(ENGINES[name], "finetune").run
    command = [sys.executable, "-c", TORCHLESS, name, str(run.folder), f"{run.folder.parent}/cache"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) is False


def test_no_runtime_reports_its_use() -> None:
    code = (
        "import os, sys; import harness.predict.engines.with_openvino; "
        "import harness.predict.engines.with_onnxruntime; "
        "import nncf; assert sys.modules['openvino_telemetry'] is None; "
        "assert os.environ['ORT_DISABLE_TELEMETRY'] == os.environ['NNCF_CI'] == '1'; "
        "import openvino.tools.ovc.telemetry_utils as utils; "
        "assert utils.tm.__name__.endswith('telemetry_stub'), utils.tm"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
