"""A look at a fold after half of its epochs: it sees what is being made, and changes nothing."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tiny import edit, make_workspace

from harness.cli import main
from harness.display import Display
from harness.files import file_digest
from harness.train.jobs import Wish, train
from harness.workspace import Workspace
from harness.workspace.runs import fold_predictions_file, load_arrays

Look = Callable[[np.ndarray, np.ndarray], None]


class Enough(Exception):
    """This training is not to go on."""


def prepared(folder: Path, recipe: str) -> Workspace:
    """The tiny competition, whose network has BatchNorm, with all that draws at random."""
    root = make_workspace(folder)
    chance = 'epochs = 3\naugment = "heavy"\nmixup = 0.3\ndrop_path = 0.2\n'
    speed = 'precision = "fp32"\nchannels_last = true\n'  # said, and not measured
    edit(root / "competition.toml", "epochs = 2", chance + speed + recipe)
    edit(root / "competition.toml", 'augment = ["vflip", "colour"]\n', "")
    assert main(["fold", "-C", str(root)]) == 0
    return Workspace.open(root)


def trained(workspace: Workspace, look: Look | None = None) -> str:
    """The digest of the OOF file."""
    assert train(workspace, Display(), Wish(only=["tuned"]), look)
    return file_digest(workspace.oof / "tuned.parquet")


@pytest.mark.parametrize("recipe", ["", 'average = "ema"', 'average = "swa"', "patience = 2"])
def test_training_is_bit_for_bit_the_same_with_and_without_it(recipe: str, tmp_path: Path) -> None:
    looked = prepared(tmp_path / "looked", recipe)
    seen: list[tuple[np.ndarray, np.ndarray]] = []
    digest = trained(looked, lambda rows, predictions: seen.append((rows, predictions)))
    assert digest == trained(prepared(tmp_path / "plain", recipe))
    assert sorted(np.concatenate([rows for rows, _ in seen])) == list(range(30))
    for fold, (_, predictions) in enumerate(seen):
        final = load_arrays(fold_predictions_file(looked.models / "tuned", fold))["predictions"]
        assert predictions.shape == final.shape
        assert predictions.sum(axis=1) == pytest.approx(1, abs=1e-5)
        assert not np.array_equal(predictions, final) or recipe.startswith("patience")


def test_who_has_seen_enough_leaves_a_checkpoint_that_goes_on(tmp_path: Path) -> None:
    workspace = prepared(tmp_path / "left", "")

    def enough(rows: np.ndarray, predictions: np.ndarray) -> None:
        raise Enough

    with pytest.raises(Enough):
        trained(workspace, enough)
    folder = workspace.models / "tuned"
    assert (folder / "fold0.checkpoint.safetensors").exists()
    assert not (folder / "fold0.safetensors").exists()
    epochs = (folder / "log.jsonl").read_text(encoding="utf-8").count('"epoch"')
    assert epochs == 2  # of three: a little more than half
    assert trained(workspace) == trained(prepared(tmp_path / "whole", ""))
