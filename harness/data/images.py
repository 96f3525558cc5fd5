"""From ids to pixels: paths that are checked, decoding that is safe, a cache of decoded images."""

import io
import os
import posixpath
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

from harness.competition import Competition, Rendering
from harness.data.cache import cached_array
from harness.data.locate import locate, nearest_file
from harness.errors import DataError
from harness.files import digest, file_digest, require_file
from harness.patterns import common_home, fill, home

Pixels = NDArray[np.uint8]
CACHE_VERSION = "3"
FORMATS = ("JPEG", "PNG", "TIFF", "WEBP", "BMP", "GIF", "JPEG2000", "PPM")
"""Nothing else is opened, whatever a file is called: some of Pillow's readers run programs."""
OTHER_FORMATS = {
    **{".dcm": "DICOM", ".dicom": "DICOM", ".nii": "NIfTI", ".npy": "NumPy", ".npz": "NumPy"},
    **{".heic": "HEIC", ".avif": "AVIF", ".svg": "SVG", ".exr": "OpenEXR", ".dng": "raw"},
    **{".h5": "HDF5", ".tfrec": "TFRecord", ".tfrecord": "TFRecord", ".mp4": "video"},
}
"""Files that hold pictures which must be converted, by their ending."""
CONVERT = "convert them to PNG or JPEG: docs/guide.md, 'Pictures in other forms'"
WHITE = {"I": 65535.0, "F": 1.0}
"""What is white in grey of more than 8 bits, whole numbers and fractions, unless [data] says."""
USUAL = Rendering()
REDUCED = 2
"""A large JPEG is decoded smaller, but to no less than so many times the size asked for."""

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_QUARTER_TURNS = [_TURNS[orientation] for orientation in (5, 6, 7, 8)]

# Pillow only warns of what is less than twice its limit; here all of it is an error of the file.
warnings.simplefilter("error", Image.DecompressionBombWarning)
warnings.filterwarnings("ignore", "Corrupt EXIF data", UserWarning)  # its picture is sound


def find_images(
    competition: Competition,
    root: Path,
    ids: Iterable[str],
    *,
    test: bool = False,
    tolerate_missing: bool = False,
) -> list[Path]:
    """The image file of each id; a DataError names the first id that has none.

    ``test`` looks where the images to predict lie. With ``tolerate_missing`` only all of them
    missing is an error; a missing one has the path where it was expected first.
    """
    ids = list(ids)
    found = image_paths(competition, root, ids, test=test)
    expected = _patterns(competition, test=test)[0]
    missing = [id_ for id_, path in zip(ids, found, strict=True) if path is None]
    if missing and not (tolerate_missing and len(missing) < len(ids)):
        mend = "mend 'images'"
        if test:
            mend = f"{'mend' if competition.data.test_images else 'give'} 'test_images'"
        raise DataError(
            root / home(expected),
            f"{len(missing)} of {len(ids)} ids have no image, the first is "
            f"{fill(expected, missing[0])!r}",
            f"add the images, or {mend} in competition.toml"
            f"{nearest_file(root / home(expected), fill(expected, missing[0]))}",
        )
    return [path or root / fill(expected, id_) for id_, path in zip(ids, found, strict=True)]


def image_paths(
    competition: Competition, root: Path, ids: Iterable[str], *, test: bool = False
) -> list[Path | None]:
    """The image file of each id, None where there is none; a DataError if one leads out."""
    return locate(_patterns(competition, test=test), root, ids)


def _patterns(competition: Competition, *, test: bool) -> tuple[str, ...]:
    """Where images lie, by id; without a training table its ids are paths."""
    data = competition.data
    if test:
        return data.patterns_for_test
    return data.images if data.train else (posixpath.join(common_home(data.images), "{id}"),)


