"""Tables as text: CSV, one CSV in a zip file, Parquet. Nothing is converted or read as missing.

White space around names and cells is left out; names of columns have composed accents.

A row that is longer or shorter than the header is an error rather than a guess.
"""

import csv
import io
import mmap
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute
import pyarrow.csv
import pyarrow.parquet
from numpy.typing import NDArray

from harness.data.csvfile import open_csv
from harness.errors import DataError, nearest
from harness.files import require_file
from harness.text import comparable, in_one_spelling

_TEXT = pa.large_string()  # the shorter kind holds no more than 2 GB
LONGEST_ROW = 1 << 22
"""Bytes of the longest row of a CSV file; what is longer is damaged, no data."""


Column = Any
"""An array of Arrow's, of large strings without nulls, in one piece."""


@dataclass(frozen=True)
class Coded:
    """A column of text that repeats: ``names`` once each, and ``codes`` (rows,) into them."""

    names: NDArray[np.object_]
    codes: NDArray[np.integer[Any]]

    def texts(self) -> NDArray[np.object_]:
        """(rows,) the text of each row."""
        return self.names[self.codes]


def read_columns(
    path: Path, columns: Sequence[str] | None = None, *, as_is: bool = False
) -> dict[str, Column]:
    """All columns of a table, or those named in ``columns``, in that order.

    ``as_is`` keeps white space and the header's Unicode form. A DataError if it cannot be read,
    has no row, lacks a column, or has two of one name.
    """
    own = read_header(path, as_is=True)
    header = own if as_is else read_header(path)
    own_name = dict(zip(header, own, strict=True))
    for name in columns or ():
        require_column(header, name, path)
    wanted = list(dict.fromkeys(columns)) if columns is not None else header
    with _readable(path):
        read = _parquet if is_parquet(path) else _csv
        table = read(path, own, [own_name[name] for name in wanted])
        if not len(table):
            raise DataError(path, "has a header and no rows", "it needs at least one row")
        found = {name: _text(table[own_name[name]]) for name in wanted}
        return found if as_is else {name: trimmed(column) for name, column in found.items()}


def read_frame(
    path: Path, columns: Sequence[str] | None = None, *, as_is: bool = False
) -> pd.DataFrame:
    """The same as a data frame of objects."""
    found = read_columns(path, columns, as_is=as_is)
    return pd.DataFrame({name: texts(column) for name, column in found.items()}, dtype=object)


def as_column(given: Iterable[str]) -> Column:
    """A column of these texts."""
    return pa.array(list(given), _TEXT)


def trimmed(column: Column) -> Column:
    """Return the column without white space around its texts."""
    return pyarrow.compute.utf8_trim_whitespace(column)


def spelled_alike(column: Column, known: Iterable[str] = ()) -> Column:
    """Return the column with texts that differ only in Unicode form spelled as ``known`` has it."""
    if pyarrow.compute.all(pyarrow.compute.string_is_ascii(column)).as_py():
        return column
    coded = code(column)
    names = np.array(in_one_spelling(coded.names.tolist(), known), object)
    return as_column(names[coded.codes])


def texts(column: Column) -> NDArray[np.object_]:
    """(rows,) the column as Python's strings."""
    found: NDArray[np.object_] = column.to_numpy(zero_copy_only=False)
    return found


def code(column: Column) -> Coded:
    """The column with each different text once: a few strings instead of a million."""
    encoded = column.dictionary_encode()
    return Coded(texts(encoded.dictionary), encoded.indices.to_numpy())


def read_header(path: Path, *, as_is: bool = False) -> list[str]:
    """The names of a table's columns, ``as_is`` or comparable; a DataError if two are the same."""
    if not path.exists():
        raise DataError(path, "there is no such file", "check [data] in competition.toml")
    if path.is_dir():
        raise DataError(
            path,
            "is a folder and no table",
            "if its folders are the classes, leave 'train' out and set images to "
            f"'…/{path.name}/{{label}}/{{id}}.png'",
        )
    require_file(path)
    with _readable(path):
        if is_parquet(path):
            header = list(pyarrow.parquet.read_schema(path).names)
        else:
            with open_csv(path) as file:
                text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
                header = next(csv.reader(text), [])
    if not header:
        raise DataError(path, "is empty", "it needs a header line and rows")
    seen: set[str] = set()
    header = header if as_is else [comparable(name) for name in header]
    for name in header:
        if name in seen:
            raise DataError(path, f"has two columns {name!r}", "rename or remove one of them")
        seen.add(name)
    return header


def write_frame(path: Path, frame: pd.DataFrame) -> None:
    """Write a table in the form that its name asks for."""
    if is_parquet(path):
        frame.to_parquet(path, index=False)
    elif path.suffix.lower() == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(path.stem, frame.to_csv(index=False, lineterminator="\n"))
    else:
        frame.to_csv(path, index=False, lineterminator="\n")


def require_column(header: Sequence[str], column: str, source: Path) -> None:
    """A DataError that suggests the nearest name unless the column is there."""
    if column not in header:
        raise DataError(source, f"has no column {column!r}", nearest(column, header))


def _csv(path: Path, header: Sequence[str], wanted: Sequence[str], threads: bool = True) -> Any:
    try:
        with open_csv(path) as file:
            return pyarrow.csv.read_csv(
                file,
                pyarrow.csv.ReadOptions(block_size=LONGEST_ROW, use_threads=threads),
                pyarrow.csv.ParseOptions(newlines_in_values=_may_quote(path)),
                pyarrow.csv.ConvertOptions(
                    column_types=dict.fromkeys(header, _TEXT),
                    include_columns=list(wanted),
                    strings_can_be_null=False,
                ),
            )
    except pa.ArrowInvalid:
        if threads:  # on one thread it says which row it is
            return _csv(path, header, wanted, threads=False)
        raise


def _may_quote(path: Path) -> bool:
    """Whether a value may hold a line's end, as quoted ones may; else threads share the file."""
    if path.suffix.lower() == ".zip":
        return True
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return content.find(b'"') >= 0


def _parquet(path: Path, _: Sequence[str], wanted: Sequence[str]) -> Any:
    # as a single file: columns are not to be made of folder names such as "fold=1"
    return pyarrow.parquet.ParquetFile(path).read(columns=list(wanted))


def _text(column: Any) -> Column:
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())  # 0 and 1, as CSV files have them
    column = column.cast(_TEXT)
    if column.null_count:
        column = pyarrow.compute.fill_null(column, "")
    return column.combine_chunks()


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """What the readers raise, as a DataError that names the file."""
    kind = "Parquet" if is_parquet(path) else "CSV"
    try:
        yield
    except (pa.ArrowException, OSError, ValueError, csv.Error, zipfile.BadZipFile) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[-1][:300]
        if "straddl" in reason:
            reason = f"a row is longer than {LONGEST_ROW >> 20} MB"
        raise DataError(path, f"cannot be read as {kind} ({reason})", "mend the file") from error


def is_parquet(path: Path) -> bool:
    """Whether the file's name says that it is Parquet."""
    return path.suffix.lower() in (".parquet", ".pq")
