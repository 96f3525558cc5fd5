"""The built kernel, run as Kaggle runs it: its folders, a fresh environment, no network.

kaggle/input/<competition>/   read-only; other test ids than the visible ones, and more
kaggle/input/<data set>/      read-only; what was packed
kaggle/working/               where submission.csv has to appear
environment/                  a new virtual environment
image/                        links to the packages that Kaggle's image has, taken from here
"""

import csv
import json
import os
import platform
import shutil
import subprocess
import sys
import time
import venv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from harness.errors import ConfigError
from harness.files import to_write
from harness.kaggle.kernel import Kernel
from harness.kaggle.wheels import IMAGE, closure
from harness.offline import REFUSAL

GRACE = 60.0
"""Seconds after its budget until a notebook is ended."""
LEFT_OUT = " is left out: "
"""By which harness.submit.follow tells that a member could not be used."""


@dataclass(frozen=True)
class KernelRehearsal:
    """What came of it. ``found`` and ``reached`` are rows of the submission, and those of them
    that a member predicted; ``output`` is all that the notebook printed."""

    code: int
    seconds: float
    budget: float
    rows: int
    found: int
    reached: int
    output: str

    @property
    def failures(self) -> list[str]:
        """What would have failed at Kaggle, and what to change; empty if nothing."""
        if self.code:
            said = self.output.strip().splitlines() or ["it said nothing"]
            return [f"the notebook failed (exit code {self.code}): {said[-1]}"]
        failures = []
        if self.found != self.rows:
            failures.append(f"submission.csv has {self.found} rows of {self.rows}")
        if self.seconds > self.budget:
            failures.append(f"late: {self.seconds:.0f} s of {self.budget:g} s")
        left_out = [line for line in self.output.splitlines() if LEFT_OUT in line]
        failures += [line.removeprefix("warning: ") for line in left_out]
        if not self.reached and not left_out:
            failures.append(
                f"the budget of {self.budget:g} s is too small: every row has the prior; give more"
            )
        return failures


def rehearse_kernel(
    kernel: Kernel,
    competition: str,
    folder: Path,
    budget: float,
    rows: int,
    lay_out_data: Callable[[Path, int], None],
    image: tuple[str, ...] = IMAGE,
) -> KernelRehearsal:
    """Run the notebook's code in ``folder``, for ``rows`` test rows within ``budget`` seconds.

    ``lay_out_data`` (a folder, rows) writes the competition's test data to data/ in that folder.
    """
    settings = _settings(kernel)
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    if settings["python"] != here:
        raise ConfigError(
            "kernel build",
            f"a notebook of Python {settings['python']} cannot be rehearsed by Python {here}",
            "say --no-rehearse, or run the harness with that Python",
        )
    if sys.platform != "linux" or platform.machine() != "x86_64":
        raise ConfigError(
            "kernel build",
            "rehearsing needs Linux on x86-64, as Kaggle has it",
            "say --no-rehearse",
        )
    folder = to_write(folder).resolve()  # the notebook runs in a folder of its own
    _remove(folder)
    inputs, working = folder / "kaggle/input", folder / "kaggle/working"
    for made in (inputs, working, folder / "temporary"):
        made.mkdir(parents=True)
    lay_out_data(folder, rows)
    (folder / "data").rename(inputs / competition)
    shutil.copytree(
        kernel.data,
        inputs / kernel.dataset.partition("/")[2],
        ignore=shutil.ignore_patterns("*.json", ".*"),
    )
    python = fresh_environment(folder, image)
    code = folder / "notebook.py"
    code.write_text(notebook_code(kernel), encoding="utf-8")
    _set_writable(inputs, False)
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
    environment |= {
        "KAGGLE_FOLDER": str(folder / "kaggle"),
        "TMPDIR": str(folder / "temporary"),
        "HF_HUB_OFFLINE": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    before = time.monotonic()
    with (folder / "output.txt").open("w", encoding="utf-8") as output:
        try:
            ended = subprocess.run(
                [str(python), str(code)],
                cwd=working,
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=budget + GRACE,
                check=False,
            ).returncode
        except subprocess.TimeoutExpired:
            ended = 0  # that it was late is told by the seconds
    seconds = time.monotonic() - before
    said = (folder / "output.txt").read_text(encoding="utf-8", errors="replace")
    rehearsal = KernelRehearsal(ended, seconds, budget, rows, *_submitted(working), said)
    _remove(folder)
    return rehearsal


def fresh_environment(folder: Path, image: tuple[str, ...] = IMAGE) -> Path:
    """The Python of a new virtual environment, which has the image's packages and no network.

    The packages are linked from this environment one by one, so that nothing else of it is seen.
    """
    try:
        venv.create(folder / "environment", with_pip=True, symlinks=os.name != "nt")
    except subprocess.CalledProcessError:
        raise ConfigError(
            "kernel build",
            "this Python cannot make virtual environments with pip",
            "install its venv module (apt-get install python3-venv), or say --no-rehearse",
        ) from None
    links = folder / "image"
    links.mkdir()
    for package in closure(image).values():
        for file in package.files or ():
            top = file.parts[0]
            source = Path(str(package.locate_file(top)))
            if top not in ("..", "__pycache__") and source.exists() and not (links / top).exists():
                (links / top).symlink_to(source.resolve(), target_is_directory=source.is_dir())
    scripts = "Scripts" if os.name == "nt" else "bin"
    python = folder / "environment" / scripts / ("python.exe" if os.name == "nt" else "python")
    # Python 3.11 brings a setuptools of its own, which would hide the image's newer one
    remove = [str(python), "-m", "pip", "uninstall", "--quiet", "--yes", "setuptools"]
    subprocess.run(remove, capture_output=True, check=True)
    command = [str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    site = Path(subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip())
    (site / "image.pth").write_text(f"{links}\n", encoding="utf-8")
    (site / "sitecustomize.py").write_text(REFUSAL, encoding="utf-8")
    return python


def notebook_code(kernel: Kernel) -> str:
    """The notebook's cells of code, one after the other."""
    cells = json.loads((kernel.code / "notebook.ipynb").read_text(encoding="utf-8"))["cells"]
    return "\n".join(cell["source"] for cell in cells if cell["cell_type"] == "code")


def _settings(kernel: Kernel) -> dict[str, str]:
    _, _, text = notebook_code(kernel).partition("SETTINGS = ")
    settings: dict[str, str] = json.JSONDecoder().raw_decode(text)[0]
    return settings


def _submitted(working: Path) -> tuple[int, int]:
    """(rows of the submission, those that a member predicted); zeros where there is none."""
    try:
        with (working / "submission.csv").open(encoding="utf-8", newline="") as file:
            found = sum(1 for _ in csv.DictReader(file))
        sidecar = json.loads((working / "submission.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return 0, 0
    sets = sidecar["member_sets"]
    return found, sum(1 for row in sidecar["row_sets"] if sets[row])


def _set_writable(folder: Path, writable: bool) -> None:
    """Folders only: their files may be links to the workspace's own."""
    for path in (folder, *folder.rglob("*")):
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o755 if writable else 0o555)


def _remove(folder: Path) -> None:
    inputs = folder / "kaggle/input"
    if inputs.exists():
        _set_writable(inputs, True)
    shutil.rmtree(folder, ignore_errors=True)
