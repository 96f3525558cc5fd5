"""What the data look like, in a few lines, after checking that it is all there."""

from pathlib import Path

import numpy as np

from harness.competition import Competition, Task
from harness.data.images import find_images
from harness.data.sample import read_test_ids
from harness.data.table import Table, read_table


def summarise(competition: Competition, root: Path) -> list[str]:
    """Lines about the training table, its labels and the test rows; a DataError if they do not
    fit."""
    table = read_table(competition, root)
    find_images(competition, root, table.ids)
    lines = summarise_table(table, competition.task)
    data = competition.data
    if data.test or data.sample_submission or data.test_images:
        test_ids = read_test_ids(competition, root)
        find_images(competition, root, test_ids, test=True, tolerate_missing=True)
        lines.append(f"{len(test_ids)} images to predict")
    return [f"data: {line}" for line in lines]


def summarise_table(table: Table, task: Task) -> list[str]:
    """Lines about the labelled images."""
    lines = [f"{len(table.ids)} labelled images in {table.source}"]
    if task == "regression":
        low, high = table.target.min(), table.target.max()
        lines.append(f"{table.targets[0]} from {low:g} to {high:g}")
    else:
        hot = table.target if table.target.ndim == 2 else np.eye(len(table.targets))[table.target]
        counts = hot.sum(axis=0).astype(int)
        shown = [f"{name}: {count}" for name, count in zip(table.targets, counts, strict=True)]
        more = f", … ({len(shown)} in all)" if len(shown) > 12 else ""
        lines.append(f"images a class: {', '.join(shown[:12])}{more}")
    if task == "binary":
        lines.append(f"asked for: {table.targets[1]!r}, the second class ([data] classes orders)")
    if table.groups is not None:
        lines.append(f"{len(set(table.groups))} groups")
    return lines
