"""What the notebook does step by step, as far as it needs no environment of its own."""

import json
import zipfile
from pathlib import Path

import pytest

from harness.kaggle import kernel_script


def test_what_is_mounted_is_found_in_old_and_new_places(tmp_path: Path) -> None:
    for place in ("leaves", "datasets/ann/models"):
        (tmp_path / place).mkdir(parents=True)
    assert kernel_script.mounted(tmp_path, "competitions", "leaves") == tmp_path / "leaves"
    found = kernel_script.mounted(tmp_path, "datasets", "ann/models")
    assert found == tmp_path / "datasets/ann/models"
    with pytest.raises(SystemExit, match=r"bob/x is not attached .* holds datasets, leaves"):
        kernel_script.mounted(tmp_path, "datasets", "bob/x")


@pytest.mark.parametrize("unpacked", [True, False])
def test_a_workspace_is_laid_out_whether_or_not_the_archive_was_unpacked(
    unpacked: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    packed = tmp_path / "packed"
    packed.mkdir()
    files = {"competition.toml": "x = 1\n", "models/a/run.json": "{}"}
    with zipfile.ZipFile(packed / "workspace.zip", "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
        sizes = {name: len(text) for name, text in files.items()}
        archive.writestr("files.json", json.dumps(sizes))
    if unpacked:
        with zipfile.ZipFile(packed / "workspace.zip") as archive:
            archive.extractall(packed / "workspace")
    workspace = kernel_script.lay_out(packed, tmp_path)
    assert (workspace / "competition.toml").read_text(encoding="utf-8") == "x = 1\n"
    assert (workspace / "models/a/run.json").exists()
    assert (workspace / "data").resolve() == tmp_path.resolve()
    if unpacked:
        (packed / "workspace/models/a/run.json").write_text("", encoding="utf-8")
        with pytest.raises(SystemExit, match=r"models/a/run\.json is missing .* not whole"):
            kernel_script.lay_out(packed, tmp_path)


def test_another_python_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(kernel_script.SETTINGS, "python", "2.7")
    with pytest.raises(SystemExit, match=r"kernel build --python 3\."):
        kernel_script.install(tmp_path)
