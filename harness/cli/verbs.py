"""The verbs: each reads the workspace, calls its stage, says what it wrote and what comes next.

What they do is in harness.cli.steps.
"""

import time
from pathlib import Path
from typing import Annotated

import typer

import harness
from harness.cli import audit as audit_steps
from harness.cli import kaggle as kaggle_steps
from harness.cli import kernel as kernel_steps
from harness.cli import steps
from harness.clock import started
from harness.display import Display
from harness.errors import ConfigError

app = typer.Typer(
    name="harness",
    help="From a folder of pictures to the best submission that the clock allows.",
    epilog="In a workspace (a folder with a competition.toml): `python -m harness run` does all.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)

Root = Annotated[
    Path, typer.Option("-C", metavar="DIR", help="The workspace: a folder with competition.toml.")
]
Verbose = Annotated[bool, typer.Option("--verbose", help="Show the traceback of an error.")]
HERE = Path()


@app.callback(invoke_without_command=True)
def _version(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        print(f"harness {harness.__version__}")
        raise typer.Exit


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
    verbose: Verbose = False,
) -> None:
    """Look at every picture before training: copies, leaks, odd pictures, drift, shortcuts.

    Writes data/audit.parquet; [folds] group_duplicates = true keeps copies together.

    Example: `python -m harness audit --drop leak_train_test`
    """
    workspace, display = steps.open_workspace(root)
    audit_steps.audit(workspace, display, drop or [])
    display.say(f"next: {steps.command('fold', root)}")


@app.command()
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

    A page for this machine only; decisions go to data/corrections.csv.

    Example: `python -m harness review --most 100`
    """
    workspace, display = steps.open_workspace(root)
    audit_steps.review(workspace, display, most=most, show=show, table=table)


@app.command()
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


@app.command()
def train(
    root: Root = HERE,
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="NAME", help="Train this model only.")
    ] = None,
    retrain: Annotated[
        list[str] | None,
        typer.Option("--retrain", metavar="NAME", help="Delete this run and train it again."),
    ] = None,
    folds: Annotated[
        list[int] | None,
        typer.Option("--fold", metavar="N", help="Train this fold only, counted from 1."),
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
            tuning.apply(*search, display)
            display.say(f"next: {steps.command('train', root)}")
        return
    if not tuning.tune(workspace, display, section):
        raise typer.Exit(3)
    display.say(f"next: {steps.command('tune --apply', root)}")


@app.command()
def stack(root: Root = HERE, verbose: Verbose = False) -> None:
    """Combine the members in oof/ and keep the best combination.

    Every method is scored on rows that it was not fitted on.

    Example: `python -m harness stack`
    """
    workspace, display = steps.open_workspace(root)
    steps.stack(workspace, display)
    display.say(f"next: {steps.command('submit', root)}")


@app.command()
def cost(
    root: Root = HERE,
    engine: Annotated[
        list[str] | None,
        typer.Option("--engine", metavar="NAME", help="Try this engine only; may be repeated."),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Only time the engine that training predicts with.")
    ] = False,
    verbose: Verbose = False,
) -> None:
    """Measure what predicting costs on this machine, and plan for every budget.

    Each member is served by the fastest engine whose answers score the same.

    Example: `python -m harness cost`
    """
    workspace, display = steps.open_workspace(root)
    steps.cost(workspace, display, engine or [], quick=quick)
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
    path, degraded = steps.submit(workspace, display, name, budget, started())
    if kaggle:
        kaggle_steps.submit_file(workspace, display, path, wait=wait)
        display.say(f"next: {steps.command('board sync', root)}")
    else:
        display.say(f"next: {steps.command(f'grade {path}', root)}, or submit it with --kaggle")
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
    steps.grade(
        workspace, display, submission, solution or workspace.root / "data/solution.csv", metric
    )


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
        steps.cost(workspace, display, [], quick=True, show=False)
    path, degraded = steps.submit(workspace, display, None, None, time.monotonic())
    solution = workspace.root / "data" / "solution.csv"
    if solution.exists():
        steps.grade(workspace, display, path, solution)
    steps.summary(workspace, display, path.stem)
    if degraded:
        raise typer.Exit(3)
