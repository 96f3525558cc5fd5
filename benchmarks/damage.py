"""Damages to a workspace's files: whether any of them changes predictions without a word.

    python benchmarks/damage.py [--damages 500] [--seed 18] [--processes 2]

A small workspace is audited, trained, stacked, costed and submitted; another one is left in the
midst of a training. Each damage (a flipped bit, a hole, a cut, another file's content, …) is done
to one file of a fresh copy. Then every verb runs, first those that predict with what is there,
then those that could make it again, then those that predict once more. The same verbs without a
damage are the reference.

- *silent*: a submission differs from the reference, no verb that makes what it comes from refused
  to, and the submission itself ended with 0 and without a warning. Damages to what the user wrote
  (tables, pictures, competition.toml) cannot be told: they count only for the rest.
- *other exits*: a verb ended with something else than 0, 2 or 3.
- *hangs*: a verb did not end in time.

The mean is chosen whatever scores best, so that every member counts. Each verb is a process, forked
from one that has paid for the imports; the predicting process of a budgeted submission is a fork,
too. ``cost`` measures for half a minute whatever is there, so it runs only where a file of
models/ensemble or folds was damaged. `kernel`, `review`, `add` and `tune` do not run.
"""

import argparse
import json
import os
import random
import runpy
import shutil
import signal
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from forked import CONTEXT  # noqa: E402
from tiny import edit, make_workspace  # noqa: E402

RESULT = ROOT / "benchmarks/results/damage.json"
SECONDS = 300
"""A verb that takes longer hangs; `cost` takes half a minute."""
EXITS = (0, 2, 3)
MAKING = ("fold", "train", "stack", "cost")
COST = ("cost", "--engine", "onnxruntime-fp32")
UNFINISHED = """\
[[model]]
name = "late"
backbone = "test_resnet"
weights = "none"
mode = "finetune"
image_size = 32
epochs = 3
batch_size = 8
average = "ema"
precision = "fp32"

[stack]"""

PRELOAD = [
    *("harness.cli.training", "harness.cli.steps", "harness.cli.costs", "harness.cli.worker"),
    *("harness.cli.audit", "harness.audit.make", "harness.doctor.examine", "harness.train.jobs"),
    *("harness.stack.make", "harness.submit.runner", "harness.submit.grade", "timm"),
    *("sklearn.linear_model", "sklearn.isotonic", "scipy.optimize", "scipy.sparse.csgraph"),
    *("onnxruntime", "lightgbm", "harness.predict.engines.with_onnxruntime"),
]
"""What every verb's process has imported already."""

Command = Sequence[str]


def flip(content: bytes, draw: random.Random) -> bytes:
    """Turn one bit over."""
    place, bit = draw.randrange(len(content)), 1 << draw.randrange(8)
    return content[:place] + bytes([content[place] ^ bit]) + content[place + 1 :]


def flip_many(content: bytes, draw: random.Random) -> bytes:
    """Turn eight bits over."""
    for _ in range(8):
        content = flip(content, draw)
    return content


def blank(content: bytes, draw: random.Random) -> bytes:
    """Fill a piece with zeros."""
    start, length = _piece(content, draw)
    return content[:start] + bytes(length) + content[start + length :]


def scribble(content: bytes, draw: random.Random) -> bytes:
    """Fill a piece with noise."""
    start, length = _piece(content, draw)
    return content[:start] + draw.randbytes(length) + content[start + length :]


def leave_out(content: bytes, draw: random.Random) -> bytes:
    """Take a piece out."""
    start, length = _piece(content, draw)
    return content[:start] + content[start + length :]


def repeat(content: bytes, draw: random.Random) -> bytes:
    """Let a piece stand there twice."""
    start, length = _piece(content, draw)
    return content[: start + length] + content[start:]