def decode(path: Path, sizes: Sequence[int], rendering: Rendering = USUAL) -> list[Pixels]:
    """One image file, read once, as RGB squares (size, size, 3) of each of the sizes.

    The whole picture is kept and squeezed to the square; EXIF rotation is applied. A large JPEG is
    decoded at a half, a quarter or an eighth (libjpeg's scaling), which depends on its own size and
    the one asked for alone. A DataError names a file that is damaged, is no image or is too large
    to be decoded safely.
    """
    require_file(path)
    with _undamaged(path):
        data = path.read_bytes()
        opened = _open(data)
        decoded: dict[int, Image.Image] = {}
        for scale in dict.fromkeys(scales := [_jpeg_scale(opened, size) for size in sizes]):
            decoded[scale] = _load(_open(data) if decoded else opened, scale, rendering)
        # grey pictures are resized before they get three channels: the same in less time
        return [
            np.asarray(_square(decoded[scale], size).convert("RGB"))
            for scale, size in zip(scales, sizes, strict=True)
        ]


@dataclass(frozen=True)
class ImageFacts:
    """What an image file is: Pillow's ``mode``, width and height as they are shown.

    ``brightest`` is the greatest value in a grey picture of more than 8 bits, None in others.
    """

    mode: str
    width: int
    height: int
    brightest: float | None = None


def inspect(path: Path) -> ImageFacts:
    """Decode all of a file (large JPEGs at an eighth) and say what it is; a DataError as above."""
    require_file(path)
    with _undamaged(path), _open(path.read_bytes()) as opened:
        mode, (width, height) = opened.mode, opened.size
        on_its_side = _turn(opened) in _QUARTER_TURNS
        opened.draft(None, (1, 1))
        opened.load()
        brightest = float(np.nanmax(np.asarray(opened))) if mode[0] in WHITE else None
    return ImageFacts(mode, *((height, width) if on_its_side else (width, height)), brightest)


@contextmanager
def _undamaged(path: Path) -> Iterator[None]:
    """Whatever a decoder makes of a damaged file, as a DataError that names it."""
    fix = "replace the file or remove its row"
    try:
        yield
    except Exception as error:
        reason = " ".join(str(error).replace(repr(str(path)), "").split()) or type(error).__name__
        if isinstance(error, UnidentifiedImageError):
            kind = OTHER_FORMATS.get(path.suffix.lower())
            reason = f"{kind} is not read" if kind else "no image in a known format"
            fix = CONVERT if kind else fix
        raise DataError(path, f"cannot be decoded ({reason})", fix) from error


def _open(data: bytes) -> Image.Image:
    if not data:
        raise ValueError("the file is empty")
    opened = Image.open(io.BytesIO(data), formats=FORMATS)
    # checked here, too: a warning's filter belongs to the process, not to us
    if opened.width * opened.height > (Image.MAX_IMAGE_PIXELS or 0):
        raise Image.DecompressionBombError(f"{opened.width} × {opened.height} pixels")
    return opened


def _jpeg_scale(opened: Image.Image, size: int) -> int:
    """1, 2, 4 or 8: how many times smaller a JPEG may be decoded for that size."""
    if opened.format not in ("JPEG", "MPO"):
        return 1
    spare = min(opened.size) // (REDUCED * size)
    return next((scale for scale in (8, 4, 2) if spare >= scale), 1)


