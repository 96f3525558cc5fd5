"""Competition metrics: name → function, direction, what it scores, and the tasks it fits.

Everywhere in the harness ``truth`` and ``predictions`` have these shapes, by task:

    binary, multiclass, ordinal   truth (rows,) class codes      predictions (rows, classes)
    multilabel                    truth (rows, labels) of 0/1    predictions (rows, labels)
    regression                    truth (rows,) values           predictions (rows, 1)

The direction is declared and never guessed. scikit-learn does the arithmetic wherever it has it.
"""

from harness.metrics.functions import decide, guesses
from harness.metrics.metric import Metric, Needs
from harness.metrics.named import METRICS, get_metric, metrics_for, score_bounds

__all__ = [
    "METRICS",
    "Metric",
    "Needs",
    "decide",
    "get_metric",
    "guesses",
    "metrics_for",
    "score_bounds",
]
