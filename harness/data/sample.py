"""What is to be predicted: the sample submission's columns, and the test ids."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.competition import Competition
from harness.data.frame import as_column, read_columns, read_header, texts, trimmed
from harness.data.locate import listed_test_ids
from harness.data.sound import require_printable, sound_ids
from harness.errors import DataError
from harness.patterns import home
from harness.text import disagreement, spelled_as

Strings = NDArray[np.object_]


@dataclass(frozen=True)
class Sample:
    """The sample submission: what a submission must look like.

    ``ids`` are those to submit, in order: its own, unless [data] test_ids says otherwise. ``shown``
    are the different cells of its only target column; empty where there are several. ``spelled``
    holds the names and cells that the file spells otherwise: with white space, or accents apart.
    """

    path: Path
    columns: tuple[str, ...]  # the id column first among them or not, as the file has it
    id_column: str
    ids: Strings
    shown: frozenset[str] = frozenset()
    spelled: Mapping[str, str] = field(default_factory=dict)

    @property
    def target_columns(self) -> tuple[str, ...]:
        """The columns to fill in, in the file's order."""
        return tuple(column for column in self.columns if column != self.id_column)

    @property
    def labels(self) -> tuple[str, ...]:
        """The cells and columns whose text may be a label."""
        return (*self.shown, *self.target_columns)


def read_sample(competition: Competition, root: Path) -> Sample | None:
    """The sample submission, or None where competition.toml names none."""
    data = competition.data
    _require_laid_out(competition, root)
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
    own = dict(zip(columns, read_header(path, as_is=True), strict=True))
    given = read_columns(path, [own[name] for name in (id_column, *shown)], as_is=True)
    cells = {name: trimmed(given[own[name]]) for name in (id_column, *shown)}
    spelled = {name: cell for name, cell in own.items() if name != cell}
    for name, column in cells.items():
        if not column.equals(given[own[name]]):
            pairs = zip(texts(column), texts(given[own[name]]), strict=True)
            spelled |= {text: cell for text, cell in pairs if text != cell}
    ids = sound_ids(cells[id_column], path, id_column)
    if data.decides != "sample_submission":
        ids = np.array(spelled_as(ids, _ids_of(competition, root)), dtype=object)
    return Sample(
        path,
        tuple(columns),
        id_column,
        ids,
        frozenset(cell for name in shown for cell in cells[name].unique().to_pylist()),
        spelled,
    )


def _require_laid_out(competition: Competition, root: Path) -> None:
    """Raise a DataError, which names the verb, if a table is missing that `data` would bring."""
    data = competition.data
    if data.example:
        fix = "run `python -m harness data`"
    elif competition.competition.kaggle:
        fix = "run `python -m harness data --kaggle`, or check [data] in competition.toml"
    else:
        return
    for name in filter(None, (data.train, data.sample_submission, data.test)):
        if not (root / name).exists():
            raise DataError(root / name, "there is no such file", fix)


def read_test_ids(competition: Competition, root: Path) -> Strings:
    """The ids to predict: of the test table, of the sample submission, or of ``test_images``.

    A DataError if test table and sample disagree and [data] test_ids does not choose.
    """
    data = competition.data
    sample = read_sample(competition, root)
    if sample is not None and (data.test_ids or data.test is None):
        return sample.ids
    ids = _ids_of(competition, root)
    if sample is None or set(ids) == set(sample.ids):
        return ids
    if found := disagreement({str(data.test): ids, str(data.sample_submission): sample.ids}):
        raise DataError(
            root / str(data.test),
            found,
            'set [data] test_ids = "test" or "sample_submission": which ones are scored?',
        )
    return np.array(spelled_as(sample.ids, ids), dtype=object)


def _ids_of(competition: Competition, root: Path) -> Strings:
    """The ids of the test table or, without one or where test_ids says so, of ``test_images``."""
    data = competition.data
    if data.test is None or data.test_ids == "test_images":
        listed = as_column(listed_test_ids(data, root))
        return sound_ids(listed, root / home(data.test_images[0]), "id")
    path = root / data.test
    return sound_ids(read_columns(path, [data.id])[data.id], path, data.id)
