"""Spaces from files and dicts, checked by the recipe itself, and the default space.

A parameter is a setting of the recipe by its path, with its values: in a TOML file, as LensKit writes them,

    "student.type" = {choices = ["sasrec", "gru4rec"]}
    "student.hidden" = {type = "int", min = 32, max = 128, scale = "log"}
    "student.heads" = {type = "int", min = 1, max = 4, when = ["sasrec"]}

or in a table of its group, `[student]`. RecBole's `hyper.test` has a line for each:
`student.hidden choice [32,64,128]`. A setting that only some architectures have is drawn for those alone.
"""

import ast
import itertools
import math
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from farzi.errors import FarziError
from farzi.recipe import Recipe
from farzi.recipe.explain import did_you_mean, known_settings, shown
from farzi.tuning.space import DROPOUT, MISSING, TWINS, Parameter, Space, value_at

KEYS = ("type", "min", "max", "scale", "step", "choices", "when")
KINDS, SCALES = ("int", "float", "choice"), ("linear", "log")
OTHER_WORDS = {"categorical": "choice", "uniform": "linear"}
"""Other libraries' words for a kind and a scale."""

GROUPS = ("student", "inner")
RECBOLE = {
    "learning_rate": "inner.optimizer.learning_rate",
    "weight_decay": "inner.optimizer.weight_decay",
    "embedding_size": "student.hidden",
    "hidden_size": "student.hidden",
    "n_layers": "student.layers",
    "num_layers": "student.layers",
    "n_heads": "student.heads",
    "dropout_prob": DROPOUT,
    "hidden_dropout_prob": DROPOUT,
}
"""What RecBole calls settings; named where such a name is refused."""

LARGEST = 1000
"""Choices of a parameter, at most."""


