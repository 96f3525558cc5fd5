"""Copies among pictures: exact ones by their bytes, altered ones by their looks. Pure.

Candidates are nearest neighbours in two ways of seeing: a perceptual hash before it is cut to
bits (the low frequencies of the cosine transform), asked again for every picture as if its borders
had been cropped, and, where there is a backbone, its features.
A candidate counts once the two pictures agree in their details (:mod:`harness.audit.align`) and in
their hue.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.audit.align import CROP, agreement, warp_images
from harness.audit.look import Looks
from harness.audit.neighbours import nearest_pairs
from harness.audit.probe import reducer
from harness.data.findings import Finding, Kind

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

NEIGHBOURS = 2
BLANK = 2.5
"""Standard deviation of brightness (of 255) below which there is nothing to compare."""
SHORT = 0.125
"""Two pictures are one if their agreement lacks at most so much of what strangers' lacks to 1."""
TURN, GREY = 0.45, 4.0
"""Copies' mean colours differ by at most this sine of the hue, or by this distance (of 255)."""
_STRANGERS = 300
_INDIRECT = 0.5
"""How sure a leak is that only other copies connect."""
_HASH_FLOOR, _FEATURE_FLOOR = 0.8, 0.6
_FREQUENCIES = 8


@dataclass(frozen=True)
class Copies:
    """Pairs of rows that show the same picture, and how sure that is: 1 for the same bytes."""

    exact: Ints  # (pairs, 2)
    near: Ints  # (pairs, 2)
    agreement: Floats  # (near pairs,)

    @property
    def pairs(self) -> Ints:
        """All pairs, the exact ones first."""
        return np.concatenate([self.exact, self.near])


def find_copies(looks: Looks, short: float = SHORT) -> Copies:
    """Copies among the pictures: whose agreement lacks at most ``short`` of what strangers' lacks.

    Files that cannot be read, and blank pictures, are copies only if their bytes are the same.
    """
    _, first, code = np.unique(looks.contents, return_index=True, return_inverse=True)
    original = first[code]
    repeated = np.flatnonzero(original != np.arange(len(looks)))
    exact = np.column_stack([original[repeated], repeated]).astype(np.int64)
    varied = looks.light[:, 2] > BLANK
    rows = np.sort(first[looks.readable[first] & varied[first]])
    if len(rows) < 2:
        return Copies(exact, np.empty((0, 2), np.int64), np.empty(0, np.float32))
    grey = looks.grey[rows]
    candidates = hash_candidates(grey)
    if looks.features.shape[1]:
        features = looks.features[rows]
        vectors = directions(reducer(features)(features))
        by_features = nearest_pairs(vectors, NEIGHBOURS, _FEATURE_FLOOR)
        candidates = np.unique(np.concatenate([candidates, by_features]), axis=0)
    # all in one call, so that the same is taken off as shared
    strangers = random_pairs(len(rows))
    agreed = agreement(grey, np.concatenate([strangers, candidates]))
    usual = float(np.quantile(agreed[: len(strangers)], 0.99))
    agreed = agreed[len(strangers) :]
    alike = (1 - agreed <= short * (1 - usual)) & _like_hues(looks.colour[rows], candidates)
    return Copies(exact, rows[candidates[alike]].astype(np.int64), agreed[alike])


def _like_hues(colour: NDArray[np.uint8], pairs: Ints) -> NDArray[np.bool_]:
    """Whether the mean colours of the two of each pair (pairs,) have about the same hue.

    Neither brightness nor contrast counts, nor does a difference that a grey picture has.
    """
    red, green, blue = colour.mean(axis=(1, 2), dtype=np.float32).T
    hue = red - green + 1j * ((red + green) / 2 - blue)
    one, two = hue[pairs[:, 0]], hue[pairs[:, 1]]
    shorter = np.minimum(abs(one), abs(two))
    turn = np.abs(np.angle(one * two.conj()))
    return shorter * np.sin(np.minimum(turn, np.pi / 2)) <= np.maximum(GREY, TURN * shorter)


def random_pairs(rows: int) -> Ints:
    """``_STRANGERS`` pairs (pairs, 2) of different rows: nearly all of them strangers."""
    random = np.random.default_rng(0)
    first = random.integers(0, rows, _STRANGERS)
    return np.column_stack([first, (first + random.integers(1, rows, _STRANGERS)) % rows])


def hash_candidates(grey: NDArray[np.uint8]) -> Ints:
    """Pairs (pairs, 2) of thumbnails (rows, 64, 64) with like low frequencies, cropped or not.

    Wherever a crop lies, one of the nine that are asked for is near.
    """
    waves = frequencies(grey)
    # in relation to the rows, so that what all pictures have in common does not count
    mean, spread = waves.mean(axis=0), waves.std(axis=0) + 1e-6
    crops = (
        _unit((frequencies(cropped(grey, y, x)) - mean) / spread)
        for y in (-1, 0, 1)
        for x in (-1, 0, 1)
    )
    return nearest_pairs(_unit((waves - mean) / spread), NEIGHBOURS, _HASH_FLOOR, variants=crops)


def frequencies(grey: NDArray[Any]) -> Floats:
    """Low frequencies of thumbnails (rows, 64, 64): what pHash takes the signs of, (rows, 63).

    Neither brightness nor contrast counts.
    """
    from scipy.fft import dctn

    blocks = [  # copied, lest every block keeps all of its frequencies in memory
        dctn(block.astype(np.float32), axes=(1, 2))[:, :_FREQUENCIES, :_FREQUENCIES].copy()
        for block in np.array_split(grey, -(-len(grey) // 4096))
    ]
    return _unit(np.concatenate(blocks).reshape(len(grey), -1)[:, 1:])


def cropped(grey: NDArray[np.uint8], y: int, x: int) -> NDArray[np.uint8]:
    """Thumbnails without ``CROP`` of each side, kept at the top, middle or bottom (−1, 0, 1), and
    so for ``x``."""
    warp = np.array([-CROP, y * CROP, -CROP, x * CROP], np.float32)
    blocks = [
        warp_images(block.astype(np.float32), np.tile(warp, (len(block), 1)))[0].astype(np.uint8)
        for block in np.array_split(grey, -(-len(grey) // 1024))
    ]
    return np.concatenate(blocks)


def directions(vectors: Floats) -> Floats:
    """Rows centred, each column in relation to its spread, as unit vectors."""
    return _unit((vectors - vectors.mean(axis=0)) / (vectors.std(axis=0) + 1e-6))


def _unit(vectors: Floats) -> Floats:
    return vectors / (np.linalg.norm(vectors, axis=1, keepdims=True) + 1e-12)


def components(rows: int, pairs: Ints) -> Ints:
    """A code for every row (rows,), the same for rows that pairs (pairs, 2) connect."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    graph = coo_array((np.ones(len(pairs), np.int8), (pairs[:, 0], pairs[:, 1])), (rows, rows))
    codes: Ints = connected_components(graph, directed=False)[1]
    return codes


def copy_findings(
    copies: Copies, ids: Sequence[str], labels: Sequence[object], trained: int
) -> list[Finding]:
    """Findings about rows of which the first ``trained`` are training images, the others test.

    A training image leaks when pairs connect it with a test image, even through others.
    ``labels`` (trained,) tell which copies contradict one another. Copies among test images are
    none of a competitor's business.
    """
    certain = np.concatenate([np.ones(len(copies.exact), np.float32), copies.agreement])
    pairs = copies.pairs
    found: list[Finding] = []
    leaks: dict[int, tuple[float, int]] = {}
    for number, ((a, b), sure) in enumerate(zip(pairs.tolist(), certain.tolist(), strict=True)):
        a, b = min(a, b), max(a, b)
        if b < trained:
            kind: Kind = "exact_duplicate" if number < len(copies.exact) else "near_duplicate"
            found.append(Finding(ids[b], kind, min(1.0, sure), ids[a]))
            if labels[a] != labels[b]:
                found.append(Finding(ids[b], "conflicting_label", min(1.0, sure), ids[a]))
        elif a < trained:
            leaks[a] = max(leaks.get(a, (0.0, b)), (min(1.0, sure), b))
    codes = components(len(ids), pairs)
    test_row = {int(codes[row]): row for row in reversed(range(trained, len(ids)))}
    linked = set(np.unique(pairs).tolist())
    for row in range(trained):
        if row in linked and codes[row] in test_row:
            sure, test = leaks.get(row, (_INDIRECT, test_row[codes[row]]))
            found.append(Finding(ids[row], "leak_train_test", sure, ids[test]))
    return found
