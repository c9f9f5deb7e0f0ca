"""Rows and settings that were recorded before recipes were nested, as they would be recorded today.

Recorded files are never rewritten. In the flat form of their recipes an optimizer was a name beside its rate,
and the data's type followed from its name. `converted` is applied whenever a row or a `study.json` is read.
It writes every setting out, with the default of that time, so that a default that changes later does not make
an old row pass for a new one.
"""

from collections.abc import Mapping
from typing import Any

from farzi.data import is_text_source

Flat = Mapping[str, Any]

HYPERS: Mapping[str, Flat] = {
    "adam": {"beta1": 0.9, "beta2": 0.999, "epsilon": 1e-5, "weight_decay": 0.0},
    "adamw": {"beta1": 0.9, "beta2": 0.999, "epsilon": 1e-5, "weight_decay": 0.01},
    "sgd": {"weight_decay": 0.0},
    "momentum": {"momentum": 0.9, "weight_decay": 0.0},
    "adagrad": {"epsilon": 1e-5, "weight_decay": 0.0},
    "rmsprop": {"decay": 0.99, "epsilon": 1e-5, "weight_decay": 0.0},
}
"""Hyper-parameters of each optimizer besides its learning rate, with what a value of None stood for."""

RATES = (1e-3, 3e-3, 1e-2)
"""Learning rates that were tried for trainings on real events."""

LATER = {
    **dict.fromkeys(("rating", "min_rating", "time_format", "separator", "columns", "format", "missing")),
    **{"quotes": True, "duplicates": "keep", "where": [], "encoding": None},
}
"""Settings of a log that came later, as logs were read before."""


def converted(value: Any) -> Any:
    """JSON values with all settings of the flat form in the nested form; other values as they are."""
    if isinstance(value, list):
        return [converted(one) for one in value]
    if not isinstance(value, Mapping):
        return value
    if {"data", "student", "summary", "inner", "outer"} <= set(value) and "select" not in value:
        return recipe(value)
    if value.get("kind") == "OnReal" and "effort" in value:
        return on_real(value)
    if isinstance(value.get("optimizer"), str):
        return inner(value)
    if isinstance(value.get("split"), str):
        return data(value)
    if {"name", "hidden"} <= set(value):
        return student(value)
    return {name: converted(one) for name, one in value.items()}


def settings(values: Flat) -> dict[str, Any]:
    """What a `study.json` holds. Trainings on real events were settings of the study, not of its recipe."""
    if "max_steps" not in values:
        return dict(values)
    nested = recipe(values["recipe"])
    nested["teach"] |= {"max_steps": values["max_steps"], "grid": {"learning_rate": RATES}}
    return {**{name: one for name, one in values.items() if name != "max_steps"}, "recipe": nested}


def recipe(flat: Flat) -> dict[str, Any]:
    """A whole recipe."""
    loop, outer = flat["inner"], flat["outer"]
    objective: Mapping[str, dict[str, Any]] = {
        "meta": {"type": "real_loss"},
        "gradients": {"type": "research.distillers.gradients:GradientMatching"},
        "trajectories": {
            "type": "research.distillers.trajectories:TrajectoryMatching",
            "trajectories": outer["trajectories"] or 5,
            "ahead": outer["ahead"] or 1,
        },
    }
    adjoint: Mapping[str, dict[str, Any]] = {
        "exact": {"type": "exact", "memory": {"type": "store"}},
        "algorithm-1": {"type": "algorithm1", "dtype": "float64"},
    }
    weights: Mapping[str, dict[str, Any]] = {
        "fresh": {"type": "fresh"},
        "pretrained": {"type": "pretrained", "share": 1.0},
        "mixed": {"type": "pretrained", "share": 0.5},
    }
    same = ("steps", "minutes", "learning_rate", "batch", "clip")
    return {
        "seed": flat["seed"],
        "data": data(flat["data"]),
        "student": student(flat["student"]),
        "teach": teach(),
        "summary": {
            **{name: flat["summary"][name] for name in ("sequences", "length", "temperature")},
            "parametrization": parametrization(flat["summary"]),
            "precision": "float32",
        },
        "init": init(flat),
        "inner": inner(loop),
        "outer": {
            **{name: outer[name] for name in same},
            **{name: loop[name] for name in ("window", "pool", "rate_range", "execution")},
            "burn_in": loop["skip"],
            "replicas": outer["runs"],
            "average": 0.0,
            "students": [student({**flat["student"], "name": name}) for name in loop["students"]],
            "weights": weights[loop["weights"]],
            "objective": objective[outer["objective"]],
            "adjoint": adjoint[loop["gradient"]],
            "probe": None,
        },
        "select": {
            "every": outer["validate_every"],
            "students": outer["validate_students"],
            "seen": outer["seen"],
        },
    }


