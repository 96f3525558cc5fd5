"""What fold models are worth together is measured on rows that none of them saw."""

import numpy as np
import pytest

from harness.metrics import get_metric
from harness.stack.fold_models import imagined_rows, leak_in_errors, noise_of, score_holdout

METRIC = get_metric("log_loss")


def noisy(rows: int, models: int, noise: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """(truth, predictions of models that see the same signal through noise of their own)."""
    draw = np.random.default_rng(seed)
    signal = 2 * draw.normal(size=(rows, 3))
    truth = (signal + draw.gumbel(size=signal.shape)).argmax(axis=1)
    seen = np.exp(signal + noise * draw.normal(size=(models, rows, 3)))
    return truth, (seen / seen.sum(axis=2, keepdims=True)).astype(np.float32)


def test_averaging_noisy_models_gains_and_says_how_much() -> None:
    truth, models = noisy(1000, 5, 1.5)
    scores = score_holdout(METRIC, truth, None, models, {}, seed=0, bootstrap=200)
    assert scores is not None
    assert scores.rows == 1000
    assert scores.one == pytest.approx(np.mean([METRIC.score(truth, one) for one in models]))
    assert [way.models for way in scores.ways] == [1, 2, 3, 4, 5]
    average = scores.way("average")
    assert average.models == 5
    assert average.score == pytest.approx(METRIC.score(truth, models.mean(axis=0)), abs=1e-6)
    assert average.over_one.value == pytest.approx(scores.one - average.score)
    assert average.over_one.low > 0
    assert scores.way("average", 2).over_one.value < average.over_one.value
    assert average.over_average.value == 0
    assert not average.does_harm


def test_the_noise_of_one_model_is_told_from_labels_and_without_them() -> None:
    """Three models tell what thirty gain, and so does how far they disagree."""
    truth, models = noisy(3000, 30, 0.5)
    known = noise_of(METRIC, "classes", truth, None, models[:3], seed=0)
    assert known is not None
    gained = METRIC.score(truth, models[0]) - METRIC.score(truth, models.mean(axis=0))
    assert known.loss == pytest.approx(gained * 30 / 29, rel=0.15)
    assert known.score == pytest.approx(known.loss)  # the metric is smooth itself
    imagined = noise_of(
        METRIC, "classes", *imagined_rows("classes", models[:3, :400], truth, seed=0), seed=0
    )
    assert imagined is not None
    assert imagined.loss == pytest.approx(known.loss, rel=0.25)
    assert imagined.error < imagined.score / 2


def test_without_labels_the_gain_is_the_ambiguity() -> None:
    """Squared error: the variance of the models. Log loss: how far they are from their mean."""
    draw = np.random.default_rng(0)
    values = (1990 + 15 * draw.normal(size=(1, 400, 1)) + draw.normal(size=(4, 400, 1))).astype(
        "f8"
    )
    rows = imagined_rows("values", values, 3 * draw.normal(size=900), seed=0)
    found = noise_of(get_metric("rmse"), "values", *rows, seed=0)
    assert found is not None
    assert found.loss == pytest.approx(values.var(axis=0, ddof=1).mean(), rel=0.1)
    _, models = noisy(600, 4, 0.7)
    mean = models.mean(axis=0)
    divergence = (mean * (np.log(mean) - np.log(models))).sum(axis=2).mean()
    found = noise_of(METRIC, "classes", *imagined_rows("classes", models, mean, seed=0), seed=0)
    assert found is not None
    assert found.loss == pytest.approx(divergence * 4 / 3, rel=0.1)
    labels = models[:, :, :2]
    found = noise_of(METRIC, "labels", *imagined_rows("labels", labels, mean, seed=0), seed=0)
    assert found is not None
    assert found.loss > 0


def test_holdout_scores_are_of_decided_predictions() -> None:
    rmse, truth = get_metric("rmse"), np.linspace(-1, 1, 50)
    models = np.stack([3 * truth, 4 * truth])[:, :, None]
    plain = score_holdout(rmse, truth, None, models, {}, seed=0, bootstrap=20)
    treated = score_holdout(
        rmse, truth, None, models, {}, seed=0, bootstrap=20, treat=lambda one: one.clip(-1, 1)
    )
    assert plain is not None
    assert treated is not None
    clipped = rmse.score(truth, models.mean(axis=0).clip(-1, 1))
    assert treated.way("average").score == pytest.approx(clipped)
    assert treated.one < plain.one


def test_copies_gain_nothing() -> None:
    truth, models = noisy(300, 1, 1.0)
    scores = score_holdout(METRIC, truth, None, np.repeat(models, 4, axis=0), {}, seed=0)
    assert scores is not None
    assert scores.way("average").over_one.value == pytest.approx(0, abs=1e-6)


def test_a_spoilt_soup_does_harm_and_a_good_one_does_not() -> None:
    truth, models = noisy(400, 3, 1.0)
    mean = models.mean(axis=0)
    soups = {"good": mean * 0.999 + 0.001 / 3, "spoilt": np.full_like(mean, 1 / 3)}
    scores = score_holdout(METRIC, truth, None, models, soups, seed=0, bootstrap=200)
    assert scores is not None
    assert not scores.way("good").does_harm
    assert scores.way("spoilt").does_harm
    assert scores.way("spoilt").over_average.high < 0


def test_noise_does_not_excuse_what_is_worse_than_one_fold_model() -> None:
    """On few rows everything is within the noise of the average."""
    truth, models = noisy(12, 3, 0.2)
    shifted = models.mean(axis=0)
    shifted[np.arange(12), truth] *= np.where(np.arange(12) % 2, 0.75, 1.3)
    shifted /= shifted.sum(axis=1, keepdims=True)
    scores = score_holdout(METRIC, truth, None, models, {"soup": shifted}, seed=0)
    assert scores is not None
    soup = scores.way("soup")
    assert -soup.error < soup.over_average.value
    assert soup.over_one.value < 0
    assert soup.does_harm


def test_greater_is_better_is_turned() -> None:
    truth, models = noisy(500, 4, 2.0)
    scores = score_holdout(get_metric("accuracy"), truth, None, models, {}, seed=0, bootstrap=100)
    assert scores is not None
    average = scores.way("average")
    assert average.score > scores.one
    assert average.over_one.value == pytest.approx(average.score - scores.one)


def test_a_holdout_without_a_class_is_not_measured() -> None:
    _, models = noisy(50, 2, 1.0)
    binary = models[:, :, :2] / models[:, :, :2].sum(axis=2, keepdims=True)
    one_class = np.zeros(50, int)
    assert score_holdout(get_metric("roc_auc"), one_class, None, binary, {}, seed=0) is None


@pytest.mark.parametrize("seed", range(5))
def test_a_leak_is_told_from_luck(seed: int) -> None:
    truth, (inside, leaked) = noisy(600, 2, 1.0, seed)
    leaked[np.arange(600), truth] += 1  # as if the labels had been seen
    leaked /= leaked.sum(axis=1, keepdims=True)
    held_truth, held = noisy(80, 3, 1.0, seed + 100)
    scores = score_holdout(METRIC, held_truth, None, held, {}, seed=0, bootstrap=200)
    assert scores is not None
    honest = leak_in_errors(METRIC, truth, None, inside, scores, seed=0)
    assert abs(honest) < 3
    assert leak_in_errors(METRIC, truth, None, leaked, scores, seed=0) > 4


def test_two_holdout_rows_raise_no_alarm() -> None:
    """Their own spread may be none; what the other rows predict for so few is not."""
    truth, (inside,) = noisy(600, 1, 1.0)
    accuracy = get_metric("accuracy")
    wrong = np.eye(3)[None, [0, 0]]
    scores = score_holdout(accuracy, np.array([1, 2]), None, wrong, {}, seed=0, bootstrap=50)
    assert scores is not None
    assert scores.one_error == 0
    assert leak_in_errors(accuracy, truth, None, inside, scores, seed=0) < 4


def test_repeats_are_held_against_an_average() -> None:
    """Out of fold a row is predicted by as many models as there are repeats."""
    truth, (one, *_) = noisy(2000, 1, 1.5)
    held_truth, held = noisy(500, 4, 1.5, seed=1)
    scores = score_holdout(METRIC, held_truth, None, held, {}, seed=0, bootstrap=100)
    assert scores is not None
    alone = leak_in_errors(METRIC, truth, None, one, scores, seed=0)
    averaged = leak_in_errors(METRIC, truth, None, one, scores, seed=0, repeats=4)
    assert averaged < alone
