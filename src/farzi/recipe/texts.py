"""What a text is distilled with where nothing is said.

The defaults of the models are those of logs. Words need another student, another summary and another inner
training: see docs/decisions/0011-language.md, 0012-cooled-windows.md and 0015-targets-of-their-own.md for the
figures behind each of these.
"""

from collections.abc import Mapping
from typing import Any, cast

from farzi.recipe.models import WITH_OPTIMIZER

TEXT_DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    # With a table of its own for the output a student learns in half the steps.
    "student": {"name": "transformer", "tied": False},
    # What is read can then be sharp and what is predicted soft: nothing is left to be learnt by heart.
    "summary": {"sequences": 200, "length": 30, "dim": 16, "targets": "own"},
    # Without the cooldown two metagradients have nothing in common. A larger pool lets students see the
    # summary change, which flatters it.
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
"""Settings by group, as in a recipe's YAML."""


def for_text(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of a text by group, with `TEXT_DEFAULTS` for what they leave out.

    Where they name another optimizer, what goes with AdamW is not among them; where the summary is a table,
    targets of its own are not.
    """
    defaults = {group: dict(values) for group, values in TEXT_DEFAULTS.items()}
    inner = defaults["inner"]
    if settings.get("summary", {}).get("form") == "table":
        defaults["summary"].pop("targets")
    if settings.get("inner", {}).get("optimizer", inner["optimizer"]) != inner["optimizer"]:
        for name in WITH_OPTIMIZER:
            inner.pop(name, None)
    return _over(defaults, settings)


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
