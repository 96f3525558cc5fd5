"""Fold models, their soup and a refit: what train makes, stack measures and submit uses."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tiny import CLASSES, edit, picture

from harness.decision import Decision
from harness.files import file_digest
from harness.locks import trying
from harness.metrics import get_metric
from harness.model import ModelSection
from harness.stack.honest import member_scores
from harness.stack.problem import Problem
from harness.train.job import Job
from harness.train.outputs import Output
from harness.train.speed import Speed, Timing
from harness.workspace import Workspace
from harness.workspace.ensemble import read_ensemble
from harness.workspace.runs import load_arrays, save_arrays, save_predictions
from harness.workspace.training import TrainingRows, read_training

Harness = Callable[..., int]

TUNED = 'mode = "finetune"'
PROBE = 'mode = "probe"'


def with_holdout(workspace: Path) -> None:
    edit(workspace / "competition.toml", "seed = 7", "seed = 7\nholdout = 0.3")


def predict_by(workspace: Path, model: str, how: str) -> None:
    edit(workspace / "competition.toml", model, f"{model}\n{how}")


def training_of(workspace: Path) -> TrainingRows:
    return read_training(Workspace.open(workspace))


def test_a_job_trains_on_all_but_its_fold_and_the_refit_on_all_but_the_holdout(
    harness: Harness, workspace: Path
) -> None:
    with_holdout(workspace)
    assert harness("fold") == 0
    training = training_of(workspace)
    rows, scored = Job(1, 0, 1).split(training)
    assert set(training.assignment[rows, 0]) == {0, 2}
    assert set(training.assignment[scored, 0]) == {1}
    assert set(training.assignment[rows[Job(1, 0, 1).inner(training, rows)], 0]) == {2}
    rows, scored = Job(3).split(training)
    assert set(training.assignment[rows, 0]) == {0, 1, 2}
    assert len(scored) == 0
    assert set(rows) == set(training.rows_in_folds)
    assert Job(3).weights_file(workspace).name == "refit.safetensors"
    assert Job(3).predictions_file(workspace).name == "refit.holdout.safetensors"


def test_of_two_folds_a_quarter_of_the_other_is_to_choose_on(
    harness: Harness, workspace: Path
) -> None:
    edit(workspace / "competition.toml", "k = 3", "k = 2")
    assert harness("fold") == 0
    training = training_of(workspace)
    rows, _ = Job(0, 0, 0).split(training)
    inner = Job(0, 0, 0).inner(training, rows)
    assert 0 < inner.sum() < len(rows) / 2
    assert harness("train", "--only", "probe") == 0


def test_a_training_that_diverges_is_told(
    harness: Harness, workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    predict_by(
        workspace, TUNED, 'lr = 1e30\nprecision = "fp32"\nchannels_last = true\ncompile = false'
    )
    edit(workspace / "competition.toml", "epochs = 2", "epochs = 1")
    edit(workspace / "competition.toml", "batch_size = 8", "batch_size = 30")  # the only step
    assert harness("fold") == 0
    capsys.readouterr()
    assert harness("train", "--only", "tuned") == 2
    error = capsys.readouterr().err
    assert error.startswith("error: competition.toml model 'tuned': diverged in fold 0")
    assert "lower lr" in error
    assert not (workspace / "models/tuned/fold0.safetensors").exists()


def test_soup_and_refit_are_trained_measured_and_used(
    harness: Harness, workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with_holdout(workspace)
    predict_by(workspace, TUNED, 'predict = "refit"')
    predict_by(workspace, PROBE, 'predict = "soup"')
    for verb in ("fold", "train"):
        assert harness(verb) == 0
    training = training_of(workspace)
    shape = (len(training.holdout_rows), 3)
    assert shape[0] > 0
    for run in ("tuned", "probe"):
        folder = workspace / "models" / run
        for number in range(3):
            held = load_arrays(folder / f"fold{number}.oof.safetensors")["holdout"]
            assert held.shape == shape
            assert held.sum(axis=1) == pytest.approx(1, abs=1e-5)
    assert set(load_arrays(workspace / "models/tuned/refit.holdout.safetensors")) == {
        "seconds",
        "holdout",
        "views",
    }
    heads = [load_arrays(workspace / f"models/probe/fold{i}.safetensors") for i in range(3)]
    soup = load_arrays(workspace / "models/probe/soup.safetensors")
    assert soup["weight"] == pytest.approx(np.mean([h["weight"] for h in heads], 0), abs=1e-6)

    capsys.readouterr()
    assert harness("stack", "--all") == 0
    printed = capsys.readouterr().out
    assert f"tuned: log_loss on {shape[0]} holdout rows is" in printed
    assert "by the refit, which is taken" in printed
    assert "by the soup, which" in printed
    ensemble = read_ensemble(workspace / "models/ensemble")
    assert len(ensemble.fold_models) == 2
    record = json.loads((workspace / "models/probe/holdout.json").read_text())
    assert [(way["name"], way["models"]) for way in record["ways"]] == [
        ("average", 1),
        ("average", 2),
        ("average", 3),
        ("soup", 3),
    ]
    weights = dict(zip(ensemble.members, ensemble.weights, strict=True))
    assert weights["tuned"] == ("refit.safetensors",)
    if record["taken"] == "soup":
        assert weights["probe"] == ("soup.safetensors",)
    else:
        assert weights["probe"] == tuple(f"fold{i}.safetensors" for i in range(3))
    assert harness("submit") == 0


def test_each_member_is_predicted_with_its_own_weights(
    harness: Harness,
    workspace: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    predict_by(workspace, TUNED, 'predict = "refit"')
    for verb in ("fold", "train"):
        assert harness(verb) == 0
    monkeypatch.setattr(
        "harness.stack.make.choose", lambda scores: next(s for s in scores if s.method == "mean")
    )
    assert harness("stack") == 0
    ensemble = read_ensemble(workspace / "models/ensemble")
    assert ensemble.used == ("probe", "tuned")
    assert ensemble.weights[1] == ("refit.safetensors",)
    (workspace / "models/tuned/fold0.safetensors").unlink()  # nothing needs it
    assert harness("submit") == 0
    (workspace / "models/tuned/refit.safetensors").unlink()
    assert harness("submit", "--name", "other") == 2
    assert "refit.safetensors" in capsys.readouterr().err


def test_a_soup_that_does_harm_gives_way_to_the_average(
    harness: Harness, workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Networks that were trained from nothing agree in what they say and not in their weights."""
    with_holdout(workspace)
    predict_by(workspace, PROBE, 'predict = "soup"')
    assert harness("fold") == 0
    assert harness("train", "--only", "probe") == 0
    file = workspace / "models/probe/soup.holdout.safetensors"
    training = training_of(workspace)
    wrong = (training.target[training.holdout_rows] + 1) % 3
    holdout = 0.01 / 2 + np.eye(3, dtype=np.float32)[wrong] * 0.985
    save_predictions(file, {"holdout": holdout}, ("identity", "hflip"))
    assert harness("stack") == 0
    assert "by the soup, which does harm: the average is taken" in capsys.readouterr().out
    ensemble = read_ensemble(workspace / "models/ensemble")
    assert ensemble.weights == (tuple(f"fold{i}.safetensors" for i in range(3)),)
    assert json.loads((workspace / "models/probe/holdout.json").read_text())["taken"] == "average"


