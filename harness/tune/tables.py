"""What people read of a search: its trials, what mattered, what the winner is worth. Pure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from rich import box
from rich.table import Table

from harness.metrics import Metric
from harness.space import Values
from harness.tune.judge import Verdict
from harness.tune.spaces import Axes

SLICES = 4
"""Into how many parts the values of a numeric setting are cut to be shown."""


@dataclass(frozen=True)
class Row:
    """A trial as people see it; ``loss`` is on its first ``folds`` folds, NaN if there is none.

    Half a fold is the first one after half of its epochs.
    """

    number: int
    run: str
    state: str
    values: Values
    loss: float
    folds: float
    seconds: float
    why: str


def trial_table(rows: Sequence[Row], metric: Metric, title: str) -> Table:
    """The rows, each with its settings and its score where trials are chosen."""
    table = _narrow(title)
    table.add_column("trial", justify="right")
    table.add_column(metric.name, justify="right", overflow="fold", min_width=8)
    table.add_column("folds", justify="right")
    table.add_column("s", justify="right")
    table.add_column("state", overflow="fold", max_width=16)
    table.add_column("settings", overflow="fold")
    for row in rows:
        table.add_row(
            str(row.number),
            "" if math.isnan(row.loss) else f"{score_of(row.loss, metric):.4f}",
            f"{row.folds:g}",
            f"{row.seconds:.0f}",
            row.why or row.state,
            in_words(row.values),
        )
    return table


def in_words(values: Values) -> str:
    """Settings on a line that may only be broken between them."""
    return " ".join(f"{name}={plain(value)}" for name, value in values.items())


def best_rows(rows: Sequence[Row], count: int) -> list[Row]:
    """The best complete ones, best first, each run once."""
    found: dict[str, Row] = {}
    for row in sorted(rows, key=lambda row: (row.loss, row.number)):
        if row.state == "complete":
            found.setdefault(row.run, row)
    return list(found.values())[:count]


def latest_rows(rows: Sequence[Row], count: int) -> list[Row]:
    """What is going on: the best few, then the latest."""
    best = best_rows(rows, 3)
    return best + [row for row in rows if row not in best][-count:]


def importance_table(importances: Mapping[str, float]) -> Table:
    """How much of the differences between trials each setting explains."""
    table = _narrow("what mattered")
    table.add_column("setting", overflow="fold")
    table.add_column("share", justify="right")
    table.add_column("")
    for name, share in importances.items():
        table.add_row(name, f"{share:.2f}", "█" * round(20 * share))
    return table


def slice_table(axes: Axes, rows: Sequence[Row], metric: Metric) -> Table:
    """Each setting by its values, or parts of their range: how the trials there did."""
    table = _narrow("slices")
    for name in ("setting", "values"):
        table.add_column(name, overflow="fold")
    for name in ("trials", "halfway", "best", "median"):
        table.add_column(name, justify="right")
    for name in axes:
        first = name
        for label, losses in slices(name, axes, rows):
            found = [loss for loss in losses if math.isfinite(loss)]
            best, median = (min(found), float(np.median(found))) if found else (None, None)
            table.add_row(
                first,
                label,
                str(len(losses)),
                str(len(losses) - len(found) or ""),
                *("" if one is None else f"{score_of(one, metric):.4f}" for one in (best, median)),
            )
            first = ""
        table.add_section()
    return table


def slices(name: str, axes: Axes, rows: Sequence[Row]) -> list[tuple[str, list[float]]]:
    """(values, losses of the trials that had them) of one setting, in order.

    A loss halfway through a training cannot be held against that of a whole one: it is infinity.
    """
    known = [
        (row.values[name], row.loss if row.folds >= 1 else math.inf)
        for row in rows
        if name in row.values and math.isfinite(row.loss)
    ]
    distinct = list(dict.fromkeys(value for value, _ in known))
    if not axes[name].numeric or len(distinct) <= SLICES:
        ordered = sorted(distinct) if axes[name].numeric else distinct
        return [(plain(v), [loss for value, loss in known if value == v]) for v in ordered]
    known.sort()
    parts = np.array_split(np.arange(len(known)), SLICES)
    return [
        (
            " – ".join(dict.fromkeys(plain(known[part[i]][0]) for i in (0, -1))),
            [known[i][1] for i in part],
        )
        for part in parts
    ]


def verdict_lines(
    verdict: Verdict, metric: Metric, trials: int, naive: float, same: bool
) -> list[str]:
    """What to believe of the winner, in sentences; ``naive`` is its loss where it was chosen."""
    name = metric.name
    lines = [
        f"The best of {trials} trials has {name} {score_of(naive, metric):.4f} where it was "
        "chosen, which flatters: it was picked for its luck, too.",
    ]
    if same:
        return [*lines, "It is the default: nothing that was tried is better."]
    over = f"over {verdict.seeds} trainings each" if verdict.seeds > 1 else "of one training each"
    lines += [
        f"On {verdict.rows} rows that chose nothing, {over}: it has {_interval(verdict.winner)}, "
        f"the default {_interval(verdict.default)}.",
        f"It gains {gain_of(verdict)}: {_recommended(verdict)}",
    ]
    if verdict.seed_noise > 0:
        lines.append(
            f"Two trainings that differ only in their seed differ by {verdict.seed_noise:.4f} "
            "(standard deviation)."
        )
    return lines


def gain_of(verdict: Verdict) -> str:
    """The gain with its interval."""
    gain = verdict.gain
    return f"{gain.value:+.4f} ({gain.low:+.4f} – {gain.high:+.4f}, 95 %; positive is better)"


def _recommended(verdict: Verdict) -> str:
    if verdict.supported:
        return "more than chance explains. `tune --apply` writes it into competition.toml."
    if verdict.gain.high < 0:
        return "it is worse. Keep the default."
    if math.isnan(verdict.seed_noise):
        return "how much two trainings differ by chance is not known. Set [tune] seeds = 2 or more."
    return "it cannot be told from the default. Keep the default."


def score_of(loss: float, metric: Metric) -> float:
    """A loss in the metric's own direction."""
    return -loss if metric.greater_is_better else loss


def plain(value: Any) -> str:
    """A setting's value as people write it."""
    if isinstance(value, float):
        return f"{value:.3g}"
    return f"[{','.join(map(plain, value))}]" if isinstance(value, tuple) else str(value)


def _narrow(title: str) -> Table:
    return Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))


def _interval(estimate: Any) -> str:
    return f"{estimate.value:.4f} ({estimate.low:.4f} – {estimate.high:.4f})"
