"""Reading and checking a table against pandas' own read; doctor's image check on all cores.

The table has a million rows of id, label, patient, age and site. ``read_table`` reads three of them
as text and checks them (ids unique, nothing empty, no control characters, classes as the sample
submission has them); pandas reads the file as it is, and as text, which keeps the id 007 as it is.
The images are 10,000 JPEG files of 512 × 384 pixels. Each time is the median of the runs; the files
are read once before. Processor seconds stand beside the clock's: they hardly depend on how busy the
machine is.

    python benchmarks/data.py [--rows 1000000] [--images 10000] [--runs 5]
"""

import argparse
import io
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import PIL
import pyarrow
from PIL import Image

from harness.competition import load_competition
from harness.data.images import image_paths, inspect, map_images
from harness.data.table import read_table

CLASSES = [f"species_{i:02d}" for i in range(11)]
TOML = """\
[competition]
name = "benchmark"
task = "multiclass"
metric = "log_loss"
[data]
train = "train.csv"
images = "images/{id}.jpg"
sample_submission = "sample_submission.csv"
label = "label"
group = "patient"
"""
RESULT = Path(__file__).parent / "results" / "data.json"


def main() -> None:
    """Run both, print the figures, and write them down."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()
    machine = {
        "machine": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "busy_processes_before": os.getloadavg()[0],  # on an idle machine about 0
        "python": platform.python_version(),
        "pandas": pd.__version__,
        "pyarrow": pyarrow.__version__,
        "pillow": PIL.__version__,
    }
    with tempfile.TemporaryDirectory() as folder:
        results = {
            **machine,
            "table": table(Path(folder), arguments.rows, arguments.runs),
            "images": images(Path(folder), arguments.images, arguments.runs),
        }
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(results, indent=2) + "\n")


def table(folder: Path, rows: int, runs: int) -> dict[str, Any]:
    """The goal is at most twice pandas' own read."""
    draw = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "id": [f"img_{i * 2654435761 % 2**32:08x}" for i in range(rows)],
            "label": np.array(CLASSES, object)[draw.integers(0, len(CLASSES), rows)],
            "patient": [f"p{code}" for code in draw.integers(0, rows // 5, rows).tolist()],
            "age": draw.integers(1, 99, rows),
            "site": np.array(["torso", "head", "hand"], object)[draw.integers(0, 3, rows)],
        }
    )
    path = folder / "train.csv"
    frame.to_csv(path, index=False)
    sample = pd.DataFrame(1 / len(CLASSES), index=["x"], columns=CLASSES)
    sample.to_csv(folder / "sample_submission.csv", index_label="id")
    (folder / "competition.toml").write_text(TOML, encoding="utf-8")
    competition = load_competition(folder / "competition.toml")

    ours = seconds(lambda: read_table(competition, folder), runs)
    theirs = seconds(lambda: pd.read_csv(path), runs)
    as_text = seconds(lambda: pd.read_csv(path, dtype=str, na_filter=False), runs)
    print(f"{rows:,} rows ({path.stat().st_size / 1e6:.0f} MB) read and checked in {show(ours)}")
    for name, other in (("pandas' read", theirs), ("pandas' read as text", as_text)):
        print(f"    {name} {show(other)}: ours takes {ratio(ours, other):.2f} x its processor time")
    return {"rows": rows, "ours": ours, "pandas": theirs, "pandas_text": as_text}


def images(folder: Path, count: int, runs: int) -> dict[str, Any]:
    """How many cores the check keeps busy, and its images a second against a plain loop."""
    draw = np.random.default_rng(0)
    (folder / "images").mkdir()
    pictures = []
    for _ in range(20):
        small = Image.fromarray(draw.integers(0, 255, (48, 64, 3)).astype(np.uint8))
        file = io.BytesIO()
        small.resize((512, 384)).save(file, "JPEG", quality=90)
        pictures.append(file.getvalue())
    ids = [f"{i:06d}" for i in range(count)]
    for i, id_ in enumerate(ids):
        (folder / f"images/{id_}.jpg").write_bytes(pictures[i % len(pictures)])
    competition = load_competition(folder / "competition.toml")
    found = seconds(lambda: image_paths(competition, folder, ids), runs)
    paths = [path for path in image_paths(competition, folder, ids) if path is not None]

    alone = seconds(lambda: [inspect(path) for path in paths], 1)
    decoded = seconds(lambda: list(map_images(inspect, paths)), runs)
    clock = statistics.median(decoded["clock_s"])
    busy = statistics.median(
        p / c for p, c in zip(decoded["processor_s"], decoded["clock_s"], strict=True)
    )
    print(
        f"{count:,} images found in {show(found)}, decoded in {show(decoded)}: "
        f"{count / clock:.0f} images/s, {busy:.2f} of {os.cpu_count()} cores busy; one by one "
        f"{show(alone)} ({alone['clock_s'][0] / clock:.2f} x)"
    )
    return {
        "images": count,
        "find": found,
        "decode": decoded,
        "cores_busy": busy,
        "one_by_one": alone,
        "speedup": alone["clock_s"][0] / clock,
    }


Times = dict[str, list[float]]


def seconds(work: Callable[[], Any], runs: int) -> Times:
    """The times of each run, after one that is not counted where there are several."""
    if runs > 1:
        work()
    times: Times = {"clock_s": [], "processor_s": []}
    for _ in range(runs):
        clock, processor = time.perf_counter(), time.process_time()
        work()
        times["clock_s"].append(time.perf_counter() - clock)
        times["processor_s"].append(time.process_time() - processor)
    return times


def show(times: Times) -> str:
    """The medians."""
    clock, processor = (statistics.median(times[kind]) for kind in ("clock_s", "processor_s"))
    return f"{clock:.2f} s ({processor:.2f} s of processor)"


def ratio(ours: Times, theirs: Times) -> float:
    """Of the medians of processor time."""
    return statistics.median(ours["processor_s"]) / statistics.median(theirs["processor_s"])


if __name__ == "__main__":
    main()
