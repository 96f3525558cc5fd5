"""Consent to run the code that a workspace brings, kept outside of it in the user's own folder.

A file for each workspace that this user created, and for each code that may run: its name is the
digest, its content says for a reader what that is of. Removing it takes the consent back.
"""

import os
from contextlib import suppress
from pathlib import Path
from shlex import quote

from harness.errors import ConfigError
from harness.files import digest, write_text


def require_consent(workspace: Path, name: str, source: str) -> None:
    """Raise a ConfigError unless code of that name and digest may run.

    It may in a workspace that this user created, and wherever it was allowed as it is now.
    """
    asked = (digest(name, source), _place(workspace))
    if not any((_folder() / one).is_file() for one in asked):
        raise ConfigError(
            f"{workspace.resolve() / 'competition.toml'}",
            f"names code to run, {name}, and you did not create this workspace",
            f"read that code; if it may run: `python -m harness trust {quote(str(workspace))}`",
        )


def allow(name: str, source: str) -> None:
    """Let the code of that name and digest run, wherever it is."""
    write_text(_folder() / digest(name, source), f"code {name}\n")


def keep_as_own(workspace: Path) -> None:
    """Note that this user created the workspace; where that cannot be noted, it will be asked."""
    with suppress(ConfigError, OSError):
        write_text(_folder() / _place(workspace), f"workspace {str(workspace.resolve())!a}\n")


def _place(workspace: Path) -> str:
    """Another folder, at the same place later, is another workspace."""
    return digest("workspace", os.fsencode(workspace.resolve()), str(workspace.stat().st_ino))


def _folder() -> Path:
    given = Path(os.environ.get("APPDATA" if os.name == "nt" else "XDG_CONFIG_HOME") or "~/.config")
    with suppress(RuntimeError):  # there is no home
        given = given.expanduser()
    if not given.is_absolute():  # it would lie in the workspace
        raise ConfigError(
            "consent", "there is no home folder to keep it in", "set HOME to a whole path"
        )
    return given / "competition-harness" / "trusted"
