"""Engines: ways to run a run's fold models, all behind one small interface.

``ENGINES`` lists them, ``why_missing`` says which cannot run here, ``convert`` prepares one for a
run (slow, cached), ``load_engine`` makes it ready (fast, never converts). Nothing here imports
torch until an engine that needs it is loaded: a process that predicts with OpenVINO alone starts
seconds earlier.
"""

from harness.predict.engines.convert import convert
from harness.predict.engines.interface import Engine, load_engine
from harness.predict.engines.kinds import ENGINES, REFERENCE, Kind, engines_here, why_missing
from harness.predict.engines.parts import Run, open_run

__all__ = [
    "ENGINES",
    "REFERENCE",
    "Engine",
    "Kind",
    "Run",
    "convert",
    "engines_here",
    "load_engine",
    "open_run",
    "why_missing",
]
