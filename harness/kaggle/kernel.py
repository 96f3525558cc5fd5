"""A kernel for a code competition: a notebook, and a data set with all that it needs offline.

kernel/code/  notebook.ipynb, script.py (the same code), kernel-metadata.json
kernel/data/  wheels, workspace.zip (competition.toml and the weights), dataset-metadata.json
"""

import json
import shutil
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from harness.competition import FILE_NAME
from harness.errors import ConfigError, KaggleError, WorkspaceError
from harness.files import replacing, write_text
from harness.kaggle import wheels
from harness.kaggle.credentials import find_credentials
from harness.predict.plan import Plans
from harness.records import read_record, reading
from harness.workspace import Workspace
from harness.workspace.ensemble import Ensemble
from harness.workspace.runs import read_model

NOBODY = "your-name"
"""Stands for the owner until `kernel push` knows the name."""
_EPOCH = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Kernel:
    """What was built: the folders, and the names at Kaggle (owner/slug)."""

    code: Path
    data: Path
    name: str
    dataset: str


def build_kernel(
    workspace: Workspace,
    ensemble: Ensemble,
    budget: float,
    *,
    python: str | None = None,
    gpu: bool = False,
    image: tuple[str, ...] = wheels.IMAGE,
) -> Kernel:
    """Write kernel/code and kernel/data for a notebook that may take ``budget`` seconds.

    ``python`` is the version of Kaggle's image ("3.12"; this interpreter's if not said), ``image``
    what is installed there. ConfigError or WorkspaceError for what could not run there.
    """
    competition = workspace.competition.competition
    if competition.kaggle is None:
        raise ConfigError(FILE_NAME, "names no competition on Kaggle", 'add kaggle = "its-slug"')
    _require_data_folder(workspace)
    slug = f"{competition.kaggle[:37].strip('-')}-harness"
    folder = workspace.root / "kernel"
    owner = _owner()
    kernel = Kernel(folder / "code", folder / "data", f"{owner}/{slug}", f"{owner}/{slug}-data")
    # written last: what was built in part is not pushed
    (kernel.code / "kernel-metadata.json").unlink(missing_ok=True)
    python = python or f"{sys.version_info.major}.{sys.version_info.minor}"
    runtimes = _runtimes(workspace)
    requirements = wheels.needed([wheels.PROJECT, *runtimes], image)
    wheels.fetch_wheels(requirements, kernel.data, python)
    wheels.own_wheel(kernel.data)
    _pack(workspace, ensemble, kernel.data / "workspace.zip")
    settings = {
        "competition": competition.kaggle,
        "dataset": kernel.dataset,
        "budget_seconds": f"{budget:g}",
        "python": python,
        "install": " ".join([wheels.PROJECT, *runtimes]),
    }
    _write_code(kernel, settings)
    write_metadata(kernel, competition.kaggle, gpu=gpu)
    return kernel


def read_kernel(folder: Path) -> Kernel:
    """What was built in that folder; a WorkspaceError if nothing was."""
    code, data = folder / "code", folder / "data"
    if not (code / "kernel-metadata.json").exists():
        raise WorkspaceError(code, "holds no kernel", "run `python -m harness kernel build`")
    path = code / "kernel-metadata.json"
    with reading(path, "run `python -m harness kernel build`"):
        metadata = json.loads(path.read_text(encoding="utf-8"))
        return Kernel(code, data, str(metadata["id"]), str(metadata["dataset_sources"][0]))


def write_metadata(kernel: Kernel, competition: str, *, gpu: bool) -> None:
    """kernel-metadata.json and dataset-metadata.json, with every switch written out.

    A missing enable_internet would be sent as true.
    """
    title = kernel.name.partition("/")[2].replace("-", " ")
    _write_json(
        kernel.code / "kernel-metadata.json",
        {
            "id": kernel.name,
            "title": title,
            "code_file": "notebook.ipynb",
            "language": "python",
            "kernel_type": "notebook",
            "is_private": True,
            "enable_gpu": gpu,
            "enable_tpu": False,
            "enable_internet": False,
            "dataset_sources": [kernel.dataset],
            "competition_sources": [competition],
            "kernel_sources": [],
            "model_sources": [],
        },
    )
    _write_json(
        kernel.data / "dataset-metadata.json",
        {"id": kernel.dataset, "title": f"{title} data"[:50], "licenses": [{"name": "other"}]},
    )


