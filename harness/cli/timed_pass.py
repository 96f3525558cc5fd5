"""The seconds of one real pass over some images.

    python -m harness.cli.timed_pass ROOT COSTS ROWS MEMBER …

Engines are timed one by one on images that are decoded already. In a submission they share the
processor with the threads that decode, and with each other. This process runs the submission's own
code with these members, and prints as JSON how much longer that takes than predicted.
"""

import json
import math
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
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
    """Print {"load": …, "predict": …}: seconds for each one that the costs predict."""
    root, costs, count, *members = arguments
    workspace = Workspace.open(Path(root))
    ensemble = read_ensemble(workspace.models / "ensemble")
    sheet = read_costs(Path(costs))
    there = [path for path in read_test_rows(workspace, ensemble).paths if path.exists()]
    paths = list(islice(cycle(there), int(count))) if there else []
    sheet = replace(sheet, members=tuple(m for m in sheet.members if m.member in members))
    plan = one_pass(sheet, len(ensemble.targets), len(paths))
    progress = follow(
        plan,
        paths,
        stage_loader(workspace, plan, sheet),
        {},
        lambda stages, predictions: predictions.mean(axis=0),
        lambda progress: None,
        deadline=math.inf,
        clock=time.perf_counter,
        rendering=workspace.competition.data.rendering,
    )
    loading = sum(stage.fixed_seconds for stage in plan.stages)
    loading += plan.costs.imports(stage.runtime for stage in plan.stages)
    predicting = plan.seconds - plan.costs.base - loading
    found = {"load": 1.0, "predict": 1.0}
    if progress.completed and paths:
        found = {
            "load": progress.spent["load"] / loading,
            "predict": progress.spent["predict"] / predicting,
        }
    print(json.dumps(found))


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