def test_how_a_model_predicts_may_change_without_training_it_again(
    harness: Harness, workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert harness("fold") == 0
    assert harness("train", "--only", "probe") == 0
    folder = workspace / "models/probe"
    before = {path.name: file_digest(path) for path in folder.glob("*.safetensors")}
    predict_by(workspace, PROBE, 'predict = "refit"')
    assert harness("stack") == 2
    assert "refit.safetensors: is missing" in capsys.readouterr().err
    assert harness("train", "--only", "probe") == 0
    assert (folder / "refit.safetensors").exists()
    assert before == {name: file_digest(folder / name) for name in before}
    assert harness("train", "--only", "probe") == 0
    assert "done before" in capsys.readouterr().out
    assert harness("stack") == 0
    assert "not measured: no holdout" in capsys.readouterr().out
    assert read_ensemble(workspace / "models/ensemble").weights == (("refit.safetensors",),)
    edit(workspace / "competition.toml", 'predict = "refit"', "fold_models = 2")
    assert harness("stack") == 0
    weights = ("fold0.safetensors", "fold1.safetensors")
    assert read_ensemble(workspace / "models/ensemble").weights == (weights,)


def test_an_interrupted_probe_goes_on_with_the_backbone_that_its_heads_know(
    harness: Harness, workspace: Path
) -> None:
    assert harness("fold") == 0
    assert harness("train", "--only", "probe") == 0
    folder = workspace / "models/probe"
    file = folder / "backbone.safetensors"
    head = load_arrays(folder / "fold1.safetensors")["weight"]
    # as if the weights that it came from had changed since
    save_arrays(file, {name: array * 2 for name, array in load_arrays(file).items()})
    kept = file_digest(file)
    (folder / "fold1.safetensors").unlink()
    (workspace / "oof/probe.parquet").unlink()
    assert harness("train", "--only", "probe") == 0
    assert file_digest(file) == kept
    assert (load_arrays(folder / "fold1.safetensors")["weight"] != head).any()


def test_a_soup_is_made_anew_with_a_fold_model(harness: Harness, workspace: Path) -> None:
    with_holdout(workspace)
    predict_by(workspace, PROBE, 'predict = "soup"')
    assert harness("fold") == 0
    assert harness("train", "--only", "probe") == 0
    soup = workspace / "models/probe/soup.safetensors"
    whole = file_digest(soup)
    save_arrays(soup, {"weight": np.zeros((3, 2)), "bias": np.zeros(3)})
    (workspace / "models/probe/fold1.safetensors").unlink()
    (workspace / "oof/probe.parquet").unlink()
    assert harness("train", "--only", "probe") == 0
    assert file_digest(soup) == whole


def test_an_interrupted_refit_goes_on(harness: Harness, workspace: Path) -> None:
    predict_by(workspace, TUNED, 'predict = "refit"')
    assert harness("fold") == 0
    assert harness("train", "--only", "tuned") == 0
    refit = workspace / "models/tuned/refit.safetensors"
    whole = file_digest(refit)
    refit.unlink()
    (workspace / "oof/tuned.parquet").unlink()
    assert harness("train", "--only", "tuned") == 0
    assert file_digest(refit) == whole


def test_a_refit_learns_from_all_rows_for_as_long_as_the_fold_models_did(
    harness: Harness, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from harness.train import run

    real, learnt = run.train_fold, []

    def noting(network: object, fold: run.Fold, around: object) -> object:
        learnt.append(fold)
        return real(network, fold, around)  # type: ignore[arg-type]

    monkeypatch.setattr(run, "train_fold", noting)
    only_tuned(workspace, 'predict = "refit"\npatience = 1')
    edit(workspace / "competition.toml", "epochs = 2", "epochs = 4")
    assert harness("fold") == 0
    assert harness("train") == 0
    *folds, refit = learnt
    assert [len(fold.examples.rows) for fold in folds] == [10, 10, 10]
    assert [len(fold.examples.inner) for fold in folds] == [10, 10, 10]
    assert sorted(refit.examples.rows) == list(range(30))
    assert not len(refit.examples.inner)
    files = [workspace / f"models/tuned/fold{number}.oof.safetensors" for number in range(3)]
    epochs = [float(load_arrays(file)["epochs"][0]) for file in files]
    assert refit.last_epoch == np.median(epochs)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ('predict = "soup"', "soup can only be judged on rows that none of its fold models saw"),
        ("fold_models = 4", "fold_models = 4 of the 3 that there are"),
        ('predict = "refit"\nfold_models = 2', "averages none"),
    ],
)
def test_choices_that_cannot_be_meant(
    how: str, message: str, harness: Harness, workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    predict_by(workspace, PROBE, how)
    assert harness("fold") == 2
    assert message in capsys.readouterr().err


def only_tuned(workspace: Path, how: str = "") -> None:
    """Leave one model, with these settings."""
    file = workspace / "competition.toml"
    text = file.read_text(encoding="utf-8")
    start, end = text.index('[[model]]\nname = "probe"'), text.index("[stack]")
    file.write_text(text[:start] + text[end:], encoding="utf-8")
    predict_by(workspace, TUNED, how)


def test_seeds_are_runs_of_their_own(harness: Harness, workspace: Path) -> None:
    only_tuned(workspace, "seeds = [0, 3]")
    for verb in ("fold", "train", "stack"):
        assert harness(verb) == 0
    names = sorted(path.stem for path in (workspace / "oof").glob("*.parquet"))
    assert names == ["tuned-s0", "tuned-s3"]
    weights = [load_arrays(workspace / f"models/{n}/fold0.safetensors") for n in names]
    assert any((weights[0][key] != weights[1][key]).any() for key in weights[0])
    assert harness("train", "--retrain", "tuned-s3") == 0


def test_snapshots_are_members_for_the_price_of_one_training(
    harness: Harness, workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    only_tuned(workspace, "snapshots = 2")
    for verb in ("fold", "train", "stack", "submit"):
        assert harness(verb) == 0
    assert sorted(p.stem for p in (workspace / "oof").glob("*.parquet")) == ["tuned", "tuned-c1"]
    assert len(list((workspace / "models/tuned-c1").glob("fold?.safetensors"))) == 3
    capsys.readouterr()
    assert harness("train") == 0
    assert "done before" in capsys.readouterr().out


def test_pseudo_labels_come_from_models_that_did_not_see_the_fold(
    harness: Harness, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    predict_by(workspace, TUNED, 'pseudo = ["probe"]')
    assert harness("fold") == 0
    assert harness("train", "--only", "probe") == 0
    asked: list[list[str]] = []
    from harness.train import pictures

    real = pictures.load_predictor

    def noting(folder: Path, model: object, targets: int, files: list[Path], task: str) -> object:
        asked.append([file.name for file in files])
        return real(folder, model, targets, files, task)  # type: ignore[arg-type]

    monkeypatch.setattr(pictures, "load_predictor", noting)
    assert harness("train", "--only", "tuned") == 0
    assert asked == [[f"fold{i}.safetensors"] for i in range(3)]
    labels = load_arrays(workspace / "models/tuned/fold1.pseudo.safetensors")["targets"]
    assert labels.shape == (9, 3)
    assert labels.sum(axis=1) == pytest.approx(1, abs=1e-5)


def test_pseudo_labels_need_their_source(
    harness: Harness, workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    predict_by(workspace, TUNED, 'pseudo = ["probe"]')
    assert harness("fold") == 0
    assert harness("train", "--only", "tuned") == 2
    assert "is not a complete run" in capsys.readouterr().err
    edit(workspace / "competition.toml", 'pseudo = ["probe"]', 'pseudo = ["prob"]')
    assert harness("train", "--only", "tuned") == 2
    assert "did you mean 'probe'?" in capsys.readouterr().err


def test_single_folds_can_be_trained(
    harness: Harness, workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    only_tuned(workspace)
    assert harness("fold") == 0
    assert harness("train", "--fold", "1") == 0
    assert [p.name for p in (workspace / "models/tuned").glob("fold?.safetensors")] == [
        "fold1.safetensors"
    ]
    assert not (workspace / "oof/tuned.parquet").exists()
    assert harness("train", "--fold", "3") == 2
    assert "there is no fold 3; choose 0 to 2" in capsys.readouterr().err
    assert harness("train") == 0
    assert (workspace / "oof/tuned.parquet").exists()


def test_a_dry_run_trains_nothing(
    harness: Harness,
    workspace: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sizes: list[int] = []

    def timed(build: object, model: ModelSection, *_: object) -> Timing:
        sizes.append(model.batch_size)
        return Timing(Speed(), 0.1)

    monkeypatch.setattr("harness.train.run.measured_speed", timed)
    edit(workspace / "competition.toml", "batch_size = 8", "batch_size = 5000")
    assert harness("fold") == 0
    assert harness("train", "--dry-run") == 0
    printed = capsys.readouterr().out
    assert "tuned" in printed
    assert "MB" in printed
    assert not list((workspace / "models").glob("*/fold*"))
    assert sizes == [20]  # a step is timed on no more rows than there are


def test_a_changed_model_is_refused_by_a_dry_run_and_missing_models_are_told(
    harness: Harness, workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert harness("fold") == 0
    assert harness("train", "--only", "probe") == 0
    (workspace / "models/probe/fold1.safetensors").unlink()
    capsys.readouterr()
    assert harness("train", "--only", "probe") == 0
    said = capsys.readouterr().out
    assert (
        "probe: done before, nothing to do; but 1 of its 3 models are not in models/probe" in said
    )
    assert "train --retrain probe" in said
    edit(workspace / "competition.toml", PROBE, f"{PROBE}\nseed = 3")
    for arguments in (("--dry-run",), ()):
        assert harness("train", "--only", "probe", *arguments) == 2
        assert "was trained with model.seed = 0, now it is 3" in capsys.readouterr().err


def test_other_rules_of_folds_are_refused_by_all_that_use_the_folds(
    harness: Harness, workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert harness("fold") == 0
    edit(workspace / "competition.toml", "k = 3", "k = 4")
    for verb in ("train", "stack"):
        assert harness(verb) == 2
        assert "other rules: k was 3, is 4; restore the rules" in capsys.readouterr().err


def test_hours_stop_in_time_and_the_same_command_goes_on(
    harness: Harness, workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    only_tuned(workspace)
    assert harness("fold") == 0
    assert harness("train", "--hours", "0") == 3
    assert "the time is up" in capsys.readouterr().out
    assert not (workspace / "oof/tuned.parquet").exists()
    assert harness("train", "--hours", "1") == 0
    assert (workspace / "oof/tuned.parquet").exists()


def test_a_run_is_repeated_from_its_record(
    harness: Harness, workspace: Path, tmp_path: Path
) -> None:
    only_tuned(workspace)
    for verb in ("fold", "train"):
        assert harness(verb) == 0
    record = tmp_path / "run.json"
    record.write_bytes((workspace / "models/tuned/run.json").read_bytes())
    oof = workspace / "oof/tuned.parquet"
    before = file_digest(oof)
    edit(workspace / "competition.toml", "epochs = 2", "epochs = 5")  # which does not matter
    shutil.rmtree(workspace / "models/tuned")
    oof.unlink()
    assert harness("train", "--from", str(record)) == 0
    assert file_digest(oof) == before


def test_a_loss_that_is_no_number_goes_on_in_fp32_and_then_says_what_to_do(
    harness: Harness, workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    only_tuned(workspace, 'precision = "bf16"\nlr = 1e30\nclip = 1e30')
    edit(workspace / "competition.toml", "epochs = 2", "epochs = 60")
    assert harness("fold") == 0
    assert harness("train") == 2
    printed = capsys.readouterr()
    assert "the loss in bf16 became infinite or no number; on from the last" in printed.out
    assert "lower lr or clip" in printed.err


def test_where_memory_runs_out_batches_are_taken_in_pieces(
    harness: Harness,
    workspace: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from harness.train import run

    real = run.train_fold

    def short(network: object, fold: object, around: run.Surroundings) -> float:
        if around.speed.pieces < 4:
            raise MemoryError
        return real(network, fold, around)  # type: ignore[arg-type]

    monkeypatch.setattr(run, "train_fold", short)
    only_tuned(workspace)
    assert harness("fold") == 0
    assert harness("train") == 0
    printed = capsys.readouterr().out
    assert printed.count("memory ran out") == 2
    log = (workspace / "models/tuned/log.jsonl").read_text()
    assert '"pieces": 4' in log


def test_a_full_disk_is_said_and_the_last_checkpoint_stays(
    harness: Harness,
    workspace: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from harness.train import checkpoint

    real, calls = checkpoint.save_file, []

    def full(tensors: object, path: Path, metadata: object) -> None:
        calls.append(path)
        if len(calls) > 1:
            raise OSError(28, "No space left on device")
        real(tensors, path, metadata)  # type: ignore[arg-type]

    monkeypatch.setattr(checkpoint, "save_file", full)
    only_tuned(workspace)
    assert harness("fold") == 0
    assert harness("train") == 2
    assert "No space left on device" in capsys.readouterr().err
    assert (workspace / "models/tuned/fold0.checkpoint.safetensors").exists()
    assert not list((workspace / "models/tuned").glob(".*.tmp"))
    monkeypatch.undo()
    assert harness("train") == 0


def test_a_run_that_another_process_trains_is_not_deleted(
    harness: Harness, workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    only_tuned(workspace)
    for verb in ("fold", "train"):
        assert harness(verb) == 0
    with trying(workspace / "models/tuned/.fold1.lock") as free:
        assert free
        assert harness("train", "--retrain", "tuned") == 2
    assert "is being trained by another process" in capsys.readouterr().err
    assert (workspace / "oof/tuned.parquet").exists()


def sound_files(workspace: Path, run: str) -> dict[Path, str]:
    """The digests of what later stages read of a run."""
    folds = (workspace / "models" / run).glob("fold?.safetensors")
    return {file: file_digest(file) for file in (*folds, workspace / f"oof/{run}.parquet")}


def test_a_run_is_replaced_when_the_one_that_follows_it_is_complete(
    harness: Harness, workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    toml, aside = workspace / "competition.toml", workspace / "models/.retrained/probe"
    assert harness("fold") == 0
    assert harness("train", "--only", "probe") == 0
    before = sound_files(workspace, "probe")
    edit(toml, f'"none"\n{PROBE}', f'"w.pth"\n{PROBE}')
    (workspace / "w.pth").write_bytes(b"<html>")
    assert harness("train", "--retrain", "probe") == 2  # training cannot start
    assert sound_files(workspace, "probe") == before
    edit(toml, f'"w.pth"\n{PROBE}', f'"none"\nseed = 1\n{PROBE}')
    assert harness("train", "--retrain", "probe", "--fold", "1") == 0
    assert sound_files(workspace, "probe") == before
    fold = file_digest(aside / "fold1.safetensors")
    capsys.readouterr()
    assert harness("train", "--only", "probe") == 0  # goes on with what was begun
    assert "1 of 3 are there already" in capsys.readouterr().out
    after = sound_files(workspace, "probe")
    assert after.keys() == before.keys()
    assert not set(after.values()) & set(before.values())
    assert after[workspace / "models/probe/fold1.safetensors"] == fold
    assert not list(aside.parent.glob("probe*"))
    assert harness("train", "--only", "probe") == 0
    assert "done before" in capsys.readouterr().out


def test_a_retraining_that_was_given_up_leaves_the_run_as_it_was(
    harness: Harness, workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    toml = workspace / "competition.toml"
    assert harness("fold") == 0
    assert harness("train", "--only", "probe") == 0
    before = sound_files(workspace, "probe")
    edit(toml, PROBE, f"{PROBE}\nseed = 1")
    assert harness("train", "--retrain", "probe", "--fold", "2") == 0
    edit(toml, "seed = 1", "")
    capsys.readouterr()
    assert harness("train", "--only", "probe") == 0
    assert "done before" in capsys.readouterr().out
    assert sound_files(workspace, "probe") == before
    assert harness("train", "--retrain", "probe") == 0  # begins with these settings
    assert sound_files(workspace, "probe") == before  # which predict the same


def test_a_backbone_of_one_size_cannot_grow(
    harness: Harness, workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    only_tuned(workspace, "progressive = 0.5")
    edit(workspace / "competition.toml", '"test_resnet"', '"vit_tiny_patch16_224"')
    assert harness("fold") == 0
    assert harness("train") == 2
    assert "takes images of one size" in capsys.readouterr().err


@pytest.mark.parametrize("model", ["tuned", "probe"])
def test_extra_pictures_are_trained_on_and_never_scored(
    model: str, harness: Harness, workspace: Path
) -> None:
    folder = workspace / "audit/extra"
    folder.mkdir(parents=True)
    rows = ["file,label,weight,source"]
    for i in range(12):
        picture(CLASSES[i % 3], 100 + i).save(folder / f"{i}.png")
        rows.append(f"extra/{i}.png,{CLASSES[i % 3]},0.5,generator")
    table = workspace / "audit/extra.csv"
    table.write_text("\n".join(rows) + "\n", encoding="utf-8")
    assert harness("fold") == 0
    assert harness("train", "--only", model) == 0
    without = load_arrays(workspace / f"models/{model}/fold0.safetensors")
    edit(workspace / "competition.toml", "[folds]", 'extra = "audit/extra.csv"\n\n[folds]')
    assert harness("train", "--only", model) == 2  # another run than the one that is there
    assert harness("train", "--retrain", model) == 0
    added = load_arrays(workspace / f"models/{model}/fold0.safetensors")
    assert any((without[name] != added[name]).any() for name in without)
    scored = load_arrays(workspace / f"models/{model}/fold0.oof.safetensors")["predictions"]
    assert len(scored) == 10


def test_a_run_is_scored_as_the_table_of_members_scores_it() -> None:
    """A probability of zero for the right class counts as the floor, there and here."""
    predictions = np.array([[0.0, 1.0], [0.3, 0.7]], np.float32)
    truth, metric = np.array([0, 1]), get_metric("log_loss")
    folds = np.array([0, 1])
    problem = Problem(("m",), predictions[None], truth, folds, "multiclass", metric)
    training = SimpleNamespace(task="multiclass", decision=Decision(), target=truth)
    run: Any = SimpleNamespace(training=training, metric=metric)
    assert Output._score(run, np.arange(2), predictions) == member_scores(problem)[0]
