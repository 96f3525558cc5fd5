"""The examination of a workspace: what is there, what is wrong with it, what comes next."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from harness.data.images import image_paths, inspect, map_images
from harness.data.summary import (
    check_metadata,
    check_test,
    differing_test_ids,
    summarise_table,
)
from harness.data.table import read_table
from harness.display import Display
from harness.doctor.findings import Finding, ImageReport, Progress, image_findings
from harness.doctor.machine import devices, disk, unwritable, versions, weights
from harness.errors import UserError
from harness.model import ModelSection
from harness.text import refuse_look_alikes
from harness.workspace import Workspace


def examine(workspace: Workspace, display: Display) -> list[Finding]:
    """All findings on data and machine, in the order in which they are best read."""
    competition, root = workspace.competition, workspace.root
    white = competition.data.white
    found = [versions(), devices(), *unwritable(workspace)]
    paths: list[Path | None] = []
    try:
        table = read_table(competition, root)
        found += [Finding("ok", "table", line) for line in summarise_table(table, competition.task)]
        paths = image_paths(competition, root, table.ids)
        found += image_findings("images", _inspect_all(table.ids, paths, root, display), white)
        refuse_look_alikes(table.ids, range(len(table.ids)))
        check_metadata(competition, root, table)
    except UserError as error:
        found.append(Finding("mend", "table", str(error)))
    try:
        ids = check_test(competition, root)
        found.append(Finding("ok", "test", f"{len(ids)} images to predict"))
        found += [Finding("note", "test", said) for said in differing_test_ids(competition, root)]
        test_paths = image_paths(competition, root, ids, test=True)
        found += image_findings("test", _inspect_all(ids, test_paths, root, display), white)
    except UserError as error:
        found.append(Finding("mend", "test", str(error)))
    untrained = _untrained(workspace)
    if paths:
        found.append(disk(workspace, untrained, [path for path in paths if path is not None]))
    found += weights(competition.model, root)
    return found


def progress_of(workspace: Workspace) -> Progress:
    """How far the workspace has come."""
    ensemble = workspace.models / "ensemble"
    return Progress(
        folds=(workspace.folds / "folds.json").exists(),
        untrained=tuple(model.name for model in _untrained(workspace)),
        ensemble=(ensemble / "ensemble.json").exists(),
        budget=workspace.competition.budget.seconds is not None,
        plans=(ensemble / "plans.json").exists(),
        submissions=tuple(sorted(path.name for path in workspace.submissions.glob("*.csv"))),
    )


def _untrained(workspace: Workspace) -> list[ModelSection]:
    return [
        run
        for run in workspace.competition.runs
        if not (workspace.oof / f"{run.name}.parquet").exists()
    ]


def _inspect_all(
    ids: Iterable[str], paths: Sequence[Path | None], root: Path, display: Display
) -> list[ImageReport]:
    """A report of each id's image, decoded on all cores."""
    with display.progress("reading", len(paths)) as advance:
        read = map_images(_report, [path for path in paths if path is not None], root)
        reports = []
        for id_, path in zip(ids, paths, strict=True):
            reports.append(ImageReport(f"id {id_}", "missing") if path is None else next(read))
            advance(len(reports), "")
    return reports


def _report(path: Path, root: Path) -> ImageReport:
    name = os.path.relpath(path, root)
    if not path.stat().st_size:
        return ImageReport(name, "empty")
    try:
        return ImageReport(name, facts=inspect(path))
    except UserError as error:
        why = error.found.removeprefix("cannot be decoded (").removesuffix(")")
        return ImageReport(name, "unreadable", why)
