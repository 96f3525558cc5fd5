"""Decoded images by row: once for all sizes, kept up to a limit, damage told and survived."""

import threading
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from tiny import picture

from harness.competition import Rendering
from harness.data.images import decode
from harness.errors import DataError
from harness.predict import pixels as module
from harness.predict.pixels import PixelStore

SIZES = (8, 16)
BYTES = 3 * (8 * 8 + 16 * 16)


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    files = [tmp_path / f"{i}.png" for i in range(10)]
    for i, file in enumerate(files):
        picture("ant", i).save(file)
    return files


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each file was decoded."""
    counts: Counter[str] = Counter()
    lock = threading.Lock()

    def counting(path: Path, sizes: Sequence[int], rendering: Rendering) -> list[np.ndarray]:
        with lock:
            counts[path.stem] += 1
        return decode(path, sizes, rendering)

    monkeypatch.setattr(module, "decode", counting)
    return counts


def test_rows_in_any_order_at_any_size(paths: list[Path], decoded: Counter[str]) -> None:
    with PixelStore(paths, SIZES, limit=10**9) as store:
        for size in SIZES:
            images, good = store.read([7, 2, 7], size)
            expected = [decode(paths[row], [size])[0] for row in (7, 2, 7)]
            assert np.array_equal(images, expected)
            assert good.all()
    assert decoded == {"7": 1, "2": 1}


def test_kept_rows_are_decoded_once(paths: list[Path], decoded: Counter[str]) -> None:
    with PixelStore(paths, SIZES, limit=10**9) as store:
        for _ in range(3):
            store.prefetch(range(10))
            for size in SIZES:
                store.read(range(10), size)
        assert store.kept_bytes == 10 * BYTES
    assert set(decoded.values()) == {1}


def test_beyond_the_limit_rows_are_decoded_again(paths: list[Path], decoded: Counter[str]) -> None:
    with PixelStore(paths, SIZES, limit=4 * BYTES + 1) as store:
        first, _ = store.read(range(10), 16)
        assert store.kept_bytes == 4 * BYTES
        again, _ = store.read(range(10), 16)
        assert np.array_equal(first, again)
        assert store.kept_bytes == 4 * BYTES
    assert Counter(decoded.values()) == {1: 4, 2: 6}


def test_forgetting_makes_room(paths: list[Path], decoded: Counter[str]) -> None:
    with PixelStore(paths, SIZES, limit=2 * BYTES) as store:
        store.read([0, 1, 2], 16)
        store.forget([0, 1, 2])
        assert store.kept_bytes == 0
        store.read([3, 4], 8)
        store.read([3, 4], 16)
    assert decoded["3"] == decoded["4"] == 1


def test_only_so_many_rows_are_decoded_ahead(paths: list[Path], decoded: Counter[str]) -> None:
    with PixelStore(paths, SIZES, limit=0, ahead=3) as store:
        store.prefetch(range(10))
        store.read([0], 8)
        store.read([1], 8)
        store.read([2], 8)
        assert set(decoded) == {"0", "1", "2"}
        assert set(decoded.values()) == {1}


def test_a_new_wish_drops_what_was_not_read(
    paths: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[str] = []
    begun = threading.Event()

    def noting(path: Path, sizes: Sequence[int], rendering: Rendering) -> list[np.ndarray]:
        decoded.append(path.stem)
        begun.set()
        return decode(path, sizes, rendering)

    monkeypatch.setattr(module, "decode", noting)
    with PixelStore(paths, SIZES, limit=10**9) as store:
        store.prefetch([0])
        assert begun.wait(timeout=60)
        store.prefetch([1])
        images, good = store.read([0, 1], 8)  # there all the same when it is asked for
    assert sorted(decoded) == ["0", "0", "1"]
    assert good.all()
    assert np.array_equal(images[0], decode(paths[0], [8])[0])


def test_damaged_and_missing_files_are_told_once(paths: list[Path], decoded: Counter[str]) -> None:
    paths[3].write_bytes(paths[3].read_bytes()[:60])
    paths[5].unlink()
    with PixelStore(paths, SIZES, limit=10**9) as store:
        store.prefetch([3])
        images, good = store.read(range(10), 8)
        assert np.flatnonzero(~good).tolist() == [3, 5]
        assert not images[[3, 5]].any()
        assert images[[2, 4]].any(axis=(1, 2, 3)).all()
        assert set(store.errors) == {3, 5}
        assert "cannot be decoded" in str(store.errors[3])
        store.read([3, 5], 8)
    assert decoded["3"] == decoded["5"] == 1


def test_whatever_a_decoder_raises_the_rest_goes_on(
    paths: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(path: Path, sizes: Sequence[int], rendering: Rendering) -> list[np.ndarray]:
        if path == paths[4]:
            raise IndexError("deep inside a plugin")
        return decode(path, sizes, rendering)

    monkeypatch.setattr(module, "decode", failing)
    with PixelStore(paths, SIZES, limit=0) as store:
        _, good = store.read(range(10), 8)
        assert good.sum() == 9
        assert isinstance(store.errors[4], DataError)
