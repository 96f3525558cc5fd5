"""models/ensemble/: the members, how they are combined, and how good that is."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from harness.errors import WorkspaceError
from harness.files import digest, write_text


@dataclass(frozen=True)
class Score:
    """One row of the table of methods; ``low`` and ``high`` bound 95 %."""

    method: str
    nested: float
    low: float
    high: float
    in_sample: float
    seconds: float
    indistinguishable_from: tuple[str, ...] = ()


@dataclass(frozen=True)
class Ensemble:
    """The chosen combination. ``blend`` is what harness.stack makes a Blend from.

    ``members`` are all that were combined, in the blend's order; ``used`` those that matter.
    ``member_scores`` are their own OOF scores. ``inputs`` is the digest of all that it came from.
    """

    method: str
    metric: str
    members: tuple[str, ...]
    used: tuple[str, ...]
    targets: tuple[str, ...]
    member_scores: tuple[float, ...]
    member_seconds: tuple[float, ...]
    scores: tuple[Score, ...]
    blend: dict[str, Any]
    prior: tuple[float, ...]
    folds: str
    inputs: str

    @property
    def chosen(self) -> Score:
        """The chosen method's row."""
        return next(score for score in self.scores if score.method == self.method)

    @property
    def digest(self) -> str:
        """Changes with the members and with the way they are combined."""
        return digest(self.inputs, self.method, json.dumps(self.blend, sort_keys=True))


def write_ensemble(folder: Path, ensemble: Ensemble) -> None:
    """Write ensemble.json."""
    text = json.dumps(asdict(ensemble), indent=2, ensure_ascii=False)
    write_text(folder / "ensemble.json", text + "\n")


def read_ensemble(folder: Path) -> Ensemble:
    """The stored ensemble; a WorkspaceError if there is none or it is damaged."""
    path = folder / "ensemble.json"
    fix = "run `python -m harness stack`"
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        values["scores"] = tuple(Score(**_tuples(score)) for score in values["scores"])
        return Ensemble(**_tuples(values))
    except FileNotFoundError:
        raise WorkspaceError(path, "there is no ensemble yet", fix) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WorkspaceError(path, f"is damaged ({error})", fix) from error


def _tuples(values: dict[str, Any]) -> dict[str, Any]:
    return {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
