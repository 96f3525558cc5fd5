"""Losses against what they stand for."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from harness.train.loss import make_loss, target_matrix

OUTPUTS = torch.tensor([[2.0, 0.5, -1.0, 0.0], [0.1, 0.2, 0.3, -0.4]])


def test_targets_as_matrices() -> None:
    assert target_matrix(np.array([2, 0]), 3).tolist() == [[0, 0, 1], [1, 0, 0]]
    assert target_matrix(np.array([2.5, 0.5]), 1).tolist() == [[2.5], [0.5]]
    assert target_matrix(np.array([[1, 0], [1, 1]]), 2).tolist() == [[1, 0], [1, 1]]


def test_classes_have_cross_entropy() -> None:
    target = np.array([1, 3])
    loss = make_loss("multiclass")(OUTPUTS, torch.from_numpy(target_matrix(target, 4)))
    assert loss.shape == (2,)
    assert loss.mean() == pytest.approx(F.cross_entropy(OUTPUTS, torch.from_numpy(target)).item())


def test_ordinal_loss_is_the_cross_entropy_of_every_threshold() -> None:
    target = np.array([1, 3])
    loss = make_loss("ordinal")(OUTPUTS, torch.from_numpy(target_matrix(target, 4)))
    by_hand = 0.0
    for row, label in zip(OUTPUTS.softmax(1).numpy(), target, strict=True):
        for k in range(3):
            above = row[k + 1 :].sum()
            by_hand -= np.log(above if label > k else 1 - above)
    assert loss.mean() == pytest.approx(by_hand / 2, rel=1e-5)


def test_a_far_miss_costs_more_than_a_near_one() -> None:
    sure_of_3 = torch.tensor([[0.0, 0.0, 0.0, 5.0]])
    loss = make_loss("ordinal")
    near, far = (
        float(loss(sure_of_3, torch.from_numpy(target_matrix(np.array([c]), 4)))) for c in (2, 0)
    )
    assert far > 2 * near


def test_weights_smoothing_and_units() -> None:
    labels = torch.tensor([[1.0, 0.0, 1.0, 1.0], [0.0, 0.0, 1.0, 0.0]])
    plain = F.binary_cross_entropy_with_logits(OUTPUTS, labels)
    assert make_loss("multilabel")(OUTPUTS, labels).mean() == pytest.approx(plain.item())
    assert make_loss("multilabel", 0.2)(OUTPUTS, labels).mean() != pytest.approx(plain.item())
    values, wanted = torch.tensor([[10.0], [30.0]]), torch.tensor([[20.0], [30.0]])
    assert make_loss("regression", spread=10.0)(values, wanted).tolist() == [0.5, 0.0]
    weights = torch.tensor([1.0, 2.0, 3.0, 0.5])
    one_hot = torch.from_numpy(target_matrix(np.array([1, 3]), 4))
    for task in ("multiclass", "ordinal"):
        doubled = make_loss(task, weights=2 * weights)(OUTPUTS, one_hot)
        single = make_loss(task, weights=weights)(OUTPUTS, one_hot)
        assert doubled.tolist() == pytest.approx((2 * single).tolist())


@pytest.mark.parametrize(("squared", "low", "high"), [(True, 1.6, 1.7), (False, 1.3, 1.45)])
def test_squared_errors_fit_the_mean_of_skewed_values(
    squared: bool, low: float, high: float
) -> None:
    """A lognormal's mean is 1.65; Huber's loss, which far values move little, lands below."""
    values = torch.from_numpy(np.random.default_rng(0).lognormal(size=(20_000, 1)))
    loss = make_loss("regression", spread=float(values.std()), squared=squared)
    constants = torch.arange(1, 2, 0.01)
    losses = [float(loss(torch.full_like(values, float(c)), values).mean()) for c in constants]
    assert low < constants[int(np.argmin(losses))] < high
