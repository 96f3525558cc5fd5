"""A trained run as engines see it: a few networks, each with its files."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import WorkspaceError
from harness.files import digest, file_digest
from harness.model import ModelSection
from harness.workspace.runs import fold_files, read_model, read_run, refit_file, retrain, soup_file


@dataclass(frozen=True)
class Run:
    """models/<run>/: how it was trained, how many targets it predicts, and its models.

    ``weights`` are the names of their files: fold models by number, then a soup or a refit.
    """

    folder: Path
    model: ModelSection
    targets: int
    weights: tuple[str, ...]
    task: str = "multiclass"

    @property
    def shares_backbone(self) -> bool:
        """Whether more models cost nothing: one frozen backbone serves all their heads."""
        return self.model.mode == "probe"


@dataclass(frozen=True)
class Part:
    """One network of a run, with the heads of the models that share it.

    ``wanted`` are the positions, among its heads, of the models asked for.
    """

    run: Run
    weights: tuple[str, ...]
    wanted: tuple[int, ...]

    @property
    def files(self) -> list[Path]:
        """The weights of its heads or, where there is no shared backbone, of the one network."""
        return [self.run.folder / name for name in self.weights]

    def content(self) -> str:
        """The digest of all that decides what the network answers."""
        files = self.files
        if self.run.shares_backbone:
            files = [self.run.folder / "backbone.safetensors", *files]
        model = self.run.model
        return digest(
            model.backbone,
            model.mode,
            str(model.image_size),
            str(self.run.targets),
            str(model.channels),
            self.run.task,
            *map(file_digest, files),
        )


def open_run(folder: Path) -> Run:
    """The run in ``folder``; a WorkspaceError if it is damaged or has no models."""
    identity, model = read_run(folder)["identity"], read_model(folder)
    others = [path for path in (soup_file(folder), refit_file(folder)) if path.exists()]
    weights = tuple(path.name for path in [*fold_files(folder), *others])
    if not weights:
        raise WorkspaceError(folder, "holds no fold models", "run `python -m harness train`")
    return Run(folder, model, len(identity["targets"]), weights, identity["task"])


def parts(run: Run, weights: Sequence[str]) -> list[Part]:
    """The networks that hold those models: one each, or one for all where they share it."""
    for name in weights:
        if name not in run.weights or not (run.folder / name).is_file():
            raise WorkspaceError(run.folder / name, "is missing", retrain(run.folder))
    if not weights:
        raise ValueError("an engine needs at least one model")
    if run.shares_backbone:
        return [Part(run, run.weights, tuple(run.weights.index(name) for name in weights))]
    return [Part(run, (name,), (0,)) for name in weights]
