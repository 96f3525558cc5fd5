"""What is to be predicted: the sample submission's columns, and the test ids."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.competition import Competition
from harness.data.frame import as_column, read_columns, read_header
from harness.data.locate import listed_test_ids
from harness.data.sound import require_printable, sound_ids
from harness.errors import DataError
from harness.patterns import home

Strings = NDArray[np.object_]


@dataclass(frozen=True)
class Sample:
    """The sample submission: what a submission must look like.

    ``shown`` are the different cells of its only target column; empty where there are several.
    """

    path: Path
    columns: tuple[str, ...]  # the id column first among them or not, as the file has it
    id_column: str
    ids: Strings
    shown: frozenset[str] = frozenset()

    @property
    def target_columns(self) -> tuple[str, ...]:
        """The columns to fill in, in the file's order."""
        return tuple(column for column in self.columns if column != self.id_column)


def read_sample(competition: Competition, root: Path) -> Sample | None:
    """The sample submission, or None where competition.toml names none."""
    data = competition.data
    if data.sample_submission is None:
        return None
    path = root / data.sample_submission
    columns = read_header(path)
    id_column = data.id if data.id in columns else columns[0]
    if len(columns) < 2:
        raise DataError(path, "has no column besides the id", "use the competition's own file")
    require_printable(as_column(columns), path, "header")
    targets = [column for column in columns if column != id_column]
    shown = targets if len(targets) == 1 else []
    cells = read_columns(path, [id_column, *shown])
    return Sample(
        path,
        tuple(columns),
        id_column,
        sound_ids(cells[id_column], path, id_column),
        frozenset(cell for name in shown for cell in cells[name].unique().to_pylist()),
    )


def read_test_ids(competition: Competition, root: Path) -> Strings:
    """The ids to predict: of the test table, of the sample submission, or of ``test_images``."""
    data = competition.data
    sample = read_sample(competition, root)
    if data.test is None:
        if sample is not None:
            return sample.ids
        listed = as_column(listed_test_ids(data, root))
        return sound_ids(listed, root / home(data.test_images[0]), "id")
    path = root / data.test
    ids = _sound_ids(path, data.id)
    if sample is not None and set(ids) != set(sample.ids):
        odd = sorted(set(ids) ^ set(sample.ids))
        raise DataError(
            path,
            f"{len(odd)} id(s) are not in both it and {sample.path.name}, the first is {odd[0]!r}",
            "use the two files of the same competition",
        )
    return ids


def _sound_ids(path: Path, column: str) -> Strings:
    return sound_ids(read_columns(path, [column])[column], path, column)
