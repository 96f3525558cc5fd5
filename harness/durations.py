"""Spans of time and sizes of memory as people write them."""

import math
import re

from harness.errors import ConfigError

_SIZES = {"": 1.0, "k": 2.0**10, "m": 2.0**20, "g": 2.0**30, "t": 2.0**40}
_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}


def parse_duration(text: str, where: str) -> float:
    """Seconds of "60", "60s", "2m", "1.5h"; a ConfigError that names ``where`` for anything else.

    >>> parse_duration("1.5h", "--budget")
    5400.0
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*([a-z]*)\s*", text.lower())
    if match and match[2] in _UNITS:
        seconds = float(match[1]) * _UNITS[match[2]]
        if math.isfinite(seconds) and seconds > 0:
            return seconds
    raise ConfigError(where, f"{text!r} is no span of time", "write 90, 90s, 2m or 1.5h")


def format_duration(seconds: float) -> str:
    """A span for people.

    >>> [format_duration(s) for s in (4.2, 75, 5400)]
    ['4 s', '1 min 15 s', '1 h 30 min']
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def parse_size(text: str, where: str) -> int:
    """Bytes of "800M", "16G", "16GB"; a ConfigError that names ``where`` for anything else.

    >>> parse_size("1.5G", "--memory")
    1610612736
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d*)?)\s*([kmgt]?)i?b?\s*", text.lower())
    if match and float(match[1]) > 0 and math.isfinite(float(match[1])):
        return int(float(match[1]) * _SIZES[match[2]])
    raise ConfigError(where, f"{text!r} is no size of memory", "write 16G or 800M")
