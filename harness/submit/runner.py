"""From the ensemble to a submission on disk."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.display import Display
from harness.errors import DataError, WorkspaceError
from harness.files import digest, file_digest
from harness.predict.engine import choose_device, load_predictor
from harness.predict.stream import Loaded, predict_images
from harness.submit.rows import TestRows, read_test_rows, submission_text
from harness.workspace import Workspace
from harness.workspace.ensemble import Ensemble
from harness.workspace.oof import given_file, read_predictions
from harness.workspace.runs import read_model, read_run, retrain
from harness.workspace.submissions import Sidecar, new_sidecar, read_sidecar, write_submission

Combine = Callable[[NDArray[np.float32], NDArray[np.float32] | None], NDArray[Any]]
"""(members, rows, targets), metadata (rows, columns) or None → (rows, targets).

Members that do not matter may hold NaN.
"""


@dataclass(frozen=True)
class Submitted:
    """What came of it: the file, its sidecar, and whether it was made now."""

    path: Path
    sidecar: Sidecar
    made: bool


def submit(
    workspace: Workspace,
    ensemble: Ensemble,
    combine: Combine,
    display: Display,
    *,
    name: str | None = None,
    started: float,
) -> Submitted:
    """Predict the test images with the ensemble and write submissions/<name>.csv.

    Every model predicts in the views that the OOF predictions were made in (``Competition.views``).
    ``started`` is the process's start on time.monotonic's clock: the seconds in the sidecar
    count from there. A test image that cannot be read gets the prior, is reported, and does not
    stop the rest.
    """
    rows = read_test_rows(workspace, ensemble)
    ids = rows.ids
    given = [given_file(workspace.oof, name, "test") for name in ensemble.used]
    inputs = digest(
        ensemble.digest,
        *(file_digest(rows.sample.path) if rows.sample else "",),
        *(file_digest(path) if path.exists() else "" for path in given),
        "" if rows.metadata is None else rows.metadata.tobytes(),
        *(f"{id_} {_size(path)}" for id_, path in zip(ids, rows.paths, strict=True)),
    )
    name = name or f"{ensemble.method}-{ensemble.digest[:8]}"
    path = workspace.submissions / f"{name}.csv"
    if path.exists() and (stored := read_sidecar(path)) and stored.inputs == inputs:
        return Submitted(path, stored, False)

    predictions, broken = _predict(workspace, ensemble, rows, display)
    good = np.setdiff1d(np.arange(len(ids)), list(broken))
    combined = np.tile(np.array(ensemble.decided_prior), (len(ids), 1))
    if len(good):
        blended = combine(predictions[:, good], rows.metadata_of(good))
        combined[good] = ensemble.decision.apply(blended)
    text = submission_text(workspace, path, rows, ensemble, combined)
    for row, error in broken.items():
        display.say(f"warning: {ids[row]} gets the prior: {error}")
    sidecar = replace(
        new_sidecar(ensemble, ensemble.estimate, len(ids), inputs=inputs),
        prior_rows=tuple(str(ids[row]) for row in sorted(broken)),
        seconds=round(time.monotonic() - started, 3),
    )
    write_submission(path, text, sidecar)
    return Submitted(path, sidecar, True)


def _predict(
    workspace: Workspace,
    ensemble: Ensemble,
    rows: TestRows,
    display: Display,
) -> tuple[NDArray[np.float32], dict[int, DataError]]:
    """((members, rows, targets), {row: error}); members that are not used stay NaN."""
    shape = (len(ensemble.members), len(rows.ids), len(ensemble.targets))
    predictions = np.full(shape, np.nan, np.float32)
    loaded: dict[str, Loaded] = {}
    for name in ensemble.used:
        given = given_file(workspace.oof, name, "test")
        if given.exists():
            predictions[ensemble.members.index(name)] = read_predictions(
                given, rows.ids, ensemble.targets, workspace.competition.task
            )
        else:
            loaded[name] = _load(workspace, name, ensemble)
    broken: dict[int, DataError] = {}
    if loaded:
        with display.progress("predicting", len(rows.paths)) as advance:
            predicted, broken = predict_images(
                loaded,
                rows.paths,
                len(ensemble.targets),
                lambda done: advance(done, ""),
                rendering=workspace.competition.data.rendering,
                views=workspace.competition.views,
            )
        readable = np.setdiff1d(np.arange(len(rows.paths)), list(broken))
        for name, values in predicted.items():
            if not np.isfinite(values[readable]).all():
                folder = workspace.models / name
                raise WorkspaceError(folder, "predicts NaN or infinity", retrain(folder))
            predictions[ensemble.members.index(name)] = values
    return predictions, broken


def _size(path: Path) -> int | None:
    return path.stat().st_size if path.exists() else None


def _load(workspace: Workspace, name: str, ensemble: Ensemble) -> Loaded:
    folder = workspace.models / name
    if not (folder / "run.json").exists():
        raise WorkspaceError(
            folder,
            f"there is no such run, and no oof/{name}.test.parquet either",
            f"{retrain(folder)}, or give its predictions for the test rows",
        )
    identity, model = read_run(folder)["identity"], read_model(folder)
    files = [folder / file for file in ensemble.weights[ensemble.members.index(name)]]
    if not files:
        raise WorkspaceError(folder, "holds no fold models", retrain(folder))
    device = choose_device(model.precision)
    predictor = load_predictor(folder, model, len(ensemble.targets), files, identity["task"])
    device.place(predictor)
    return Loaded(predictor, device, model.image_size)
