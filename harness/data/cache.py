"""An array on disk that can be made again: built once, believed only while it is undamaged.

Two files: ``<key>.npy`` (uint8) and ``<key>.json``, written last, with the digest of its content,
its own checksum, and the size and time at which that checksum was last seen to be right.
"""

import errno
import hashlib
import json
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import DataError
from harness.files import digest, replacing, to_write
from harness.records import read_json, write_json

_PIECE = 1 << 24
_VERSION = 2


def cached_array(
    stem: Path,
    shape: tuple[int, ...],
    rows: Callable[[], Iterable[tuple[NDArray[np.uint8], str]]],
    outdated: Callable[[], bool] = lambda: False,
) -> tuple[NDArray[np.uint8], str]:
    """(the array, memory-mapped and read-only; the digest of its rows' contents).

    ``rows`` gives each row and its content's digest, and is asked only if there is no sound array
    yet, or an earlier version built it and ``outdated`` says so. Whoever builds the same array at
    the same time writes the same bytes under another temporary name, so that the last rename
    changes nothing. A DataError if the disk is too small.
    """
    array_file, note_file = stem.with_name(f"{stem.name}.npy"), stem.with_name(f"{stem.name}.json")
    if (content := _verified(array_file, note_file, shape, outdated)) is None:
        content = _build(array_file, note_file, shape, rows)
    return np.load(array_file, mmap_mode="r"), content


def is_cached(stem: Path) -> bool:
    """Whether an array of that key has been finished; it may be damaged since."""
    return stem.with_name(f"{stem.name}.json").exists()


def _verified(
    array_file: Path, note_file: Path, shape: tuple[int, ...], outdated: Callable[[], bool]
) -> str | None:
    """The content's digest if the array is whole, undamaged and not outdated, else None.

    Its bytes are summed again only if its size or time is not what it was after the last time.
    """
    try:
        note = json.loads(read_json(note_file))
        array = np.load(array_file, mmap_mode="r")
        if array.shape != shape or array.dtype != np.uint8:
            return None
        seen = _size_and_time(array_file)
        if note["verified"] != seen or note.get("version") != _VERSION:
            if _checksum(array) != note["checksum"]:
                return None
            if note.get("version") != _VERSION and outdated():
                return None
            new = {"verified": seen, "version": _VERSION}
            write_json(note_file, json.dumps({**note, **new}))
        return str(note["content"])
    except (OSError, EOFError, ValueError, KeyError, TypeError):
        return None


def _build(
    array_file: Path,
    note_file: Path,
    shape: tuple[int, ...],
    rows: Callable[[], Iterable[tuple[NDArray[np.uint8], str]]],
) -> str:
    folder = array_file.parent
    to_write(folder).mkdir(exist_ok=True)
    need, free = int(np.prod(shape)), shutil.disk_usage(folder).free
    if need > free:
        raise _no_room(folder, need, free)
    checksum, contents = hashlib.blake2b(digest_size=16), []
    try:
        # written, not memory-mapped: a full disk is then an error and no signal that kills
        with replacing(array_file) as temporary, temporary.open("wb") as file:
            header = {"descr": "|u1", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(file, header)
            for row, content in rows():
                piece = np.ascontiguousarray(row).tobytes()
                checksum.update(piece)
                contents.append(content)
                file.write(piece)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise _no_room(folder, need, shutil.disk_usage(folder).free) from error
        raise
    note = {
        "content": digest(*contents),
        "checksum": checksum.hexdigest(),
        "verified": _size_and_time(array_file),
        "version": _VERSION,
    }
    write_json(note_file, json.dumps(note))
    return str(note["content"])


def _no_room(folder: Path, need: int, free: int) -> DataError:
    return DataError(
        folder,
        f"decoded images take {need / 1e9:.1f} GB and the disk has {free / 1e9:.1f} GB left",
        "make room, or use a smaller image_size",
    )


def _size_and_time(file: Path) -> list[int]:
    found = file.stat()
    return [found.st_size, found.st_mtime_ns]


def _checksum(array: NDArray[Any]) -> str:
    state = hashlib.blake2b(digest_size=16)
    data = array.reshape(-1)
    for start in range(0, len(data), _PIECE):
        state.update(data[start : start + _PIECE].tobytes())
    return state.hexdigest()
