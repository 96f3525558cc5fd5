"""The submission's table, made to the sample's rules. Pure."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harness.competition import Competition
from harness.data.sample import Sample
from harness.submit.forms import cells, default_columns


def make_submission(
    competition: Competition,
    sample: Sample | None,
    ids: NDArray[np.object_],
    targets: tuple[str, ...],
    predictions: NDArray[Any],
) -> pd.DataFrame:
    """The table to submit for decided predictions (rows, targets), all as text.

    The sample's columns, their order and the order of its ids decide; without a sample there is
    a column a target, or one column where the form is one cell a row.
    """
    id_column = sample.id_column if sample else competition.data.id
    columns = sample.target_columns if sample else default_columns(competition, targets)
    shown = sample.shown if sample else ()
    text = cells(competition, columns, targets, predictions, shown)
    frame = pd.DataFrame(text, columns=list(columns), dtype=object)
    frame.insert(0, id_column, ids)
    if sample:
        row = {id_: i for i, id_ in enumerate(ids)}
        frame = frame.iloc[[row[id_] for id_ in sample.ids]][list(sample.columns)]
    return frame
