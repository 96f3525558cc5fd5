"""An articulated figure: poses as directions of limbs in space, drawn with Pillow.

A pose gives every limb a direction (x to the picture's right, y up, z towards the viewer); a body
gives it a length and a thickness; a view turns it. What is nearer is drawn later.
"""

import colorsys
import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

Vector = tuple[float, float, float]
Colour = tuple[int, int, int]
Background = Literal["plain", "gradient", "room", "clutter"]
BACKGROUNDS: tuple[Background, ...] = ("plain", "gradient", "room", "clutter")
LIMBS = (
    *("torso", "head"),
    *("left upper arm", "left forearm", "right upper arm", "right forearm"),
    *("left thigh", "left shin", "right thigh", "right shin"),
)
"""The order of a pose's directions; left and right are the picture's, seen from the front."""


@dataclass(frozen=True)
class Pose:
    """Directions of ``LIMBS``, of any length, and the turn (degrees) it is mostly seen from."""

    limbs: tuple[Vector, ...]
    turn: float = 0.0


_UP, _DOWN = (0.0, 1.0, 0.0), (0.0, -1.0, 0.0)
_STANDING: tuple[Vector, ...] = ((-0.08, -1, 0), _DOWN, (0.08, -1, 0), _DOWN)
_APART: tuple[Vector, ...] = ((-0.4, -1, 0.1), (-0.2, -1, 0), (0.4, -1, 0.1), (0.2, -1, 0))


def _pose(arms: tuple[Vector, ...], legs: tuple[Vector, ...] = _STANDING, **other: object) -> Pose:
    torso, head = other.pop("torso", _UP), other.pop("head", _UP)
    return Pose((torso, head, *arms, *legs), **other)  # type: ignore[arg-type]


POSES: dict[str, Pose] = {
    "ChairPose": _pose(
        ((-0.2, 0.9, 0.4), (-0.1, 1, 0.3), (0.2, 0.9, 0.4), (0.1, 1, 0.3)),
        ((-0.15, -0.4, 0.9), (0, -1, -0.3), (0.15, -0.4, 0.9), (0, -1, -0.3)),
        torso=(0, 0.9, 0.45),
        turn=50,
    ),
    "ChildPose": _pose(
        ((-0.2, -0.35, 1), (-0.1, -0.15, 1), (0.2, -0.35, 1), (0.1, -0.15, 1)),
        ((-0.2, -0.3, 0.9), (0, -0.1, -1), (0.2, -0.3, 0.9), (0, -0.1, -1)),
        torso=(0, 0.15, 1),
        head=(0, -0.3, 1),
        turn=65,
    ),
    "Dabbing": _pose(
        ((-0.7, 0.45, 0.3), (0.95, 0.35, 0.35), (0.9, 0.5, 0), (0.9, 0.5, 0)),
        head=(-0.35, 0.75, 0.45),
    ),
    "HandGun": _pose(
        ((-0.7, -0.7, 0), (0.75, -0.55, 0.3), (0.9, 0.05, 0.4), (0.9, 0.1, 0.4)),
    ),
    "HandShake": _pose(
        ((-0.15, -1, 0), (-0.05, -1, 0.1), (0.25, -0.8, 0.3), (0.75, 0.1, 0.65)),
    ),
    "HulkSmash": _pose(
        ((-0.8, 0.55, 0.1), (-0.05, 1, 0.2), (0.8, 0.55, 0.1), (0.05, 1, 0.2)), _APART
    ),
    "KoreanHeart": _pose(
        ((-0.75, 0.65, 0), (0.75, 0.6, 0.1), (0.75, 0.65, 0), (-0.75, 0.6, 0.1)),
    ),
    "KungfuCrane": _pose(
        ((-0.9, 0.3, 0), (-0.8, 0.6, 0), (0.9, 0.3, 0), (0.8, 0.6, 0)),
        ((-0.05, -1, 0), _DOWN, (0.35, -0.05, 0.9), (-0.2, -1, -0.1)),
    ),
    "KungfuSalute": _pose(
        ((-0.55, -0.75, 0.4), (0.8, 0.3, 0.5), (0.55, -0.75, 0.4), (-0.8, 0.3, 0.5)),
    ),
    "Salute": _pose(
        ((-0.12, -1, 0), (-0.05, -1, 0), (0.85, 0.15, 0.2), (-0.75, 0.65, 0.2)),
    ),
    "WarriorPose": _pose(
        ((-1, 0.02, 0), (-1, 0.02, 0), (1, 0.02, 0), (1, 0.02, 0)),
        ((-0.85, -0.5, 0.1), (0, -1, 0), (0.75, -0.65, 0), (0.75, -0.65, 0)),
    ),
}


