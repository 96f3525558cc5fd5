"""Budgeted submissions of the demo, seen from outside: late? whole? as predicted?

    python benchmarks/promise.py [--loaded 100] [--many 20] [--million 5] [--kills 30] [--calm 20]
                                 [--busy 4] [--seed 2019] [-C DIR]

Needs the demo's workspace (`make demo`), or another, with `python -m harness cost`. Random budgets
of 2 to 20 s beside four processes that never rest, for the test rows, for 100,000 and for a
million; `kill -9` at random moments; then runs on the idle machine whose seconds are held against
the prediction. A budget that is refused in one sentence is counted, and no promise. What is asked
for 0 times keeps the figures that are there.
"""

import argparse
import csv
import json
import os
import platform
import random
import shutil
import signal
import statistics
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from harness.submit.rehearsal import lay_out_data
from harness.workspace import Workspace

ROOT = Path(__file__).resolve().parents[1]
REFUSAL = "cannot be promised"
BURN = "import itertools\nfor _ in itertools.count(): pass"


def command(workspace: Path, budget: float, name: str) -> list[str]:
    """A budgeted submission of the workspace."""
    verb = ["submit", "--budget", f"{budget:.3f}", "--name", name, "-C", str(workspace)]
    return [sys.executable, "-m", "harness", *verb]


def lay_out(source: Path, folder: Path, rows: int = 0) -> Path:
    """A workspace that reads the source's data and models, and has submissions of its own.

    With ``rows``, that many test rows: the images again and again, as links.
    """
    folder.mkdir()
    shutil.copy(source / "competition.toml", folder)
    for name in ("models", "oof", "folds"):
        (folder / name).symlink_to(source / name)
    if rows:
        lay_out_data(Workspace.open(source), folder, rows)
    else:
        (folder / "data").symlink_to(source / "data")
    return folder


def is_whole(workspace: Path, name: str) -> bool:
    """Whether the file is one that a grader takes: the sample's ids and columns, sums of 1."""
    with (workspace / "data/sample_submission.csv").open(newline="", encoding="utf-8") as file:
        sample = list(csv.DictReader(file))
    try:
        path = workspace / f"submissions/{name}.csv"
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        same = [row["id"] for row in rows] == [row["id"] for row in sample]
        sums = [sum(float(v) for k, v in row.items() if k != "id") for row in rows]
        return same and list(rows[0]) == list(sample[0]) and max(abs(s - 1) for s in sums) < 1e-6
    except (OSError, ValueError, KeyError, IndexError, TypeError):
        return False


@contextmanager
def load(processes: int):
    """So many processes that do nothing but keep a core busy."""
    burning = [subprocess.Popen([sys.executable, "-c", BURN]) for _ in range(processes)]
    try:
        yield
    finally:
        for process in burning:
            process.kill()
            process.wait()


def loaded(workspace: Path, runs: int, busy: int, draw: random.Random) -> dict:
    """Random budgets beside ``busy`` processes that never rest."""
    late, broken, used, codes, refused = [], 0, [], [], []
    for i in range(runs):
        budget = draw.uniform(2, 20)
        with load(busy):
            begun = time.monotonic()
            done = subprocess.run(command(workspace, budget, f"l{i}"), capture_output=True)
            seconds = time.monotonic() - begun
        codes.append(done.returncode)
        if done.returncode == 2 and REFUSAL in done.stderr.decode():
            refused.append(round(budget, 3))
            continue
        if seconds > budget:
            late.append(round(seconds - budget, 3))
        broken += not is_whole(workspace, f"l{i}")
        used.append(seconds / budget)
    return {
        "runs": runs,
        "busy": busy,
        "refused": refused,
        "late": len(late),
        "late_by": late,
        "invalid": broken,
        "used_median": round(statistics.median(used), 3) if used else None,
        "exit_codes": {str(code): codes.count(code) for code in sorted(set(codes))},
    }


def killed(workspace: Path, runs: int, draw: random.Random) -> dict:
    """`kill -9` of the promising process, after its first file is there, at a random moment."""
    broken = left = 0
    for i in range(runs):
        process = subprocess.Popen(
            command(workspace, 20, f"k{i}"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        while not (workspace / f"submissions/k{i}.csv").exists():
            time.sleep(0.001)
        time.sleep(draw.uniform(0, 12))
        process.send_signal(signal.SIGKILL)
        process.wait()
        time.sleep(0.5)  # for the other process to notice
        broken += not is_whole(workspace, f"k{i}")
        left += len(list((workspace / "submissions").glob(f".k{i}.*tmp")))
    return {"runs": runs, "invalid": broken, "temporary_files_left": left}


def calm(workspace: Path, runs: int, draw: random.Random) -> dict:
    """The idle machine: when was all planned work done, and when should it have been?"""
    ratios = []
    for i in range(runs):
        budget = draw.uniform(6, 40)
        subprocess.run(command(workspace, budget, f"c{i}"), capture_output=True, check=False)
        note = workspace / f"submissions/c{i}.json"
        sidecar = json.loads(note.read_text(encoding="utf-8"))
        predicted = sidecar["predicted"]
        expected = sum(predicted.values()) - predicted["write"]
        # a plan that was cut short took at least what there was
        took = sidecar["planned_at"] or budget
        ratios.append(round(took / expected, 3))
    within = sum(0.85 <= ratio <= 1.15 for ratio in ratios) / max(1, len(ratios))
    return {"runs": runs, "actual_by_predicted": sorted(ratios), "within_15_percent": within}


def main() -> None:
    """Run all of it and write benchmarks/results/promise.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--loaded", type=int, default=100)
    parser.add_argument("--many", type=int, default=20)
    parser.add_argument("--million", type=int, default=5)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--calm", type=int, default=20)
    parser.add_argument("--busy", type=int, default=4)
    parser.add_argument("--seed", type=int, default=2019)
    parser.add_argument("-C", dest="source", type=Path, default=ROOT, help="The workspace.")
    options = parser.parse_args()
    draw = random.Random(options.seed)
    result = ROOT / "benchmarks/results/promise.json"
    found = json.loads(result.read_text(encoding="utf-8")) if result.exists() else {}
    source = options.source.resolve()
    cache = source / ".cache"  # on the disk of the images, so that links to them cost nothing
    cache.mkdir(exist_ok=True)
    with TemporaryDirectory(dir=cache) as scratch:
        workspace = lay_out(source, Path(scratch) / "workspace")
        if options.calm:
            found["calm"] = calm(workspace, options.calm, draw)
        if options.kills:
            found["killed"] = killed(workspace, options.kills, draw)
        if options.loaded:
            found["loaded"] = loaded(workspace, options.loaded, options.busy, draw)
        for runs, rows in ((options.many, 100_000), (options.million, 1_000_000)):
            if runs:
                large = lay_out(source, Path(scratch) / str(rows), rows)
                found[f"loaded_{rows}"] = loaded(large, runs, options.busy, draw)
    found["machine"] = {"processors": os.cpu_count(), "architecture": platform.machine()}
    text = json.dumps(found, indent=1)
    result.write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
