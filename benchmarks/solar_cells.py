"""How well examples/solar-cells tells defective cells from sound ones on the hidden quarter.

    python -m harness run -C examples/solar-cells      # the better part of an hour on two cores
    python benchmarks/solar_cells.py

Defective means a probability of 2/3 or more, the classes 67 and 100; a cell is called defective
where they have at least half of the predicted probability together. Deitsch et al. (2019) reach
88.42 % with a convolutional network on another quarter of the same photographs.
"""

import json
import platform
import sys
from pathlib import Path

import pandas as pd
from scipy.stats import binomtest

ROOT = Path(__file__).parents[1]
RESULT = Path(__file__).parent / "results" / "solar_cells.json"
DEFECTIVE = ["67", "100"]
PUBLISHED = 0.8842


def main() -> None:
    """Grade the newest submission and keep the figures."""
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "examples/solar-cells"
    submission = max((root / "submissions").glob("*.csv"), key=lambda path: path.stat().st_mtime)
    ensemble = json.loads((root / "models/ensemble/ensemble.json").read_text(encoding="utf-8"))
    predicted = pd.read_csv(submission).set_index("id")
    truth = pd.read_csv(root / "data/solution.csv", dtype=str).set_index("id").loc[predicted.index]
    right = (predicted[DEFECTIVE].sum(axis=1) >= 0.5) == truth["label"].isin(DEFECTIVE)
    interval = binomtest(int(right.sum()), len(right)).proportion_ci(method="wilson")
    found = {
        "machine": platform.machine(),
        "rows": len(right),
        "accuracy": float(right.mean()),
        "interval": [interval.low, interval.high],
        "published": PUBLISHED,
        "members": dict(zip(ensemble["members"], ensemble["member_seconds"], strict=True)),
        "training_seconds": sum(ensemble["member_seconds"]),
    }
    RESULT.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
