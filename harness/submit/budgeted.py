"""A submission within a budget of seconds that count from the process's start.

Two processes. ``promise`` imports nothing heavy: it writes the prior, starts the other one and ends
it if it must. ``predict_within`` is the other one: it follows the plan and replaces the file.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.display import Display
from harness.errors import ConfigError, Told, WorkspaceError
from harness.estimate import Estimate
from harness.files import digest, file_digest
from harness.predict.plan import Plan, Plans
from harness.records import read_record
from harness.submit.guard import KILLED, guard, remove_temporaries
from harness.submit.prior import prior_submission
from harness.workspace import Workspace
from harness.workspace.ensemble import Ensemble
from harness.workspace.submissions import (
    Sidecar,
    new_sidecar,
    read_sidecar,
    sidecar_path,
    write_submission,
)

if TYPE_CHECKING:  # the promising process does without what these import
    from harness.predict.cost import CostSheet
    from harness.predict.plan import Combine
    from harness.submit.follow import Engine, Predictions
    from harness.submit.rows import TestRows
    from harness.submit.runner import Combine as Blend

LAST_STEPS = 0.3
"""Seconds that the ledger and leaving the interpreter take on an idle machine …"""
OF_START = 0.25
"""… and of those that starting took, which says how busy the machine is."""
LEAVE = 0.1
"""Seconds that the predicting process keeps between its last write and that moment."""


MOST_TOLD = 20
"""Unreadable rows that are told one by one: a line for each of a million takes minutes."""
UNWRITTEN = 4
"""The predicting process's exit code if its last file could not be written."""


@dataclass(frozen=True)
class Promised:
    """What came of it: the file, its sidecar, whether it was made now, and how it ended."""

    path: Path
    sidecar: Sidecar
    made: bool
    ending: str | None
    """Why it was cut short, as a sentence; None if the plan was completed."""
    died: bool = False
    """Whether the predicting process failed, rather than ran out of time."""


def promise(
    workspace: Workspace,
    ensemble: Ensemble,
    *,
    name: str | None,
    budget: float,
    started: float,
    clock: Callable[[], float],
    command: Callable[[Path, str, float], Sequence[str]],
) -> Promised:
    """A complete, valid file before ``started + budget`` on ``clock``, as good as time allows.

    ``command`` (the file, the digest of what it is made of, the seconds since the start when it
    must be done) starts the predicting process. Exit code 2 of it, which has printed why, is raised
    as Told; the file of priors stays. ConfigError, before anything is written, if not even that
    file can stand in time.
    """
    competition = workspace.competition
    nothing = read_plans(workspace, ensemble)[0]  # the cheapest plan: every row has the prior
    last = LAST_STEPS + OF_START * (begun := clock() - started)
    text, rows = prior_submission(
        competition,
        workspace.root,
        ensemble.targets,
        ensemble.decided_prior,
        lambda: _require_time(budget, clock() - started + last),
    )
    inputs = digest(
        ensemble.digest,
        f"{budget:g} {competition.data.rendering.key}",
        text,
        file_digest(plans_file(workspace)),
    )
    name = name or f"{ensemble.method}-{ensemble.digest[:8]}-{budget:g}s"
    path = workspace.submissions / f"{name}.csv"
    stored = read_sidecar(path)
    if stored is not None and stored.inputs != inputs:
        stored = None
    if stored is not None and stored.completed:
        return Promised(path, stored, False, None)

    built = clock() - started
    if stored is None:  # what an earlier, shorter run has written is better than the prior
        # to write the rows takes about as long as it took to read them and to join the text
        _require_time(budget, built + (built - begun) + last)
        believed = _believed(nothing.score, nothing.error)
        stored = replace(
            _sidecar(ensemble, believed, rows, budget, inputs), seconds=round(built, 3)
        )
        write_submission(path, text, stored)
    last += clock() - started - built  # the last steps read what this wrote
    del text
    code: int | None = None
    unstarted: OSError | None = None
    try:
        if (until := budget - last) - LEAVE > clock() - started:
            code = guard(command(path, inputs, until - LEAVE), until=started + until)
    except OSError as error:  # such as the most processes that there may be
        unstarted = error
    finally:  # whoever is asked to end leaves a whole file and no other
        remove_temporaries(path)
        remove_temporaries(sidecar_path(path))
    if code == 2:
        raise Told(path, "has only the prior in every row", "mend what is said above")
    # ended between the file and its sidecar: nobody knows what its rows got
    sidecar = read_sidecar(path) or replace(stored, member_sets=(), row_sets=())
    sidecar = replace(sidecar, seconds=round(clock() - started, 3))
    if unstarted is not None:
        said = f"the predicting process cannot be started ({unstarted}): {_got(sidecar)}"
        return Promised(path, sidecar, True, said, died=True)
    died = code not in (None, 0, 3, KILLED)
    return Promised(path, sidecar, True, _ending(code, sidecar), died)


