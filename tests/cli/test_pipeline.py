"""fold → train → stack → submit → grade → board on real files, as a user runs them."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from PIL import Image
from tiny import CLASSES, TOML, edit

from harness.cli import main
from harness.files import file_digest

Harness = Callable[..., int]
TUNED = TOML[TOML.index("[[model]]") : TOML.rindex("[[model]]")]


def contents(folder: Path) -> dict[str, str]:
    """Every file's digest, the caches left out."""
    return {
        str(path.relative_to(folder)): file_digest(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".cache" not in path.parts
    }


def test_run_goes_from_images_to_a_graded_submission(
    harness: Harness, workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert harness("run") == 0
    (submission,) = (workspace / "submissions").glob("*.csv")
    frame = pd.read_csv(submission, dtype={"id": str})
    sample = pd.read_csv(workspace / "data/sample_submission.csv", dtype={"id": str})
    assert list(frame.columns) == ["id", *CLASSES]
    assert list(frame["id"]) == list(sample["id"])
    assert frame[list(CLASSES)].sum(axis=1).to_numpy() == pytest.approx(1, abs=1e-6)
    printed = capsys.readouterr().out
    for text in ("tuned", "probe", "weighted", "grade:", "graded on 9 new rows"):
        assert text in printed

    oof = pq.read_table(workspace / "oof/tuned.parquet")
    assert oof.column_names == ["id", "fold", *CLASSES]
    assert oof["id"].to_pylist() == [f"{i:03d}" for i in range(30)]
    manifest = json.loads((workspace / "folds/folds.json").read_text())
    assert oof.schema.metadata[b"harness.folds"].decode() == manifest["digest"]


def test_a_second_run_changes_no_file(
    harness: Harness, workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert harness("run") == 0
    before = contents(workspace)
    capsys.readouterr()
    assert harness("run") == 0
    assert contents(workspace) == before
    printed = capsys.readouterr().out
    assert printed.count("done before") == 2
    assert printed.count("unchanged:") == 3


def test_pictures_of_more_bits_say_the_same(harness: Harness, workspace: Path) -> None:
    """Grey of 8 bits, and the same times 16 with its white declared: from training to the file."""
    made = []
    edit(workspace / "competition.toml", TUNED, "")
    edit(workspace / "competition.toml", "[folds]", "white = 1\n[folds]")
    for factor, kind, white in ((1, np.uint8, 1), (16, np.uint16, 255 * 16)):
        for path in (workspace / "data/images").iterdir():
            with Image.open(path) as image:
                grey = np.asarray(image.convert("L"))
            Image.fromarray(grey.astype(kind) * kind(factor)).save(path)
        edit(workspace / "competition.toml", "white = 1\n", f"white = {white}\n")
        for verb in ("fold", "train", "stack", "submit"):
            assert harness(verb) == 0
        (file,) = (workspace / "submissions").glob("*.csv")
        made.append(file.read_text())
        edit(workspace / "competition.toml", f"white = {white}\n", "white = 9\n")
        assert harness("submit") == 2  # the models know other pictures
        edit(workspace / "competition.toml", "white = 9\n", f"white = {white}\n")
        edit(workspace / "competition.toml", "[folds]", 'background = "black"\n[folds]')
        assert harness("submit") == 2
        edit(workspace / "competition.toml", 'background = "black"\n', "")
        for name in ("models", "submissions", "oof"):
            shutil.rmtree(workspace / name)
    assert made[0] == made[1]


def test_every_later_stage_refuses_what_was_made_on_other_folds(
    harness: Harness, workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for verb in ("fold", "train", "stack"):
        assert harness(verb) == 0
    old = json.loads((workspace / "folds/folds.json").read_text())["digest"]
    edit(workspace / "competition.toml", "seed = 7", "seed = 8")
    assert harness("fold") == 2
    assert "made by other rules" in capsys.readouterr().err
    assert harness("fold", "--fresh") == 0
    assert "will be refused" in capsys.readouterr().out
    new = json.loads((workspace / "folds/folds.json").read_text())["digest"]
    for verb in ("train", "stack", "cost", "submit"):
        assert harness(verb) == 2, verb
        said = capsys.readouterr().err
        assert old in said, verb
        assert new in said, verb


def test_a_member_that_was_trained_differently_must_be_stacked_again(
    harness: Harness, workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for verb in ("fold", "train", "stack"):
        assert harness(verb) == 0
    edit(workspace / "competition.toml", "epochs = 2", "epochs = 1")
    assert harness("train", "--retrain", "tuned") == 0
    capsys.readouterr()
    for verb in (["cost"], ["submit"], ["kernel", "build", "--budget", "5m"]):
        assert harness(*verb) == 2, verb
        said = capsys.readouterr().err
        assert "tuned: was trained with other settings since the ensemble was made" in said
        assert "run `python -m harness stack" in said
    assert harness("stack") == 0
    assert harness("submit") == 0


def test_training_again_from_nothing_gives_the_same_predictions(
    harness: Harness, workspace: Path
) -> None:
    for verb in ("fold", "train"):
        assert harness(verb) == 0
    first = {p.name: pq.read_table(p).to_pandas() for p in (workspace / "oof").glob("*.parquet")}
    assert harness("train", "--retrain", "tuned", "--retrain", "probe") == 0
    for name, table in first.items():
        pd.testing.assert_frame_equal(pq.read_table(workspace / "oof" / name).to_pandas(), table)


def test_an_interrupted_run_goes_on_where_it_was(
    harness: Harness, workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert harness("fold") == 0
    assert harness("train", "--only", "tuned") == 0
    whole = contents(workspace)
    (workspace / "oof/tuned.parquet").unlink()
    (workspace / "models/tuned/fold1.safetensors").unlink()
    capsys.readouterr()
    assert harness("train", "--only", "tuned") == 0
    assert "2 of 3 are there already" in capsys.readouterr().out
    after = contents(workspace)
    for name in ("models/tuned/fold0.safetensors", "models/tuned/fold1.safetensors"):
        assert after[name] == whole[name]
    assert pq.read_table(workspace / "oof/tuned.parquet").num_rows == 30


def test_a_changed_model_is_refused_rather_than_overwritten(
    harness: Harness, workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert harness("fold") == 0
    assert harness("train", "--only", "probe") == 0
    before = contents(workspace / "models")
    edit(
        workspace / "competition.toml",
        'mode = "probe"\nimage_size = 32',
        'mode = "probe"\nimage_size = 48',
    )
    assert harness("train", "--only", "probe") == 2
    assert "model.image_size = 32, now it is 48" in capsys.readouterr().err
    assert contents(workspace / "models") == before
    assert harness("train", "--retrain", "probe") == 0
    (workspace / "models/probe/run.json").write_text("{")
    for command in (["train", "--only", "probe"], ["stack"]):
        assert harness(*command) == 2
        assert "run.json: is damaged" in capsys.readouterr().err
    assert harness("train", "--retrain", "probe") == 0


def test_members_of_another_tool_are_stacked(harness: Harness, workspace: Path) -> None:
    """A Parquet file in oof/ is a member; for the test rows it brings its own predictions."""
    assert harness("fold") == 0
    folds = pd.read_csv(workspace / "folds/folds.csv", dtype={"id": str})
    train = pd.read_csv(workspace / "data/train.csv", dtype=str).set_index("id")
    test = pd.read_csv(workspace / "data/solution.csv", dtype=str).set_index("id")
    for labels, name in ((train, "other"), (test, "other.test")):
        frame = pd.DataFrame({"id": labels.index})
        if name == "other":
            frame["fold"] = folds.set_index("id").loc[labels.index, "fold"].to_numpy()
        for label in CLASSES:
            frame[label] = (labels["label"].to_numpy() == label) * 0.7 + 0.1
        (workspace / "oof").mkdir(exist_ok=True)
        frame.sample(frac=1, random_state=0).to_parquet(workspace / f"oof/{name}.parquet")
    for verb in ("stack", "submit"):
        assert harness(verb) == 0
    (submission,) = (workspace / "submissions").glob("*.csv")
    frame = pd.read_csv(submission, dtype={"id": str}).set_index("id")
    assert (frame.idxmax(axis=1) == test.loc[frame.index, "label"]).all()


def test_an_unreadable_test_image_gets_the_prior_and_exit_code_3(
    harness: Harness, workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (workspace / "data/images/033.png").write_bytes(b"no picture")
    (workspace / "data/images/034.png").unlink()
    assert harness("run") == 3
    (submission,) = (workspace / "submissions").glob("*.csv")
    frame = pd.read_csv(submission, dtype={"id": str}).set_index("id")
    assert frame.loc["033"].tolist() == pytest.approx([1 / 3] * 3)
    assert frame.loc["034"].tolist() == pytest.approx([1 / 3] * 3)
    assert frame.loc["032"].tolist() != pytest.approx([1 / 3] * 3, abs=1e-4)
    assert "033 gets the prior" in capsys.readouterr().out
    sidecar = json.loads(submission.with_suffix(".json").read_text())
    assert sidecar["prior_rows"] == ["033", "034"]


def test_init_writes_a_workspace_that_only_lacks_data(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "Leaf Season 1"
    assert main(["init", str(folder)]) == 0
    assert main(["data", "-C", str(folder)]) == 2
    assert "sample_submission.csv: there is no such file" in capsys.readouterr().err
    assert main(["init", str(folder)]) == 2


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["train", "--help"]])
def test_help_answers_without_torch(arguments: list[str]) -> None:
    code = (
        "import sys; from harness.cli import main; code = main(sys.argv[1:]); "
        "assert code == 0, code; assert not {'torch', 'pandas'} & set(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
