"""The seconds of real passes over some images.

    python -m harness.cli.timed_pass ROOT COSTS '[[ROWS, [MEMBER, …]], …]'

Engines are timed one by one on images that are decoded already. In a submission they share the
processor with the threads that decode, and with each other. This process runs the submission's own
code with these members, one pass after the other, and prints the seconds of each as a line of JSON.
"""

import json
import math
import os
import sys
import time
from collections.abc import Sequence
from itertools import cycle, islice
from pathlib import Path

from harness.predict.cost import CostSheet, read_costs
from harness.predict.plan import Plan, Stage
from harness.submit.budgeted import stage_loader
from harness.submit.follow import follow
from harness.submit.rows import read_test_rows
from harness.workspace import Workspace
from harness.workspace.ensemble import read_ensemble


def main(arguments: Sequence[str]) -> None:
    """Print {"load": …, "predict": …} for each pass: the seconds that it took."""
    root, costs, passes = arguments
    workspace = Workspace.open(Path(root))
    ensemble = read_ensemble(workspace.models / "ensemble")
    sheet = read_costs(Path(costs))
    there = [path for path in read_test_rows(workspace, ensemble).paths if path.exists()]
    for rows, members in json.loads(passes):
        some = sheet.of(members)
        plan = one_pass(some, len(ensemble.targets), rows)
        progress = follow(
            plan,
            list(islice(cycle(there), rows)),
            stage_loader(workspace, plan, some),
            {},
            lambda stages, predictions: predictions.mean(axis=0),
            lambda progress: None,
            deadline=math.inf,
            clock=time.perf_counter,
            rendering=workspace.competition.data.rendering,
        )
        if not progress.completed:
            raise RuntimeError(f"the pass of {', '.join(members)} was not completed")
        print(json.dumps({key: progress.spent[key] for key in ("load", "predict")}), flush=True)


def one_pass(sheet: CostSheet, targets: int, rows: int) -> Plan:
    """Return the plan in which every image gets one fold model of every member, in one pass."""
    stages = [
        Stage(
            option=one.member,
            member=one.member,
            engine=one.cost.engine,
            models=(0, len(one.weights) if one.shared else 1),
            views=(0, 1),
            size=one.size,
            share=1.0,
            rule="",
            fixed_seconds=one.fixed_seconds(1),
            image_seconds=one.image_seconds(1),
            alone=1.0,
            runtime=one.runtime,
        )
        for one in sheet.members
    ]
    return Plan(
        kind="classes",
        metric="",
        greater_is_better=True,
        stages=tuple(stages),
        blends=({},) * len(stages),
        weights=(1 / max(1, len(stages)),) * len(stages),
        prior=(0.0,) * targets,
        costs=sheet.costs(rows),
        rows=max(1, rows),
        seconds=0.0,
        score=0.0,
        error=0.0,
    ).on(rows)


if __name__ == "__main__":
    main(sys.argv[1:])
    sys.stdout.flush()
    os._exit(0)  # as the predicting process does
