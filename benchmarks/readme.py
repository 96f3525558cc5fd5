"""Rewrite the README's table of figures from benchmarks/results/; `--check` only compares."""

import json
import sys
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[1]
BEGIN, END = "<!-- figures: make bench -->", "<!-- end of figures -->"


def table() -> str:
    """The table in Markdown."""
    folds, stack = read("folds"), read("stack")
    honesty = read("honesty")["random"]
    equals = [cell for cell in read("honesty")["equals"].values() if isinstance(cell, dict)]
    held, naive = ([cell[kind]["coverage"] for cell in equals] for kind in ("nested", "in_sample"))
    engines, deadline, simulation = map(read, ("engines", "deadline", "deadline_simulation"))
    promise = read("promise")
    killed = promise["killed"]
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
            "The same with six nearly equal members, 4 metrics, 500 and 2,000 rows, on 40 k",
            f"{min(held):.0%} to {max(held):.0%} of {equals[0]['problems']} problems each",
            f"{min(naive):.0%} to {max(naive):.0%}, in-sample score",
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
    pace = engines["all_members_in_one_pass"]
    training, cells = read("train"), read("solar_cells")
    search = read("tune")
    ours, pruned = (
        next(one for one in search[part]["searches"] if one["search"] == name)
        for part, name in (("methods", "bayes (TPE)"), ("pruning", "bayes (TPE), median"))
    )
    (theirs,) = [one for one in search["methods"]["searches"] if "Optuna" in one["search"]]
    copies, scale = read("audit")["planted"]["elpv"]["copies"], read("audit")["scale"]
    plain, lightning = (training["ours_by"][peer] for peer in ("plain", "lightning"))
    rows += [
        (
            f"A training epoch, {len(training['backbones'])} backbones: images/s against the "
            "usual DataLoader loop in fp32",
            f"{plain['geometric_mean']:.1f} × (geometric mean; least {plain['least']:.1f} ×)",
            f"{lightning['geometric_mean']:.1f} × against Lightning's defaults",
        ),
        (
            "ELPV, `examples/solar-cells`: defective or not, on the hidden quarter",
            f"{cells['accuracy']:.1%} ({cells['interval'][0]:.1%} to {cells['interval'][1]:.1%})",
            f"{cells['published']:.2%}, the published network, on another quarter",
        ),
        (
            "Search of two settings, 30 trials: log loss above the best that is known",
            f"{ours['regret_after_30']:.3f}; pruning saves "
            f"{pruned['training_seconds_saved']:.0%} and finds the same",
            f"{theirs['regret_after_30']:.3f}, Optuna's TPE",
        ),
        (
            "Planted copies found in ELPV, exact and altered",
            f"{copies['recall']:.0%}, and {copies['precision']:.0%} of what was found are copies",
            "",
        ),
        (
            "`audit` of 100,000 images of 300 × 300 (looks extrapolated from 1,200)",
            f"{scale['both, 100,000 images s'] / 60:.0f} min",
            "",
        ),
        (
            f"Images to CSV, {len(engines['members'])} backbones: images/s against a plain PyTorch "
            "loop in fp32",
            f"{engines['geometric_mean_ratio']:.1f} × (geometric mean; least "
            f"{engines['least_ratio']:.1f} ×)",
            f"all of them in one pass {pace['ratio']:.1f} ×",
        ),
        *(budget_row(deadline, seconds) for seconds in (10.0, 20.0, 30.0)),
        (
            "Simulated submissions with lying speeds, stalls, failures, corrupt images",
            f"{simulation['disturbed']['late']} late, {simulation['disturbed']['invalid']} "
            f"invalid of {simulation['disturbed']['runs']:,}; "
            f"{simulation['disturbed']['used_median']:.0%} of the budget used on the median",
            "",
        ),
        *(promise_row(part, promise[part]) for part in promise if part.startswith("loaded")),
        (
            "`kill -9` of a submission at random moments: files that are not whole",
            f"{killed['invalid']} of {killed['runs']}",
            "",
        ),
    ]
    lines = ["| what | harness | peer |", "|---|---|---|"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def promise_row(part: str, loaded: dict) -> tuple[str, str, str]:
    """How often real submissions were late; ``part`` says of how many test rows."""
    rows = part.partition("_")[2]
    what = "Real submissions with random budgets of 2 to 20 s beside "
    what += f"{loaded.get('busy', 'up to 4')} busy processes"
    made = loaded["runs"] - len(refused := loaded.get("refused", []))
    said = f"{loaded['late']} late, {loaded['invalid']} invalid of {made}"
    said += f", {len(refused)} refused as too short" if refused else ""
    if loaded["used_median"]:
        said += f"; {loaded['used_median']:.0%} of the budget used on the median"
    return (f"{what}, {int(rows):,} test rows" if rows else what), said, ""


def budget_row(deadline: dict, budget: float) -> tuple[str, str, str]:
    """Log loss on ELPV's hidden quarter within a budget, ours and the best peer's."""
    (at,) = [one for one in deadline["at"] if one["rows"] == 656 and one["learn"]]
    (row,) = [one for one in at["table"] if one["budget"] == budget]
    peers = {
        name: one["log_loss"]
        for name, one in row.items()
        if isinstance(one, dict) and name != "ours" and not one.get("late")
    }
    best = min(peers, key=peers.__getitem__)
    return (
        f"ELPV within {budget:g} s, {deadline['members']} members: log loss on the hidden quarter",
        f"{row['ours']['log_loss']:.3f}",
        f"{peers[best]:.3f}, the best of four rules ({best.replace('_', ' ')})",
    )


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
