"""Training every model on every fold: what is done is skipped, what is finished is kept."""

import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import timm

from harness.backbone import check_backbone
from harness.competition import Competition
from harness.display import Display
from harness.errors import ConfigError, WorkspaceError, nearest
from harness.locks import holding, trying
from harness.model import ModelSection
from harness.train.estimate import estimate
from harness.train.hours import Work, by_gain
from harness.train.interrupt import Stopped, Stopping, noting_signals
from harness.train.job import Job
from harness.train.run import Halfway, Run
from harness.train.speed import Speed
from harness.workspace import Workspace
from harness.workspace.oof import views_of_run
from harness.workspace.runs import read_model, read_run
from harness.workspace.training import read_training


@dataclass(frozen=True)
class Wish:
    """What `train` was asked for.

    ``only`` names models or their runs; so does ``retrain``, after ``begin_anew``; ``folds`` limits
    the fold models by number; ``source`` is a run.json to repeat. Runs that are complete become
    ``members``: they get their files in oof/.
    """

    only: Sequence[str] = ()
    retrain: Sequence[str] = ()
    folds: Sequence[int] = ()
    seconds: float | None = None
    source: Path | None = None
    members: bool = True


def train(
    workspace: Workspace, display: Display, wish: Wish, halfway: Halfway | None = None
) -> bool:
    """Train what is wished for and not done; False if the time was up before.

    KeyboardInterrupt if the process was asked to stop; everything finished is kept, and what was
    begun goes on from its checkpoint. That holds for what ``halfway`` raises, too.
    """
    begun = time.monotonic()
    with noting_signals() as asked:

        def time_is_up() -> bool:
            return wish.seconds is not None and time.monotonic() - begun > wish.seconds

        runs = _runs(workspace, display, wish, lambda: asked() or time_is_up(), halfway)
        if wish.seconds is not None and len(runs) > 1:
            runs = _ordered(workspace, display, runs, wish.seconds)
        try:
            _share_out(runs, display, wish)
        except Stopped:
            if asked():
                raise KeyboardInterrupt from None
            display.say("train: the time is up; the same command goes on from the checkpoints")
            return False
    return True


def plan(workspace: Workspace, display: Display, wish: Wish) -> list[Work]:
    """What `train` would do, in its order, with the seconds and bytes that it should take."""
    runs = _runs(workspace, display, wish, lambda: False)
    anew = {m.name for name in wish.retrain for m in _choose(workspace.competition, [name])}
    works = []
    for run in runs:
        again = run.model.name in anew
        for output in run.outputs:
            if not (again or run.done) and (output.folder / "run.json").exists():
                output.start({}, anew=False)  # refuses another run, and writes nothing
        if wanted := run.jobs if again else _wanted(run, wish.folds):
            if again or not all(map(run.trained, run.jobs)):
                run.check(run.own.aside if again else run.own.folder)
            works.append(estimate(run, wanted, anew=again))
    if wish.seconds is None:
        return works
    return by_gain(works, _trained_backbones(workspace), wish.seconds)


def _runs(
    workspace: Workspace,
    display: Display,
    wish: Wish,
    stopping: Stopping,
    halfway: Halfway | None = None,
) -> list[Run]:
    competition = workspace.competition
    pinned = None
    if wish.source:
        model, pinned = _repeated(wish.source)
        models: Sequence[ModelSection] = [model]
    else:
        models = _choose(competition, (*wish.only, *wish.retrain))
    for model in models:  # all of them before the first is trained for hours
        check_backbone(model.backbone, model.weights, workspace.root)
        _check_size(model)
        _check_pseudo(competition, model)
    training = read_training(workspace)
    last = training.assignment.shape[1] * training.folds.k
    for number in wish.folds:
        if not 0 <= number < last:
            raise ConfigError("--fold", f"there is no fold {number}", f"choose 0 to {last - 1}")

    def run_of(model: ModelSection) -> Run:
        return Run(workspace, display, training, model, stopping, pinned, halfway)

    runs = [run_of(model) for model in models]
    if wish.only or wish.retrain or wish.source:
        return runs
    return runs + [run for run in map(run_of, _unlisted(workspace)) if run.complete]


def _unlisted(workspace: Workspace) -> list[ModelSection]:
    """The models of runs that competition.toml does not list and `stack` would refuse: they are
    members, with predictions in other views than it asks for."""
    listed = {run.name for run in workspace.competition.runs}
    models = []
    for file in sorted(workspace.oof.glob("*.parquet")):
        folder = workspace.models / file.stem
        if file.stem in listed or not (folder / "run.json").exists():
            continue
        if set(views_of_run(file, folder).values()) != {workspace.competition.views}:
            models.append(read_model(folder))
    return models


def _choose(competition: Competition, names: Sequence[str]) -> Sequence[ModelSection]:
    """The trainings of the models, or of runs, of those names; of all if there are none."""
    if not competition.model:
        raise ConfigError("competition.toml", "has no [[model]]", "add at least one")
    known: dict[str, Sequence[ModelSection]] = {}
    for model in competition.model:
        trainings = model.trainings()
        known[model.name] = trainings
        known |= {training.name: [training] for training in trainings}
    for name in names:
        if name not in known:
            raise ConfigError(
                "competition.toml", f"has no [[model]] named {name!r}", nearest(name, known)
            )
    wanted = names or [model.name for model in competition.model]
    return list({run.name: run for name in wanted for run in known[name]}.values())


