"""Formulas are read and never run."""

import pytest

from harness.formula import LONGEST, value_of

VALUES = {"score": 0.9, "seconds": 3240.0, "base": 0.5, "best": 0.95}


def test_arithmetic() -> None:
    assert value_of("score/(base-best) + seconds/32400", VALUES) == pytest.approx(-1.9)
    assert value_of(" -score * 2 - +1", VALUES) == pytest.approx(-2.8)


@pytest.mark.parametrize(
    "bad",
    [
        "-" * 400 + "1" * 90 + "x",
        "__import__('os')",
        "score ** 9",
        "score.real",
        "unknown",
        "1 +",
        "",
        "'a'",
        "1e999j",
        "(" * 400,
    ],
)
def test_nothing_else_is_understood(bad: str) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        value_of(bad, VALUES)


def test_it_is_no_longer_than_a_line_or_two() -> None:
    with pytest.raises(ValueError, match="longer"):
        value_of("1" * (LONGEST + 1), VALUES)


def test_a_division_by_zero_has_no_value() -> None:
    with pytest.raises(ArithmeticError):
        value_of("score / (base - base)", VALUES)
