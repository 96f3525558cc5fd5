"""What predicting costs on this machine: measured in fresh processes, kept, and modelled.

The model is ``harness.predict.plan.predicted_seconds``: a process's start, then for each stage its
loading, then for each image its decoding and forward passes, then writing.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from typing import Literal

import numpy as np

from harness.data.images import Pixels, decode
from harness.predict.engines.kinds import ENGINES, Runtime, cores
from harness.predict.measure import EngineCost
from harness.predict.plan import Costs, Plan
from harness.records import read_record, write_json

Source = Literal["holdout", "repeats", "test images"]
"""Rows that several fold models predicted although none of them saw their labels."""
STARTS = 3
"""Fresh processes that are timed."""
LEAST_CORRECTION = 0.5
"""The least that a pass makes of an engine's seconds: the rest may be luck."""
LEAST_SPREAD, MOST_SPREAD = 0.03, 0.15
"""Limits of the spread: one pass may meet its prediction by luck, or miss it by bad luck."""
SAMPLE = 48
"""Images that decoding is timed on."""


@dataclass(frozen=True)
class MemberCost:
    """An engine that may serve a member: its cost for one fold model, and its answers' score.

    ``weights`` are the files in models/<run>/ that the member predicts with; ``shared`` says that
    more of them cost nothing (heads on one frozen backbone). ``score`` on ``rows`` out-of-fold
    rows beside the stored predictions' (``reference``); None where it is the engine that made
    those.
    """

    member: str
    size: int
    shared: bool
    weights: tuple[str, ...]
    cost: EngineCost
    rows: int = 0
    score: float | None = None
    reference: float | None = None

    @property
    def runtime(self) -> Runtime:
        """What the engine runs on."""
        return ENGINES[self.cost.engine].runtime

    def fixed_seconds(self, models: int) -> float:
        """To load and warm up so many fold models, without the runtime's start."""
        return (self.cost.load_seconds + self.cost.warm_up_seconds) * self._copies(models)

    def image_seconds(self, models: int) -> float:
        """The forward passes of one image through so many fold models."""
        return self.cost.image_seconds * self._copies(models)

    def _copies(self, models: int) -> int:
        return 1 if self.shared else models


@dataclass(frozen=True)
class Averaging:
    """The worth of averaging a member's fold models, as far as that can be told.

    ``loss`` is how much of one model's smooth loss would go if infinitely many were averaged,
    ``score`` (positive is better) how much that adds to the metric, ``error`` its standard error.
    ``models`` were compared on ``rows`` rows of the ``source``.
    """

    member: str
    loss: float
    score: float
    error: float
    models: int
    rows: int
    source: Source


@dataclass(frozen=True)
class CostSheet:
    """All that was measured for an ensemble on one machine.

    ``ensemble`` is its digest; ``machine`` and ``probe`` are harness.predict.machine's.
    ``starts``: seconds of whole fresh processes until the first runtime can be imported.
    ``read`` and ``decode`` are as ``measure_decoding`` returns them; ``write`` is for ``rows``.
    ``averaging`` has the members of which it is known what averaging their models is worth.
    ``spread`` is how far, as a part, the last real pass was from what the ones before made expect.
    """

    ensemble: str
    machine: str
    probe: float
    starts: tuple[float, ...]
    read: float
    decode: tuple[tuple[int, float], ...]
    write: float
    rows: int
    members: tuple[MemberCost, ...]
    notes: tuple[str, ...]
    averaging: tuple[Averaging, ...] = ()
    spread: float = LEAST_SPREAD

    def __post_init__(self) -> None:
        if not self.starts or self.rows < 1 or not self.probe > 0:
            raise ValueError("a start, a row and a probe must have been timed")
        if unknown := {member.cost.engine for member in self.members} - {*ENGINES}:
            raise ValueError(f"there is no engine {min(unknown)!r}")

    def of(self, members: Collection[str]) -> "CostSheet":
        """Return the sheet of these members alone."""
        return replace(self, members=tuple(one for one in self.members if one.member in members))

    def costs(self, rows: int) -> Costs:
        """The shared costs for a test set of ``rows``."""
        imports: dict[str, list[float]] = {}
        for member in self.members:
            imports.setdefault(member.runtime, []).append(member.cost.start_seconds)
        runtimes = tuple((name, median(seconds)) for name, seconds in sorted(imports.items()))
        write = self.write * max(1.0, rows / self.rows)
        return Costs(median(self.starts), write, self.decode, self.read, runtimes, self.spread)


