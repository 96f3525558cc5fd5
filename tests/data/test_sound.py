"""Ids that are empty or stand twice are found, however the check gets there."""

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from harness.data.frame import as_column
from harness.data.sound import MOST_HASHED, sound_ids
from harness.errors import DataError

TEXTS = st.text("ab0é", max_size=4) | st.sampled_from(["x" * MOST_HASHED, "x" * (MOST_HASHED + 1)])


@given(ids=st.lists(TEXTS, min_size=1))
@example(ids=["ab", "ba"])
@example(ids=["a", "a"])
@example(ids=["x" * (MOST_HASHED + 1)] * 2)
def test_only_different_ids_pass(ids: list[str]) -> None:
    column = as_column(["ahead", *ids])[1:]  # a piece of a column, too
    if len(set(ids)) == len(ids) and "" not in ids:
        assert sound_ids(column, Path("t.csv"), "id").tolist() == ids
        return
    with pytest.raises(DataError, match=r"more than once|an empty id"):
        sound_ids(column, Path("t.csv"), "id")
