"""Augmentations: exact where they can be, drawn for each image."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.train.augment import _ORDER, make_augment


def batch(rows: int = 64, size: int = 8) -> torch.Tensor:
    return (
        torch.arange(rows * size * size * 3, dtype=torch.int64)
        .reshape(rows, size, size, 3)
        .remainder(251)
        .to(torch.uint8)
    )


@settings(max_examples=20)
@given(names=st.sets(st.sampled_from(["hflip", "vflip", "rot90"])), seed=st.integers(0, 999))
def test_flips_and_turns_move_pixels_and_change_none(names: set[str], seed: int) -> None:
    torch.manual_seed(seed)
    images = batch()
    changed = make_augment(sorted(names))(images)  # type: ignore[arg-type]
    assert changed.shape == images.shape
    assert changed.dtype == torch.uint8
    flat, before = changed.flatten(1).sort().values, images.flatten(1).sort().values
    assert torch.equal(flat, before)


def test_every_image_draws_its_own() -> None:
    torch.manual_seed(0)
    images = batch(1).expand(64, -1, -1, -1)
    changed = make_augment(["rot90"])(images)
    assert len({bytes(image.numpy().tobytes()) for image in changed}) == 4


def test_no_augmentation_is_no_change() -> None:
    images = batch()
    assert torch.equal(make_augment([])(images), images)


def test_crops_and_turns_keep_a_flat_picture_flat() -> None:
    torch.manual_seed(0)
    flat = torch.full((8, 16, 16, 3), 77, dtype=torch.uint8)
    assert (make_augment(["crop", "rotate"])(flat) - 77).abs().max() < 1e-3


def test_a_crop_shows_a_part_of_the_picture() -> None:
    """Of a ramp it shows a shorter ramp, somewhere between the ends."""
    torch.manual_seed(0)
    ramp = torch.arange(64).float()[None, None, :, None].expand(32, 64, 64, 3).to(torch.uint8)
    cropped = make_augment(["crop"])(ramp)[:, 32, :, 0]
    spans = cropped[:, -1] - cropped[:, 0]
    assert spans.min() > 63 * 0.6**0.5 * 0.8
    assert spans.max() <= 64
    assert cropped[:, 0].std() > 1


def test_every_augmentation_keeps_the_shape() -> None:
    torch.manual_seed(0)
    for name in (*_ORDER, "crop", "rotate"):
        assert make_augment([name])(batch()).shape == (64, 8, 8, 3)
