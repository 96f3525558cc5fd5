"""What every table of competition.toml has in common."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, Strict

# A name becomes a file name on every system, so it is plain and short.
SafeName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]
Strings = Annotated[tuple[str, ...], Strict(False)]


class Section(BaseModel):
    """A table of competition.toml: no unknown keys, no silent conversions, no later changes, and
    only finite numbers."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)
