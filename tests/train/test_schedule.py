"""Learning rates, sizes and cycles."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.model import ModelSection
from harness.train.order import epoch_batches
from harness.train.schedule import Schedule


def schedule(rows: int = 320, **values: object) -> Schedule:
    base = {"name": "x", "backbone": "resnet18", "epochs": 10, "warmup_epochs": 1.0}
    return Schedule.of(ModelSection.model_validate(base | values), rows)


def test_the_learning_rate_warms_up_and_falls_to_nothing() -> None:
    plan = schedule()
    factors = [plan.rate(step) for step in range(plan.steps)]
    assert plan.steps == 100
    assert factors[0] == pytest.approx(0.1)
    assert max(factors) == pytest.approx(1.0)
    assert factors[9:] == sorted(factors[9:], reverse=True)
    assert factors[-1] < 0.001


def test_every_cycle_falls_to_nothing_and_leaves_a_snapshot_but_the_last() -> None:
    plan = schedule(snapshots=3)
    assert plan.cycle_ends == (40, 70, 100)
    assert [s for s in range(101) if plan.snapshot_at(s)] == [40, 70]
    assert [plan.snapshot_at(40), plan.snapshot_at(70)] == [1, 2]
    assert all(plan.rate(end - 1) < 0.01 for end in plan.cycle_ends)
    assert plan.rate(40) == plan.rate(70) == 1.0


def test_while_only_the_head_learns_the_rate_stays_and_the_rest_has_its_own_warm_up() -> None:
    plan = schedule(head_epochs=2.0)
    assert {plan.rate(step) for step in range(20)} == {1.0}
    assert plan.rate(20) == pytest.approx(0.1)
    assert plan.rate(99) < 0.001


def test_weights_are_averaged_where_the_rate_no_longer_falls() -> None:
    plan = schedule(average="swa")
    assert plan.swa_from == 80
    assert len({plan.rate(step) for step in range(80, 100)}) == 1
    assert plan.rate(80) > 0.05


@given(
    rows=st.integers(2, 5000),
    batch=st.integers(1, 64),
    epochs=st.integers(1, 20),
    share=st.floats(0.1, 1),
    size=st.sampled_from([16, 40, 128, 224, 300]),
)
def test_images_grow_to_their_full_size_and_never_shrink(
    rows: int, batch: int, epochs: int, share: float, size: int
) -> None:
    plan = schedule(rows, batch_size=batch, epochs=epochs, progressive=share, image_size=size)
    sizes = [plan.size(step) for step in range(plan.steps)]
    assert sizes == sorted(sizes)
    assert sizes[-1] == size or plan.steps < 4
    assert all(s == size or s % 32 == 0 for s in sizes)


@given(rows=st.integers(2, 300), size=st.integers(2, 40))
def test_no_batch_has_a_single_row(rows: int, size: int) -> None:
    plan = schedule(rows, batch_size=size)
    sizes = [len(batch) for batch in epoch_batches(np.arange(rows), plan.batches, 0, 0)]
    assert min(sizes) >= 2
    assert max(sizes) <= max(size, 3)
