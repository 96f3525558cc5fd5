"""The winner in competition.toml: all that was there stays."""

from pathlib import Path

import pytest

from harness.competition import load_competition
from harness.tune.apply import apply, with_model

TEXT = """\
# ours
[[model]]
name = "a"   # the first
backbone = "resnet18"  # small
seeds = [3, 4]

lr = 1e-3

# kept apart
[stack]
methods = ["mean"] # enough
"""


def test_all_that_was_there_stays_byte_for_byte() -> None:
    after = with_model(TEXT, "a", "a-1", {"lr": 0.02, "augment": ("hflip", "crop")}, "tuned")
    before, rest = TEXT.split("\n# kept apart")
    added = """
[[model]]
# tuned
name = "a-1"
backbone = "resnet18"
lr = 0.02
seed = 3
augment = ["hflip", "crop"]
"""
    assert after == f"{before}{added}\n# kept apart{rest}"


def test_a_file_without_such_a_table() -> None:
    with pytest.raises(KeyError):
        with_model(TEXT, "b", "b-1", {}, "tuned")
    with pytest.raises(KeyError):
        with_model('model = [{ name = "a" }]\n', "a", "a-1", {}, "tuned")


def test_it_is_written_once(workspace: Path) -> None:
    path = workspace / "competition.toml"
    assert apply(workspace, "tuned", "tuned-1", {"lr": 0.02}, "tuned")
    text = path.read_text(encoding="utf-8")
    assert not apply(workspace, "tuned", "tuned-1", {"lr": 0.02}, "tuned")
    assert path.read_text(encoding="utf-8") == text
    models = {model.name: model for model in load_competition(path).model}
    assert models["tuned-1"] == models["tuned"].model_copy(update={"name": "tuned-1", "lr": 0.02})
