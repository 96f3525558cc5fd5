"""The pinned fold files: one small table of each shape, folded.

    python tests/golden/folds/make.py            compare; exit 1 if a file would differ
    python tests/golden/folds/make.py --write    write them anew

A difference means that users' folds would move and their out-of-fold files would be refused.
That is only ever right with a new ``harness.fold.assign.ALGORITHM``, told in the changelog.

The tables come from arithmetic, not from a random generator whose stream may change.
"""

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from harness.fold.assign import FoldRules
from harness.fold.make import make_folds

HERE = Path(__file__).parent


def scatter(rows: int, salt: int) -> np.ndarray:
    """Numbers from 0 to 996 (rows,) that look random and are the same for ever."""
    row = np.arange(1, rows + 1)
    return (row * row * 31 + row * salt * 17 + salt * 101) % 997


def names(codes: np.ndarray, *of: str) -> np.ndarray:
    return np.array(of, dtype=object)[codes]


def ids(rows: int, prefix: str = "img_") -> np.ndarray:
    return np.array([f"{prefix}{row:03d}" for row in range(rows)], dtype=object)


def plain(folder: Path) -> None:
    """Three uneven classes: the keyed order, the remainders that rotate over the folds."""
    target = np.array([0, 0, 0, 1, 1, 2])[scatter(38, 1) % 6]
    labels = names(target, "mono", "poly", "thin")
    make_folds(folder, ids(38), target, FoldRules(5, seed=2019), labels_text=labels)


def grouped(folder: Path) -> None:
    """Groups of one to seven rows: placing by size, batches, and the moves and swaps after."""
    target, group = scatter(60, 2) % 3, scatter(60, 3) % 19
    group[:7] = 19
    groups = np.array([f"patient {code}" for code in group], dtype=object)
    make_folds(folder, ids(60), target, FoldRules(4, seed=1), groups=groups)


def multilabel(folder: Path) -> None:
    """Four labels in 13 combinations, some rows without any: label and pair proportions."""
    target = np.stack([scatter(48, 4 + label) % (label + 2) == 0 for label in range(4)], axis=1)
    columns = np.array(["cloud", "crack", "dust", "snow"])
    labels = np.array([" ".join(columns[row]) for row in target], dtype=object)
    make_folds(
        folder,
        ids(48),
        target.astype(np.int8),
        FoldRules(3, seed=5),
        labels_text=labels,
        class_names=columns.tolist(),
    )


def regression(folder: Path) -> None:
    """Values with a heavy tail and many zeros: quantile bins, neighbours in different folds."""
    numbers = scatter(50, 9)
    target = np.where(numbers < 300, 0, numbers * numbers / 1000)
    labels = np.array([f"{value:.3f}" for value in target], dtype=object)
    make_folds(folder, ids(50), target, FoldRules(5), labels_text=labels)


def rare(folder: Path) -> None:
    """Classes of one, two and three rows for four folds, accepted: each row in another fold."""
    target = np.zeros(30, np.int64)
    target[[3, 7, 8, 20, 21, 22]] = [1, 2, 2, 3, 3, 3]
    make_folds(folder, ids(30), target, FoldRules(4, rare="spread"))


def holdout(folder: Path) -> None:
    """A fifth held out before the folds, of every class, groups whole."""
    target, group = scatter(60, 11) % 2, scatter(60, 12) % 30
    groups = np.array([f"g{code}" for code in group], dtype=object)
    make_folds(folder, ids(60), target, FoldRules(3, holdout=0.2, seed=3), groups=groups)


def repeats(folder: Path) -> None:
    """Three assignments that differ, with one holdout for all of them."""
    target = scatter(40, 13) % 2
    make_folds(folder, ids(40), target, FoldRules(4, repeats=3, holdout=0.1, seed=7))


def grown(folder: Path) -> None:
    """Two growths and a class that the first rows did not have: nothing placed ever moves."""
    target = scatter(45, 14) % 2
    target[30:] = scatter(15, 15) % 3
    for rows in (25, 31, 45):
        make_folds(
            folder,
            ids(45)[:rows],
            target[:rows],
            FoldRules(3, rare="spread"),
            labels_text=names(target[:rows], "cat", "dog", "owl"),
        )


def vanished(folder: Path) -> None:
    """Rows that left and others that came: kept folds, and a record that says so."""
    target = scatter(40, 16) % 2
    rules = FoldRules(4, seed=8)
    make_folds(folder, ids(40)[:30], target[:30], rules)
    make_folds(folder, ids(40)[4:], target[4:], rules)


def awkward(folder: Path) -> None:
    """Ids as found in the wild: zeros in front, commas, quotes, line ends, letters of all sorts."""
    found = ["007", "7", "07", "a,b", 'say "x"', "two\nlines", "cr\rlf", " edge", "é", "漢字", "NA"]
    texts = np.array([*found, *ids(19, "ÄÖ/")], dtype=object)
    labels = names(scatter(30, 17) % 2, "[bold]", "nan")
    target = (labels == "nan").astype(np.int64)
    make_folds(folder, texts, target, FoldRules(3), labels_text=labels)


SHAPES: tuple[Callable[[Path], None], ...] = (
    plain,
    grouped,
    multilabel,
    regression,
    rare,
    holdout,
    repeats,
    grown,
    vanished,
    awkward,
)


def differences() -> list[str]:
    """The files that would be written otherwise, as ``shape/file``."""
    found = []
    for shape in SHAPES:
        with tempfile.TemporaryDirectory() as temporary:
            shape(Path(temporary))
            for new in sorted(Path(temporary).iterdir()):
                pinned = HERE / shape.__name__ / new.name
                if not pinned.exists() or pinned.read_bytes() != new.read_bytes():
                    found.append(f"{shape.__name__}/{new.name}")
    return found


def main() -> int:
    """Compare, or write if asked to."""
    if sys.argv[1:] == ["--write"]:
        for shape in SHAPES:
            folder = HERE / shape.__name__
            for old in folder.glob("folds.*"):
                old.unlink()  # a grown record would otherwise grow on
            shape(folder)
        return 0
    changed = differences()
    print("\n".join(f"differs: {name}" for name in changed) or "the same, byte for byte")
    return 1 if changed else 0


if __name__ == "__main__":
    sys.exit(main())
