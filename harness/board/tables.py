"""The tables that people read: members, methods, submissions."""

import math
from collections.abc import Sequence

from rich import box
from rich.table import Table

from harness.board.season import Row
from harness.estimate import Estimate
from harness.workspace.ensemble import Ensemble, Score
from harness.workspace.ledger import Entry

WIDE = 80
"""Characters of width from which tables are shown in full."""
VERY_WIDE = 100
"""The same for the table with the most columns."""
MOST = 6
"""Rows of a table that is to leave room for others on a screen, and one that counts the rest."""


def member_table(ensemble: Ensemble, *, everything: bool = True) -> Table:
    """Members by their own out-of-fold score, and whether the ensemble uses them.

    Without ``everything`` those that it uses come first and the rest is counted.
    """
    table = _table(f"members: {ensemble.metric}, out of fold")
    table.add_column("member", overflow="fold")
    table.add_column(ensemble.metric, justify="right", overflow="fold", min_width=8)
    table.add_column("training s", justify="right")
    table.add_column("")
    rows = list(zip(ensemble.members, ensemble.member_scores, ensemble.member_seconds, strict=True))
    shown = rows if everything else [rows[i] for i in _first([r[0] in ensemble.used for r in rows])]
    for name, score, seconds in shown:
        known = "" if math.isnan(seconds) else f"{seconds:.0f}"
        unused = "" if name in ensemble.used else "not used"
        table.add_row(name, f"{score:.4f}", known, unused)
    _count_rest(table, len(rows) - len(shown))
    return table


def method_table(
    ensemble: Ensemble, width: int, submission: Entry | None = None, *, everything: bool = True
) -> Table:
    """Methods by their nested score, the chosen one marked, then what to believe of the choice.

    With a submission its graded score is the last row, beside the interval that was expected.
    ``width`` is in characters: narrow tables do without the seconds. Without ``everything`` the
    chosen method comes first and the rest is counted.
    """
    metric, with_seconds = ensemble.metric, width >= WIDE
    table = _table(f"methods: {metric} on rows that nothing was fitted on")
    table.add_column("method", overflow="fold")
    table.add_column(metric, justify="right", overflow="fold", min_width=8)
    table.add_column("95 % interval", no_wrap=True)
    table.add_column("in sample", justify="right")
    if with_seconds:
        table.add_column("s", justify="right")
    rows = ensemble.scores
    if not everything:
        rows = tuple(rows[i] for i in _first([row.method == ensemble.method for row in rows]))
    for row in rows:
        cells = [_marked(row, ensemble), f"{row.nested:.4f}", _range(row.low, row.high)]
        cells += [f"{row.in_sample:.4f}", f"{row.seconds:.1f}"][: 1 + with_seconds]
        table.add_row(*cells, style="bold" if row.method == ensemble.method else None)
    _count_rest(table, len(ensemble.scores) - len(rows))
    table.add_section()
    table.add_row(
        "chosen, with the choice itself nested",
        f"{ensemble.nested:.4f}",
        _range(ensemble.low, ensemble.high),
        style="bold",
    )
    if submission is not None and submission.local_score is not None:
        expected = submission.expected
        place = f": {submission.place}" if submission.place else ""
        table.add_row(
            f"graded on {submission.rows} new rows{place}",
            f"{submission.local_score:.4f}",
            _range(*expected) if expected else "",
            style="bold",
        )
    return table


def difference_table(ensemble: Ensemble, width: int) -> Table:
    """Each method against the mean and the best single member, with 95 % intervals.

    ``width`` is in characters: narrow tables show the intervals only.
    """
    table = _table("gained, with 95 % intervals: positive is better")
    table.add_column("method", overflow="fold")
    table.add_column("over the mean", justify="right", no_wrap=True)
    table.add_column("over the best member", justify="right", no_wrap=True)
    for row in ensemble.scores:
        table.add_row(
            _marked(row, ensemble),
            _gain(row.over_mean, width),
            _gain(row.over_best, width),
            style="bold" if row.method == ensemble.method else None,
        )
    return table


