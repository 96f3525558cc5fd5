"""Predict the competition's test images on Kaggle, without network, within the budget.

The data set that comes with this notebook holds the trained models, the harness and what it needs.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

SETTINGS: dict[str, str] = {}  # filled in by `python -m harness kernel build`
LEAVE = 5.0
"""Seconds kept for copying the file and ending the notebook."""


def main() -> None:
    started = time.monotonic()
    kaggle = Path(os.environ.get("KAGGLE_FOLDER", "/kaggle"))
    packed = mounted(kaggle / "input", "datasets", SETTINGS["dataset"])
    data = mounted(kaggle / "input", "competitions", SETTINGS["competition"])
    install(packed)
    workspace = lay_out(packed, data)
    left = float(SETTINGS["budget_seconds"]) - (time.monotonic() - started) - LEAVE
    if left <= 0:
        raise SystemExit("the budget was spent on installing: give more, or pack fewer wheels")
    command = [sys.executable, "-m", "harness", "submit", "--name", "submission"]
    code = subprocess.call([*command, "--budget", f"{left:.1f}", "-C", str(workspace)])
    if code not in (0, 3):
        raise SystemExit(f"submit ended with exit code {code}: see its message above")
    for name in ("submission.csv", "submission.json"):
        shutil.copyfile(workspace / "submissions" / name, kaggle / "working" / name)


def mounted(inputs: Path, kind: str, name: str) -> Path:
    """Where a data set owner/slug or a competition is mounted."""
    slug = name.rpartition("/")[2]
    for folder in (inputs / slug, inputs / kind / name, inputs / kind / slug):
        if folder.is_dir():
            return folder
    there = ", ".join(sorted(path.name for path in inputs.iterdir())) or "nothing"
    raise SystemExit(f"{name} is not attached to this notebook: {inputs} holds {there}")


def install(packed: Path) -> None:
    """The harness and what it needs, from the data set alone."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    if version != SETTINGS["python"]:
        raise SystemExit(
            f"this notebook runs Python {version}, the wheels are for {SETTINGS['python']}: "
            f"run `python -m harness kernel build --python {version}`"
        )
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    command += ["--no-index", "--find-links", str(packed), *SETTINGS["install"].split()]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        said = " ".join(line for line in done.stderr.splitlines() if line.startswith("ERROR"))
        raise SystemExit(f"the data set lacks a wheel: {said or done.stderr}")


def lay_out(packed: Path, data: Path) -> Path:
    """A workspace that can be written to, whose models and data stay where they are mounted."""
    source = packed / "workspace"
    if not source.is_dir():  # Kaggle unpacks archives, other places do not
        source = Path(tempfile.mkdtemp(prefix="models-"))
        with zipfile.ZipFile(packed / "workspace.zip") as archive:
            archive.extractall(source)
    check(source)
    workspace = Path(tempfile.mkdtemp(prefix="workspace-"))
    shutil.copyfile(source / "competition.toml", workspace / "competition.toml")
    (workspace / "models").symlink_to(source / "models", target_is_directory=True)
    (workspace / "data").symlink_to(data, target_is_directory=True)
    return workspace


def check(source: Path) -> None:
    """Every file that was packed is there, whole."""
    sizes = json.loads((source / "files.json").read_text(encoding="utf-8"))
    for name, size in sizes.items():
        path = source / name
        if not path.is_file() or path.stat().st_size != size:
            raise SystemExit(f"{name} is missing from the data set, or not whole: push it again")


if __name__ == "__main__":
    main()
