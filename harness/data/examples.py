"""Example competitions made of data sets that install as packages: real pictures, no download."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harness.errors import DataError
from harness.files import digest, replacing, write_text

HIDDEN_SHARE = 0.25


def prepare_elpv(folder: Path) -> bool:
    """Lay out the ELPV solar cells as a competition; False if that was already done.

    2,624 photographs of solar cells (Deitsch et al. 2019, doi 10.1016/j.solener.2019.02.067;
    Buerhop-Lutz et al. 2018) whose probability of a defect experts judged as 0, 1/3, 2/3 or 1;
    the label is that probability in per cent. A stratified quarter plays the hidden test set.
    Writes train.csv, test.csv, sample_submission.csv, solution.csv and images/. The data set is
    licensed CC BY-NC-SA 4.0 and stays in its package; the folder holds a copy to work on.
    """
    try:
        import elpv_dataset
    except ModuleNotFoundError:
        raise DataError(
            "data", "the package elpv-dataset is not installed", "pip install 'elpv-dataset'"
        ) from None
    source = Path(elpv_dataset.__file__).parent / "data"
    cells = pd.read_csv(
        source / "labels.csv", sep=r"\s+", names=["path", "probability", "kind"], header=None
    )
    cells["id"] = [Path(path).stem for path in cells["path"]]
    cells["label"] = (cells["probability"] * 100).round().astype(int).astype(str)
    hidden = hidden_rows(cells["id"], cells["label"])
    if (folder / "solution.csv").exists() and _images_complete(folder, cells["id"]):
        return False

    for path, id_ in zip(cells["path"], cells["id"], strict=True):
        target = folder / "images" / f"{id_}.png"
        if not target.exists():
            with replacing(target) as temporary:
                temporary.write_bytes((source / path).read_bytes())
    train, test = cells[~hidden], cells[hidden].sort_values("id")
    _write_csv(folder / "train.csv", train[["id", "label", "kind"]])
    _write_csv(folder / "test.csv", test[["id", "kind"]])
    sample = pd.DataFrame(0.25, index=test.index, columns=["0", "33", "67", "100"])
    sample.insert(0, "id", test["id"])
    _write_csv(folder / "sample_submission.csv", sample)
    # last, so that its existence means that all is there
    _write_csv(folder / "solution.csv", test[["id", "label"]])
    return True


def hidden_rows(ids: Iterable[str], labels: Iterable[str]) -> NDArray[np.bool_]:
    """Which rows play the hidden test set (rows,): a stratified share, by the ids' digests.

    Each class gives its share; the fractions that are left over go to the classes with the
    largest ones, so that the total is the share of all rows.
    """
    frame = pd.DataFrame({"id": list(ids), "label": list(labels)})
    frame["key"] = [digest("hidden test set", id_) for id_ in frame["id"]]
    quota = frame["label"].value_counts().sort_index() * HIDDEN_SHARE
    counts = (quota // 1).astype(int)
    spare = round(len(frame) * HIDDEN_SHARE) - int(counts.sum())
    counts[(quota - counts).sort_values(ascending=False, kind="stable").index[:spare]] += 1
    rank = frame.sort_values("key").groupby("label").cumcount().reindex(frame.index)
    quota_of_row = counts.loc[frame["label"]].to_numpy()
    return rank.to_numpy() < quota_of_row


def _images_complete(folder: Path, ids: Iterable[str]) -> bool:
    return all((folder / "images" / f"{id_}.png").exists() for id_ in ids)


def _write_csv(path: Path, frame: pd.DataFrame) -> None:
    write_text(path, frame.to_csv(index=False, lineterminator="\n"))


PREPARE = {"elpv": prepare_elpv}
