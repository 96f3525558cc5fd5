"""What ``python -m harness add`` does: take pictures in, refuse copies, tell what they bring."""

import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.audit.duplicates import components, find_copies
from harness.audit.look import Looks, join, look_at
from harness.audit.pictures import Pictures, see
from harness.audit.probe import CLASSIFIED, Question, linear, make_folds, predict
from harness.audit.score import gain_interval
from harness.data.extra import NOTHING, Extra, read_extra, write_extra
from harness.data.frame import read_frame
from harness.data.state import EXTRA
from harness.display import Display
from harness.errors import ConfigError, DataError, nearest
from harness.estimate import Estimate
from harness.files import replacing
from harness.text import comparable
from harness.workspace import Workspace

FOLDER = "extra"
"""Beside the table of extra pictures: where they are kept, named by their bytes' digests."""


@dataclass(frozen=True)
class Added:
    """What came of it: ``refused`` counts reasons; ``gain`` is what the old rows' score gained."""

    taken: int
    refused: dict[str, int]
    gain: Estimate | None
    table: Path


def add(
    workspace: Workspace, display: Display, given: Path, *, source: str, weight: float
) -> Added:
    """Take the pictures of a folder of class folders, or of a table ``file,label``, in.

    Copies of test images, of labelled images (each of which validates in some fold) and of what
    was added before are refused, as is what cannot be read. ``gain`` compares a probe's score on
    the old rows, out of fold, with all extra pictures and without.
    """
    task = workspace.competition.task
    if task not in CLASSIFIED:
        raise ConfigError("add", f"does not know task {task!r}", "it adds images of one class each")
    pictures = see(workspace, display)
    targets = pictures.table.targets
    paths, target = _given(given, targets)
    embed = None if pictures.eyes is None else pictures.eyes.embed
    rendering = workspace.competition.data.rendering
    with display.progress("looking", len(paths)) as advance:
        looks = look_at(paths, embed, lambda done: advance(done, ""), rendering=rendering)
    table = workspace.root / EXTRA
    before = read_extra(table, targets) if table.exists() else NOTHING
    known = [look_at(before.paths, embed, rendering=rendering)] if len(before) else []
    there = [pictures.looks, *known]
    everything = join([*there, looks])
    families = components(len(everything), find_copies(everything).pairs)
    reasons = refusals(families, pictures.trained, len(pictures.ids), looks.readable)
    taken = np.flatnonzero([reason == "" for reason in reasons])
    names = [_keep(paths[row], looks.contents[row], table.parent / FOLDER) for row in taken]
    extra = Extra(
        (*before.files, *(f"{FOLDER}/{name}" for name in names)),
        (*before.paths, *(table.parent / FOLDER / name for name in names)),
        np.concatenate([before.target, target[taken]]),
        np.concatenate([before.weight, np.full(len(taken), weight)]),
        (*before.source, *[source] * len(taken)),
    )
    if len(taken):
        write_extra(table, extra, targets)
    seen = join([*there[1:], looks[taken]]) if len(extra) else None
    gain = None if seen is None else gain_of(workspace, pictures, families, seen, extra)
    refused = Counter(reason for reason in reasons if reason)
    return Added(len(taken), dict(refused), gain, table)


def refusals(
    families: NDArray[np.int64], trained: int, known: int, readable: NDArray[np.bool_]
) -> list[str]:
    """Why each new picture is refused; empty where it is not.

    ``families`` (rows,) is a code that copies share: the first ``trained`` rows are labelled
    images, those up to ``known`` test images, then come the pictures added before, and last the
    new ones, which ``readable`` (new rows,) is about.
    """
    first_new = len(families) - len(readable)
    owner: dict[int, str] = {}
    for start, end, reason in (
        (trained, known, "a copy of a test image"),
        (0, trained, "a copy of a labelled image"),
        (known, first_new, "added before"),
    ):
        for family in families[start:end].tolist():
            owner.setdefault(family, reason)
    reasons = []
    for family, can_be_read in zip(families[first_new:].tolist(), readable, strict=True):
        reasons.append(owner.get(family, "") if can_be_read else "cannot be read")
        owner.setdefault(family, "a copy of another one")
    return reasons


def gain_of(
    workspace: Workspace,
    pictures: Pictures,
    families: NDArray[np.int64],
    seen: Looks,
    extra: Extra,
) -> Estimate:
    """How much a probe's score on the old rows gains from the extra ones: positive is better.

    ``seen`` is how the extra pictures look; copies among the old rows share their ``families``.
    """
    rows = pictures.readable
    groups = families[rows]
    target = pictures.table.target[rows].astype(np.int64)
    classes = len(pictures.table.targets)
    columns = pictures.reduced[rows]
    question = Question(target, classes, make_folds(target, groups))
    without = question.out_of_fold(columns)
    more = pictures.reduce(pictures.seen(seen))
    using = np.zeros_like(without)
    for fold in np.unique(question.folds):
        inside = question.folds == fold
        fitted = linear(
            np.concatenate([columns[~inside], more]),
            np.concatenate([target[~inside], extra.target]),
            np.concatenate([np.ones(np.count_nonzero(~inside)), extra.weight]),
        )
        using[inside] = predict(fitted, columns[inside], classes)
    return gain_interval(workspace.competition.metric, target, without, using, groups)


def _given(given: Path, targets: Sequence[str]) -> tuple[list[Path], NDArray[np.int64]]:
    """The pictures' paths, and their classes' codes (rows,)."""
    if given.is_dir():
        pairs = [
            (file, folder.name)
            for folder in sorted(given.iterdir())
            if folder.is_dir() and not folder.name.startswith(".")
            for file in sorted(folder.iterdir())
            if file.is_file() and not file.name.startswith(".")
        ]
    else:
        frame = read_frame(given)
        for column in ("file", "label"):
            if column not in frame.columns:
                raise DataError(given, f"has no column {column!r}", "it needs file and label")
        pairs = [
            (given.parent / file, label)
            for file, label in zip(frame["file"], frame["label"], strict=True)
        ]
    if not pairs:
        raise DataError(given, "holds no pictures", "give a folder with one folder a class")
    code = {comparable(name): number for number, name in enumerate(targets)}
    labels = [comparable(label) for _, label in pairs]
    for (file, _), label in zip(pairs, labels, strict=True):
        if label not in code:
            raise DataError(given, f"{label!r} of {file.name!r} is no class", nearest(label, code))
    return [file for file, _ in pairs], np.array([code[label] for label in labels], np.int64)


def _keep(path: Path, content: str, folder: Path) -> str:
    """Copy the file under its digest's name; the name."""
    suffix = path.suffix.lower() if path.suffix[1:].isalnum() else ""
    name = f"{content}{suffix}"
    if not (folder / name).exists():
        with replacing(folder / name) as temporary:
            shutil.copyfile(path, temporary)
    return name
