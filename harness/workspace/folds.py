"""The only reader and writer of ``folds/``: ``folds.csv`` and its manifest ``folds.json``.

``folds.csv`` has one row an image, sorted by id (by code point): ``id,fold``, or
``id,fold_0,fold_1,…`` with repeats, and where used ``group``, ``label`` and ``generation``.
UTF-8, Unix line ends, a field quoted only where it must be; everything is text but the folds.
Fold -1 is the holdout.

``generation`` exists once the table has grown: 0 for the first rows, 1 for those that the first
growth placed, and so on. With it a grown assignment can be computed again, step by step.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harness.errors import WorkspaceError
from harness.files import digest, write_text
from harness.records import read_record

CSV = "folds.csv"
MANIFEST = "folds.json"
FRESH = "run `python -m harness fold --fresh` to write folds anew"

_MUST_BE_QUOTED = re.compile(r'[,"\r\n]')

Text = NDArray[np.object_]


@dataclass(frozen=True)
class Folds:
    """A fold for every row of the training table, in each repeat.

    ``ids`` (rows,) are sorted by code point; ``assignment`` is (rows, repeats), -1 the holdout;
    ``groups``, ``labels`` (text as the table had it) and ``generations`` are (rows,) or absent.
    ``recomputable`` says whether generation 0 follows from the table alone; if not (a row
    vanished or was relabelled since), its folds are known from this record only.
    """

    ids: Text
    assignment: NDArray[np.int16]
    k: int
    seed: int
    algorithm: int
    holdout: float = 0.0
    groups: Text | None = None
    labels: Text | None = None
    generations: NDArray[np.int64] | None = None
    recomputable: bool = True

    @property
    def repeats(self) -> int:
        """How many different assignments there are."""
        return self.assignment.shape[1]

    @property
    def fold(self) -> NDArray[np.int16]:
        """Each row's fold in the first repeat: (rows,)."""
        return self.assignment[:, 0]

    @cached_property
    def digest(self) -> str:
        """What OOF files and runs are held against: see :func:`assignment_digest`."""
        return assignment_digest(self.ids, self.assignment)

    def require_same(
        self,
        where: object,
        digest: str | None,
        ids: Sequence[str] | Text,
        fold: NDArray[np.integer[Any]] | None,
    ) -> None:
        """WorkspaceError unless what lies at ``where`` was made with these folds.

        ``digest`` is the one it carries, ``ids`` and ``fold`` (rows,) are its columns. Without a
        digest (a file from elsewhere) the columns decide.
        """
        if digest == self.digest:
            return
        difference = "" if fold is None else describe_difference(ids, fold, self)
        if digest is None and not difference:
            return
        raise WorkspaceError(
            where,
            f"was made with other folds (digest {digest or 'none'}, now {self.digest}"
            f"{': ' if difference else ''}{difference})",
            "train that member again or remove its file; or restore the folds it was made with",
        )

    def require_rules(self, folder: Path, rules: Mapping[str, Any], *, grouped: bool) -> None:
        """WorkspaceError unless these folds were made as [folds] asks: k, repeats, holdout, seed.

        ``grouped``: whether groups are asked for.
        """
        words = ("none", "used")
        asked = {
            "k": (self.k, rules["k"]),
            "repeats": (self.repeats, rules["repeats"]),
            "holdout": (self.holdout, rules["holdout"]),
            "seed": (self.seed, rules["seed"]),
            "group": (words[self.groups is not None], words[grouped]),
        }
        changed = [
            f"{name} was {was}, is {now}" for name, (was, now) in asked.items() if was != now
        ]
        if changed:
            raise WorkspaceError(
                folder / MANIFEST,
                f"the folds were made by other rules: {', '.join(changed)}",
                "restore the rules in competition.toml, or run `python -m harness fold --fresh`, "
                "after which OOF files of the present folds are refused",
            )

    def require_rows(self, folder: Path) -> None:
        """WorkspaceError if a fold of some repeat is empty: nothing could be trained for it."""
        for repeat, column in enumerate(self.assignment.T):
            if len(empty := np.setdiff1d(np.arange(self.k), column)):
                where = f" of repeat {repeat}" if self.repeats > 1 else ""
                found = f"fold {empty[0]}{where} has no row"
                raise WorkspaceError(folder / CSV, found, f"{FRESH}, or lower k")


def assignment_digest(ids: Sequence[str] | Text, assignment: NDArray[np.integer[Any]]) -> str:
    """The digest of ids (rows,) and folds (rows, repeats), whatever the order of the rows."""
    order = order_by_id(ids)
    ordered = np.asarray(ids, dtype=object)[order]
    folds = np.ascontiguousarray(assignment[order], dtype="<i2")
    return digest(*_text_parts(ordered), str(folds.shape), folds.tobytes())


def order_by_id(ids: Sequence[str] | Text) -> NDArray[np.int64]:
    """The rows in the order of their ids' code points: (rows,)."""
    texts = list(ids)
    return np.fromiter(sorted(range(len(texts)), key=texts.__getitem__), np.int64, len(texts))


def write_folds(folder: Path, folds: Folds, counts: Mapping[str, Any]) -> bool:
    """Write ``folds.csv``, then its manifest with the ``counts`` by class; whether they changed.

    A file that already says the same is left alone.
    """
    columns = {
        "id": folds.ids,
        **dict(zip(_fold_columns(folds.repeats), folds.assignment.T, strict=True)),
    }
    columns |= _other_columns(folds)
    manifest = {
        "k": folds.k,
        "repeats": folds.repeats,
        "holdout": folds.holdout,
        "seed": folds.seed,
        "algorithm": folds.algorithm,
        "recomputable": folds.recomputable,
        "rows": len(folds.ids),
        "digest": folds.digest,
        "other_columns": _other_columns_digest(folds),
        "counts": counts,
    }
    texts = {CSV: _csv(columns), MANIFEST: _json(manifest)}  # the manifest last
    changed = [name for name, text in texts.items() if not _says(folder / name, text)]
    for name in changed:
        write_text(folder / name, texts[name])
    return bool(changed)


