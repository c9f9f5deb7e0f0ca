"""Options for settings of the recipe: the few that have a name of their own, and `--set PATH=VALUE` for all.

The table `SETTINGS` is the one place that pairs options with settings. Choices and defaults in it are written
out, because the help must not wait for the recipe's models; a test compares them with the presets.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from farzi.cli.wording import in_option_names, name_of_setting
from farzi.errors import FarziError

if TYPE_CHECKING:
    from farzi.recipe import Recipe

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

STUDENTS = ("sasrec", "gru4rec", "fmlprec", "transformer", "gru", "lstm")
SPLITS = ("leave_one_out", "ratio", "time")
TOKENS = ("words", "spaces", "bytes", "subwords")
PRESETS = ("log", "text")
CONTROLS = ("random", "head", "herding", "k-centre")


class SettingOption(click.Option):
    """An option for one setting; it has no default, so that an option left out changes nothing.

    Attributes:
        path: of the setting, with dots.
        heading: of its section in the help.
    """

    def __init__(self, *args: Any, path: str, heading: str, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.path, self.heading = path, heading


_MODELS = f"{', '.join(STUDENTS)}, or package.module:Class"

# Option: path of its setting, what it takes, help. A tuple is a choice.
SETTINGS: Mapping[str, tuple[str, Any, str]] = {
    "--from": ("data.file", "FILE", "where DATA is now, or a local copy of named data"),
    "--user": ("data.user", "NAME", "column of users [guessed]"),
    "--item": ("data.item", "NAME", "column of items [guessed]"),
    "--time": ("data.time", "NAME", "column of times [guessed]"),
    "--split": ("data.split.type", SPLITS, "which events of a log are held out [leave_one_out]"),
    "--min-item-events": ("data.min_item_events", int, "leave out items with fewer events [1 for a file]"),
    "--tokens": ("data.tokens", TOKENS, "DATA is a text, cut into these [words]"),
    "--vocabulary-size": ("data.vocabulary_size", int, "tokens of a text [all words, or 4000 subwords]"),
    "--seed": ("seed", int, "seed of every random draw [0]"),
    "--student": ("student", "TYPE", f"architecture: {_MODELS} [sasrec; texts transformer]"),
    "--sequences": ("summary.sequences", int, "synthetic sequences [100; texts 200]"),
    "--length": ("summary.length", int, "positions in each sequence [20; texts 30]"),
    "--teachers": ("init.teachers", int, "full-data models that predict the initial labels [3; texts 1]"),
    "--steps": ("outer.steps", int, "outer steps [150; texts 100]"),
    "--minutes": ("outer.minutes", float, "minutes for the whole run, in place of a number of steps"),
}
"""The settings with an option of their own."""

DATA = tuple(flag for flag, (path, _, _) in SETTINGS.items() if path.startswith("data."))
RUN = tuple(flag for flag in SETTINGS if flag not in DATA)

recipe_option: Decorator = click.option(
    "--recipe", "recipe_file", metavar="FILE", help="a YAML file of settings; options change them"
)
preset_option: Decorator = click.option(
    "--preset",
    type=click.Choice(PRESETS),
    help="settings to start from: farzi recipe show NAME [log; of a text text]",
)
set_option: Decorator = click.option(
    "--set",
    "changes",
    multiple=True,
    metavar="PATH=VALUE",
    help="any setting of the recipe, as in --set inner.steps=200; may be repeated",
)


def settings(*flags: str, defaults: bool = True) -> Decorator:
    """Options for settings, from `SETTINGS`, in this order; `defaults`: whether the help names those."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        for flag in reversed(flags):
            path, kind, text = SETTINGS[flag]
            heading = "Data" if path.startswith("data.") else "Recipe"
            text = text if defaults else text.partition(" [")[0]
            function = setting_option(flag, path=path, heading=heading, kind=kind, help=text)(function)
        return function

    return decorate


