"""[data] extra: pictures that are trained on and never validated on.

The table has the columns ``file,label,weight,source``; files lie below the table's folder.
"""

import csv
import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.data.frame import read_frame
from harness.data.state import EXTRA
from harness.errors import DataError, nearest
from harness.files import write_text
from harness.text import comparable

HEADER = ("file", "label", "weight", "source")


@dataclass(frozen=True)
class Extra:
    """Pictures beside the training table: ``target`` (rows,) are codes of its classes.

    ``weight`` (rows,) is what a row counts in training; a row of the table counts 1. ``files`` and
    ``source`` are as the table has them.
    """

    files: tuple[str, ...]
    paths: tuple[Path, ...]
    target: NDArray[np.int64]
    weight: NDArray[np.float64]
    source: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.files)


NOTHING = Extra((), (), np.empty(0, np.int64), np.empty(0), ())


def extra_table(root: Path, named: str | None) -> Path | None:
    """Return the table that [data] extra names, if any; an earlier version's is in audit/ now."""
    if named == "data/extra.csv" and not (root / named).exists():
        named = EXTRA
    return root / named if named else None


def read_extra(path: Path, targets: Sequence[str]) -> Extra:
    """The table at ``path``; ``targets`` are the classes.

    DataError names a row whose file is missing or leaves the folder, whose label is none or whose
    weight is no positive number.
    """
    frame = read_frame(path)
    if missing := [name for name in HEADER if name not in frame.columns]:
        raise DataError(
            path, f"has no column {missing[0]!r}", f"its columns are {','.join(HEADER)}"
        )
    code = {comparable(name): number for number, name in enumerate(targets)}
    home = os.path.realpath(path.parent)
    paths, target, weight = [], [], []
    for number, (file, label, text) in enumerate(
        zip(frame["file"], frame["label"], frame["weight"], strict=True), 2
    ):
        where = f"{path}:{number}"
        real = os.path.realpath(path.parent / file) if "\0" not in file else ""
        if not real.startswith(home + os.sep) or not os.path.isfile(real):
            raise DataError(where, f"{file!r} is no file below {home}", "add it, or remove the row")
        if comparable(label) not in code:
            raise DataError(where, f"{label!r} is no class", nearest(label, targets))
        try:
            value = float(text)
        except ValueError:
            value = 0.0
        if not 0 < value < 1e6:
            raise DataError(where, f"weight {text!r} is no positive number", "write 1, or 0.5")
        paths.append(path.parent / file)
        target.append(code[comparable(label)])
        weight.append(value)
    return Extra(
        tuple(frame["file"]),
        tuple(paths),
        np.array(target, np.int64),
        np.array(weight, np.float64),
        tuple(frame["source"]),
    )


def write_extra(path: Path, extra: Extra, targets: Sequence[str]) -> None:
    """Write the table; the files are there already."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADER)
    for file, code, weight, source in zip(
        extra.files, extra.target, extra.weight, extra.source, strict=True
    ):
        writer.writerow((file, targets[code], f"{weight:g}", source))
    write_text(path, text.getvalue())
