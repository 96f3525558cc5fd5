"""From ids to pixels: paths that are checked, decoding that is safe, a cache of decoded images."""

import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from harness.competition import Competition
from harness.errors import DataError
from harness.files import digest, file_digest, replacing, write_text

Pixels = NDArray[np.uint8]
CACHE_VERSION = "1"


def find_images(
    competition: Competition, root: Path, ids: Iterable[str], *, tolerate_missing: bool = False
) -> list[Path]:
    """The image file of each id; a DataError names the first id that has none.

    With ``tolerate_missing`` only all of them missing is an error.

    An id is data, not a path: one that would leave the images' folder is refused, whether by
    ``..``, by being absolute or through a symbolic link.
    """
    pattern = competition.data.images
    # the folder that no id may leave: what the pattern says before its placeholder
    home = root / pattern[: pattern.index("{id}")].rpartition("/")[0]
    real_home = os.path.realpath(home)
    paths: list[Path] = []
    missing: list[str] = []
    for id_ in ids:
        path = root / pattern.replace("{id}", id_)
        real = os.path.realpath(path) if "\0" not in id_ else ""
        if not real.startswith(real_home + os.sep):
            raise DataError(
                home, f"id {id_!r} leads out of the images' folder", "ids must stay inside it"
            )
        if not os.path.isfile(real):
            missing.append(id_)
        paths.append(path)
    if missing and not (tolerate_missing and len(missing) < len(paths)):
        raise DataError(
            home,
            f"{len(missing)} of {len(paths)} ids have no image, the first is "
            f"{pattern.replace('{id}', missing[0])!r}",
            "add the images, or mend 'images' in competition.toml",
        )
    return paths


def decode(path: Path, sizes: Sequence[int]) -> list[Pixels]:
    """One image file, read once, as RGB squares (size, size, 3) of each of the sizes.

    The whole picture is kept and squeezed to the square; EXIF rotation is applied. A DataError
    names a file that is damaged, is no image or is too large to be decoded safely.
    """
    try:
        with Image.open(path) as opened:
            if opened.width * opened.height > (Image.MAX_IMAGE_PIXELS or 0):
                raise Image.DecompressionBombError(f"{opened.width} × {opened.height} pixels")
            image = ImageOps.exif_transpose(opened)
            if image.mode != "L":
                image = _rgb(image)
        # grey pictures are resized before they get three channels: the same in less time
        return [np.asarray(_rgb(_square(image, size))) for size in sizes]
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        reason = str(error).replace(repr(str(path)), "").strip()
        raise DataError(
            path, f"cannot be decoded ({reason})", "replace the file or remove its row"
        ) from error


@dataclass(frozen=True)
class ImageCache:
    """Decoded images, memory-mapped: ``pixels`` (rows, size, size, 3), in the order asked for."""

    pixels: Pixels
    content: str  # digest of the image files' bytes, in that order


def cached_images(
    paths: Sequence[Path],
    size: int,
    folder: Path,
    progress: Callable[[int], None] = lambda done: None,
) -> ImageCache:
    """All images at one size, decoded at most once per workspace.

    The cache's name is the digest of the files' paths, lengths and times; what it holds is
    identified by the digest of their bytes. ``progress`` is told how many are done.
    """
    stats = [(os.fspath(path), path.stat()) for path in paths]
    key = digest(
        CACHE_VERSION, str(size), *(f"{name}|{s.st_size}|{s.st_mtime_ns}" for name, s in stats)
    )
    array_file, note_file = folder / f"{key}.npy", folder / f"{key}.json"
    if not note_file.exists():  # the note is written last: it says that the array is whole
        with replacing(array_file) as temporary:
            array = np.lib.format.open_memmap(
                temporary, mode="w+", dtype=np.uint8, shape=(len(paths), size, size, 3)
            )
            digests = []
            for row, ((pixels,), content) in enumerate(_map(_decode_and_digest, paths, (size,))):
                array[row] = pixels
                digests.append(content)
                progress(row + 1)
            array.flush()
            del array
        write_text(note_file, json.dumps({"content": digest(*digests)}))
    content = json.loads(note_file.read_text(encoding="utf-8"))["content"]
    return ImageCache(np.load(array_file, mmap_mode="r"), content)


def _decode_and_digest(path: Path, sizes: Sequence[int]) -> tuple[list[Pixels], str]:
    return decode(path, sizes), file_digest(path)


def _map(
    work: Callable[..., Any], paths: Sequence[Path], sizes: Sequence[int], ahead: int = 256
) -> Iterator[Any]:
    """``work`` over the paths in threads (Pillow lets go of the interpreter lock), in order."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        waiting = iter(paths)
        pending = [pool.submit(work, path, sizes) for path in islice(waiting, ahead)]
        try:
            while pending:
                result = pending.pop(0).result()
                pending += [pool.submit(work, path, sizes) for path in islice(waiting, 1)]
                yield result
        finally:
            for future in pending:
                future.cancel()


def _rgb(image: Image.Image) -> Image.Image:
    """Eight bits a channel; 16-bit grey keeps its high byte instead of being clipped at 255."""
    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
    return image.convert("RGB")


def _square(image: Image.Image, size: int) -> Image.Image:
    if image.size == (size, size):
        return image
    return image.resize((size, size), Image.Resampling.BICUBIC, reducing_gap=3.0)
