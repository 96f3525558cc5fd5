"""Test-time views."""

from typing import get_args

import numpy as np
import pytest
from tiny import picture

from harness.data.images import Pixels
from harness.errors import ConfigError
from harness.predict.views import VIEWS, InViews, predict_views
from harness.views import View, allowed_views

IMAGES: Pixels = np.arange(2 * 3 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3, 3)


class Corner:
    """Predicts the top left pixel."""

    def warm_up(self) -> None:
        pass

    def predict(self, pixels: Pixels) -> np.ndarray:
        return pixels[:, 0, 0, :2].astype(np.float32)


def test_all_eight_ways_to_lay_a_square() -> None:
    seen = {VIEWS[name](IMAGES).tobytes() for name in allowed_views(("hflip", "rot90"))}
    assert len(seen) == 8
    assert all(VIEWS[name](IMAGES).shape == IMAGES.shape for name in VIEWS)


@pytest.mark.parametrize(("name", "turns"), [("rot90", 1), ("rot180", 2), ("rot270", 3)])
def test_turns(name: str, turns: int) -> None:
    assert np.array_equal(VIEWS[name](IMAGES), np.rot90(IMAGES, turns, axes=(1, 2)))


def test_mirrors() -> None:
    assert np.array_equal(VIEWS["hflip"](IMAGES), np.flip(IMAGES, axis=2))
    assert np.array_equal(VIEWS["vflip"](IMAGES), np.flip(IMAGES, axis=1))


def test_predictions_are_averaged() -> None:
    both = predict_views(Corner(), IMAGES, ["identity", "rot180"])
    expected = (IMAGES[:, 0, 0, :2].astype(float) + IMAGES[:, 2, 2, :2]) / 2
    assert both.tolist() == expected.tolist()
    assert both.dtype == np.float32
    assert predict_views(Corner(), IMAGES).tolist() == IMAGES[:, 0, 0, :2].tolist()


def test_unknown_view_is_told() -> None:
    with pytest.raises(ConfigError, match="did you mean 'hflip'"):
        predict_views(Corner(), IMAGES, ["hflop"])


@pytest.mark.parametrize(
    "invariances", [(), ("hflip",), ("vflip",), ("hflip", "vflip"), ("rot90",)]
)
def test_views_are_what_the_invariances_lead_to(invariances: tuple[str, ...]) -> None:
    """Whatever order they are applied in, the picture is one of the views, and no view is more."""
    seen, reached = {IMAGES.tobytes()}, [IMAGES]
    for images in reached:
        for name in invariances:
            turned = VIEWS[name](images)
            if turned.tobytes() not in seen:
                seen.add(turned.tobytes())
                reached.append(turned)
    views = allowed_views(invariances)  # type: ignore[arg-type]
    assert views[0] == "identity"
    assert {VIEWS[name](IMAGES).tobytes() for name in views} == seen
    assert len(allowed_views(("rot90", "vflip"))) == 8


def test_an_engine_in_views() -> None:
    engine = InViews([Corner()], ["identity", "rot180"])
    expected = predict_views(Corner(), IMAGES, ["identity", "rot180"])
    assert engine.predict(IMAGES).tolist() == expected.tolist()


def test_every_view_that_may_be_named_is_there() -> None:
    assert set(VIEWS) == set(get_args(View))


def test_the_first_four_of_eight_have_each_mirror_with_each_quarter_turn() -> None:
    """So a mean over them leans neither to mirrored pictures nor to turned ones."""
    views = allowed_views(("rot90", "vflip"))
    mirrors = {"hflip", "vflip", "transpose", "transverse"}
    quarters = {"rot90", "rot270", "transpose", "transverse"}
    assert len({(view in mirrors, view in quarters) for view in views[:4]}) == 4
    assert "zoom" not in views


def test_zoom_enlarges_the_centre() -> None:
    ramp = np.broadcast_to(np.arange(64, dtype=np.uint8)[:, None, None] * 4, (3, 64, 64, 3))
    seen = VIEWS["zoom"](ramp)
    assert seen.shape == ramp.shape
    assert seen.dtype == np.uint8
    expected = 4 * (31.5 + (np.arange(64) - 31.5) * 7 / 8)
    assert seen[1, 2:-2, 5, 0] == pytest.approx(expected[2:-2], abs=1)
    assert seen[2, 5, 7].tolist() == seen[0, 5, 50].tolist()
    assert VIEWS["zoom"](ramp[:0]).shape == (0, 64, 64, 3)


def test_zoom_reads_mirrored_pictures_too() -> None:
    image = np.asarray(picture("bee", 3).resize((32, 32)))[None]
    mirrored = VIEWS["hflip"](VIEWS["zoom"](VIEWS["hflip"](image)))
    assert np.abs(mirrored.astype(int) - VIEWS["zoom"](image)).max() <= 1
