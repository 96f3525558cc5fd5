"""The class × fold table."""

import numpy as np

from harness.display import PlainConsole
from harness.fold.counts import count_rows
from harness.fold.report import fold_table


def shown(target: np.ndarray, folds: np.ndarray, k: int, **options: object) -> str:
    console = PlainConsole(width=80, color_system=None)
    with console.capture() as capture:
        counts = count_rows(target, folds[:, None].astype(np.int16), k, **options)  # type: ignore[arg-type]
        console.print(fold_table(counts))
    return capture.get()


def words(text: str, first: str) -> list[str]:
    return next(line.split() for line in text.splitlines() if line.split()[:1] == [first])


def test_classes_totals_groups_holdout_and_deviation() -> None:
    target = np.array([0, 0, 0, 0, 1, 1, 1, 0])
    folds = np.array([0, 0, 0, 1, 0, 1, 1, -1])
    groups = np.array([0, 0, 0, 1, 2, 1, 1, 3])
    text = shown(target, folds, 2, class_names=["[red]cat", "dog"], groups=groups)
    assert words(text, "class") == ["class", "rows", "0", "1", "holdout"]
    assert words(text, "[red]cat") == ["[red]cat", "5", "3", "1", "1"]
    assert words(text, "dog") == ["dog", "3", "1", "2", "0"]
    assert words(text, "all") == ["all", "8", "4", "3", "1"]
    assert words(text, "groups") == ["groups", "4", "2", "1", "1"]
    assert "largest deviation: 50.00% ([red]cat, fold 0)" in text


def test_of_many_classes_the_worst_are_shown_and_the_rest_summed() -> None:
    target = np.repeat(np.arange(30), 4)
    folds = np.tile([0, 0, 1, 1], 30)
    folds[4 * 17 : 4 * 17 + 4] = 0
    text = shown(target, folds, 2)
    assert words(text, "17") == ["17", "4", "4", "0"]
    assert "… 10 nearer" in text
    assert words(text, "…") == ["…", "10", "nearer", "40", "20", "20"]


def test_labels_overlap_so_the_rest_is_not_summed() -> None:
    text = shown(np.ones((6, 25), np.int8), np.array([0, 1, 2] * 2), 3)
    assert words(text, "…") == ["…", "5", "nearer"]


def test_values_are_shown_in_bins() -> None:
    text = shown(np.arange(40) / 8, np.arange(40) % 4, 4)
    assert "0 … 0.375" in text


def test_bins_that_differ_late_keep_different_names() -> None:
    values = 1 + np.arange(40) * 1e-7
    counts = count_rows(values, (np.arange(40) % 2).astype(np.int16)[:, None], 2)
    assert len(set(counts.names)) == len(counts.names) == 10


def test_eighty_columns_are_enough() -> None:
    target = np.arange(300_000) % 2
    text = shown(target, np.arange(300_000) % 20, 20, class_names=["x" * 60, "y"])
    assert max(map(len, text.splitlines())) <= 80
    assert words(text, "class") == ["class", "rows", "fewest", "most"]
    assert words(text, "y") == ["y", "150,000", "0", "15,000"]
