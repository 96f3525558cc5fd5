"""The study's trials as rows, and what Optuna says of their settings."""

import math
import warnings

import optuna
from optuna.study import Study
from optuna.trial import TrialState

from harness.tune.methods import decoded, last_loss
from harness.tune.search import folds_done
from harness.tune.setup import Setup
from harness.tune.tables import Row

STATES = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.RUNNING: "running",
    TrialState.WAITING: "waiting",
    TrialState.FAIL: "died",
}


def rows_of(setup: Setup, study: Study) -> list[Row]:
    """The study's trials, as they stand in its storage now."""
    rows = []
    for trial in study.get_trials(deepcopy=False):
        loss = last_loss(trial)
        rows.append(
            Row(
                number=trial.number,
                run=trial.user_attrs.get("run", ""),
                state=STATES[trial.state],
                values=decoded(setup.axes, trial.params),
                loss=loss if math.isfinite(loss) else math.nan,
                folds=folds_done(trial),
                seconds=trial.user_attrs.get("seconds", 0.0),
                why=trial.user_attrs.get("why", ""),
            )
        )
    return rows


def importances(study: Study) -> dict[str, float]:
    """Each setting's share in the differences between complete trials; empty if they are too few.

    By functional ANOVA (Hutter et al. 2014), which Optuna computes.
    """
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if len({trial.value for trial in complete}) < 2:
        return {}
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
    with warnings.catch_warnings():  # a setting with one value has no share, and says so at length
        warnings.simplefilter("ignore")
        return dict(optuna.importance.get_param_importances(study, evaluator=evaluator))
