"""The exceptions that the harness raises on purpose.

    HarnessError
    └── UserError           the user can mend it: exit code 2, one line, no traceback
        ├── ConfigError     competition.toml says something that cannot be meant
        ├── DataError       tables, labels, images or submissions that do not fit
        ├── WorkspaceError  what another stage should have written is missing, stale or damaged
        ├── ResourceError   the machine has not enough: memory, disk, numbers that stay finite
        └── KaggleError     Kaggle refused, failed or could not be reached
            ├── Busy        it did nothing yet: asking again is safe
            └── Unanswered  nobody knows whether it did what it was asked

Everything else that escapes is a bug: exit code 1, with its traceback kept in a file.
"""

import difflib
import errno
from collections.abc import Iterable


class HarnessError(Exception):
    """Base of every exception that the harness raises on purpose."""


class UserError(HarnessError):
    """Something the user can mend: where it is, what was found there, what to do about it."""

    def __init__(self, where: object, found: str, fix: str) -> None:
        super().__init__(where, found, fix)
        self.where = str(where)
        self.found = found
        self.fix = fix

    def __str__(self) -> str:
        return f"{self.where}: {self.found}; {self.fix}"


class ConfigError(UserError):
    """competition.toml says something that cannot be meant."""


class DataError(UserError):
    """Tables, labels, images or submissions that do not fit."""


class WorkspaceError(UserError):
    """What another stage should have written is missing, stale or damaged."""


class ResourceError(UserError):
    """The machine has not enough for it: memory, disk, the range of its numbers."""


class KaggleError(UserError):
    """Kaggle refused, failed or could not be reached."""


class Busy(KaggleError):
    """Kaggle has not begun to do what it was asked: asking again is safe."""

    def __init__(self, where: object, found: str, fix: str, pause: float = 0.0) -> None:
        super().__init__(where, found, fix)
        self.pause = pause
        """Seconds that it asked to wait."""


class Unanswered(KaggleError):
    """Nobody knows whether Kaggle did what it was asked: look before asking again."""


_SYSTEM_FIXES = {
    errno.ENOSPC: "make room on its disk",
    errno.EDQUOT: "make room: the quota is used up",
    errno.EROFS: "its disk is read-only: work in a copy on another one",
    errno.EACCES: "change its permissions",
    errno.EPERM: "change its permissions",
    errno.ENOTDIR: "move away the file that stands where a folder is meant",
    errno.EISDIR: "move away the folder that stands where a file is meant",
    errno.EEXIST: "move away what stands there",
    errno.ELOOP: "remove that link, which leads to itself",
    errno.ENAMETOOLONG: "choose a shorter name",
}
"""What the user can do about an error of the operating system; any other is a bug of ours."""


def as_user_error(error: Exception) -> UserError | None:
    """What the user can mend of any exception; None if it is a bug."""
    if isinstance(error, UserError):
        return error
    if not isinstance(error, OSError) or error.errno not in _SYSTEM_FIXES:
        return None
    where = str(error.filename or "a file")
    if len(where) > 300:
        where = f"{where[:200]}… ({len(where):,} characters)"
    reason = error.strerror or type(error).__name__
    return ResourceError(where, f"cannot be read or written ({reason})", _SYSTEM_FIXES[error.errno])


def nearest(word: str, known: Iterable[str], *, count: int = 1) -> str:
    """A phrase that names the known words closest to ``word``.

    >>> nearest("metrik", ["metric", "task"])
    "did you mean 'metric'?"
    >>> nearest("leak", ["blank", "leak_train_test"])
    "did you mean 'leak_train_test'?"
    >>> nearest("RMSE", ["log_loss", "rmse"])
    "did you mean 'rmse'?"
    >>> nearest("zzz", ["metric", "task"])
    'known: metric, task'
    """
    known = list(known)
    close = [name for name in known if name.lower() == word.lower()]
    close = close or [name for name in known if len(word) > 2 and name.startswith(word)][:count]
    close = close or difflib.get_close_matches(word, known, n=count, cutoff=0.6)
    if close:
        return f"did you mean {' or '.join(map(repr, close))}?"
    listed = ", ".join(known[:20])
    return f"known: {listed}{', …' if len(known) > 20 else ''}"
