"""Test-time views without a budget: the same out of fold, on the holdout and in `submit`."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from tiny import CLASSES, edit

from harness.data.images import decode
from harness.display import Display
from harness.files import file_digest
from harness.predict.engine import choose_device, load_predictor, predict_batch
from harness.predict.views import VIEWS
from harness.records import write_parquet
from harness.train import passes
from harness.train import run as training_run
from harness.train.estimate import estimate
from harness.train.interrupt import Stopped
from harness.train.run import Run
from harness.workspace import Workspace
from harness.workspace.oof import oof_metadata, oof_views
from harness.workspace.runs import (
    fold_file,
    fold_predictions_file,
    load_arrays,
    noted_views,
    read_model,
    save_arrays,
    soup_file,
)
from harness.workspace.training import TrainingRows, read_training

Harness = Callable[..., int]


def ask(workspace: Path, views: str) -> None:
    """Set [predict] views."""
    path = workspace / "competition.toml"
    text = path.read_text(encoding="utf-8").partition("[predict]")[0]
    path.write_text(f"{text}[predict]\nviews = {views}\n", encoding="utf-8")


def one_model(workspace: Path, name: str, how: str = "") -> None:
    """Leave the model of that name, with these settings."""
    path = workspace / "competition.toml"
    first, *models = path.read_text(encoding="utf-8").split("[[model]]\n")
    models[-1], stack = models[-1].split("[stack]")
    (kept,) = [model for model in models if f'name = "{name}"' in model]
    kept = kept.replace("image_size = 32", f"image_size = 32\nprecision = 'fp32'\n{how}")
    path.write_text(f"{first}[[model]]\n{kept}[stack]{stack}", encoding="utf-8")


def training_of(workspace: Path) -> TrainingRows:
    return read_training(Workspace.open(workspace))


def by_hand(
    workspace: Path, name: str, files: Sequence[str], ids: Sequence[str], views: Sequence[str]
) -> np.ndarray:
    """The mean over views, and over weights files, of the plain network's predictions."""
    folder = workspace / "models" / name
    device = choose_device("fp32")
    images = np.stack([decode(workspace / f"data/images/{id_}.png", [32])[0] for id_ in ids])
    said = []
    for file in files:
        predictor = load_predictor(folder, read_model(folder), 3, [folder / file])
        device.place(predictor)
        said += [predict_batch(predictor, VIEWS[view](images), device) for view in views]
    return np.mean(said, axis=0)


def weights(workspace: Path) -> dict[Path, tuple[str, int]]:
    """The digest and the time of every file of weights."""
    files = [
        path
        for path in (workspace / "models").rglob("*.safetensors")
        if not path.name.endswith((".oof.safetensors", ".holdout.safetensors"))
    ]
    return {path: (file_digest(path), path.stat().st_mtime_ns) for path in files}


@pytest.mark.parametrize("name", ["tuned", "probe"])
def test_out_of_fold_predictions_are_means_over_the_views_and_over_the_repeats(
    name: str, harness: Harness, workspace: Path
) -> None:
    edit(workspace / "competition.toml", "seed = 7", "seed = 7\nrepeats = 2\nholdout = 0.3")
    one_model(workspace, name)
    ask(workspace, '["hflip", "zoom"]')  # and not the picture as it is
    for verb in ("fold", "train"):
        assert harness(verb) == 0
    training = training_of(workspace)
    path = workspace / f"oof/{name}.parquet"
    assert oof_metadata(path)["views"] == "hflip,zoom"
    table = pd.read_parquet(path).set_index("id")
    for row in training.rows_in_folds:
        id_ = training.ids[row]
        files = [f"fold{3 * r + f}.safetensors" for r, f in enumerate(training.assignment[row])]
        expected = by_hand(workspace, name, files, [id_], ["hflip", "zoom"])
        assert table.loc[id_, list(CLASSES)].to_numpy() == pytest.approx(expected[0], abs=1e-5)
    stored = load_arrays(workspace / f"models/{name}/fold4.oof.safetensors")["holdout"]
    held = training.ids[training.holdout_rows]
    expected = by_hand(workspace, name, ["fold4.safetensors"], held, ["hflip", "zoom"])
    assert stored == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("name", ["tuned", "probe"])
def test_a_submission_says_of_a_training_image_what_its_oof_row_says(
    name: str, harness: Harness, workspace: Path
) -> None:
    """By the fold model that did not see it, in the default views: the picture and its mirror."""
    one_model(workspace, name, "fold_models = 1")
    for verb in ("fold", "train", "stack"):
        assert harness(verb) == 0
    training = training_of(workspace)
    ids = training.ids[training.assignment[:, 0] == 0]
    for shown, id_ in zip(range(30, 39), ids, strict=False):
        images = workspace / "data/images"
        shutil.copyfile(images / f"{id_}.png", images / f"{shown:03d}.png")
    assert harness("submit", "--name", "all") == 0
    submitted = pd.read_csv(workspace / "submissions/all.csv", dtype={"id": str}).set_index("id")
    out_of_fold = pd.read_parquet(workspace / f"oof/{name}.parquet").set_index("id")
    assert oof_views(oof_metadata(workspace / f"oof/{name}.parquet")) == ("identity", "hflip")
    for shown, id_ in zip(range(30, 39), ids, strict=False):
        row = submitted.loc[f"{shown:03d}", list(CLASSES)].to_numpy(np.float64)
        assert row == pytest.approx(out_of_fold.loc[id_, list(CLASSES)].to_numpy(), abs=1e-5)


