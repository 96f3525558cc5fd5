"""A small competition of real files: pictures that can be learnt, tables, a competition.toml."""

import csv
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from harness.predict.engine import choose_device

CLASSES = ("ant", "bee", "cat")

TOML = """\
[competition]
name = "tiny"
task = "multiclass"
metric = "log_loss"

[data]
train = "data/train.csv"
test = "data/test.csv"
images = "data/images/{id}.png"
sample_submission = "data/sample_submission.csv"
label = "label"

[folds]
k = 3
seed = 7

[[model]]
name = "tuned"
backbone = "test_resnet"
weights = "none"
mode = "finetune"
image_size = 32
epochs = 2
batch_size = 8
augment = ["vflip", "colour"]

[[model]]
name = "probe"
backbone = "test_efficientnet"
weights = "none"
mode = "probe"
image_size = 32

[stack]
methods = ["best", "mean", "weighted"]
"""


def picture(label: str, seed: int) -> Image.Image:
    """Noise with a bright third: which one is the class."""
    random = np.random.default_rng(seed)
    pixels = random.integers(0, 90, (40, 36, 3))
    third = CLASSES.index(label) * 12
    pixels[:, third : third + 12] += 120
    return Image.fromarray(pixels.astype(np.uint8))


def png_header(width: int, height: int) -> bytes:
    """The beginning of a PNG file that claims to be so large."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(9)))


def write_table(path: Path, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def tree(folder: Path) -> dict[str, tuple[int, bytes]]:
    """What lies below a folder: each path's time, and its bytes if it is a file."""
    return {
        path.relative_to(folder).as_posix(): (
            path.stat().st_mtime_ns,
            path.read_bytes() if path.is_file() else b"",
        )
        for path in sorted(folder.rglob("*"))
    }


def edit(path: Path, old: str, new: str) -> None:
    """Replace a piece of text that must be there."""
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def cheap_costs() -> list[str]:
    """The options of `cost` that try one engine alone: the one that training predicts with."""
    device = choose_device("auto")
    runtime = "cuda" if device.torch.type == "cuda" else "torch"
    return ["--engine", f"{runtime}-{device.precision}"]


def make_workspace(folder: Path) -> Path:
    """30 labelled images and 9 to predict, whose truth is in data/solution.csv."""
    (folder / "data" / "images").mkdir(parents=True)
    labels = [CLASSES[i % 3] for i in range(39)]
    ids = [f"{i:03d}" for i in range(39)]
    for i, (id_, label) in enumerate(zip(ids, labels, strict=True)):
        picture(label, i).save(folder / "data" / "images" / f"{id_}.png")
    rows = list(zip(ids, labels, strict=True))
    write_table(folder / "data/train.csv", ["id", "label"], rows[:30])
    write_table(folder / "data/test.csv", ["id"], [[id_] for id_ in ids[30:]])
    write_table(folder / "data/solution.csv", ["id", "label"], rows[30:])
    third = round(1 / 3, 9)
    write_table(
        folder / "data/sample_submission.csv",
        ["id", *CLASSES],
        [[id_, third, third, third] for id_ in ids[30:]],
    )
    (folder / "competition.toml").write_text(TOML, encoding="utf-8")
    return folder
