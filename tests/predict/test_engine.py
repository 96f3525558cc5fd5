"""A run's fold models as one predictor."""

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import softmax

from harness.backbone import build_classifier, build_features
from harness.errors import WorkspaceError
from harness.model import ModelSection
from harness.predict.engine import (
    Device,
    choose_device,
    cpu_has_bf16,
    load_predictor,
    predict_batch,
)
from harness.workspace.runs import fold_file, fold_files, save_arrays

CPU = Device(torch.device("cpu"), "fp32")
IMAGES = np.random.default_rng(0).integers(0, 255, (5, 32, 32, 3), dtype=np.uint8)


def section(mode: str) -> ModelSection:
    values = {"name": "x", "backbone": "test_resnet", "mode": mode, "image_size": 32}
    return ModelSection.model_validate(values)


def arrays(module: torch.nn.Module) -> dict[str, np.ndarray]:
    return {name: tensor.numpy() for name, tensor in module.state_dict().items()}


def test_fold_models_are_averaged_as_probabilities(tmp_path: Path) -> None:
    expected = []
    for number in range(3):
        torch.manual_seed(number)
        network = build_classifier("test_resnet", "none", 4, image_size=32, root=tmp_path).eval()
        save_arrays(fold_file(tmp_path, number), arrays(network))
        expected.append(softmax(predict_batch(network, IMAGES, CPU), axis=1))
    predictor = load_predictor(tmp_path, section("finetune"), 4, fold_files(tmp_path))
    assert predict_batch(predictor, IMAGES, CPU) == pytest.approx(np.mean(expected, 0), abs=1e-5)


def test_weights_of_another_network_are_named(tmp_path: Path) -> None:
    save_arrays(fold_file(tmp_path, 0), {"weight": np.zeros((4, 2), np.float32)})
    with pytest.raises(WorkspaceError, match=r"fold0\.safetensors: holds .* another network"):
        load_predictor(tmp_path, section("finetune"), 4, fold_files(tmp_path))


def test_heads_share_one_frozen_backbone(tmp_path: Path) -> None:
    torch.manual_seed(0)
    backbone = build_features("test_resnet", "none", image_size=32, root=tmp_path)
    save_arrays(tmp_path / "backbone.safetensors", arrays(backbone))
    features = predict_batch(backbone, IMAGES, CPU)
    random, expected = np.random.default_rng(1), []
    for number in range(2):
        weight = random.normal(size=(4, features.shape[1])).astype(np.float32)
        bias = random.normal(size=4).astype(np.float32)
        save_arrays(fold_file(tmp_path, number), {"weight": weight, "bias": bias})
        expected.append(softmax(features @ weight.T + bias, axis=1))
    predictor = load_predictor(tmp_path, section("probe"), 4, fold_files(tmp_path))
    assert predict_batch(predictor, IMAGES, CPU) == pytest.approx(np.mean(expected, 0), abs=1e-4)


def test_precision_is_as_said() -> None:
    assert choose_device("fp32").precision == "fp32"
    assert choose_device("bf16").precision == "bf16"
    assert choose_device("fp16").precision == "fp16"
    if not torch.cuda.is_available():
        assert choose_device("auto").precision == ("bf16" if cpu_has_bf16() else "fp32")
