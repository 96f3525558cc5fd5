"""The machine and the models: versions, devices, weights, disk space."""

import os
import platform
import shutil
import tempfile
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import timm
import torch

from harness.backbone import check_backbone
from harness.data.cache import is_cached
from harness.data.images import cache_bytes, cache_key
from harness.doctor.findings import Finding
from harness.errors import ConfigError
from harness.model import ModelSection
from harness.workspace import Workspace

PACKAGES = ("torch", "timm", "numpy", "pandas", "pillow", "scikit-learn", "openvino", "onnxruntime")


def versions() -> Finding:
    """Python and the packages that decide results or speed."""
    known = [f"Python {platform.python_version()}"]
    for name in PACKAGES:
        try:
            known.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return Finding("ok", "versions", ", ".join(known))


def devices() -> Finding:
    """What can compute."""
    cores = f"{os.cpu_count()} processor cores"
    if torch.cuda.is_available():
        cards = [torch.cuda.get_device_properties(i) for i in range(torch.cuda.device_count())]
        named = ", ".join(f"{card.name} ({card.total_memory / 2**30:.0f} GiB)" for card in cards)
        return Finding("ok", "devices", f"{named}, {cores}")
    if torch.backends.mps.is_available():
        return Finding("ok", "devices", f"Apple GPU, {cores}")
    return Finding("ok", "devices", f"{cores}, no GPU")


def weights(models: Sequence[ModelSection], root: Path) -> list[Finding]:
    """Whether each model's pretrained weights are on this machine."""
    found = []
    for model in models:
        try:
            check_backbone(model.backbone, model.weights, root)
        except ConfigError as error:
            found.append(Finding("mend", "weights", f"{model.name}: {error.found}; {error.fix}"))
            continue
        if model.weights == "timm" and not _downloaded(model.backbone):
            text = f"{model.name}: {model.backbone} will be downloaded when it is first used"
            found.append(Finding("note", "weights", text))
        else:
            found.append(Finding("ok", "weights", f"{model.name}: {model.weights}"))
    return found


def unwritable(workspace: Workspace) -> list[Finding]:
    """The first of the workspace's folders that no file can be written to, if there is one."""
    own = (workspace.folds, workspace.models, workspace.oof, workspace.submissions, workspace.cache)
    for folder in (workspace.root, *(one for one in own if one.exists())):
        try:
            with tempfile.TemporaryFile(dir=folder):
                pass
        except OSError as error:
            text = f"{folder} cannot be written to ({error.strerror})"
            return [Finding("mend", "disk", text)]
    return []


def disk(workspace: Workspace, untrained: Sequence[ModelSection], paths: Sequence[Path]) -> Finding:
    """The space that the models to be trained will take, against what is free.

    ``paths`` are the training images. Decoded images are kept once for each size; weights once
    for each fold, a probe's backbone once.
    """
    folder, folds = workspace.cache / "images", workspace.competition.folds
    sizes = {model.image_size for model in untrained}
    images = sum(
        cache_bytes(len(paths), size)
        for size in sizes
        if not is_cached(folder / cache_key(paths, size, workspace.competition.data.rendering))
    )
    kept = sum(
        _weights_bytes(model.backbone) * (folds.k * folds.repeats if model.mode != "probe" else 1)
        for model in untrained
        if timm.is_model(model.backbone.partition(".")[0])
    )
    free = shutil.disk_usage(workspace.root).free
    text = (
        f"decoded images {images / 1e9:.2f} GB, weights {kept / 1e9:.2f} GB to come; "
        f"{free / 1e9:.1f} GB are free"
    )
    return Finding("ok" if images + kept < free else "mend", "disk", text)


def _downloaded(backbone: str) -> bool:
    from huggingface_hub import try_to_load_from_cache
    from timm.models import get_pretrained_cfg

    settings: Any = get_pretrained_cfg(backbone)
    if not (repository := getattr(settings, "hf_hub_id", None)):
        return False
    names = ("model.safetensors", "pytorch_model.bin")
    return any(isinstance(try_to_load_from_cache(repository, name), str) for name in names)


def _weights_bytes(backbone: str) -> int:
    with torch.device("meta"):  # shapes without numbers: no memory, no time
        model: Any = timm.create_model(backbone.partition(".")[0], pretrained=False)
    return sum(value.numel() * value.element_size() for value in model.state_dict().values())
