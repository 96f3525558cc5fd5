"""A user's own metric: ``module:function`` in the workspace's folder, or on Python's path."""

import ast
import importlib
import importlib.util
import math
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import ModuleType

from harness.errors import ConfigError, nearest
from harness.files import digest
from harness.metrics.metric import Array, Metric, Needs

NAME = re.compile(r"([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*):([A-Za-z_]\w*)")
"""``module:function``; the module's dots are folders."""


def custom_metric(
    name: str, folder: Path, *, greater_is_better: bool, needs: Needs, task: str
) -> Metric:
    """The metric that ``name`` stands for; a ConfigError if there is no such function.

    ``function(truth, predictions)`` gets what every metric gets and returns a number. Its module
    is looked for in ``folder``, then on Python's path, and only read here: it is run when the
    metric is first needed.
    """
    match = NAME.fullmatch(name)
    if match is None:
        raise ConfigError("metric", f"{name!r} is not module:function", "such as my_metrics:score")
    module, function = match.groups()
    file = folder.joinpath(*module.split(".")).with_suffix(".py")
    source = ""
    if file.is_file():
        source = _checked(file, function)
    elif importlib.util.find_spec(module.partition(".")[0]) is None:
        raise ConfigError(
            "metric", f"there is no {file} for {name!r}", "write it, or install its package"
        )

    def score(truth: Array, predictions: Array) -> float:
        found = _function(file if source else None, module, function)
        try:
            value = float(found(truth, predictions))
        except Exception as error:  # whatever the user's function raises is the user's to mend
            said = f"{type(error).__name__}: {error}"
            raise ConfigError(f"metric {name}", f"failed ({said})", "mend the function") from error
        if not math.isfinite(value):
            raise ConfigError(f"metric {name}", f"returned {value}", "it must return a number")
        return value

    return Metric(
        name,
        score,
        greater_is_better,
        needs,
        frozenset({task}),
        bounds=(-math.inf, math.inf),
        source=source,
    )


def _checked(file: Path, function: str) -> str:
    """The digest of a module that was found to define the function; it is not run."""
    try:
        text = file.read_text(encoding="utf-8")
        body = ast.parse(text).body
    except (OSError, SyntaxError, ValueError) as error:
        raise ConfigError(file, f"cannot be read as Python ({error})", "mend it") from error
    defined = [node.name for node in body if isinstance(node, ast.FunctionDef)]
    if function not in defined:
        raise ConfigError(file, f"defines no function {function!r}", nearest(function, defined))
    return digest(text)


@cache
def _function(file: Path | None, module: str, function: str) -> Callable[[Array, Array], float]:
    try:
        found = importlib.import_module(module) if file is None else _load(file, module)
        chosen: Callable[[Array, Array], float] = getattr(found, function)
    except Exception as error:
        said = f"{type(error).__name__}: {error}"
        raise ConfigError(file or module, f"cannot be imported ({said})", "mend it") from error
    return chosen


def _load(file: Path, module: str) -> ModuleType:
    """Run the file as a module of its own: another workspace's may have the same name."""
    spec = importlib.util.spec_from_file_location(module, file)
    assert spec is not None  # it ends in .py
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded
