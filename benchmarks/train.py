"""An epoch of fine-tuning: the harness, a bare loop on tensors, and the loops that people write.

    python benchmarks/train.py [--images 256] [--turns 3] [--work DIR]

On ELPV's pictures (extra demo), batches of 32, AdamW, random weights (speed does not depend on
them), each loop in a process of its own, in turns, so that only ratios within a turn count:

    ours       harness.train.loop on the decoded cache, with flips, in the measured precision
    bare       the same precision and memory format on normalised tensors that lie in memory
    plain      a DataLoader with 2 workers that decodes, flips and resizes with Pillow; fp32
    lightning  the same loader in pytorch_lightning's Trainer with its defaults, if installed

Then how an epoch's seconds and the memory that is not the mapped cache grow from 2,000 images to
20,000 (a tiny backbone at 64 px, noise).
"""

import argparse
import importlib.util
import json
import os
import platform
import subprocess
import sys
import time
import warnings
from dataclasses import asdict
from pathlib import Path
from statistics import geometric_mean, median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset

from harness.backbone import Network, build_classifier
from harness.data.examples import prepare_elpv
from harness.data.images import cached_images
from harness.model import ModelSection
from harness.train.examples import Examples
from harness.train.loop import Fold, Progress, Surroundings, train_fold
from harness.train.loss import target_matrix
from harness.train.speed import Speed, measured_speed

RESULT = Path(__file__).parent / "results" / "train.json"
BACKBONES = (
    ("tf_efficientnet_lite0", 128),
    ("resnet18", 128),
    ("vit_tiny_patch16_224", 224),
    ("mobilenetv3_small_100", 128),
    ("convnext_atto", 128),
)
BATCH = 32
CLASSES = 4


def model_of(backbone: str, size: int) -> ModelSection:
    """The same settings for every loop; two epochs, of which the second counts."""
    return ModelSection(
        name="x",
        backbone=backbone,
        weights="none",
        image_size=size,
        epochs=2,
        batch_size=BATCH,
        augment=("hflip",),
    )


def build(backbone: str, size: int) -> Network:
    """A network with random weights."""
    torch.manual_seed(0)
    return build_classifier(backbone, "none", CLASSES, image_size=size, root=Path())


def ours(backbone: str, size: int, paths: list[Path], work: Path, speed: Speed) -> float:
    """Images a second of the second epoch."""
    pixels = cached_images(paths, size, work / "images").pixels
    return len(paths) / second_epoch(backbone, size, pixels, np.arange(len(paths)), speed)


def second_epoch(backbone: str, size: int, pixels: Any, rows: Any, speed: Speed) -> float:
    """Its seconds in the harness's loop, with its checkpoint."""
    seen: list[tuple[float, Progress]] = []
    model = model_of(backbone, size)
    targets, weights = target_matrix(rows % CLASSES, CLASSES), np.ones(len(rows), np.float32)
    examples = Examples((pixels,), targets, weights, rows, rows[:0])
    fold = Fold(model, "multiclass", examples, model.transforms(()), 0, "key")
    with TemporaryDirectory() as folder:
        around = Surroundings(
            device=torch.device("cpu"),
            speed=speed,
            checkpoint=Path(folder) / "checkpoint.safetensors",
            stopping=lambda: False,
            report=lambda progress: seen.append((time.perf_counter(), progress)),
            snapshot=lambda cycle, state: None,
        )
        train_fold(build(backbone, size), fold, around)
    # from the first epoch's last step, whose checkpoint is written after it, to the second's
    ends = [when for when, progress in seen if progress.epoch_done]
    return ends[1] - ends[0]


