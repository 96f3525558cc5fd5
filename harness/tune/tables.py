"""What people read of a search: its trials, what mattered, what the winner is worth. Pure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from rich import box
from rich.markup import escape
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


def trial_table(rows: Sequence[Row], metric: Metric, title: str, score: str) -> Table:
    """The rows, each with its settings; ``score`` is the heading of what they were chosen by."""
    table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left")
    table.add_column("trial", justify="right")
    table.add_column(score, justify="right")
    table.add_column("folds", justify="right")
    table.add_column("s", justify="right")
    table.add_column("", overflow="fold")
    table.add_column("settings", overflow="fold")
    for row in rows:
        table.add_row(
            str(row.number),
            "" if math.isnan(row.loss) else f"{score_of(row.loss, metric):.4f}",
            f"{row.folds:g}",
            f"{row.seconds:.0f}",
            escape(row.why or row.state),
            escape(", ".join(f"{name} = {plain(value)}" for name, value in row.values.items())),
        )
    return table


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
    table = Table(title="what mattered", box=box.SIMPLE_HEAD, title_justify="left")
    table.add_column("setting", overflow="fold")
    table.add_column("share", justify="right")
    table.add_column("")
    for name, share in importances.items():
        table.add_row(name, f"{share:.2f}", "█" * round(20 * share))
    return table


def slice_table(axes: Axes, rows: Sequence[Row], metric: Metric) -> Table:
    """Each setting by its values, or parts of their range: how the trials there did."""
    table = Table(title="slices", box=box.SIMPLE_HEAD, title_justify="left")
    for name, justify in (
        ("setting", "left"),
        ("values", "left"),
        ("trials", "right"),
        ("best", "right"),
        ("median", "right"),
    ):
        table.add_column(name, justify=justify, overflow="fold")  # type: ignore[arg-type]
    for name in axes:
        for label, losses in slices(name, axes, rows):
            table.add_row(
                name,
                escape(label),
                str(len(losses)),
                *(
                    f"{score_of(loss, metric):.4f}" if math.isfinite(loss) else "–"
                    for loss in (min(losses), float(np.median(losses)))
                ),
            )
        table.add_section()
    return table


def slices(name: str, axes: Axes, rows: Sequence[Row]) -> list[tuple[str, list[float]]]:
    """(values, losses of the trials that had them) of one setting, in order.

    A loss halfway through a training says nothing of its end, but that it was poor: infinity.
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
            f"{plain(known[part[0]][0])} – {plain(known[part[-1]][0])}",
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
        f"On {verdict.rows} rows that chose nothing, {over}: winner {_interval(verdict.winner)}, "
        f"default {_interval(verdict.default)}.",
        f"The winner gains {verdict.gain.value:+.4f} "
        f"({verdict.gain.low:+.4f} – {verdict.gain.high:+.4f}, 95 %; positive is better): "
        + (
            "more than chance explains."
            if verdict.distinguishable
            else "it cannot be told from the default."
        ),
    ]
    if math.isnan(verdict.seed_noise):
        lines.append("What chance does between two trainings was not measured.")
    else:
        lines.append(
            f"Two trainings that differ only in their seed differ by {verdict.seed_noise:.4f} "
            "(standard deviation)."
        )
    return lines


def score_of(loss: float, metric: Metric) -> float:
    """A loss in the metric's own direction."""
    return -loss if metric.greater_is_better else loss


def plain(value: Any) -> str:
    """A setting's value as people write it."""
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(list(value)) if isinstance(value, tuple) else str(value)


def _interval(estimate: Any) -> str:
    return f"{estimate.value:.4f} ({estimate.low:.4f} – {estimate.high:.4f})"
