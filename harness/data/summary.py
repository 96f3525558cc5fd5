"""What the data look like, in a few lines, after checking that it is all there."""

from pathlib import Path

import numpy as np

from harness.competition import Competition, Task
from harness.data.frame import read_columns, read_header, texts
from harness.data.images import find_images
from harness.data.locate import match_files
from harness.data.metadata import choose_columns
from harness.data.sample import Strings, read_test_ids
from harness.data.table import Table, read_metadata, read_table
from harness.patterns import common_home, home
from harness.text import disagreement, is_image, refuse_look_alikes


def summarise(competition: Competition, root: Path) -> list[str]:
    """Lines about the training table, its labels and the test rows; a DataError if they do not
    fit."""
    table = read_table(competition, root)
    refuse_look_alikes(table.ids, range(len(table.ids)))
    test_ids = check_rows(competition, root, table)
    find_images(competition, root, table.ids)
    lines = summarise_table(table, competition.task)
    if test_ids is not None:
        find_images(competition, root, test_ids, test=True, tolerate_missing=True)
        lines += [f"{len(test_ids)} images to predict", *differing_test_ids(competition, root)]
    return [f"data: {line}" for line in lines]


def check_rows(competition: Competition, root: Path, table: Table) -> Strings | None:
    """Return the test ids, if there are any, after checking all that later stages need of rows.

    But for ids that look alike, which ``fold`` finds on its own, and faster.
    """
    check_metadata(competition, root, table)
    data = competition.data
    if data.test or data.sample_submission or data.test_images:
        return check_test(competition, root)
    return None


def check_metadata(competition: Competition, root: Path, table: Table) -> None:
    """Raise a DataError or ConfigError if the training rows' metadata cannot be used."""
    names = competition.stack.metadata
    cells = read_metadata(competition, root, table.ids, names, test=False)
    choose_columns(names, cells, table.source)


def check_test(competition: Competition, root: Path) -> Strings:
    """Return the test ids; a DataError if sources disagree or a test row lacks its metadata."""
    ids = read_test_ids(competition, root)
    read_metadata(competition, root, ids, competition.stack.metadata, test=True)
    return ids


def differing_test_ids(competition: Competition, root: Path) -> list[str]:
    """Return a line on how sample, test table and test images differ; none where they agree."""
    data, sources = competition.data, {}
    for name in filter(None, (data.sample_submission, data.test)):
        header = read_header(root / name)
        column = data.id if data.id in header else header[0]
        sources[name] = texts(read_columns(root / name, [column])[column]).tolist()
    patterns = [pattern for pattern in data.test_images if (root / home(pattern)).is_dir()]
    if patterns and common_home(patterns) != common_home(data.images):
        found = match_files(patterns, root).items()
        ids = [said["id"] for path, said in found if is_image(path)]
        sources |= {f"{common_home(patterns)}/": ids} if ids else {}
    differ = disagreement(sources) if sources else None
    return [f"{differ}; {data.decides!r} decides ([data] test_ids)"] if differ else []


def summarise_table(table: Table, task: Task) -> list[str]:
    """Lines about the labelled images."""
    lines = [f"{len(table.ids)} labelled images in {table.source}"]
    if task == "regression":
        low, high = table.target.min(), table.target.max()
        lines.append(f"{table.targets[0]} from {low:g} to {high:g}")
    else:
        hot = table.target if table.target.ndim == 2 else np.eye(len(table.targets))[table.target]
        counts = hot.sum(axis=0).astype(int)
        shown = [f"{name}: {count}" for name, count in zip(table.targets, counts, strict=True)]
        more = f", … ({len(shown)} in all)" if len(shown) > 12 else ""
        lines.append(f"images a class: {', '.join(shown[:12])}{more}")
    if task == "binary":
        lines.append(f"asked for: {table.targets[1]!r}, the second class ([data] classes orders)")
    if table.groups is not None:
        lines.append(f"{len(set(table.groups))} groups")
    return lines
