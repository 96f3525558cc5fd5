"""Pushing a built kernel: its data set first, then the notebook; and fetching what it wrote."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath

from harness.errors import KaggleError, Unanswered, WorkspaceError
from harness.files import digest, file_digest, replacing, write_text
from harness.kaggle.kernel import NOBODY, Kernel
from harness.kaggle.seam import Kaggle, KernelRun
from harness.kaggle.seam_kernels import Kernels
from harness.records import read_record, write_json

FIRST_WAIT, LONGEST_WAIT = 5.0, 60.0
READY, FAILED = "ready", ("failed", "deleted")
ENDED = ("complete", "error", "cancel_acknowledged")


@dataclass(frozen=True)
class Pushed:
    """The kernel's version at Kaggle, and the digests of its code and of its data set.

    Version 0: only the data set got there.
    """

    kernel: str
    version: int
    code: str
    data: str

    @property
    def digest(self) -> str:
        """What a submission of it is known by."""
        return digest(self.kernel, str(self.version), self.code, self.data)


def push_kernel(
    kaggle: Kaggle, kernel: Kernel, sleep: Callable[[float], None], say: Callable[[str], None]
) -> tuple[Kernel, Pushed, bool]:
    """(the kernel under its owner's name, its version, whether it was pushed now).

    What Kaggle has already is not sent again. The data set is complete and ready before the
    notebook is pushed: Kaggle's own client takes a file that failed for one that is not there.
    """
    kernel = _owned(kernel, kaggle.username)
    kernels = Kernels(kaggle)
    data = _data_files(kernel)
    fingerprint = digest(*(f"{path.name} {file_digest(path)}" for path in data))
    note, before = kernel.code.parent / "pushed.json", read_pushed(kernel.code.parent)
    code = file_digest(kernel.code / "notebook.ipynb")
    metadata = json.loads((kernel.code / "kernel-metadata.json").read_text(encoding="utf-8"))
    code = digest(code, json.dumps(metadata, sort_keys=True))
    same_data = before is not None and before.data == fingerprint
    if not (same_data and _complete(kernels, kernel.dataset, data)):
        _save_dataset(kernels, kernel.dataset, data, say)
        before = Pushed(kernel.name, 0, "", fingerprint)
        _note(note, before)
        _wait_until_ready(kernels, kernel.dataset, sleep)
        if not _complete(kernels, kernel.dataset, data):
            raise KaggleError(
                "kaggle", f"the data set {kernel.dataset} lacks files", "run it again"
            )
    if before is not None and (before.kernel, before.code) == (kernel.name, code):
        return kernel, before, False
    source = (kernel.code / metadata["code_file"]).read_text(encoding="utf-8")
    pushed = Pushed(kernel.name, kernels.save(metadata, source), code, fingerprint)
    _note(note, pushed)
    return kernel, pushed, True


def read_pushed(folder: Path) -> Pushed | None:
    """What was pushed last from that folder; None if nothing was."""
    path = folder / "pushed.json"
    if not path.exists():
        return None
    return read_record(Pushed, path, missing="is missing", fix="remove it and push again")


def wait_until_ended(kaggle: Kaggle, name: str, sleep: Callable[[float], None]) -> KernelRun:
    """The kernel's latest run once it has ended."""
    pause = FIRST_WAIT
    while (run := Kernels(kaggle).run(name)).status not in ENDED:
        sleep(pause)
        pause = min(1.5 * pause, LONGEST_WAIT)
    return run


def fetch_output(kaggle: Kaggle, name: str, folder: Path) -> list[Path]:
    """What the latest version wrote, and its log; a KaggleError at a name that leads elsewhere."""
    files, log = Kernels(kaggle).output(name)
    written = []
    for file, url in files:
        path = PurePosixPath(file)
        if path.is_absolute() or ".." in path.parts or "\\" in file or ":" in file or not file:
            raise KaggleError(
                "kaggle", f"the kernel wrote the unsafe name {file!r}", "see its page"
            )
        written.append(folder / path)

        def fetch(url: str = url, target: Path = written[-1]) -> None:
            with (
                kaggle.wire.get("the kernel's output", url, {}) as answer,
                replacing(target) as temporary,
                temporary.open("wb") as stream,
            ):
                stream.writelines(answer.iter_content(1 << 20))

        kaggle.wire.read("the kernel's output", fetch)
    if log:
        written.append(folder / f"{name.partition('/')[2]}.log")
        write_text(written[-1], log)
    return written


def _note(path: Path, pushed: Pushed) -> None:
    write_json(path, json.dumps(asdict(pushed), indent=2))


def _save_dataset(
    kernels: Kernels, name: str, files: list[Path], say: Callable[[str], None]
) -> None:
    exists = kernels.dataset_state(name) is not None
    tokens = []
    for number, path in enumerate(files, 1):
        say(f"kernel: {path.name}, {path.stat().st_size >> 20} MB ({number} of {len(files)})")
        tokens.append(kernels.upload(path))
    title = name.partition("/")[2].replace("-", " ")[:50]
    try:
        kernels.save_dataset(name, title, tokens, exists=exists)
    except Unanswered:
        if not _complete(kernels, name, files):  # else it was made, and only the answer was lost
            raise


def _wait_until_ready(kernels: Kernels, name: str, sleep: Callable[[float], None]) -> None:
    pause = FIRST_WAIT
    while (state := kernels.dataset_state(name)) != READY:
        if state in FAILED:
            raise KaggleError("kaggle", f"the data set {name} is {state}", "see its page")
        sleep(pause)
        pause = min(1.5 * pause, LONGEST_WAIT)


def _complete(kernels: Kernels, name: str, files: list[Path]) -> bool:
    """Whether the data set's latest version has them all; an archive may have been unpacked."""
    if kernels.dataset_state(name) is None:
        return False
    there = {file.name: file.size for file in kernels.dataset_files(name)}
    unpacked = {PurePosixPath(file).parts[0] for file in there if "/" in file}
    return all(
        there.get(path.name) == path.stat().st_size or path.stem in unpacked for path in files
    )


def _data_files(kernel: Kernel) -> list[Path]:
    files = [kernel.data / "workspace.zip", *sorted(kernel.data.glob("*.whl"))]
    if not files[0].exists():
        raise WorkspaceError(files[0], "is missing", "run `python -m harness kernel build`")
    return files


def _owned(kernel: Kernel, owner: str) -> Kernel:
    """The kernel with its owner's name, also in its files."""
    if not kernel.name.startswith(f"{NOBODY}/"):
        return kernel
    for path in (*kernel.code.iterdir(), *kernel.data.glob("*.json")):
        text = path.read_text(encoding="utf-8")
        write_text(path, text.replace(f"{NOBODY}/", f"{owner}/"))
    slug = kernel.name.partition("/")[2]
    return Kernel(kernel.code, kernel.data, f"{owner}/{slug}", f"{owner}/{slug}-data")