def notebook(source: str) -> dict[str, Any]:
    """A notebook (nbformat 4.5) of one cell of code and what its docstring says."""
    first, _, rest = source.removeprefix('"""').partition('"""\n')
    cells = [
        {"cell_type": "markdown", "id": "about", "metadata": {}, "source": first.strip()},
        {
            "cell_type": "code",
            "id": "predict",
            "metadata": {},
            "execution_count": None,
            "outputs": [],
            "source": rest.strip() + "\n",
        },
    ]
    language = {"name": "python"}
    kernelspec = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return {
        "cells": cells,
        "metadata": {"kernelspec": kernelspec, "language_info": language},
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def packed_files(workspace: Workspace, ensemble: Ensemble) -> list[Path]:
    """What the ensemble and its plans predict with; a WorkspaceError if a file is missing."""
    root, folder = workspace.root, workspace.models / "ensemble"
    plans = _plans(workspace)
    if plans.ensemble != ensemble.digest:
        raise WorkspaceError(folder / "plans.json", "was made for another ensemble", "run `cost`")
    stages = [stage for plan in plans.plans for stage in plan.stages]
    planned = {stage.member for stage in stages}
    files = [root / FILE_NAME, *(folder / f"{n}.json" for n in ("ensemble", "costs", "plans"))]
    for member, weights in zip(ensemble.members, ensemble.weights, strict=True):
        if member not in planned and member not in ensemble.used:
            continue
        run = workspace.models / member
        if not weights:
            raise WorkspaceError(
                f"models/{member}",
                "was made by another tool, which cannot predict hidden rows",
                "take it out of oof/ and run `stack` and `cost` again",
            )
        files += [run / "run.json", *(run / name for name in weights)]
        if read_model(run).mode == "probe":
            files.append(run / "backbone.safetensors")
    if missing := [path for path in files if not path.is_file()]:
        raise WorkspaceError(missing[0], "is missing", "run `train`, `stack` and `cost` again")
    weights_of = dict(zip(ensemble.members, ensemble.weights, strict=True))
    for member, engine in sorted({(stage.member, stage.engine) for stage in stages}):
        run = workspace.models / member
        files += _converted(run, engine, weights_of[member], folder / "engines")
    return files


def _converted(run: Path, engine: str, weights: Sequence[str], cache: Path) -> list[Path]:
    """The networks that were converted for an engine; a WorkspaceError if one is not whole."""
    from harness.predict.engines import ENGINES, open_run
    from harness.predict.engines.convert import converted_file
    from harness.predict.engines.parts import parts

    kind = ENGINES[engine]
    if kind.converted is None:
        return []
    folders = [converted_file(kind, part, cache).parent for part in parts(open_run(run), weights)]
    return [path for one in folders for path in sorted(one.iterdir())]


def _pack(workspace: Workspace, ensemble: Ensemble, target: Path) -> None:
    """The files as one archive, stored as they are: weights do not get smaller."""
    files = packed_files(workspace, ensemble)
    names = {path.relative_to(workspace.root).as_posix(): path for path in files}
    sizes = {name: path.stat().st_size for name, path in names.items()}
    with replacing(target) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name, path in names.items():
            member = archive.open(zipfile.ZipInfo(name, _EPOCH), "w", force_zip64=True)
            with member as file, path.open("rb") as source:
                shutil.copyfileobj(source, file)
        archive.writestr(zipfile.ZipInfo("files.json", _EPOCH), json.dumps(sizes, indent=1))


def _runtimes(workspace: Workspace) -> list[str]:
    """The packages that the plans' engines need beside torch."""
    from harness.predict.engines.kinds import ENGINES

    engines = {stage.engine for plan in _plans(workspace).plans for stage in plan.stages}
    return sorted({ENGINES[name].runtime for name in engines if name in ENGINES} - {"torch"})


def _require_data_folder(workspace: Workspace) -> None:
    """The competition's files are mounted as one folder, which stands for data/."""
    data = workspace.competition.data
    for name in (data.test, data.sample_submission, *data.patterns_for_test):
        if name and PurePosixPath(name).parts[0] != "data":
            raise ConfigError(
                f"{FILE_NAME} [data]",
                f"{name!r} is not in data/, where the kernel finds the competition's files",
                "lay the files out as `data --kaggle` does",
            )


def _write_code(kernel: Kernel, settings: dict[str, str]) -> None:
    source = Path(__file__).with_name("kernel_script.py").read_text(encoding="utf-8")
    line = next(line for line in source.splitlines() if line.startswith("SETTINGS"))
    source = source.replace(line, f"SETTINGS = {json.dumps(settings, indent=4)}")
    write_text(kernel.code / "script.py", source)
    _write_json(kernel.code / "notebook.ipynb", notebook(source))


def _owner() -> str:
    try:
        return find_credentials().username or NOBODY
    except KaggleError:
        return NOBODY


def _plans(workspace: Workspace) -> Plans:
    path = workspace.models / "ensemble" / "plans.json"
    return read_record(Plans, path, missing="is not there", fix="run `stack` and `cost`")


def _write_json(path: Path, values: dict[str, Any]) -> None:
    write_text(path, json.dumps(values, indent=1, ensure_ascii=False) + "\n")