def change_digit(content: bytes, draw: random.Random) -> bytes:
    """Put another digit in the place of one, where there is one."""
    places = [place for place, byte in enumerate(content) if 48 <= byte < 58]
    if not places:
        return flip(content, draw)
    place = draw.choice(places)
    other = draw.choice([digit for digit in range(48, 58) if digit != content[place]])
    return content[:place] + bytes([other]) + content[place + 1 :]


def cut(content: bytes, draw: random.Random) -> bytes:
    """Keep the beginning alone."""
    return content[: draw.randrange(len(content))]


def empty(content: bytes, draw: random.Random) -> bytes:
    """Keep nothing."""
    return b""


def noise(content: bytes, draw: random.Random) -> bytes:
    """Keep the length alone."""
    return draw.randbytes(len(content))


def remove(content: bytes, draw: random.Random) -> None:
    """Leave no file."""


DAMAGES = (
    *(flip, flip, flip, flip_many, change_digit, change_digit),
    *(blank, scribble, leave_out, repeat, cut, empty, noise, remove),
)


def _piece(content: bytes, draw: random.Random) -> tuple[int, int]:
    start = draw.randrange(len(content))
    return start, min(len(content) - start, draw.choice([1, 4, 16, 64, 512]))


@dataclass(frozen=True)
class Damage:
    """What is done to which file of which workspace."""

    number: int
    base: str
    file: str
    kind: str
    seed: int

    def do(self, folder: Path) -> None:
        """Damage the file below ``folder``."""
        path = folder / self.file
        kinds = {kind.__name__: kind for kind in DAMAGES}
        content = kinds[self.kind](path.read_bytes(), random.Random(self.seed))
        if content is None:
            path.unlink()
        else:
            path.write_bytes(content)

    @property
    def is_users(self) -> bool:
        """Return whether the file is the user's own, which nothing can vouch for."""
        return self.file.startswith(("data/", "audit/corrections")) or self.file.endswith(".toml")


@dataclass(frozen=True)
class Outcome:
    """How each verb ended (None: it hung), what it said, and the submissions that it left."""

    exits: tuple[tuple[str, int | None], ...]
    said: tuple[str, ...]
    submissions: dict[str, bytes]


def verbs(base: str, *, cost: bool) -> list[Command]:
    """Return the verbs that run after a damage."""
    before: list[Command] = [] if base == "unfinished" else predicting("before")
    made = [("doctor",), ("audit",), ("fold",), ("train",), ("stack",)]
    if base == "unfinished":
        return [*made, ("submit", "--name", "after")]
    return [*before, *made, *([COST] if cost else []), *predicting("after")]


def predicting(name: str) -> list[Command]:
    """Return the verbs that predict, and those that look at what came of it."""
    return [
        ("submit", "--name", name),
        ("submit", "--name", f"{name}-in-time", "--budget", "5m"),
        ("submit",),
        ("grade", f"submissions/{name}.csv"),
        ("board",),
    ]


def run(folder: Path, commands: Sequence[Command], seconds: float = SECONDS) -> Outcome:
    """Run the commands one after the other in processes of their own."""
    exits: list[tuple[str, int | None]] = []
    said = []
    output = folder.with_name(f"{folder.name}.said")
    for command in commands:
        process = CONTEXT.Process(target=_run, args=(folder, command, output))
        process.start()
        process.join(seconds)
        code = process.exitcode
        if code is None and process.pid:
            os.killpg(process.pid, signal.SIGKILL)
            process.join()
        exits.append((" ".join(command), code))
        said.append(output.read_text(encoding="utf-8", errors="replace"))
    files = sorted((folder / "submissions").glob("*.csv"))
    return Outcome(tuple(exits), tuple(said), {file.stem: file.read_bytes() for file in files})