def setting_option(
    flag: str, *, path: str, heading: str = "Options", kind: Any = None, **extra: Any
) -> Decorator:
    """An option for the setting at a path.

    Args:
        flag: its name.
        path: of the setting, with dots.
        heading: of the section in the help.
        kind: `int` or `float`, a tuple of choices, or the name of a text in the help; None for other types.
        extra: as for `click.option`.
    """
    match kind:
        case tuple():
            extra["type"] = click.Choice(kind)
        case str():
            extra["metavar"] = kind
        case type():
            extra |= {"type": kind, "metavar": "N" if kind is int else "X"}
        case _:
            pass
    name = path.replace(".", "__")
    return click.option(flag, name, cls=SettingOption, path=path, heading=heading, default=None, **extra)


class SettingsCommand(click.Command):
    """A command with options for settings, whose function receives them as one argument `given`, a `Given`.

    Errors that name a setting by its path are completed by how the command sets it.
    """

    def invoke(self, ctx: click.Context) -> Any:
        """Collect the settings and call the function."""
        if any(param.name == "changes" for param in self.params):
            values = ctx.params
            options = {param.path: values.pop(param.name or "") for param in self.settings}
            ctx.params["given"] = Given(
                self,
                values.pop("recipe_file", None),
                values.pop("preset", None),
                {path: value for path, value in options.items() if value is not None},
                values.pop("changes"),
            )
        try:
            return super().invoke(ctx)
        except FarziError as error:
            raise FarziError(in_option_names(str(error), self)) from error

    @property
    def settings(self) -> list[SettingOption]:
        """Its options for single settings."""
        return [param for param in self.params if isinstance(param, SettingOption)]

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write one section per heading."""
        sections: dict[str, list[tuple[str, str]]] = {"Options": []}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx) if isinstance(param, click.Option) else None
            if record is not None:
                sections.setdefault(getattr(param, "heading", "Options"), []).append(record)
        for heading, records in sections.items():
            with formatter.section(heading):
                formatter.write_dl(records, col_max=28)


@dataclass(frozen=True)
class Given:
    """The settings on a command line.

    Attributes:
        command: whose they are, for messages.
        recipe_file: the file given by `--recipe`.
        preset: the name given by `--preset`.
        options: values of options for single settings, by path.
        changes: the words after each `--set`.
    """

    command: click.Command
    recipe_file: str | None = None
    preset: str | None = None
    options: Mapping[str, Any] | None = None
    changes: tuple[str, ...] = ()

    def recipe(self, base: "Recipe | None" = None, source: str | None = None) -> "Recipe":
        """The recipe file, `base` or the preset that suits the data, with the settings given.

        Args:
            base: of a summary, if there is one; a recipe file replaces it.
            source: the data, as named on the command line.

        Raises:
            FarziError: an error in the file; or a setting does not exist, does not allow its value, has no
                effect or is given twice. The line names the option.
        """
        changes = self.values()
        if source is not None:
            changes = {"data.source": source, **changes}
        if self.recipe_file is not None and self.preset is not None:
            raise FarziError("--preset has no effect beside --recipe: the file can have a key preset")
        recipe = self._base(base, source)
        self._refuse_other_task(recipe)
        if "student" in changes:
            from farzi.recipe.changes import student_of_type

            changes["student"] = student_of_type(recipe.student, str(changes["student"]))
        if "outer.steps" in changes:
            if "outer.minutes" in changes:
                raise FarziError("--steps has no effect beside --minutes")
            changes["outer.minutes"] = None
        try:
            return recipe.changed(changes)
        except FarziError as error:
            raise FarziError(self._renamed(str(error))) from None

    def values(self) -> dict[str, Any]:
        """All settings given, by path.

        Raises:
            FarziError: a `--set` cannot be read, or a setting is given twice.
        """
        values = dict(self.options or {})
        if self.changes:
            from farzi.recipe import parse_change

            for text in self.changes:
                path, value = parse_change(text)
                if path in values:
                    raise FarziError(f"{path} is given twice")
                values[path] = value
        return values

    def only(self, effect: str, *allowed: str, without: tuple[str, ...] = ()) -> None:
        """Refuse settings that a command does not use.

        Args:
            effect: what is done, for the message: "training on a summary".
            allowed: paths or groups that have an effect.
            without: paths inside these that have none.

        Raises:
            FarziError: another one was given.
        """
        for path in self.values():
            if not _within(path, allowed) or _within(path, without):
                raise FarziError(f"{name_of_setting(path, self.command)} has no effect on {effect}")

    def _base(self, base: "Recipe | None", source: str | None) -> "Recipe":
        from farzi.recipe import load_recipe
        from farzi.recipe.presets import PRESETS

        preset = self.preset or ("text" if self._means_text(source) else "log")
        if self.recipe_file is not None:
            return load_recipe(self.recipe_file, preset)
        return base if base is not None and self.preset is None else PRESETS[preset]

    def _means_text(self, source: str | None) -> bool:
        """Whether the data is a text: by its name, or because it is cut into tokens."""
        from farzi.data import is_text_source
        from farzi.data.catalog import LOGS

        if source is None:
            return "data.tokens" in (self.options or {})
        return is_text_source(source) or ("data.tokens" in (self.options or {}) and source not in LOGS)

    def _refuse_other_task(self, recipe: "Recipe") -> None:
        """Refuse options of logs for a text, and options of texts for a log."""
        known = type(recipe.data).model_fields
        for path in self.options or {}:
            group, _, rest = path.partition(".")
            name = rest.partition(".")[0]
            if group == "data" and recipe.data.type in ("log", "text") and name not in known:
                raise FarziError(
                    f"{name_of_setting(path, self.command)} has no effect on a {recipe.data.type}"
                )

    def _renamed(self, message: str) -> str:
        """The message with the options that were given in place of their settings' paths."""
        for path in self.options or {}:
            before = r"(?<![\w.])" if "." in path else "^"  # a plain word may also stand in the sentence
            name = name_of_setting(path, self.command)
            message = re.sub(rf"{before}{re.escape(path)}(\.type)?(?![\w.])", name, message)
        return message


