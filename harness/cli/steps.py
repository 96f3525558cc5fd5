"""What the verbs do: each step calls its stage and says what came of it.

A stage's code is imported when its step is taken, so that --help answers at once.
"""

import re
import sys
import time
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

from harness.clock import started
from harness.display import Display, harmless

if TYPE_CHECKING:
    from harness.workspace import Workspace
    from harness.workspace.ensemble import Ensemble
    from harness.workspace.ledger import Entry


def open_workspace(root: Path) -> tuple["Workspace", Display]:
    """The workspace in that folder, and where its steps say what they do."""
    from harness.data.state import adopt
    from harness.workspace import Workspace

    workspace, display = Workspace.open(root), Display()
    if notice := adopt(root):
        display.say(notice)
    return workspace, display


def command(verb: str, root: Path) -> str:
    """The command line of a verb for that workspace, as a shell reads it."""
    return f"python -m harness {verb}" + ("" if root == Path() else f" -C {quote(str(root))}")


def with_root(text: str, root: Path) -> str:
    """Return the text; the commands that it suggests are for that workspace.

    >>> with_root("run `python -m harness fold`", Path("cassava"))
    'run `python -m harness fold -C cassava`'
    """
    tail = command("", root).removeprefix(command("", Path()))
    suggested = r"`python -m harness (?!init\b)[^`]*"
    return re.sub(suggested, lambda found: found[0] + harmless(tail), text)


def init(folder: Path, source: Path | None, display: Display) -> None:
    """A new competition.toml: a template, or filled in from what lies in ``source``."""
    from harness.consent import keep_as_own
    from harness.data.state import FOLDER
    from harness.init.write import init_from
    from harness.workspace.template import write_template

    if source is None:
        path, said = write_template(folder), "say there where your images and labels are"
    else:
        path, questions = init_from(folder, source)
        (folder / FOLDER).mkdir(exist_ok=True)  # what another workspace kept in it is not ours
        asked = "1 question" if questions == 1 else f"{questions} questions"
        said = f"{asked} for you in it; look at the metric in any case"
    keep_as_own(folder)
    display.say(f"wrote {path}: {said}")


def trust(folder: Path, display: Display) -> None:
    """Let the code that the workspace names run, as it is now."""
    from harness.competition import FILE_NAME, load_competition
    from harness.consent import allow

    competition = load_competition(folder / FILE_NAME)
    if not competition.competition.own_metric:
        display.say("trust: this workspace brings no code, so there is nothing to allow")
        return
    allow(competition.metric.name, competition.metric.source)
    display.say(f"trust: {competition.metric.name} may run, as it is now")


def data(workspace: "Workspace", display: Display) -> None:
    """Lay the example out if there is one, then say what the data look like."""
    from harness.data.examples import PREPARE
    from harness.data.summary import summarise
    from harness.stack.honest import require_methods

    require_methods(workspace.competition.stack.methods)
    example = workspace.competition.data.example
    if example and PREPARE[example](folder := workspace.data_to_fill()):
        display.say(f"data: the example {example!r} is laid out in {folder}")
    for line in summarise(workspace.competition, workspace.root):
        display.say(line)


def doctor(workspace: "Workspace", display: Display, *, online: bool) -> bool:
    """Say what was found; whether nothing has to be mended. ``online`` tries the credentials."""
    from harness.doctor.examine import examine
    from harness.doctor.findings import credential_finding
    from harness.kaggle.credentials import check_credentials
    from harness.kaggle.seam import ask_name

    marks = {"ok": "ok  ", "note": "look", "mend": "MEND"}
    found = examine(workspace, display)
    known = check_credentials(ask_name if online else None)
    wanted = workspace.competition.competition.kaggle is not None
    found.append(credential_finding(known.state, known.text, known.warning, wanted=wanted))
    for finding in found:
        text = with_root(finding.text, workspace.root)
        display.say(f"{marks[finding.verdict]}  {finding.topic:8}  {text}")
    faults = sum(finding.verdict == "mend" for finding in found)
    if faults:
        display.say(f"doctor: {faults} of {len(found)} findings must be mended")
    return not faults


def next_verb(workspace: "Workspace") -> str:
    """The verb that goes on from where the workspace is."""
    from harness.doctor.examine import progress_of
    from harness.doctor.findings import next_verb as after

    return after(progress_of(workspace))


