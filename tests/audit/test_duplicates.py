"""Copies: planted ones are found, strangers are not, and findings say where they stand."""

import os
from pathlib import Path

import numpy as np
import pytest
from audit.pictures import ALTERATIONS, scene
from PIL import Image

from harness.audit.align import agreement, align, brightened
from harness.audit.duplicates import Copies, components, copy_findings, find_copies
from harness.audit.look import Looks, look_at

STRANGERS = 30


@pytest.fixture(scope="module")
def looks(tmp_path_factory: pytest.TempPathFactory) -> Looks:
    """Strangers, an altered copy of each of the first four, an exact copy of one, and blanks."""
    folder = tmp_path_factory.mktemp("pictures")
    images = [scene(seed) for seed in range(STRANGERS)]
    images += [alter(scene(seed)) for seed, alter in enumerate(ALTERATIONS.values())]
    paths = [folder / f"{number:02d}.png" for number in range(len(images) + 3)]
    for path, image in zip(paths, images, strict=False):
        image.save(path)
    paths[-3].write_bytes(paths[5].read_bytes())
    for number, path in enumerate(paths[-2:]):
        scene(0).point(lambda value, level=100 + number: level).save(path)
    return look_at(paths, None)


@pytest.mark.parametrize(("row", "alteration"), list(enumerate(ALTERATIONS)))
def test_an_altered_copy_is_found(looks: Looks, row: int, alteration: str) -> None:
    assert [row, STRANGERS + row] in find_copies(looks).near.tolist()


def test_nothing_else_is(looks: Looks) -> None:
    copies = find_copies(looks)
    assert len(copies.near) == len(ALTERATIONS)
    assert copies.exact.tolist() == [[5, STRANGERS + len(ALTERATIONS)]]
    assert ((copies.agreement > 0.8) & (copies.agreement <= 1.001)).all()


def test_alignment_tells_the_crop(looks: Looks) -> None:
    place = list(ALTERATIONS).index("crop")
    one, two = (looks.grey[[row]].astype(np.float32) for row in (STRANGERS + place, place))
    (stretch_y, shift_y, stretch_x, shift_x) = align(one, two)[0]
    # the left upper 95 % of −1 to 1 is −1 to 0.9: 0.95 y − 0.05
    assert np.allclose([stretch_y, stretch_x], -0.05, atol=0.01)
    assert np.allclose([shift_y, shift_x], -0.05, atol=0.01)


def test_agreement_takes_no_side(looks: Looks) -> None:
    pairs = np.array([[0, STRANGERS], [2, STRANGERS + 2]])
    there, back = agreement(looks.grey, pairs), agreement(looks.grey, pairs[:, ::-1])
    assert np.allclose(there, back, atol=0.02)
    assert agreement(looks.grey, np.empty((0, 2), np.int64)).shape == (0,)


def test_whites_that_were_cut_off_are_followed(looks: Looks) -> None:
    images = looks.grey[:2].astype(np.float32)
    brighter = np.minimum(1.4 * images + 10, 255)
    assert (brighter == 255).mean() > 0.05
    assert np.allclose(brightened(images, brighter, np.ones_like(images)), brighter, atol=1)


def test_nothing_is_learnt_from_all_white(looks: Looks) -> None:
    images = looks.grey[:1].astype(np.float32)
    white = np.full_like(images, 255)
    assert (brightened(images, white, np.ones_like(images)) == images).all()


def test_components_connect_through_others() -> None:
    codes = components(5, np.array([[0, 1], [1, 3]]))
    assert codes[0] == codes[1] == codes[3]
    assert len({codes[0], codes[2], codes[4]}) == 3


def test_findings_of_training_and_test_rows() -> None:
    # rows 0 to 3 are training images, 4 and 5 test images
    copies = Copies(
        np.array([[0, 1], [4, 5]]), np.array([[1, 2], [2, 4]]), np.array([0.9, 0.95], np.float32)
    )
    found = copy_findings(copies, list("abcdxy"), ["ant", "ant", "bee", "ant"], trained=4)
    told = {(f.id, f.kind, f.partner) for f in found}
    assert told == {
        ("b", "exact_duplicate", "a"),
        ("c", "near_duplicate", "b"),
        ("c", "conflicting_label", "b"),
        ("a", "leak_train_test", "x"),  # through b and c
        ("b", "leak_train_test", "x"),
        ("c", "leak_train_test", "x"),
    }
    assert all(f.part == "train" and 0 < f.severity <= 1 for f in found)


def test_no_copies_are_no_findings() -> None:
    none = Copies(np.empty((0, 2), np.int64), np.empty((0, 2), np.int64), np.empty(0, np.float32))
    assert copy_findings(none, ["a", "b"], ["x"], trained=1) == []


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_file_that_is_gone_is_unreadable(tmp_path: Path) -> None:
    scene(1).save(tmp_path / "there.png")
    (tmp_path / "broken.png").write_bytes((tmp_path / "there.png").read_bytes()[:500])
    os.mkfifo(tmp_path / "pipe.png")
    paths = [tmp_path / f"{name}.png" for name in ("there", "gone", "broken", "pipe")]
    assert look_at(paths, None).readable.tolist() == [True, False, False, False]


def test_the_same_shape_in_another_colour_is_no_copy(tmp_path: Path) -> None:
    def red(seed: int) -> Image.Image:
        bright = scene(seed).convert("L")
        dark = bright.point(lambda value: value * 0.4)
        return Image.merge("RGB", [bright, dark, dark])

    images = [scene(seed) for seed in range(3, 3 + STRANGERS)]
    images += [red(0), red(0).point(lambda value: value * 0.7)]
    images += [red(1), red(1).convert("L").convert("RGB")]
    images += [red(2), Image.merge("RGB", red(2).split()[::-1])]  # blue
    paths = [tmp_path / f"{number:02d}.png" for number in range(len(images))]
    for path, image in zip(paths, images, strict=True):
        image.save(path)
    looks = look_at(paths, None)
    pairs = STRANGERS + np.arange(6).reshape(3, 2)
    assert (agreement(looks.grey, pairs) > 0.9).all()
    assert find_copies(looks).near.tolist() == pairs[:2].tolist()
