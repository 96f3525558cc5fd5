"""Where does a model look? The answer's fall when a patch is covered (Zeiler & Fergus 2014)."""

from collections.abc import Callable
from pathlib import Path
from textwrap import wrap

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
    width = both.shape[1] // 7  # letters of a line, in the font that Pillow brings along
    lines = [line for part in caption.splitlines() for line in wrap(part, width)]
    height = 13 * len(lines) + 8
    page = Image.new("RGB", (both.shape[1], len(both) + height), "white")
    page.paste(Image.fromarray(both))
    ImageDraw.Draw(page).multiline_text((4, len(both) + 2), "\n".join(lines), "black")
    with replacing(path) as temporary:
        page.save(temporary, format="PNG")
