"""The poses: the same from the same seed, other from another, in shirts as asked."""

import csv
import subprocess
import sys
from pathlib import Path

import figure
import generate
import numpy as np
import pytest

FOLDER = Path(generate.__file__).parent


def pixels(label: str, seed: int, number: int, *, tied: bool = False) -> np.ndarray:
    return np.asarray(generate.picture(label, seed, number, generate.Settings(), tied=tied))


@pytest.mark.parametrize("label", generate.CLASSES)
def test_a_picture_is_its_class_seed_and_number(label: str) -> None:
    first = pixels(label, 1, 0)
    assert first.shape == (generate.SIZE, generate.SIZE, 3)
    assert (first == pixels(label, 1, 0)).all()
    for other in (pixels(label, 2, 0), pixels(label, 1, 1)):
        assert np.abs(first.astype(int) - other).mean() > 3


def test_there_are_eleven_poses_that_differ() -> None:
    assert len(figure.POSES) == 11
    limbs = np.array([pose.limbs for pose in figure.POSES.values()], float)
    limbs /= np.linalg.norm(limbs, axis=2, keepdims=True)
    for one in range(11):
        for two in range(one):
            assert np.linalg.norm(limbs[one] - limbs[two]) > 0.5


def test_variation_keeps_the_body_whole() -> None:
    random = np.random.default_rng(0)
    for pose in figure.POSES.values():
        varied = figure.vary(pose, random, 9)
        assert np.array(varied.limbs).shape == np.array(pose.limbs).shape
        assert abs(varied.turn) == abs(pose.turn)


def test_the_command_writes_a_competition(tmp_path: Path) -> None:
    command = [sys.executable, str(FOLDER / "generate.py"), str(tmp_path), "--each", "2"]
    subprocess.run([*command, "--hidden", "1", "--tied"], check=True)
    rows = {
        name: list(csv.DictReader((tmp_path / f"{name}.csv").read_text().splitlines()))
        for name in ("train", "test", "solution", "sample_submission")
    }
    assert len(rows["train"]) == 22
    assert [row["id"] for row in rows["test"]] == [row["id"] for row in rows["solution"]]
    ids = {row["id"] for row in [*rows["train"], *rows["test"]]}
    assert ids == {path.stem for path in (tmp_path / "images").iterdir()}
    labels = [row["label"] for row in rows["train"]]
    assert labels != sorted(labels)  # the names tell nothing
