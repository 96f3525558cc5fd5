"""models/<run>/: what repeats a run (run.json), its fold models, its log."""

import json
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from harness.errors import ResourceError, WorkspaceError
from harness.files import digest, replacing, to_write
from harness.model import ModelSection, training_settings
from harness.records import read_json, read_record, reading, write_json

Values = Mapping[str, Any]
Arrays = Mapping[str, NDArray[Any]]


def start_run(
    folder: Path,
    identity: Values,
    circumstances: Values,
    labels: tuple[NDArray[np.object_], NDArray[Any]] | None = None,
) -> Values:
    """Write run.json, or accept the one that is there if it is the same run.

    ``identity`` is all that decides what is trained: a stored run that differs in it is refused
    rather than overwritten, since it may be a night's work. ``circumstances`` (versions, device)
    are noted for the reader; those that are stored are returned. ``labels`` are the ids (rows,) and
    the target, which is kept beside it, so that an error can name the image whose label changed.
    """
    path, kept = folder / "run.json", folder / "labels.safetensors"
    if path.exists():
        stored = read_run(folder)
        before = _with_defaults(stored["identity"])
        if change := first_difference(before, identity):
            if labels and kept.exists() and {**before, "labels": identity["labels"]} == identity:
                now = labels[1].reshape(len(labels[1]), -1)
                other = np.flatnonzero((load_arrays(kept)["target"] != now).any(axis=1))
                change = f"other labels of {len(other)} image(s), first {labels[0][other[0]]!r}"
            name = folder.name
            raise WorkspaceError(
                folder,
                f"was trained with {change}",
                f"give the model a new name, or run `python -m harness train --retrain {name}`",
            )
        return stored["circumstances"]
    if labels:
        target = labels[1].reshape(len(labels[1]), -1)
        small = target.dtype if target.dtype.kind == "f" else np.min_scalar_type(target.max())
        save_arrays(kept, {"target": target.astype(small)})
    write_json(path, _json({"identity": identity, "circumstances": circumstances}))
    return circumstances


def is_same_run(folder: Path, identity: Values) -> bool:
    """Return whether a sound run.json of that run is there."""
    try:
        stored = read_run(folder)["identity"]
    except WorkspaceError:
        return False
    return first_difference(_with_defaults(stored), identity) is None


def _with_defaults(identity: dict[str, Any]) -> dict[str, Any]:
    """The identity with the settings that its run did not know yet, which were as by default."""
    try:
        model = ModelSection.model_validate(identity["model"], strict=False)
    except ValueError:  # a setting that is no more: the comparison will name it
        return identity
    return {**identity, "model": training_settings(model)}


class _Identity(BaseModel, extra="allow"):
    """What is read of it; all else is only compared."""

    model: dict[str, Any]
    task: str
    targets: list[str]
    folds: str


class _Run(BaseModel, extra="allow"):
    identity: _Identity
    circumstances: dict[str, Any]


def read_run(folder: Path) -> dict[str, Any]:
    """run.json as a dictionary with ``identity`` and ``circumstances``."""
    path, fix = folder / "run.json", retrain(folder)
    read_record(_Run, path, missing="is missing", fix=fix, extra="allow")
    found: dict[str, Any] = json.loads(read_json(path))  # in the file's own order
    return found


def read_model(folder: Path) -> ModelSection:
    """How the run in ``folder`` was trained; a WorkspaceError if there is no such setting."""
    stored = read_run(folder)["identity"]["model"]
    with reading(folder / "run.json", retrain(folder)):
        return ModelSection.model_validate(stored, strict=False)


def retrain(folder: Path) -> str:
    """How to mend what is missing or damaged in models/<run>/: a run that is complete, by its OOF
    file, is otherwise left as it is."""
    return f"run `python -m harness train --retrain {folder.name}`, then `stack`"


def run_digest(folder: Path) -> str:
    """The digest of what decided the run in ``folder``; "" if there is none."""
    return identity_digest(read_run(folder)["identity"]) if (folder / "run.json").exists() else ""


def identity_digest(identity: Values) -> str:
    """The digest of what decides a run."""
    return digest(_json(identity))


def fold_file(folder: Path, number: int) -> Path:
    """The weights of fold model ``number``; repeats count on: repeat × k + fold."""
    return folder / f"fold{number}.safetensors"


def fold_files(folder: Path) -> list[Path]:
    """The weights of all fold models that are there, by number."""
    files = [p for p in folder.glob("fold*.safetensors") if p.stem[4:].isdigit()]
    return sorted(files, key=lambda path: int(path.stem[4:]))


