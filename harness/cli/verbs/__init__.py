"""The verbs: each reads the workspace, calls its stage, says what it wrote and what comes next.

What they do is in harness.cli.steps and beside it. ``--help`` lists them in the order of imports.
"""

from harness.cli.verbs import prepare  # isort: skip
from harness.cli.verbs import fit  # isort: skip
from harness.cli.verbs import submit  # isort: skip
from harness.cli.verbs import kaggle  # isort: skip
from harness.cli.verbs.common import app

__all__ = ["app", "fit", "kaggle", "prepare", "submit"]
