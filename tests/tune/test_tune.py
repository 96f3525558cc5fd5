"""`tune` from end to end, with trainings that are real."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image
from tiny import edit

from harness.competition import load_competition
from harness.estimate import Estimate
from harness.predict.cost import CostSheet, MemberCost, write_costs
from harness.predict.machine import fingerprint
from harness.predict.measure import EngineCost
from harness.tune.judge import Verdict

TUNE = """
[tune]
model = "probe"
method = "grid"
seeds = 2
{more}
[tune.space]
strengths = {{ choices = [[0.001, 0.01], [0.1, 1.0]] }}
"""


def describe(workspace: Path, more: str = "") -> None:
    path = workspace / "competition.toml"
    path.write_text(path.read_text(encoding="utf-8") + TUNE.format(more=more), encoding="utf-8")


def test_tune_report_apply_train(
    workspace: Path,
    harness: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    describe(workspace)
    assert harness("fold") == 0
    assert harness("tune") == 0
    said = capsys.readouterr().out
    assert "trial 1: complete, log_loss" in said
    assert "rows that chose nothing" in said
    assert not (workspace / "oof").exists()  # trials and the runs of the verdict are no members
    assert len(list((workspace / "models").glob("probe-*"))) == 2

    pytest.importorskip("matplotlib")
    assert harness("tune", "--report") == 0
    assert "rows that chose nothing" in capsys.readouterr().out
    (picture,) = (workspace / "tune").glob("*.png")
    with Image.open(picture) as drawn:
        assert drawn.width > 1000
    page = picture.with_suffix(".html").read_text(encoding="utf-8")
    assert "rows that chose nothing" in page
    assert "the best trials" in page
    assert harness("tune") == 0
    assert "2 trials are there already" in capsys.readouterr().out
    toml = workspace / "competition.toml"
    before = toml.read_text(encoding="utf-8")
    one = Estimate(0.5, 0.4, 0.6)
    worse = Verdict(one, one, Estimate(-0.2, -0.3, -0.1), 0.01, 2, 10)
    monkeypatch.setattr("harness.tune.finish.verdict", lambda *_: worse)
    assert harness("tune", "--apply") == 2
    refused = capsys.readouterr().err
    assert "does not support its best trial" in refused
    assert "keep the default, or insist with --force" in refused
    assert toml.read_text(encoding="utf-8") == before
    assert harness("tune", "--apply", "--force") == 0
    (winner,) = {m.name for m in load_competition(toml).model} - {"probe", "tuned"}
    assert harness("train", "--only", winner) == 0
    assert harness("tune", "--keep", "1") == 0  # it is a member already
    assert [path.stem for path in (workspace / "oof").glob("*.parquet")] == [winner]
    assert harness("stack") == 0


def test_what_a_trial_adds_to_the_ensemble(
    workspace: Path, harness: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    describe(workspace, 'objective = "ensemble"')
    assert harness("fold") == 0
    assert harness("tune") == 2
    assert "there is no ensemble yet" in capsys.readouterr().err
    assert harness("train", "--only", "probe") == 0
    assert harness("stack") == 0
    assert harness("tune") == 0
    assert "trial 1: complete, log_loss" in capsys.readouterr().out


def test_a_model_that_cannot_keep_the_budget_is_not_trained(
    workspace: Path, harness: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    describe(workspace, 'objective = "budget"')
    assert harness("fold") == 0
    assert harness("tune") == 2
    assert "set [budget] seconds" in capsys.readouterr().err
    budget = "[budget]\nseconds = 1e-9\n\n[stack]"
    edit(workspace / "competition.toml", "[stack]", budget)
    assert harness("tune") == 0
    assert "of the 1e-09 s that there are" in capsys.readouterr().out
    assert not (workspace / "models").exists()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('model = "probe"', 'model = "prob"', "there is no model 'prob'; did you mean 'probe'?"),
        ('model = "probe"', "", "does not say which model"),
        ('method = "grid"', 'method = "evolution"', "evolution needs two settings"),
        ("seeds = 2", "folds = 3", "leave none to judge the choice on"),
        ("seeds = 2", 'storage = "nosql://x"', "cannot be opened"),
    ],
)
def test_what_cannot_be_searched_is_told_in_a_line(
    workspace: Path,
    harness: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    old: str,
    new: str,
    said: str,
) -> None:
    describe(workspace)
    edit(workspace / "competition.toml", old, new)
    assert harness("fold") == 0
    assert harness("tune") == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(("machine", "said"), [(fingerprint(), True), ("another", False)])
def test_an_engine_that_cost_measured_here_says_what_the_budget_allows(
    workspace: Path,
    harness: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    machine: str,
    said: bool,
) -> None:
    describe(workspace, 'objective = "budget"')
    edit(workspace / "competition.toml", "[stack]", "[budget]\nseconds = 400\n\n[stack]")
    cost = EngineCost("openvino-int8", 16, 1, 0.1, 0.1, 0.1, 50.0, 50.0, 9)
    slower = replace(cost, engine="torch-fp32", image_seconds=90.0)
    members = tuple(MemberCost("probe", 32, True, ("fold0",), one) for one in (cost, slower))
    sheet = CostSheet("x", machine, 1.0, (1.0,), 0.1, ((32, 0.1),), 0.1, 9, members, ())
    write_costs(workspace / "models" / "ensemble" / "costs.json", sheet)
    assert harness("fold") == 0
    assert harness("tune") == 0
    assert ("9 images would take 450 s of the 400 s" in capsys.readouterr().out) == said


def test_a_poor_training_ends_halfway_and_leaves_its_checkpoint(
    workspace: Path, harness: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    path = workspace / "competition.toml"
    edit(path, "epochs = 2", 'epochs = 2\nprecision = "fp32"\nchannels_last = true')
    text = (
        TUNE.partition("strengths")[0].replace("seeds = 2", "seeds = 1").replace("probe", "tuned")
    )
    text = text.format(more='pruner = "halving"') + "lr = { choices = [1e-3, 10.0, 20.0] }\n"
    path.write_text(path.read_text(encoding="utf-8") + text, encoding="utf-8")
    assert harness("fold") == 0
    assert harness("tune") == 0
    said = capsys.readouterr().out
    assert "complete, log_loss" in said
    assert "pruned, log_loss" in said
    assert " on 0.5 folds; lr=" in said
    assert list((workspace / "models").glob("tuned-*/fold0.checkpoint.safetensors"))