def _repeated(file: Path) -> tuple[ModelSection, Speed | None]:
    """The model of a run.json, and how it was trained."""
    if file.name != "run.json":
        raise ConfigError("--from", f"{str(file)!r} is no run.json", "give models/<run>/run.json")
    speed = read_run(file.parent)["circumstances"].get("speed")
    return read_model(file.parent), Speed(**speed) if speed else None


def _check_size(model: ModelSection) -> None:
    fixed = getattr(timm.get_pretrained_cfg(model.backbone), "fixed_input_size", False)
    if fixed and model.progressive < 1:
        raise ConfigError(
            "competition.toml [[model]]",
            f"{model.backbone!r} takes images of one size, and progressive = {model.progressive}",
            "remove progressive, or take another backbone",
        )


def _check_pseudo(competition: Competition, model: ModelSection) -> None:
    known = [run.name for run in competition.runs if run.name != model.name]
    for name in model.pseudo:
        if name not in known:
            raise ConfigError(
                "competition.toml [[model]]",
                f"{model.name!r} takes pseudo-labels from {name!r}, which is no other model",
                nearest(name, known),
            )


def begin_anew(workspace: Workspace, display: Display, names: Sequence[str]) -> None:
    """Begin to train those runs again, aside: what is there stays until they are complete.

    One that was begun before goes on. A ConfigError if training cannot start, a WorkspaceError if
    another process trains a run.
    """
    for run in _runs(workspace, display, Wish(retrain=names), lambda: False) if names else ():
        if run.own.is_retrained:
            continue
        for output in run.outputs:
            for lock in (*output.folder.glob(".*.lock"), *output.aside.glob(".*.lock")):
                with trying(lock) as free:
                    if not free:
                        found = "is being trained by another process"
                        raise WorkspaceError(lock.parent, found, "stop that one first")
        run.check(run.own.aside)
        for output in run.outputs:
            shutil.rmtree(output.aside, ignore_errors=True)
        run.start(anew=True)


def _ordered(
    workspace: Workspace, display: Display, runs: Sequence[Run], seconds: float
) -> list[Run]:
    """The runs by expected gain, those that are done first, with a word on what will fit."""
    left = {run.model.name: run for run in runs if not run.done}
    works = by_gain(
        [estimate(run, run.missing) for run in left.values()],
        _trained_backbones(workspace),
        seconds,
    )
    spent, fit = 0.0, 0
    for work in works:
        spent += work.seconds
        fit += spent <= seconds
    display.say(
        f"train: {fit} of {len(works)} runs should be complete when the time is up, "
        f"in this order: {', '.join(work.run for work in works)}"
    )
    return [run for run in runs if run.done] + [left[work.run] for work in works]


def _trained_backbones(workspace: Workspace) -> list[str]:
    return [
        run.backbone
        for run in workspace.competition.runs
        if (workspace.oof / f"{run.name}.parquet").exists()
    ]


def _share_out(runs: Sequence[Run], display: Display, wish: Wish) -> None:
    """Do all jobs that nobody else is doing; wait for the others, and take over what is left."""
    for run in runs:  # all of them before the first speed is measured
        if not all(map(run.trained, run.jobs)):
            run.check(run.own.folder)
    for run in runs:
        if run.done:
            for output in run.outputs:
                if (output.folder / "run.json").exists():
                    read_run(output.folder)  # a damaged one would stop the stages that follow
            display.say(f"{run.model.name}: done before, nothing to do{_lacking(run)}")
            continue
        run.start()
        if there := sum(map(run.trained, run.jobs)):
            display.say(f"{run.model.name}: {there} of {len(run.jobs)} are there already")
    waiting = [run for run in runs if not run.done]
    told = False
    while waiting:
        busy = [lock for run in waiting for lock in _do_free_jobs(run, wish.folds)]
        for run in list(waiting):
            if wish.members and not run.missing:
                run.finish()
            if run.done or not _wanted(run, wish.folds):
                waiting.remove(run)
        if waiting and busy:
            if not told:
                display.say("train: waiting for another process, which trains the rest")
                told = True
            with holding(busy[0]):
                pass


def _lacking(run: Run) -> str:
    """A phrase on the models of a complete run that are not there, such as after a copy of oof/."""
    jobs = [job for job in run.jobs if not job.weights_file(run.own.folder).exists()]
    if not jobs or run.model.predict == "soup":
        return ""
    name = run.model.name
    return (
        f"; but {len(jobs)} of its {len(run.jobs)} models are not in models/{name}: "
        f"`python -m harness train --retrain {name}` makes them"
    )


def _wanted(run: Run, folds: Sequence[int]) -> list[Job]:
    return [job for job in run.missing if not folds or job.number in folds]


def _do_free_jobs(run: Run, folds: Sequence[int]) -> list[Path]:
    """Do the run's missing jobs one by one; the locks of those that another process does."""
    busy: list[Path] = []
    for job in _wanted(run, folds):
        if job.fold is None and busy and run.model.patience:
            break  # the refit trains for as many epochs as the fold models needed
        lock = job.lock_file(run.own.folder)
        with trying(lock) as free:
            if not free:
                busy.append(lock)
            elif run.lacks(job):
                if run.stopping():
                    raise Stopped
                run.do(job)
    return busy