@dataclass(frozen=True)
class Body:
    """Lengths of torso, head, arm and leg segments in parts of the height; a general thickness."""

    height: float = 0.8  # of the picture, standing
    girth: float = 1.0
    legs: float = 0.25  # each of the two segments
    arms: float = 0.17


@dataclass(frozen=True)
class Look:
    """Colours and surroundings."""

    shirt: Colour
    trousers: Colour
    skin: Colour
    hair: Colour
    background: Background = "plain"
    noise: float = 4.0  # standard deviation, of 255


@dataclass(frozen=True)
class View:
    """Where it is seen from (degrees), and where it stands (of the picture's sides)."""

    turn: float = 0.0
    tilt: float = 0.0
    x: float = 0.5
    y: float = 0.5


def vary(pose: Pose, random: np.random.Generator, degrees: float) -> Pose:
    """The pose as another person would strike it: limbs off by some degrees; maybe mirrored."""
    limbs = np.array(pose.limbs, float)
    limbs /= np.linalg.norm(limbs, axis=1, keepdims=True)
    limbs += random.normal(0, math.radians(degrees), limbs.shape)
    if random.random() < 0.5:
        swapped = [0, 1, 4, 5, 2, 3, 8, 9, 6, 7]
        limbs = limbs[swapped] * (-1, 1, 1)
        return Pose(tuple(map(tuple, limbs.tolist())), -pose.turn)
    return Pose(tuple(map(tuple, limbs.tolist())), pose.turn)


def draw(
    pose: Pose, body: Body, look: Look, view: View, size: int, random: np.random.Generator
) -> Image.Image:
    """The figure as a square RGB picture of ``size`` pixels a side."""
    large = 2 * size  # drawn twice as large, so that edges come out smooth
    image = _background(look.background, large, random)
    canvas = ImageDraw.Draw(image)
    joints = _joints(pose, body)
    turned = {name: _turn(point, view, pose.turn) for name, point in joints.items()}
    points = np.array(list(turned.values()))
    centre = (points.max(axis=0) + points.min(axis=0))[:2] / 2
    scale = body.height * large

    def place(name: str) -> tuple[float, float]:
        x, y = (turned[name][:2] - centre) * scale
        return view.x * large + x, view.y * large - y

    thick = body.girth * scale
    parts = [
        ("hips", "neck", 0.17, look.shirt),
        ("left shoulder", "right shoulder", 0.075, look.shirt),
        ("left hip", "right hip", 0.09, look.trousers),
    ]
    for side in ("left", "right"):
        parts += [
            (f"{side} shoulder", f"{side} elbow", 0.062, look.shirt),
            (f"{side} elbow", f"{side} hand", 0.048, look.skin),
            (f"{side} hip", f"{side} knee", 0.085, look.trousers),
            (f"{side} knee", f"{side} foot", 0.068, look.trousers),
        ]
    parts += [("neck", "chin", 0.05, look.skin), ("chin", "crown", 0.115, look.skin)]
    for start, end, width, colour in sorted(
        parts, key=lambda part: turned[part[0]][2] + turned[part[1]][2]
    ):
        depth = (turned[start][2] + turned[end][2]) / 2
        _capsule(canvas, place(start), place(end), width * thick, _shade(colour, depth))
    x, y = place("crown")
    radius = 0.055 * thick
    canvas.ellipse((x - radius, y - radius, x + radius, y + radius * 0.6), fill=look.hair)
    image = image.filter(ImageFilter.GaussianBlur(0.7)).resize((size, size), Image.Resampling.BOX)
    grain = random.normal(0, look.noise, (size, size, 1)) + random.normal(
        0, look.noise / 2, (size, size, 3)
    )
    return Image.fromarray(np.clip(np.asarray(image) + grain, 0, 255).astype(np.uint8))


def colour(hue: float, saturation: float, value: float) -> Colour:
    """A colour of 0 to 255 from hue, saturation and value of 0 to 1."""
    red, green, blue = colorsys.hsv_to_rgb(hue % 1, min(1, saturation), min(1, value))
    return round(red * 255), round(green * 255), round(blue * 255)


