"""What a deadline costs: log loss against seconds, ours and four other ways to choose.

A pool of frozen EfficientNet-Lite members (benchmarks/deadline_pool.py makes and keeps it) on ELPV
with a hidden quarter as the test set. For each budget every rule chooses from OOF predictions and
measured seconds alone; its choice is scored on the hidden rows. "autogluon" may be late: where
nothing fits it goes on with the fastest, and is then charged with the prior's loss.

    python benchmarks/deadline.py [--rows 656,15000]

Twice: with convex blends only, which is what the peers have and so shows the choosing alone, and
with blends that logistic regression may learn. ``rows`` rescales the budgets and seconds to other
numbers of test images; the loss is always that of the 656 hidden ones.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np
from deadline_pool import FOLDS, Pool, load_pool

from harness.metrics import get_metric
from harness.predict.plan import Costs, blend
from harness.stack.priced import Cascade, Purchase
from harness.stack.problem import Problem
from harness.stack.scored import Judge
from harness.stack.select import Selection

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "stack"))

from peers import Choice, Peers

RESULT = Path(__file__).parent / "results" / "deadline.json"
BUDGETS = (3, 3.5, 4, 4.5, 5, 6, 7, 8, 10, 12, 15, 20, 25, 30, 40, 50, 60, 80, 120, np.inf)
WRITE_SECONDS = 0.05
HIDDEN_KEYS = ("table", "rows", "singles")


def selection(pool: Pool, rows: int, *, learn: bool = True) -> Selection:
    costs = pool.costs
    columns = {f"{b}-{s} in {views}": values for (b, s, views), values in pool.oof.items()}
    purchases = []
    for backbone, size in dict.fromkeys((b, s) for b, s, _ in pool.oof):
        member = f"{backbone}-{size}"
        purchases.append(
            Purchase(
                member=member,
                engine="torch bf16",
                size=size,
                models=FOLDS,
                shared=True,
                load_seconds=costs["load_seconds"][member],
                image_seconds=costs["image_seconds"][member],
                columns={
                    v: f"{member} in {v}" for b, s, v in pool.oof if (b, s) == (backbone, size)
                },
            )
        )
    problem = Problem(
        names=tuple(columns),
        predictions=np.stack(list(columns.values())),
        truth=pool.truth,
        folds=pool.folds,
        task="multiclass",
        metric=get_metric("log_loss"),
    )
    read = min(costs["decode_seconds"].values())  # at the images' own size: nothing to resize
    decode = tuple((int(size), s - read) for size, s in costs["decode_seconds"].items())
    whole = Costs(costs["base_seconds"], WRITE_SECONDS, decode, read)
    return Selection(problem, purchases, whole, rows, learn=learn)


class Hidden:
    """The hidden rows: losses of plans and of choices, row by row."""

    def __init__(self, pool: Pool, chosen_from: Selection) -> None:
        by_name = {f"{b}-{s} in {v}": values for (b, s, v), values in pool.test.items()}
        self.selection = chosen_from
        self.predictions = np.stack([by_name[name] for name in chosen_from.problem.names])
        self.truth, self.prior = pool.test_truth, chosen_from.nested.prior

    def of_plan(self, cascade: Cascade) -> np.ndarray:
        return self._losses(self.selection.applied(cascade, self.predictions))

    def of_choice(self, choice: Choice, budget: float) -> np.ndarray:
        if not choice.options or choice.seconds > budget:
            return self._losses(np.tile(self.prior, (len(self.truth), 1)))
        weights = np.array(choice.weights)
        return self._losses(blend(weights, self.predictions[list(choice.options)], "classes"))

    def _losses(self, predictions: np.ndarray) -> np.ndarray:
        return -np.log(predictions[np.arange(len(self.truth)), self.truth])


def compare(pool: Pool, rows: int, *, learn: bool) -> dict:
    started = time.perf_counter()
    ours = selection(pool, rows, learn=learn)
    chose_in = time.perf_counter() - started
    hidden, peers = Hidden(pool, ours), Peers(ours)
    scale = max(1.0, rows / len(pool.test_truth))
    base = ours.costs.base
    budgets = [base + (b - base) * scale if b > base else b for b in BUDGETS]
    cascades = [ours.cascade(budget) for budget in budgets]
    scores, _ = Judge(ours).scores(cascades)
    table = []
    for budget, cascade, believed in zip(budgets, cascades, scores, strict=True):
        our_losses = hidden.of_plan(cascade)
        record: dict = {
            "budget": _number(budget),
            "ours": {
                "log_loss": round(float(our_losses.mean()), 4),
                "seconds": round(cascade.seconds, 2),
                "nested": round(believed.score, 4),
                "error": round(believed.error, 4),
                "stages": [
                    [ours.options[i].name, round(share, 3)]
                    for i, share, _ in cascade.stages
                    if share
                ],
            },
        }
        behind = []
        for name, rule in peers.rules.items():
            choice = rule(budget)
            losses = hidden.of_choice(choice, budget)
            behind.append((our_losses - losses, name))
            record[name] = {
                "log_loss": round(float(losses.mean()), 4),
                "seconds": round(choice.seconds, 2),
                "options": [peers.options[i].name for i in choice.options],
            }
            if choice.seconds > budget:
                record[name]["late"] = True
        difference, best = max(behind, key=lambda one: one[0].mean())
        error = float(difference.std(ddof=1) / np.sqrt(len(difference)))
        record["best_peer"] = best
        record["behind_best_peer"] = round(float(difference.mean()), 4)
        record["error_of_difference"] = round(error, 4)
        table.append(record)
    worse = [r for r in table if r["behind_best_peer"] > r["error_of_difference"]]
    return {
        "rows": rows,
        "learn": learn,
        "seconds_to_choose": round(chose_in, 2),
        "table": table,
        "budgets_where_worse_beyond_one_error": [r["budget"] for r in worse],
        "mean_behind_best_peer": round(float(np.mean([r["behind_best_peer"] for r in table])), 4),
        **shares_needed(ours, hidden, peers),
    }


def shares_needed(ours: Selection, hidden: Hidden, peers: Peers) -> dict:
    """Seconds until the frontier has a goal's loss on the hidden rows, as a share of the goal's.

    ``unlimited_weighted`` is the best convex blend of all members (within 0.5 %), for all images;
    ``own_unlimited`` our own plan without a limit (within 0.5 %); ``best_single`` the member with
    the best OOF score; ``singles`` the median over all members. ``lasting`` is the share from
    which on no dearer plan of the frontier is worse than the goal.
    """
    losses = np.array([hidden.of_plan(one).mean() for one in ours.frontier])
    seconds = np.array([one.seconds for one in ours.frontier])

    def needed(target: float, whole: float) -> dict:
        enough = losses <= target
        if not enough.any():
            return {"log_loss": round(target, 4), "seconds": round(whole, 2)}
        first = int(enough.argmax())
        lasting = len(enough) - int((~enough[::-1]).argmax()) if not enough.all() else 0
        found = {"log_loss": round(target, 4), "seconds": round(whole, 2)}
        found["share"] = round(float(seconds[first] / whole), 3)
        if lasting < len(enough):
            found["lasting_share"] = round(float(seconds[lasting] / whole), 3)
        return found

    def alone(options: tuple[int, ...], weights: tuple[float, ...], tolerance: float) -> dict:
        loss = float(hidden.of_choice(Choice(options, weights, 0, 0), np.inf).mean())
        return needed(loss * tolerance, peers.prices.of_all(options))

    fitted = ours.nested.whole.fit(range(len(peers.options)))[1]
    everyone = tuple(int(i) for i in np.flatnonzero(fitted > 1e-6))
    best = peers.best_single(np.inf).options
    singles = {option.name: alone((i,), (1.0,), 1.0) for i, option in enumerate(peers.options)}
    return {
        "unlimited_weighted": alone(everyone, tuple(fitted[list(everyone)]), 1.005),
        "own_unlimited": needed(float(losses[-1]) * 1.005, float(seconds[-1])),
        "best_single": {"option": peers.options[best[0]].name, **alone(best, (1.0,), 1.0)},
        "singles": singles,
        "singles_median_share": float(
            np.median([s.get("share", np.inf) for s in singles.values()])
        ),
    }


def _number(budget: float) -> float | str:
    return "unlimited" if np.isinf(budget) else round(budget, 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", default="656,15000")
    parser.add_argument("--result", type=Path, default=RESULT)
    options = parser.parse_args()
    pool = load_pool()
    summary = {
        "members": len({(b, s) for b, s, _ in pool.oof}),
        "options": len(pool.oof),
        "costs": pool.costs,
        "at": [
            compare(pool, int(rows), learn=learn)
            for rows in options.rows.split(",")
            for learn in (False, True)
        ],
    }
    for at in summary["at"]:
        blends = "learnt blends" if at["learn"] else "convex blends only"
        print(f"\n{at['rows']} rows, {blends}, chosen in {at['seconds_to_choose']} s")
        names = ("ours", "best_single", "mean_of_fastest", "autogluon", "static_cost")
        print("budget".rjust(10), *(name.rjust(22) for name in names))
        for row in at["table"]:
            cells = [f"{row[n]['log_loss']:.4f} ({row[n]['seconds']:.1f} s)" for n in names]
            print(str(row["budget"]).rjust(10), *(cell.rjust(22) for cell in cells))
        print(json.dumps({k: v for k, v in at.items() if k not in HIDDEN_KEYS}, indent=1))
    options.result.parent.mkdir(exist_ok=True)
    options.result.write_text(json.dumps(summary, indent=1) + "\n")


if __name__ == "__main__":
    main()
