"""What probes say of a workspace: shortcuts, maps of where they look, twins, growth."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny import write_table

from harness.audit import pictures
from harness.audit.duplicates import find_copies
from harness.audit.embed import Eyes
from harness.audit.learn import Probed, growth, shortcuts, twins
from harness.audit.look import shrink
from harness.audit.occlusion import PLACES, occlusion_map, save_map
from harness.audit.pictures import see
from harness.display import Display
from harness.workspace import Workspace

TOML = """\
[competition]
name = "lights"
task = "binary"
metric = "accuracy"

[data]
train = "data/train.csv"
test = "data/test.csv"
images = "data/images/{id}.png"
label = "label"
"""
ROWS = 60


@pytest.fixture
def probed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Probed:
    """Red and green lamps that stand anywhere, each third one pictured twice; eyes that see
    8 × 8 pixels."""
    eyes = Eyes("coarse", lambda squares: shrink(squares, 8).reshape(len(squares), -1))
    monkeypatch.setattr(pictures, "open_eyes", lambda workspace, say: eyes)
    random = np.random.default_rng(0)
    (tmp_path / "data/images").mkdir(parents=True)
    rows = []
    for number in range(ROWS):
        pixels = random.integers(60, 160, (64, 64, 1)).repeat(3, axis=2)
        y, x = random.integers(0, 40, 2)
        pixels[y : y + 24, x : x + 24] = ((200, 30, 30), (30, 180, 40))[number % 2]
        image = Image.fromarray(pixels.astype(np.uint8))
        names = [f"{number:02d}", f"{number:02d} again"] if number % 3 == 0 else [f"{number:02d}"]
        for name in names:
            image.save(tmp_path / f"data/images/{name}.png")
            rows.append((name, ("stop", "go")[number % 2]))
            image = image.resize((128, 128))
    write_table(tmp_path / "data/train.csv", ["id", "label"], rows)
    write_table(tmp_path / "data/test.csv", ["id"], [[name] for name, _ in rows[:2]])
    (tmp_path / "competition.toml").write_text(TOML)
    workspace = Workspace.open(tmp_path)
    seen = see(workspace, Display())
    return Probed(workspace, seen, find_copies(seen.looks))


def test_a_tied_colour_rings_and_names_its_classes(probed: Probed) -> None:
    lines = shortcuts(probed)
    assert any(line.startswith("  ALARM: colours alone") for line in lines)
    assert any("class stop" in line and "red" in line for line in lines)
    assert any("class go" in line and "green" in line for line in lines)
    assert any("ALARM: with their hues turned" in line for line in lines)
    maps = sorted((probed.workspace.root / "audit/maps").iterdir())
    assert [path.name for path in maps] == ["class-0.png", "class-1.png"]
    with Image.open(maps[0]) as image:
        assert image.width == 256
    assert image.height > 128  # the caption


def test_without_eyes_little_is_an_alarm(tmp_path: Path) -> None:
    """Lamps whose colour tells the class two times in three, and nothing to compare that with."""
    random = np.random.default_rng(1)
    (tmp_path / "data/images").mkdir(parents=True)
    rows = []
    for number in range(80):
        label = number % 2
        shown = label if random.random() < 0.65 else 1 - label
        pixels = random.integers(60, 160, (64, 64, 1)).repeat(3, axis=2)
        y, x = random.integers(0, 40, 2)
        pixels[y : y + 24, x : x + 24] = ((200, 30, 30), (30, 180, 40))[shown]
        Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / f"data/images/{number}.png")
        rows.append((str(number), ("stop", "go")[label]))
    write_table(tmp_path / "data/train.csv", ["id", "label"], rows)
    (tmp_path / "competition.toml").write_text(TOML.replace('test = "data/test.csv"\n', ""))
    workspace = Workspace.open(tmp_path)
    seen = see(workspace, Display())
    assert seen.eyes is None
    probed = Probed(workspace, seen, find_copies(seen.looks))
    lines = shortcuts(probed)
    assert "no [[model]] has pretrained weights" in lines[1]
    assert not [line for line in lines if "ALARM" in line]
    assert "a perfect model's 1.00" in lines[2]
    assert "a probe of pixels" in growth(probed)[0]


def test_twins_are_kept_together(probed: Probed) -> None:
    lines = twins(probed)
    assert lines[0].startswith("copies: 40 training images")
    assert any("kept together" in line for line in lines)
    folds, groups = probed.question.folds, probed.groups
    assert all(len(set(folds[groups == group])) == 1 for group in groups)


def test_growth_is_told_in_words(probed: Probed) -> None:
    lines = growth(probed)
    assert lines[0].startswith("more pictures: doubling the training set is worth")
    assert any("mirrored" in line for line in lines)


def test_what_was_seen_is_not_looked_at_again(
    probed: Probed, monkeypatch: pytest.MonkeyPatch
) -> None:
    from harness.audit import look

    monkeypatch.setattr(look, "look_at", None)
    again = see(probed.workspace, Display())
    assert (again.looks.features == probed.pictures.looks.features).all()


def test_the_map_is_bright_where_the_answer_lies() -> None:
    square = np.full((128, 128, 3), 90, np.uint8)
    square[96:112, 32:48] = (255, 0, 0)
    falls = occlusion_map(square, lambda squares: squares[:, 104, 40, 0] / 255)
    y, x = np.unravel_index(int(falls.argmax()), falls.shape)
    assert falls.shape == (PLACES, PLACES)
    assert (int(y), int(x)) in {(6, 2), (6, 3), (7, 2), (7, 3)}
    assert falls[0, 7] == 0


def test_a_map_stands_above_its_caption(tmp_path: Path) -> None:
    square = np.full((128, 128, 3), 90, np.uint8)
    path = tmp_path / "map.png"
    sizes = []
    for caption in ("cat: image 7", "cat: image " + "a_long_name" * 9 + "\nLeft: the picture."):
        save_map(path, square, np.eye(PLACES), caption)
        page = np.asarray(Image.open(path))
        assert page.shape[1] == 256
        assert np.array_equal(page[:128, :128], square)
        assert (page[128:] < 128).any()  # letters
        assert (page[128:, -4:] == 255).all()  # none of them beyond the edge
        sizes.append(len(page))
    assert sizes[1] > sizes[0] > 128
