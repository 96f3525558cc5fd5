"""Pictures that are unlike what one trains on: unreadable, blank, dark, blurred, odd. Pure."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from harness.audit.look import Looks
from harness.data.findings import Finding, Kind, Part

BLANK = 2.0
"""Standard deviation of brightness (of 255) below which a picture shows nothing."""
DARK = 51.0
"""95th percentile of brightness below which hardly anything can be seen: a fifth of the range."""
BRIGHT = 230.0
"""5th percentile of brightness above which it is burnt out."""
UNUSUAL = 5.0
"""Robust standard deviations from the median at which a picture is unlike the others."""
TWICE = 1.0
"""What is odd is also at least twice or half the usual: in binary logarithms."""


def quality_findings(looks: Looks, ids: list[str], parts: list[Part]) -> list[Finding]:
    """Findings on rows of ``looks``; what is usual is the median of those that can be read."""
    readable = looks.readable
    found = [
        Finding(ids[row], "unreadable", 1.0, part=parts[row]) for row in np.flatnonzero(~readable)
    ]
    if not readable.any():
        return found
    low, high, spread = looks.light.T
    blank = readable & (spread < BLANK)
    usual = readable & ~blank
    dark, bright = usual & (high < DARK), usual & (low > BRIGHT)
    shares: list[tuple[Kind, NDArray[np.bool_], NDArray[np.floating]]] = [
        ("blank", blank, 1 - spread / BLANK / 2),
        ("dark", dark, 1 - high / DARK / 2),
        ("bright", bright, (low - BRIGHT) / (255 - BRIGHT) / 2 + 0.5),
    ]
    width, height, _ = np.maximum(looks.shape.T, 1).astype(np.float64)
    sharp = -unusual(np.log2(looks.sharpness + 1e-6), usual)
    size = np.abs(unusual(np.log2(width * height) / 2, readable, least=TWICE))
    shape = np.abs(unusual(np.log2(width / height), readable, least=TWICE))
    for kind, rows, far in (
        ("blurred", usual, sharp),
        ("odd_size", readable, size),
        ("odd_shape", readable, shape),
    ):
        odd = rows & (far > 1)
        shares.append((kind, odd, 1 - 0.5 / np.maximum(far, 1)))  # type: ignore[arg-type]
    found += _each(shares, ids, parts)
    return found


def unusual(
    values: NDArray[np.floating], among: NDArray[np.bool_], least: float = 1.0
) -> NDArray[np.floating]:
    """How far each value is from the median of those ``among``: beyond ±1 it is unlike them.

    1 stands for ``UNUSUAL`` robust standard deviations (1.4826 × the median deviation), and for
    ``least`` where that is more.
    """
    if not among.any():
        return np.zeros(len(values))
    middle = np.median(values[among])
    spread = 1.4826 * np.median(np.abs(values[among] - middle))
    return np.asarray((values - middle) / max(UNUSUAL * spread, least))


def _each(
    shares: list[tuple[Kind, NDArray[np.bool_], NDArray[np.floating]]],
    ids: list[str],
    parts: list[Part],
) -> Iterator[Finding]:
    for kind, rows, severity in shares:
        for row in np.flatnonzero(rows):
            grave = float(np.clip(severity[row], 0, 1))
            yield Finding(ids[row], kind, grave, part=parts[row])
