"""What `kernel` and `submit --kernel` do: each calls harness.kaggle and says what came of it."""

import json
import sys
import time
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from harness.cli.kaggle import open_kaggle
from harness.cli.kaggle import submit as submit_parcel
from harness.display import Display, harmless_lines

if TYPE_CHECKING:
    from harness.kaggle.kernel import Kernel
    from harness.kaggle.push import Pushed
    from harness.kaggle.seam import KernelRun
    from harness.workspace import Workspace


def build(
    workspace: "Workspace",
    display: Display,
    *,
    budget: str | None,
    rows: int | None,
    python: str | None,
    gpu: bool,
    rehearse: bool,
) -> int:
    """Write kernel/ and rehearse it: 0 built (and passed), 2 failed."""
    from harness.data.sample import read_test_ids
    from harness.durations import parse_duration
    from harness.errors import ConfigError
    from harness.kaggle.kernel import build_kernel
    from harness.records import write_json
    from harness.workspace.ensemble import read_current_ensemble
    from harness.workspace.submissions import new_sidecar

    settings = workspace.competition.budget
    seconds = parse_duration(budget, "--budget") if budget else settings.seconds
    if seconds is None:
        raise ConfigError("kernel build", "knows no budget", "give --budget, or [budget] seconds")
    ensemble = read_current_ensemble(workspace)
    visible = len(read_test_ids(workspace.competition, workspace.root))
    rows = rows or settings.test_rows or 2 * visible
    kernel = build_kernel(workspace, ensemble, seconds, python=python, gpu=gpu)
    believed = new_sidecar(
        ensemble, ensemble.estimate, rows, inputs=ensemble.inputs, budget_seconds=seconds
    )
    write_json(_folder(workspace) / "build.json", json.dumps(asdict(believed), indent=2))
    size = sum(path.stat().st_size for path in kernel.data.iterdir()) >> 20
    display.say(f"kernel: wrote {kernel.code} and {kernel.data} ({size} MB)")
    return _rehearse(workspace, display, kernel, seconds, rows) if rehearse else 0


def push(workspace: "Workspace", display: Display) -> None:
    """Upload the data set and the notebook."""
    from harness.kaggle.kernel import read_kernel
    from harness.kaggle.push import push_kernel

    _, kaggle = open_kaggle(workspace, display)
    kernel = read_kernel(_folder(workspace))
    kernel, pushed, made = push_kernel(kaggle, kernel, time.sleep, display.say)
    did = "pushed" if made else "unchanged:"
    display.say(f"kernel: {did} {kernel.name}, version {pushed.version}")


def status(workspace: "Workspace", display: Display, *, wait: bool) -> None:
    """Say how the latest run is doing."""
    from harness.kaggle.push import wait_until_ended
    from harness.kaggle.seam_kernels import Kernels

    _, kaggle = open_kaggle(workspace, display)
    name = _pushed(workspace).kernel
    run = wait_until_ended(kaggle, name, time.sleep) if wait else Kernels(kaggle).run(name)
    _require_sound(name, run)
    display.say(f"kernel: {name} is {run.status}")


def output(workspace: "Workspace", display: Display) -> None:
    """Fetch what the latest run wrote."""
    from harness.kaggle.push import fetch_output

    _, kaggle = open_kaggle(workspace, display)
    folder = _folder(workspace) / "output"
    written = fetch_output(kaggle, _pushed(workspace).kernel, folder)
    names = ", ".join(path.relative_to(folder).as_posix() for path in written) or "nothing"
    display.say(f"kernel: wrote {names} to {folder}")


def submit(workspace: "Workspace", display: Display, *, wait: bool) -> None:
    """Submit the version that was pushed last, once its run is complete."""
    from harness.errors import KaggleError
    from harness.kaggle.push import wait_until_ended
    from harness.kaggle.seam_kernels import Kernels
    from harness.kaggle.submission import Parcel
    from harness.records import read_record
    from harness.workspace.ledger import Ledger
    from harness.workspace.submissions import Sidecar

    _, kaggle = open_kaggle(workspace, display)
    pushed = _pushed(workspace)
    run = Kernels(kaggle).run(pushed.kernel)
    if wait:
        run = wait_until_ended(kaggle, pushed.kernel, time.sleep)
    _require_sound(pushed.kernel, run)
    if run.status != "complete":
        raise KaggleError("kaggle", f"{pushed.kernel} is {run.status}", "wait, or say --wait")
    slug = pushed.kernel.partition("/")[2]
    name = f"{slug}-v{pushed.version}"
    note, fix = _folder(workspace) / "build.json", "run `python -m harness kernel build`"
    built = read_record(Sidecar, note, missing="is missing", fix=fix)
    Ledger(workspace.board).record(name, pushed.digest, built)
    parcel = Parcel(name, pushed.digest, kernel=pushed.kernel, version=pushed.version)
    submit_parcel(workspace, display, parcel, wait=wait)


def _rehearse(
    workspace: "Workspace", display: Display, kernel: "Kernel", seconds: float, rows: int
) -> int:
    from harness.kaggle.kernel_rehearsal import rehearse_kernel
    from harness.submit.rehearsal import lay_out_data

    with display.working("kernel: rehearsing"):
        found = rehearse_kernel(
            kernel,
            workspace.competition.competition.kaggle or "",
            workspace.cache / "kernel",
            seconds,
            rows,
            partial(lay_out_data, workspace, other_ids=True),
        )
    display.say(
        f"kernel: rehearsed {rows} other rows in {found.seconds:.0f} s of {seconds:g} s, "
        f"{found.reached} of them predicted"
    )
    if found.failures:
        print(harmless_lines(found.output), file=sys.stderr, end="")
    for failure in found.failures:
        display.say(f"FAIL: {failure}")
    if not found.failures:
        display.say("PASS")
    return 2 if found.failures else 0


def _require_sound(name: str, run: "KernelRun") -> None:
    from harness.errors import KaggleError

    if run.status in ("error", "cancel_acknowledged"):
        said = f" ({run.error})" if run.error else ""
        raise KaggleError("kaggle", f"{name} ended with {run.status}{said}", "see `kernel output`")


def _pushed(workspace: "Workspace") -> "Pushed":
    from harness.errors import WorkspaceError
    from harness.kaggle.push import read_pushed

    folder = _folder(workspace)
    pushed = read_pushed(folder)
    if pushed is not None and pushed.version:
        return pushed
    raise WorkspaceError(folder, "nothing was pushed yet", "run `python -m harness kernel push`")


def _folder(workspace: "Workspace") -> Path:
    return workspace.root / "kernel"