def _run(folder: Path, command: Command, output: Path) -> None:
    os.setsid()
    with output.open("wb") as stream:
        for number in (1, 2):
            os.dup2(stream.fileno(), number)
    os.chdir(folder)
    from harness.cli import main, silence_libraries
    from harness.stack import make
    from harness.submit import budgeted

    budgeted.guard = _guard
    make.choose = lambda scores: next(score for score in scores if score.method == "mean")
    silence_libraries()
    code = main(command)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # without the libraries' own ends, as they are shared with the fork server


def _guard(command: Sequence[str], *, until: float) -> int:
    """Run the predicting process as a fork of this one, which has not computed anything yet."""
    import harness.submit.guard as guard

    worker = os.fork()
    if not worker:
        guard.die_with_parent = lambda: None  # its standard input is nobody's
        del sys.modules["harness.cli.worker"]
        sys.argv = ["worker", *command[command.index("harness.cli.worker") + 1 :]]
        runpy.run_module("harness.cli.worker", run_name="__main__", alter_sys=True)
    while not (ended := os.waitpid(worker, os.WNOHANG))[0]:
        if time.monotonic() > until:
            os.kill(worker, signal.SIGKILL)
            os.waitpid(worker, 0)
            return guard.KILLED
        time.sleep(0.01)
    return os.waitstatus_to_exitcode(ended[1])


def make_bases(folder: Path, *, cost: bool = True) -> dict[str, Path]:
    """Return a workspace that is complete, and one whose last training is unfinished."""
    complete = make_workspace(folder / "complete")
    edit(complete / "competition.toml", "seed = 7", "seed = 7\ngroup_duplicates = true")
    edit(complete / "competition.toml", '["best", "mean", "weighted"]', '["mean"]')
    made = [("audit",), ("fold",), ("train",), ("stack",), *([COST] if cost else []), ("submit",)]
    _must(run(complete, made))
    (complete / "audit/corrections.csv").write_text(
        "time,id,action,label\n2024-05-01T10:00:00Z,004,keep,\n2024-05-01T10:00:01Z,009,skip,\n"
    )
    unfinished = Path(shutil.copytree(complete, folder / "unfinished"))
    shutil.rmtree(unfinished / "submissions")
    edit(unfinished / "competition.toml", "[stack]", UNFINISHED)
    process = CONTEXT.Process(target=_train_a_little, args=(unfinished,))
    process.start()
    process.join()
    assert list(unfinished.glob("models/late/*.checkpoint.safetensors"))
    return {"complete": complete, "unfinished": unfinished}


def _must(outcome: Outcome) -> None:
    if any(code for _, code in outcome.exits):
        raise SystemExit(f"{outcome.exits}\n{''.join(outcome.said)}")


def _train_a_little(folder: Path) -> None:
    """Stop a training in its first fold's second epoch, as one that is told to does."""
    import itertools

    from harness.display import Display
    from harness.train import jobs
    from harness.train.jobs import Wish, train
    from harness.workspace import Workspace

    looks = itertools.count()

    class Asked:
        def __enter__(self) -> object:
            return lambda: next(looks) > 6

        def __exit__(self, *_: object) -> None:
            pass

    jobs.noting_signals = Asked
    try:
        train(Workspace.open(folder), Display(), Wish(only=["late"]))
    except KeyboardInterrupt:
        return
    raise AssertionError("it was not stopped")


def draw_damages(bases: dict[str, Path], count: int, seed: int) -> list[Damage]:
    """Return damages that are spread over the kinds of files, whatever their numbers are."""
    draw = random.Random(seed)
    damages = []
    for number in range(count):
        base = "unfinished" if number % 5 == 0 else "complete"
        places: dict[str, list[str]] = {}
        for path in sorted(bases[base].rglob("*")):
            name = path.relative_to(bases[base]).as_posix()
            if path.is_file() and path.stat().st_size:
                places.setdefault(_place(name), []).append(name)
        chosen = draw.choice(sorted(places))
        if base == "unfinished" and draw.random() < 0.6:  # what the other one does not have
            chosen = "checkpoint"
        file, kind = draw.choice(places[chosen]), draw.choice(DAMAGES).__name__
        damages.append(Damage(number, base, file, kind, draw.randrange(1 << 32)))
    return damages


