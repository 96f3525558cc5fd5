"""Write season.txt anew: PYTHONPATH=tests:. python tests/golden/season/make.py"""

from pathlib import Path

from board.season_world import shown

if __name__ == "__main__":
    Path(__file__).with_name("season.txt").write_text(shown(100), encoding="utf-8")
