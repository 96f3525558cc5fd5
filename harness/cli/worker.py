"""The predicting process of a budgeted submission: python -m harness.cli.worker (see ``main``)."""

import os
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

from harness.cli import mend_streams, silence_libraries
from harness.cli.steps import with_root
from harness.display import Display, complain, flush_output, harmless_lines, one_line
from harness.errors import UserError
from harness.predict.cost import read_costs
from harness.predict.machine import fingerprint, probe
from harness.stack.blend import blend_from_json
from harness.stack.chosen import choose, combiner
from harness.submit.budgeted import costs_file, predict_within, read_plans
from harness.submit.guard import die_with_parent
from harness.submit.rows import read_test_rows
from harness.workspace import Workspace
from harness.workspace.ensemble import read_ensemble


def main(arguments: Sequence[str]) -> int:
    """Predict within the budget; return the exit code of ``predict_within``, 2 for a user's error.

    The arguments are the workspace, the file, the digest of its inputs, the budget in seconds, the
    seconds until the last write, and since when on time.monotonic's clock they count. With the
    workspace alone: get ready to load the first engine, and end there (``cost`` times that).
    """
    root, *rest = arguments
    if rest:
        die_with_parent()
    workspace = Workspace.open(Path(root))
    ensemble = read_ensemble(workspace.models / "ensemble")
    rows = read_test_rows(workspace, ensemble)
    if not rest:
        return 0
    path, inputs, budget, deadline, started = rest
    sheet = read_costs(costs_file(workspace))
    plans = read_plans(workspace, ensemble)
    slowdown = 1.0 if sheet.machine == fingerprint() else probe() / sheet.probe

    def elapsed() -> float:
        return time.monotonic() - float(started)

    plan = choose(
        [plan.on(len(rows.ids), slowdown) for plan in plans],
        float(deadline),
        elapsed=elapsed(),
        formula=workspace.competition.budget.efficiency,
    )
    return predict_within(
        workspace,
        ensemble,
        plan,
        sheet,
        blend_from_json(ensemble.blend).apply,
        combiner(plan),
        rows,
        Path(path),
        Display(),
        inputs=inputs,
        budget=float(budget),
        deadline=float(deadline),
        elapsed=elapsed,
    )


if __name__ == "__main__":
    silence_libraries()
    mend_streams()
    try:
        code = main(sys.argv[1:])
    except UserError as error:
        until = f" ({sys.argv[2]} has no predictions until then)" if sys.argv[2:] else ""
        complain(f"error: {with_root(one_line(error), Path(sys.argv[1]))}{until}")
        code = 2
    except Exception:  # told here, since os._exit below would skip the interpreter's own report
        complain(harmless_lines(traceback.format_exc()))
        code = 1
    flush_output()
    os._exit(code)  # every file is written; taking torch down would cost a part of the budget
