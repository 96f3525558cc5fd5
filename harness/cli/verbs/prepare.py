"""The verbs before training: the workspace, its data, and the folds."""

from pathlib import Path
from typing import Annotated

import typer

from harness.cli import audit as audit_steps
from harness.cli import kaggle as kaggle_steps
from harness.cli import steps
from harness.cli.verbs.common import BETTER_DATA, HERE, Root, Verbose, app
from harness.display import Display


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder to make.")],
    source: Annotated[
        Path | None,
        typer.Option(
            "--from", metavar="PATH", help="Look at this unpacked competition, and fill it in."
        ),
    ] = None,
    verbose: Verbose = False,
) -> None:
    """Make a workspace: a folder with a commented competition.toml.

    With `--from` each value has its reason, and what could not be decided is a question.

    Example: `python -m harness init cassava --from ~/Downloads/cassava-leaf-disease`
    """
    display = Display()
    steps.init(folder, source, display)
    display.say(f"next: {steps.command('doctor' if source else 'data', folder)}")


@app.command()
def trust(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The workspace.")],
    verbose: Verbose = False,
) -> None:
    """Let the code that somebody else's workspace brings run: a metric of its own.

    Read it first. It is known by its digest, so a change asks again. Code in a workspace that you
    made with `init` needs no consent.

    Example: `python -m harness trust ~/Downloads/cassava-of-a-friend`
    """
    display = Display()
    steps.trust(folder, display)
    display.say(f"next: {steps.command('doctor', folder)}")


@app.command()
def data(
    root: Root = HERE,
    kaggle: Annotated[
        bool, typer.Option("--kaggle", help="First download the competition's files into data/.")
    ] = False,
    verbose: Verbose = False,
) -> None:
    """Prepare the example's data, or check your own: tables, labels, images.

    Example: `python -m harness data -C cassava`
    """
    workspace, display = steps.open_workspace(root)
    if kaggle:
        kaggle_steps.fetch(workspace, display)
    steps.data(workspace, display)
    display.say(f"next: {steps.command('fold', root)}")


@app.command()
def doctor(
    root: Root = HERE,
    online: Annotated[
        bool, typer.Option("--online", help="Ask Kaggle whether it takes the credentials.")
    ] = False,
    verbose: Verbose = False,
) -> None:
    """Check the workspace and the machine: tables, every image, disk, devices, weights, Kaggle.

    Exit code 2 if something must be mended.

    Example: `python -m harness doctor -C cassava`
    """
    workspace, display = steps.open_workspace(root)
    if not steps.doctor(workspace, display, online=online):
        display.say(f"next: mend what is marked, then {steps.command('doctor', root)}")
        raise typer.Exit(2)
    display.say(f"next: {steps.command(steps.next_verb(workspace), root)}")


@app.command()
def audit(
    root: Root = HERE,
    drop: Annotated[
        list[str] | None,
        typer.Option(
            "--drop",
            metavar="KIND",
            help="Leave the training images of these findings out, such as leak_train_test; "
            "may be repeated.",
        ),
    ] = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="Drop without a question, however many they are.")
    ] = False,
    restore: Annotated[
        bool, typer.Option("--restore", help="Take back all that --drop left out.")
    ] = False,
    verbose: Verbose = False,
) -> None:
    """Look at every picture before training: copies, leaks, odd pictures, drift, shortcuts.

    Writes audit/findings.parquet; [folds] group_duplicates = true keeps copies together.

    Example: `python -m harness audit --drop leak_train_test`
    """
    workspace, display = steps.open_workspace(root)
    if restore:
        audit_steps.restore(workspace, display)
    if drop or not restore:
        audit_steps.audit(workspace, display, drop or [], sure=yes)
    display.say(f"next: {steps.command('fold', root)}")


@app.command(rich_help_panel=BETTER_DATA)
def review(
    root: Root = HERE,
    most: Annotated[int, typer.Option("--most", min=1, help="Show so many doubts.")] = 200,
    table: Annotated[
        bool, typer.Option("--list", help="List them here instead of serving a page.")
    ] = False,
    show: Annotated[
        bool, typer.Option("--open/--no-open", help="Open the page in the browser.")
    ] = True,
    verbose: Verbose = False,
) -> None:
    """Go through the labels that out-of-fold predictions doubt: keep, relabel, drop or skip.

    A page for this machine only; decisions go to audit/corrections.csv.

    Example: `python -m harness review --most 100`
    """
    workspace, display = steps.open_workspace(root)
    audit_steps.review(workspace, display, most=most, show=show, table=table)


@app.command(rich_help_panel=BETTER_DATA)
def add(
    given: Annotated[
        Path,
        typer.Argument(metavar="DIR|TABLE", help="A folder a class, or a table of file,label."),
    ],
    source: Annotated[
        str, typer.Option("--source", metavar="TEXT", help="Where they come from.")
    ] = "added",
    weight: Annotated[
        float, typer.Option("--weight", min=0.001, help="What one counts in training.")
    ] = 1.0,
    root: Root = HERE,
    verbose: Verbose = False,
) -> None:
    """Take new, external or generated pictures in, refusing copies of what is there.

    They are trained on and never validated on.

    Example: `python -m harness add generated/ --source generator --weight 0.5`
    """
    workspace, display = steps.open_workspace(root)
    audit_steps.add(workspace, display, given, source=source, weight=weight)
    display.say(f"next: {steps.command('train', root)}")


@app.command()
def fold(
    root: Root = HERE,
    fresh: Annotated[
        bool,
        typer.Option("--fresh", help="Forget the old folds; OOF files made on them are refused."),
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing: compute again and compare.")
    ] = False,
    verbose: Verbose = False,
) -> None:
    """Deal the labelled images into stratified folds that never move.

    New rows are placed; old ones stay where they are.

    Example: `python -m harness fold --check`
    """
    workspace, display = steps.open_workspace(root)
    steps.fold(workspace, display, fresh=fresh, check=check)
    if not check:
        display.say(f"next: {steps.command('train', root)}")
