"""Competitions and sample submissions for the tests of forms, checks and grades."""

from pathlib import Path

import numpy as np
from tiny import TOML

from harness.competition import Competition, load_competition
from harness.data.sample import Sample


def competition(
    folder: Path, task: str = "multiclass", metric: str = "log_loss", label: str = 'label = "label"'
) -> Competition:
    """The tiny competition with another task, metric, and line that names the label."""
    text = TOML.replace('"multiclass"', f'"{task}"').replace('"log_loss"', f'"{metric}"')
    path = folder / "competition.toml"
    path.write_text(text.replace('label = "label"', label), encoding="utf-8")
    return load_competition(path)


def sample(*columns: str, ids: str = "cab", id_column: str = "id") -> Sample:
    return Sample(Path("sample.csv"), columns, id_column, np.array(list(ids), dtype=object))
