"""Spans of time and sizes of memory as people write them."""

import pytest

from harness.durations import parse_duration, parse_size
from harness.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("60", 60), ("60s", 60), (" 2 m ", 120), ("2min", 120), ("1.5h", 5400), (".5S", 0.5)],
)
def test_spans(text: str, seconds: float) -> None:
    assert parse_duration(text, "--budget") == seconds


@pytest.mark.parametrize("text", ["", "0", "0s", "-5", "5 parsecs", "1e999", "nan", "1h30m"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="--budget"):
        parse_duration(text, "--budget")


@pytest.mark.parametrize(
    ("text", "size"), [("16G", 2**34), ("16 GiB", 2**34), ("800m", 800 * 2**20), ("7", 7)]
)
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text, "--memory") == size


@pytest.mark.parametrize("text", ["", "0", "-1G", "G", "16 boxes"])
def test_no_sizes(text: str) -> None:
    with pytest.raises(ConfigError, match="--memory"):
        parse_size(text, "--memory")
