"""Rewrite the README's table of figures from benchmarks/results/; `--check` only compares."""

import json
import sys
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[1]
BEGIN, END = "<!-- figures: make bench -->", "<!-- end of figures -->"


def table() -> str:
    """The table in Markdown."""
    folds, stack, honesty = (read(name) for name in ("folds", "stack", "honesty"))
    stratified, grouped = folds["stratified"], folds["grouped"]
    alone = median(grouped["theirs_s"]) / median(grouped["ours_s"])
    slower = median(stratified["ours_s"]) / median(stratified["theirs_s"])
    greedy = stack["greedy"]["log_loss"]
    rows = [
        (
            "Folds of 1 M rows in 200 k groups",
            f"{median(grouped['ours_s']):.1f} s",
            f"{median(grouped['theirs_s']):.1f} s, StratifiedGroupKFold ({alone:.0f} ×)",
        ),
        (
            "Folds of 10 M rows, 11 classes",
            f"{median(stratified['ours_s']):.1f} s",
            f"{median(stratified['theirs_s']):.1f} s, StratifiedKFold (ours takes "
            f"{slower:.2f} ×), whose folds move with the order of rows",
        ),
        (
            "95 % interval of the chosen ensemble holds the score on 100 k fresh rows",
            f"{honesty['nested']['coverage']:.0%} of {honesty['problems']} problems",
            f"{honesty['in_sample']['coverage']:.0%}, in-sample score",
        ),
        (
            "Greedy selection, 25 steps, 20 members × 100 k rows × 10 classes",
            f"{greedy['ours']['seconds']:.2f} s",
            f"{greedy['autogluon']['seconds']:.1f} s, AutoGluon 1.6, the same loss "
            f"({greedy['speedup']:.0f} ×)",
        ),
        (
            "Nested table of seven methods on the same",
            f"{stack['table']['seconds']:.0f} s",
            "",
        ),
    ]
    lines = ["| what | harness | peer |", "|---|---|---|"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def read(name: str) -> dict:
    """One benchmark's results."""
    return json.loads((ROOT / "benchmarks/results" / f"{name}.json").read_text(encoding="utf-8"))


def main() -> int:
    """Write the table between the README's marks; 1 if ``--check`` finds another one there."""
    path = ROOT / "README.md"
    text = path.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    made = f"{before}{BEGIN}\n{table()}\n{END}{after}"
    if "--check" in sys.argv:
        return int(made != text)
    path.write_text(made, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
