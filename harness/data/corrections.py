"""audit/corrections.csv: what people decided about single rows; the source table stays as it is.

A line is ``time,id,action,label``. Lines are only ever added: ``undo`` takes back the row's last
decision that stands. What stands last decides:

    keep      the label is right
    relabel   the label is ``label``
    drop      the row is left out; where ``audit`` dropped it, ``label`` is the kind of finding
    skip      not decided yet
"""

import csv
import io
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import pandas as pd

from harness.data.state import CORRECTIONS
from harness.errors import DataError
from harness.files import cut_torn_line, to_write
from harness.locks import holding
from harness.records import reading

HEADER = ("time", "id", "action", "label")

Action = Literal["keep", "relabel", "drop", "skip", "undo"]
ACTIONS: tuple[str, ...] = get_args(Action)


@dataclass(frozen=True)
class Correction:
    """One line: ``time`` is UTC, as ISO 8601 has it; ``label`` is what the action says of it."""

    time: str
    id: str
    action: Action
    label: str = ""


def standing(corrections: Iterable[Correction]) -> dict[str, Correction]:
    """The decision that stands for each id, in the order of the lines."""
    decided: dict[str, list[Correction]] = {}
    for correction in corrections:
        stack = decided.setdefault(correction.id, [])
        if correction.action != "undo":
            stack.append(correction)
        elif stack:
            stack.pop()
    return {id_: stack[-1] for id_, stack in decided.items() if stack}


def correct(
    frame: pd.DataFrame,
    decisions: Mapping[str, Correction],
    id_column: str,
    label_columns: tuple[str, ...],
    source: Path,
) -> pd.DataFrame:
    """The table without dropped rows and with labels changed.

    A label is a value of the one label column, or the name of one of several (0/1) columns.
    Decisions on ids that the table lacks change nothing. DataError if a label is none.
    """
    there = {id_: row for row, id_ in enumerate(frame[id_column])}
    decisions = {id_: found for id_, found in decisions.items() if id_ in there}
    changes = {i: d.label for i, d in decisions.items() if d.action == "relabel"}
    dropped = [there[i] for i, d in decisions.items() if d.action == "drop"]
    if not changes and not dropped:
        return frame
    frame = frame.copy()
    one = label_columns[0] if len(label_columns) == 1 else None
    known = set(frame[one]) if one else set(label_columns)
    for id_, label in changes.items():
        if label not in known:
            raise DataError(
                source,
                f"id {id_!r} becomes {label!r}, which is no label of the table",
                f"undo it: add a line with that id and the action 'undo' to {CORRECTIONS}",
            )
        for column in label_columns:
            value = label if one else str(int(column == label))
            frame.iloc[there[id_], frame.columns.get_loc(column)] = value  # type: ignore[index]
    return frame.drop(index=frame.index[dropped]).reset_index(drop=True)


def read_corrections(path: Path) -> list[Correction]:
    """Every whole line; none without the file. A DataError names a line that makes no sense."""
    if not path.exists():
        return []
    with reading(path, "mend it, or move it away to be without its decisions", DataError):
        text = path.read_text(encoding="utf-8")
        whole = text[: text.rfind("\n") + 1]  # a line without its end was not yet decided
        rows = list(csv.reader(io.StringIO(whole, newline="")))
    for number, row in enumerate(rows, 1):
        wanted = number > 1 or tuple(row) == HEADER
        if not wanted or len(row) != len(HEADER) or (number > 1 and row[2] not in ACTIONS):
            raise DataError(
                f"{path}:{number}",
                f"is no correction: {','.join(row)!r}",
                f"a line is {','.join(HEADER)}; remove or mend it",
            )
    return [Correction(time, id_, action, label) for time, id_, action, label in rows[1:]]  # type: ignore[arg-type]


def append_corrections(path: Path, *corrections: Correction) -> None:
    """Add a line each and return once they are on the disk.

    One process at a time: what another is still writing looks like a torn line.
    """
    with holding(path.with_name(f".{path.name}.lock")), to_write(path).open("a+b") as stream:
        cut_torn_line(stream)
        rows: list[tuple[str, ...]] = [] if stream.tell() else [HEADER]
        rows += [(one.time, one.id, one.action, one.label) for one in corrections]
        buffer = io.StringIO(newline="")
        csv.writer(buffer, lineterminator="\n").writerows(rows)
        stream.write(buffer.getvalue().encode())
        stream.flush()
        os.fsync(stream.fileno())
