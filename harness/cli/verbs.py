"""The verbs: each reads the workspace, calls its stage, says what it wrote and what comes next.

A stage's code is imported when its verb is called, so that --help answers at once.
"""

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import harness
from harness.clock import started
from harness.display import Display

if TYPE_CHECKING:
    from harness.board.ledger import Entry
    from harness.workspace import Workspace
    from harness.workspace.ensemble import Ensemble

STARTED = time.perf_counter()

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
    verbose: Verbose = False,
) -> None:
    """Make a workspace: a folder with a commented competition.toml to fill in.

    Example: `python -m harness init cassava`
    """
    from harness.workspace.template import write_template

    path = write_template(folder)
    display = Display()
    display.say(f"wrote {path}: say there where your images and labels are")
    display.say(f"next: python -m harness data -C {folder}")


@app.command()
def data(root: Root = HERE, verbose: Verbose = False) -> None:
    """Prepare the example's data, or check your own: tables, labels, images.

    Example: `python -m harness data -C cassava`
    """
    workspace, display = _open(root)
    _data(workspace, display)
    display.say(f"next: {_command('fold', root)}")


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
    workspace, display = _open(root)
    _fold(workspace, display, fresh=fresh, check=check)
    if not check:
        display.say(f"next: {_command('train', root)}")


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
    verbose: Verbose = False,
) -> None:
    """Train every model on every fold and keep the out-of-fold predictions.

    What is done is skipped, so the same command goes on after an interruption.

    Example: `python -m harness train --only lite0`
    """
    workspace, display = _open(root)
    _train(workspace, display, only or [], retrain or [])
    display.say(f"next: {_command('stack', root)}")


@app.command()
def stack(root: Root = HERE, verbose: Verbose = False) -> None:
    """Combine the members in oof/ and keep the best combination.

    Every method is scored on rows that it was not fitted on.

    Example: `python -m harness stack`
    """
    workspace, display = _open(root)
    _stack(workspace, display)
    display.say(f"next: {_command('submit', root)}")


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
    workspace, display = _open(root)
    _cost(workspace, display, engine or [], quick=quick)
    display.say(f"next: {_command('submit --budget 60s', root)}")


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
    verbose: Verbose = False,
) -> None:
    """Predict the test images with the ensemble and write the submission.

    Within a budget the file is there from the first moment and gets better until the time is up.

    Example: `python -m harness submit --budget 60s`
    """
    workspace, display = _open(root)
    path, degraded = _submit(workspace, display, name, budget, started())
    display.say(f"next: {_command(f'grade {path}', root)}, or submit it")
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
    from harness.data.table import read_test_ids
    from harness.durations import parse_duration, parse_size
    from harness.errors import ConfigError
    from harness.submit.rehearsal import rehearsal_table
    from harness.submit.rehearsal import rehearse as run_rehearsal

    workspace, display = _open(root)
    settings = workspace.competition.budget
    seconds = parse_duration(budget, "--budget") if budget else settings.seconds
    if seconds is None:
        raise ConfigError("rehearse", "knows no budget", "give --budget, or [budget] seconds")
    limit = parse_size(memory, "--memory") if memory else None
    rows = rows or settings.test_rows or len(read_test_ids(workspace.competition, workspace.root))
    found = run_rehearsal(
        workspace, rows=rows, budget=seconds, slowdown=slowdown, cores=cores, offline=offline
    )
    display.show(rehearsal_table(found))
    failures = found.failures(limit)
    for failure in failures:
        display.say(f"FAIL: {failure}")
    if failures:
        raise typer.Exit(2)
    if found.code == 3:
        display.say("PASS, but the plan was cut short: `cost` on such a machine would plan better")
        raise typer.Exit(3)
    display.say("PASS")


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
    workspace, display = _open(root)
    _grade(workspace, display, submission, solution or workspace.root / "data/solution.csv", metric)


@app.command()
def board(root: Root = HERE, verbose: Verbose = False) -> None:
    """Show the ledger: every submission, what was believed of it and what it scored.

    Example: `python -m harness board`
    """
    workspace, display = _open(root)
    _board(workspace, display)


