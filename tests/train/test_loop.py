"""The training loop: it learns, it repeats itself, it takes any backbone."""

from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import CLASSES, picture

from harness.backbone import build_classifier
from harness.competition import ModelSection
from harness.data.images import Pixels
from harness.predict.engine import Device, predict_batch
from harness.train.loop import Progress, _batches, _warmup_cosine, train_fold

CPU = Device(torch.device("cpu"), "fp32")


def images(count: int, size: int) -> tuple[Pixels, np.ndarray]:
    target = np.arange(count) % 3
    pictures = [picture(CLASSES[label], i).resize((size, size)) for i, label in enumerate(target)]
    return np.stack([np.asarray(p) for p in pictures]), target


def section(**values: object) -> ModelSection:
    base = {
        "name": "x",
        "backbone": "test_resnet",
        "weights": "none",
        "image_size": 32,
        "augment": (),
    }
    return ModelSection.model_validate(base | values)


def trained(model: ModelSection, pixels: Pixels, target: np.ndarray, seed: int = 1):  # type: ignore[no-untyped-def]
    torch.manual_seed(seed)
    network = build_classifier(model.backbone, "none", 3, image_size=model.image_size, root=Path())
    reports: list[Progress] = []
    rows = np.arange(len(target))
    train_fold(network, pixels, target, rows, model, CPU, seed, reports.append)
    return network, reports


def test_it_learns_what_can_be_learnt() -> None:
    pixels, target = images(48, 32)
    network, reports = trained(section(epochs=12, batch_size=8, lr=3e-3), pixels, target)
    fresh, _ = images(96, 32)
    decided = predict_batch(network, fresh[48:], CPU).argmax(axis=1)
    assert (decided == np.arange(48, 96) % 3).mean() > 0.9
    done = [report for report in reports if report.epoch_done]
    assert [report.epoch for report in done] == list(range(1, 13))
    assert done[-1].loss < done[0].loss / 2


def test_the_same_seed_gives_the_same_weights_and_another_seed_others() -> None:
    pixels, target = images(24, 32)
    model = section(epochs=2, batch_size=8, augment=("hflip", "vflip", "rot90", "crop", "colour"))
    first, again = (trained(model, pixels, target, seed=5)[0].state_dict() for _ in range(2))
    other = trained(model, pixels, target, seed=6)[0].state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_bf16_trains() -> None:
    pixels, target = images(24, 32)
    model = section(epochs=2, batch_size=8)
    torch.manual_seed(0)
    network = build_classifier("test_resnet", "none", 3, image_size=32, root=Path())
    device = Device(torch.device("cpu"), "bf16")
    losses: list[float] = []
    train_fold(
        network, pixels, target, np.arange(24), model, device, 0, lambda p: losses.append(p.loss)
    )
    assert np.isfinite(losses).all()


def test_the_learning_rate_warms_up_and_falls_to_nothing() -> None:
    factors = [_warmup_cosine(step, 10, 100) for step in range(100)]
    assert factors[0] == pytest.approx(0.1)
    assert max(factors) == pytest.approx(1.0)
    assert factors[9:] == sorted(factors[9:], reverse=True)
    assert factors[-1] < 0.001


def test_no_batch_is_left_with_a_single_row() -> None:
    sizes = [len(batch) for batch in _batches(np.arange(33), 5)]
    assert sum(sizes) == 33
    assert max(sizes) - min(sizes) <= 1


FAMILIES = [
    ("resnet18", 64),
    ("densenet121", 64),
    ("inception_v3", 96),
    ("tf_efficientnet_lite0", 64),
    ("mobilenetv3_small_100", 64),
    ("convnext_atto", 64),
    ("vit_tiny_patch16_224", 64),
]


@pytest.mark.slow
@pytest.mark.parametrize(("backbone", "size"), FAMILIES)
def test_every_family_takes_a_training_step(backbone: str, size: int) -> None:
    pixels, target = images(6, size)
    model = section(backbone=backbone, image_size=size, epochs=1, batch_size=6, drop_path=0.1)
    network, reports = trained(model, pixels, target)
    assert np.isfinite(reports[-1].loss)
    assert predict_batch(network, pixels, CPU).shape == (6, 3)
