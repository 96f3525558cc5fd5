"""What people read of a search."""

import math
from pathlib import Path

import pytest

from harness.estimate import Estimate
from harness.metrics import METRICS
from harness.space import TuneSection
from harness.tune.judge import Verdict
from harness.tune.plots import write_page
from harness.tune.tables import Row, slices, verdict_lines


def row(lr: float, loss: float, folds: float) -> Row:
    return Row(0, "run", "pruned", {"lr": lr}, loss, folds, 1.0, "")


def test_a_trial_that_ended_halfway_counts_as_poor_whatever_its_loss() -> None:
    axes = TuneSection.model_validate({"space": {"lr": {"low": 0.1, "high": 0.2}}}).axes
    rows = [row(0.1, 0.5, 3), row(0.1, 0.6, 0.5), row(0.2, 0.4, 0.5), row(0.2, math.nan, 0)]
    assert slices("lr", axes, rows) == [("0.1", [0.5, math.inf]), ("0.2", [math.inf])]


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (0.01, 0.05, "`tune --apply` writes it"),
        (-0.01, 0.05, "it cannot be told from the default. Keep the default."),
        (-0.05, -0.01, "it is worse. Keep the default."),
    ],
)
def test_only_what_is_better_is_recommended(low: float, high: float, said: str) -> None:
    one = Estimate(0.5, 0.4, 0.6)
    verdict = Verdict(one, one, Estimate((low + high) / 2, low, high), 0.01, 3, 100)
    lines = verdict_lines(verdict, METRICS["log_loss"], 30, 0.4, same=False)
    assert said in " ".join(lines)


def test_the_page_has_a_style_and_explains_its_plots(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"picture")
    write_page(tmp_path / "a.html", tmp_path / "a.png", "a & b", "<table>", ["Sentence <1>."])
    page = (tmp_path / "a.html").read_text(encoding="utf-8")
    for text in ("<style>", "a &amp; b", "Sentence &lt;1&gt;.", "&lt;table&gt;"):
        assert text in page
    for panel in ("First panel", "Second panel", "Other panels", "pruned"):
        assert panel in page.split("<figcaption>")[1].split("</figcaption>")[0]
