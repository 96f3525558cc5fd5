"""Small training tables for property tests: every task, grouped or not, rare classes included."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from hypothesis import strategies as st

from harness.fold.assign import FoldRules, assign


@dataclass(frozen=True)
class Problem:
    ids: np.ndarray
    target: np.ndarray
    groups: np.ndarray | None
    rules: FoldRules

    def assign(self, **options: Any) -> np.ndarray:
        return assign(self.ids, self.target, self.rules, groups=self.groups, **options).assignment

    def rows(self, rows: np.ndarray) -> "Problem":
        """The same problem of some rows, or of all in another order."""
        groups = None if self.groups is None else self.groups[rows]
        return replace(self, ids=self.ids[rows], target=self.target[rows], groups=groups)


@st.composite
def problems(draw: st.DrawFn, *, tasks: str = "cmr", grouped: bool | None = None) -> Problem:
    """Tasks are (c)lasses, (m)ultilabel and (r)egression."""
    rows = draw(st.integers(16, 60))
    task = draw(st.sampled_from(tasks))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    if task == "c":
        target = random.choice(6, rows, p=[0.4, 0.3, 0.15, 0.1, 0.03, 0.02])
    elif task == "m":
        target = (random.random((rows, 4)) < [0.5, 0.3, 0.2, 0.05]).astype(np.int8)
    else:
        target = np.round(random.lognormal(size=rows), draw(st.integers(0, 3)))
    groups = None
    if grouped or (grouped is None and draw(st.booleans())):
        of_row = random.integers(0, max(12, rows // 3), rows)
        of_row[:12] = np.arange(12)
        groups = np.array([f"g{code}" for code in of_row], dtype=object)
    rules = FoldRules(
        k=draw(st.integers(2, 5)),
        repeats=draw(st.integers(1, 2)),
        holdout=draw(st.sampled_from([0.0, 0.0, 0.15])),
        seed=draw(st.integers(0, 5)),
        rare="spread",
    )
    ids = np.array([f"image {row * row}" for row in range(rows)], dtype=object)
    return Problem(ids, target, groups, rules)
