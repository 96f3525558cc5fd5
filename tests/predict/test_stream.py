"""One pass over the images for members of several sizes."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from tiny import picture

from harness.competition import Rendering
from harness.data.images import Pixels, decode
from harness.predict import pixels as module
from harness.predict.stream import predict_images


@dataclass
class Mean:
    """Predicts the mean of each image's red and green."""

    image_size: int
    chunk: int = 4
    most: int = 0

    def predict(self, pixels: Pixels) -> np.ndarray:
        assert pixels.shape[1:] == (self.image_size, self.image_size, 3)
        self.most = max(self.most, len(pixels))
        return pixels.mean(axis=(1, 2))[:, :2].astype(np.float32)


def test_each_image_is_decoded_once_and_goes_to_every_member(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [tmp_path / f"{i}.png" for i in range(11)]
    for i, file in enumerate(paths):
        picture("ant", i).save(file)
    paths[6].write_bytes(b"no picture")
    counts: Counter[str] = Counter()

    def counting(path: Path, sizes: Sequence[int], rendering: Rendering) -> list[np.ndarray]:
        counts[path.stem] += 1
        return decode(path, sizes, rendering)

    monkeypatch.setattr(module, "decode", counting)
    members = {"small": Mean(8), "large": Mean(16, chunk=2), "same": Mean(8)}
    done: list[int] = []
    predictions, broken = predict_images(members, paths, 2, done.append)

    assert set(counts.values()) == {1}
    assert done == [4, 8, 11]
    assert list(broken) == [6]
    good = [row for row in range(11) if row != 6]
    for name, member in members.items():
        images = np.stack([decode(paths[row], [member.image_size])[0] for row in good])
        assert predictions[name][good] == pytest.approx(member.predict(images))
        assert np.isnan(predictions[name][6]).all()
    assert predictions["small"][good].std(axis=0).min() > 0


def test_chunks_bound_the_memory(tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    picture("ant", 0).save(file)
    member = Mean(8)
    predictions, _ = predict_images({"a": member}, [file] * 50, 2, lambda done: None)
    assert member.most == 4
    assert np.isfinite(predictions["a"]).all()
