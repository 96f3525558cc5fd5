"""Every verb in turn on a small workspace, killed at a change of a file and then run again.

Used by the tests for a few verbs, and by benchmarks/kills.py for all of them 200 times.
"""

import csv
import hashlib
import io
import json
import random
import shutil
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from killing import command
from safetensors.numpy import load_file
from tiny import CLASSES, cheap_costs, edit, make_workspace, picture

from harness.files import digest

SECONDS = {"crc32", "seconds", "member_seconds", "epochs", "spent", "predicted", "planned_at"}
"""What differs between two runs of the same."""
UNSTABLE = ("log.jsonl", "costs.json", "plans.json")
"""Files of times and measurements."""


@dataclass(frozen=True)
class Step:
    """A command, and what is changed in the workspace before it."""

    name: str
    arguments: Sequence[str]
    change: Callable[[Path], None] = lambda workspace: None


def grow(workspace: Path) -> None:
    """Six more rows of the training table."""
    with (workspace / "data/train.csv").open("a", encoding="utf-8") as table:
        for number in range(6):
            label = CLASSES[number % 3]
            picture(label, 70 + number).save(workspace / f"data/images/new{number}.png")
            table.write(f"new{number},{label}\n")


def repeat(workspace: Path) -> None:
    """A training picture that is there twice."""
    shutil.copy(workspace / "data/images/000.png", workspace / "data/images/twice.png")
    with (workspace / "data/train.csv").open("a", encoding="utf-8") as table:
        table.write("twice,ant\n")


def bring(workspace: Path) -> None:
    """Pictures to add."""
    for number, label in enumerate(CLASSES):
        folder = workspace / "more" / label
        folder.mkdir(parents=True)
        picture(label, 90 + number).save(folder / "one.png")


STEPS = (
    Step("init", ["init", "{root}/new", "--from", "{root}/data"]),
    Step("audit", ["audit"], repeat),
    Step("audit --drop", ["audit", "--drop", "exact_duplicate", "--yes"]),
    Step("add", ["add", "{root}/more"], bring),
    Step("fold", ["fold"]),
    Step("fold, grown", ["fold"], grow),
    Step("train", ["train"]),
    Step("train --retrain", ["train", "--retrain", "tuned", "--retrain", "probe"]),
    Step("tune", ["tune"]),
    Step("tune --apply", ["tune", "--apply", "--force"]),
    Step("stack", ["stack"]),
    Step("submit", ["submit", "--name", "whole"]),
    Step("grade", ["grade", "{root}/submissions/whole.csv", "{root}/data/solution.csv"]),
    Step("cost", ["cost", *cheap_costs()]),
    Step("submit --budget", ["submit", "--budget", "5m", "--name", "quick"]),
)

TUNE = """\
[tune]
model = "tuned"
method = "random"
trials = 2
seeds = 2

[tune.space]
lr = { low = 1e-3, high = 1e-1, log = true }

[stack]"""


def lay_out(workspace: Path) -> None:
    """The tiny competition with two folds, snapshots, and nothing that is measured."""
    toml = make_workspace(workspace) / "competition.toml"
    edit(toml, "epochs = 2", 'epochs = 2\nsnapshots = 2\nprecision = "fp32"\nchannels_last = true')
    edit(toml, "k = 3", "k = 2\nholdout = 0.1")
    edit(toml, "[stack]", TUNE)


def fingerprint(workspace: Path) -> dict[str, str]:
    """A digest of each file that results depend on, and of what a killed process left."""
    found = {}
    for path in sorted(workspace.rglob("*")):
        name = path.relative_to(workspace).as_posix()
        if path.suffix in (".tmp", ".next"):
            found[name] = "left behind"
        elif name.startswith((".cache/", "models/ensemble/engines/")) or not path.is_file():
            continue
        elif path.suffix not in (".lock", ".png") and path.name not in UNSTABLE:
            found[name] = _content(path)
    return found


def _without_times(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name not in SECONDS}


def _content(path: Path) -> str:
    if path.name.endswith(".oof.safetensors"):
        arrays = load_file(path)
        return digest(*(n.encode() + a.tobytes() for n, a in arrays.items() if n not in SECONDS))
    if path.suffix == ".json":
        text = path.read_text(encoding="utf-8")
        return digest(json.dumps(json.loads(text, object_hook=_without_times)))
    if path.name == "corrections.csv":
        rows = list(csv.reader(io.StringIO(path.read_text(encoding="utf-8"))))
        return digest(str([row[1:] for row in rows]))
    if path.name == "board.sqlite":
        with closing(sqlite3.connect(path)) as ledger:
            return digest(
                str(
                    ledger.execute(
                        "SELECT name, file_digest, local_score FROM submission"
                    ).fetchall()
                )
            )
    if path.name == "study.sqlite":
        with closing(sqlite3.connect(path)) as study:
            rows = study.execute("SELECT number, state FROM trials").fetchall()
            return digest(str(rows), str(study.execute("SELECT * FROM trial_params").fetchall()))
    return hashlib.blake2b(path.read_bytes()).hexdigest()


class Attack:
    """The steps undisturbed, and then any of them killed; all in one folder of scratch."""

    def __init__(self, scratch: Path, names: Sequence[str] = ()) -> None:
        self.scratch, self.workspace = scratch, scratch / "workspace"
        self.steps = [step for step in STEPS if not names or step.name in names]
        self.changes: dict[str, int] = {}
        self.wanted: dict[str, dict[str, str]] = {}
        lay_out(self.workspace)
        for step in self.steps:
            step.change(self.workspace)
            shutil.copytree(self.workspace, self._before(step), symlinks=True)
            code, self.changes[step.name] = self._run(step, 0)
            assert code == 0, f"{step.name}: {self.said}"
            self.wanted[step.name] = fingerprint(self.workspace)

    def kill(self, step: Step, draw: random.Random) -> str:
        """Kill the step at random, once or twice, and run it again; what is wrong then, or ""."""
        shutil.rmtree(self.workspace)
        shutil.copytree(self._before(step), self.workspace, symlinks=True)
        places = []
        for _ in range(draw.choice((1, 1, 2))):
            places.append(draw.randint(1, self.changes[step.name]))
            self._run(step, places[-1])
        code, _ = self._run(step, 0)
        where = f"{step.name}, killed before change {' and '.join(map(str, places))}"
        if code:
            return f"{where}: exit code {code}: {self.said.splitlines()[-1:]}"
        found, wanted = fingerprint(self.workspace), self.wanted[step.name]
        odd = [n for n in sorted(found.keys() | wanted.keys()) if found.get(n) != wanted.get(n)]
        return f"{where}: other bytes in {odd}" if odd else ""

    @property
    def said(self) -> str:
        """What the last command said."""
        return (self.scratch / "said").read_text(encoding="utf-8", errors="replace")

    def _before(self, step: Step) -> Path:
        return self.scratch / "before" / step.name

    def _run(self, step: Step, at: int) -> tuple[int, int]:
        arguments = [argument.format(root=self.workspace) for argument in step.arguments]
        if step.name != "init":
            arguments += ["-C", str(self.workspace)]
        return command(arguments, self.scratch / "said", at)
