"""Which table is the sample submission, which has the training rows, by which columns. Pure."""

import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.init.places import Index, places_of
from harness.init.records import Columns

MOST_REPEATS = 0.1
"""The share of rows that may repeat an id: with more, any other place of labels is likelier."""
_LABEL = re.compile(r"^(label|labels|class|target|category|species|breed|diagnosis|y)$", re.I)


@dataclass(frozen=True)
class TrainTable:
    """A table whose column ``id`` names images; ``labels`` are its label columns, if known."""

    name: str
    columns: Columns
    id: str
    labels: tuple[str, ...]

    @property
    def score(self) -> int:
        """The higher, the more it looks like the training table."""
        named = re.search("train|label", posixpath.basename(self.name), re.I)
        return 2 * bool(self.labels) + bool(named) - 4 * self.repeats

    @property
    def repeats(self) -> bool:
        """Return whether many ids repeat, as where rows are something other than pictures."""
        cells = self.columns[self.id].tolist()
        return len(cells) - len(set(cells)) > MOST_REPEATS * len(cells)


def sample_submissions(tables: Mapping[str, Columns]) -> list[str]:
    """The tables that may be the sample submission, the likeliest first."""
    named = [
        name
        for name, columns in tables.items()
        if re.search(r"sample|submission", posixpath.basename(name), re.I) and len(columns) > 1
    ]
    return sorted(
        named, key=lambda name: (not re.search("sample.*submission", name, re.I), len(name))
    )


def train_tables(
    tables: Mapping[str, Columns], asked: Sequence[str], images: Index
) -> list[TrainTable]:
    """The tables whose rows may be the training rows, the likeliest first.

    ``asked`` are the sample submission's columns, the id first.
    """
    found = []
    for name, columns in tables.items():
        id_column = _id_column(columns, asked, images)
        if id_column is not None and "test" not in posixpath.basename(name).lower():
            labels = tuple(_label_columns(columns, id_column, asked[1:]))
            found.append(TrainTable(name, columns, id_column, labels))
    return sorted(found, key=lambda table: (-table.score, table.name))


def is_called_label(column: str) -> bool:
    """Whether the column's name is one that labels have."""
    return bool(_LABEL.match(column))


def no_image(columns: Columns, asked: Sequence[str], images: Index) -> str | None:
    """The first id without an image, of a table that would be the training table if it had one."""
    name = next((name for name in asked[:1] if name in columns), next(iter(columns)))
    missing = next((id_ for id_ in columns[name] if not places_of([id_], images).found), None)
    if missing is None:
        return None
    said = f"no image is called {missing!r}"
    padded = next((path for path in sorted(images.paths) if _number(path) == missing), None)
    return f"{said}, but {padded}: did it lose its zeros?" if padded else said


def _number(path: str) -> str:
    """The file's number without leading zeros, and nothing if its name is none."""
    stem = posixpath.splitext(posixpath.basename(path))[0]
    return stem.lstrip("0") or "0" if stem.isdecimal() else ""


def _id_column(columns: Columns, asked: Sequence[str], images: Index) -> str | None:
    """The column whose cells name images; the sample's id column if it does."""
    named = [name for name in asked[:1] if name in columns]
    for name in (*named, *(other for other in columns if other not in named)):
        cells = columns[name].tolist()
        if places_of(cells, images).found > len(set(cells)) / 2:
            return name
    return None


def _label_columns(columns: Columns, id_column: str, targets: Sequence[str]) -> Sequence[str]:
    """The sample's own columns; else the one whose values they are; else what is called so."""
    if targets and all(name in columns for name in targets):
        return targets
    others = [name for name in columns if name != id_column]
    if len(targets) > 1:
        values = {name: set(columns[name]) - {""} for name in others}
        fit = [n for n in others if len(values[n]) > 1 and values[n] <= set(targets)]
        return fit[:1]
    named = [name for name in others if is_called_label(name)]
    return named[:1] if named or len(others) != 1 else others