def bare(backbone: str, size: int, paths: list[Path], work: Path, speed: Speed) -> float:
    """Images a second of a loop that does nothing but compute."""
    device = torch.device("cpu")
    network: Any = speed.place(build(backbone, size).backbone, device).train()
    pixels = torch.from_numpy(np.array(cached_images(paths, size, work / "images").pixels))
    images = pixels.permute(0, 3, 1, 2).float().div_(255)
    if speed.channels_last:
        images = images.contiguous(memory_format=torch.channels_last)
    labels = torch.arange(len(paths)) % CLASSES
    optimizer = torch.optim.AdamW(network.parameters())
    for start in (*range(0, 2 * BATCH, BATCH), -1, *range(0, len(paths), BATCH)):
        if start < 0:
            begun = time.perf_counter()
            continue
        with speed.autocast(device):
            outputs = network(images[start : start + BATCH])
        nn.functional.cross_entropy(outputs.float(), labels[start : start + BATCH]).backward()
        optimizer.step()
        optimizer.zero_grad()
    return len(paths) / (time.perf_counter() - begun)


class Files(Dataset):  # type: ignore[type-arg]
    """Pictures decoded one by one, as most training scripts do it."""

    def __init__(self, paths: list[Path], size: int) -> None:
        from torchvision import transforms

        self.paths = paths
        self.change = transforms.Compose(
            [
                transforms.Resize((size, size)),
                transforms.RandomHorizontalFlip(),
                transforms.ToTensor(),
                transforms.Normalize([0.5] * 3, [0.5] * 3),
            ]
        )

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return self.change(Image.open(self.paths[index]).convert("RGB")), index % CLASSES


def plain(backbone: str, size: int, paths: list[Path], work: Path, speed: Speed) -> float:
    """Images a second of the loop that people write."""
    network = build(backbone, size).backbone.train()
    loader = DataLoader(Files(paths, size), batch_size=BATCH, shuffle=True, num_workers=2)
    optimizer = torch.optim.AdamW(network.parameters())
    loss_of = nn.CrossEntropyLoss()
    for _ in range(2):
        begun = time.perf_counter()
        for images, labels in loader:
            optimizer.zero_grad()
            loss = loss_of(network(images), labels)
            loss.backward()
            optimizer.step()
        seconds = time.perf_counter() - begun
    return len(paths) / seconds


def lightning(backbone: str, size: int, paths: list[Path], work: Path, speed: Speed) -> float:
    """Images a second in pytorch_lightning's Trainer."""
    import pytorch_lightning as pl

    ends: list[float] = []

    class Module(pl.LightningModule):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.network = build(backbone, size).backbone

        def training_step(self, batch: Any, index: int) -> Any:
            images, labels = batch
            return nn.functional.cross_entropy(self.network(images), labels)

        def configure_optimizers(self) -> Any:
            return torch.optim.AdamW(self.parameters())

        def on_train_epoch_end(self) -> None:
            ends.append(time.perf_counter())

    loader = DataLoader(Files(paths, size), batch_size=BATCH, shuffle=True, num_workers=2)
    with TemporaryDirectory() as folder:
        trainer = pl.Trainer(
            max_epochs=2, default_root_dir=folder, logger=False, enable_progress_bar=False
        )
        trainer.fit(Module(), loader)
    return len(paths) / (ends[1] - ends[0])


LOOPS = {"ours": ours, "bare": bare, "plain": plain, "lightning": lightning}


def epoch_of_noise(images: int, work: Path) -> dict[str, float]:
    """Seconds of an epoch of that many images, and the process's own memory after it."""
    file = work / f"noise{images}.npy"
    if not file.exists():
        noise = np.lib.format.open_memmap(
            file, mode="w+", dtype=np.uint8, shape=(images, 64, 64, 3)
        )
        random = np.random.default_rng(0)
        for start in range(0, images, 1000):
            noise[start : start + 1000] = random.integers(
                256, size=noise[start : start + 1000].shape, dtype=np.uint8
            )
    pixels, rows = np.load(file, mmap_mode="r"), np.arange(images)
    ends = second_epoch("test_resnet", 64, pixels, rows, Speed())
    return {"seconds": ends, "own_mb": status("RssAnon")}