def fold(
    workspace: "Workspace", display: Display, *, fresh: bool = False, check: bool = False
) -> None:
    """Make, grow or check the folds."""
    from harness.data.findings import group_duplicates
    from harness.data.state import FINDINGS
    from harness.data.summary import check_rows
    from harness.data.table import read_table
    from harness.fold.assign import FoldRules
    from harness.fold.make import check_folds, make_folds
    from harness.fold.report import fold_table
    from harness.stack.honest import require_methods

    require_methods(workspace.competition.stack.methods)
    table = read_table(workspace.competition, workspace.root)
    check_rows(workspace.competition, workspace.root, table)
    settings = workspace.competition.folds
    rules = FoldRules(**settings.model_dump(exclude={"group_duplicates"}))
    groups = table.groups
    if settings.group_duplicates:
        groups = group_duplicates(workspace.root / FINDINGS, table.ids, groups)
    columns: dict[str, Any] = {
        "groups": groups,
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


def stack(
    workspace: "Workspace", display: Display, *, show: bool = True, everything: bool = False
) -> None:
    """Combine the members; ``show`` prints the tables, a screen of them or ``everything``."""
    from harness.stack.make import stack as stack_members

    with display.alive("stack"):
        ensemble, made = stack_members(workspace, display)
    if show:
        show_ensemble(ensemble, display, everything=everything)
    used = ensemble.used
    names = ", ".join(used) if len(used) <= 4 or everything else f"{len(used)} members"
    display.say(
        f"stack: {'wrote' if made else 'unchanged:'} models/ensemble/ensemble.json "
        f"({ensemble.method} of {names})"
    )


def cost(
    workspace: "Workspace",
    display: Display,
    engines: list[str],
    *,
    thorough: bool = False,
    again: bool = True,
    show: bool = True,
) -> None:
    """Measure, ``again`` if it was done before, and plan; ``show`` prints the tables."""
    from harness.board.costs import averaging_notes, cost_table, plan_table
    from harness.cli.costs import measure_and_plan

    with display.alive("cost"):
        sheet, plans, made = measure_and_plan(
            workspace, display, engines, thorough=thorough, again=again
        )
    if show:
        display.show(cost_table(sheet))
        display.show(plan_table(plans))
        for note in (*averaging_notes(sheet, plans[0].metric), *sheet.notes):
            display.say(note)
    wrote = "wrote" if made else "unchanged:"
    display.say(f"cost: {wrote} models/ensemble/costs.json, models/ensemble/plans.json")


def submit(
    workspace: "Workspace", display: Display, name: str | None, span: str | None, since: float
) -> tuple[Path, bool]:
    """Return the submission, and whether somebody should look at it.

    A row that no model predicted needs that, or a process that failed. A plan whose last members
    found no time does not. Seconds count from ``since``.
    """
    from harness.durations import parse_duration
    from harness.errors import UserError
    from harness.files import file_digest
    from harness.workspace.ensemble import read_current_ensemble
    from harness.workspace.ledger import Ledger

    ensemble = read_current_ensemble(workspace)
    budget = parse_duration(span, "--budget") if span else workspace.competition.budget.seconds
    ending, died = None, False
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
            command=lambda path, inputs, deadline: [
                *(sys.executable, "-m", "harness.cli.worker", str(workspace.root), str(path)),
                *(inputs, repr(budget), repr(deadline), repr(since)),
            ],
        )
        path, sidecar, made = kept.path, kept.sidecar, kept.made
        ending, died = kept.ending, kept.died
    limit = "" if budget is None else f" of {budget:g} s"
    display.say(
        f"submit: {'wrote' if made else 'unchanged:'} {path} "
        f"({sidecar.rows} rows) in {sidecar.seconds:.1f} s{limit}"
    )
    if sidecar.averaging:
        display.say(f"submit: {sidecar.averaging}")
    if ending:
        display.say(f"submit: {ending}")
    ledger = Ledger(workspace.board) if budget is None else Ledger(workspace.board, wait=0)
    try:
        ledger.record(path.stem, file_digest(path), sidecar)
    except (UserError, OSError) as error:  # the file counts, and it stands
        display.say(f"warning: it is not in the ledger yet: {error}")
    return path, died or not sidecar.answered


