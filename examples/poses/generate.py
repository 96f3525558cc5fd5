"""Make the poses: a competition of figures that strike one of eleven poses, from a seed.

    python examples/poses/generate.py data --tied

writes train.csv, test.csv, sample_submission.csv, solution.csv and images/ into the folder. With
``--tied`` each class of the labelled pictures wears a shirt colour of its own, and the test
pictures do not. ``--only-training`` writes one folder a class instead: pictures to add.
"""

import argparse
import csv
import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from figure import BACKGROUNDS, POSES, Background, Body, Look, View, colour, draw, vary
from PIL import Image

SIZE = 160
CLASSES = tuple(sorted(POSES))


@dataclass(frozen=True)
class Settings:
    """What the pictures are drawn from: each is a choice to draw from, or a range."""

    backgrounds: tuple[Background, ...] = BACKGROUNDS
    turn: tuple[float, float] = (-30.0, 30.0)
    girth: tuple[float, float] = (0.75, 1.35)
    hue: tuple[float, float] = (0.0, 1.0)  # of shirts and trousers
    noise: tuple[float, float] = (2.0, 10.0)
    off: float = 9.0  # degrees that limbs are off


def picture(
    label: str, seed: int, number: int, settings: Settings, *, tied: bool = False
) -> Image.Image:
    """The picture of that class, seed and number: always the same. ``tied``: in its own shirt."""
    key = hashlib.blake2b(f"{label} {seed} {number}".encode(), digest_size=8).digest()
    random = np.random.default_rng(int.from_bytes(key, "little"))
    hue = CLASSES.index(label) / len(CLASSES) if tied else random.uniform(*settings.hue)
    look = Look(
        shirt=colour(
            hue + random.normal(0, 0.01) * tied, random.uniform(0.6, 1), random.uniform(0.55, 1)
        ),
        trousers=colour(
            random.uniform(*settings.hue), random.uniform(0.1, 0.8), random.uniform(0.15, 0.7)
        ),
        skin=colour(
            random.uniform(0.05, 0.09), random.uniform(0.3, 0.65), random.uniform(0.4, 0.95)
        ),
        hair=colour(random.uniform(0.03, 0.12), random.uniform(0, 0.7), random.uniform(0.05, 0.6)),
        background=settings.backgrounds[int(random.integers(len(settings.backgrounds)))],
        noise=random.uniform(*settings.noise),
    )
    body = Body(
        height=random.uniform(0.62, 0.88),
        girth=random.uniform(*settings.girth),
        legs=random.uniform(0.22, 0.28),
        arms=random.uniform(0.15, 0.19),
    )
    view = View(
        turn=random.uniform(*settings.turn),
        tilt=random.uniform(-8, 12),
        x=random.uniform(0.42, 0.58),
        y=random.uniform(0.45, 0.55),
    )
    return draw(vary(POSES[label], random, settings.off), body, look, view, SIZE, random)


def write_competition(
    folder: Path, *, labelled: int, hidden: int, seed: int, tied: bool, settings: Settings
) -> None:
    """A competition of ``labelled`` pictures a class and as many ``hidden`` ones to predict."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    rows: dict[bool, list[tuple[str, str]]] = {True: [], False: []}
    for label in CLASSES:
        for number in range(labelled + hidden):
            training = number < labelled
            name = hashlib.blake2b(f"{seed} {label} {number}".encode(), digest_size=5).hexdigest()
            image = picture(label, seed, number, settings, tied=tied and training)
            image.save(folder / "images" / f"{name}.png")
            rows[training].append((name, label))
    train, test = sorted(rows[True]), sorted(rows[False])  # names tell nothing of the class
    _write(folder / "train.csv", ("id", "label"), train)
    _write(folder / "test.csv", ("id",), [(name,) for name, _ in test])
    _write(
        folder / "sample_submission.csv", ("id", "label"), [(name, CLASSES[0]) for name, _ in test]
    )
    _write(folder / "solution.csv", ("id", "label"), test)


def write_folders(folder: Path, *, each: int, seed: int, settings: Settings) -> None:
    """One folder a class with ``each`` pictures."""
    for label in CLASSES:
        (folder / label).mkdir(parents=True, exist_ok=True)
        for number in range(each):
            image = picture(label, seed, number, settings)
            image.save(folder / label / f"{seed}-{number:04d}.png")


def _write(path: Path, header: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream, lineterminator="\n").writerows([header, *rows])


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=2019)
    parser.add_argument("--each", type=int, default=110, help="labelled pictures a class")
    parser.add_argument("--hidden", type=int, default=40, help="test pictures a class")
    parser.add_argument("--tied", action="store_true", help="a shirt colour for each class")
    parser.add_argument("--only-training", action="store_true", help="folders of pictures to add")
    parser.add_argument("--backgrounds", nargs="+", choices=BACKGROUNDS, default=BACKGROUNDS)
    default = Settings()
    for name in ("turn", "girth", "hue", "noise"):
        low_high = getattr(default, name)
        parser.add_argument(f"--{name}", nargs=2, type=float, default=low_high)
    parser.add_argument("--off", type=float, default=default.off, help="degrees limbs are off")
    return parser.parse_args()


def main() -> None:
    """Write what the command line asks for."""
    given = _arguments()
    settings = Settings(
        tuple(given.backgrounds),
        tuple(given.turn),
        tuple(given.girth),
        tuple(given.hue),
        tuple(given.noise),
        given.off,
    )
    if given.only_training:
        write_folders(given.folder, each=given.each, seed=given.seed, settings=settings)
    else:
        write_competition(
            given.folder,
            labelled=given.each,
            hidden=given.hidden,
            seed=given.seed,
            tied=given.tied,
            settings=settings,
        )


if __name__ == "__main__":
    main()
