"""Cheap things that give the class away."""

import numpy as np
import pytest

from harness.audit.look import Looks
from harness.audit.probe import Question, make_folds
from harness.audit.shortcuts import (
    COLOURS,
    cheap_columns,
    colour_shares,
    dominant_colours,
    judge,
    sentences,
    turn_hues,
)

RED, GREEN, GREY = (220, 20, 20), (30, 180, 40), (128, 128, 128)


def plain(*colours: tuple[int, int, int]) -> np.ndarray:
    """A square of each colour: (colours, 32, 32, 3)."""
    return np.array([np.broadcast_to(colour, (32, 32, 3)) for colour in colours], np.uint8)


@pytest.mark.parametrize(
    ("colour", "name"),
    [
        (RED, "red"),
        ((240, 140, 20), "orange"),
        ((240, 230, 30), "yellow"),
        (GREEN, "green"),
        ((40, 220, 220), "cyan"),
        ((20, 40, 220), "blue"),
        ((130, 40, 200), "purple"),
        ((250, 80, 180), "pink"),
        ((10, 12, 8), "black"),
        (GREY, "grey"),
        ((250, 250, 250), "white"),
    ],
)
def test_colours_have_their_names(colour: tuple[int, int, int], name: str) -> None:
    shares = colour_shares(plain(colour))[0]
    assert COLOURS[int(shares.argmax())] == name
    assert shares.sum() == pytest.approx(1)


def pictures(tied: bool, rows: int = 120) -> tuple[Looks, Question]:
    """Grey pictures with a patch somewhere, whose colour is the class's or any."""
    random = np.random.default_rng(0)
    target = np.arange(rows) % 2
    colour = np.repeat(plain(GREY), rows, axis=0)
    for row in range(rows):
        y, x = random.integers(0, 22, 2)
        patch = (RED, GREEN)[target[row] if tied else random.integers(2)]
        colour[row, y : y + 10, x : x + 10] = patch
    nothing = np.zeros((rows, 3), np.float32)
    looks = Looks(
        contents=np.array([str(row) for row in range(rows)]),
        readable=np.ones(rows, np.bool_),
        shape=np.full((rows, 3), 100),
        light=nothing,
        sharpness=nothing[:, 0],
        grey=colour.repeat(2, axis=1).repeat(2, axis=2)[..., 0],
        colour=colour,
        features=nothing[:, :0],
    )
    return looks, Question(target, 2, make_folds(target, None))


@pytest.mark.parametrize("tied", [True, False])
def test_only_a_colour_that_is_tied_to_the_class_rings(tied: bool) -> None:
    looks, question = pictures(tied)
    verdict = judge("colours alone", question, cheap_columns(looks)["colours alone"], real=0.9)
    assert verdict.alarm == tied
    lines = sentences([verdict], ("stop", "go"), question, colour_shares(looks.colour), real=0.9)
    assert lines[0].startswith("ALARM") == tied
    if tied:
        assert any("class stop" in line and "red" in line for line in lines)
        assert any("class go" in line and "green" in line for line in lines)


def test_the_border_does_not_see_the_centre() -> None:
    looks, _ = pictures(tied=True, rows=10)
    changed = looks.colour.copy()
    changed[:, 4:-4, 4:-4] = 255 - changed[:, 4:-4, 4:-4]
    other = Looks(**{**vars(looks), "colour": changed})
    name = "the border without the centre"
    assert (cheap_columns(looks)[name] == cheap_columns(other)[name]).all()
    assert (
        cheap_columns(looks)["an 8 × 8 thumbnail"] != cheap_columns(other)["an 8 × 8 thumbnail"]
    ).any()


def test_the_dominant_colour_is_the_one_that_others_lack() -> None:
    shares = colour_shares(plain(RED, RED, GREEN, GREY))
    assert dominant_colours(shares, np.array([0, 0, 1, 1]), 0) == ["red"]


def test_turning_hues_keeps_grey_and_brightness() -> None:
    squares = plain(GREY, (150, 90, 80))
    turned = turn_hues(squares, np.array([120.0, 180.0]))
    assert np.abs(turned[0].astype(int) - 128).max() <= 1
    weights = np.array([0.299, 0.587, 0.114])
    assert np.allclose((turned[1] @ weights).mean(), (squares[1] @ weights).mean(), atol=1.5)
    assert (turned[1] != squares[1]).any()
    assert (turn_hues(squares, np.zeros(2)) == squares).all()
