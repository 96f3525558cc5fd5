"""[tune] and [tune.space]: what is wrong gets its line and the reason."""

from pathlib import Path

import pytest
from tiny import TOML

from harness.competition import load_competition
from harness.errors import ConfigError
from harness.space import TuneSection

LINE = TOML.count("\n") + 4


def load(folder: Path, axis: str) -> TuneSection:
    path = folder / "competition.toml"
    path.write_text(f"{TOML}\n[tune]\n[tune.space]\n{axis}\n", encoding="utf-8")
    return load_competition(path).tune


@pytest.mark.parametrize(
    ("axis", "reason"),
    [
        ("lr = { low = 1, high = 0.1 }", "low = 1 is not below high = 0.1"),
        ("lrr = { low = 1, high = 2 }", "did you mean 'lr'?"),
        ("lr = { loww = 1, high = 2 }", "did you mean 'low'?"),
        ("lr = { low = 0.1 }", "from 'low' to 'high', or among 'choices'"),
        ("lr = { low = -1.0, high = 2 }", "'lr' cannot be -1.0; input should be greater than 0"),
        ("weight_decay = { low = 0.0, high = 1, log = true }", "low = 0.0 has no logarithm"),
        ("image_size = { low = 32.5, high = 64 }", "'image_size' cannot be 32.5"),
        ("image_size = { low = 32, high = 64, step = 15 }", "is not a number of steps above low"),
        ("lr = { low = 0.1, high = 1, step = 0.1, log = true }", "contradict each other"),
        ("lr = { low = 0.1, high = 1, normal = [2] }", "2 is not between low = 0.1 and high = 1"),
        ('mode = { choices = ["finetune", "prob"] }', "'mode' cannot be 'prob'"),
        ('mode = { choices = ["probe", "probe"] }', "a choice stands there twice"),
        ('mode = { choices = ["probe", "finetune"], log = true }', "leave nothing for 'log'"),
        ("seed = { low = 0, high = 9 }", "'seed' is no setting that can be searched"),
        ("lr = { low = 0.1, high = 1, when = { mode = 3 } }", "'mode' cannot be 3"),
        ("lr = { low = 0.1, high = 1, when = { lr = 0.5 } }", "depends on itself"),
    ],
)
def test_a_wrong_space_gets_its_line_and_the_reason(tmp_path: Path, axis: str, reason: str) -> None:
    with pytest.raises(ConfigError) as raised:
        load(tmp_path, axis)
    assert raised.value.where.endswith(f"competition.toml:{LINE}")
    assert reason in str(raised.value)


def test_a_table_a_setting_is_found_as_well(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=rf"competition\.toml:{LINE}: .*below"):
        load(tmp_path, "[tune.space.lr]\nhigh = 0.1\nlow = 1")


def test_numbers_are_of_the_settings_kind(tmp_path: Path) -> None:
    section = load(
        tmp_path, "drop_path = { low = 0, high = 0.5 }\nepochs = { low = 1, high = 5, step = 2 }"
    )
    assert not section.space["drop_path"].integer
    assert section.space["epochs"].integer


def test_what_others_depend_on_comes_first(tmp_path: Path) -> None:
    section = load(
        tmp_path,
        'lr = { low = 0.1, high = 1, when = { mode = "finetune" } }\n'
        'mode = { choices = ["probe", "finetune"] }',
    )
    assert list(section.axes) == ["mode", "lr"]


def test_options_are_checked_as_the_file_is() -> None:
    assert TuneSection().with_options(method="zoom", trials=None).method == "zoom"
    with pytest.raises(ConfigError, match=r"--method: 'method' cannot be 'zom'; input should be"):
        TuneSection().with_options(method="zom")
