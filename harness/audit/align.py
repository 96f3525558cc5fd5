"""Are two pictures one, but for a crop, a resize, compression and brightness? Pure.

One is laid over the other by Gauss–Newton steps (Lucas & Kanade 1981; Baker & Matthews 2004) from
coarse to fine, with a shift and a stretch along each axis and a gain and an offset in brightness;
then what both have in common is measured.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

STEPS = ((32, 10), (64, 5))
"""(pixels a side, steps) of each level."""
MOST = 0.25
"""Neither a shift nor a stretch goes beyond this, in half widths of the picture."""
CROP = 0.05
"""What a crop is taken to leave out of a side."""
WHITE = 240.0
"""Brightness (of 255) from which a pixel of a thumbnail may be one that was cut off."""
_GAINS = (0.3, 3.0)
NOISE = 1.0
"""Standard deviation, in pixels of a thumbnail, of what is smoothed away before comparing."""
MOST_SHARED = 64
"""Directions of variation that are taken off at most (docs/decisions.md)."""
_AT_ONCE = 512
_SAMPLE = 2000


@np.errstate(invalid="ignore")  # some BLAS kernels raise it at random (docs/decisions.md)
def agreement(grey: NDArray[np.uint8], pairs: NDArray[np.int64]) -> Floats:
    """How far the two of each pair agree in their own details once aligned: (pairs,), at most 1.

    ``grey`` (rows, 64, 64) are thumbnails, ``pairs`` (pairs, 2) rows of it. The correlation of
    the details after what many pictures of the set share (a frame, a fixture, a layout) was taken
    off: 0 for strangers.
    """
    if not len(pairs):
        return np.empty(0, np.float32)
    shared = Shared.of(grey)
    blocks = np.array_split(pairs, -(-len(pairs) // _AT_ONCE))
    return np.concatenate([_agreement(grey[b[:, 0]], grey[b[:, 1]], shared) for b in blocks])


@dataclass(frozen=True)
class Shared:
    """The details that the pictures of a set share: their mean and main directions of variation,
    (pixels,) and (directions, pixels)."""

    mean: Floats
    directions: Floats

    @classmethod
    def of(cls, grey: NDArray[np.uint8]) -> "Shared":
        """One direction for twenty pictures, at most ``MOST_SHARED``: fewer would be their own."""
        from sklearn.decomposition import PCA

        random = np.random.default_rng(0)
        some = random.permutation(len(grey))[:_SAMPLE]
        images = grey[some].astype(np.float32)
        # every second one as if cropped: a frame that lies elsewhere is shared all the same
        crops = random.uniform(-CROP, CROP, (len(images[1::2]), 4)).astype(np.float32)
        crops[:, [0, 2]] = -CROP
        images[1::2] = warp_images(images[1::2], crops)[0]
        details = _details(images, np.ones_like(images)).reshape(len(some), -1)
        count = min(MOST_SHARED, len(some) // 20)
        if count == 0:
            return cls(details.mean(axis=0) * 0, np.empty((0, details.shape[1]), np.float32))
        fitted = PCA(count, svd_solver="randomized", random_state=0).fit(details)
        return cls(fitted.mean_.astype(np.float32), fitted.components_.astype(np.float32))

    def without(self, details: Floats, inside: Floats) -> Floats:
        """Details (pairs, side, side) less what is shared, where pictures are known."""
        own = (details.reshape(len(details), -1) - self.mean) * inside.reshape(len(inside), -1)
        own -= (own @ self.directions.T) @ self.directions
        return own.reshape(details.shape)


def _agreement(one: NDArray[np.uint8], two: NDArray[np.uint8], shared: Shared) -> Floats:
    first, second = one.astype(np.float32), two.astype(np.float32)
    warp = align(first, second)
    # in both frames, because what is shared lies where it does in one that was not cropped
    return np.minimum(
        _own_correlation(first, second, warp, shared),
        _own_correlation(second, first, inverse(warp), shared),
    )


def _own_correlation(one: Floats, two: Floats, warp: Floats, shared: Shared) -> Floats:
    moved, inside = warp_images(two, warp)
    inside = _eroded(inside)
    mean = [(images * inside).sum(axis=(1, 2)) for images in (one, moved)]
    brighter = (mean[1] > mean[0])[:, None, None]
    bright, dark = np.where(brighter, moved, one), np.where(brighter, one, moved)
    like = brightened(dark, bright, inside)
    own = [shared.without(_details(images, inside), inside) for images in (bright, like)]
    return correlation(own[0], own[1], inside)


def brightened(images: Floats, like: Floats, inside: Floats) -> Floats:
    """Images in the light of brighter ones: with their gain and offset, cut off at white as they.

    All are (pairs, side, side). Gain and offset are found where neither is near white, if that is
    a tenth of the picture.
    """
    axes = (1, 2)
    below = inside * (images < WHITE) * (like < WHITE)
    total = below.sum(axis=axes, keepdims=True) + 1e-6
    mean, other = ((some * below).sum(axis=axes, keepdims=True) / total for some in (images, like))
    both = ((images - mean) * (like - other) * below).sum(axis=axes, keepdims=True)
    gain = both / (((images - mean) ** 2 * below).sum(axis=axes, keepdims=True) + 1.0)
    lit = np.clip(np.clip(gain, *_GAINS) * (images - mean) + other, 0, 255)
    return np.where(below.mean(axis=axes, keepdims=True) > 0.1, lit, images)


def align(one: Floats, two: Floats) -> Floats:
    """Warps (pairs, 4) that lay ``two`` over ``one``, both (pairs, 64, 64).

    A warp is (stretch, shift) of y, then of x: the place y of ``one`` is found at
    y + stretch × y + shift of ``two``, where pictures reach from −1 to 1.
    """
    warp = np.zeros((len(one), 4), np.float32)
    for side, steps in STEPS:
        small, other = _shrink(one, side), _shrink(two, side)
        for _ in range(steps):
            warp = np.clip(warp + _step(small, other, warp), -MOST, MOST)
    return warp


def inverse(warp: Floats) -> Floats:
    """The warps (pairs, 4) that lay the first pictures over the second ones."""
    stretch, shift = warp[:, [0, 2]], warp[:, [1, 3]]
    back = np.empty_like(warp)
    back[:, [0, 2]], back[:, [1, 3]] = -stretch / (1 + stretch), -shift / (1 + stretch)
    return back


def warp_images(images: Floats, warp: Floats) -> tuple[Floats, Floats]:
    """(the images (pairs, side, side) moved by their warps, 1 where they are known, else 0)."""
    side = images.shape[1]
    rows, row_inside = _places(warp[:, 0], warp[:, 1], side)
    columns, column_inside = _places(warp[:, 2], warp[:, 3], side)
    moved = _interpolate(images, rows)
    moved = _interpolate(moved.transpose(0, 2, 1), columns).transpose(0, 2, 1)
    inside = row_inside[:, :, None] & column_inside[:, None, :]
    return moved, inside.astype(np.float32)


def correlation(one: Floats, two: Floats, weight: Floats) -> Floats:
    """Pearson's correlation of the pixels (pairs, side, side) under a weight: (pairs,)."""
    axes = (1, 2)
    total = weight.sum(axis=axes) + 1e-6
    one = one - ((one * weight).sum(axis=axes) / total)[:, None, None]
    two = two - ((two * weight).sum(axis=axes) / total)[:, None, None]
    both = (one * two * weight).sum(axis=axes)
    spread = (one**2 * weight).sum(axis=axes) * (two**2 * weight).sum(axis=axes)
    return both / np.sqrt(spread + 1e-6)


