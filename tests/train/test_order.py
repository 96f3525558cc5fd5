"""Batches: every row once an epoch, another order each, all from the seed."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from harness.train.loss import target_matrix
from harness.train.order import balanced, class_weights, epoch_batches


@given(rows=st.integers(1, 300), size=st.integers(1, 40), seed=st.integers(0, 99))
def test_every_row_comes_once_in_batches_of_nearly_one_size(
    rows: int, size: int, seed: int
) -> None:
    numbers = np.arange(rows) * 3
    count = -(-rows // size)
    batches = epoch_batches(numbers, count, seed, 0)
    sizes = [len(batch) for batch in batches]
    assert sorted(np.concatenate(batches)) == list(numbers)
    assert max(sizes) <= size
    assert max(sizes) - min(sizes) <= 1
    again = epoch_batches(numbers, count, seed, 0)
    assert all((a == b).all() for a, b in zip(batches, again, strict=True))
    if rows > 20:
        other = np.concatenate(epoch_batches(numbers, count, seed, 1))
        assert (np.concatenate(batches) != other).any()


def test_classes_are_drawn_equally_often_and_weigh_alike() -> None:
    target = np.array([0] * 90 + [1] * 9 + [2])
    targets = target_matrix(target, 4)  # the fourth class has no rows
    drawn = balanced(targets)
    shares = [drawn[target == label].sum() for label in range(3)]
    assert np.allclose(shares, 1 / 3)
    weights = class_weights(targets)
    assert weights[3] == 0
    assert np.allclose(weights[:3] * [90, 9, 1], 100 / 3)
    batches = epoch_batches(np.arange(100), 3, 0, 0, drawn)
    seen = target[np.concatenate(batches)]
    assert min((seen == label).mean() for label in range(3)) > 0.2


def test_rows_without_a_label_are_drawn_as_often_as_those_of_a_label() -> None:
    targets = np.zeros((1000, 3), np.float32)
    targets[np.arange(479), np.arange(479) % 3] = 1  # and 521 rows have none
    drawn = balanced(targets)
    assert np.isclose(drawn[479:].sum(), 0.25)
    assert np.allclose([drawn[targets[:, label] == 1].sum() for label in range(3)], 0.25, rtol=0.01)
    assert (drawn > 0).all()
