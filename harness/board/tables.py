"""The tables that people read: members, methods, submissions."""

from collections.abc import Sequence

from rich.markup import escape
from rich.table import Table

from harness.board.ledger import Entry
from harness.workspace.ensemble import Ensemble


def ensemble_table(ensemble: Ensemble, submission: Entry | None = None) -> Table:
    """Members by their out-of-fold score, methods by their nested score, the chosen one marked.

    With a submission its graded score is the last row.
    """
    metric = ensemble.metric
    table = Table(title=f"{metric}, out of fold", title_justify="left")
    table.add_column("member or method")
    table.add_column(metric, justify="right")
    table.add_column("95 % interval")
    table.add_column("in sample", justify="right")
    table.add_column("seconds", justify="right")
    for name, score, seconds in zip(
        ensemble.members, ensemble.member_scores, ensemble.member_seconds, strict=True
    ):
        unused = "" if name in ensemble.used else " (not used)"
        table.add_row(escape(name) + unused, f"{score:.4f}", "", "", f"{seconds:.0f}")
    table.add_section()
    for row in ensemble.scores:
        chosen = row.method == ensemble.method
        table.add_row(
            f"→ {row.method}" if chosen else row.method,
            f"{row.nested:.4f}",
            f"{row.low:.4f} – {row.high:.4f}",
            f"{row.in_sample:.4f}",
            f"{row.seconds:.1f}",
            style="bold" if chosen else None,
        )
    if submission is not None and submission.local_score is not None:
        table.add_section()
        table.add_row(
            f"graded: {escape(submission.name)}",
            f"{submission.local_score:.4f}",
            "",
            "",
            f"{submission.seconds:.1f}",
            style="bold",
        )
    return table


def ledger_table(entries: Sequence[Entry]) -> Table:
    """Every submission, the oldest first."""
    table = Table(title="submissions", title_justify="left")
    table.add_column("submission", overflow="fold")
    table.add_column("metric")
    table.add_column("nested CV", justify="right")
    table.add_column("95 % interval")
    table.add_column("graded", justify="right")
    table.add_column("rows", justify="right")
    table.add_column("s", justify="right")
    for entry in entries:
        graded = "" if entry.local_score is None else f"{entry.local_score:.4f}"
        table.add_row(
            escape(entry.name),
            entry.metric,
            f"{entry.nested:.4f}",
            f"{entry.low:.4f} – {entry.high:.4f}",
            graded,
            str(entry.rows),
            f"{entry.seconds:.1f}",
        )
    return table
