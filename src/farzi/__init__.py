"""Farzi: distil a log of events, or a text, into a few synthetic sequences that train a model as well.

    log = farzi.load_log("events.csv")            # a path, a known name, or a frame
    summary = farzi.distill(log, out="runs/mine")  # minutes, once
    model = farzi.train(summary)                   # seconds, as often as wanted
    print(farzi.evaluate(model, log))

Names are imported when they are first used.
"""

import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from farzi.api import compare as compare
    from farzi.api import distill as distill
    from farzi.api import load_log as load_log
    from farzi.api import load_text as load_text
    from farzi.api import train as train
    from farzi.api import tune as tune
    from farzi.api import tune_baseline as tune_baseline
    from farzi.data import Log as Log
    from farzi.data import Text as Text
    from farzi.errors import FarziError as FarziError
    from farzi.errors import FarziWarning as FarziWarning
    from farzi.evaluation import Comparison as Comparison
    from farzi.evaluation import Evaluation as Evaluation
    from farzi.evaluation import evaluate as evaluate
    from farzi.models import Model as Model
    from farzi.recipe import Recipe as Recipe
    from farzi.recipe import presets as presets
    from farzi.summary import Summary as Summary
    from farzi.updating import update as update

if "torch" not in sys.modules:
    # PyTorch's threads spin while they wait. Where another process wants their core, a training of a small
    # model with two threads then takes ten to sixty times as long. Asleep they cost nothing that shows.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

_MODULES = {
    "farzi.api": ("load_log", "load_text", "distill", "train", "compare", "tune", "tune_baseline"),
    "farzi.data": ("Log", "Text"),
    "farzi.errors": ("FarziError", "FarziWarning"),
    "farzi.evaluation": ("Comparison", "Evaluation", "evaluate"),
    "farzi.models": ("Model",),
    "farzi.recipe": ("Recipe", "presets"),
    "farzi.summary": ("Summary",),
    "farzi.updating": ("update",),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}

__all__ = sorted(_MODULE_OF)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'farzi' has no attribute {name!r}")
    value = getattr(import_module(_MODULE_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