def status(name: str) -> float:
    """Megabytes of this process's memory by that name in /proc (Linux)."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    (line,) = [line for line in lines if line.startswith(f"{name}:")]
    return int(line.split()[1]) / 1024


def one(loop: str, backbone: str, size: int, images: int, work: Path, speed: Speed) -> None:
    """Run one loop in this process and print what came of it."""
    warnings.simplefilter("ignore")
    if loop == "growth":
        print(json.dumps(epoch_of_noise(images, work)))
        return
    paths = sorted((work / "data/images").glob("*.png"))[:images]
    rate = LOOPS[loop](backbone, size, paths, work, speed)
    # not ru_maxrss, which a process inherits from the one that started it
    print(json.dumps({"images_per_second": rate, "peak_mb": status("VmHWM")}))


def main() -> None:
    """All loops in turns, for each backbone; benchmarks/results/train.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--work", type=Path)
    parser.add_argument("--one", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        loop, backbone, size, speed = options.one
        one(loop, backbone, int(size), options.images, options.work, Speed(**json.loads(speed)))
        return
    with TemporaryDirectory() as scratch:
        work = options.work or Path(scratch)
        prepare_elpv(work / "data")
        loops = [
            name
            for name in LOOPS
            if name != "lightning" or importlib.util.find_spec("pytorch_lightning")
        ]
        found = {b: measure(b, s, loops, options.images, options.turns, work) for b, s in BACKBONES}
        growth = grow(options.turns, work)
    ratios = {
        loop: [median(f["ratios"][loop]) for f in found.values()]
        for loop in loops
        if loop != "ours"
    }
    record = {
        "images": options.images,
        "turns": options.turns,
        "machine": {
            "processors": os.cpu_count(),
            "architecture": platform.machine(),
            "torch": torch.__version__,
        },
        "backbones": found,
        "growth": growth,
        "ours_by": {
            loop: {"geometric_mean": round(geometric_mean(r), 3), "least": round(min(r), 3)}
            for loop, r in ratios.items()
        },
    }
    RESULT.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(record["ours_by"], indent=1))


def in_a_process(
    loop: str, backbone: str, size: int, images: int, work: Path, speed: str = "{}"
) -> dict[str, float]:
    """What ``one`` prints."""
    command = [sys.executable, __file__, "--images", str(images), "--work", str(work)]
    done = subprocess.run(
        [*command, "--one", loop, backbone, str(size), speed],
        capture_output=True,
        text=True,
        check=True,
    )
    return dict(json.loads(done.stdout.splitlines()[-1]))


def grow(turns: int, work: Path) -> dict[str, Any]:
    """Ten times the images: how many times the seconds, and the megabytes of either."""
    runs = [
        [in_a_process("growth", "", 64, images, work) for images in (2000, 20_000)]
        for _ in range(turns)
    ]
    found = {
        "images": [2000, 20_000],
        "seconds": [[round(run["seconds"], 3) for run in turn] for turn in runs],
        "times": [round(large["seconds"] / small["seconds"], 2) for small, large in runs],
        "own_mb": [[round(run["own_mb"]) for run in turn] for turn in runs],
    }
    print(found, flush=True)
    return found


def measure(
    backbone: str, size: int, loops: list[str], images: int, turns: int, work: Path
) -> dict[str, Any]:
    """Every loop ``turns`` times; ratios are of one turn."""
    model = model_of(backbone, size)
    timing = measured_speed(lambda: build(backbone, size), model, 100_000, CLASSES, work / "speed")
    speed = json.dumps(asdict(timing.speed))
    rates: dict[str, list[float]] = {loop: [] for loop in loops}
    peaks: dict[str, float] = {}
    for turn in range(turns):
        for loop in loops if turn % 2 == 0 else loops[::-1]:
            said = in_a_process(loop, backbone, size, images, work, speed)
            rates[loop].append(round(said["images_per_second"], 2))
            peaks[loop] = round(said["peak_mb"])
    ratios = {
        loop: [round(a / b, 3) for a, b in zip(rates["ours"], rates[loop], strict=True)]
        for loop in loops
        if loop != "ours"
    }
    print(backbone, timing.speed, rates, ratios, flush=True)
    return {
        "size": size,
        "speed": str(timing.speed),
        "images_per_second": rates,
        "ratios": ratios,
        "peak_mb": peaks,
    }


if __name__ == "__main__":
    main()
