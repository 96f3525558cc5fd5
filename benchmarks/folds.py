"""Folds against scikit-learn: time, class balance and memory, in one run on one machine.

The harness starts from what its table reader gives: an object array of ids as ``str`` (here with
capitals, the slower kind, because look-alike ids are searched), class codes, and an object array
of groups. scikit-learn starts from class and group codes and does not look at ids. Its time
includes walking through its splits, which is when it assigns.

    python benchmarks/folds.py [--rows 10000000] [--runs 3]
"""

import argparse
import json
import platform
import statistics
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import sklearn
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from harness.fold.assign import FoldRules, assign
from harness.fold.manifest import SortedTable, compare, grow
from harness.workspace.folds import Folds

K = 5
CLASSES = 11
RULES = FoldRules(k=K)
PROBLEMS = 50
RESULT = Path(__file__).parent / "results" / "folds.json"


def main() -> None:
    """Run all, print the ratios, and write them down."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    machine = {
        "machine": platform.processor() or platform.machine(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "scikit-learn": sklearn.__version__,
    }
    print(", ".join(f"{name} {version}" for name, version in machine.items()))
    results = {
        **machine,
        "stratified": stratified(arguments.rows, arguments.runs),
        "grouped": grouped(arguments.rows // 10, arguments.runs),
        "balance": balance(),
        "growth": growth(arguments.rows, arguments.runs),
    }
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(results, indent=2) + "\n")


def stratified(rows: int, runs: int) -> dict[str, Any]:
    """Plain stratified folds; the goal is at most twice scikit-learn's time."""
    ids, target = make_ids(rows), np.random.default_rng(0).integers(0, CLASSES, rows)
    ours = seconds(lambda: assign(ids, target, RULES), runs)
    theirs = seconds(lambda: sklearn_folds(StratifiedKFold(K, shuffle=True), target, None), runs)
    print(
        f"stratified, {rows:,} rows: {show(ours)} against {show(theirs)} s: {ratio(ours, theirs)}"
    )
    return {"rows": rows, "ours_s": ours, "theirs_s": theirs}


