"""Odd pictures are told from usual ones."""

from pathlib import Path

import numpy as np
import pytest
from audit.pictures import scene
from PIL import Image, ImageFilter

from harness.audit.look import look_at
from harness.audit.quality import quality_findings, unusual

ODD = {
    "blank": lambda image: image.point(lambda value: 120),
    "dark": lambda image: image.point(lambda value: value // 12),
    "bright": lambda image: image.point(lambda value: 236 + value // 14),
    "blurred": lambda image: image.filter(ImageFilter.GaussianBlur(6)),
    "odd_size": lambda image: image.resize((480, 480), Image.Resampling.NEAREST),
    "odd_shape": lambda image: image.resize((240, 60), Image.Resampling.NEAREST),
}


@pytest.mark.parametrize("kind", ODD)
def test_an_odd_picture_is_found_and_no_usual_one(tmp_path: Path, kind: str) -> None:
    images = [scene(seed) for seed in range(20)]
    images[7] = ODD[kind](images[7])
    paths = [tmp_path / f"{number}.png" for number in range(20)]
    for path, image in zip(paths, images, strict=True):
        image.save(path)
    ids = [path.stem for path in paths]
    parts = ["train"] * 5 + ["test"] * 15
    found = quality_findings(look_at(paths, None), ids, parts)  # type: ignore[arg-type]
    assert ("7", kind, "test") in {(f.id, f.kind, f.part) for f in found}
    assert {f.id for f in found} == {"7"}
    assert all(0 <= f.severity <= 1 for f in found)


def test_unreadable_pictures_are_found_and_count_for_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"no picture")
    found = quality_findings(look_at([tmp_path / "a.png"], None), ["a"], ["train"])
    assert [(f.id, f.kind, f.severity) for f in found] == [("a", "unreadable", 1.0)]


def test_equal_values_are_usual() -> None:
    among = np.ones(5, np.bool_)
    assert (unusual(np.full(5, 3.0), among) == 0).all()
    assert unusual(np.array([0, 0, 0, 0, 8.0]), among)[4] > 1
    assert (unusual(np.array([1.0, 2.0]), np.zeros(2, np.bool_)) == 0).all()
