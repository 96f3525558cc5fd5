"""The season for other programs: CSV and JSON."""

import csv
import io
import json
from dataclasses import asdict, fields

from harness.board.season import Row, Season


def season_csv(season: Season) -> str:
    """A line for each submission; what is not known is empty."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(field.name for field in fields(Row))
    writer.writerows(["" if v is None else v for v in vars(row).values()] for row in season.rows)
    return stream.getvalue()


def season_json(season: Season) -> str:
    """The submissions, a public score's noise (standard deviation), and the notes."""
    return json.dumps(asdict(season), indent=2) + "\n"
