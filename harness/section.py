"""What every table of competition.toml has in common."""

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Strict, field_validator

_WINDOWS_DEVICE = re.compile("(con|prn|aux|nul|com[0-9]|lpt[0-9])", re.I)


def safe_name(name: str) -> str:
    """The name, if it can be a file name on every system; else a ValueError says what can."""
    if not re.fullmatch("[A-Za-z0-9][A-Za-z0-9_-]{0,63}", name) or _WINDOWS_DEVICE.fullmatch(name):
        raise ValueError(
            f"{name[:80]!r} cannot be a file's name on every system; "
            "use at most 64 letters, digits, _ and -, a letter or digit first"
        )
    return name


SafeName = Annotated[str, AfterValidator(safe_name)]
Strings = Annotated[tuple[str, ...], Strict(False)]


class Section(BaseModel):
    """A table of competition.toml: no unknown keys, no silent conversions, no later changes, and
    only finite numbers."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    @field_validator("*")
    @classmethod
    def _has_numbers_of_32_bits(cls, value: Any) -> Any:
        """Networks compute with such numbers: others would be infinite there, or nothing."""
        for number in value if isinstance(value, tuple) else [value]:
            if isinstance(number, float) and number and not 1e-30 <= abs(number) <= 1e12:
                raise ValueError(
                    f"{number:g} is no number to compute with; use 0, or 1e-30 to 1e12"
                )
        return value
