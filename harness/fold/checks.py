"""What ids, targets, groups and rules must be, before rows are assigned: pure."""

from collections.abc import Sequence
from itertools import count
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from harness.errors import DataError
from harness.fold.keys import Keys, Packed, derive_key, hash_texts, pack
from harness.fold.stratified import UNPLACED, Folds, Ints
from harness.text import plain_form, refuse_look_alikes

Texts = Sequence[str] | NDArray[Any]

_SPACE = 0x20  # in ASCII, no character that is stripped from an end has a higher code


def check_rules(k: int, repeats: int, holdout: float, rows: int) -> None:
    """DataError if no table of that many rows could be folded like this."""
    if not 2 <= k <= rows:
        raise DataError("folds", f"k = {k} for {rows} rows", "choose 2 ≤ k ≤ rows")
    if k > np.iinfo(np.int16).max:
        raise DataError("folds", f"k = {k}", "choose at most 32767 folds")
    if repeats < 1:
        raise DataError("folds", f"repeats = {repeats}", "choose 1 or more")
    if not 0 <= holdout < 1:
        raise DataError("folds", f"holdout = {holdout}", "choose a share of 0 or more, below 1")


def check_ids(ids: Texts) -> Keys:
    """The key of every id: (rows,), all different.

    DataError if an id is not text, is empty or occurs twice, or if two differ only in case,
    surrounding space or Unicode form: tables, file systems and people confuse those.
    """
    packed = _pack(ids, "id")
    if len(empty := np.flatnonzero(packed.lengths == 0)):
        raise DataError("data", f"row {empty[0]} has an empty id", "give it one or remove the row")
    plain = _plain_forms(ids, packed)
    keys = hash_texts(packed, derive_key(1, "id"))
    clashing = _repeated(keys)
    alike = clashing if plain is packed else _repeated(hash_texts(plain, derive_key(1, "id")))
    refuse_look_alikes(ids, alike.tolist())
    return _separate(keys, ids, clashing)


def check_target(target: NDArray[Any], ids: Texts) -> NDArray[Any]:
    """The target with nothing missing: integers, a 0/1 matrix, or float64 values.

    DataError names the first row whose label is negative, NaN or infinite.
    """
    target = np.asarray(target)
    if len(target) != len(ids):
        raise ValueError(f"{len(target)} targets for {len(ids)} ids")
    bad = ~np.isfinite(target) if target.dtype.kind == "f" else target < 0
    if bad.any():
        row = int(np.flatnonzero(bad if bad.ndim == 1 else bad.any(axis=1))[0])
        raise DataError("data", f"id {ids[row]!r} has no label", "label it or leave it out")
    if target.ndim == 2:
        return target.astype(np.bool_)
    return target.astype(np.float64) if target.dtype.kind == "f" else target


def check_groups(groups: Texts, ids: Texts) -> Ints:
    """A code from 0 for every row's group: (rows,). DataError if one is missing."""
    if len(groups) != len(ids):
        raise ValueError(f"{len(groups)} groups for {len(ids)} ids")
    packed = _pack(groups, "group")
    if len(empty := np.flatnonzero(packed.lengths == 0)):
        raise DataError(
            "data", f"id {ids[empty[0]]!r} has no group", "give each row one, if need be its own"
        )
    codes: Ints = np.unique(hash_texts(packed, derive_key(1, "group")), return_inverse=True)[1]
    return codes


def check_previous(previous: Folds, groups: Texts, codes: Ints) -> None:
    """DataError if rows of one group have been placed in different folds."""
    for folds in previous.T:
        known = np.flatnonzero(folds != UNPLACED)
        fold_of_group = np.full(int(codes.max()) + 1, UNPLACED, np.int16)
        fold_of_group[codes[known]] = folds[known]
        split = known[folds[known] != fold_of_group[codes[known]]]
        if len(split):
            row = split[0]
            raise DataError(
                "data",
                f"group {groups[row]!r} has rows in fold {folds[row]} and in fold "
                f"{fold_of_group[codes[row]]}: groups were changed or merged since they were made",
                "restore the groups, or run `python -m harness fold --fresh`",
            )


def check_classes(
    target: NDArray[Any],
    groups: Ints | None,
    k: int,
    rare: Literal["error", "spread"],
    class_names: Sequence[str] | None,
) -> None:
    """DataError if the rows, the groups or (unless ``rare`` spreads) a class cannot fill k folds.

    The rows are those outside the holdout.
    """
    if len(target) < k:
        raise DataError(
            "folds", f"{len(target)} rows outside the holdout for {k} folds", "lower k or holdout"
        )
    if groups is not None and (several := len(np.unique(groups))) < k:
        raise DataError("folds", f"{several} groups for {k} folds", f"set k to {several} or less")
    if rare == "spread" or target.dtype.kind == "f":
        return
    counts = target.sum(axis=0) if target.ndim == 2 else np.bincount(target)
    few = np.flatnonzero((counts > 0) & (counts < k))
    if len(few):
        code = int(few[0])
        name = code if class_names is None else class_names[code]
        others = f", and {len(few) - 1} more classes too have fewer" if len(few) > 1 else ""
        raise DataError(
            "folds",
            f"class {name!r} has {counts[code]} row(s) outside the holdout for {k} folds{others}",
            'lower k, merge classes, or set rare = "spread" in [folds] to accept folds without it',
        )


def _pack(texts: Texts, what: str) -> Packed:
    try:
        return pack(texts)
    except TypeError:
        row, found = next((r, text) for r, text in enumerate(texts) if not isinstance(text, str))
        raise DataError(
            "data",
            f"row {row} has the {what} {found!r}, which is not text",
            f"fill it in, and read the {what} column as text, so that '007' does not become 7",
        ) from None


def _plain_forms(ids: Texts, packed: Packed) -> Packed:
    """The ids without case, surrounding space and Unicode form; ``packed`` if that merges none.

    ASCII without space at an end, nearly every table, needs no look at the single ids.
    """
    if not packed.data.isascii():
        return pack([plain_form(text) for text in ids])
    letters = np.frombuffer(packed.data, np.uint8)
    first, last = packed.starts, packed.starts + packed.lengths - 1
    if letters[first].min() <= _SPACE or letters[last].min() <= _SPACE:
        return pack([plain_form(text) for text in ids])
    lower = packed.data.lower()
    if packed.data in (lower, packed.data.upper()):  # no letter occurs in both cases
        return packed
    return Packed(lower, packed.lengths)


def _repeated(keys: Keys) -> Ints:
    """The rows whose key occurs more than once."""
    # Sorting half keys is faster; the few rows that they make suspect are compared in full.
    halves = (keys >> np.uint64(32)).astype(np.uint32)
    ordered = np.sort(halves)
    twice = ordered[1:][ordered[1:] == ordered[:-1]]
    suspect = np.zeros(1 << 24, np.bool_)
    suspect[twice >> 8] = True
    rows = np.flatnonzero(suspect[halves >> 8])
    _, code, counts = np.unique(keys[rows], return_inverse=True, return_counts=True)
    return rows[counts[code] > 1]


def _separate(keys: Keys, ids: Texts, clashing: Ints) -> Keys:
    """Give different ids whose keys are equal (one table of 10 M ids in 400,000) other keys."""
    for attempt in count(1):
        if len(clashing) == 0:
            break
        again = pack([ids[row] for row in clashing])
        keys[clashing] = hash_texts(again, derive_key(1, "id", attempt))
        clashing = _repeated(keys)
    return keys
