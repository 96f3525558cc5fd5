"""The search as a picture, and as a page that holds the picture and the tables."""

import base64
import html
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from harness.errors import ConfigError
from harness.files import replacing, write_text
from harness.metrics import Metric
from harness.tune.spaces import Axes
from harness.tune.tables import Row, plain, score_of

EXPLANATION = """First panel: the trials in order; the red line is the best complete one so far.
Second panel: the share of the differences between complete trials that each setting explains,
empty where they are too few. Other panels: the scores by the value of one setting. Blue points are
complete trials. Grey points were pruned: they trained on less and cannot be compared with the blue
ones."""
STYLE = """body { font: 16px/1.5 sans-serif; max-width: 60rem; margin: 2rem auto; color: #222 }
img { max-width: 100%; border: 1px solid #ddd } figcaption { color: #555; font-size: 0.9rem }
pre { overflow-x: auto; padding: 1rem; background: #f5f5f5; font-size: 0.85rem }"""


def write_picture(
    path: Path, axes: Axes, rows: Sequence[Row], shares: Mapping[str, float], metric: Metric
) -> None:
    """A PNG: the best score by trial, what mattered, and every setting against the score."""
    try:
        from matplotlib.axes import Axes as Panel
        from matplotlib.figure import Figure
    except ImportError:
        raise ConfigError(
            "tune --report", "has no matplotlib to draw with", "pip install '.[plot]'"
        ) from None

    known = [row for row in rows if np.isfinite(row.loss)]
    complete = [row for row in known if row.state == "complete"]
    columns = 3
    figure = Figure(figsize=(12, 3.2 * -(-(len(axes) + 2) // columns)), layout="constrained")
    panels = iter(figure.subplots(-(-(len(axes) + 2) // columns), columns, squeeze=False).flatten())

    def scatter(panel: Panel, places: Mapping[int, float]) -> None:
        for state, colour in (("complete", "tab:blue"), ("pruned", "lightgrey")):
            some = [row for row in known if row.state == state and row.number in places]
            panel.scatter(
                [places[row.number] for row in some],
                [score_of(row.loss, metric) for row in some],
                s=14,
                color=colour,
                label="pruned (trained on less)" if state == "pruned" else state,
            )

    course: Panel = next(panels)
    scatter(course, {row.number: row.number for row in known})
    losses = np.array([row.loss for row in complete])
    best = [score_of(float(loss), metric) for loss in np.minimum.accumulate(losses)]
    course.step([row.number for row in complete], best, where="post", color="tab:red", label="best")
    course.set(xlabel="trial", ylabel=metric.name)
    course.legend(fontsize="small")
    bars: Panel = next(panels)
    bars.barh(list(shares)[::-1], list(shares.values())[::-1])
    bars.set(xlabel="share of the differences")
    for (name, axis), panel in zip(axes.items(), panels, strict=False):
        if axis.numeric:
            scatter(panel, {r.number: float(r.values[name]) for r in known if name in r.values})
            panel.set_xscale("log" if axis.log else "linear")
        else:
            labels = [plain(choice) for choice in axis.choices or ()]
            scatter(
                panel,
                {r.number: labels.index(plain(r.values[name])) for r in known if name in r.values},
            )
            panel.set_xticks(range(len(labels)), labels)
        panel.set(xlabel=name, ylabel=metric.name)
    for panel in panels:
        panel.set_axis_off()
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110)


def write_page(
    path: Path, picture: Path, title: str, tables: str, sentences: Sequence[str]
) -> None:
    """An HTML page of its own: the verdict's sentences, the picture explained, the tables as text.

    ``picture`` is the PNG that the page embeds.
    """
    image = base64.b64encode(picture.read_bytes()).decode()
    said = "".join(f"<p>{html.escape(sentence)}</p>" for sentence in sentences)
    name = html.escape(title)
    write_text(
        path,
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{name}</title>'
        f"<style>{STYLE}</style><h1>Search {name}</h1><h2>Verdict</h2>{said}<h2>Trials</h2>"
        f'<figure><img alt="scores of the trials" src="data:image/png;base64,{image}">'
        f"<figcaption>{EXPLANATION}</figcaption></figure>"
        f"<h2>Tables</h2><pre>{html.escape(tables)}</pre></html>\n",
    )
