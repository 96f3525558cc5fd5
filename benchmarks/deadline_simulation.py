"""Plans followed on a virtual clock: is anything late, half-written, or left lying?

10,000 random plans of one to eight stages, speeds from 0.2 to 5 times the prediction that drift,
stages that are off by factors of their own, stalls and hangs, stages that fail to load or break,
corrupt images. The world is that of the tests (tests/submit/plan_world.py). At the deadline the
parent ends whatever is being done, and the file that was written last counts.

    calm        no stalls, failures or corrupt images: what the pace alone does
    disturbed   all of it

``late`` and ``invalid`` should be 0, ``used`` (of the budget, where images waited for working
stages or the parent had to end it) at least 0.9 in the median. Runs whose start alone takes 90 % of
the budget are counted apart: they leave the priors' file.

    python benchmarks/deadline_simulation.py [--runs 10000]
"""

import argparse
import json
import os
import platform
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from submit.plan_world import World

RESULT = Path(__file__).parent / "results" / "deadline_simulation.json"


def follow(seed: int, calm: bool) -> dict:
    """One run in plain numbers."""
    world = World(seed, calm=calm)
    hopeless = world.clock >= 0.9 * world.budget
    outcome = world.run()
    file = outcome.file
    valid = (
        file.shape == (world.rows, 3)
        and bool(np.isfinite(file).all() and (file >= 0).all())
        and bool(np.abs(file.sum(axis=1) - 1).max(initial=0) < 1e-6)
    )
    return {
        "hopeless": hopeless,
        "late": outcome.ended > world.budget or outcome.written > world.budget,
        "invalid": not valid,
        "killed": outcome.killed,
        "waiting": outcome.idle or outcome.killed,
        "used": outcome.used,
        "unwritten": (outcome.ended - outcome.written) / world.budget,
        "completed": outcome.completed,
        "covered": outcome.covered,
    }


def summary(runs: list[dict]) -> dict:
    tried = [run for run in runs if not run["hopeless"]]
    waiting = [run for run in tried if run["waiting"]]
    killed = [run for run in tried if run["killed"]]
    used = [run["used"] for run in waiting]
    return {
        "runs": len(runs),
        "hopeless": len(runs) - len(tried),
        "late": sum(run["late"] for run in runs),
        "invalid": sum(run["invalid"] for run in runs),
        "completed": sum(run["completed"] for run in tried),
        "with_work_left": len(waiting),
        "used_median": round(float(np.median(used)), 4),
        "used_tenth": round(float(np.quantile(used, 0.1)), 4),
        "ended_by_parent": len(killed),
        "ended_by_parent_and_lost_over_15_percent": sum(r["unwritten"] > 0.15 for r in killed),
        "all_images_covered": sum(run["covered"] == 1 for run in tried),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--result", type=Path, default=RESULT)
    options = parser.parse_args()
    started = time.perf_counter()
    found = {}
    with ProcessPoolExecutor() as pool:
        for name, calm in (("calm", True), ("disturbed", False)):
            seeds = range(options.runs)
            runs = list(pool.map(follow, seeds, [calm] * options.runs, chunksize=50))
            found[name] = summary(runs)
            print(name, json.dumps(found[name], indent=1), flush=True)
    found["seconds"] = round(time.perf_counter() - started, 1)
    found["machine"] = {
        "processors": os.cpu_count(),
        "architecture": platform.machine(),
        "python": platform.python_version(),
        "numpy": np.__version__,
    }
    options.result.parent.mkdir(exist_ok=True)
    options.result.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
