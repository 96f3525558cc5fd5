"""The cache of decoded images: believed while undamaged, safe to build by two at once."""

import multiprocessing
import os
import shutil
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest
from tiny import picture

from harness.data.images import ImageCache, cache_bytes, cached_images
from harness.errors import DataError


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"{i}.png" for i in range(6)]
    for i, path in enumerate(paths):
        picture("bee", i).save(path)
    return paths


def build(files: list[Path], folder: Path) -> tuple[ImageCache, int]:
    """The cache, and how many images were decoded for it."""
    told: list[int] = []
    return cached_images(files, 16, folder, told.append), len(told)


def array_file(folder: Path) -> Path:
    (file,) = folder.glob("*.npy")
    return file


def test_the_size_is_known_before(files: list[Path], tmp_path: Path) -> None:
    cache, _ = build(files, tmp_path / "cache")
    assert cache.pixels.nbytes == cache_bytes(6, 16)


def test_a_disk_that_is_too_small_is_told_before_a_byte_is_written(
    files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(9, 0, cache_bytes(6, 16) - 1))
    with pytest.raises(DataError, match="the disk has"):
        build(files, tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


@pytest.mark.parametrize("damage", ["a byte", "cut", "emptied", "header", "note", "no array"])
def test_what_was_damaged_is_built_again(files: list[Path], tmp_path: Path, damage: str) -> None:
    folder = tmp_path / "cache"
    first, decoded = build(files, folder)
    assert decoded == 6
    known = first.pixels.copy()
    del first
    file = array_file(folder)
    data = bytearray(file.read_bytes())
    match damage:
        case "a byte":
            data[-5] ^= 1
            file.write_bytes(data)
        case "cut":
            file.write_bytes(data[:-100])
        case "emptied":
            file.write_bytes(b"")
        case "header":
            data[:6] = b"nonono"
            file.write_bytes(data)
        case "note":
            file.with_suffix(".json").write_text("{", encoding="utf-8")
        case "no array":
            file.unlink()
    again, decoded = build(files, folder)
    assert decoded == 6
    np.testing.assert_array_equal(again.pixels, known)
    assert build(files, folder)[1] == 0


def test_a_copied_cache_is_checked_once_and_believed(
    files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import harness.data.cache as cache

    folder = tmp_path / "cache"
    build(files, folder)
    os.utime(array_file(folder), ns=(1, 1))  # as a copy or a restored backup has another time
    sums: list[int] = []
    checksum = cache._checksum
    monkeypatch.setattr(cache, "_checksum", lambda array: sums.append(1) or checksum(array))
    assert build(files, folder)[1] == 0
    assert build(files, folder)[1] == 0
    assert len(sums) == 1


def test_two_processes_that_build_the_same_do_no_harm(files: list[Path], tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    context = multiprocessing.get_context("spawn")
    with context.Pool(2) as pool:
        found = pool.starmap(_content, [(files, folder)] * 4, chunksize=1)
    assert len(set(found)) == 1
    assert build(files, folder)[1] == 0
    assert sorted(path.suffix for path in folder.iterdir()) == [".json", ".npy"]


def _content(files: list[Path], folder: Path) -> str:
    return cached_images(files, 16, folder).content


def test_kill_9_leaves_no_cache_and_its_rest_is_removed(files: list[Path], tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    code = (
        "import os, sys\nfrom pathlib import Path\nfrom harness.data.images import cached_images\n"
        "def told(done):\n    if done == 3: os.kill(os.getpid(), 9)\n"
        "cached_images(list(map(Path, sys.argv[2:])), 16, Path(sys.argv[1]), told)"
    )
    command = [sys.executable, "-c", code, str(folder), *map(str, files)]
    subprocess.run(command, check=False)
    (rest,) = folder.iterdir()
    assert rest.suffix == ".tmp"
    assert build(files, folder)[1] == 6
    assert not rest.exists()
