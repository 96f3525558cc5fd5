"""Every competition's format by configuration alone, and mostly without writing it."""

import re
import tomllib
from pathlib import Path

import pytest
from formats.miniature import FORMATS, Made, make
from tiny import write_table

from harness.cli import main
from harness.competition import load_competition
from harness.data.images import find_images
from harness.data.sample import read_test_ids
from harness.data.table import read_table

MODELS = """\
[[model]]
name = "probe"
backbone = "test_efficientnet"
weights = "none"
mode = "probe"
image_size = 32

[[model]]
name = "tuned"
backbone = "test_resnet"
weights = "none"
image_size = 32
epochs = 1
augment = "none"
precision = "fp32"
channels_last = false
compile = false

[stack]
methods = ["best", "mean", "weighted"]
"""


def started(name: str, folder: Path) -> tuple[Path, Made]:
    """The workspace that ``init --from`` makes of a competition."""
    made = make(name, folder / "downloaded")
    workspace = folder / "workspace"
    assert main(["init", str(workspace), "--from", str(folder / "downloaded")]) == 0
    return workspace, made


def with_small_models(workspace: Path, metric: str) -> None:
    """What a user edits: the metric; here also the models and the folds, which would take hours."""
    path = workspace / "competition.toml"
    head, _, _ = path.read_text(encoding="utf-8").partition("# One [[model]]")
    head = re.sub('metric = ".*"', f'metric = "{metric}"', head).replace("k = 5", "k = 3")
    path.write_text(head + MODELS, encoding="utf-8")


@pytest.mark.parametrize("name", FORMATS)
def test_init_finds_the_settings(name: str, tmp_path: Path) -> None:
    workspace, made = started(name, tmp_path)
    text = (workspace / "competition.toml").read_text(encoding="utf-8")
    found = tomllib.loads(text)
    assert found["competition"]["task"] == made.task
    paths = ("train", "test", "images", "test_images")
    for key, value in made.data.items():
        if key in paths:
            listed = [value] if isinstance(value, str) else value
            under = [f"data/{path}" for path in listed]
            value = under[0] if isinstance(value, str) else under
        assert found["data"][key] == value, key
    assert found["data"].get("group") == made.group
    load_competition(workspace / "competition.toml")


@pytest.mark.parametrize("name", FORMATS)
def test_tables_images_and_folds(name: str, tmp_path: Path) -> None:
    workspace, made = started(name, tmp_path)
    competition = load_competition(workspace / "competition.toml")
    table = read_table(competition, workspace)
    assert len(table.ids) >= 40
    assert len(set(find_images(competition, workspace, table.ids))) == len(table.ids)
    ids = read_test_ids(competition, workspace)
    find_images(competition, workspace, ids, test=True)
    assert sorted(ids) == sorted(str(row[0]) for row in made.solution[1])
    for verb in ("data", "fold"):
        assert main([verb, "-C", str(workspace)]) == 0


@pytest.mark.parametrize("name", FORMATS)
def test_from_images_to_a_graded_submission(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace, made = started(name, tmp_path)
    with_small_models(workspace, made.metric)
    for verb in ("fold", "train", "stack"):
        assert main([verb, "-C", str(workspace)]) == 0, capsys.readouterr().err
    assert main(["submit", "--name", "first", "-C", str(workspace)]) == 0
    write_table(tmp_path / "solution.csv", *made.solution)
    submission = str(workspace / "submissions/first.csv")
    solution = ["--solution", str(tmp_path / "solution.csv")]
    assert main(["grade", submission, *solution, "-C", str(workspace)]) == 0
    assert f"scores {made.metric}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "balance"),
    [
        ("plant-pathology-2021-fgvc8", "class balance: 5 classes"),
        ("petfinder-pawpularity-score", ""),
    ],
)
def test_audit_without_one_class_an_image(name: str, balance: str, tmp_path: Path) -> None:
    workspace, _ = started(name, tmp_path)
    with_small_models(workspace, "rmse" if balance == "" else "f1_micro")
    competition = load_competition(workspace / "competition.toml")
    table = read_table(competition, workspace)
    unlike = next(row for row in range(40) if (table.target[row] != table.target[0]).any())
    image, copy, test = (
        find_images(competition, workspace, [id_], test=is_test)[0]
        for id_, is_test in (
            (table.ids[0], False),
            (table.ids[unlike], False),
            (read_test_ids(competition, workspace)[0], True),
        )
    )
    copy.write_bytes(image.read_bytes())
    test.write_bytes(image.read_bytes())
    assert main(["audit", "-C", str(workspace)]) == 0
    said = (workspace / "audit/summary.txt").read_text(encoding="utf-8")
    for line in ("exact duplicate: 1,", "conflicting label: 1,", "leak train test: 2,", balance):
        assert line in said
    assert "left out for task" in said