def averaging_sentence(plan: Plan, sheet: CostSheet) -> str:
    """Say how many fold models of how many a plan uses, and what that is expected to be worth.

    "" where no member has more than one that would cost more.
    """
    several = {one.member for one in sheet.members if len(one.weights) > 1 and not one.shared}
    models = {member: plan.models_of(member) for member in plan.members if member in several}
    used = [f"{member} by {n} of {of} fold models" for member, (n, of) in models.items() if n]
    if not used:
        return ""
    known = [one for one in sheet.averaging if one.member in plan.members]
    if not known:
        return f"{', '.join(used)} (what averaging them gains could not be estimated)"
    sources = sorted({f"{one.rows} rows of the {one.source}" for one in known})
    return (
        f"{', '.join(used)}; averaging is expected to improve {plan.metric} by {plan.gain:.4f} "
        f"± {plan.gain_error:.4f}, by {' and '.join(sources)}"
    )


def corrected(
    sheet: CostSheet,
    members: Sequence[str],
    loading: float,
    predicting: float,
    started: Collection[str],
) -> CostSheet:
    """Return the sheet after one pass of these members together took other seconds than predicted.

    ``loading`` and ``predicting`` are seconds for each predicted one; ``started`` are the runtimes
    that the pass imported. Decoding stays as it is: the members wait for it, and it for them.
    """
    passing = [one for one in sheet.members if one.member in members]
    forward = sum(one.cost.image_seconds for one in passing)
    sizes, decode = {one.size for one in passing}, dict(sheet.decode)
    reading = sheet.read + sum(decode[size] for size in sizes)
    slower = (predicting * (reading + forward) - reading) / forward
    slower = max(slower, LEAST_CORRECTION)

    def correct(one: MemberCost) -> MemberCost:
        cost = one.cost
        return replace(
            one,
            cost=replace(
                cost,
                start_seconds=cost.start_seconds * (loading if one.runtime in started else 1.0),
                load_seconds=cost.load_seconds * loading,
                warm_up_seconds=cost.warm_up_seconds * loading,
                image_seconds=cost.image_seconds * slower,
                image_seconds_p95=cost.image_seconds_p95 * slower,
            ),
        )

    return replace(
        sheet,
        members=tuple(correct(one) if one in passing else one for one in sheet.members),
        spread=min(max(LEAST_SPREAD, abs(predicting - 1)), MOST_SPREAD),
    )


def write_costs(path: Path, sheet: CostSheet) -> None:
    """Write the sheet as JSON."""
    write_json(path, json.dumps(asdict(sheet), indent=2, ensure_ascii=False))


def read_costs(path: Path) -> CostSheet:
    """The stored sheet; a WorkspaceError if there is none or it is damaged."""
    fix = "run `python -m harness cost`"
    return read_record(CostSheet, path, missing="nothing was measured yet", fix=fix)


def measure_starts(commands: Sequence[Sequence[str]]) -> tuple[float, ...]:
    """Seconds that the commands take one after the other in fresh processes, three times."""
    return tuple(sum(_seconds_of(command) for command in commands) for _ in range(STARTS))


def measure_decoding(
    paths: Sequence[Path],
    sizes: Sequence[int],
    clock: Callable[[], float] = time.perf_counter,
) -> tuple[float, tuple[tuple[int, float], ...]]:
    """(seconds to read and decode an image, ((size, seconds to bring it there), …)).

    With every core at it. Size 0 is no image at all: predictions of other tools need none.
    """
    some = [path for path in paths if path.exists()]
    some = [some[i] for i in np.unique(np.linspace(0, len(some) - 1, SAMPLE).astype(int))]

    def seconds(wanted: Sequence[int]) -> float:
        spent = []
        for path in some:
            before = clock()
            decode(path, wanted)
            spent.append(clock() - before)
        return median(spent) / cores()

    largest = max(sizes)
    # the same picture to one more size costs that size alone
    once = seconds([largest])
    added = {size: max(0.0, seconds([largest, size - 1]) - once) for size in sorted(set(sizes))}
    return max(0.0, once - added[largest]), ((0, 0.0), *added.items())


def pixels_file(pixels: Pixels) -> Path:
    """The .npy file behind memory-mapped images, for another process to map."""
    name = getattr(pixels, "filename", None)
    assert name is not None, "the image cache is memory-mapped"
    return Path(os.fspath(name))


def _seconds_of(command: Sequence[str]) -> float:
    before = time.perf_counter()
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr}")
    return time.perf_counter() - before
