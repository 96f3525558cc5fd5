"""What `tune` does: it runs the search, and shows what came of it."""

import time
from typing import TYPE_CHECKING, Any

from harness.display import Display

if TYPE_CHECKING:
    from optuna.study import Study
    from rich.console import RenderableType

    from harness.space import TuneSection
    from harness.tune.search import Tools
    from harness.tune.setup import Setup
    from harness.workspace import Workspace


def open_search(workspace: "Workspace", section: "TuneSection") -> "tuple[Setup, Study, Tools]":
    """The search that [tune] describes, wherever it stands."""
    from harness.cli.lending import lend
    from harness.tune.setup import set_up
    from harness.tune.study import open_study
    from harness.workspace.ensemble import read_current_ensemble
    from harness.workspace.training import read_training

    training = read_training(workspace)
    against = read_current_ensemble(workspace) if section.objective == "ensemble" else None
    setup = set_up(workspace, training, section, against.digest if against else "")
    tools = lend(setup, against)  # before the study: it may find that the search asks too much
    return setup, open_study(setup), tools


def tune(workspace: "Workspace", display: Display, section: "TuneSection") -> bool:
    """Do the trials and judge the winner; False if the time was up before."""
    from harness.display import progress_line
    from harness.tune.finish import finish
    from harness.tune.report import rows_of
    from harness.tune.search import Search, TimeUp
    from harness.tune.tables import Row, in_words, latest_rows, score_of, trial_table

    setup, study, tools = open_search(workspace, section)
    metric = workspace.competition.metric
    begun = time.monotonic()

    def seconds() -> float | None:
        if section.hours is None:
            return None
        return 3600 * section.hours - (time.monotonic() - begun)

    said = {row.number for row in rows_of(setup, study) if _is_over(row)}
    display.say(
        f"tune: {section.method} over {', '.join(setup.axes)} of {setup.model.name}, "
        f"study {setup.name}" + (f", {len(said)} trials are there already" if said else "")
    )

    def tell(row: Row) -> str:
        said = f"trial {row.number}: {row.why or row.state}"
        if row.folds:
            said += f", {metric.name} {score_of(row.loss, metric):.4f} on {row.folds:g} folds"
        return f"{said}; {in_words(row.values)}"

    def table() -> Any:
        rows = rows_of(setup, study)
        ended = sum(row.state in ("complete", "pruned") for row in rows)
        title = f"{ended} of {section.trials} trials, the best first, then the latest"
        return trial_table(latest_rows(rows, 10), metric, title)

    before = len(said)

    def line() -> str:
        done = len(said) - before
        pace = (time.monotonic() - begun) / done if done else None
        left = None if pace is None else pace * (section.trials - len(said))
        return progress_line("tune (trials)", len(said), section.trials, left)

    with display.live("tune", table, line) as renew:

        def watch() -> None:
            renew()
            for row in rows_of(setup, study):
                if _is_over(row) and row.number not in said:
                    said.add(row.number)
                    display.say(tell(row))

        done = Search(setup, study, tools, watch, seconds).run()
    if done:
        display.say("tune: training what the verdict needs")
        try:
            with display.working("tune: the verdict"):
                finish(setup, study, tools, seconds())
        except TimeUp:
            done = False
    if not done:
        display.say("tune: the time is up; the same command goes on where it stopped")
    show(setup, study, tools, display)
    return done


def show(setup: "Setup", study: "Study", tools: "Tools", display: Display) -> bool:
    """The best trials, what mattered, and what the winner is worth; False if there is none."""
    tables, sentences = _report(setup, study, tools)
    for table in tables:
        display.show(table)
    for sentence in sentences:
        display.say(sentence)
    return bool(tables)


def draw(setup: "Setup", study: "Study", tools: "Tools", display: Display) -> None:
    """Write the report as tune/<study>.png and .html."""
    from io import StringIO

    from harness.display import PlainConsole
    from harness.tune.plots import write_page, write_picture
    from harness.tune.report import importances, rows_of

    page = setup.folder / f"{setup.name}.html"
    picture = page.with_suffix(".png")
    metric = setup.workspace.competition.metric
    write_picture(picture, setup.axes, rows_of(setup, study), importances(study), metric)
    tables, sentences = _report(setup, study, tools)
    text = PlainConsole(file=StringIO(), width=110, record=True)
    for table in tables:
        text.print(table)
    write_page(page, picture, setup.name, text.export_text(), sentences)
    display.say(f"tune: wrote {picture}, {page}")


def _report(
    setup: "Setup", study: "Study", tools: "Tools"
) -> "tuple[list[RenderableType], list[str]]":
    from harness.tune.finish import finalists, verdict
    from harness.tune.report import importances, rows_of
    from harness.tune.tables import (
        best_rows,
        importance_table,
        slice_table,
        trial_table,
        verdict_lines,
    )

    metric = setup.workspace.competition.metric
    rows = rows_of(setup, study)
    best = best_rows(rows, 5)
    if not best:
        return [], [f"tune: study {setup.name} has no complete trial yet"]
    tables: list[RenderableType] = [
        trial_table(best, metric, "the best trials, scored where they were chosen")
    ]
    if shares := importances(study):
        tables.append(importance_table(shares))
    tables.append(slice_table(setup.axes, rows, metric))
    found = verdict(setup, study, tools)
    if found is None:
        return tables, ["The winner is not judged yet: `tune` trains what that takes."]
    same = finalists(setup, study, 1)[0].model == setup.model
    count = sum(row.state in ("complete", "pruned") for row in rows)
    return tables, verdict_lines(found, metric, count, best[0].loss, same)


def apply(setup: "Setup", study: "Study", tools: "Tools", display: Display, *, force: bool) -> None:
    """Write the winner into competition.toml as a model of its own.

    A WorkspaceError if the verdict does not support it, except by ``force``.
    """
    from harness.errors import WorkspaceError
    from harness.tune.apply import apply as write_model
    from harness.tune.finish import finalists, verdict
    from harness.tune.methods import decoded
    from harness.tune.tables import gain_of

    best = finalists(setup, study, 1)
    if not best:
        raise WorkspaceError(
            setup.folder, "holds no complete trial", "run `python -m harness tune`"
        )
    winner = best[0].model
    found = verdict(setup, study, tools)
    if winner.name != setup.model.name and not force and not (found and found.supported):
        why, fix = "it is not judged yet", "run `python -m harness tune`"
        if found:
            why, fix = f"it gains {gain_of(found)}", "keep the default"
            fix += ", set [tune] seeds = 2 or more" if found.seeds == 1 else ""
        raise WorkspaceError(
            setup.folder,
            f"does not support its best trial, {winner.name!r}: {why}",
            f"{fix}, or insist with --force",
        )
    metric = setup.workspace.competition.metric.name
    comment = f"tune: {metric} "
    comment += (
        f"{found.winner.value:.4f} on rows that chose nothing, default {found.default.value:.4f}"
        if found
        else "not judged yet"
    )
    values = decoded(setup.axes, best[0].trial.params)
    section = setup.section
    source = section.model or setup.workspace.competition.model[0].name
    made = winner.name != setup.model.name and write_model(
        setup.workspace.root, source, winner.name, values, comment
    )
    display.say(
        f"tune: {'wrote' if made else 'unchanged:'} competition.toml ([[model]] {winner.name})"
    )


def _is_over(row: Any) -> bool:
    return row.state in ("complete", "pruned", "died")
