"""What ``cost`` does: time engines in fresh processes, then plan for every budget."""

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np

from harness.cli.timed_pass import one_pass
from harness.display import Display, one_line
from harness.errors import ConfigError, WorkspaceError, nearest
from harness.files import write_text
from harness.predict.cost import LEAST_SPREAD, CostSheet, corrected, read_costs, write_costs
from harness.predict.engines import ENGINES, Kind, engines_here
from harness.predict.machine import fingerprint
from harness.predict.plan import Plan
from harness.stack.make import read_problem
from harness.stack.plans import make_plans, write_plans
from harness.stack.race import measure_costs
from harness.submit.budgeted import costs_file, plans_file, read_plans
from harness.submit.rows import TestRows, read_test_rows, submission_text
from harness.workspace import Workspace
from harness.workspace.ensemble import Ensemble, read_current_ensemble

PASS_SECONDS, LEAST_PASS, MOST_PASS = 3.0, 64, 1024
"""Seconds that a pass should take, and its least and most images."""
WRITES = 3
"""Times that combining and writing is timed."""


def measure_and_plan(
    workspace: Workspace,
    display: Display,
    engines: Sequence[str],
    *,
    thorough: bool = False,
    again: bool = True,
) -> tuple[CostSheet, list[Plan], bool]:
    """Return the costs on this machine, the plans for every budget, and whether they are new.

    Unless ``again``, costs that were measured for the same ensemble on the same machine stay.
    """
    ensemble = read_current_ensemble(workspace)
    if not again and (stored := _stored(workspace, ensemble)):
        return *stored, False
    rows = read_test_rows(workspace, ensemble)
    training, problem = read_problem(workspace)
    budget = workspace.competition.budget
    sheet, in_views = measure_costs(
        workspace,
        ensemble,
        problem,
        training,
        display,
        kinds=_kinds(engines),
        thorough=thorough,
        starts=_starts(workspace),
        write=_seconds_to_write(workspace, ensemble, rows),
        write_rows=len(rows.ids),
        test_paths=rows.paths,
    )
    if not sheet.members and any(ensemble.weights):
        raise WorkspaceError("cost", f"no engine works: {'; '.join(sheet.notes)}", "mend one")
    if sheet.members and any(path.exists() for path in rows.paths):
        sheet = _as_they_run(workspace, sheet, len(ensemble.targets), display)
    plans = make_plans(
        ensemble,
        problem,
        sheet,
        in_views,
        budget.test_rows or len(rows.ids),
        base=len(workspace.competition.views),
        repeats=training.assignment.shape[1],
    )
    write_costs(costs_file(workspace), sheet)
    write_plans(plans_file(workspace), ensemble, plans)
    return sheet, plans, True


def _as_they_run(
    workspace: Workspace, sheet: CostSheet, targets: int, display: Display
) -> CostSheet:
    """Return the sheet, corrected by a pass of each member over some images, then by one of all.

    One process makes all passes, as a submission does. If it fails, those that it made count.
    """
    names = [one.member for one in sheet.members]
    passes = [[name] for name in names] + [names] * (len(names) > 1)
    counts = [_rows_of_a_pass(sheet.of(members)) for members in passes]
    with display.working("real passes"), TemporaryDirectory() as folder:
        costs = Path(folder) / "costs.json"
        write_costs(costs, sheet)
        wanted = json.dumps(list(zip(counts, passes, strict=True)))
        command = ["-m", "harness.cli.timed_pass", str(workspace.root), str(costs), wanted]
        done = subprocess.run(
            [sys.executable, *command], capture_output=True, text=True, check=False
        )
    if done.returncode:
        why = one_line(done.stderr.strip()[-300:])
        display.say(f"warning: a real pass failed, its seconds are those of the engines: {why}")
    spent = [json.loads(line) for line in done.stdout.splitlines()]
    imported: set[str] = set()
    for members, rows, seconds in zip(passes, counts, spent, strict=False):
        plan = one_pass(sheet.of(members), targets, rows)
        runtimes = {stage.runtime for stage in plan.stages}
        fixed = sum(stage.fixed_seconds for stage in plan.stages)
        predicting = plan.seconds - plan.costs.base - plan.costs.imports(runtimes) - fixed
        new = runtimes - imported
        imported |= runtimes
        loading = fixed + plan.costs.imports(new)
        slower = seconds["load"] / loading if len(members) == 1 else 1.0
        sheet = corrected(sheet, members, slower, seconds["predict"] / predicting, new)
    if len(spent) < 2:  # the first pass corrects, and says nothing of the next
        sheet = replace(sheet, spread=LEAST_SPREAD)
    return sheet


def _rows_of_a_pass(sheet: CostSheet) -> int:
    an_image = sheet.read + sum(seconds for _, seconds in sheet.decode)
    an_image += sum(one.image_seconds(1) for one in sheet.members)
    return min(max(LEAST_PASS, round(PASS_SECONDS / an_image)), MOST_PASS)


def _stored(workspace: Workspace, ensemble: Ensemble) -> tuple[CostSheet, list[Plan]] | None:
    """What stands there, if it is for this ensemble and was measured on this machine."""
    try:
        sheet = read_costs(costs_file(workspace))
        plans = list(read_plans(workspace, ensemble))
    except WorkspaceError:
        return None
    same = sheet.ensemble == ensemble.digest and sheet.machine == fingerprint()
    return (sheet, plans) if same else None


def _kinds(names: Sequence[str]) -> list[Kind]:
    """The engines to try. torch.compile only by name: it compiles for many seconds at each start,
    which few budgets allow."""
    for name in names:
        if name not in ENGINES:
            raise ConfigError("--engine", f"there is no engine {name!r}", nearest(name, ENGINES))
    if names:
        return [ENGINES[name] for name in names]
    return [kind for kind in engines_here() if not kind.compiled]


def _starts(workspace: Workspace) -> list[list[str]]:
    """Commands that take what a budgeted submission takes before its first engine is loaded."""
    promising = (
        "import sys, pathlib, harness.cli, harness.submit.budgeted; "
        "from harness.workspace import Workspace; Workspace.open(pathlib.Path(sys.argv[1]))"
    )
    root = str(workspace.root)
    return [["-c", promising, root], ["-m", "harness.cli.worker", root]]


def _seconds_to_write(workspace: Workspace, ensemble: Ensemble, rows: TestRows) -> float:
    predictions = np.tile(np.array(ensemble.decided_prior), (len(rows.ids), 1))
    with TemporaryDirectory() as folder:
        path = Path(folder) / "submission.csv"
        spent: list[float] = []
        while len(spent) < WRITES:
            begun = time.perf_counter()
            write_text(path, submission_text(workspace, path, rows, ensemble, predictions))
            spent.append(time.perf_counter() - begun)
        return median(spent)
