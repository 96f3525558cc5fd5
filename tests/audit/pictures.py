"""Pictures for the audit's tests: smooth random scenes, and ways to alter them."""

import io
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageEnhance


def scene(seed: int, size: int = 120) -> Image.Image:
    """Overlapping blobs and bars: no two seeds look alike."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0 : 1 : size * 1j, 0 : 1 : size * 1j]
    pixels = np.full((size, size, 3), random.uniform(40, 200, 3))
    for _ in range(14):
        cx, cy, width, height = *random.random(2), *random.uniform(0.03, 0.25, 2)
        inside = ((x - cx) / width) ** 2 + ((y - cy) / height) ** 2 < 1
        pixels[inside] = random.uniform(0, 255, 3)
    pixels += random.normal(0, 4, pixels.shape)
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def _jpeg(image: Image.Image) -> Image.Image:
    stream = io.BytesIO()
    image.save(stream, format="JPEG", quality=40)
    return Image.open(stream)


def _crop(image: Image.Image) -> Image.Image:
    width, height = image.size
    return image.crop((0, 0, round(0.95 * width), round(0.95 * height)))


ALTERATIONS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "resize": lambda image: image.resize((image.width * 2 // 3, image.height * 2 // 3)),
    "JPEG": _jpeg,
    "crop": _crop,
    "brightness": lambda image: ImageEnhance.Brightness(image).enhance(1.25),
}
