"""The season as a picture: cross-validation against the public score, each with its interval."""

from pathlib import Path

from harness.board.relation import Z
from harness.board.season import Season
from harness.errors import UserError
from harness.files import replacing

COLOURS = {"gold": "#c9a227", "silver": "#8a8d91", "bronze": "#a0622d", None: "#4477aa"}


def plot_season(season: Season, metric: str, path: Path) -> None:
    """Write the picture, in the form that the file's ending names; a UserError if it cannot be."""
    try:
        from matplotlib.figure import Figure  # without pyplot: no window, no state
    except ModuleNotFoundError:
        raise UserError(
            "board --plot", "matplotlib is not installed", "pip install 'competition-harness[plot]'"
        ) from None
    kind = path.suffix.lower().lstrip(".")
    if kind not in ("png", "svg", "pdf"):
        raise UserError(path, "names no kind of picture", "end it with .png, .svg or .pdf")
    if not any(row.nested is not None and row.public_score is not None for row in season.rows):
        raise UserError(
            "board --plot",
            f"none of {len(season.rows)} submissions has both a cross-validated and a public score",
            "submit with `submit --kaggle`, then run `board sync`",
        )
    figure = Figure(figsize=(7, 5), layout="constrained")
    axes = figure.add_subplot()
    axes.set_xlabel(f"nested cross-validated {metric}, 95 % interval")
    axes.set_ylabel(f"public {metric}" + (", 95 % noise" if season.noise else ""))
    noise = Z * season.noise if season.noise else 0.0
    for row in season.rows:
        if row.nested is None or row.low is None or row.high is None or row.public_score is None:
            continue
        axes.errorbar(
            [row.nested],
            [row.public_score],
            xerr=[[max(row.nested - row.low, 0.0)], [max(row.high - row.nested, 0.0)]],
            yerr=[noise] if noise else None,
            fmt="o",
            color=COLOURS[row.medal],
            ecolor="#cccccc",
            elinewidth=0.8,
            markersize=5,
            zorder=3,
        )
        axes.annotate(
            row.name,
            (row.nested, row.public_score),
            xytext=(4, 4),
            textcoords="offset points",
            fontsize=6,
        )
    axes.grid(visible=True, linewidth=0.3)
    with replacing(path) as temporary:
        figure.savefig(temporary, format=kind, dpi=150, metadata={})