def _require_time(budget: float, needed: float) -> None:
    """Raise a ConfigError if the first file and the last steps need more than there is."""
    if needed > budget:
        found = f"{budget:g} s cannot be promised: for these test rows this machine, as busy as it"
        found += f" is now, needs {needed:.1f} s or more"
        raise ConfigError("the budget", found, "give more")


def predict_within(
    workspace: Workspace,
    ensemble: Ensemble,
    plan: Plan,
    sheet: "CostSheet",
    blend: "Blend",
    combine: "Combine",
    rows: "TestRows",
    path: Path,
    display: Display,
    *,
    inputs: str,
    budget: float,
    deadline: float,
    elapsed: Callable[[], float],
) -> int:
    """Follow the plan until its end or ``deadline``, in seconds; return the exit code.

    0: the plan was completed; 3: it was cut short; UNWRITTEN: the last file could not be written.

    ``elapsed`` is the seconds since the promising process's start. ``blend`` is the ensemble's
    own, for rows that get all of its members from the plan of the whole ensemble; ``combine`` the
    plan's, for all others.
    """
    import numpy as np

    from harness.predict.cost import averaging_sentence
    from harness.submit.follow import Progress, combined, follow
    from harness.submit.rows import submission_text

    members = [stage.member for stage in plan.stages]
    used = [stage for stage in plan.stages if stage.share]
    loading = sum(stage.fixed_seconds for stage in used)
    loading += plan.costs.imports(stage.runtime for stage in used)
    predicting = plan.seconds - plan.costs.base - loading
    predicted = {"start": plan.costs.start, "load": loading, "predict": predicting}
    predicted = {k: round(s, 3) for k, s in {**predicted, "write": plan.costs.write}.items()}
    given = _given(workspace, ensemble, plan, rows.ids)
    unwritten: list[OSError] = []

    def write(progress: Progress) -> None:
        predictions = plan.decision.apply(combined(plan, progress, combine))
        cube = np.full((len(ensemble.members), *predictions.shape), np.nan, np.float32)
        for stages, some in progress.groups:
            found, means = plan.by_member(stages, progress.predictions[list(stages)][:, some])
            if plan.whole and set(found) >= set(ensemble.used):
                for member, mean in zip(found, means, strict=True):
                    cube[ensemble.members.index(member), some] = mean
                blended = blend(cube[:, some], rows.metadata_of(some))
                predictions[some] = ensemble.decision.apply(blended)
        text = submission_text(workspace, path, rows, ensemble, predictions)
        unwritten.clear()
        try:
            write_submission(path, text, describe(progress))
        except OSError as error:  # such as a full disk, which may have room the next time
            unwritten.append(error)

    def describe(progress: Progress) -> Sidecar:
        sets = [
            tuple(dict.fromkeys(members[stage] for stage in stages))
            for stages, _ in progress.groups
        ]
        place = np.zeros(len(rows.ids), dtype=int)
        for number, (_, some) in enumerate(progress.groups):
            place[some] = number
        score = plan.score
        if not progress.completed:
            score = plan.score_of({stages: len(some) for stages, some in progress.groups})
        return replace(
            _sidecar(ensemble, _believed(score, plan.error), len(rows.ids), budget, inputs),
            members=tuple(dict.fromkeys(member for one in sets for member in one)),
            prior_rows=tuple(str(rows.ids[row]) for row in sorted(progress.unreadable)),
            seconds=round(elapsed(), 3),
            completed=progress.completed and not progress.unreadable,
            member_sets=tuple(sets),
            row_sets=tuple(place.tolist()),
            spent={kind: round(seconds, 3) for kind, seconds in progress.spent.items()},
            predicted=predicted,
            planned_at=progress.planned_at,
            averaging=averaging_sentence(plan, sheet),
        )

    with display.progress("predicting", len(rows.paths)) as advance:
        progress = follow(
            plan,
            rows.paths,
            stage_loader(workspace, plan, sheet),
            given,
            combine,
            write,
            deadline=deadline,
            clock=elapsed,
            rendering=workspace.competition.data.rendering,
            warn=lambda message: display.say(f"warning: {message}"),
            advance=advance,
        )
    for row, reason in islice(progress.unreadable.items(), MOST_TOLD):
        display.say(f"warning: {rows.ids[row]} gets the prior: {reason}")
    if (more := len(progress.unreadable) - MOST_TOLD) > 0:
        display.say(f"warning: {more:,} further rows get the prior")
    for error in unwritten:
        display.say(f"warning: the last good file stays, a better one was not written: {error}")
    if unwritten:
        return UNWRITTEN
    return 0 if progress.completed and not progress.unreadable else 3


