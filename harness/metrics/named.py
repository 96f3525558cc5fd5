"""The metrics by name. Those of several guesses carry their number: ``map@5``."""

import math
from functools import cache, partial

from harness.errors import ConfigError, nearest
from harness.metrics import functions
from harness.metrics.metric import Array, Metric

_BINARY = frozenset({"binary"})
_SINGLE = frozenset({"multiclass", "ordinal"})
_CLASSES = _BINARY | _SINGLE
_LABELS = frozenset({"multilabel"})
_PROBABILITIES = _CLASSES | _LABELS
_VALUES = frozenset({"regression"})
MOST_GUESSES = 100
_ERROR = (0.0, math.inf)
_AGREEMENT = (-1.0, 1.0)


def get_metric(name: str) -> Metric:
    """The metric of that name; a ConfigError that suggests near names if there is none."""
    if name in METRICS:
        return METRICS[name]
    family, _, number = name.partition("@")
    known = [*METRICS, *(f"{each}@5" for each in _GUESSING)]
    if family not in _GUESSING:
        raise ConfigError("metric", f"{name!r} is not a known metric", nearest(name, known))
    if not (number.isascii() and number.isdigit() and 1 <= int(number) <= MOST_GUESSES):
        raise ConfigError(
            "metric",
            f"{name!r} does not say how many guesses count",
            f"write {family}@5, or another number from 1 to {MOST_GUESSES}",
        )
    return _guessing(family, int(number))


def score_bounds(name: str) -> tuple[float, float]:
    """The lowest and highest score that there can be; of a user's own metric nothing is known."""
    return (-math.inf, math.inf) if ":" in name else get_metric(name).bounds


def metrics_for(task: str) -> list[str]:
    """The names of the metrics that fit a task; ``@5`` stands for any number of guesses."""
    examples = [*METRICS.values(), *(_guessing(family, 5) for family in _GUESSING)]
    return [metric.name for metric in examples if task in metric.tasks]


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric(
            "log_loss",
            functions.log_loss,
            False,
            "probabilities",
            _PROBABILITIES,
            bounds=_ERROR,
        ),
        Metric("brier", functions.brier, False, "probabilities", _PROBABILITIES, bounds=(0.0, 2.0)),
        Metric("pf1", functions.probabilistic_f1, True, "probabilities", _BINARY),
        Metric("roc_auc", functions.roc_auc, True, "ranks", _PROBABILITIES),
        Metric("average_precision", functions.average_precision, True, "ranks", _PROBABILITIES),
        Metric("accuracy", functions.accuracy, True, "labels", _PROBABILITIES),
        Metric("balanced_accuracy", functions.balanced_accuracy, True, "labels", _CLASSES),
        Metric("f1", functions.f1, True, "labels", _BINARY),
        Metric("f1_macro", functions.f1_macro, True, "labels", _PROBABILITIES),
        Metric("f1_micro", functions.f1_micro, True, "labels", _PROBABILITIES),
        Metric("f1_samples", functions.f1_samples, True, "labels", _LABELS),
        Metric("mcc", functions.matthews, True, "labels", _CLASSES, bounds=_AGREEMENT),
        Metric(
            "quadratic_weighted_kappa",
            functions.quadratic_weighted_kappa,
            True,
            "labels",
            frozenset({"ordinal"}),
            bounds=_AGREEMENT,
        ),
        Metric("rmse", functions.rmse, False, "values", _VALUES, bounds=_ERROR, squared=True),
        Metric("mae", functions.mae, False, "values", _VALUES, bounds=_ERROR),
    )
}


def _mean_precision(k: int, truth: Array, predictions: Array) -> float:
    return float(functions.row_precision_at(truth, predictions, k).mean())


def _hits(k: int, truth: Array, predictions: Array) -> float:
    return float(functions.row_hit(truth, predictions, k).mean())


def _misses(k: int, truth: Array, predictions: Array) -> float:
    return 1 - _hits(k, truth, predictions)


_GUESSING = {
    "map": (_mean_precision, True, _SINGLE | _LABELS),
    "top_accuracy": (_hits, True, _SINGLE),
    "top_error": (_misses, False, _SINGLE),
}


@cache
def _guessing(family: str, k: int) -> Metric:
    function, greater_is_better, tasks = _GUESSING[family]
    return Metric(f"{family}@{k}", partial(function, k), greater_is_better, "guesses", tasks, k)
