"""The only reader and writer of folds/, models/, oof/ and submissions/."""

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from harness.competition import FILE_NAME, Competition, load_competition
from harness.errors import WorkspaceError
from harness.files import protect, require_file

OWN = ("audit", "folds", "kernel", "models", "oof", "submissions", "tune", ".cache")
"""The folders that hold nothing but files which the harness reads or writes."""


@dataclass(frozen=True)
class Workspace:
    """A folder with a competition.toml, and where its stages keep their files."""

    root: Path
    competition: Competition

    @classmethod
    def open(cls, root: Path) -> "Workspace":
        """The workspace in that folder; a ConfigError if its competition.toml is not sound.

        A DataError if a pipe or a device lies where its stages keep their files.
        """
        workspace = cls(root, load_competition(root / FILE_NAME))
        workspace._require_files()
        protect(root)
        return workspace

    def _require_files(self) -> None:
        """Here, and not where a file is opened: libraries open some, and might wait for ever."""
        waiting, seen = [str(self.root / name) for name in OWN], set()
        while waiting:
            folder = waiting.pop()
            if (place := os.path.realpath(folder)) in seen:  # links may lead in a circle
                continue
            seen.add(place)
            with suppress(OSError):  # what cannot be listed is told by who needs it
                for entry in list(os.scandir(folder)):
                    if entry.is_dir():
                        waiting.append(entry.path)
                    elif not entry.is_file():
                        require_file(Path(entry.path))

    def data_to_fill(self) -> Path:
        """data/, to lay files out in; a WorkspaceError if it is a link to other people's files."""
        folder = self.root / "data"
        if folder.is_symlink():
            found = f"is a link to {folder.resolve()}, where nothing is ever written"
            raise WorkspaceError(folder, found, "remove the link")
        return folder

    @property
    def folds(self) -> Path:
        """folds.csv and folds.json."""
        return self.root / "folds"

    @property
    def models(self) -> Path:
        """One folder a run, and ensemble/."""
        return self.root / "models"

    @property
    def oof(self) -> Path:
        """Out-of-fold predictions, one Parquet file a run."""
        return self.root / "oof"

    @property
    def submissions(self) -> Path:
        """Submissions with their sidecars, and the ledger."""
        return self.root / "submissions"

    @property
    def board(self) -> Path:
        """The ledger."""
        return self.submissions / "board.sqlite"

    @property
    def cache(self) -> Path:
        """What can be made again: decoded images and features."""
        return self.root / ".cache"