def _load(opened: Image.Image, scale: int, rendering: Rendering) -> Image.Image:
    if scale > 1:
        opened.draft(None, (opened.width // scale, opened.height // scale))
    turn = _turn(opened)
    image = opened if turn is None else opened.transpose(turn)
    return image if image.mode == "L" and not _has_alpha(image) else _rgb(image, rendering)


def _turn(image: Image.Image) -> Image.Transpose | None:
    """How EXIF says that the picture is to be turned; damaged EXIF says nothing."""
    try:
        return _TURNS.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # of many kinds, and the picture itself is sound
        return None


@dataclass(frozen=True)
class ImageCache:
    """Decoded images, memory-mapped: ``pixels`` (rows, size, size, 3), in the order asked for."""

    pixels: Pixels
    content: str  # digest of the image files' bytes, in that order, and of how they are rendered


def cache_bytes(rows: int, size: int) -> int:
    """The disk space that so many cached images of a size take."""
    return rows * size * size * 3


def cached_images(
    paths: Sequence[Path],
    size: int,
    folder: Path,
    progress: Callable[[int], None] = lambda done: None,
    *,
    rendering: Rendering = USUAL,
) -> ImageCache:
    """All images at one size, decoded at most once per workspace.

    The cache's name is the digest of the files' paths, lengths and times; what it holds is
    identified by the digest of their bytes. ``progress`` is told how many are done. A DataError if
    the disk lacks the :func:`cache_bytes` that it takes.
    """

    def rows() -> Iterator[tuple[Pixels, str]]:
        for row, ((pixels,), content) in enumerate(
            map_images(_decode_and_digest, paths, (size,), rendering)
        ):
            yield pixels, content
            progress(row + 1)

    pixels, content = cached_array(
        folder / cache_key(paths, size, rendering),
        (len(paths), size, size, 3),
        rows,
        lambda: any_transparent(paths),  # which an earlier version dropped
    )
    return ImageCache(pixels, content)


def cache_key(paths: Sequence[Path], size: int, rendering: Rendering = USUAL) -> str:
    """The name of these images' cache at a size; an OSError if one is missing."""
    stats = [(os.fspath(path), path.stat()) for path in paths]
    return digest(
        CACHE_VERSION,
        f"{size} {rendering.key}",
        *(f"{name}|{s.st_size}|{s.st_mtime_ns}" for name, s in stats),
    )


def _decode_and_digest(
    path: Path, sizes: Sequence[int], rendering: Rendering
) -> tuple[list[Pixels], str]:
    content, pixels = file_digest(path), decode(path, sizes, rendering)
    if rendering.white:
        content = digest(content, f"{rendering.white}")
    return pixels, digest(content, rendering.background) if _is_transparent(path) else content


def any_transparent(paths: Iterable[Path]) -> bool:
    """Return whether a pixel of any of the pictures is transparent; most formats say no at once."""
    return any(map_images(_is_transparent, paths))


def _is_transparent(path: Path) -> bool:
    """Return whether a pixel of the picture is transparent; False if it cannot be read."""
    try:
        require_file(path)
        with Image.open(path, formats=FORMATS) as image:
            return _has_alpha(image) and bool(np.asarray(image.convert("RGBA"))[..., 3].min() < 255)
    except Exception:  # whatever a decoder makes of a damaged file
        return False


def _has_alpha(image: Image.Image) -> bool:
    """Return whether pixels may be transparent, by the picture's header."""
    return image.has_transparency_data and image.mode[0] not in WHITE


def map_images(
    work: Callable[..., Any], paths: Iterable[Path], *arguments: Any, ahead: int = 256
) -> Iterator[Any]:
    """``work(path, *arguments)`` on all cores in threads (Pillow lets go of the lock), in order."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        waiting = iter(paths)
        pending = [pool.submit(work, path, *arguments) for path in islice(waiting, ahead)]
        try:
            while pending:
                result = pending.pop(0).result()
                pending += [pool.submit(work, path, *arguments) for path in islice(waiting, 1)]
                yield result
        finally:
            for future in pending:
                future.cancel()


def _rgb(image: Image.Image, rendering: Rendering) -> Image.Image:
    """Eight bits a channel; deeper grey from 0 to white instead of being clipped at 255."""
    if image.mode[0] in WHITE:
        white = rendering.white or WHITE[image.mode[0]]
        values = np.asarray(image).astype(np.float64) * (255 / white)
        return Image.fromarray(np.nan_to_num(values).clip(0, 255).round().astype(np.uint8))
    if _has_alpha(image):
        below = Image.new("RGBA", image.size, rendering.background)
        image = Image.alpha_composite(below, image.convert("RGBA"))
    return image.convert("RGB")


def _square(image: Image.Image, size: int) -> Image.Image:
    if image.size == (size, size):
        return image
    return image.resize((size, size), Image.Resampling.BICUBIC, reducing_gap=3.0)
