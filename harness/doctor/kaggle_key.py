"""Whether Kaggle credentials are there and private. What they are is never read or shown."""

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from harness.doctor.findings import Finding

TOPIC = "kaggle"


def credentials(environment: Mapping[str, str], home: Path, *, wanted: bool) -> Finding:
    """Where the client would find them, in its order: token, then username and key.

    ``wanted``: competition.toml names a Kaggle competition, so that none is a fault.
    """
    if environment.get("KAGGLE_API_TOKEN"):
        return Finding("ok", TOPIC, "a token in the environment (KAGGLE_API_TOKEN)")
    if environment.get("KAGGLE_USERNAME") and environment.get("KAGGLE_KEY"):
        return Finding("ok", TOPIC, "a key in the environment (KAGGLE_USERNAME, KAGGLE_KEY)")
    folder = environment.get("KAGGLE_CONFIG_DIR")
    places = [
        home / ".kaggle" / "access_token",
        home / ".kaggle" / "access_token.txt",
        *([Path(folder) / "kaggle.json"] if folder else []),
        home / ".kaggle" / "kaggle.json",
        home / ".config" / "kaggle" / "kaggle.json",
        home / ".kaggle" / "credentials.json",
    ]
    for place in places:
        if place.is_file():
            return _privacy(place)
    text = "no credentials; submissions can be made and uploaded by hand"
    if wanted:
        return Finding("mend", TOPIC, f"no credentials: put yours into {places[-3]}, chmod 600")
    return Finding("note", TOPIC, text)


def _privacy(place: Path) -> Finding:
    if os.name != "posix" or not place.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        return Finding("ok", TOPIC, f"credentials in {place}, which only you can read")
    return Finding("mend", TOPIC, f"{place} can be read by others: chmod 600 {place}")
