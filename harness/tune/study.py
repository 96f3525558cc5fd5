"""The study: where trials are kept, so that several processes and machines share them."""

import os
import platform
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import optuna
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler
from optuna.storages import (
    BaseStorage,
    JournalStorage,
    RDBStorage,
    RetryHeartbeatStaleTrialCallback,
)
from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState
from sqlalchemy import URL
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from harness.errors import ConfigError
from harness.files import cut_torn_line, database_to_write, require_file
from harness.locks import holding, trying
from harness.tune.methods import pruner, sampler
from harness.tune.setup import Setup

HEARTBEAT, GRACE = 60, 180
"""Seconds: how often a trial on a server says that it lives, and when the others give it up."""


def open_study(setup: Setup) -> Study:
    """The study in its storage, made if it is not there; a ConfigError if that cannot be opened."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    rules = sampler(setup.section, setup.axes), pruner(setup.section.pruner, len(setup.choosing))
    try:
        with holding(setup.folder / ".locks" / "open.lock"):
            try:
                return _open(setup, *rules)
            except IntegrityError:  # another machine made the same tables at the same moment
                return _open(setup, *rules)
    except (SQLAlchemyError, ImportError, OSError) as error:
        said = str(error).strip().splitlines()[:1] or [type(error).__name__]
        raise ConfigError(
            "competition.toml [tune] storage", f"cannot be opened ({said[0]})", "mend it"
        ) from error


def _open(setup: Setup, sampler: BaseSampler, pruner: BasePruner) -> Study:
    return optuna.create_study(
        storage=_storage(setup.section.storage, setup.workspace.root),
        study_name=setup.name,
        sampler=sampler,
        pruner=pruner,
        load_if_exists=True,
    )


def _storage(where: str, root: Path) -> BaseStorage:
    given, where = where, os.path.expandvars(where)
    scheme, colon, rest = where.partition(":")
    in_file = "://" not in where or (scheme.startswith("sqlite") and rest.strip("/"))
    if in_file and where == given and (Path(where).is_absolute() or Path(rest).is_absolute()):
        found = f"storage = {given!r} lies outside of the workspace"
        raise ConfigError("competition.toml [tune]", found, "name a file in it, or a variable")
    if "://" not in where:
        path = database_to_write(root / (rest if scheme == "journal" and colon else where))
        require_file(path)
        if scheme == "journal" and colon:
            lock = JournalFileSymlinkLock(str(path))
            backend = JournalFileBackend(str(path), lock)
            lock.acquire()
            try:
                with path.open("r+b") as stream:  # as a full disk leaves it
                    cut_torn_line(stream)
            finally:
                lock.release()
            return JournalStorage(backend)
        # a writer waits for the others instead of failing
        url = URL.create("sqlite", database=str(path)).render_as_string()  # with ? and {} escaped
        return RDBStorage(url, engine_kwargs={"connect_args": {"timeout": 60}})
    if scheme.startswith("sqlite"):
        return RDBStorage(where, engine_kwargs={"connect_args": {"timeout": 60}})
    with _experimental():
        return RDBStorage(
            where,
            engine_kwargs={"poolclass": NullPool},  # none outlives a trial of hours
            heartbeat_interval=HEARTBEAT,
            grace_period=GRACE,
            heartbeat_stale_trial_callback=RetryHeartbeatStaleTrialCallback(),
        )


def trial_lock(setup: Setup, number: int) -> Path:
    """Held by the process that does the trial."""
    return setup.folder / ".locks" / f"{setup.name}-{number}.lock"


def ask_lock(setup: Setup) -> Path:
    """Held while a trial is begun, so that none is begun twice on a machine."""
    return setup.folder / ".locks" / f"{setup.name}.lock"


@contextmanager
def claimed(setup: Setup, trial: Trial) -> Iterator[None]:
    """The trial is this process's as long as the context."""
    with holding(trial_lock(setup, trial.number)):
        # a trial that is tried again inherits the attribute, and is known by the number
        trial.set_user_attr("claim", [_here(setup), trial.number])
        yield


def revive(setup: Setup, study: Study) -> None:
    """Queue the running trials once more whose process died or left them.

    On this machine they are known by their locks, and keep their number: a sampler draws by it.
    On others a server has not heard of them for long, and a copy is queued. Optuna looks for those
    before each trial, too, but nobody may be about to begin one.
    """
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        if not is_here(setup, trial):
            continue
        with trying(trial_lock(setup, trial.number)) as free:
            # a process lets go of the lock when its trial is told: so look again, holding it
            now = study.get_trials(deepcopy=False)[trial.number]
            if free and now.state == TrialState.RUNNING:
                study._storage.set_trial_state_values(now._trial_id, TrialState.WAITING)
    with _experimental():
        optuna.storages.fail_stale_trials(study)


def is_here(setup: Setup, trial: FrozenTrial) -> bool:
    """Whether a running trial is one of this machine's processes in this workspace."""
    claim = trial.user_attrs.get("claim")
    if claim is None or claim[1] != trial.number:  # begun this moment, or dead before it could say
        server = "://" in setup.section.storage and not setup.section.storage.startswith("sqlite")
        return not server
    return bool(claim[0] == _here(setup))


def _here(setup: Setup) -> str:
    return f"{platform.node()}:{setup.workspace.root.resolve()}"


@contextmanager
def _experimental() -> Iterator[None]:
    """Optuna calls its heartbeats experimental; that is for us to know."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        yield