def plans_file(workspace: Workspace) -> Path:
    """Where the plans for every budget are kept."""
    return workspace.models / "ensemble" / "plans.json"


def costs_file(workspace: Workspace) -> Path:
    """Where the measured seconds are kept."""
    return workspace.models / "ensemble" / "costs.json"


def read_plans(workspace: Workspace, ensemble: Ensemble) -> tuple[Plan, ...]:
    """The stored plans, cheapest first; a WorkspaceError if they are of another ensemble."""
    path, fix = plans_file(workspace), "run `python -m harness cost`"
    stored = read_record(Plans, path, missing="there are no plans yet", fix=fix)
    if stored.ensemble != ensemble.digest:
        raise WorkspaceError(path, "was made for another ensemble", fix)
    return stored.plans


def stage_loader(workspace: Workspace, plan: Plan, sheet: "CostSheet") -> Callable[[int], "Engine"]:
    """Return a function that makes a stage ready; models that are loaded are used again."""
    from harness.predict.engines import ENGINES, load_engine, open_run
    from harness.predict.views import InViews, plan_views

    views = plan_views(workspace.competition)
    engines: dict[tuple[str, ...], Any] = {}
    costs = {(one.member, one.cost.engine): one for one in sheet.members}

    def load(stage: int) -> "Engine":
        wanted, found = plan.stages[stage], []
        cost = costs[wanted.member, wanted.engine]
        run = open_run(workspace.models / wanted.member)
        weights = cost.weights[slice(*wanted.models)]
        # heads on one backbone are one engine
        for some in [weights] if cost.shared else [(one,) for one in weights]:
            key = (wanted.member, *some)
            if key not in engines:
                engines[key] = load_engine(
                    ENGINES[wanted.engine],
                    run,
                    some,
                    workspace.models / "ensemble" / "engines",
                    batch=cost.cost.batch,
                )
                engines[key].warm_up()
            found.append(engines[key])
        return InViews(found, views[slice(*wanted.views)])

    return load


def _given(
    workspace: Workspace, ensemble: Ensemble, plan: Plan, ids: Any
) -> Mapping[int, "Predictions"]:
    """The predictions of stages that another tool has made."""
    from harness.workspace.oof import given_file, read_predictions

    files = {
        stage: given_file(workspace.oof, one.member, "test")
        for stage, one in enumerate(plan.stages)
    }
    return {
        stage: read_predictions(file, ids, ensemble.targets, workspace.competition.task)
        for stage, file in files.items()
        if file.exists()
    }


def _believed(score: float, error: float) -> Estimate:
    return Estimate(score, score - 1.96 * error, score + 1.96 * error)


def _sidecar(
    ensemble: Ensemble, believed: Estimate, rows: int, budget: float, inputs: str
) -> Sidecar:
    """Of a file that has the prior in every row."""
    return replace(
        new_sidecar(ensemble, believed, rows, inputs=inputs, budget_seconds=budget),
        method="plan",
        members=(),
        completed=False,
        member_sets=((),),
        row_sets=(0,) * rows,
    )


def _ending(code: int | None, sidecar: Sidecar) -> str | None:
    if sidecar.completed and code in (0, KILLED):  # maybe in what was left over
        return None
    if code is None:
        return f"no time was left to predict in: {_got(sidecar)}"
    if not sidecar.row_sets:
        return (
            "the time was up while the file was replaced: it is whole, who predicted is not noted"
        )
    if code == KILLED:
        return f"the time was up: {_got(sidecar)}"
    if code == 3:
        return f"the plan was cut short: {_got(sidecar)}"
    if code == UNWRITTEN:
        return f"a better file could not be written: {_got(sidecar)}"
    return f"the predicting process died (exit code {code}): {_got(sidecar)}"


def _got(sidecar: Sidecar) -> str:
    """Say how many rows were predicted."""
    reached = sum(1 for one in sidecar.row_sets if sidecar.member_sets[one])
    if reached == sidecar.rows:
        return "every row was predicted, some by fewer members than planned"
    if not reached:
        return "every row has the prior"
    return f"{reached} of {sidecar.rows} rows were predicted, the others have the prior"
