"""The workspace's doubtful labels: from its OOF files, less what people have decided."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.audit.labels import average, suspects
from harness.audit.probe import CLASSIFIED
from harness.data.corrections import read_corrections, standing
from harness.data.state import CORRECTIONS
from harness.errors import ConfigError
from harness.workspace import Workspace
from harness.workspace.oof import oof_files, read_oof
from harness.workspace.training import read_training


@dataclass(frozen=True)
class Doubt:
    """An image whose label is doubted: the given and the likely label, and how much."""

    id: str
    given: str
    likely: str
    doubt: float


@dataclass(frozen=True)
class Doubts:
    """All doubts, the gravest first; the labels there are; the members that were asked.

    ``doubted`` of ``rows`` labels are not what the members answer; ``wrong`` estimates how many of
    those are wrong, labels that people have decided among them.
    """

    found: tuple[Doubt, ...]
    wrong: int
    doubted: int
    rows: int
    labels: tuple[str, ...]
    members: tuple[str, ...]


def read_doubts(workspace: Workspace, *, most: int | None = None) -> Doubts:
    """The first ``most`` doubts that nobody has decided; one that was skipped comes again.

    ConfigError for a task whose images have no one class; errors as ``read_oof``.
    """
    task = workspace.competition.task
    if task not in CLASSIFIED:
        raise ConfigError(
            "competition.toml [competition]",
            f"task {task!r}: only labels of one class an image can be reviewed",
            f"look at the worst rows of the OOF files yourself and write {CORRECTIONS} by hand",
        )
    training = read_training(workspace)
    members = [read_oof(file, training) for file in oof_files(workspace.oof)]
    rows = training.rows_in_folds
    probabilities = average([member.predictions for member in members])
    target: NDArray[np.int64] = training.target[rows].astype(np.int64)
    decided = standing(read_corrections(workspace.root / CORRECTIONS))
    names, ids = training.targets, training.ids[rows]
    doubted = suspects(target, probabilities)
    found = [
        Doubt(str(ids[s.row]), names[s.given], names[s.likely], s.doubt)
        for s in doubted
        if ids[s.row] not in decided or decided[ids[s.row]].action == "skip"
    ]
    wrong = sum(suspect.confident for suspect in doubted)
    asked = tuple(member.name for member in members)
    return Doubts(tuple(found[:most]), wrong, len(doubted), len(rows), names, asked)


def image_paths(workspace: Workspace, doubts: Doubts) -> list[Path]:
    """The doubted images' files."""
    from harness.data.images import find_images

    return find_images(workspace.competition, workspace.root, [d.id for d in doubts.found])
