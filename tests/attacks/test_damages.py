"""A few damages of those that benchmarks/damage.py does by the hundred."""

import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import forked
import pytest
from tiny import make_workspace

pytestmark = pytest.mark.skipif(not forked.FORKING, reason="there is no fork server here")
BEFORE, AFTER = (("submit", "--name", name) for name in ("before", "after"))
MAKE = (("fold",), ("train",), ("stack",), AFTER)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))
    yield make_workspace(tmp_path_factory.mktemp("damage") / "whole")
    sys.path.pop()


def test_no_damage_changes_predictions_without_a_word(whole: Path, tmp_path: Path) -> None:
    from damage import Damage, judge, run

    reference = run(whole, [*MAKE, BEFORE])
    assert not any(code for _, code in reference.exits), reference.said

    records = [p for p in whole.rglob("*.json") if "submissions" in p.parts or "models" in p.parts]
    assert len(records) >= 4
    for path in (*records, whole / "folds/folds.json"):
        assert re.search(r'"crc32": "[0-9a-f]{8}"\n}\n$', path.read_text()), path

    for number, (file, kind) in enumerate(
        (
            ("oof/tuned.parquet", "flip_many"),
            ("models/ensemble/ensemble.json", "change_digit"),
            ("models/probe/run.json", "change_digit"),
            ("models/tuned/fold1.safetensors", "remove"),
        )
    ):
        folder = Path(shutil.copytree(whole, tmp_path / f"{number}"))
        damage = Damage(number, "complete", file, kind, number)
        damage.do(folder)
        shutil.move(folder / "submissions", tmp_path / f"{number}.old")
        outcome = run(folder, [BEFORE, *MAKE])
        assert judge(damage, outcome, reference) == []
