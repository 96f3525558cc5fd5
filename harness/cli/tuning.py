"""What `tune` does: it lends the search what other verbs offer, and shows what came of it."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from harness.display import Display

if TYPE_CHECKING:
    import numpy as np
    from optuna.study import Study
    from rich.console import RenderableType

    from harness.model import ModelSection
    from harness.space import TuneSection
    from harness.tune.affordable import Kind
    from harness.tune.search import Halfway, Tools
    from harness.tune.setup import Setup
    from harness.workspace import Workspace
    from harness.workspace.ensemble import Ensemble
    from harness.workspace.training import TrainingRows


def open_search(workspace: "Workspace", section: "TuneSection") -> "tuple[Setup, Study, Tools]":
    """The search that [tune] describes, wherever it stands."""
    from harness.stack.resample import paired_scores
    from harness.tune.search import Tools
    from harness.tune.setup import set_up
    from harness.tune.study import open_study
    from harness.workspace.training import read_training

    training = read_training(workspace)
    against = _ensemble(workspace) if section.objective == "ensemble" else None
    setup = set_up(workspace, training, section, against.digest if against else "")
    tools = Tools(
        train=_training(workspace),
        resample=paired_scores,
        loss=_loss(workspace, training, against),
    )
    if section.objective == "budget":
        tools = replace(tools, affordable=_affordability(workspace, training))
    return setup, open_study(setup), tools


def tune(workspace: "Workspace", display: Display, section: "TuneSection") -> bool:
    """Do the trials and judge the winner; False if the time was up before."""
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

    with display.live(table) as renew:

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

    from rich.console import Console

    from harness.tune.plots import write_page, write_picture
    from harness.tune.report import importances, rows_of

    page = setup.folder / f"{setup.name}.html"
    picture = page.with_suffix(".png")
    metric = setup.workspace.competition.metric
    write_picture(picture, setup.axes, rows_of(setup, study), importances(study), metric)
    tables, sentences = _report(setup, study, tools)
    text = Console(file=StringIO(), width=110, record=True)
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


def apply(setup: "Setup", study: "Study", tools: "Tools", display: Display) -> None:
    """Write the winner into competition.toml as a model of its own."""
    from harness.errors import WorkspaceError
    from harness.tune.apply import apply as write_model
    from harness.tune.finish import finalists, verdict
    from harness.tune.methods import decoded

    best = finalists(setup, study, 1)
    if not best:
        raise WorkspaceError(
            setup.folder, "holds no complete trial", "run `python -m harness tune`"
        )
    winner = best[0].model
    found = verdict(setup, study, tools)
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


def _training(
    workspace: "Workspace",
) -> "Callable[[ModelSection, Sequence[int], float | None, Halfway | None], bool]":
    """Train a model that need not be in competition.toml, without a word."""
    from rich.console import Console

    from harness.train.jobs import Wish, train

    quiet = Display(Console(quiet=True, force_terminal=False))
    before = workspace.competition

    def train_model(
        model: "ModelSection",
        folds: Sequence[int],
        seconds: float | None,
        halfway: "Halfway | None" = None,
    ) -> bool:
        others = tuple(
            other
            for other in before.model
            if model.name not in {run.name for run in other.trainings()}
        )
        competition = before.with_models((*others, model))
        wish = Wish(only=[model.name], folds=folds, seconds=seconds)
        return train(replace(workspace, competition=competition), quiet, wish, halfway)

    return train_model


def _ensemble(workspace: "Workspace") -> "Ensemble":
    from harness.workspace.ensemble import read_ensemble, require_same_folds

    ensemble = read_ensemble(workspace.models / "ensemble")
    require_same_folds(workspace.folds, ensemble)
    return ensemble


def _loss(
    workspace: "Workspace", training: "TrainingRows", ensemble: "Ensemble | None"
) -> "Callable[[np.ndarray, np.ndarray], float]":
    """A run's own loss on rows, or that of the ensemble with it."""
    import numpy as np

    metric, truth = workspace.competition.metric, training.target
    if ensemble is None:
        return lambda rows, predictions: metric.loss(truth[rows], predictions)

    from harness.stack.addition import blended_loss, parts_of
    from harness.stack.problem import Problem
    from harness.workspace.oof import read_oof

    names = ensemble.used
    files = [workspace.oof / f"{name}.parquet" for name in names]
    members = np.stack([read_oof(file, training).predictions for file in files])
    place = np.full(len(training.ids), -1)
    place[training.rows_in_folds] = np.arange(len(training.rows_in_folds))

    def loss(rows: np.ndarray, predictions: np.ndarray) -> float:
        groups = None if training.groups is None else training.groups[rows]
        problem = Problem(
            names=(*names, "one more"),
            predictions=np.concatenate([members[:, place[rows]], predictions[None]]),
            truth=truth[rows],
            folds=parts_of(groups, len(rows)),
            task=training.task,
            metric=metric,
        )
        return blended_loss(problem, workspace.competition.stack.seed)

    return loss


def _affordability(
    workspace: "Workspace", training: "TrainingRows"
) -> "Callable[[ModelSection], str | None]":
    from harness.data.table import read_test_ids
    from harness.errors import ConfigError
    from harness.tune.affordable import affordability

    budget = workspace.competition.budget
    if budget.seconds is None:
        raise ConfigError(
            "competition.toml [tune]", "objective = 'budget' knows none", "set [budget] seconds"
        )
    rows = budget.test_rows or len(read_test_ids(workspace.competition, workspace.root))
    measured = _engine_seconds(workspace)
    return affordability(rows, budget.seconds, len(training.targets), workspace.root, measured)


def _engine_seconds(workspace: "Workspace") -> "dict[Kind, float]":
    """Seconds an image by the fastest engine of each kind of network that `cost` measured here."""
    from harness.errors import WorkspaceError
    from harness.predict.cost import read_costs
    from harness.predict.machine import fingerprint
    from harness.submit.budgeted import costs_file
    from harness.tune.affordable import kind_of

    try:
        sheet = read_costs(costs_file(workspace))
    except WorkspaceError:  # nothing was measured
        return {}
    if sheet.machine != fingerprint():
        return {}
    models = {run.name: run for run in workspace.competition.runs}
    fastest: dict[Kind, float] = {}
    for member in sheet.members:
        if model := models.get(member.member):
            seconds = min(member.image_seconds(1), fastest.get(kind_of(model), math.inf))
            fastest[kind_of(model)] = seconds
    return fastest