@app.command()
def run(root: Root = HERE, verbose: Verbose = False) -> None:
    """Do all of it in order: data, fold, train, stack, cost, submit, grade.

    What is done is skipped. Grading needs a data/solution.csv.

    Example: `python -m harness run -C cassava`
    """
    workspace, display = _open(root)
    _data(workspace, display)
    _fold(workspace, display)
    _train(workspace, display, [], [])
    _stack(workspace, display, show=False)
    if workspace.competition.budget.seconds:
        _cost(workspace, display, [], quick=True, show=False)
    path, degraded = _submit(workspace, display, None, None, time.monotonic())
    solution = workspace.root / "data" / "solution.csv"
    if solution.exists():
        _grade(workspace, display, path, solution)
    _summary(workspace, display, path.stem)
    if degraded:
        raise typer.Exit(3)


def _open(root: Path) -> tuple["Workspace", Display]:
    from harness.workspace import Workspace

    return Workspace.open(root), Display()


def _command(verb: str, root: Path) -> str:
    return f"python -m harness {verb}" + ("" if root == HERE else f" -C {root}")


def _data(workspace: "Workspace", display: Display) -> None:
    from harness.data.examples import PREPARE
    from harness.data.summary import summarise

    example = workspace.competition.data.example
    if example and PREPARE[example](workspace.root / "data"):
        display.say(f"data: the example {example!r} is laid out in {workspace.root / 'data'}")
    for line in summarise(workspace.competition, workspace.root):
        display.say(line)


def _fold(
    workspace: "Workspace", display: Display, *, fresh: bool = False, check: bool = False
) -> None:
    from harness.data.table import read_table
    from harness.fold.assign import FoldRules
    from harness.fold.make import check_folds, make_folds
    from harness.fold.report import fold_table

    table = read_table(workspace.competition, workspace.root)
    rules = FoldRules(**workspace.competition.folds.model_dump())
    columns: dict[str, Any] = {
        "groups": table.groups,
        "labels_text": table.labels,
        "class_names": table.targets if table.target.dtype.kind != "f" else None,
    }
    if check:
        checked = check_folds(workspace.folds, table.ids, table.target, rules, **columns)
        display.say(f"fold: {checked}")
        return
    outcome = make_folds(workspace.folds, table.ids, table.target, rules, **columns, fresh=fresh)
    for message in outcome.messages:
        display.say(message)
    display.show(fold_table(outcome.counts))
    display.say(
        f"fold: {'wrote' if outcome.changed else 'unchanged:'} folds/folds.csv, folds/folds.json "
        f"(digest {outcome.folds.digest[:12]})"
    )


def _train(workspace: "Workspace", display: Display, only: list[str], retrain: list[str]) -> None:
    from harness.train.jobs import train as train_models

    train_models(workspace, display, only=only, retrain=retrain)


def _stack(workspace: "Workspace", display: Display, *, show: bool = True) -> None:
    from harness.stack.make import stack as stack_members

    ensemble, made = stack_members(workspace, display)
    if show:
        _show_ensemble(ensemble, display)
    display.say(
        f"stack: {'wrote' if made else 'unchanged:'} models/ensemble/ensemble.json "
        f"({ensemble.method} of {', '.join(ensemble.used)})"
    )


def _cost(
    workspace: "Workspace",
    display: Display,
    engines: list[str],
    *,
    quick: bool,
    show: bool = True,
) -> None:
    from harness.board.costs import cost_table, plan_table
    from harness.cli.costs import measure_and_plan
    from harness.workspace.ensemble import read_ensemble, require_same_folds

    require_same_folds(workspace.folds, read_ensemble(workspace.models / "ensemble"))
    sheet, plans, made = measure_and_plan(workspace, display, engines, quick=quick)
    if show:
        display.show(cost_table(sheet))
        display.show(plan_table(plans))
        for note in sheet.notes:
            display.say(note)
    wrote = "wrote" if made else "unchanged:"
    display.say(f"cost: {wrote} models/ensemble/costs.json, models/ensemble/plans.json")


