"""Options for settings of the recipe: the few that have a name of their own, and `--set PATH=VALUE` for all.

The table `SETTINGS` is the one place that pairs options with settings. Choices and defaults in it are written
out, because the help must not wait for the recipe's models; a test compares them with the presets.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from farzi.errors import FarziError

if TYPE_CHECKING:
    from farzi.recipe import Recipe

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

STUDENTS = ("sasrec", "gru4rec", "fmlprec", "transformer", "gru", "lstm")
SPLITS = ("leave_one_out", "ratio", "time", "position", "random")
TOKENS = ("words", "spaces", "bytes", "subwords")
PRESETS = ("log", "text", "plain")
CONTROLS = ("random", "head", "herding", "k-centre")
_MODELS = f"{', '.join(STUDENTS)}, or package.module:Class"

# Option: path of its setting, what it takes, help. A tuple is a choice.
SETTINGS: Mapping[str, tuple[str, Any, str]] = {
    "--from": ("data.file", "FILE", "where DATA is now, or a local copy of named data"),
    "--user": ("data.user", "NAME", "column of users [guessed]"),
    "--item": ("data.item", "NAME", "column of items [guessed]"),
    "--time": ("data.time", "NAME", "column of times [guessed]"),
    "--separator": ("data.separator", "TEXT", r"between the fields of a text, such as :: or \t [guessed]"),
    "--columns": ("data.columns", "A,B,...", "columns of a text without a header: user,item,rating,time"),
    "--time-format": ("data.time_format", "FORM", "of dates that are not ISO, such as %d.%m.%Y"),
    "--min-rating": ("data.min_rating", float, "leave out events with a lower rating"),
    "--where": ("data.where", "COLUMN=VALUE", "only such rows are events: event=view,cart; may be repeated"),
    "--encoding": ("data.encoding", "NAME", "of text files, such as latin-1 [UTF-8]"),
    "--split": ("data.split.type", SPLITS, "which events are held out [leave_one_out; of a text position]"),
    "--min-item-events": ("data.min_item_events", int, "leave out items with fewer events [1 for a file]"),
    "--tokens": ("data.tokens", TOKENS, "DATA is a text, cut into these [words]"),
    "--vocabulary-size": ("data.vocabulary_size", int, "tokens of a text [all words, or 4000 subwords]"),
    "--seed": ("seed", int, "seed of every random draw [0]"),
    "--student": ("student.type", "TYPE", f"architecture: {_MODELS} [sasrec; texts transformer]"),
    "--sequences": ("summary.sequences", int, "synthetic sequences [20; texts 200]"),
    "--length": ("summary.length", int, "positions in each sequence [20; texts 30]"),
    "--teachers": ("init.teachers", int, "full-data models that predict the initial labels [1; texts 1]"),
    "--steps": ("outer.steps", int, "outer steps [300; texts 100]"),
    "--minutes": (
        "outer.minutes",
        float,
        "minutes of the whole run, its full-data trainings counted, in place of steps",
    ),
    "--seeds": ("compare.seeds", int, "models trained on each kind of data [5]"),
    "--max-steps": (
        "teach.max_steps",
        int,
        "steps on real events: quick, and unfair to the full data [5000]",
    ),
    "--equal-bytes/--no-equal-bytes": (
        "compare.equal_bytes",
        None,
        "also as many real sequences as fit in the summary's bytes: slow, most of a small log [yes]",
    ),
    "--controls": (
        "compare.controls",
        "A,B,...",
        "which real sequences to compare with: labelled (random, with the teachers' soft labels), random, "
        "head (of the most active users), herding (together like the whole log), k-centre (none of the log "
        "far from all of them), or package.module:Class [labelled,random]",
    ),
    "--references": (
        "compare.references",
        "A,B,...",
        "what to show of the distillation: initial (the summary before any outer step), teachers (and their "
        "ensemble), full-labels (the full data with their labels: slow) [initial,teachers]",
    ),
    "--seen": (
        "select.seen",
        ("keep", "exclude"),
        "whether rankings contain items of the user's own history",
    ),
}

FORM = ("--separator", "--columns", "--encoding", "--time-format", "--min-rating", "--where")
"""Settings that have options in `farzi data describe` alone; `farzi distill` has enough options."""
DATA = tuple(flag for flag, (path, *_) in SETTINGS.items() if path.startswith("data.") and flag not in FORM)
RUN = ("--seed", "--student", "--sequences", "--length", "--teachers", "--steps", "--minutes")

SIZES = {
    "--events": ("N|SHARE", "synthetic events, in place of sequences: 1000, or a share of the log's: 0.1%"),
    "--bytes": ("SIZE", "stored size of the summary, in place of sequences: 200KB"),
    "--training-seconds": (
        "X",
        "seconds of one training on the summary, in place of sequences; its steps follow",
    ),
}
"""Options that decide the summary's size, one at most: what they take, help."""

