"""What a log or a text is distilled with where nothing is said.

The defaults of the models are plain ones, of the paper's kind: they suit any optimizer, form and student. Far
less work does as well with what docs/decisions/0011-language.md, 0012-cooled-windows.md,
0015-targets-of-their-own.md and 0016-several-teachers.md found, with the figures behind each of these.
"""

from collections.abc import Mapping
from typing import Any, cast

from farzi.recipe.models import WITH_OPTIMIZER, SummarySettings

Defaults = Mapping[str, Mapping[str, Any]]
"""Settings by group, as in a recipe's YAML."""

LOG_DEFAULTS: Defaults = {
    # What is read can then be sharp and what is predicted soft: nothing is left to be learnt by heart. What
    # one training expects has its own noise in it, what three expect has less.
    "summary": {"sequences": 100, "dim": 32, "targets": "own", "teachers": ("same", "same")},
    # Without the cooldown two metagradients have nothing in common. A larger pool lets students see the
    # summary change, which flatters it.
    "inner": {
        "optimizer": "adamw",
        "weight_decay": 0.1,
        "learning_rate": 0.02,
        "cooldown": 0.15,
        "steps": 400,
        "batch": 10,
        "skip": 10,
        "window": 20,
        "pool": 4,
    },
    "outer": {"batch": 256, "learning_rate": 0.01, "steps": 150},
}

TEXT_DEFAULTS: Defaults = {
    # With a table of its own for the output a student learns in half the steps.
    "student": {"name": "transformer", "tied": False},
    "summary": {"sequences": 200, "length": 30, "dim": 16, "targets": "own"},
    "inner": {
        "optimizer": "adamw",
        "weight_decay": 0.15,
        "beta2": 0.99,
        "learning_rate": 0.02,
        "cooldown": 0.1,
        "steps": 400,
        "batch": 10,
        "skip": 60,
        "window": 20,
        "pool": 2,
    },
    # At the rate that serves logs the summary moves with the noise first.
    "outer": {"batch": 256, "learning_rate": 0.005, "steps": 100},
}


def with_defaults(settings: Mapping[str, Any], defaults: Defaults) -> dict[str, Any]:
    """Settings by group, with `LOG_DEFAULTS` or `TEXT_DEFAULTS` for what they leave out.

    Where they name another optimizer, what goes with AdamW is not among them; where the summary is a table,
    targets of its own are not, and where its start is not taught, teachers are not.
    """
    below = {group: dict(values) for group, values in defaults.items()}
    inner, summary = below["inner"], settings.get("summary", {})
    if summary.get("form") == "table":
        below["summary"].pop("targets")
    if not SummarySettings.model_validate(_over(below["summary"], summary)).taught:
        below["summary"].pop("teachers", None)
    if settings.get("inner", {}).get("optimizer", inner["optimizer"]) != inner["optimizer"]:
        for name in WITH_OPTIMIZER:
            inner.pop(name, None)
    return _over(below, settings)


def _over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """`above` with what it does not say from `below`, group by group."""
    merged = dict(below)
    for name, value in above.items():
        former = merged.get(name)
        if isinstance(former, Mapping) and isinstance(value, Mapping):
            merged[name] = _over(cast(Mapping[str, Any], former), cast(Mapping[str, Any], value))
        else:
            merged[name] = value
    return merged