@dataclass(frozen=True)
class _Manifest:
    """folds.json."""

    k: int
    repeats: int
    holdout: float
    seed: int
    algorithm: int
    recomputable: bool
    rows: int
    digest: str
    counts: dict[str, Any]
    other_columns: str | None = None

    def __post_init__(self) -> None:
        if not (self.k >= 2 and self.repeats >= 1 and 0 <= self.holdout < 1):
            raise ValueError("there are no such folds")


def read_folds(folder: Path) -> Folds:
    """The folds that were written; a WorkspaceError if they are missing, damaged or edited."""
    path = folder / MANIFEST
    if not path.exists():
        raise WorkspaceError(path, "is missing", "run `python -m harness fold`")
    manifest = read_record(_Manifest, path, missing="is missing", fix=FRESH)
    path = folder / CSV
    try:
        table = pd.read_csv(
            path, dtype=str, keep_default_na=False, na_filter=False, skip_blank_lines=False
        )
        columns = {name: np.asarray(table[name], dtype=object) for name in table.columns}
        names = _fold_columns(manifest.repeats)
        folds = Folds(
            ids=columns["id"],
            assignment=np.column_stack([columns[name].astype(np.int16) for name in names]),
            k=manifest.k,
            seed=manifest.seed,
            algorithm=manifest.algorithm,
            holdout=manifest.holdout,
            groups=columns.get("group"),
            labels=columns.get("label"),
            generations=columns["generation"].astype(np.int64) if "generation" in columns else None,
            recomputable=manifest.recomputable,
        )
    except FileNotFoundError:
        raise WorkspaceError(path, "is missing", FRESH) from None
    except (OSError, ValueError, KeyError) as error:
        raise WorkspaceError(path, f"cannot be read ({error})", FRESH) from error
    if (folds.digest, _other_columns_digest(folds)) != (manifest.digest, manifest.other_columns):
        raise WorkspaceError(path, "was edited: its digest is not the manifest's", FRESH)
    return folds


def describe_difference(
    ids: Sequence[str] | Text, fold: NDArray[np.integer[Any]], folds: Folds
) -> str:
    """How ``ids`` and ``fold`` (rows,) differ from the first repeat, in one phrase; or empty."""
    theirs = dict(zip(ids, fold.tolist(), strict=True))
    inside = folds.fold >= 0
    ours = dict(zip(folds.ids[inside], folds.fold[inside].tolist(), strict=True))
    kinds = {
        "row(s) missing": ours.keys() - theirs.keys(),
        "row(s) too many": theirs.keys() - ours.keys(),
        "row(s) in another fold": {id for id, fold in ours.items() if theirs.get(id, fold) != fold},
    }
    return ", ".join(
        f"{len(found)} {what}, first {min(found)!r}" for what, found in kinds.items() if found
    )


def _says(path: Path, text: str) -> bool:
    return path.exists() and path.read_bytes() == text.encode()


def _other_columns(folds: Folds) -> dict[str, NDArray[Any]]:
    """The columns beside id and folds, those that are used."""
    columns = {"group": folds.groups, "label": folds.labels, "generation": folds.generations}
    return {name: column for name, column in columns.items() if column is not None}


def _fold_columns(repeats: int) -> list[str]:
    return ["fold"] if repeats == 1 else [f"fold_{repeat}" for repeat in range(repeats)]


def _text_parts(texts: Iterable[str]) -> tuple[bytes, bytes]:
    """Texts as bytes for a digest: all of them joined, and their lengths."""
    encoded = [text.encode() for text in texts]
    lengths = np.fromiter(map(len, encoded), "<i8", len(encoded))
    return b"".join(encoded), lengths.tobytes()


def _other_columns_digest(folds: Folds) -> str:
    parts: list[str | bytes] = []
    for name, column in _other_columns(folds).items():
        parts += [name, *_text_parts(map(str, column.tolist()))]
    return digest(*parts)


def _csv(columns: Mapping[str, NDArray[Any]]) -> str:
    # Not the csv module or pandas: what they quote has changed between versions.
    texts = [_fields([str(value) for value in column.tolist()]) for column in columns.values()]
    lines = [",".join(columns), *map(",".join, zip(*texts, strict=True))]
    return "\n".join(lines) + "\n"


def _fields(texts: list[str]) -> list[str]:
    if not _MUST_BE_QUOTED.search("".join(texts)):
        return texts
    return [
        '"' + text.replace('"', '""') + '"' if _MUST_BE_QUOTED.search(text) else text
        for text in texts
    ]


def _json(manifest: Mapping[str, Any]) -> str:
    """JSON with a line a key and a line a class, for readers and for diffs."""
    lines = []
    for name, value in manifest.items():
        text = json.dumps(value, ensure_ascii=False)
        if isinstance(value, Mapping):
            inner = ",\n".join(
                f"    {json.dumps(key, ensure_ascii=False)}: {json.dumps(item)}"
                for key, item in value.items()
            )
            text = f"{{\n{inner}\n  }}"
        lines.append(f"  {json.dumps(name)}: {text}")
    return "{\n" + ",\n".join(lines) + "\n}\n"
