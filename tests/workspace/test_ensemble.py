"""models/ensemble/ensemble.json: what is written is read, and nothing else."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from harness.data.metadata import Column
from harness.decision import Decision
from harness.errors import WorkspaceError
from harness.estimate import Estimate
from harness.workspace.ensemble import Ensemble, Score, read_ensemble, write_ensemble

NOTHING = Estimate(0.0, 0.0, 0.0)
ENSEMBLE = Ensemble(
    method="mean",
    metric="accuracy",
    nested=0.75,
    low=0.5,
    high=1.0,
    rows=12,
    members=("a", "b"),
    used=("b",),
    targets=("x", "y"),
    member_scores=(0.5, 0.75),
    member_seconds=(1.5, float("nan")),
    weights=(("fold0.safetensors", "fold1.safetensors"), ()),
    runs=("r", ""),
    views=("identity",),
    scores=(Score("mean", 0.75, 0.5, 1.0, 0.8, 0.1, NOTHING, NOTHING),),
    reason="It is best.",
    diversity=("They differ.",),
    fold_models=(),
    blend={"method": "mean", "members": 2, "targets": 2, "weights": [0.5, 0.5]},
    decision=Decision("class_weights", (1.0, 2.0)),
    fold_decisions=(Decision(),),
    metadata=(Column("age"), Column("site", ("a", "b"))),
    prior=(0.5, 0.5),
    folds="f",
    inputs="i",
    task="multiclass",
    metric_digest="m",
)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    write_ensemble(tmp_path, ENSEMBLE)
    assert repr(read_ensemble(tmp_path)) == repr(ENSEMBLE)  # NaN equals nothing


def test_without_one_the_verb_is_named(tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError, match="no ensemble yet; run `python -m harness stack`"):
        read_ensemble(tmp_path)


@pytest.mark.parametrize("name", asdict(ENSEMBLE))
def test_every_value_has_its_type(name: str, tmp_path: Path) -> None:
    other = {"a": 1} if name != "blend" else "x"
    for values in (
        asdict(ENSEMBLE) | {name: None},
        asdict(ENSEMBLE) | {name: other},
        {key: value for key, value in asdict(ENSEMBLE).items() if key != name},
    ):
        (tmp_path / "ensemble.json").write_text(json.dumps(values))
        with pytest.raises(WorkspaceError, match=rf"ensemble\.json: is damaged \({name}.*stack`"):
            read_ensemble(tmp_path)


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"metric": -1}, "metric: Input should be a valid string"),
        ({"members": ["a", 2]}, r"members\.1: Input should be a valid string"),
        ({"member_scores": [0.5]}, "every member needs its score"),
        ({"member_seconds": []}, "every member needs its score"),
        ({"weights": [[]]}, "every member needs its score"),
        ({"used": ["c"]}, "what is used is no member"),
        ({"used": []}, "what is used is no member"),
        ({"weights": [["../fold0.safetensors"], []]}, "lie elsewhere"),
        ({"members": ["a", "/b"], "used": ["a"]}, "lie elsewhere"),
        ({"method": "best"}, "the chosen method has no score"),
        ({"scores": []}, "the chosen method has no score"),
        ({"targets": ["x"]}, "every target needs its prior"),
        ({"prior": [0.5, float("inf")]}, "every target needs its prior"),
        ({"fold_decisions": [asdict(Decision("range", (1.0, 2.0, 3.0)))]}, "for other targets"),
        ({"decision": {"rule": "eval", "numbers": [], "at_least_one": False}}, "decision.rule"),
        ({"rows": -1}, "measured on no row"),
        ({"blend": {"weights": [float("nan")]}}, "Out of range float"),
        ({"more": 1}, "more: Unexpected"),
    ],
)
def test_what_does_not_belong_together_is_refused(
    change: dict[str, Any], found: str, tmp_path: Path
) -> None:
    (tmp_path / "ensemble.json").write_text(json.dumps(asdict(ENSEMBLE) | change))
    with pytest.raises(WorkspaceError, match=found):
        read_ensemble(tmp_path)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", None])
def test_what_is_no_record_is_refused(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "ensemble.json"
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    with pytest.raises(WorkspaceError, match=r"ensemble\.json: (is damaged|cannot be read)"):
        read_ensemble(tmp_path)
