"""The verbs: each reads the workspace, calls its stage, says what it wrote and what comes next.

A stage's code is imported when its verb is called, so that --help answers at once.
"""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import harness
from harness.display import Display

if TYPE_CHECKING:
    from harness.workspace import Workspace

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
def submit(
    root: Root = HERE,
    name: Annotated[
        str | None, typer.Option("--name", help="The file's name in submissions/, without .csv.")
    ] = None,
    verbose: Verbose = False,
) -> None:
    """Predict the test images with the ensemble and write the submission.

    Example: `python -m harness submit --name first`
    """
    workspace, display = _open(root)
    path, degraded = _submit(workspace, display, name)
    display.say(f"next: {_command(f'grade {path}', root)}, or submit it")
    if degraded:
        raise typer.Exit(3)


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
    """Do all of it in order: data, fold, train, stack, submit, grade.

    What is done is skipped. Grading needs a data/solution.csv.

    Example: `python -m harness run -C cassava`
    """
    workspace, display = _open(root)
    _data(workspace, display)
    _fold(workspace, display)
    _train(workspace, display, [], [])
    _stack(workspace, display, show=False)
    path, degraded = _submit(workspace, display, None)
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
    from harness.board.tables import ensemble_table
    from harness.stack.make import stack as stack_members

    ensemble, made = stack_members(workspace, display)
    if show:
        display.show(ensemble_table(ensemble))
    display.say(
        f"stack: {'wrote' if made else 'unchanged:'} models/ensemble/ensemble.json "
        f"({ensemble.method} of {', '.join(ensemble.used)})"
    )


def _submit(workspace: "Workspace", display: Display, name: str | None) -> tuple[Path, bool]:
    """(the submission, whether some rows got only the prior)."""
    from harness.board.ledger import Ledger
    from harness.files import file_digest
    from harness.stack.blend import blend_from_json
    from harness.submit.runner import submit as submit_test_rows
    from harness.workspace.ensemble import read_ensemble

    ensemble = read_ensemble(workspace.models / "ensemble")
    combine = blend_from_json(ensemble.blend).apply
    done = submit_test_rows(workspace, ensemble, combine, display, name=name, started=STARTED)
    Ledger(workspace.board).record(done.path.stem, file_digest(done.path), done.sidecar)
    display.say(
        f"submit: {'wrote' if done.made else 'unchanged:'} {done.path} "
        f"({done.sidecar.rows} rows) in {done.sidecar.seconds:.1f} s"
    )
    return done.path, bool(done.sidecar.prior_rows)


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
    ours = metric == competition.metric
    if ours and submission.resolve().parent == workspace.submissions.resolve():
        Ledger(workspace.board).record_score(submission.stem, score)
    display.say(f"grade: {submission.name} scores {metric.name} {score:.5f}")


def _summary(workspace: "Workspace", display: Display, submission: str) -> None:
    from harness.board.ledger import Ledger
    from harness.board.tables import ensemble_table
    from harness.workspace.ensemble import read_ensemble

    ensemble = read_ensemble(workspace.models / "ensemble")
    entry = next((e for e in Ledger(workspace.board).entries() if e.name == submission), None)
    display.show(ensemble_table(ensemble, entry))
    display.say(f"all of it took {time.perf_counter() - STARTED:.0f} s")


def _board(workspace: "Workspace", display: Display) -> None:
    from harness.board.ledger import Ledger
    from harness.board.tables import ledger_table

    entries = Ledger(workspace.board).entries()
    if entries:
        display.show(ledger_table(entries))
    else:
        display.say("board: no submission yet")