def load_space(given: str | Path | Mapping[str, Any] | Space, recipe: Recipe) -> Space:
    """The space in a file or a dict; that of `default_space` for "default".

    Args:
        given: a path (.toml, else RecBole's form), "default", or parameters by path, each a dict of `type`
            ("int", "float", "choice"), `min`, `max`, `scale` ("linear", "log"), `step`, `choices`, `when`.
        recipe: has all other settings, and decides which paths and values there are.

    Raises:
        FarziError: the file cannot be read, the space is empty, a setting doesn't exist or has no effect on
            training on a summary, or a value is not allowed.
    """
    if isinstance(given, Space):
        return given
    if isinstance(given, Mapping):
        return _space(dict(_flat(given)), recipe, "the space", "")
    if str(given) == "default":
        return default_space(recipe)
    path = Path(given)
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise FarziError(f"{path}: the space cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise FarziError(f"{path}: the space is not UTF-8 text") from None
    if path.suffix != ".toml":
        return _space(_recbole(text, path), recipe, str(path), text)
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        said = re.fullmatch(r"(.*) \(at line (\d+), column (\d+)\)", str(error))
        end = len(text.splitlines()) or 1, len(text.rpartition("\n")[2]) + 1
        what, line, column = said.groups() if said else (str(error), *end)
        raise FarziError(f"{path}:{line}:{column}: not TOML: {what}") from None
    if set(values) == {"space"}:
        values = values["space"]
    return _space(dict(_flat(values)), recipe, str(path), text)


def default_space(recipe: Recipe) -> Space:
    """Architectures of the task, width, depth, dropout, rate and steps, around the recipe's own setting."""
    student, inner = recipe.student, recipe.inner
    text = recipe.data.type == "text"
    kinds = ("transformer", "gru", "lstm") if text else ("sasrec", "gru4rec", "fmlprec")
    steps = max(inner.steps // 2, recipe.outer.window)
    values: dict[str, dict[str, Any]] = {
        "inner.steps": {"type": "int", "min": steps, "max": 2 * inner.steps, "scale": "log"}
    }
    if rate := value_at(recipe, "inner.optimizer.learning_rate"):
        here = {"type": "float", "min": rate / 4, "max": 4 * rate, "scale": "log"}
        values["inner.optimizer.learning_rate"] = here
    if ":" not in student.type:
        width = int(value_at(student, "hidden"))
        values["student.type"] = {"choices": list(dict.fromkeys([student.type, *kinds]))}
        values["student.hidden"] = {"choices": sorted({16, 32, 64, 96, 128, width})}
        values["student.layers"] = {"type": "int", "min": 1, "max": max(3, value_at(student, "layers"))}
        values[DROPOUT] = {"type": "float", "min": 0.0, "max": max(0.6, recipe.teach.dropout)}
    return _space(values, recipe, "the default space", "")


def _flat(values: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """Parameters by their path, out of nested tables."""
    for name, value in values.items():
        here = f"{path}.{name}" if path else str(name)
        own = [key for key in KEYS if isinstance(value, Mapping) and key in value]
        if not isinstance(value, Mapping) or any(not isinstance(value[key], Mapping) for key in own):
            yield here, value
        else:
            yield from _flat(value, here)


def _recbole(text: str, path: Path) -> dict[str, Any]:
    """The parameters of RecBole's `hyper.test`: `name choice [1, 2]`, `name loguniform -8,0`."""
    values: dict[str, Any] = {}
    for number, line in enumerate(text.splitlines(), 1):
        line = line.partition("#")[0].strip()
        if not line:
            continue
        name, _, rest = line.partition(" ")
        kind, _, rest = rest.strip().partition(" ")
        try:
            given = ast.literal_eval(rest.strip() if kind == "choice" else f"[{rest}]")
            if kind == "choice":
                values[name] = {"choices": list(given)}
            elif kind in ("uniform", "loguniform"):
                low, high = (math.exp(one) if kind == "loguniform" else float(one) for one in given)
                scale = "log" if kind == "loguniform" else "linear"
                values[name] = {"type": "float", "min": low, "max": high, "scale": scale}
            elif kind == "quniform":
                low, high, step = given
                whole = all(float(one).is_integer() for one in given)
                as_one = int if whole else float
                values[name] = dict(zip(("min", "max", "step"), map(as_one, (low, high, step))))
                values[name]["type"] = "int" if whole else "float"
            else:
                raise ValueError
        except (ValueError, TypeError, SyntaxError, OverflowError):
            form = "NAME choice [A, B], or uniform or loguniform LOW,HIGH, or quniform LOW,HIGH,STEP"
            raise FarziError(f"{path}:{number}: {shown(line)} is not of the form {form}") from None
    return values


def _space(values: Mapping[str, Any], recipe: Recipe, origin: str, text: str) -> Space:
    """Parameters from values by path, checked by the recipe itself."""
    if not values:
        raise FarziError(f"{origin}: the space is empty: name at least one setting, such as student.hidden")

    def where(path: str) -> str:
        leaf = re.compile(rf"(^|[\s.\[\"']){re.escape(path.split('.')[-1])}([\s\"'=\]]|$)")
        for number, line in enumerate(text.splitlines(), 1):
            if found := leaf.search(line.partition("#")[0]):
                return f"{origin}:{number}:{found.start() + 1}"
        return origin

    parameters = []
    for path, value in values.items():
        try:
            parameters.append(_parameter(path, value))
        except ValueError as error:
            raise FarziError(f"{where(path)}: {path}: {error}") from None
    space = Space(tuple(sorted(parameters, key=_types_first)), recipe)
    for one in space.parameters:
        try:
            _check(one, space)
        except FarziError as error:
            raise FarziError(f"{where(one.path)}: {error}") from None
    return space


def _types_first(one: Parameter) -> bool:
    return not one.path.endswith(".type")


def _parameter(path: str, value: Any) -> Parameter:
    """One parameter. Raises ValueError with what is wrong about its form."""
    if not isinstance(value, Mapping):
        raise ValueError("must be a table, such as {type = 'int', min = 32, max = 128} or {choices = [1, 2]}")
    if unknown := [name for name in value if name not in KEYS]:
        raise ValueError(
            f"unknown key {unknown[0]}{did_you_mean(unknown[0], KEYS)}; known: {', '.join(KEYS)}"
        )
    choices, numbers = value.get("choices"), [name for name in ("min", "max", "step") if name in value]
    kind = value.get("type", None if choices is None else "choice")
    kind, scale = (OTHER_WORDS.get(one, one) for one in (kind, value.get("scale", "linear")))
    when = value.get("when", ())
    when = (when,) if isinstance(when, str) else tuple(when)
    if choices is not None:
        if not isinstance(choices, list | tuple) or not 0 < len(choices) <= LARGEST:
            raise ValueError(f"choices must be a list of 1 to {LARGEST} values")
        if numbers or "scale" in value or (kind != "choice" and "type" not in value):
            raise ValueError("has choices; leave out min, max, step and scale")
        plain = [one for one in choices if one is None or isinstance(one, bool | int | float | str)]
        if len(plain) < len(choices):
            raise ValueError("choices must be numbers, texts, true or false")
        return Parameter(path, "choice", choices=tuple(dict.fromkeys(choices)), when=when)
    if kind not in KINDS[:2]:
        raise ValueError(f"type must be int or float, or give choices, not {shown(kind)}")
    if scale not in SCALES:
        raise ValueError(f"scale must be one of {', '.join(SCALES)}, not {shown(scale)}")
    low: Any = value.get("min")
    high: Any = value.get("max")
    step: Any = value.get("step")
    for name, number in (("min", low), ("max", high), *((("step", step),) if step is not None else ())):
        wanted = int if kind == "int" else int | float
        if not isinstance(number, wanted) or isinstance(number, bool) or not math.isfinite(number):
            what = "a whole number" if kind == "int" else "a number"
            raise ValueError(f"{name} must be {what}, not {shown(number)}")
    if low > high:
        raise ValueError(f"min ({low:g}) is above max ({high:g})")
    if step is not None and (step <= 0 or scale == "log"):
        raise ValueError("step must be above 0, and has no place on a logarithmic scale")
    if scale == "log" and low <= 0:
        raise ValueError(f"min must be above 0 on a logarithmic scale, not {low:g}")
    return Parameter(path, kind, low, high, scale == "log", step, when=when)


def _check(one: Parameter, space: Space) -> None:
    """Refuse a setting without effect on training on a summary, and values that a recipe doesn't allow."""
    path, recipe = one.path, space.recipe
    known = {".".join(known) for known, _ in known_settings()}
    here = value_at(recipe, path, MISSING) is not MISSING
    if path not in known and not (here and ":" in recipe.student.type):
        if path in RECBOLE:
            raise FarziError(f"unknown key {path}; did you mean {RECBOLE[path]}?")
        recipe.changed({path: one.ends[0]})  # names the nearest known ones
        raise FarziError(f"{path} is a group of settings; name one of them, such as {path}.type")
    free = (*TWINS.values(), DROPOUT)
    if path.split(".")[0] not in GROUPS and path not in free:
        raise FarziError(
            f"{path} has no effect on training on a summary; a space has settings of student and inner, "
            f"{', '.join(free)}"
        )
    types = [each for each in space.parameters if not _types_first(each) and each.path != path]
    belongs = False
    for chosen in itertools.product(*(each.choices for each in types)):
        drawn = {each.path: value for each, value in zip(types, chosen)}
        if space.belongs(one, space.changed(drawn)):
            belongs = True
            for value in one.ends:
                space.changed({**drawn, path: value})
    if not belongs:
        kinds = next((each.choices for each in types if each.path == "student.type"), (recipe.student.type,))
        raise FarziError(f"{path}: none of {', '.join(map(str, kinds))} has this setting; leave it out")