ARGUMENTS = {
    "restart=True": "--restart",
    "unchecked=True": "--unchecked",
    "the same call": "the same command",
    "data.type=text": "--tokens words",
    "report_to=": "--report-to ",
}
"""Words of messages for Python's users, and those for the command line."""


class SettingOption(click.Option):
    """An option for the setting at `path`; it has no default, so that an option left out changes nothing."""

    def __init__(self, *args: Any, path: str, **extra: Any) -> None:
        super().__init__(*args, default=None, **extra)
        self.path = path


def settings(*flags: str, defaults: bool = True) -> Decorator:
    """`--set`, and options from `SETTINGS`, in this order; `defaults`: whether the help names those."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        for flag in reversed(flags):
            path, kind, text = SETTINGS[flag]
            extra: dict[str, Any] = {"help": text if defaults else text.partition(" [")[0]}
            if isinstance(kind, tuple):
                extra["type"] = click.Choice(kind)
            elif isinstance(kind, str):
                extra |= {"metavar": kind, "multiple": kind == "COLUMN=VALUE"}
            elif kind is not None:
                extra |= {"type": kind, "metavar": "N" if kind is int else "X"}
            option = click.option(flag, path.replace(".", "__"), cls=SettingOption, path=path, **extra)
            function = option(function)
        return set_option(function)

    return decorate


class SizeOption(click.Option):
    """One of `SIZES`; stands among the options of the recipe."""

    path = "summary"


def size_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """`SIZES`, which the command's function receives as a dict `size`."""
    for flag, (takes, text) in reversed(SIZES.items()):
        function = click.option(flag, cls=SizeOption, metavar=takes, help=text)(function)
    return function


class SettingsCommand(click.Command):
    """A command with options for settings, whose function receives them as one argument `given`, a `Given`.

    Errors that name a setting by its path name its option instead, if the command has one.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the command line; an option that is none here, but a setting, is named by that."""
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            if not (paths := _settings_named(error.option_name)):
                raise
            line = f"no option {error.option_name} here; give it as --set {' or '.join(paths)}=VALUE"
            raise click.UsageError(line, ctx) from None

    def invoke(self, ctx: click.Context) -> Any:
        """Collect the settings and call the function."""
        try:
            if "changes" in ctx.params:
                if any(isinstance(param, SizeOption) for param in self.params):
                    names = [param.name or "" for param in self.params if isinstance(param, SizeOption)]
                    ctx.params["size"] = {name: ctx.params.pop(name) for name in names}
                ctx.params["given"] = self._given(ctx.params)
                _check_size(ctx.params.get("size", {}), ctx.params["given"])
            return super().invoke(ctx)
        except FarziError as error:
            raise FarziError(in_option_names(str(error), self)) from error

    def _given(self, params: dict[str, Any]) -> "Given":
        options = [param for param in self.params if isinstance(param, SettingOption)]
        values = {option.path: params.pop(option.name or "") for option in options}
        values = {path: value for path, value in values.items() if value not in (None, ())}
        for path in ("compare.controls", "compare.references"):
            if path in values:
                values[path] = tuple(values[path].replace(",", " ").split())
        for text in params.pop("changes"):
            from farzi.recipe import parse_change

            path, value = parse_change(text)
            if path in values:
                raise FarziError(f"{path} is given twice")
            values[path] = value
        return Given(values, params.pop("recipe_file", None), params.pop("preset", None))

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the command's own options, those of the data, and those of the rest of the recipe."""
        sections: dict[str, list[tuple[str, str]]] = {"Options": [], "Data": [], "Recipe": []}
        for param in self.get_params(ctx):
            path = getattr(param, "path", None)
            heading = "Options" if path is None else "Data" if path.startswith("data.") else "Recipe"
            if isinstance(param, click.Option) and (record := param.get_help_record(ctx)):
                sections[heading].append(record)
        for heading, records in sections.items():
            if records:
                with formatter.section(heading):
                    formatter.write_dl(records, col_max=28)


