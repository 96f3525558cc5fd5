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

from harness.consent import require_consent
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
    metric is first needed, with the user's consent, and as it was read.
    """
    match = NAME.fullmatch(name)
    if match is None:
        raise ConfigError("metric", f"{name!r} is not module:function", "such as my_metrics:score")
    module, function = match.groups()
    file = folder.joinpath(*module.split(".")).with_suffix(".py")
    text = ""
    if file.is_file():
        text = _checked(file, function)
    elif importlib.util.find_spec(module.partition(".")[0]) is None:
        raise ConfigError(
            "metric", f"there is no {file} for {name!r}", "write it, or install its package"
        )

    source = digest(text) if text else ""

    @cache
    def load() -> Callable[[Array, Array], float]:
        require_consent(folder, name, source)
        try:
            found = _run(text, file, module) if text else importlib.import_module(module)
            chosen: Callable[[Array, Array], float] = getattr(found, function)
        except Exception as error:
            said = f"{type(error).__name__}: {error}"
            where = file if text else module
            raise ConfigError(where, f"cannot be imported ({said})", "mend it") from error
        return chosen

    def score(truth: Array, predictions: Array) -> float:
        found = load()
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
    """Return the text of a module that was found to define the function; it is not run."""
    try:
        text = file.read_text(encoding="utf-8")
        body = ast.parse(text).body
    except (OSError, SyntaxError, ValueError) as error:
        raise ConfigError(file, f"cannot be read as Python ({error})", "mend it") from error
    defined = [node.name for node in body if isinstance(node, ast.FunctionDef)]
    if function not in defined:
        raise ConfigError(file, f"defines no function {function!r}", nearest(function, defined))
    return text


def _run(text: str, file: Path, module: str) -> ModuleType:
    """Run the text as a module of its own: another workspace's may have the same name.

    Not Python's import, which may run a compiled file beside it that holds something else.
    """
    made = ModuleType(module)
    made.__file__ = str(file)
    exec(compile(text, file, "exec"), vars(made))
    return made