def grade(
    workspace: "Workspace",
    display: Display,
    submission: Path,
    solution: Path,
    other_metric: str | None = None,
) -> None:
    """Score a submission, and hold the score against what was expected."""
    from harness.data.sample import read_sample
    from harness.metrics import get_metric
    from harness.submit.grade import grade as grade_submission
    from harness.workspace.ledger import Ledger

    competition = workspace.competition
    sample = read_sample(competition, workspace.root)
    metric = get_metric(other_metric) if other_metric else competition.metric
    scores = grade_submission(submission, solution, competition, sample, metric)
    score = scores.pop("all")
    ours = submission.resolve().parent == workspace.submissions.resolve()
    display.say(f"grade: {submission.name} scores {metric.said(score, 5)}")
    for part, its in scores.items():
        display.say(f"grade: {part} rows: {metric.said(its, 5)}")
    if not ours or metric != competition.metric:
        return
    entry = ledger_entry(workspace, submission.stem)
    if entry and entry.metric != metric.name:  # its interval is of another metric
        display.say(f"grade: it was made for {entry.metric}, so the board does not keep the score")
        return
    Ledger(workspace.board).record_score(submission.stem, score)
    entry = ledger_entry(workspace, submission.stem)
    if entry and entry.expected:
        low, high = entry.expected
        display.say(
            f"grade: that is {entry.place} {low:.4f} – {high:.4f}, "
            f"the 95 % interval expected for {entry.rows} new rows"
        )


def summary(workspace: "Workspace", display: Display, submission: str) -> None:
    """The tables at the end of `run`."""
    from harness.workspace.ensemble import read_ensemble

    ensemble = read_ensemble(workspace.models / "ensemble")
    show_ensemble(ensemble, display, ledger_entry(workspace, submission))
    display.say(f"all of it took {time.monotonic() - started():.0f} s")


def show_ensemble(
    ensemble: "Ensemble",
    display: Display,
    entry: "Entry | None" = None,
    *,
    everything: bool = False,
) -> None:
    """Members, methods and what was said of them on a screen; gains, too, with ``everything``."""
    from harness.board.tables import difference_table, ensemble_notes, member_table, method_table

    width, notes = display.console.width, ensemble_notes(ensemble)
    display.show(member_table(ensemble, everything=everything))
    display.show(method_table(ensemble, width, entry, everything=everything))
    if everything:
        display.show(difference_table(ensemble, width))
    for sentence in notes if everything else notes[:4]:
        display.say(sentence)
    if not everything:
        display.say("`stack --all` shows what each method gains, and whatever was left out here")


def ledger_entry(workspace: "Workspace", submission: str) -> "Entry | None":
    """What the ledger knows of the submission of that name."""
    from harness.workspace.ledger import Ledger

    return next((e for e in Ledger(workspace.board).entries() if e.name == submission), None)


def rehearse(
    workspace: "Workspace",
    display: Display,
    *,
    rows: int | None,
    budget: str | None,
    slowdown: float,
    memory: str | None,
    cores: int | None,
    offline: bool,
) -> int:
    """Run the submission as the competition will: 0 passed, 3 passed but cut short, 2 failed."""
    from harness.data.sample import read_test_ids
    from harness.durations import parse_duration, parse_size
    from harness.errors import ConfigError
    from harness.submit.rehearsal import rehearsal_table
    from harness.submit.rehearsal import rehearse as run_rehearsal

    settings = workspace.competition.budget
    seconds = parse_duration(budget, "--budget") if budget else settings.seconds
    if seconds is None:
        raise ConfigError("rehearse", "knows no budget", "give --budget, or [budget] seconds")
    limit = parse_size(memory, "--memory") if memory else None
    rows = rows or settings.test_rows or len(read_test_ids(workspace.competition, workspace.root))
    found = run_rehearsal(
        workspace,
        rows=rows,
        budget=seconds,
        slowdown=slowdown,
        cores=cores,
        offline=offline,
        say=display.say,
    )
    display.show(rehearsal_table(found))
    failures = found.failures(limit)
    for failure in failures:
        display.say(f"FAIL: {failure}")
    if failures:
        return 2
    if found.code == 3:
        display.say("PASS, but some rows have the prior: run `cost` on such a machine")
        return 3
    late = found.sidecar is not None and not found.sidecar.completed
    display.say("PASS; the plan's last members found no time" if late else "PASS")
    return 0