@dataclass(frozen=True)
class Given:
    """The settings on a command line."""

    values: Mapping[str, Any]  # by path
    recipe_file: str | None = None
    preset: str | None = None

    def recipe(self, base: "Recipe | None" = None, source: str | None = None) -> "Recipe":
        """The recipe file, `base` (of a summary) or the preset that suits the data, with the settings given.

        Raises:
            FarziError: an error in the file; or a setting does not exist, does not allow its value or has no
                effect.
        """
        from farzi.recipe import load_recipe
        from farzi.recipe.changes import student_of_type
        from farzi.recipe.presets import PRESETS

        if source is not None and re.match(r"[a-z_]+(\.[a-z_]+)+=", source) and not Path(source).exists():
            raise FarziError(f"{source} is a setting and no data; each setting needs a --set of its own")
        preset = self.preset or ("text" if self._is_text(source) else "log")
        recipe = PRESETS[preset] if base is None or self.preset else base
        if self.recipe_file is not None:
            if self.preset is not None:
                raise FarziError("--preset has no effect beside --recipe: the file can have a key preset")
            recipe = load_recipe(self.recipe_file, preset)
        changes = dict(self.values) if source is None else {"data.source": source, **self.values}
        if "student.type" in changes and "student" not in changes:
            changes["student"] = student_of_type(recipe.student, str(changes["student.type"]))
        if "outer.steps" in changes:
            if "outer.minutes" in changes:
                raise FarziError("outer.steps has no effect beside outer.minutes")
            changes["outer.minutes"] = None
        return recipe.changed(changes)

    def only(self, effect: str, *allowed: str, without: tuple[str, ...] = ()) -> None:
        """Refuse settings that have no effect on what a command does.

        Raises:
            FarziError: a setting was given that is not among the `allowed` paths and groups, or is `without`.
        """
        for path in self.values:
            groups = {path, *(path[:k] for k, letter in enumerate(path) if letter == ".")}
            if groups.isdisjoint(allowed) or not groups.isdisjoint(without):
                raise FarziError(f"{path} has no effect on {effect}")

    def _is_text(self, source: str | None) -> bool:
        """Whether the data is a text: by its name, or because it is cut into tokens."""
        from farzi.data import is_text_source
        from farzi.data.catalog import LOGS

        if "data.type" in self.values:
            return self.values["data.type"] == "text"
        tokens = "data.tokens" in self.values and source not in LOGS
        return tokens or (source is not None and is_text_source(source))


def _settings_named(flag: str) -> list[str]:
    """The paths of settings that an option without one of its own may mean: by their last words."""
    if flag in SETTINGS:
        return [SETTINGS[flag][0]]
    from farzi.recipe.explain import known_settings

    words = flag.removeprefix("--").replace("-", "_")
    paths = {".".join(path) for path, _ in known_settings()}
    return sorted(path for path in paths if f"_{path.replace('.', '_')}".endswith(f"_{words}"))[:3]


def _check_size(size: Mapping[str, Any], given: Given) -> None:
    """Refuse settings beside an option of `SIZES` that decides them."""
    for name, value in size.items():
        decided = (
            ("summary.sequences", "inner.steps") if name == "training_seconds" else ("summary.sequences",)
        )
        for path in decided:
            if value is not None and path in given.values:
                raise FarziError(f"{path} has no effect beside {name}={value}")


def arguments_as_options(message: str) -> str:
    """A message of the library with options in place of arguments of Python functions."""
    for argument, option in ARGUMENTS.items():
        message = message.replace(argument, option)
    return re.sub(r"\b(events|bytes|training_seconds)=", lambda one: f"{_flag(one[1])} ", message)


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def in_option_names(message: str, command: click.Command) -> str:
    """A message of the library in which settings that a command has an option for are named by the option.

    Errors in a recipe's file, which begin with its line and column, stay as they are.
    """
    if re.match(r"\S+:\d+:\d+: ", message):
        return message
    names = {"data.source": "DATA"} if any(param.name == "source" for param in command.params) else {}
    for param in command.params:
        if isinstance(param, SettingOption):
            axis = param.path.removesuffix(".type")
            names |= dict.fromkeys((axis, f"{axis}.type"), param.opts[0])
    path = re.compile(r"(?<![\w/.])[a-z]+(?:\.[a-z]\w*)+")
    return path.sub(lambda found: names.get(found[0], found[0]), arguments_as_options(message))


def _device(ctx: click.Context, param: click.Parameter, value: str) -> str:
    """The name of a device, checked; torch is not imported for the CPU."""
    if value != "cpu":
        import torch

        try:
            if not value.startswith("cuda"):
                raise RuntimeError("there are cpu, cuda, and cuda:N")
            torch.empty(0, device=value)
        except (RuntimeError, AssertionError) as error:  # the latter without CUDA
            raise click.BadParameter(f'"{value}" is no device here: {str(error).splitlines()[0]}') from None
    return value


def count_option(flag: str, text: str, default: int | None = None) -> Decorator:
    """An option for a number of at least 1."""
    kind = click.IntRange(min=1)
    return click.option(flag, type=kind, default=default, show_default=True, metavar="N", help=text)


source_argument: Decorator = click.argument("source", metavar="[DATA]", required=False)
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
    help="any setting by its path in the recipe, as messages name it: --set inner.steps=200; may be repeated",
)
device_option: Decorator = click.option(
    "--device",
    callback=_device,
    default="cpu",
    show_default=True,
    metavar="NAME",
    help="cpu, cuda, or cuda:N for one of several GPUs",
)
json_option: Decorator = click.option("--json", "as_json", is_flag=True, help="print JSON, for programs")


def run_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The data, the recipe and the device of a distillation."""
    for option in (settings(*DATA, *RUN), json_option, device_option, preset_option, recipe_option):
        function = option(function)
    return source_argument(function)
