"""Where does a model look? The answer's fall when a patch is covered (Zeiler & Fergus 2014)."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from harness.data.images import Pixels
from harness.files import replacing

PLACES = 8
"""Places a side that a patch of twice their distance is laid on."""

Probability = Callable[[Pixels], NDArray[np.floating]]
"""Squares (rows, side, side, 3) → the probability of the class in question (rows,)."""


def occlusion_map(square: Pixels, probability: Probability) -> NDArray[np.float64]:
    """How much the probability falls with each place covered in the picture's mean colour:
    (PLACES, PLACES)."""
    side = len(square)
    step = side // PLACES
    covered = np.repeat(square[None], PLACES * PLACES + 1, axis=0)
    mean = square.mean(axis=(0, 1)).astype(np.uint8)
    for place in range(PLACES * PLACES):
        y, x = (step * part - step // 2 for part in divmod(place, PLACES))
        covered[place, max(0, y) : y + 2 * step, max(0, x) : x + 2 * step] = mean
    answers = probability(covered).astype(np.float64)
    return (answers[-1] - answers[:-1]).reshape(PLACES, PLACES)


def save_map(path: Path, square: Pixels, falls: NDArray[np.float64], caption: str) -> None:
    """The picture beside itself with red where covering it costs most, above a caption."""
    share = np.clip(falls / max(falls.max(), 1e-6), 0, 1)
    heat = Image.fromarray((share * 255).astype(np.uint8)).resize(
        square.shape[:2], Image.Resampling.BICUBIC
    )
    grey = square.mean(axis=2, keepdims=True) * 0.6
    strength = np.asarray(heat, np.float64)[:, :, None] / 255
    shown = grey * (1 - strength) + np.array([255.0, 40, 20]) * strength
    both = np.concatenate([square, shown.astype(np.uint8)], axis=1)
    draw = ImageDraw.Draw(Image.new("RGB", (1, 1)))
    text = "\n".join(
        line for part in caption.splitlines() for line in _lines(part, both.shape[1] - 8, draw)
    )
    height = round(draw.multiline_textbbox((4, 4), text)[3]) + 6
    page = Image.new("RGB", (both.shape[1], len(both) + height), "white")
    page.paste(Image.fromarray(both))
    ImageDraw.Draw(page).multiline_text((4, len(both) + 4), text, fill="black")
    with replacing(path) as temporary:
        page.save(temporary, format="PNG")


def _lines(text: str, width: int, draw: ImageDraw.ImageDraw) -> list[str]:
    """Break the text into lines of at most ``width`` pixels, long words too."""
    lines = [""]
    for letter in text:
        if draw.textlength(lines[-1] + letter) > width:
            head, space, tail = lines[-1].rpartition(" ")
            lines[-1:] = [head, tail] if space else [lines[-1], ""]
        lines[-1] += letter
    return lines