def grouped(rows: int, runs: int) -> dict[str, Any]:
    """Five rows a group; the goals are a 20th of scikit-learn's time and 10 tables of memory."""
    draw = np.random.default_rng(0)
    ids, target = make_ids(rows), draw.integers(0, CLASSES, rows)
    codes = draw.integers(0, rows // 5, rows)
    groups = np.array([f"patient_{code}" for code in codes.tolist()], dtype=object)
    ours = seconds(lambda: assign(ids, target, RULES, groups=groups), runs)
    folds = assign(ids, target, RULES, groups=groups).assignment[:, 0]

    tracemalloc.start()
    assign(ids, target, RULES, groups=groups)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    table = sum(map(len, ids)) + sum(map(len, groups)) + 2 * 57 * rows + 3 * 8 * rows

    started = time.perf_counter()  # once: it takes half a minute
    other = sklearn_folds(StratifiedGroupKFold(K, shuffle=True, random_state=0), target, codes)
    theirs = [time.perf_counter() - started]
    result = {
        "rows": rows,
        "ours_s": ours,
        "theirs_s": theirs,
        "our_deviation": deviation(target, folds, K),
        "their_deviation": deviation(target, other, K),
        "memory_by_table": peak / table,
    }
    print(
        f"grouped, {rows:,} rows: {show(ours)} against {show(theirs)} s: {ratio(ours, theirs)}; "
        f"largest class deviation {result['our_deviation']:.2g} against "
        f"{result['their_deviation']:.2g}; memory {result['memory_by_table']:.1f} x the table's"
    )
    return result


def balance() -> dict[str, Any]:
    """The largest relative class deviation over random grouped problems."""
    wins, lost_badly, ratios = 0, 0, []
    for seed in range(PROBLEMS):
        target, codes, k = random_problem(seed)
        groups = [f"g{code}" for code in codes.tolist()]
        plan = assign(make_ids(len(target)), target, FoldRules(k, seed=seed), groups=groups)
        splitter = StratifiedGroupKFold(k, shuffle=True, random_state=seed)
        ours = deviation(target, plan.assignment[:, 0], k)
        theirs = deviation(target, sklearn_folds(splitter, target, codes), k)
        wins += ours <= theirs + 1e-12
        lost_badly += ours > 1.1 * theirs + 1e-12
        ratios.append((ours + 1e-12) / (theirs + 1e-12))
    mean = float(np.exp(np.mean(np.log(ratios))))
    print(
        f"balance of groups over {PROBLEMS} problems: as good or better in {wins}, worse by more "
        f"than 10 % in {lost_badly}; geometric mean of the ratio {mean:.2f}"
    )
    return {"problems": PROBLEMS, "wins": wins, "worse_by_a_tenth": lost_badly, "ratio": mean}


def growth(rows: int, runs: int) -> dict[str, Any]:
    """A tenth of the rows is new; the goal is a time per row that hardly rises with the table."""
    result: dict[str, Any] = {}
    for size in (rows // 100, rows):
        ids, target = make_ids(size), np.random.default_rng(0).integers(0, CLASSES, size)
        old = np.flatnonzero(np.arange(size) % 10)
        record = Folds(ids[old], assign(ids[old], target[old], RULES).assignment, K, 0, 1)
        table = SortedTable(ids, target, None, None, None)

        def once(record: Folds = record, table: SortedTable = table) -> None:
            grow(record, compare(record, table), table, RULES)

        result[str(size)] = [s / size * 1e9 for s in seconds(once, runs if size == rows else 9)]
    small, large = map(statistics.median, result.values())
    print(
        f"growth, ns a row: {small:.0f} of {rows // 100:,} rows, {large:.0f} of {rows:,}: "
        f"{large / small:.2f} x"
    )
    return {"ns_a_row": result}


def random_problem(seed: int) -> tuple[np.ndarray, np.ndarray, int]:
    """Classes and groups (rows,) of uneven sizes, pure or mixed, and a number of folds."""
    draw = np.random.default_rng(seed)
    rows, k, classes = draw.integers(200, 5000), draw.integers(3, 11), draw.integers(2, 13)
    count = draw.integers(max(4 * k, rows // 20), rows // 2 + 4 * k + 1)
    size = draw.lognormal(0, draw.uniform(0, 1.2), count)
    groups = draw.choice(count, rows, p=size / size.sum())
    share = draw.dirichlet(np.full(classes, draw.uniform(0.5, 5)))
    purity = draw.choice([0.3, 3, 100])
    classes_of_group = draw.dirichlet(share * purity * classes + 1e-3, count)
    target = np.array([draw.choice(classes, p=classes_of_group[group]) for group in groups])
    kept = np.isin(target, np.flatnonzero(np.bincount(target) >= k))
    return np.unique(target[kept], return_inverse=True)[1], groups[kept], int(k)


def deviation(target: np.ndarray, folds: np.ndarray, k: int) -> float:
    """The largest |rows - even share| / even share over classes and folds."""
    counts = np.bincount(target * k + folds, minlength=(target.max() + 1) * k).reshape(-1, k)
    share = counts.mean(axis=1, keepdims=True)
    return float((np.abs(counts - share) / share).max())


def sklearn_folds(splitter: Any, target: np.ndarray, groups: np.ndarray | None) -> np.ndarray:
    """The fold of every row."""
    folds = np.empty(len(target), np.int16)
    for fold, (_, test) in enumerate(splitter.split(target, target, groups)):
        folds[test] = fold
    return folds


def make_ids(rows: int) -> np.ndarray:
    return np.array([f"IMG_{row:08d}" for row in range(rows)], dtype=object)


def seconds(run: Callable[[], Any], runs: int) -> list[float]:
    times = []
    for _ in range(runs):
        started = time.perf_counter()
        run()
        times.append(time.perf_counter() - started)
    return times


def show(times: list[float]) -> str:
    return f"{statistics.median(times):.2f} ({min(times):.2f}-{max(times):.2f})"


def ratio(ours: list[float], theirs: list[float]) -> str:
    ours_median, theirs_median = statistics.median(ours), statistics.median(theirs)
    return f"{ours_median / theirs_median:.2f} x the time"


if __name__ == "__main__":
    main()