def _joints(pose: Pose, body: Body) -> dict[str, NDArray[np.float64]]:
    """Where the joints are, in heights, the hips at the origin."""
    limbs = dict(zip(LIMBS, np.array(pose.limbs, float), strict=True))
    unit = {name: limb / np.linalg.norm(limb) for name, limb in limbs.items()}
    hips = np.zeros(3)
    neck = hips + 0.3 * unit["torso"]
    chin = neck + 0.06 * unit["head"]
    joints = {"hips": hips, "neck": neck, "chin": chin, "crown": chin + 0.1 * unit["head"]}
    for side, sign in (("left", -1), ("right", 1)):
        sideways = np.array([sign * body.girth**0.5, 0, 0])
        shoulder = neck + sideways * 0.1 - 0.02 * unit["torso"]
        elbow = shoulder + body.arms * unit[f"{side} upper arm"]
        hip = hips + sideways * 0.055
        knee = hip + body.legs * unit[f"{side} thigh"]
        joints |= {
            f"{side} shoulder": shoulder,
            f"{side} elbow": elbow,
            f"{side} hand": elbow + body.arms * unit[f"{side} forearm"],
            f"{side} hip": hip,
            f"{side} knee": knee,
            f"{side} foot": knee + body.legs * unit[f"{side} shin"],
        }
    return joints


def _turn(point: NDArray[np.float64], view: View, turn: float) -> NDArray[np.float64]:
    """The point seen from the view: x to the right, y up, z nearer."""
    angle, tilt = math.radians(view.turn + turn), math.radians(view.tilt)
    x, y, z = point
    x, z = x * math.cos(angle) + z * math.sin(angle), z * math.cos(angle) - x * math.sin(angle)
    return np.array(
        [x, y * math.cos(tilt) - z * math.sin(tilt), z * math.cos(tilt) + y * math.sin(tilt)]
    )


def _shade(colour_: Colour, depth: float) -> Colour:
    light = 1 + 0.5 * float(np.clip(depth, -0.4, 0.4))
    red, green, blue = (round(min(255, channel * light)) for channel in colour_)
    return red, green, blue


def _capsule(
    canvas: ImageDraw.ImageDraw,
    start: tuple[float, float],
    end: tuple[float, float],
    width: float,
    fill: Colour,
) -> None:
    outline: Colour = tuple(round(channel * 0.7) for channel in fill)  # type: ignore[assignment]
    for thickness, paint in ((width * 1.12, outline), (width, fill)):
        radius = thickness / 2
        canvas.line((start, end), fill=paint, width=max(1, round(thickness)))
        for x, y in (start, end):
            canvas.ellipse((x - radius, y - radius, x + radius, y + radius), fill=paint)


def _background(kind: Background, size: int, random: np.random.Generator) -> Image.Image:
    base = colour(random.random(), 0.25 * random.random(), random.uniform(0.35, 0.95))
    if kind == "gradient":
        other = colour(random.random(), 0.3 * random.random(), random.uniform(0.3, 0.95))
        ramp = np.linspace(0, 1, size)[:, None, None]
        pixels = (1 - ramp) * np.array(base) + ramp * np.array(other)
        return Image.fromarray(np.broadcast_to(pixels, (size, size, 3)).astype(np.uint8))
    image = Image.new("RGB", (size, size), base)
    canvas = ImageDraw.Draw(image)
    if kind == "room":
        floor = random.uniform(0.6, 0.85) * size
        ground = colour(random.random(), 0.4 * random.random(), random.uniform(0.25, 0.8))
        canvas.rectangle((0, floor, size, size), fill=ground)
        left, width = random.uniform(0, 0.8) * size, random.uniform(0.1, 0.3) * size
        pane = colour(random.random(), 0.3, random.uniform(0.5, 1))
        canvas.rectangle((left, 0.1 * size, left + width, 0.4 * size), fill=pane)
    if kind == "clutter":
        for _ in range(12):
            x, y = random.uniform(0, size, 2)
            w, h = random.uniform(0.05, 0.25, 2) * size
            paint = colour(random.random(), 0.5 * random.random(), random.uniform(0.2, 0.95))
            shape = canvas.rectangle if random.random() < 0.5 else canvas.ellipse
            shape((x, y, x + w, y + h), fill=paint)
    return image
