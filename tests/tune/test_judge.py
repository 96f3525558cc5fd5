"""What a winner is worth: the number that is reported is unbiased, the naive one is not."""

import numpy as np
import pytest

from harness.metrics import METRICS
from harness.stack.resample import paired_scores
from harness.tune.judge import judge

METRIC = METRICS["rmse"]


def predictions(
    generator: np.random.Generator, truth: np.ndarray, noise: float, count: int
) -> list[np.ndarray]:
    """Trainings alike: each misses every row by a chance of its own."""
    return [(truth + generator.normal(0, noise, len(truth)))[:, None] for _ in range(count)]


def test_the_best_of_fifty_equal_settings() -> None:
    """All fifty have RMSE 1: where they were chosen the best one looks better, elsewhere not."""
    generator = np.random.default_rng(1)
    naive, reported, told_apart = [], [], 0
    for _ in range(60):
        truth = generator.normal(size=120)
        choosing, judging = np.arange(60), np.arange(60, 120)
        trials = predictions(generator, truth, 1.0, 50)
        scores = [METRIC.score(truth[choosing], trial[choosing]) for trial in trials]
        best = int(np.argmin(scores))
        others = predictions(generator, truth, 1.0, 2)
        default = predictions(generator, truth, 1.0, 3)
        verdict = judge(
            METRIC,
            truth[judging],
            None,
            [one[judging] for one in (trials[best], *others)],
            [one[judging] for one in default],
            paired_scores,
        )
        naive.append(min(scores))
        reported.append(verdict.winner.value)
        told_apart += verdict.supported
    expected = 1 - 1 / (4 * 60)  # of the root of a mean of 60 squares
    error = np.std(reported) / np.sqrt(len(reported))
    assert abs(np.mean(reported) - expected) < 3 * error
    assert np.mean(naive) < expected - 0.15
    assert told_apart <= 9  # of 60, where 3 are expected by chance


def test_what_is_better_is_told_apart() -> None:
    generator = np.random.default_rng(2)
    truth = generator.normal(size=400)
    better, worse = (predictions(generator, truth, noise, 3) for noise in (0.8, 1.0))
    verdict = judge(METRIC, truth, None, better, worse, paired_scores)
    assert verdict.supported
    assert verdict.gain.value == pytest.approx(0.2, abs=0.05)
    worse_one = judge(METRIC, truth, None, worse, better, paired_scores)
    assert worse_one.gain.high < 0
    assert not worse_one.supported


def test_chance_between_trainings_widens_the_interval() -> None:
    """Three trainings far apart say less than three that agree."""
    generator = np.random.default_rng(3)
    truth = generator.normal(size=300)

    def trainings(noises: tuple[float, ...]) -> list[np.ndarray]:
        return [predictions(generator, truth, noise, 1)[0] for noise in noises]

    default = trainings((1.0, 1.0, 1.0))
    apart = judge(METRIC, truth, None, trainings((0.5, 0.9, 1.3)), default, paired_scores)
    alike = judge(METRIC, truth, None, trainings((0.9, 0.9, 0.9)), default, paired_scores)
    assert apart.seed_noise > 5 * alike.seed_noise
    assert apart.gain.high - apart.gain.low > 2 * (alike.gain.high - alike.gain.low)


def test_one_training_each_leaves_chance_unknown() -> None:
    generator = np.random.default_rng(4)
    truth = generator.normal(size=50)
    one, other = predictions(generator, truth, 1.0, 2)
    assert np.isnan(judge(METRIC, truth, None, [one], [other], paired_scores).seed_noise)
    with pytest.raises(ValueError, match="1 trainings against 2"):
        judge(METRIC, truth, None, [one], [other, one], paired_scores)


@pytest.mark.parametrize("seeds", [2, 3, 4])
def test_the_interval_holds_the_truth_however_few_trainings_there_are(seeds: int) -> None:
    """Trainings alike whose scores differ by chance only: nothing is gained."""
    generator = np.random.default_rng(seeds)

    def resample(*_: object) -> tuple[np.ndarray, np.ndarray]:
        whole = generator.normal(size=2 * seeds)
        return whole, np.tile(whole, (10, 1))

    truth = np.zeros(4)
    held = 0
    for _ in range(2000):
        verdict = judge(METRIC, truth, None, [truth] * seeds, [truth] * seeds, resample)
        held += verdict.gain.includes_zero
    assert 0.935 < held / 2000 < 0.965
