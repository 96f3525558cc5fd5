"""The verbs with verbs of their own: board and kernel. What they do is in harness.cli.kaggle."""

from pathlib import Path
from typing import Annotated

import typer

from harness.cli import kaggle as kaggle_steps
from harness.cli import kernel as kernel_steps
from harness.cli import steps
from harness.cli.verbs.common import HERE, Root, Verbose, app

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


kernel_app = typer.Typer(help="Pack the ensemble for a code competition; push it to Kaggle.")
app.add_typer(kernel_app, name="kernel")


@kernel_app.command()
def build(
    root: Root = HERE,
    budget: Annotated[
        str | None,
        typer.Option("--budget", metavar="SPAN", help="The notebook's time limit: 9h, 120m."),
    ] = None,
    rows: Annotated[
        int | None,
        typer.Option("--rows", min=1, help="Test rows of the rehearsal, as for rehearse."),
    ] = None,
    python: Annotated[
        str | None,
        typer.Option("--python", metavar="3.N", help="Kaggle's Python; this one's if not said."),
    ] = None,
    gpu: Annotated[bool, typer.Option("--gpu", help="Ask for a GPU.")] = False,
    rehearse: Annotated[
        bool, typer.Option("--rehearse/--no-rehearse", help="Run it as Kaggle will: PASS or FAIL.")
    ] = True,
    verbose: Verbose = False,
) -> None:
    """Write kernel/: a notebook and the data set that it needs offline; then rehearse it.

    Example: `python -m harness kernel build --budget 9h --rows 15000`
    """
    workspace, display = steps.open_workspace(root)
    code = kernel_steps.build(
        workspace, display, budget=budget, rows=rows, python=python, gpu=gpu, rehearse=rehearse
    )
    if code == 0:
        display.say(f"next: {steps.command('kernel push', root)}")
    raise typer.Exit(code)


@kernel_app.command()
def push(root: Root = HERE, verbose: Verbose = False) -> None:
    """Upload the data set, then the notebook, whose run begins at once.

    Example: `python -m harness kernel push`
    """
    workspace, display = steps.open_workspace(root)
    kernel_steps.push(workspace, display)
    display.say(f"next: {steps.command('kernel status', root)}")


@kernel_app.command()
def status(
    root: Root = HERE,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until its run has ended.")] = False,
    verbose: Verbose = False,
) -> None:
    """Say how the kernel's latest run is doing.

    Example: `python -m harness kernel status --wait`
    """
    workspace, display = steps.open_workspace(root)
    kernel_steps.status(workspace, display, wait=wait)
    display.say(f"next: {steps.command('submit --kernel', root)}")


@kernel_app.command()
def output(root: Root = HERE, verbose: Verbose = False) -> None:
    """Fetch what the kernel's latest run wrote, and its log, into kernel/output.

    Example: `python -m harness kernel output`
    """
    workspace, display = steps.open_workspace(root)
    kernel_steps.output(workspace, display)