def fold_predictions_file(folder: Path, number: int) -> Path:
    """What the fold model predicted: ``predictions`` for its fold and ``holdout`` where there is
    one, with the ``seconds`` that its training took and the ``views`` (see ``noted_views``)."""
    return folder / f"fold{number}.oof.safetensors"


def soup_file(folder: Path) -> Path:
    """One network with the mean of the fold models' weights."""
    return folder / "soup.safetensors"


def refit_file(folder: Path) -> Path:
    """The weights of a model trained on all rows that are in folds."""
    return folder / "refit.safetensors"


def holdout_file(weights: Path) -> Path:
    """What the soup or the refit predicted for the holdout (a fold model's is with its OOF)."""
    return weights.with_suffix(".holdout.safetensors")


def write_holdout_scores(folder: Path, values: Values) -> None:
    """Write holdout.json: what averaging the fold models, a soup or a refit is worth."""
    write_json(folder / "holdout.json", _json(values))


def save_arrays(path: Path, arrays: Arrays) -> None:
    """Named arrays as safetensors with a checksum, all of them or none.

    A ResourceError if the disk is full.
    """
    whole = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    try:
        with replacing(path) as temporary:
            save_file(whole, temporary, {"crc32": checksum(whole)})
    except SafetensorError as error:  # as untyped as it is: a full disk
        raise ResourceError(
            path, f"cannot be written ({error})", "make room on its disk"
        ) from error


def load_arrays(path: Path, fix: str | None = None) -> dict[str, NDArray[Any]]:
    """Named arrays from a safetensors file; a WorkspaceError, with the ``fix``, if it is damaged.

    Without a ``fix`` it is the file of a run, which is trained again. Who else wrote it may have
    left out the checksum.
    """
    with reading(path, fix or retrain(path.parent)):
        with safe_open(path, "np") as file:
            arrays: dict[str, NDArray[Any]] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            noted = (file.metadata() or {}).get("crc32")
        if noted not in (None, checksum(arrays)):
            raise ValueError("its checksum is another")
    return arrays


def save_predictions(path: Path, arrays: Arrays, views: Sequence[str]) -> None:
    """Save predictions as ``save_arrays`` does, with the views that they are means over."""
    save_arrays(path, {**arrays, "views": np.frombuffer(",".join(views).encode(), np.uint8)})


def noted_views(path: Path) -> tuple[str, ...]:
    """Return the views of a file of predictions; ``identity`` in old files.

    A WorkspaceError if the file is damaged.
    """
    views = load_arrays(path).get("views")
    return ("identity",) if views is None else tuple(views.tobytes().decode().split(","))


def checksum(arrays: Arrays) -> str:
    """Return the CRC-32 of names, shapes and numbers; as quick as reading them, unlike a digest."""
    state = 0
    for name, array in sorted(arrays.items()):
        state = zlib.crc32(f"{name} {array.dtype} {array.shape}".encode(), state)
        state = zlib.crc32(array.reshape(-1).view(np.uint8).data, state)
    return f"{state:08x}"


def training_seconds(folder: Path) -> float:
    """The seconds that the training of the run's fold models took; NaN for one that has none."""
    files = [fold_predictions_file(folder, int(path.stem[4:])) for path in fold_files(folder)]
    spent = [float(load_arrays(file)["seconds"][0]) for file in files if file.exists()]
    return sum(spent) if spent else float("nan")


def append_log(folder: Path, record: Values) -> None:
    """Add a line to log.jsonl."""
    with to_write(folder / "log.jsonl").open("a", encoding="utf-8", newline="\n") as stream:
        stream.write(json.dumps(record) + "\n")


def first_difference(stored: Values, wanted: Values, path: str = "") -> str | None:
    """The first value in which two nested records differ, as a phrase; None if they agree.

    >>> first_difference({"a": {"b": 1}}, {"a": {"b": 2}})
    'a.b = 1, now it is 2'
    """
    for key in [*wanted, *(key for key in stored if key not in wanted)]:
        before, now = stored.get(key), wanted.get(key)
        name = f"{path}{key}"
        if isinstance(before, Mapping) and isinstance(now, Mapping):
            if inner := first_difference(before, now, f"{name}."):
                return inner
        elif before != now:
            return f"{name} = {before}, now it is {now}"
    return None


def _json(values: Values) -> str:
    return json.dumps(values, indent=2, ensure_ascii=False) + "\n"
