"""Test-time views."""

import numpy as np
import pytest

from harness.data.images import Pixels
from harness.errors import ConfigError
from harness.predict.views import VIEWS, InViews, allowed_views, predict_views

IMAGES: Pixels = np.arange(2 * 3 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3, 3)


class Corner:
    """Predicts the top left pixel."""

    def warm_up(self) -> None:
        pass

    def predict(self, pixels: Pixels) -> np.ndarray:
        return pixels[:, 0, 0, :2].astype(np.float32)


def test_all_eight_ways_to_lay_a_square() -> None:
    seen = {VIEWS[name](IMAGES).tobytes() for name in VIEWS}
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
