"""Converted networks: made from a run's weights once, kept by content, checked when read.

    <cache>/<digest>/   graph.onnx, or graph.xml and graph.bin; head.safetensors, the layer that
                        follows; note.json with their digests

The folder's name is the digest of the weights, so a network that was trained again never meets an
old file. The note is written last: it says that the rest is whole, and which converters made it. A
newer one makes it again; who only reads it need not have any.
"""

import json
import os
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from harness.data.images import Pixels
from harness.errors import WorkspaceError
from harness.files import digest, file_digest, replacing, temporary_for, to_write
from harness.predict.engines.kinds import Kind, why_missing
from harness.predict.engines.parts import Part, Run, parts
from harness.predict.head import Heads
from harness.records import read_json, write_json
from harness.workspace.runs import load_arrays, save_arrays

VERSION = "3"
_HEAD = "head.safetensors"
_FILES = {
    "onnx": ("graph.onnx", _HEAD),
    "openvino": ("graph.xml", "graph.bin", _HEAD),
    "openvino-int8": ("graph.xml", "graph.bin", _HEAD),
}
_MAKERS = {
    "onnx": ("torch", "onnx", "onnxscript"),
    "openvino": ("torch", "onnx", "onnxscript", "openvino"),
    "openvino-int8": ("torch", "onnx", "onnxscript", "openvino", "nncf"),
}


def convert(kind: Kind, run: Run, weights: Sequence[str], cache: Path, calibration: Pixels) -> int:
    """Make the converted networks of those models that are not there or are damaged.

    ``calibration``: a few hundred training images, uint8 (rows, size, size, 3), from which int8
    learns its ranges. Returns how many networks were made. A WorkspaceError says that a package
    is missing.
    """
    if kind.converted is None:
        return 0
    made = 0
    for part in parts(run, weights):
        folder = _folder(kind.converted, part, cache)
        if not _is_fresh(folder, kind.converted):
            if why := why_missing(kind, converting=True):
                raise WorkspaceError(kind.name, why, "install it, or leave this engine out")
            _make(kind.converted, part, cache, calibration)
            made += 1
    return made


def converted_file(kind: Kind, part: Part, cache: Path) -> Path:
    """The part's converted network, checked; a WorkspaceError if it is not there and whole."""
    assert kind.converted is not None
    folder = _folder(kind.converted, part, cache)
    if damage := _damage(folder, kind.converted):
        raise WorkspaceError(
            folder, f"the network converted for {kind.name} {damage}", "convert it again"
        )
    return folder / _FILES[kind.converted][0]


def read_heads(folder: Path) -> Heads:
    """Return the linear layers that follow the converted network in ``folder``."""
    return Heads(**load_arrays(folder / _HEAD, "convert it again"))


def _folder(form: str, part: Part, cache: Path) -> Path:
    return cache / digest(VERSION, form, part.content())


def _makers(form: str) -> dict[str, str]:
    """The converters' packages and versions here; empty where one is missing."""
    try:
        return {package: version(package) for package in _MAKERS[form]}
    except PackageNotFoundError:
        return {}


def _is_fresh(folder: Path, form: str) -> bool:
    """Whether the network is whole and made by the converters that are here."""
    if _damage(folder, form) is not None:
        return False
    note = json.loads(read_json(folder / "note.json"))
    return not (makers := _makers(form)) or note.get("makers") == makers


def _damage(folder: Path, form: str) -> str | None:
    """What is wrong with a converted network, as a phrase; None if nothing is."""
    try:
        note = json.loads(read_json(folder / "note.json"))
        for name in _FILES[form]:
            if file_digest(folder / name) != note["files"][name]:
                return f"is damaged ({name})"
    except FileNotFoundError:
        return "is missing or stale"
    except (OSError, ValueError, KeyError, TypeError) as error:
        return f"is damaged ({error})"
    return None


def _make(form: str, part: Part, cache: Path, calibration: Pixels) -> None:
    folder = _folder(form, part, cache)
    to_write(folder / "note.json").unlink(missing_ok=True)
    if form == "onnx":
        from harness.predict.engines.with_torch import export_onnx

        with replacing(folder / "graph.onnx") as temporary:
            heads = export_onnx(part, temporary)
    else:
        from harness.predict.engines.with_openvino import quantise, read_onnx, save

        # one exporter and one graph serve both runtimes
        source = _folder("onnx", part, cache)
        if not _is_fresh(source, "onnx"):
            _make("onnx", part, cache, calibration)
        graph, heads = read_onnx(source / "graph.onnx"), read_heads(source)
        if form == "openvino-int8":
            graph = quantise(graph, calibration)
        # OpenVINO insists on a name that ends in .xml, so it writes elsewhere
        scratch = temporary_for(folder)
        scratch.mkdir(exist_ok=True)
        save(graph, scratch)
        for path in scratch.iterdir():
            with replacing(folder / path.name) as temporary:
                os.replace(path, temporary)
        scratch.rmdir()
    save_arrays(folder / _HEAD, vars(heads))
    files = {name: file_digest(folder / name) for name in _FILES[form]}
    note = {
        "files": files,
        "makers": _makers(form),
        "run": part.run.folder.name,
        "weights": part.weights,
        "form": form,
    }
    write_json(folder / "note.json", json.dumps(note, indent=2))