def ensemble_notes(ensemble: Ensemble) -> tuple[str, ...]:
    """Return what the table leaves to be said: why this method, the decision, the members'
    diversity, the worth of fold models."""
    said = (ensemble.reason, ensemble.decision.sentence(ensemble.targets))
    return (*filter(None, said), *ensemble.diversity, *ensemble.fold_models)


def ledger_table(entries: Sequence[Entry], width: int) -> Table:
    """Every submission, the oldest first: what was believed of it, and what it scored.

    ``width`` is in characters: narrow tables do without metric, rows and seconds.
    """
    wide = width >= WIDE
    table = _table("submissions")
    table.add_column("submission", overflow="fold")
    if wide:
        table.add_column("metric", overflow="fold")
    table.add_column("nested", justify="right", no_wrap=True)
    table.add_column("95 % interval", no_wrap=True)
    table.add_column("graded", justify="right", no_wrap=True)
    if wide:
        table.add_column("rows", justify="right")
        table.add_column("s", justify="right", no_wrap=True)
    for entry in entries:
        cells = [entry.name, *[entry.metric][:wide], f"{entry.nested:.4f}"]
        cells += [_range(entry.low, entry.high)]
        cells += ["" if entry.local_score is None else f"{entry.local_score:.4f}"]
        table.add_row(*cells, *[str(entry.rows), f"{entry.seconds:.1f}"][: 2 * wide])
    return table


def season_table(rows: Sequence[Row], width: int) -> Table:
    """Every submission with what Kaggle made of it, the oldest first.

    ``width`` is in characters: narrow tables do without intervals, private scores and seconds.
    """
    wide = width >= VERY_WIDE
    table = _table("submissions at Kaggle")
    table.add_column("submission", overflow="fold")
    table.add_column("nested", justify="right", no_wrap=True)
    if wide:
        table.add_column("95 % interval", no_wrap=True)
    table.add_column("public", justify="right", no_wrap=True)
    if wide:
        table.add_column("private", justify="right", no_wrap=True)
    table.add_column("rank", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    if wide:
        table.add_column("s of budget", justify="right", no_wrap=True)
    for row in rows:
        interval = ""
        if row.low is not None and row.high is not None:
            interval = _range(row.low, row.high)
        cells = [row.name, _figure(row.nested), *[interval][:wide]]
        cells += [_figure(row.public_score), *[_figure(row.private_score)][:wide]]
        cells += [str(row.rank or ""), row.medal or _state(row)]
        table.add_row(*cells, *[_seconds(row)][:wide])
    return table


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))


def _first(wanted: Sequence[bool]) -> list[int]:
    """Return the places of ``MOST`` rows, wanted ones first; of all rows if there is one more."""
    order = sorted(range(len(wanted)), key=lambda place: not wanted[place])
    return sorted(order if len(order) <= MOST + 1 else order[:MOST])


def _count_rest(table: Table, count: int) -> None:
    if count:
        table.add_row(f"… {count} more")


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _state(row: Row) -> str:
    """What there is to say of a submission without a medal."""
    if row.status is None:
        return "not sent"
    return "" if row.status == "complete" else row.status


def _seconds(row: Row) -> str:
    if row.seconds is None:
        return ""
    limit = "" if row.budget_seconds is None else f" of {row.budget_seconds:g}"
    return f"{row.seconds:.1f}{limit}"


def _range(low: float, high: float) -> str:
    return f"{low:.4f} – {high:.4f}"


def _marked(score: Score, ensemble: Ensemble) -> str:
    return f"→ {score.method}" if score.method == ensemble.method else score.method


def _gain(gain: Estimate, width: int) -> str:
    if gain.low == gain.high == 0:  # the same method
        return ""
    interval = f"{gain.low:+.4f} to {gain.high:+.4f}"
    return f"{gain.value:+.4f} ({interval})" if width >= WIDE else interval
