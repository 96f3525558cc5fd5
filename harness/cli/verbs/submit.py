"""The verbs that predict: what it costs, the submission, its score; and `run` for all of it."""

import time
from pathlib import Path
from shlex import quote
from typing import Annotated

import typer

from harness.cli import audit as audit_steps
from harness.cli import kaggle as kaggle_steps
from harness.cli import kernel as kernel_steps
from harness.cli import steps
from harness.cli.verbs.common import HERE, Root, Verbose, app
from harness.clock import started
from harness.errors import ConfigError
from harness.section import safe_name

SOLUTION = Path("data/solution.csv")


@app.command()
def cost(
    root: Root = HERE,
    engine: Annotated[
        list[str] | None,
        typer.Option("--engine", metavar="NAME", help="Try this engine only; may be repeated."),
    ] = None,
    thorough: Annotated[
        bool, typer.Option("--thorough", help="Try every engine for every member: many minutes.")
    ] = False,
    verbose: Verbose = False,
) -> None:
    """Measure what predicting costs on this machine, and plan for every budget.

    Each member is served by the fastest engine whose answers score the same.
    Engines that are clearly slower, or that take long to make, are not tried for every member.

    Example: `python -m harness cost`
    """
    workspace, display = steps.open_workspace(root)
    steps.cost(workspace, display, engine or [], thorough=thorough)
    display.say(f"next: {steps.command('submit --budget 60s', root)}")


@app.command()
def submit(
    root: Root = HERE,
    name: Annotated[
        str | None, typer.Option("--name", help="The file's name in submissions/, without .csv.")
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(
            "--budget",
            metavar="SPAN",
            help="Seconds for the whole process, from its start to the file: 60, 60s, 2m, 1.5h. "
            "[default: budget.seconds in competition.toml, else no limit]",
        ),
    ] = None,
    kaggle: Annotated[
        bool, typer.Option("--kaggle", help="Then submit it to Kaggle: once, however often asked.")
    ] = False,
    kernel: Annotated[
        bool,
        typer.Option("--kernel", help="Submit to Kaggle the kernel that was pushed last instead."),
    ] = False,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait until Kaggle has scored the submission.")
    ] = False,
    verbose: Verbose = False,
) -> None:
    """Predict the test images with the ensemble and write the submission.

    Within a budget the file is there from the first moment and gets better until the time is up.

    Example: `python -m harness submit --budget 60s`
    """
    workspace, display = steps.open_workspace(root)
    if wait and not (kaggle or kernel):
        raise ConfigError("--wait", "there is nothing to wait for", "say --kaggle or --kernel, too")
    if kernel:
        if name or budget or kaggle:
            raise ConfigError(
                "--kernel", "its file is made by its run on Kaggle", "leave the other options out"
            )
        kernel_steps.submit(workspace, display, wait=wait)
        return
    if name is not None:
        try:
            safe_name(name)
        except ValueError as error:
            found, _, fix = str(error).partition("; ")
            raise ConfigError("--name", found, fix) from None
    path, degraded = steps.submit(workspace, display, name, budget, started())
    if kaggle:
        kaggle_steps.submit_file(workspace, display, path, wait=wait)
        display.say(f"next: {steps.command('board sync', root)}")
    else:
        known = "" if (workspace.root / SOLUTION).exists() else " --solution CSV"
        grading = steps.command(f"grade {quote(str(path))}{known}", root)
        display.say(f"next: {grading}, or submit it with --kaggle")
    if degraded:
        raise typer.Exit(3)


@app.command()
def rehearse(
    root: Root = HERE,
    rows: Annotated[
        int | None,
        typer.Option(
            "--rows",
            min=1,
            help="Test rows, by repeating the images. "
            "[default: budget.test_rows in competition.toml, else those there are]",
        ),
    ] = None,
    budget: Annotated[
        str | None, typer.Option("--budget", metavar="SPAN", help="As for submit.")
    ] = None,
    slowdown: Annotated[
        float, typer.Option("--slowdown", min=1, help="A machine so many times slower (Linux).")
    ] = 1.0,
    memory: Annotated[
        str | None, typer.Option("--memory", metavar="SIZE", help="The memory there is: 16G, 800M.")
    ] = None,
    cores: Annotated[
        int | None, typer.Option("--cores", min=1, help="Use only so many cores (Linux).")
    ] = None,
    offline: Annotated[
        bool, typer.Option("--offline/--online", help="Without network, as competitions run it.")
    ] = True,
    verbose: Verbose = False,
) -> None:
    """Run the real submission in a fresh process as the competition will: PASS or FAIL.

    Example: `python -m harness rehearse --rows 15000 --budget 10m --slowdown 2 --memory 16G`
    """
    workspace, display = steps.open_workspace(root)
    code = steps.rehearse(
        workspace,
        display,
        rows=rows,
        budget=budget,
        slowdown=slowdown,
        memory=memory,
        cores=cores,
        offline=offline,
    )
    raise typer.Exit(code)


@app.command()
def grade(
    submission: Annotated[Path, typer.Argument(metavar="CSV", help="The submission.")],
    solution: Annotated[
        Path | None,
        typer.Option("--solution", metavar="CSV", help="The truth; data/solution.csv if not said."),
    ] = None,
    metric: Annotated[
        str | None, typer.Option("--metric", metavar="NAME", help="Another metric than its own.")
    ] = None,
    root: Root = HERE,
    verbose: Verbose = False,
) -> None:
    """Score a submission against a solution by the competition's metric, or by another.

    Example: `python -m harness grade submissions/first.csv --solution truth.csv`
    """
    workspace, display = steps.open_workspace(root)
    steps.grade(workspace, display, submission, solution or workspace.root / SOLUTION, metric)


@app.command()
def run(root: Root = HERE, verbose: Verbose = False) -> None:
    """Do all of it in order: data, fold, train, stack, cost, submit, grade.

    What is done is skipped. Grading needs a data/solution.csv.

    Example: `python -m harness run -C cassava`
    """
    from harness.cli import training
    from harness.train.jobs import Wish

    workspace, display = steps.open_workspace(root)
    steps.data(workspace, display)
    audit_steps.audit_if_needed(workspace, display)
    steps.fold(workspace, display)
    training.train(workspace, display, Wish(), None)
    steps.stack(workspace, display, show=False)
    if workspace.competition.budget.seconds:
        steps.cost(workspace, display, [], again=False, show=False)
    path, degraded = steps.submit(workspace, display, None, None, time.monotonic())
    solution = workspace.root / SOLUTION
    if solution.exists():
        steps.grade(workspace, display, path, solution)
    steps.summary(workspace, display, path.stem)
    if degraded:
        raise typer.Exit(3)
