"""Metadata columns as numbers: coded on the training table, the same ever after."""

from pathlib import Path

import numpy as np
import pytest

from harness.data.metadata import MOST_CATEGORIES, Column, choose_columns, encode
from harness.errors import DataError

SOURCE = Path("train.csv")


def text(*rows: tuple[str, ...]) -> np.ndarray:
    return np.array(rows, dtype=object)


def test_numbers_stay_and_what_is_none_is_unknown() -> None:
    (column,) = choose_columns(["age"], text(("40",), ("",), ("7.5",)), SOURCE)
    assert column == Column("age")
    coded = encode([column], text(("41",), ("",), ("old",), ("inf",)))
    np.testing.assert_array_equal(coded, np.array([[41], [np.nan], [np.nan], [np.nan]], np.float32))


def test_categories_are_coded_by_name_whatever_the_order_of_the_rows() -> None:
    columns = choose_columns(["site"], text(("c",), ("a",), ("b",), ("a",)), SOURCE)
    assert columns == choose_columns(["site"], text(("a",), ("b",), ("c",)), SOURCE)
    coded = encode(columns, text(("b",), ("new",), ("",)))
    nan = [np.nan] * 3
    np.testing.assert_array_equal(coded, np.array([[0, 1, 0], nan, nan], np.float32))


def test_two_categories_are_one_column_beside_a_number() -> None:
    rows = text(("f", "1"), ("m", "2"))
    columns = choose_columns(["sex", "age"], rows, SOURCE)
    np.testing.assert_array_equal(encode(columns, rows), np.array([[0, 1], [1, 2]], np.float32))
    np.testing.assert_array_equal(
        encode(columns, text(("x", "3"))), np.array([[np.nan, 3]], np.float32)
    )


def test_no_columns_are_no_metadata() -> None:
    assert choose_columns([], np.empty((3, 0), dtype=object), SOURCE) == ()
    assert encode([], np.empty((3, 0), dtype=object)) is None


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (["same", "same", ""], "train.csv: column 'x' says the same"),
        ([f"name {i}" for i in range(MOST_CATEGORIES + 1)], "51 different texts, more than 50"),
    ],
)
def test_columns_that_say_nothing_are_refused(cells: list[str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        choose_columns(["x"], text(*((cell,) for cell in cells)), SOURCE)