def _step(one: Floats, two: Floats, warp: Floats) -> Floats:
    """One Gauss–Newton step for the warp, with gain and offset solved for beside it."""
    moved, inside = warp_images(two, warp)
    place = _grid(one.shape[1])
    down, across = np.gradient(moved, 2 / one.shape[1], axis=(1, 2))
    slopes = np.stack(
        [
            down * place[:, None],
            down,
            across * place,
            across,
            moved,
            np.ones_like(moved),
        ],
        axis=1,
    ).reshape(len(one), 6, -1)
    weighted = slopes * inside.reshape(len(one), 1, -1)
    normal = weighted @ slopes.transpose(0, 2, 1)
    # a flat picture gives no direction to go: a little of the trace keeps the step finite
    normal += np.eye(6, dtype=np.float32) * (
        1e-4 * np.trace(normal, axis1=1, axis2=2)[:, None, None] / 6 + 1e-3
    )
    right = weighted @ one.reshape(len(one), -1, 1)
    solved = np.linalg.solve(normal, right)[..., 0]
    gain = np.where(np.abs(solved[:, 4]) > 0.1, solved[:, 4], 0.1)
    return (solved[:, :4] / gain[:, None]).astype(np.float32)


def _details(images: Floats, weight: Floats) -> Floats:
    """What a blur over an eighth of the picture leaves out, less what compression changes."""
    from scipy.ndimage import gaussian_filter, uniform_filter

    images = gaussian_filter(images, (0, NOISE, NOISE))

    size = (1, images.shape[1] // 8 + 1, images.shape[2] // 8 + 1)
    known = uniform_filter(weight, size) + 1e-6
    return (images - uniform_filter(images * weight, size) / known) * weight


def _eroded(inside: Floats) -> Floats:
    """Less a pixel at its borders, where half of what is compared is not known."""
    from scipy.ndimage import minimum_filter

    return minimum_filter(inside, (1, 3, 3), mode="nearest")


def _grid(side: int) -> Floats:
    return ((np.arange(side, dtype=np.float32) + 0.5) * 2 / side - 1).astype(np.float32)


def _places(stretch: Floats, shift: Floats, side: int) -> tuple[Floats, NDArray[np.bool_]]:
    """Places in pixels (pairs, side) that a warp along one axis reads, and which are inside."""
    grid = _grid(side)
    places = (((grid * (1 + stretch[:, None]) + shift[:, None] + 1) * side - 1) / 2).astype(
        np.float32
    )
    return places, (places >= -0.5) & (places <= side - 0.5)


def _interpolate(images: Floats, places: Floats) -> Floats:
    """Rows of the images (pairs, side, side) read at ``places`` (pairs, side), linearly between."""
    side = images.shape[1]
    places = np.clip(places, 0, side - 1)
    low = np.minimum(places.astype(np.int64), side - 2)
    share = (places - low)[:, :, None].astype(np.float32)
    pair = np.arange(len(images))[:, None]
    return images[pair, low] * (1 - share) + images[pair, low + 1] * share


def _shrink(images: Floats, side: int) -> Floats:
    block = images.shape[1] // side
    shape = (len(images), side, block, side, block)
    return images.reshape(shape).mean(axis=(2, 4))
