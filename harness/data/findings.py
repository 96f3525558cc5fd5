"""audit/findings.parquet: what ``audit`` found in the pictures, one row a finding."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from harness.data.frame import read_parquet
from harness.errors import DataError
from harness.files import replacing

_RUN = "run `python -m harness audit`"
_IDS = b"harness.ids"

Kind = Literal[
    "unreadable",
    "blank",
    "dark",
    "bright",
    "blurred",
    "odd_size",
    "odd_shape",
    "exact_duplicate",
    "near_duplicate",
    "leak_train_test",
    "conflicting_label",
    "drift",
]
Part = Literal["train", "test"]
KINDS: tuple[str, ...] = get_args(Kind)
DUPLICATES = ("exact_duplicate", "near_duplicate")

Strings = NDArray[np.object_]


@dataclass(frozen=True)
class Finding:
    """One thing about one image.

    ``severity`` runs from 0 to 1. ``part`` says whether ``id`` is of the training or of the test
    images; ``partner`` is the other image's id where there is one: a training image's in
    duplicates, a test image's in a leak.
    """

    id: str
    kind: Kind
    severity: float
    partner: str | None = None
    part: Part = "train"


@dataclass(frozen=True)
class Findings:
    """All findings, and the ids of the training images that were looked at."""

    found: tuple[Finding, ...]
    ids: tuple[str, ...]

    def of(self, *kinds: str) -> list[Finding]:
        """The findings of these kinds, the gravest first."""
        return sorted((f for f in self.found if f.kind in kinds), key=lambda f: (-f.severity, f.id))


def write_findings(path: Path, findings: Findings) -> None:
    """Write them sorted by kind, severity and id."""
    rows = sorted(findings.found, key=lambda f: (KINDS.index(f.kind), -f.severity, f.id))
    table = pa.table(
        {
            "id": pa.array([f.id for f in rows], pa.string()),
            "kind": pa.array([f.kind for f in rows], pa.string()),
            "severity": pa.array([f.severity for f in rows], pa.float32()),
            "partner": pa.array([f.partner for f in rows], pa.string()),
            "part": pa.array([f.part for f in rows], pa.string()),
        }
    ).replace_schema_metadata({_IDS: json.dumps(findings.ids).encode()})
    with replacing(path) as temporary:
        pq.write_table(table, temporary)


def read_findings(path: Path) -> Findings:
    """What ``audit`` wrote; a DataError if there is none or it is damaged."""
    try:
        table = read_parquet(path)
        columns: dict[str, list[Any]] = table.to_pydict()
        found = [
            Finding(*row)
            for row in zip(
                *(columns[name] for name in ("id", "kind", "severity", "partner", "part")),
                strict=True,
            )
        ]
        ids = json.loads((table.schema.metadata or {})[_IDS])
    except FileNotFoundError:
        raise DataError(path, "there is no such file", _RUN) from None
    except (OSError, pa.ArrowException, KeyError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(path, f"cannot be read ({reason})", _RUN) from error
    return Findings(tuple(found), tuple(ids))


def group_duplicates(path: Path, ids: Strings, groups: Strings | None) -> Strings:
    """Groups (rows,) that keep duplicates together, beside what ``groups`` (rows,) keep together.

    DataError if the findings at ``path`` do not cover every id.
    """
    findings = read_findings(path)
    if unseen := set(ids) - set(findings.ids):
        raise DataError(
            path, f"{len(unseen)} row(s) are not in it, the first is {min(unseen)!r}", _RUN
        )
    pairs = [(f.id, f.partner) for f in findings.of(*DUPLICATES) if f.partner is not None]
    return merge_groups(ids, groups, pairs)


def merge_groups(ids: Strings, groups: Strings | None, pairs: Iterable[tuple[str, str]]) -> Strings:
    """Groups (rows,) that split neither a group nor a pair; ids that are not there are left out.

    A group is named by the first of the names that it comes from: groups', or ids' without them.
    """
    from scipy.sparse.csgraph import connected_components

    names: Sequence[str] = list(ids if groups is None else groups)
    known = sorted(set(names))
    code = {name: number for number, name in enumerate(known)}
    group_of = {id_: code[name] for id_, name in zip(ids, names, strict=True)}
    links = [(group_of[a], group_of[b]) for a, b in pairs if a in group_of and b in group_of]
    component = connected_components(_graph(links, len(known)), directed=False)[1]
    first = np.unique(component, return_index=True)[1]  # known is sorted, so it is the first name
    merged: Strings = np.array(known, dtype=object)[first[component]]
    return merged[[code[name] for name in names]]


def _graph(links: Sequence[tuple[int, int]], nodes: int) -> Any:
    from scipy.sparse import coo_array

    ends = np.array(links, np.int64).reshape(-1, 2)
    return coo_array((np.ones(len(ends), np.int8), (ends[:, 0], ends[:, 1])), shape=(nodes, nodes))
