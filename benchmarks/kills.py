"""`kill -9` around the replacement of files, over all verbs: is it lost, stuck or another result?

    python benchmarks/kills.py [--kills 200] [--seed 2026]

Each verb runs on the tests' tiny workspace (tests/kills.py), from the state that the verbs before
it left. It is killed right before a change of a file, at a place drawn at random (every third time
a second kill follows), and run again. It must end with success, leave no temporary file, and leave
every file as an undisturbed run does, but for times and measurements. The verbs take turns, the
quick ones more often.
"""

import argparse
import json
import os
import platform
import random
import sys
import time
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

os.environ["OMP_NUM_THREADS"] = "1"  # the networks are tiny
sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from kills import Attack

RESULT = Path(__file__).parent / "results" / "kills.json"
SLOW = {"train": 2, "train --retrain": 2, "tune": 4, "cost": 4, "submit --budget": 2}
"""A verb has its turn in every so many rounds."""


def main() -> None:
    """Write benchmarks/results/kills.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=2026)
    options = parser.parse_args()
    draw, begun = random.Random(options.seed), time.monotonic()
    wrong: list[str] = []
    killed: Counter[str] = Counter()
    with TemporaryDirectory() as scratch:
        attack = Attack(Path(scratch))
        turn = 0
        while killed.total() < options.kills:
            for step in attack.steps:
                if turn % SLOW.get(step.name, 1) == 0 and killed.total() < options.kills:
                    found = attack.kill(step, draw)
                    killed[step.name] += 1
                    wrong += [found] if found else []
                    print(
                        f"{killed.total()} {step.name}: {found or 'as if undisturbed'}", flush=True
                    )
            turn += 1
    result = {
        "kills": killed.total(),
        "by_verb": dict(killed),
        "dead_ends": sum("exit code" in one for one in wrong),
        "other_bytes": sum("other bytes" in one for one in wrong),
        "wrong": wrong,
        "seconds": round(time.monotonic() - begun),
        "machine": {"processors": os.cpu_count(), "architecture": platform.machine()},
    }
    text = json.dumps(result, indent=1, ensure_ascii=False)
    RESULT.write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
