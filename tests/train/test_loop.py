"""The training loop: it learns, it repeats itself, it goes on, it takes any backbone."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import CLASSES, picture

from harness.backbone import Network, build_classifier
from harness.data.images import Pixels
from harness.model import ModelSection
from harness.predict.engine import Device, predict_batch
from harness.train.examples import Examples
from harness.train.loop import (
    Fold,
    NotFinite,
    Progress,
    State,
    Stopped,
    Surroundings,
    _optimizer,
    train_fold,
)
from harness.train.loss import target_matrix
from harness.train.speed import Speed

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


def build(model: ModelSection, seed: int = 1, task: str = "multiclass") -> Network:
    torch.manual_seed(seed)
    targets = 1 if task == "regression" else 3
    return build_classifier(
        model.backbone,
        "none",
        targets,
        image_size=model.image_size,
        root=Path(),
        drop_path=model.drop_path,
        channels=model.channels,
        task=task,
    )


def fold_of(
    model: ModelSection,
    pixels: Pixels,
    target: np.ndarray,
    seed: int = 1,
    task: str = "multiclass",
    inner: int = 0,
) -> Fold:
    rows = np.arange(len(target))
    weights = np.ones(len(target), np.float32)
    examples = Examples((pixels,), target_matrix(target, 3), weights, rows[inner:], rows[:inner])
    return Fold(model, task, examples, model.transforms(()), seed, "key")


class World:
    """Surroundings that note what they are told, and stop after ``steps`` steps if asked to."""

    def __init__(self, folder: Path, steps: int | None = None, speed: Speed | None = None) -> None:
        self.reports: list[Progress] = []
        self.snapshots: dict[int, State] = {}
        self.said: list[str] = []
        self.left = steps
        self.around = Surroundings(
            device=torch.device("cpu"),
            speed=speed or Speed(),
            checkpoint=folder / "fold0.checkpoint.safetensors",
            stopping=self.stopping,
            report=self.reports.append,
            snapshot=self.keep,
            say=self.said.append,
        )

    def stopping(self) -> bool:
        if self.left is None:
            return False
        self.left -= 1
        return self.left <= 0

    def keep(self, cycle: int, state: State) -> None:
        self.snapshots[cycle] = {name: tensor.clone() for name, tensor in state.items()}


def trained(fold: Fold, folder: Path, **options: object) -> tuple[Network, World]:
    world = World(folder, **options)  # type: ignore[arg-type]
    network = build(fold.model, fold.seed, fold.task)
    train_fold(network, fold, world.around)
    return network, world


def interrupted(fold: Fold, folder: Path, steps: int) -> Network:
    """Trained in pieces of so many steps, each by a network that begins as a new one."""
    for _ in range(1000):
        network = build(fold.model, fold.seed, fold.task)
        try:
            train_fold(network, fold, World(folder, steps).around)
        except Stopped:
            continue
        return network
    raise AssertionError("it never ends")


def same(one: Network, other: Network) -> bool:
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def test_it_learns_what_can_be_learnt(tmp_path: Path) -> None:
    pixels, target = images(48, 32)
    model = section(epochs=12, batch_size=8, lr=3e-3)
    network, world = trained(fold_of(model, pixels, target), tmp_path)
    fresh, _ = images(96, 32)
    decided = predict_batch(network, fresh[48:], CPU).argmax(axis=1)
    assert (decided == np.arange(48, 96) % 3).mean() > 0.9
    done = [report for report in world.reports if report.epoch_done]
    assert [report.epoch for report in done] == list(range(1, 13))
    assert done[-1].loss < done[0].loss / 2


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(tmp_path: Path) -> None:
    pixels, target = images(24, 32)
    model = section(epochs=2, batch_size=8, augment="heavy", mixup=0.2, cutmix=1.0)
    first, _ = trained(fold_of(model, pixels, target, seed=5), tmp_path / "a")
    again, _ = trained(fold_of(model, pixels, target, seed=5), tmp_path / "b")
    other, _ = trained(fold_of(model, pixels, target, seed=6), tmp_path / "c")
    assert same(first, again)
    assert not same(first, other)


RECIPES: dict[str, dict[str, object]] = {
    "plain": {},
    "heavy": {"augment": "heavy", "mixup": 0.4, "cutmix": 1.0, "drop_path": 0.1},
    "ema": {"average": "ema", "average_decay": 0.9},
    "swa": {"average": "swa"},
    "snapshots": {"snapshots": 2},
    "patience": {"patience": 1},
    "head first": {"head_epochs": 1.5, "layer_decay": 0.7},
    "frozen": {"frozen": 0.5},
    "balanced": {"balance": "sampling", "progressive": 0.5, "image_size": 64},
    "weighted": {"balance": "weights", "label_smoothing": 0.1, "channels": 1},
}


@pytest.mark.parametrize("name", RECIPES)
def test_whatever_the_recipe_an_interrupted_fold_ends_bit_for_bit_as_one_that_was_not(
    name: str, tmp_path: Path
) -> None:
    model = section(**({"epochs": 4, "batch_size": 8} | RECIPES[name]))
    pixels, target = images(27, model.image_size)
    fold = fold_of(model, pixels, target, inner=6 if model.patience else 0)
    whole, world = trained(fold, tmp_path / "whole")
    assert same(whole, interrupted(fold, tmp_path / "pieces", 3))
    assert np.isfinite([report.loss for report in world.reports]).all()
    if model.patience:
        assert len(world.reports) <= 12


def test_a_checkpoint_of_something_else_is_not_continued(tmp_path: Path) -> None:
    pixels, target = images(24, 32)
    fold = fold_of(section(epochs=2, batch_size=8), pixels, target)
    with pytest.raises(Stopped):
        trained(fold, tmp_path, steps=2)
    _, world = trained(replace(fold, key="another"), tmp_path)
    assert len(world.reports) == 6
    assert "is the checkpoint of another training: the training starts again" in world.said[0]


def test_a_damaged_checkpoint_means_a_new_start_which_is_said(tmp_path: Path) -> None:
    pixels, target = images(24, 32)
    fold = fold_of(section(epochs=2, batch_size=8), pixels, target)
    with pytest.raises(Stopped):
        trained(fold, tmp_path, steps=2)
    file = tmp_path / "fold0.checkpoint.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    whole, undamaged = trained(fold, tmp_path / "other")
    again, world = trained(fold, tmp_path)
    assert len(world.reports) == 6
    assert same(whole, again)
    assert not undamaged.said
    (said,) = world.said
    assert said.startswith(f"{file} is damaged (")
    assert said.endswith("): the training starts again from the beginning")


def test_killed_after_its_last_step_a_patient_training_takes_no_other(tmp_path: Path) -> None:
    pixels, target = images(27, 32)
    fold = fold_of(section(epochs=30, batch_size=8, patience=1), pixels, target, inner=6)
    whole, world = trained(fold, tmp_path)
    again, more = trained(fold, tmp_path)  # its checkpoint is still there
    assert 0 < len(world.reports) < 90
    assert not more.reports
    assert same(whole, again)


def test_a_training_may_end_after_an_epoch_of_its_schedule(tmp_path: Path) -> None:
    pixels, target = images(24, 32)
    fold = replace(fold_of(section(epochs=5, batch_size=8), pixels, target), last_epoch=2)
    whole, world = trained(fold, tmp_path / "whole")
    assert [report.epoch for report in world.reports if report.epoch_done] == [1, 2]
    assert same(whole, interrupted(fold, tmp_path / "pieces", 2))


def test_a_last_batch_of_one_is_never_formed(tmp_path: Path) -> None:
    """17 rows, and at 32 pixels a map of one place: BatchNorm would have a single value."""
    pixels, target = images(17, 32)
    for size in (2, 8, 16):
        model = section(epochs=1, batch_size=size, mixup=0.4)
        _, world = trained(fold_of(model, pixels, target), tmp_path / str(size))
        assert world.reports[-1].images == 17


@pytest.mark.parametrize("layer_decay", [1.0, 0.7])
def test_what_the_network_says_itself_does_not_decay(layer_decay: float) -> None:
    network = build(section(backbone="test_vit", image_size=160))
    model = section(weight_decay=0.1, layer_decay=layer_decay)
    groups = _optimizer(network, model, torch.device("cpu")).param_groups
    decay = {id(p): group["weight_decay"] for group in groups for p in group["params"]}
    backbone = network.backbone
    assert {decay[id(p)] for p in (backbone.pos_embed, backbone.cls_token)} == {0.0}
    assert decay[id(backbone.head.weight)] == 0.1


def test_snapshots_are_the_weights_at_the_ends_of_the_cycles(tmp_path: Path) -> None:
    pixels, target = images(24, 32)
    fold = fold_of(section(epochs=5, batch_size=8, snapshots=3), pixels, target)
    network, world = trained(fold, tmp_path)
    assert sorted(world.snapshots) == [1, 2]
    first, second = world.snapshots[1], world.snapshots[2]
    assert not torch.equal(first["backbone.conv1.0.weight"], second["backbone.conv1.0.weight"]) or (
        any(not torch.equal(first[name], second[name]) for name in first)
    )
    assert any(not torch.equal(second[n], t) for n, t in network.state_dict().items())


@pytest.mark.parametrize("average", ["none", "ema", "swa"])
def test_halfway_there_are_the_weights_that_would_be_kept(average: str, tmp_path: Path) -> None:
    """Those of half as many epochs at a rate that stays; what SWA averages comes later."""
    pixels, target = images(24, 32)
    settings = {"batch_size": 8, "head_epochs": 0.0, "average": average}
    seen: list[State] = []
    fold = fold_of(section(epochs=5, **settings), pixels, target)
    world = World(tmp_path)

    def keep(state: State) -> None:
        assert world.around.checkpoint.exists()
        seen.append({name: tensor.clone() for name, tensor in state.items()})

    network = build(fold.model, fold.seed)
    began = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    train_fold(network, fold, replace(world.around, halfway=keep))
    (state,) = seen
    assert [r.epoch for r in world.reports if r.epoch_done] == [1, 2, 3, 4, 5]
    for others in (began, network.state_dict()):
        assert not torch.equal(state["backbone.fc.weight"], others["backbone.fc.weight"])


def test_one_epoch_has_no_half(tmp_path: Path) -> None:
    pixels, target = images(24, 32)
    fold = fold_of(section(epochs=1, batch_size=8), pixels, target)
    seen: list[State] = []
    train_fold(build(fold.model), fold, replace(World(tmp_path).around, halfway=seen.append))
    assert not seen


def test_frozen_layers_stay_and_so_do_their_statistics(tmp_path: Path) -> None:
    pixels, target = images(24, 32)
    model = section(epochs=1, batch_size=8, frozen=1.0)
    before = build(model).state_dict()
    network, _ = trained(fold_of(model, pixels, target), tmp_path)
    moved = {name for name, t in network.state_dict().items() if not torch.equal(t, before[name])}
    assert moved == {"backbone.fc.weight", "backbone.fc.bias"}


def test_accumulated_gradients_are_those_of_the_whole_batch(tmp_path: Path) -> None:
    pixels, target = images(16, 32)
    model = section(epochs=1, batch_size=16, frozen=1.0)  # BatchNorm would see other batches
    fold = fold_of(model, pixels, target)
    whole, _ = trained(fold, tmp_path / "a")
    pieces, _ = trained(fold, tmp_path / "b", speed=Speed(pieces=4))
    weight = "backbone.fc.weight"
    assert whole.state_dict()[weight] == pytest.approx(pieces.state_dict()[weight], abs=1e-4)


def test_rows_that_count_little_teach_little(tmp_path: Path) -> None:
    """The same pictures stand there twice, once with wrong labels; the weights tell which."""
    pixels, target = images(24, 32)
    both, labels = np.concatenate([pixels, pixels]), np.concatenate([target, (target + 1) % 3])
    fold = fold_of(section(epochs=12, batch_size=8, lr=3e-3), both, labels)
    weights = np.repeat(np.array([1.0, 0.01], np.float32), 24)
    network, _ = trained(replace(fold, examples=replace(fold.examples, weights=weights)), tmp_path)
    decided = predict_batch(network, pixels, CPU).argmax(axis=1)
    assert (decided == target).mean() > 0.8


def test_bf16_trains(tmp_path: Path) -> None:
    pixels, target = images(24, 32)
    fold = fold_of(section(epochs=2, batch_size=8), pixels, target)
    _, world = trained(fold, tmp_path, speed=Speed("bf16"))
    assert np.isfinite([report.loss for report in world.reports]).all()


def test_a_loss_that_is_no_number_stops_before_the_checkpoint_is_spoilt(tmp_path: Path) -> None:
    pixels, target = images(24, 32)
    fold = fold_of(section(epochs=50, batch_size=8, lr=1e12, clip=1e12), pixels, target)
    with pytest.raises(NotFinite):
        trained(fold, tmp_path)


def test_values_are_regressed_in_their_own_units(tmp_path: Path) -> None:
    pixels, classes = images(48, 32)
    target = 1000.0 + 300.0 * classes
    model = section(epochs=12, batch_size=8, lr=3e-3)
    fold = replace(fold_of(model, pixels, target, task="regression"), spread=float(target.std()))
    network = build(model, task="regression")
    network.rescale.mean.fill_(target.mean())
    network.rescale.spread.fill_(fold.spread)
    train_fold(network, fold, World(tmp_path).around)
    error = predict_batch(network, pixels, CPU)[:, 0] - target
    assert np.sqrt(np.mean(error**2)) < 0.3 * target.std()


def test_a_rare_class_is_found_where_classes_are_balanced(tmp_path: Path) -> None:
    pixels, target = images(60, 32)
    keep = np.flatnonzero((target != 2) | (np.arange(60) < 6))
    recalls: dict[str, float] = {}
    balances: list[str] = ["none", "sampling", "weights"]
    for balance in balances:
        model = section(epochs=5, batch_size=8, lr=1e-3, balance=balance)
        network, _ = trained(fold_of(model, pixels[keep], target[keep]), tmp_path / balance)
        said = predict_batch(network, pixels, CPU)
        shares = np.exp(said - said.max(axis=1, keepdims=True))
        recalls[balance] = float(
            (shares / shares.sum(axis=1, keepdims=True))[target == 2, 2].mean()
        )
    assert recalls["sampling"] > recalls["none"]
    assert recalls["weights"] > recalls["none"]


FAMILIES = [
    ("resnet18", 64, 0.1),
    ("densenet121", 64, 0.0),
    ("inception_v3", 96, 0.0),
    ("tf_efficientnet_lite0", 64, 0.1),
    ("mobilenetv3_small_100", 64, 0.1),
    ("convnext_atto", 64, 0.1),
    ("vit_tiny_patch16_224", 64, 0.1),
]


@pytest.mark.slow
@pytest.mark.parametrize(("backbone", "size", "drop"), FAMILIES)
def test_every_family_takes_a_training_step(
    backbone: str, size: int, drop: float, tmp_path: Path
) -> None:
    pixels, target = images(6, size)
    model = section(backbone=backbone, image_size=size, epochs=1, batch_size=6, drop_path=drop)
    network, world = trained(fold_of(model, pixels, target), tmp_path)
    assert np.isfinite(world.reports[-1].loss)
    assert predict_batch(network, pixels, CPU).shape == (6, 3)
