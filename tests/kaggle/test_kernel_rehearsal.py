"""Built kernels run in Kaggle's folders, in a fresh environment, without network: minutes."""

import json
import shutil
import zipfile
from functools import partial
from pathlib import Path

import pytest
from tiny import edit, make_workspace

from harness.cli import main
from harness.errors import ConfigError, WorkspaceError
from harness.kaggle import wheels
from harness.kaggle.kernel import Kernel, build_kernel, packed_files
from harness.kaggle.kernel_rehearsal import KernelRehearsal, rehearse_kernel
from harness.submit.rehearsal import lay_out_data
from harness.workspace import Workspace
from harness.workspace.ensemble import read_ensemble

pytestmark = pytest.mark.slow

RUNTIME = "onnxruntime"
NEEDED = set(wheels.closure([wheels.PROJECT, RUNTIME]))
IMAGE = tuple(sorted(NEEDED - {wheels.PROJECT}))
"""As if Kaggle's image had all that predicting needs: only the harness's own wheel is packed, and
what converted the networks is not there."""
ROWS = 25


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_workspace(tmp_path_factory.mktemp("kernel") / "workspace")
    edit(folder / "competition.toml", 'name = "tiny"', 'name = "tiny"\nkaggle = "leaves"')
    pytest.importorskip(RUNTIME)
    for verb in (["fold"], ["train"], ["stack"], ["cost", "--engine", f"{RUNTIME}-fp32"]):
        assert main([*verb, "-C", str(folder)]) == 0
    return folder


@pytest.fixture
def copy(planned: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(planned, tmp_path / "workspace"))


def build(folder: Path, budget: float = 600.0) -> Kernel:
    workspace = Workspace.open(folder)
    ensemble = read_ensemble(workspace.models / "ensemble")
    return build_kernel(workspace, ensemble, budget, image=IMAGE)


def rehearse(folder: Path, kernel: Kernel, budget: float = 600.0) -> KernelRehearsal:
    lay_out = partial(lay_out_data, Workspace.open(folder), other_ids=True)
    return rehearse_kernel(
        kernel, "leaves", folder / ".cache/kernel", budget, ROWS, lay_out, image=IMAGE
    )


def test_a_sound_kernel_passes(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(copy)  # as users call it: in the workspace
    found = rehearse(Path(), build(Path()))
    assert found.failures == [], found.output
    assert (found.code, found.found, found.reached) == (0, ROWS, ROWS)
    assert not (copy / ".cache/kernel").exists()


def test_a_member_that_could_not_be_used_is_a_failure(copy: Path) -> None:
    kernel = build(copy)
    archive, worse = kernel.data / "workspace.zip", copy / "worse.zip"
    with zipfile.ZipFile(archive) as whole, zipfile.ZipFile(worse, "w") as spoilt:
        for name in whole.namelist():
            content = whole.read(name)
            spoilt.writestr(name, content[::-1] if name.endswith(".onnx") else content)
    worse.replace(archive)
    failures = rehearse(copy, kernel).failures
    assert failures
    assert all("is left out" in failure and "is damaged" in failure for failure in failures)


def test_a_wheel_that_is_missing_is_named(copy: Path) -> None:
    kernel = build(copy)
    for wheel in kernel.data.glob("*.whl"):
        wheel.unlink()
    (failure,) = rehearse(copy, kernel).failures
    assert "No matching distribution found for competition-harness" in failure


def test_a_weight_that_is_missing_is_named(copy: Path) -> None:
    kernel = build(copy)
    archive, lacking = kernel.data / "workspace.zip", copy / "lacking.zip"
    with zipfile.ZipFile(archive) as whole, zipfile.ZipFile(lacking, "w") as less:
        for name in whole.namelist():
            if name != "models/probe/backbone.safetensors":
                less.writestr(name, whole.read(name))
    lacking.replace(archive)
    (failure,) = rehearse(copy, kernel).failures
    assert "models/probe/backbone.safetensors is missing from the data set" in failure


def test_a_budget_that_is_too_small_is_told(copy: Path) -> None:
    failures = rehearse(copy, build(copy, budget=7.0), 7.0).failures
    assert any("too small" in failure or "budget was spent" in failure for failure in failures)


def test_a_notebook_that_needs_the_network_is_told(copy: Path) -> None:
    kernel = build(copy)
    path = kernel.code / "notebook.ipynb"
    notebook = json.loads(path.read_text(encoding="utf-8"))
    call = "import urllib.request\nurllib.request.urlopen('http://example.com')\n"
    notebook["cells"].append({"cell_type": "code", "source": call})
    path.write_text(json.dumps(notebook), encoding="utf-8")
    (failure,) = rehearse(copy, kernel).failures
    assert "the rehearsal has no network" in failure


def test_what_could_not_run_there_is_not_built(copy: Path) -> None:
    edit(copy / "competition.toml", '"data/test.csv"', '"tables/test.csv"')
    with pytest.raises(ConfigError, match=r"tables/test.csv.* is not in data/"):
        build(copy)
    workspace = Workspace.open(copy)
    ensemble = read_ensemble(workspace.models / "ensemble")
    (copy / "models/probe/backbone.safetensors").unlink()
    with pytest.raises(WorkspaceError, match=r"backbone\.safetensors: is missing"):
        packed_files(workspace, ensemble)
