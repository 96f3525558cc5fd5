"""What init says of folders that hold no picture file, and that the guide's way out of it works."""

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from tiny import write_table

from harness.competition import load_competition
from harness.data.images import find_images, inspect
from harness.data.sample import read_test_ids
from harness.data.table import read_table
from harness.errors import DataError
from harness.init.look import look
from harness.init.write import init_from


def refusal(folder: Path) -> str:
    with pytest.raises(DataError) as caught:
        look(folder)
    return str(caught.value)


def test_formats_that_are_not_read_are_named(tmp_path: Path) -> None:
    for name in ("a.dcm", "b.DCM"):
        (tmp_path / name).write_bytes(bytes(128) + b"DICM")
    said = refusal(tmp_path)
    assert "holds no images (a.dcm, b.DCM: DICOM, which is not read); convert them to PNG" in said
    with pytest.raises(DataError, match=r"cannot be decoded \(DICOM is not read\); convert them"):
        inspect(tmp_path / "a.dcm")
    (tmp_path / "c.png").touch()
    assert any(note.startswith("a.dcm, b.DCM: DICOM") for note in look(tmp_path).notes)


def test_archives_come_with_the_command_that_unpacks_them(tmp_path: Path) -> None:
    comp = tmp_path / "my comp"
    comp.mkdir()
    for part in ("train", "test", "test.1"):
        with zipfile.ZipFile(comp / f"{part}.zip", "w") as archive:
            archive.writestr(f"{part}/1.jpg", b"")
    said = refusal(comp)
    archives = "test.1.zip, test.zip, train.zip"
    assert f"holds no images ({archives}: not unpacked); unpack each, such as by" in said
    (command,) = re.findall("`python (.*) FILE DIR`", said)
    packed = [str(comp / "train.zip"), str(comp / "train")]
    subprocess.run([sys.executable, *command.split(), *packed], check=True)
    seen = look(comp)
    assert seen.images == ("train/train/1.jpg",)
    # train.zip has its folder beside it
    assert any(note.startswith("test.1.zip, test.zip: not unpacked") for note in seen.notes)


def test_the_guide_makes_pictures_of_a_table_of_pixels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = np.random.default_rng(0)
    pixels = [f"pixel{i}" for i in range(784)]
    rows = random.integers(0, 255, (12, 784)).tolist()
    write_table(
        tmp_path / "train.csv", ["label", *pixels], [[n % 3, *r] for n, r in enumerate(rows)]
    )
    write_table(tmp_path / "test.csv", pixels, rows[:5])
    asked = [[n + 1, 0] for n in range(5)]
    write_table(tmp_path / "sample_submission.csv", ["ImageId", "Label"], asked)
    said = refusal(tmp_path)
    assert "holds no images (test.csv, train.csv: 784 columns of pixels); convert them" in said
    guide = (Path(__file__).parents[2] / "docs/guide.md").read_text(encoding="utf-8")
    assert re.findall("'(.*)'", said)[-1] in guide  # the section that it names
    (script,) = re.findall("```python\n(import shutil.*?)```", guide, re.S)
    monkeypatch.chdir(tmp_path)
    exec(script, {})
    path, _ = init_from(tmp_path / "w", tmp_path / "pictures")
    competition = load_competition(path)
    table = read_table(competition, tmp_path / "w")
    assert np.bincount(table.target).tolist() == [4, 4, 4]
    ids = read_test_ids(competition, tmp_path / "w")
    assert list(ids) == ["1", "2", "3", "4", "5"]
    for found in (
        *find_images(competition, tmp_path / "w", table.ids),
        *find_images(competition, tmp_path / "w", ids, test=True),
    ):
        assert inspect(found).width == 28
