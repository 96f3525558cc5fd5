"""Decoding and the cache."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageColor, ImageOps
from PIL.JpegImagePlugin import JpegImageFile
from tiny import TOML, picture, png_header

from harness.competition import Rendering, load_competition
from harness.data.images import (
    ImageFacts,
    any_transparent,
    cache_key,
    cached_images,
    decode,
    find_images,
    inspect,
)
from harness.errors import DataError
from harness.files import digest, file_digest


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"{i}.png" for i in range(7)]
    for i, path in enumerate(paths):
        picture("bee", i).save(path)
    return paths


def test_decode_reads_once_for_all_sizes(files: list[Path]) -> None:
    small, large = decode(files[0], [8, 50])
    assert small.shape == (8, 8, 3)
    assert large.shape == (50, 50, 3)
    assert small.dtype == np.uint8


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "P", "CMYK", "1", "I;16"])
def test_every_mode_becomes_rgb(tmp_path: Path, mode: str) -> None:
    path = tmp_path / ("x.tif" if mode == "CMYK" else "x.png")
    if mode == "I;16":
        grey = Image.fromarray(np.full((9, 9), 128 << 8, np.uint16))
    else:
        grey = Image.new("L", (9, 9), 128).convert(mode)
    grey.save(path)
    (pixels,) = decode(path, [9])
    assert pixels.shape == (9, 9, 3)
    if mode not in ("1", "CMYK"):
        assert np.abs(pixels.astype(int) - 128).max() <= 1


@pytest.mark.parametrize(
    ("kind", "white", "levels"),
    [
        ("uint16", None, 65535),
        ("uint16", 4095, 4095),
        ("int32", None, 65535),
        ("float32", None, 1.0),
        ("float32", 255, 255.0),
    ],
)
def test_deep_grey_goes_from_black_to_white(
    tmp_path: Path, kind: str, white: float | None, levels: float
) -> None:
    ramp = np.linspace(0, levels, 256).astype(kind)
    Image.fromarray(np.tile(ramp, (256, 1))).save(tmp_path / "x.tif")
    (pixels,) = decode(tmp_path / "x.tif", [256], Rendering(white))
    assert np.abs(pixels[9].astype(int) - np.arange(256)[:, None]).max() <= 1
    assert inspect(tmp_path / "x.tif").brightest == levels


def test_what_is_brighter_than_white_is_white(tmp_path: Path) -> None:
    values = np.array([[np.nan, -5.0, 0.5, 7.0]], np.float32)
    Image.fromarray(np.repeat(values, 4, axis=0)).save(tmp_path / "x.tif")
    (pixels,) = decode(tmp_path / "x.tif", [4])
    assert pixels[0, :, 0].tolist() == [0, 0, 128, 255]
    assert inspect(tmp_path / "x.tif").brightest == 7


@pytest.mark.parametrize("orientation", range(10))
def test_exif_rotation_is_applied(tmp_path: Path, orientation: int) -> None:
    """As Pillow itself does it, whose own way cannot read a large file at a fraction."""
    draw = np.random.default_rng(0)
    image = Image.fromarray(draw.integers(0, 255, (2, 3, 3)).astype(np.uint8)).resize((60, 40))
    exif = Image.Exif()
    exif[274] = orientation
    image.save(tmp_path / "x.png", exif=exif)
    (pixels,) = decode(tmp_path / "x.png", [20])
    with Image.open(tmp_path / "x.png") as opened:
        shown = ImageOps.exif_transpose(opened)
    expected = shown.resize((20, 20), Image.Resampling.BICUBIC, reducing_gap=3.0)
    np.testing.assert_array_equal(pixels, np.asarray(expected))
    facts = inspect(tmp_path / "x.png")
    assert (facts.width, facts.height) == shown.size


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")  # as harness.data.images sets it
def test_damaged_exif_is_no_damaged_picture(tmp_path: Path) -> None:
    damaged = b"Exif\0\0II*\0\x08\0\0\0\xff\xff"
    Image.new("RGB", (9, 9)).save(tmp_path / "x.jpg", exif=damaged)
    assert inspect(tmp_path / "x.jpg") == ImageFacts("RGB", 9, 9)
    assert decode(tmp_path / "x.jpg", [9])[0].shape == (9, 9, 3)


def test_a_bomb_is_refused(
    tmp_path: Path, files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(DataError, match="cannot be decoded"):
        decode(files[0], [8])


def test_the_cache_holds_what_decoding_gives_and_is_reused(
    tmp_path: Path, files: list[Path]
) -> None:
    told: list[int] = []
    first = cached_images(files, 16, tmp_path / "cache", told.append)
    assert told == list(range(1, 8))
    for row, path in enumerate(files):
        assert (first.pixels[row] == decode(path, [16])[0]).all()
    told.clear()
    again = cached_images(files, 16, tmp_path / "cache", told.append)
    assert told == []
    assert again.content == first.content
    assert len(list((tmp_path / "cache").glob("*.npy"))) == 1


def test_a_changed_image_changes_the_content(tmp_path: Path, files: list[Path]) -> None:
    first = cached_images(files, 16, tmp_path / "cache")
    picture("cat", 99).save(files[3])
    second = cached_images(files, 16, tmp_path / "cache")
    whiter = cached_images(files, 16, tmp_path / "cache", rendering=Rendering(4095))
    assert whiter.content != second.content
    assert second.content != first.content
    assert (second.pixels[3] != first.pixels[3]).any()


def test_a_corrupt_image_leaves_no_cache(tmp_path: Path, files: list[Path]) -> None:
    files[5].write_bytes(b"not a picture")
    with pytest.raises(DataError, match=r"5\.png: cannot be decoded"):
        cached_images(files, 16, tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


@pytest.mark.parametrize("id_", ["../x", "/etc/passwd", "a/../../x", "..", "a\0b"])
def test_ids_stay_inside_the_folder(tmp_path: Path, id_: str) -> None:
    competition = _competition(tmp_path)
    with pytest.raises(DataError, match=r"leads out|no image"):
        find_images(competition, tmp_path, [id_])


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    competition = _competition(tmp_path)
    (tmp_path / "secret.png").touch()
    (tmp_path / "data/images/x.png").symlink_to(tmp_path / "secret.png")
    with pytest.raises(DataError, match="leads out"):
        find_images(competition, tmp_path, ["x"])


def _competition(folder: Path):  # type: ignore[no-untyped-def]
    (folder / "data/images").mkdir(parents=True)
    (folder / "competition.toml").write_text(TOML, encoding="utf-8")
    return load_competition(folder / "competition.toml")


def test_pixels_do_not_depend_on_the_other_sizes(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (400, 600, 3)).astype(np.uint8)
    Image.fromarray(noise).save(tmp_path / "x.jpg")
    (alone,) = decode(tmp_path / "x.jpg", [32])
    together, _ = decode(tmp_path / "x.jpg", [32, 300])
    np.testing.assert_array_equal(together, alone)


def test_grey_pictures_have_the_pixels_of_their_coloured_copies(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (90, 70)).astype(np.uint8)
    Image.fromarray(noise).save(tmp_path / "grey.png")
    Image.fromarray(noise).convert("RGB").save(tmp_path / "rgb.png")
    for grey, coloured in zip(
        decode(tmp_path / "grey.png", [32, 90]), decode(tmp_path / "rgb.png", [32, 90]), strict=True
    ):
        np.testing.assert_array_equal(grey, coloured)


def test_large_jpegs_are_decoded_smaller_and_hardly_differ(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ramp = np.linspace(0, 255, 1600).astype(np.uint8)
    picture = np.stack(
        [
            np.tile(ramp, (1200, 1)),
            np.tile(ramp[:1200, None], 1600),
            ramp[:, None].T.repeat(1200, 0)[::-1],
        ],
        axis=-1,
    )
    Image.fromarray(picture).save(tmp_path / "x.jpg", quality=95)
    asked: list[tuple[int, int]] = []
    draft = JpegImageFile.draft
    monkeypatch.setattr(
        JpegImageFile,
        "draft",
        lambda self, mode, size: asked.append(size) or draft(self, mode, size),  # type: ignore[func-returns-value]
    )
    small, large = decode(tmp_path / "x.jpg", [64, 600])
    assert asked == [(200, 150)]  # 600 is more than half of 1200
    whole = Image.fromarray(picture).resize((64, 64), Image.Resampling.BICUBIC)
    assert np.abs(small.astype(int) - np.asarray(whole)).mean() < 2
    assert large.shape == (600, 600, 3)


@pytest.mark.parametrize("size", [(1, 40), (40, 1), (1, 1), (20_000, 3)])
@pytest.mark.parametrize("form", ["png", "jpg", "webp", "tif"])
def test_extreme_shapes(tmp_path: Path, size: tuple[int, int], form: str) -> None:
    if form == "webp" and max(size) > 16_383:  # all that the format can hold
        return
    path = tmp_path / f"x.{form}"
    Image.new("RGB", size, (200, 100, 50)).save(path)
    (pixels,) = decode(path, [32])
    assert np.abs(pixels.astype(int) - [200, 100, 50]).max() <= 6
    facts = inspect(path)
    assert (facts.mode, facts.width, facts.height) == ("RGB", *size)


def test_inspecting_tells_the_shape_as_it_is_shown(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[274] = 6  # a quarter turn
    Image.new("L", (20, 10)).save(tmp_path / "x.jpg", exif=exif)
    assert inspect(tmp_path / "x.jpg") == ImageFacts("L", 10, 20)


LEFT, RIGHT = (200, 40, 80), (10, 90, 10)


def halves(mode: str, right_alpha: int = 255) -> Image.Image:
    """A picture of two colours, whose right half may be transparent; of two greys in "L"."""
    image = Image.new("RGBA", (8, 8), (*LEFT, 255))
    image.paste((*RIGHT, right_alpha), (4, 0, 8, 8))
    return image.convert(mode)


def palette() -> Image.Image:
    image = Image.new("P", (8, 8), 0)
    image.putpalette([*LEFT, *RIGHT])
    image.paste(1, (4, 0, 8, 8))
    return image


def deep() -> Image.Image:
    values = np.asarray(halves("L")).astype(np.uint16) * 257
    return Image.fromarray(values)


UPSIDE_DOWN = Image.Exif()
UPSIDE_DOWN[274] = 3

# the picture, the file's ending, how it is saved: transparent on the right or not
SEEN_THROUGH: dict[str, tuple[Image.Image, str, dict[str, Any]]] = {
    "RGBA": (halves("RGBA", 0), "png", {}),
    "WebP": (halves("RGBA", 0), "webp", {"lossless": True, "exact": True}),
    "TIFF": (halves("RGBA", 0), "tif", {}),
    "grey with alpha": (halves("LA", 0), "png", {}),
    "palette with alpha": (palette(), "png", {"transparency": b"\xff\x00"}),
    "palette with a transparent entry": (palette(), "gif", {"transparency": 1}),
    "a transparent colour": (halves("RGB"), "png", {"transparency": RIGHT}),
    "a transparent grey": (halves("L"), "png", {"transparency": halves("L").getpixel((7, 0))}),
    "turned": (halves("RGBA", 0).rotate(180), "png", {"exif": UPSIDE_DOWN}),
}
OPAQUE: dict[str, tuple[Image.Image, str, dict[str, Any]]] = {
    "RGB": (halves("RGB"), "png", {}),
    "opaque alpha": (halves("RGBA"), "png", {}),
    "palette": (palette(), "png", {}),
    "CMYK": (halves("RGB").convert("CMYK"), "tif", {}),
    "16 bits": (deep(), "png", {}),
    "turned": (halves("RGB").rotate(180), "png", {"exif": UPSIDE_DOWN}),
}


def saved(case: tuple[Image.Image, str, dict[str, Any]], folder: Path) -> Path:
    image, ending, options = case
    path = folder / f"x.{ending}"
    image.save(path, **options)
    return path


@pytest.mark.parametrize("background", ["white", "black", "#0000ff"])
@pytest.mark.parametrize("kind", SEEN_THROUGH)
def test_what_is_transparent_shows_the_background(
    tmp_path: Path, kind: str, background: str
) -> None:
    path = saved(SEEN_THROUGH[kind], tmp_path)
    (pixels,) = decode(path, [8], Rendering(background=background))
    left = halves("L").getpixel((0, 0)) if "grey" in kind else LEFT
    assert (pixels[:, :4] == left).all()
    assert (pixels[:, 4:] == ImageColor.getrgb(background)).all()
    assert any_transparent([path])


@pytest.mark.parametrize("kind", OPAQUE)
def test_what_is_not_transparent_stays_as_it_is(tmp_path: Path, kind: str) -> None:
    path = saved(OPAQUE[kind], tmp_path)
    (pixels,) = decode(path, [8], Rendering(background="black"))
    shown = halves("L").convert("RGB") if kind == "16 bits" else halves("RGB")
    assert (pixels == np.asarray(shown)).all()
    assert not any_transparent([path])


def test_half_transparent_is_half_of_both(tmp_path: Path) -> None:
    image = Image.new("P", (4, 4), 1)
    image.putpalette([0, 0, 0, 10, 20, 30])
    image.save(tmp_path / "x.png", transparency=b"\x00\x80")
    (pixels,) = decode(tmp_path / "x.png", [4])
    assert np.abs(pixels.astype(int) - [132, 137, 142]).max() <= 1


def test_only_transparent_pictures_make_the_background_matter(tmp_path: Path) -> None:
    """What runs depend on, and where the pixels of opaque pictures have always been kept."""
    contents = []
    for alpha in (255, 0):
        (tmp_path / str(alpha)).mkdir()
        files = [tmp_path / str(alpha) / "x.png"]
        halves("RGBA", alpha).save(files[0])
        for background in ("white", "black"):
            rendering = Rendering(background=background)
            cached = cached_images(files, 8, tmp_path / "cache", rendering=rendering)
            contents.append(cached.content)
            assert (cached.pixels[0] == decode(files[0], [8], rendering)[0]).all()
        stat = files[0].stat()
        known = digest("3", "8 None", f"{files[0]}|{stat.st_size}|{stat.st_mtime_ns}")
        assert cache_key(files, 8) == known
    assert contents[0] == contents[1] == digest(file_digest(tmp_path / "255/x.png"))
    assert len(set(contents)) == 3


@pytest.mark.parametrize("alpha", [255, 0])
def test_pixels_of_an_earlier_version_are_kept_unless_it_dropped_transparency(
    tmp_path: Path, alpha: int
) -> None:
    halves("RGBA", alpha).save(tmp_path / "x.png")
    cached_images([tmp_path / "x.png"], 8, tmp_path / "cache")
    (note,) = (tmp_path / "cache").glob("*.json")
    earlier = json.loads(note.read_text())
    del earlier["version"], earlier["crc32"]
    note.write_text(json.dumps(earlier))
    for decoded in ([1] if alpha == 0 else [], []):
        told: list[int] = []
        cached_images([tmp_path / "x.png"], 8, tmp_path / "cache", told.append)
        assert told == decoded


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "the file is empty"),
        (b"no picture", "no image in a known format"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "no image in a known format"),
    ],
)
def test_what_is_no_image_is_told(tmp_path: Path, content: bytes, found: str) -> None:
    (tmp_path / "x.png").write_bytes(content)
    for read in (inspect, lambda path: decode(path, [8])):
        with pytest.raises(DataError, match=found):
            read(tmp_path / "x.png")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    os.mkfifo(path)
    for read in (inspect, lambda path: decode(path, [8]), file_digest):
        with pytest.raises(DataError, match=r"x\.png: is no regular file"):
            read(path)


def test_a_bomb_of_a_few_bytes_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(png_header(30_000, 30_000))
    for read in (inspect, lambda path: decode(path, [8])):
        with pytest.raises(DataError, match=r"decompression bomb|pixels"):
            read(tmp_path / "x.png")
