"""The verbs with verbs of their own: board and kernel. What they do is in harness.cli.kaggle."""

from pathlib import Path
from typing import Annotated

import typer

from harness.cli import kaggle as kaggle_steps
from harness.cli import steps
from harness.cli.verbs import HERE, Root, Verbose, app

__all__ = ["app"]

board_app = typer.Typer(invoke_without_command=True)
app.add_typer(board_app, name="board")


@board_app.callback()
def board(
    context: typer.Context,
    root: Root = HERE,
    csv: Annotated[bool, typer.Option("--csv", help="All of it as CSV.")] = False,
    json: Annotated[bool, typer.Option("--json", help="All of it as JSON.")] = False,
    plot: Annotated[
        Path | None,
        typer.Option("--plot", metavar="FILE", help="Draw CV against public score: .png or .svg."),
    ] = None,
    verbose: Verbose = False,
) -> None:
    """Show the ledger: every submission, what was believed of it and what it scored.

    `board sync` first asks Kaggle for scores, quota and leaderboard.

    Example: `python -m harness board --plot season.png`
    """
    if context.invoked_subcommand is None:
        workspace, display = steps.open_workspace(root)
        kaggle_steps.board(workspace, display, csv=csv, json=json, plot=plot)


@board_app.command()
def sync(root: Root = HERE, verbose: Verbose = False) -> None:
    """Ask Kaggle for the submissions' scores, the quota and the leaderboard, and note them.

    Example: `python -m harness board sync`
    """
    workspace, display = steps.open_workspace(root)
    kaggle_steps.sync(workspace, display)
    display.say(f"next: {steps.command('board', root)}")
