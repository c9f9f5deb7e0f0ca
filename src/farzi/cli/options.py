"""Command-line options made from the recipe's models, so that a setting is written down once.

A field becomes an option of its own name, `--hidden`; where two groups have a field of that name, each option
gets its group's name too, `--inner-steps` and `--outer-steps`. Help, default, kind and choices come from the
field. An option left out changes nothing: defaults give way to `--recipe FILE`, that to the options given.
"""

import functools
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import NoneType
from typing import Any, Literal, get_args, get_origin

import click
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from farzi.errors import FarziError
from farzi.recipe import LOG_DEFAULTS, TEXT_DEFAULTS, Defaults, Recipe, load_recipe
from farzi.recipe.paths import Keys, dotted, fields
from farzi.recipe.student import renamed
from farzi.recipe.wording import explain

ARGUMENTS: dict[Keys, str] = {("data", "source"): "DATA"}
"""Settings that are arguments of their commands rather than options."""

_NAMES: dict[Keys, str] = {("data", "file"): "from", ("student", "name"): "student"}
_FILES = {("data", name) for name in ("file", "names", "vocabulary_file", "valid_file", "test_file")}
_HEADINGS = {"": "Run", "inner": "Inner loop", "outer": "Outer loop"}
_KINDS: dict[type, tuple[click.ParamType, str]] = {
    int: (click.INT, "N"),
    float: (click.FLOAT, "X"),
    str: (click.STRING, "NAME"),
}


@dataclass(frozen=True)
class Given:
    """The settings that a command line names: a recipe file and single values."""

    recipe_file: str | None
    values: dict[Keys, Any]

    def recipe(self, base: Recipe | None = None) -> Recipe:
        """`base` (by default the recipe file, or all defaults) with the values given.

        What neither says has its default: that of `LOG_DEFAULTS` or `TEXT_DEFAULTS`, where it has one there.

        Raises:
            FarziError: a mistake in the file, or a value that its setting does not allow; the line names it.
        """
        from farzi.data import complete  # here: --help need not wait for it

        if self.recipe_file is not None:
            base = load_recipe(self.recipe_file)
        settings = (base or Recipe()).model_dump(exclude_unset=True)
        if ("student", "name") in self.values:  # what the former student had for itself falls away
            settings["student"] = renamed(settings.get("student", {}), self.values["student", "name"])
        for path, value in self.values.items():
            group = settings
            for name in path[:-1]:
                group = group.setdefault(name, {})
            group[path[-1]] = value
        return complete(_validated(settings))

    def refuse(self, why: str, *parts: str) -> None:
        """Refuse values given for some groups, or for single settings by their dotted path.

        Raises:
            FarziError: one was given; the line is its option and `why`.
        """
        for path in self.values:
            if _is_in(path, parts):
                raise FarziError(f"{_called(path)} {why}")

    def with_value(self, path: Keys, value: Any) -> "Given":
        """The same with one value more; None stands for a value that was not given."""
        return self if value is None else Given(self.recipe_file, {**self.values, path: value})


def _validated(settings: dict[str, Any]) -> Recipe:
    try:
        return Recipe.model_validate(settings)
    except ValidationError as error:
        first = error.errors()[0]
        path = tuple(part for part in first["loc"] if isinstance(part, str))  # no places in lists
        raise FarziError(explain(first, _called(path))) from None


def option_names() -> dict[Keys, str]:
    """The option of every setting, without its dashes: `{("inner", "steps"): "inner-steps", ...}`."""
    paths = [path for path, _ in fields(Recipe) if path not in ARGUMENTS]
    times = Counter(path[-1] for path in paths)
    return {
        path: _NAMES.get(path, "-".join(path if times[path[-1]] > 1 else path[-1:]).replace("_", "-"))
        for path in paths
    }


