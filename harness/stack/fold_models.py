"""The worth of a run's fold models together, on rows that none of them saw. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from harness.estimate import Estimate
from harness.metrics import Metric
from harness.predict.plan import Kind
from harness.stack.cascade import smooth_metric
from harness.stack.honest import NORMAL, estimate
from harness.stack.problem import Array
from harness.stack.resample import paired_scores, row_values

DRAWS = 20
"""Labels that are drawn for each row without one."""


@dataclass(frozen=True)
class Way:
    """A way to predict with a run's models: ``average`` of the first ``models``, soup or refit.

    ``over_one`` is its distance from a single fold model, ``over_average`` from the average of all;
    both positive where it is better. ``error`` is the standard error of ``over_average``.
    """

    name: str
    models: int
    score: float
    over_one: Estimate
    over_average: Estimate
    error: float

    @property
    def does_harm(self) -> bool:
        """Whether it is behind one fold model, or behind the average by more than noise.

        One fold model is what the out-of-fold scores speak of: what is worse makes them flatter.
        The noise is the standard error of the difference from the average.
        """
        return self.over_one.value < 0 or self.over_average.value < -self.error


@dataclass(frozen=True)
class HoldoutScores:
    """Scores on ``rows`` holdout rows; ``one`` is the mean of the fold models' own scores.

    ``one_error`` is the standard error of ``one`` over rows.
    """

    rows: int
    one: float
    one_error: float
    ways: tuple[Way, ...]

    def way(self, name: str, models: int | None = None) -> Way:
        """The way of that name, with that many models; all of them if not said."""
        return [w for w in self.ways if w.name == name and models in (None, w.models)][-1]


def score_holdout(
    metric: Metric,
    truth: Array,
    groups: Array | None,
    fold_models: Array,
    others: Mapping[str, Array],
    *,
    seed: int,
    treat: Callable[[Array], Array] = np.asarray,
    bootstrap: int = 1000,
) -> HoldoutScores | None:
    """Score averages of 1 … k fold models, and ``others``, against one fold model.

    ``truth`` and ``groups`` are those of the holdout rows, ``fold_models`` (k, rows, targets) what
    each predicted for them, ``others`` (rows, targets) each; ``treat`` is what becomes of
    predictions before they are scored. None where these rows leave the metric undefined.
    """
    k = len(fold_models)
    averages = [fold_models[:count].mean(axis=0, dtype=np.float64) for count in range(1, k + 1)]
    tried = [treat(one) for one in (*fold_models, *averages, *others.values())]
    whole, samples = paired_scores(metric, truth, groups, tried, bootstrap, seed)
    if np.isnan(whole).any() or len(samples) < 2:
        return None
    sign = 1 if metric.greater_is_better else -1
    one, one_samples = whole[:k].mean(), samples[:, :k].mean(axis=1)
    average = 2 * k - 1
    names = [*(("average", count) for count in range(1, k + 1)), *((name, k) for name in others)]
    ways = []
    for place, (name, models) in enumerate(names, start=k):
        over_average = sign * (samples[:, place] - samples[:, average])
        ways.append(
            Way(
                name,
                models,
                float(whole[place]),
                estimate(sign * (whole[place] - one), sign * (samples[:, place] - one_samples)),
                estimate(sign * (whole[place] - whole[average]), over_average),
                float(over_average.std()),
            )
        )
    return HoldoutScores(len(truth), float(one), float(one_samples.std()), tuple(ways))


@dataclass(frozen=True)
class Noise:
    """The loss of one fold model that averaging infinitely many of them would take off.

    ``loss`` is in the smooth loss (``cascade.smooth_metric``), ``score`` (positive: averaging is
    better) in the metric, with its standard ``error``.
    """

    loss: float
    score: float
    error: float


def noise_of(
    metric: Metric, kind: Kind, truth: Array, groups: Array | None, models: Array, *, seed: int
) -> Noise | None:
    """Return the noise of fold models that predicted the same rows, none of which they saw.

    ``models`` (k, rows, targets), k at least 2. The mean of k models keeps a k-th of the noise:
    for squared error that is the ambiguity decomposition (Krogh and Vedelsby 1995), for other
    losses it holds as far as they are smooth. None where these rows leave the metric undefined.
    """
    k = len(models)
    scores = score_holdout(metric, truth, groups, models, {}, seed=seed, bootstrap=200)
    if scores is None:
        return None
    smooth = smooth_metric(metric, kind)
    average = row_values(smooth, truth, models.mean(axis=0, dtype=np.float64))
    alone = np.mean([row_values(smooth, truth, one) for one in models], axis=0)
    over_one, whole = scores.way("average").over_one, k / (k - 1)
    return Noise(
        loss=float(alone.mean() - average.mean()) * whole,
        score=over_one.value * whole,
        error=(over_one.high - over_one.low) / (2 * NORMAL) * whole,
    )


def imagined_rows(
    kind: Kind, models: Array, residuals: Array, *, seed: int
) -> tuple[Array, Array, Array]:
    """Return (truth, groups, models) of rows without labels, with labels drawn for them.

    A label is drawn ``DRAWS`` times from the mean prediction of the ``models`` (k, rows, targets);
    a value is the mean plus one of the ``residuals`` of labelled rows. So the expected gain in log
    loss is the mean Kullback-Leibler divergence of the models from their average, and in squared
    error their variance (Heskes 1998): neither needs a true label.
    """
    draw = np.random.default_rng(seed)
    mean = models.mean(axis=0, dtype=np.float64)
    count, targets = mean.shape
    row = np.repeat(np.arange(count), DRAWS)
    if kind == "values":
        truth = mean[row, 0] + draw.choice(residuals, len(row))
    elif kind == "labels":
        truth = (draw.uniform(size=(len(row), targets)) < mean[row]).astype(np.int64)
    else:
        below = np.cumsum(mean[row], axis=1)
        truth = (draw.uniform(size=(len(row), 1)) * below[:, -1:] > below).sum(axis=1)
    return truth, row, models[:, row]


def leak_in_errors(
    metric: Metric,
    truth: Array,
    groups: Array | None,
    predictions: Array,
    holdout: HoldoutScores,
    *,
    seed: int,
    repeats: int = 1,
    bootstrap: int = 200,
) -> float:
    """By how many standard errors the out-of-fold score is better than the holdout's.

    ``truth``, ``groups`` and ``predictions`` are out of fold, where each row's prediction is the
    mean of ``repeats`` models; so it is taken on the holdout. Without a leak both scores then
    estimate the same thing, and few holdout rows have the larger error: at least the one that
    the out-of-fold rows predict for so many rows.
    """
    whole, samples = paired_scores(metric, truth, groups, [predictions], bootstrap, seed)
    error = float(samples.std())
    expected = error * float(np.sqrt(len(truth) / holdout.rows))
    total = float(np.hypot(error, max(expected, holdout.one_error)))
    sign = 1 if metric.greater_is_better else -1
    there = holdout.one if repeats == 1 else holdout.way("average", repeats).score
    lead = sign * (float(whole[0]) - there)
    return lead / total if total > 0 else 0.0