def test_other_views_are_predicted_again_and_nothing_is_trained_again(
    harness: Harness,
    workspace: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    edit(workspace / "competition.toml", "seed = 7", "seed = 7\nholdout = 0.3")
    edit(workspace / "competition.toml", 'mode = "finetune"', 'mode = "finetune"\nsnapshots = 2')
    edit(workspace / "competition.toml", 'mode = "probe"', 'mode = "probe"\npredict = "refit"')
    ask(workspace, "1")
    for verb in ("fold", "train", "stack"):
        assert harness(verb) == 0
    before = weights(workspace)
    seconds = load_arrays(workspace / "models/tuned/fold0.oof.safetensors")["seconds"]
    old = pd.read_parquet(workspace / "oof/tuned.parquet")
    ask(workspace, '["identity", "vflip", "zoom"]')
    for verb in ("stack", "submit", "cost"):
        capsys.readouterr()
        assert harness(verb) == 2
        error = capsys.readouterr().err
        assert "in other views (identity) than competition.toml asks for (identity, vflip" in error
        assert "run `python -m harness train" in error
        assert error.count("\n") == 1

    def no_training(*_: object) -> float:
        raise AssertionError("it trains")

    monkeypatch.setattr(training_run, "train_fold", no_training)
    monkeypatch.setattr(training_run, "fingerprint", lambda: "another machine")
    monkeypatch.setattr(training_run, "measured_speed", no_training)
    monkeypatch.setattr("harness.train.probing.fit_head", no_training)
    assert harness("train") == 0
    assert weights(workspace) == before
    again = load_arrays(workspace / "models/tuned/fold0.oof.safetensors")
    assert again["seconds"] == seconds
    new = pd.read_parquet(workspace / "oof/tuned.parquet")
    assert (new["id"] == old["id"]).all()
    assert (new["ant"] != old["ant"]).any()
    for name in ("tuned", "tuned-c1", "probe"):
        folder = workspace / "models" / name
        for file in [*folder.glob("*.oof.safetensors"), *folder.glob("*.holdout.safetensors")]:
            assert noted_views(file) == ("identity", "vflip", "zoom")
        metadata = oof_metadata(workspace / f"oof/{name}.parquet")
        assert oof_views(metadata) == ("identity", "vflip", "zoom")
    capsys.readouterr()
    assert harness("submit") == 2  # the ensemble is of the old predictions
    assert "was made of predictions in other views (identity)" in capsys.readouterr().err
    for verb in ("stack", "submit", "train"):
        assert harness(verb) == 0
    assert capsys.readouterr().out.count("done before, nothing to do") == 2


def test_predicting_again_goes_on_where_it_was_stopped(
    harness: Harness,
    workspace: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    one_model(workspace, "tuned")
    for verb in ("fold", "train"):
        assert harness(verb) == 0
    oof, folder = workspace / "oof/tuned.parquet", workspace / "models/tuned"
    first = oof.read_bytes()
    ask(workspace, '["identity", "zoom"]')
    calls: list[int] = []
    real = training_run.Run._predict_again

    def stopping(run: Run, job: object) -> None:
        calls.append(1)
        if len(calls) == 2:
            raise Stopped
        real(run, job)  # type: ignore[arg-type]

    monkeypatch.setattr(training_run.Run, "_predict_again", stopping)
    assert harness("train") == 3
    assert oof.read_bytes() == first
    views = [noted_views(fold_predictions_file(folder, fold)) for fold in range(3)]
    assert views == [("identity", "zoom"), ("identity", "hflip"), ("identity", "hflip")]
    # with the first views again the OOF file fits, and one fold's predictions do not
    ask(workspace, "2")
    capsys.readouterr()
    assert harness("stack") == 2
    assert "fold0.oof.safetensors: holds predictions in other views" in capsys.readouterr().err
    ask(workspace, '["identity", "zoom"]')
    assert harness("train") == 0
    assert len(calls) == 2 + 2  # the first fold's are there
    ask(workspace, "2")
    assert harness("train") == 0
    assert oof.read_bytes() == first


def test_predictions_from_before_views_were_noted_are_of_the_picture_as_it_is(
    harness: Harness, workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one_model(workspace, "probe")
    ask(workspace, "1")
    for verb in ("fold", "train"):
        assert harness(verb) == 0
    path = workspace / "oof/probe.parquet"
    table = pq.read_table(path)
    noted = {key: value for key, value in table.schema.metadata.items() if b"views" not in key}
    write_parquet(path, table.replace_schema_metadata(noted))
    for fold in range(3):
        file = fold_predictions_file(workspace / "models/probe", fold)
        save_arrays(file, {key: a for key, a in load_arrays(file).items() if key != "views"})
    assert harness("stack") == 0
    capsys.readouterr()
    assert harness("train") == 0
    assert "done before" in capsys.readouterr().out
    ask(workspace, "2")
    assert harness("stack") == 2
    assert harness("train") == 0
    assert harness("stack") == 0


def test_members_of_another_tool_have_no_views(
    harness: Harness, workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one_model(workspace, "probe")
    for verb in ("fold", "train"):
        assert harness(verb) == 0
    shutil.rmtree(workspace / "models/probe")
    assert harness("stack") == 0
    ask(workspace, "1")
    assert harness("stack") == 0
    capsys.readouterr()
    assert harness("submit") == 2
    assert "no oof/probe.test.parquet" in capsys.readouterr().err  # and not the views


def test_a_member_that_is_not_listed_any_more_predicts_again_too(
    harness: Harness, workspace: Path
) -> None:
    """Such as a trial of `tune` that was kept, or the snapshots of a model that was removed."""
    edit(workspace / "competition.toml", 'mode = "finetune"', 'mode = "finetune"\nsnapshots = 2')
    for verb in ("fold", "train"):
        assert harness(verb) == 0
    before = weights(workspace)
    one_model(workspace, "probe")
    ask(workspace, "1")
    edit(workspace / "competition.toml", "precision = 'fp32'", "")
    assert harness("train") == 0
    for name in ("tuned", "tuned-c1", "probe"):
        assert oof_views(oof_metadata(workspace / f"oof/{name}.parquet")) == ("identity",)
    assert weights(workspace) == before
    assert harness("stack") == 0


def test_a_soup_predicts_the_holdout_in_the_views(harness: Harness, workspace: Path) -> None:
    edit(workspace / "competition.toml", "seed = 7", "seed = 7\nholdout = 0.3")
    one_model(workspace, "tuned", 'predict = "soup"')
    for verb in ("fold", "train"):
        assert harness(verb) == 0
    training, folder = training_of(workspace), workspace / "models/tuned"
    held = training.ids[training.holdout_rows]
    for views in (["identity", "hflip"], ["zoom"]):
        soup = load_arrays(folder / "soup.holdout.safetensors")["holdout"]
        name = soup_file(folder).name
        assert soup == pytest.approx(by_hand(workspace, "tuned", [name], held, views), abs=1e-5)
        ask(workspace, '["zoom"]')
        assert harness("train") == 0
    assert harness("stack") == 0
    # one that was not asked for while the views changed
    edit(workspace / "competition.toml", '"soup"', '"average"')
    ask(workspace, "2")
    assert harness("train") == 0
    edit(workspace / "competition.toml", '"average"', '"soup"')
    assert harness("stack") == 2
    assert harness("train") == 0
    assert harness("stack") == 0


def test_a_plan_tells_predicting_again_from_training(
    harness: Harness, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one_model(workspace, "tuned")
    for verb in ("fold", "train"):
        assert harness(verb) == 0
    monkeypatch.setattr(Run, "seconds_of_a_pass", lambda run: 2.0)

    def run_of(views: str) -> Run:
        ask(workspace, views)
        opened = Workspace.open(workspace)
        model = opened.competition.model[0]
        return Run(opened, Display(), read_training(opened), model, lambda: False)

    two, eight = run_of("2"), run_of('["identity", "zoom", "rot90"]')
    assert not two.missing
    assert eight.missing == eight.folds
    work = estimate(eight, eight.missing)
    assert (work.jobs, work.seconds) == (3, 2.0 * 3 * 30)
    fold_file(workspace / "models/tuned", 0).unlink()
    (workspace / "oof/tuned.parquet").unlink()
    assert two.missing == two.folds[:1]


def test_openvino_computes_the_features_of_many_images_as_pytorch_does(
    workspace: Path,
    harness: Harness,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip("openvino")
    one_model(workspace, "probe")

    def predicted() -> np.ndarray:
        shutil.rmtree(workspace / ".cache")
        assert harness("train", "--retrain", "probe") == 0
        return pd.read_parquet(workspace / "oof/probe.parquet")[list(CLASSES)].to_numpy()

    assert harness("fold") == 0
    assert harness("train") == 0
    by_torch = predicted()
    asked: list[int] = []
    monkeypatch.setattr(passes, "MANY", 60)  # 30 images in two views
    monkeypatch.setattr(passes, "predict_batch", lambda *given: asked.append(1))
    np.testing.assert_allclose(predicted(), by_torch, atol=1e-4)
    assert not asked
    monkeypatch.undo()
    monkeypatch.setattr(passes, "MANY", 60)
    monkeypatch.setattr("harness.predict.engines.with_torch._export", lambda *given: 1 / 0)
    np.testing.assert_array_equal(predicted(), by_torch)
    assert "PyTorch computes the features (division by zero)" in capsys.readouterr().out