def on_real(flat: Flat) -> dict[str, Any]:
    """A training on real events."""
    effort = flat["effort"]
    rest = {name: converted(one) for name, one in flat.items() if name not in ("effort", "subset")}
    return {
        **rest,
        "control": flat["subset"],
        "teach": {**teach(effort["training"]), "grid": {"learning_rate": effort["rates"]}},
    }


def teach(flat: Flat | None = None) -> dict[str, Any]:
    """A training on real events, without what is tuned; that of the time's default if none is given.

    It drew windows at random. It lacks the settings that came with training by epochs, so that no row of it
    passes for one of today's.
    """
    flat = flat or {"learning_rate": 3e-3, "batch": 128, "steps": 5000, "every": 50, "patience": 5}
    hypers = {**HYPERS["adam"], "epsilon": 1e-8, "learning_rate": flat["learning_rate"]}
    return {
        "optimizer": {"type": "adam", **hypers},
        "dropout": 0.0,
        "batch": flat["batch"],
        "max_steps": flat["steps"],
        "validate_every": flat["every"],
        "patience": flat["patience"],
    }


def inner(flat: Flat) -> dict[str, Any]:
    """The training on the summary; the flat group also held settings that now are of the outer loop."""
    name, feeds = flat["optimizer"], {"whole": "materialized"}
    given = {key: flat[key] for key in HYPERS[name] if flat.get(key) is not None}
    return {
        "optimizer": {"type": name, "learning_rate": flat["learning_rate"], **HYPERS[name], **given},
        **{key: flat[key] for key in ("cooldown", "steps", "batch")},
        "history": None,
        "soft_inputs": feeds.get(flat["soft_events"], flat["soft_events"]),
    }


def parametrization(flat: Flat) -> dict[str, Any]:
    """Which numbers the outer loop changes."""
    label_decoder = flat["targets"] == "own"
    match flat["form"]:
        case "table":
            return {"type": "full_logits", "dim": flat["dim"]}
        case "tucker":
            ranks = {"sequence_rank": flat["user_rank"], "position_rank": flat["time_rank"]}
            return {"type": "tucker", "dim": flat["dim"], "label_decoder": label_decoder, **ranks}
        case _:
            return {"type": "low_rank", "dim": flat["dim"], "label_decoder": label_decoder}


def init(flat: Flat) -> dict[str, Any]:
    """The initializer. Where the start was `auto` it depended on the data and on the label decoder."""
    summary, text = flat["summary"], _is_text(flat["data"])
    start, own = summary["start"], flat["student"]["name"]
    if start == "auto":
        taught, plain = ("taught-alike", "classes") if text else ("taught", "transitions")
        start = taught if summary["targets"] == "own" else plain
    if start not in ("taught", "taught-alike"):
        return {"type": start, **({"classes": summary.get("classes")} if start == "classes" else {})}
    teachers = summary.get("teachers", ())
    others = [name for name in teachers if name not in ("same", own)]
    return {
        "type": "teacher",
        "teachers": 1 + len(teachers) - len(others),
        "others": [student({**flat["student"], "name": name}) for name in others],
        "classes": summary.get("classes"),
        "cluster_by": "embeddings" if start == "taught-alike" else "context",
        "sequences": "real",
    }


def student(flat: Flat) -> dict[str, Any]:
    """A student; some settings are of those alone that have attention."""
    values = {"type": flat["name"], **{name: flat[name] for name in ("hidden", "layers", "tied")}}
    if flat["name"] in ("sasrec", "transformer"):
        values |= {"heads": flat["heads"] or 1, "feed_forward": None}
        values |= {"block": "pre_norm", "positions": "learnt"}
    return values


def data(flat: Flat) -> dict[str, Any]:
    """The data."""
    shares = {"valid": flat["valid_fraction"], "test": flat["test_fraction"]}
    if _is_text(flat):
        own = ("source", "tokens", "vocabulary_size", "vocabulary_file", "lines", "valid_file", "test_file")
        return {"type": "text", **{name: flat[name] for name in own}, "encoding": None, **shares}
    own = (
        *("source", "user", "item", "time", "names", "min_user_events", "min_item_events"),
        *("ties", "unseen", "skip_bad"),
    )
    split = flat["split"].replace("-", "_")
    parts = {"type": split, **({"valid_users": None} if split == "leave_one_out" else shares)}
    return {"type": "log", **{name: flat[name] for name in own}, **LATER, "split": parts}


def _is_text(flat: Flat) -> bool:
    return flat["tokens"] is not None or is_text_source(flat["source"])