def _place(name: str) -> str:
    """Return the kind of file, for what matters comes as often as what there is much of."""
    if "checkpoint" in name:
        return "checkpoint"
    if name.startswith("models/") and not name.startswith("models/ensemble/"):
        return name.rpartition("/")[2]
    if name.startswith(("models/ensemble/engines", ".cache")):
        return "/".join(name.split("/")[:3])
    return "data" if name.startswith("data/") else name


def judge(damage: Damage, outcome: Outcome, reference: Outcome) -> list[str]:
    """Return what went wrong, in phrases."""
    wrong = []
    for command, code in outcome.exits:
        if code is None:
            wrong.append(f"hang: {command}")
        elif code not in EXITS:
            wrong.append(f"exit {code}: {command}")
    refused = False
    for (command, code), said in zip(outcome.exits, outcome.said, strict=True):
        name = command.partition("--name ")[2].partition(" ")[0]
        if not name:
            refused = refused or (command.split()[0] in MAKING and code != 0)
            continue
        told = refused or code != 0 or "warning:" in said or damage.is_users
        if not told and outcome.submissions.get(name) != reference.submissions[name]:
            wrong.append(f"silent: {command}")
    return wrong


def attempt(
    damage: Damage,
    bases: dict[str, Path],
    references: dict[str, Outcome],
    *,
    verbose: bool = False,
) -> list[str]:
    """Do one damage to a copy and run the verbs; what went wrong."""
    with TemporaryDirectory() as scratch:
        folder = Path(shutil.copytree(bases[damage.base], Path(scratch) / "workspace"))
        damage.do(folder)
        cost = damage.file.startswith(("models/ensemble/", "folds/"))
        outcome = run(folder, verbs(damage.base, cost=cost))
    wrong = judge(damage, outcome, references[damage.base])
    exits = " ".join(str(code) for _, code in outcome.exits)
    print(f"{damage.number} {damage.file} {damage.kind}: {exits} {'; '.join(wrong)}", flush=True)
    if wrong or verbose:
        for (command, code), said in zip(outcome.exits, outcome.said, strict=True):
            print(f"    {command}: {code}\n{said}", flush=True)
    return wrong


def main() -> None:
    """Run them and write benchmarks/results/damage.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--damages", type=int, default=500)
    parser.add_argument("--first", type=int, default=0, help="Number of the first one to do.")
    parser.add_argument("--seed", type=int, default=18)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--verbose", action="store_true", help="All that every verb says.")
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    CONTEXT.set_forkserver_preload(PRELOAD)
    begun = time.monotonic()
    with TemporaryDirectory() as scratch:
        bases = make_bases(Path(scratch))
        references = {}
        for base, folder in bases.items():
            copy = Path(shutil.copytree(folder, Path(scratch) / f"{base}-reference"))
            references[base] = run(copy, verbs(base, cost=False))
            _must(references[base])
        damages = draw_damages(bases, options.damages, options.seed)[options.first :]

        def one(damage: Damage) -> list[str]:
            return attempt(damage, bases, references, verbose=options.verbose)

        with ThreadPoolExecutor(options.processes) as pool:
            found = list(pool.map(one, damages))
    wrong = [
        {**asdict(damage), "wrong": some}
        for damage, some in zip(damages, found, strict=True)
        if some
    ]
    counts = {
        kind: sum(any(one.startswith(kind) for one in some) for some in found)
        for kind in ("silent", "exit", "hang")
    }
    record = {"seed": options.seed, "damages": len(damages), **counts, "wrong": wrong}
    print(json.dumps(record, indent=1), f"{time.monotonic() - begun:.0f} s")
    if options.damages >= 500 and not options.first:
        RESULT.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
