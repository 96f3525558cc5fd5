"""One reading of every picture: all that the audit measures is taken from it."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, fields
from itertools import repeat
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from harness.competition import Rendering
from harness.data.images import USUAL, Pixels, any_transparent, decode
from harness.errors import DataError
from harness.files import digest, file_digest, replacing, require_no_bomb
from harness.records import reading

SIDE = 128
"""Pixels a side of what backbones see, and of what thumbnails are made from."""
_FINE = 256
_AT_ONCE = 128
_VERSION = "2"

Floats = NDArray[np.float32]
Embed = Callable[[Pixels], Floats]
"""uint8 squares (rows, SIDE, SIDE, 3) → features (rows, width)."""


@dataclass(frozen=True)
class Looks:
    """What is kept of every picture, a row each; all but the digest is 0 where it is unreadable.

    ``contents`` are digests of the files' bytes. ``shape`` (rows, 3): width and height in pixels,
    bytes. ``light`` (rows, 3): the 5th and 95th percentile of brightness and its standard
    deviation, of 255. ``sharpness``: the variance of the Laplacian in relation to the picture's.
    ``grey`` (rows, 64, 64) and ``colour`` (rows, 32, 32, 3) are thumbnails squeezed to squares.
    ``features`` (rows, width) come from a frozen backbone; the width is 0 without one.
    """

    contents: NDArray[np.str_]
    readable: NDArray[np.bool_]
    shape: NDArray[np.int64]
    light: Floats
    sharpness: Floats
    grey: NDArray[np.uint8]
    colour: NDArray[np.uint8]
    features: NDArray[np.float16]  # half precision: they take most of the memory

    def __getitem__(self, rows: Any) -> "Looks":
        return Looks(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})

    def __len__(self) -> int:
        return len(self.contents)


class _Look(NamedTuple):
    content: str
    readable: bool = False
    shape: tuple[int, int, int] = (0, 0, 0)
    light: tuple[float, float, float] = (0.0, 0.0, 0.0)
    sharpness: float = 0.0
    square: Pixels = np.zeros((SIDE, SIDE, 3), np.uint8)


def look_at(
    paths: Sequence[Path],
    embed: Embed | None,
    progress: Callable[[int], None] = lambda done: None,
    *,
    rendering: Rendering = USUAL,
) -> Looks:
    """Look at every file once, in threads; a file that is gone counts as unreadable."""
    parts: list[Looks] = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, len(paths), _AT_ONCE):
            # not beside the backbone: on the same cores both get slower (docs/decisions.md)
            batch = list(pool.map(_look, paths[start : start + _AT_ONCE], repeat(rendering)))
            parts.append(_gather(batch, embed))
            progress(start + len(batch))
    return join(parts)


def join(parts: Sequence[Looks]) -> Looks:
    """One after the other."""
    columns = {field.name: [getattr(part, field.name) for part in parts] for field in fields(Looks)}
    return Looks(**{name: np.concatenate(column) for name, column in columns.items()})


def cached_looks(
    paths: Sequence[Path],
    embed: Embed | None,
    embedding: str,
    folder: Path,
    progress: Callable[[int], None] = lambda done: None,
    *,
    rendering: Rendering = USUAL,
) -> Looks:
    """``look_at``, kept in ``folder`` as long as no file's name, length or time changes.

    ``embedding`` says what ``embed`` is.
    """
    stats = [(os.fspath(path), _stat(path)) for path in paths]
    rendered = [rendering.key, *(["composited"] if any_transparent(paths) else [])]
    key = digest(_VERSION, embedding, *rendered, *(f"{name}|{stat}" for name, stat in stats))
    file = folder / f"{key}.npz"
    with (
        suppress(DataError),
        reading(file, "it is made again", DataError),
        file.open("rb") as stream,  # which numpy leaves open if it is damaged
        np.load(stream) as stored,
    ):
        require_no_bomb(file, sum(part.file_size for part in stored.zip.infolist()))
        kept = Looks(**stored)
        if {len(column) for column in vars(kept).values()} == {len(paths)}:
            return kept
    looks = look_at(paths, embed, progress, rendering=rendering)
    with replacing(file) as temporary, temporary.open("wb") as written:
        np.savez(written, **vars(looks))
    return looks


def _stat(path: Path) -> str:
    try:
        stat = path.stat()
    except OSError:
        return "gone"
    return f"{stat.st_size}|{stat.st_mtime_ns}"


def _look(path: Path, rendering: Rendering) -> _Look:
    try:
        content = file_digest(path)
    except (OSError, DataError):
        return _Look(f"gone: {path}")
    try:
        fine, square = decode(path, (_FINE, SIDE), rendering)
        with Image.open(path) as image:
            width, height = image.size
    except DataError:
        return _Look(content)
    grey = fine @ np.array([0.299, 0.587, 0.114], np.float32)
    low, high = np.percentile(grey[::2, ::2], (5, 95))
    inner = grey[1:-1, 1:-1]
    laplacian = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:] - 4 * inner
    return _Look(
        content,
        True,
        (width, height, path.stat().st_size),
        (float(low), float(high), float(grey.std())),
        float(laplacian.var() / (grey.var() + 1.0)),
        square,
    )


def _gather(batch: Sequence[_Look], embed: Embed | None) -> Looks:
    squares = np.stack([look.square for look in batch])
    readable = np.array([look.readable for look in batch])
    features = np.zeros((len(batch), 0), np.float32) if embed is None else embed(squares)
    thumbnails = shrink(squares, 64)
    return Looks(
        np.array([look.content for look in batch]),
        readable,
        np.array([look.shape for look in batch], np.int64),
        np.array([look.light for look in batch], np.float32),
        np.array([look.sharpness for look in batch], np.float32),
        thumbnails.mean(axis=3).astype(np.uint8),
        shrink(thumbnails, 32).astype(np.uint8),
        (features * readable[:, None]).astype(np.float16),
    )


def shrink(squares: NDArray[Any], side: int) -> Floats:
    """Squares (rows, n × side, n × side, channels) averaged to (rows, side, side, channels)."""
    block = squares.shape[1] // side
    # slices added up take a third of the time of a mean over two axes
    total = np.zeros((len(squares), side, side, squares.shape[3]), np.float32)
    for y in range(block):
        for x in range(block):
            total += squares[:, y::block, x::block]
    return total / block**2