def _submit(
    workspace: "Workspace", display: Display, name: str | None, span: str | None, since: float
) -> tuple[Path, bool]:
    """(the submission, whether it is less than was meant); seconds count from ``since``."""
    from harness.board.ledger import Ledger
    from harness.durations import parse_duration
    from harness.files import file_digest
    from harness.workspace.ensemble import read_ensemble, require_same_folds

    ensemble = read_ensemble(workspace.models / "ensemble")
    require_same_folds(workspace.folds, ensemble)
    budget = parse_duration(span, "--budget") if span else workspace.competition.budget.seconds
    ending: str | None = None
    if budget is None:
        from harness.stack.blend import blend_from_json
        from harness.submit.runner import submit as submit_test_rows

        combine = blend_from_json(ensemble.blend).apply
        done = submit_test_rows(workspace, ensemble, combine, display, name=name, started=since)
        path, sidecar, made = done.path, done.sidecar, done.made
    else:
        from harness.submit.budgeted import promise

        kept = promise(
            workspace,
            ensemble,
            name=name,
            budget=budget,
            started=since,
            clock=time.monotonic,
            command=lambda path, inputs: [
                *(sys.executable, "-m", "harness.cli.worker", str(workspace.root), str(path)),
                *(inputs, repr(budget), repr(since)),
            ],
        )
        path, sidecar, made, ending = kept.path, kept.sidecar, kept.made, kept.ending
    Ledger(workspace.board).record(path.stem, file_digest(path), sidecar)
    limit = "" if budget is None else f" of {budget:g} s"
    display.say(
        f"submit: {'wrote' if made else 'unchanged:'} {path} "
        f"({sidecar.rows} rows) in {sidecar.seconds:.1f} s{limit}"
    )
    if ending:
        display.say(f"submit: {ending}")
    return path, bool(sidecar.prior_rows) or not sidecar.completed


def _grade(
    workspace: "Workspace",
    display: Display,
    submission: Path,
    solution: Path,
    other_metric: str | None = None,
) -> None:
    from harness.board.ledger import Ledger
    from harness.data.table import read_sample
    from harness.metrics import get_metric
    from harness.submit.table import grade as grade_submission

    competition = workspace.competition
    sample = read_sample(competition, workspace.root)
    metric = get_metric(other_metric) if other_metric else competition.metric
    score = grade_submission(submission, solution, competition, sample, metric)
    ours = submission.resolve().parent == workspace.submissions.resolve()
    display.say(f"grade: {submission.name} scores {metric.name} {score:.5f}")
    if not ours or metric != competition.metric:
        return
    Ledger(workspace.board).record_score(submission.stem, score)
    entry = _entry(workspace, submission.stem)
    if entry and entry.expected:
        low, high = entry.expected
        display.say(
            f"grade: that is {entry.place} {low:.4f} – {high:.4f}, "
            f"the 95 % interval expected for {entry.rows} new rows"
        )


def _summary(workspace: "Workspace", display: Display, submission: str) -> None:
    from harness.workspace.ensemble import read_ensemble

    ensemble = read_ensemble(workspace.models / "ensemble")
    _show_ensemble(ensemble, display, _entry(workspace, submission))
    display.say(f"all of it took {time.perf_counter() - STARTED:.0f} s")


def _show_ensemble(ensemble: "Ensemble", display: Display, entry: "Entry | None" = None) -> None:
    from harness.board.tables import difference_table, ensemble_notes, member_table, method_table

    width = display.console.width
    display.show(member_table(ensemble))
    display.show(method_table(ensemble, width, entry))
    display.show(difference_table(ensemble, width))
    for sentence in ensemble_notes(ensemble):
        display.say(sentence)


def _entry(workspace: "Workspace", submission: str) -> "Entry | None":
    """What the ledger knows of the submission of that name."""
    from harness.board.ledger import Ledger

    return next((e for e in Ledger(workspace.board).entries() if e.name == submission), None)


def _board(workspace: "Workspace", display: Display) -> None:
    from harness.board.ledger import Ledger
    from harness.board.tables import ledger_table

    entries = Ledger(workspace.board).entries()
    if entries:
        display.show(ledger_table(entries, display.console.width))
    else:
        display.say("board: no submission yet")
