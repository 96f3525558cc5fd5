"""What people read of a search."""

import math
from pathlib import Path

from harness.space import TuneSection
from harness.tune.plots import write_page
from harness.tune.tables import Row, slices


def row(lr: float, loss: float, folds: float) -> Row:
    return Row(0, "run", "pruned", {"lr": lr}, loss, folds, 1.0, "")


def test_a_trial_that_ended_halfway_counts_as_poor_whatever_its_loss() -> None:
    axes = TuneSection.model_validate({"space": {"lr": {"low": 0.1, "high": 0.2}}}).axes
    rows = [row(0.1, 0.5, 3), row(0.1, 0.6, 0.5), row(0.2, 0.4, 0.5), row(0.2, math.nan, 0)]
    assert slices("lr", axes, rows) == [("0.1", [0.5, math.inf]), ("0.2", [math.inf])]


def test_the_page_has_a_style_and_explains_its_plots(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"picture")
    write_page(tmp_path / "a.html", tmp_path / "a.png", "a & b", "<table>", ["Sentence <1>."])
    page = (tmp_path / "a.html").read_text(encoding="utf-8")
    for text in ("<style>", "a &amp; b", "Sentence &lt;1&gt;.", "&lt;table&gt;"):
        assert text in page
    for panel in ("First panel", "Second panel", "Other panels", "pruned"):
        assert panel in page.split("<figcaption>")[1].split("</figcaption>")[0]
