"""The tables that people read: members, methods, submissions."""

from collections.abc import Sequence

from rich.markup import escape
from rich.table import Table

from harness.board.ledger import Entry
from harness.workspace.ensemble import Ensemble


def ensemble_tables(ensemble: Ensemble) -> list[Table]:
    """The members' own scores, and every method's score with its interval."""
    members = Table(title=f"members: out-of-fold {ensemble.metric}", title_justify="left")
    members.add_column("member")
    members.add_column(ensemble.metric, justify="right")
    members.add_column("training s", justify="right")
    members.add_column("used")
    for name, score, seconds in zip(
        ensemble.members, ensemble.member_scores, ensemble.member_seconds, strict=True
    ):
        used = "yes" if name in ensemble.used else ""
        members.add_row(escape(name), f"{score:.4f}", f"{seconds:.0f}", used)

    methods = Table(
        title="methods: nested cross-validation, the chosen one marked", title_justify="left"
    )
    methods.add_column("method")
    methods.add_column(ensemble.metric, justify="right")
    methods.add_column("95 % interval")
    methods.add_column("in sample", justify="right")
    methods.add_column("s", justify="right")
    for score_row in ensemble.scores:
        chosen = score_row.method == ensemble.method
        methods.add_row(
            f"{'→ ' if chosen else ''}{score_row.method}",
            f"{score_row.nested:.4f}",
            f"{score_row.low:.4f} – {score_row.high:.4f}",
            f"{score_row.in_sample:.4f}",
            f"{score_row.seconds:.1f}",
            style="bold" if chosen else None,
        )
    return [members, methods]


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