def _within(path: str, groups: tuple[str, ...]) -> bool:
    return any(path == group or path.startswith(f"{group}.") for group in groups)


class Commas(click.ParamType):
    """A list with commas in between; an empty text is an empty list."""

    name = "list"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """A tuple of words."""
        if not isinstance(value, str):
            return value
        return tuple(part.strip() for part in value.split(",")) if value.strip() else ()


class Device(click.ParamType):
    """The CPU, or a GPU of this machine."""

    name = "device"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The same name, checked; torch is not imported for the CPU."""
        if value == "cpu":
            return value
        import torch

        kind, _, number = value.partition(":")
        if kind != "cuda" or not (number.isdecimal() or value == kind):
            self.fail(f'"{value}" is no device; there are cpu, cuda, and cuda:N', param, ctx)
        if not torch.cuda.is_available():
            self.fail(f"PyTorch {torch.__version__} finds no GPU on this machine", param, ctx)
        if int(number or 0) >= torch.cuda.device_count():
            self.fail(f"there are {torch.cuda.device_count()} GPUs, counted from 0", param, ctx)
        return value


device_option: Decorator = click.option(
    "--device",
    type=Device(),
    default="cpu",
    show_default=True,
    metavar="NAME",
    help="cpu, cuda, or cuda:N for one of several GPUs",
)


def seen_option(otherwise: str) -> Decorator:
    """The option for the items of a user's history; `otherwise` says what holds if it is left out."""
    return click.option(
        "--seen",
        type=click.Choice(["keep", "exclude"]),
        help=f"whether rankings contain the items of a user's own history [{otherwise}]",
    )
