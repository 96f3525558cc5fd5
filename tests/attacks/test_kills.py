"""Verbs that are killed around the replacement of files; benchmarks/kills.py does it 200 times."""

import random
from pathlib import Path

from kills import Attack


def test_killed_verbs_end_as_if_undisturbed(tmp_path: Path) -> None:
    names = ("fold", "fold, grown", "train", "stack", "submit")
    attack, draw = Attack(tmp_path, names), random.Random(5)
    assert [found for step in attack.steps if (found := attack.kill(step, draw))] == []