def recipe_options(*parts: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command an option for every setting of some groups, and `--recipe`.

    Args:
        parts: names of the recipe's groups, "" for its settings outside any group, or dotted paths.

    Returns:
        A decorator. The command is called with one argument `given`, a `Given`, for all of these options.
    """
    names = option_names()
    offered = {path: field for path, field in fields(Recipe) if path in names and _is_in(path, parts)}

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def called(*, recipe_file: str | None, **arguments: Any) -> Any:
            values = {path: arguments.pop(_variable(path)) for path in offered}
            given = {path: value for path, value in values.items() if value is not None}
            return function(given=Given(recipe_file, given), **arguments)

        command: Callable[..., Any] = called
        for path, field in reversed(offered.items()):
            command = _option(path, field, names[path])(command)
        return click.option(
            "--recipe", "recipe_file", metavar="FILE", help="a YAML file of settings; options win over it"
        )(command)

    return decorate


class Commas(click.ParamType):
    """A list with commas in between, or nothing for none; what its parts may be is the setting's business."""

    name = "list"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """A tuple of words."""
        if not isinstance(value, str):
            return value
        return tuple(part.strip() for part in value.split(",")) if value.strip() else ()


class Device(click.ParamType):
    """Where tensors lie: the CPU, or a GPU that is there."""

    name = "device"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The same name; torch is not loaded for the CPU's."""
        if value == "cpu":
            return value
        import torch

        kind, _, number = value.partition(":")
        if kind != "cuda" or not (number.isdecimal() or value == kind):
            self.fail(
                f'"{value}" is no device; there are cpu, cuda, and cuda:N for one of several', param, ctx
            )
        if not torch.cuda.is_available():
            self.fail(f"PyTorch {torch.__version__} finds no GPU on this machine", param, ctx)
        if int(number or 0) >= torch.cuda.device_count():
            self.fail(f"there are {torch.cuda.device_count()} GPUs, counted from 0", param, ctx)
        return value


device_option: Callable[[Callable[..., Any]], Callable[..., Any]] = click.option(
    "--device",
    type=Device(),
    default="cpu",
    show_default=True,
    metavar="NAME",
    help="where it is computed: cpu, cuda, or cuda:N for one of several GPUs",
)


class RecipeOption(click.Option):
    """An option for one setting. It shows the default but has none, so that leaving it out shows."""

    def __init__(
        self, declarations: Sequence[str], heading: str, default_shown: str | None, **settings: Any
    ) -> None:
        super().__init__(declarations, **settings)
        self.heading = heading
        self.default_shown = default_shown

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """Its line in the help, with the default."""
        record = super().get_help_record(ctx)
        if record is None or self.default_shown is None:
            return record
        return record[0], f"{record[1]} [{self.default_shown}]"


class GroupedCommand(click.Command):
    """A command whose help lists the settings group by group, after its own options."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write one section a group."""
        sections: dict[str, list[tuple[str, str]]] = {"Options": []}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is not None and isinstance(param, click.Option):
                heading = param.heading if isinstance(param, RecipeOption) else "Options"
                sections.setdefault(heading, []).append(record)
        for heading, records in sections.items():
            with formatter.section(heading):
                formatter.write_dl(records)


def _option(path: Keys, field: FieldInfo, name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    kind = _kind(field)
    settings: dict[str, Any] = {"help": field.description, "default": None}
    flag = f"--{name}"
    if kind is bool:
        flag = f"--{name}/--no-{name}"
    elif get_origin(kind) is Literal:
        settings["type"] = click.Choice(get_args(kind))
    elif kind is tuple:
        settings["type"], settings["metavar"] = Commas(), "A,B,..."
    else:
        settings["type"], settings["metavar"] = _KINDS[kind]
        if path in _FILES:
            settings["metavar"] = "FILE"
    default = _default(path, field)
    group = _group(path)
    heading = _HEADINGS.get(group, group.capitalize())
    return click.option(
        flag, _variable(path), cls=RecipeOption, heading=heading, default_shown=default, **settings
    )


def _default(path: Keys, field: FieldInfo) -> str | None:
    """The default as the help shows it: of a log, and of a text where it has another one."""

    def shown(defaults: Defaults) -> str | None:
        value = defaults.get(_group(path), {}).get(path[-1], field.default)
        if isinstance(value, bool):
            return "yes" if value else "no"
        if isinstance(value, tuple):
            return ",".join(value) or None
        return None if value is None else str(value)

    log, text = shown(LOG_DEFAULTS), shown(TEXT_DEFAULTS)
    return log if log == text else f"{log or 'none'}; of a text {text or 'none'}"


def _kind(field: FieldInfo) -> Any:
    """The annotation of a field without its None; one value that an option can hold."""
    if get_origin(field.annotation) is tuple:
        return tuple
    parts = [part for part in get_args(field.annotation) if part is not NoneType]
    if get_origin(field.annotation) is Literal or not parts:
        return field.annotation
    if len(parts) > 1:
        raise TypeError(f"no option can be made for a setting that is a {field.annotation}")
    return parts[0]


def _is_in(path: Keys, parts: Sequence[str]) -> bool:
    return _group(path) in parts or dotted(path) in parts


def _group(path: Keys) -> str:
    return path[0] if len(path) > 1 else ""


def _variable(path: Keys) -> str:
    return "__".join(path)


def _called(path: Keys) -> str:
    """What the user calls a setting: its option, its argument, or its key in a recipe."""
    name = option_names().get(path)
    return ARGUMENTS.get(path, dotted(path)) if name is None else f"--{name}"
