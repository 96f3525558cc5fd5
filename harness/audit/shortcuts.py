"""Does something cheap give the class away? Pure.

Each probe sees one cheap thing only. One that comes near what the real model reaches is an alarm:
the model may be looking at that, and the test set may lack it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.audit.look import Looks, shrink
from harness.audit.probe import Floats, Question, mean_interval, trees

HUES = ("red", "orange", "yellow", "green", "cyan", "blue", "purple", "pink")
COLOURS = (*HUES, "black", "grey", "white")
_HUE_ENDS = np.array([15, 45, 70, 165, 195, 255, 290, 345], np.float32)  # degrees; then red again

NEAR = 0.5
"""A probe that reaches this share of the real model's gain over guessing is near it."""


@dataclass(frozen=True)
class Verdict:
    """What one cheap thing is worth: its balanced accuracy with a 95 % interval, and the share of
    the real model's gain over guessing."""

    name: str
    score: float
    low: float
    high: float
    share: float
    alarm: bool
    recalls: NDArray[np.float64]  # (classes,)


def judge(name: str, question: Question, columns: Floats, real: float) -> Verdict:
    """Score what can be learnt from ``columns`` (rows, columns).

    ``real`` is the balanced accuracy of the model that is trained, 1 where none is known; guessing
    has 1 / classes.
    """
    right = question.out_of_fold(columns, trees).argmax(axis=1) == question.target
    score, low, high = balanced(question, right)
    guess = 1 / len(np.unique(question.target))
    share = (score - guess) / max(real - guess, 1e-3)
    return Verdict(
        name, score, low, high, share, share >= NEAR and low > guess, recalls(question, right)
    )


def balanced(question: Question, right: NDArray[np.bool_]) -> tuple[float, float, float]:
    """The mean of the classes' recalls, with its 95 % interval; ``right`` is (rows,)."""
    counts = np.bincount(question.target, minlength=question.classes)
    weight = len(right) / (np.count_nonzero(counts) * np.maximum(counts, 1))
    return mean_interval(right * weight[question.target])


def recalls(question: Question, right: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The share of each class's rows that are ``right``: (classes,)."""
    counts = np.bincount(question.target, minlength=question.classes)
    return np.bincount(question.target, right, question.classes) / np.maximum(counts, 1)


def cheap_columns(looks: Looks) -> dict[str, Floats]:
    """What each probe sees of the pictures: name → (rows, columns)."""
    colour = looks.colour.astype(np.float32)
    rows = len(colour)
    width, height, size = np.maximum(looks.shape.T, 1).astype(np.float32)
    small = shrink(colour, 16)
    ring = np.ones((16, 16), np.bool_)
    ring[2:-2, 2:-2] = False
    return {
        "colours alone": np.hstack([colour.mean(axis=(1, 2)), 255 * colour_shares(looks.colour)]),
        "an 8 × 8 thumbnail": shrink(colour, 8).reshape(rows, -1),
        "the border without the centre": small[:, ring].reshape(rows, -1),
        "file size and shape": np.column_stack(
            [np.log(size), np.log(width), np.log(height), np.log(width / height)]
        ),
    }


def colour_shares(pixels: NDArray[np.uint8]) -> Floats:
    """How much of each picture (rows, side, side, 3) has each of ``COLOURS``: (rows, colours)."""
    shares = [
        np.stack([(name == code).mean(axis=(1, 2)) for code in range(len(COLOURS))], axis=1)
        for block in np.array_split(pixels, -(-len(pixels) // 512))
        for name in [_colour_names(block)]
    ]
    return np.concatenate(shares).astype(np.float32)


def dominant_colours(shares: Floats, target: NDArray[np.int64], code: int) -> list[str]:
    """The colours that a class has far more of than the others do, the most telling first."""
    inside = shares[target == code].mean(axis=0)
    outside = shares[target != code].mean(axis=0)
    ratio = (inside + 0.005) / (outside + 0.005)
    order = np.argsort(-ratio, kind="stable")
    return [COLOURS[i] for i in order[:2] if ratio[i] >= 2 and inside[i] >= 0.01]


def turn_hues(squares: NDArray[np.uint8], degrees: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Pictures (rows, side, side, 3) whose hues are turned, brightness as it was (YIQ)."""
    to_yiq = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])
    back = np.linalg.inv(to_yiq)
    turned = np.empty_like(squares)
    for row, angle in enumerate(np.deg2rad(degrees)):
        turn = np.array(
            [[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]]
        )
        colours = squares[row].astype(np.float32) @ (back @ turn @ to_yiq).T.astype(np.float32)
        turned[row] = np.clip(colours + 0.5, 0, 255).astype(np.uint8)
    return turned


def sentences(
    verdicts: Sequence[Verdict],
    names: Sequence[str],
    question: Question,
    shares: Floats,
    real: float,
    model: str = "the model",
) -> list[str]:
    """Return a line on each probe; an alarm names the classes concerned.

    ``model`` is what reaches ``real``.
    """
    lines = []
    for verdict in verdicts:
        line = (
            f"{verdict.name}: balanced accuracy {verdict.score:.2f} "
            f"({verdict.low:.2f} to {verdict.high:.2f}; {model}'s {real:.2f})"
        )
        if verdict.alarm:
            line = f"ALARM: {line}, {verdict.share:.0%} of {model}'s gain"
        lines.append(line)
        if verdict.alarm:
            lines += _classes(verdict, names, question, shares)
    return lines


def _classes(
    verdict: Verdict, names: Sequence[str], question: Question, shares: Floats
) -> list[str]:
    order = np.argsort(-verdict.recalls, kind="stable")
    guess = 1 / question.classes
    found = []
    for code in order[:5].tolist():
        if verdict.recalls[code] < max(0.5, 2 * guess):
            break
        colours = ""
        if verdict.name == "colours alone":
            dominant = dominant_colours(shares, question.target, code)
            verb = "dominate" if len(dominant) > 1 else "dominates"
            colours = f": {' and '.join(dominant)} {verb}" if dominant else ""
        found.append(f"  class {names[code]}: {verdict.recalls[code]:.0%} recognised{colours}")
    return found


def _colour_names(pixels: NDArray[np.uint8]) -> NDArray[np.int8]:
    """The place in ``COLOURS`` of each pixel (rows, side, side)."""
    colour = pixels.astype(np.float32) / 255
    high, low = colour.max(axis=-1), colour.min(axis=-1)
    spread = high - low
    red, green, blue = np.moveaxis(colour, -1, 0)
    safe = np.maximum(spread, 1e-6)
    hue = np.select(
        [high == red, high == green],
        [(green - blue) / safe % 6, (blue - red) / safe + 2],
        (red - green) / safe + 4,
    )
    named = np.searchsorted(_HUE_ENDS, hue * 60, side="right") % len(HUES)
    pale = spread < 0.15 + 0.15 * (high - 0.5).clip(0)
    named = np.where(pale, len(HUES) + 1 + (high > 0.85), named)
    return np.where(high < 0.15, len(HUES), named).astype(np.int8)
