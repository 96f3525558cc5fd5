"""The verbs that fit: members, their settings, and what combines them."""

from pathlib import Path
from typing import Annotated

import typer

from harness.cli import steps
from harness.cli.verbs.common import HERE, Root, Verbose, app


@app.command()
def train(
    root: Root = HERE,
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="NAME", help="Train this model only.")
    ] = None,
    retrain: Annotated[
        list[str] | None,
        typer.Option("--retrain", metavar="NAME", help="Train this run again, then replace it."),
    ] = None,
    folds: Annotated[
        list[int] | None,
        typer.Option("--fold", metavar="N", help="Train this fold only; the first is 0."),
    ] = None,
    hours: Annotated[
        float | None,
        typer.Option(
            "--hours", min=0, help="Stop in time; what promises most for its time comes first."
        ),
    ] = None,
    source: Annotated[
        Path | None,
        typer.Option("--from", metavar="RUN.JSON", help="Repeat the run that this file records."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would run, how long, and its room.")
    ] = False,
    jobs: Annotated[
        int | None,
        typer.Option("--jobs", min=1, help="Processes that share the work; default one a GPU."),
    ] = None,
    verbose: Verbose = False,
) -> None:
    """Train every model on every fold and keep the out-of-fold predictions.

    What is done is skipped and what was interrupted goes on from its checkpoint, so the same
    command finishes what a crash or Ctrl-C cut short. It may run several times at once.

    Example: `python -m harness train --only lite0`, `python -m harness train --hours 8`
    """
    from harness.cli import training
    from harness.train.jobs import Wish

    workspace, display = steps.open_workspace(root)
    wish = Wish(
        only or (), retrain or (), folds or (), None if hours is None else 3600 * hours, source
    )
    if dry_run:
        training.show_plan(workspace, display, wish)
        return
    if not training.train(workspace, display, wish, jobs):
        raise typer.Exit(3)
    display.say(f"next: {steps.command('stack', root)}")


@app.command()
def tune(
    root: Root = HERE,
    method: Annotated[
        str | None,
        typer.Option("--method", help="grid, zoom, random, bayes or evolution."),
    ] = None,
    trials: Annotated[
        int | None, typer.Option("--trials", min=1, help="Trials in all, with those there are.")
    ] = None,
    hours: Annotated[
        float | None, typer.Option("--hours", min=0, help="Stop in time, and go on another day.")
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", metavar="NAME", help="The model whose settings.")
    ] = None,
    keep: Annotated[
        int | None,
        typer.Option("--keep", min=1, help="Train so many of the best on all folds: new members."),
    ] = None,
    report: Annotated[
        bool, typer.Option("--report", help="Train nothing: show and draw what is known.")
    ] = False,
    apply: Annotated[
        bool,
        typer.Option("--apply", help="Write the winner into competition.toml as a new [[model]]."),
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Apply it even if it may be no better than the default.")
    ] = False,
    verbose: Verbose = False,
) -> None:
    """Search the settings of a model as [tune] in competition.toml says.

    What is not said there may be said here. Killed at any point, the same command goes on; several
    of them share a study.

    Example: `python -m harness tune --method zoom --model lite0`, `python -m harness tune --report`
    """
    from harness.cli import tuning

    workspace, display = steps.open_workspace(root)
    section = workspace.competition.tune.with_options(
        method=method, trials=trials, hours=hours, model=model, keep=keep
    )
    if report or apply:
        search = tuning.open_search(workspace, section)
        if report and tuning.show(*search, display):
            tuning.draw(*search, display)
        if apply:
            tuning.apply(*search, display, force=force)
            display.say(f"next: {steps.command('train', root)}")
        return
    if not tuning.tune(workspace, display, section):
        raise typer.Exit(3)
    display.say(f"next: {steps.command('tune --report', root)}")


@app.command()
def stack(
    root: Root = HERE,
    everything: Annotated[
        bool, typer.Option("--all", help="Every member, method, gain and note: no limit.")
    ] = False,
    verbose: Verbose = False,
) -> None:
    """Combine the members in oof/ and keep the best combination.

    Every method is scored on rows that it was not fitted on.

    Example: `python -m harness stack`, `python -m harness stack --all`
    """
    workspace, display = steps.open_workspace(root)
    steps.stack(workspace, display, everything=everything)
    display.say(f"next: {steps.command('submit', root)}")
