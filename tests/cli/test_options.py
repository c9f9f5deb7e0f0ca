"""Options come from the recipe's models: names, kinds, defaults, precedence, help."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from farzi.cli.options import ARGUMENTS, Given, GroupedCommand, RecipeOption, option_names, recipe_options
from farzi.data import complete
from farzi.errors import FarziError
from farzi.recipe import (
    LOG_DEFAULTS,
    TEXT_DEFAULTS,
    DataSettings,
    InnerSettings,
    OuterSettings,
    Recipe,
    StudentSettings,
    with_defaults,
)
from farzi.recipe.paths import fields, value_at

GROUPS = ("", *(name for name in Recipe.model_fields if name != "seed"))


@pytest.fixture
def parse() -> Callable[..., Recipe]:
    """Run a command with every option on some words; the recipe it would have used."""

    def run(*words: str, base: Recipe | None = None) -> Recipe:
        seen: list[Recipe] = []

        @click.command(cls=GroupedCommand)
        @recipe_options(*GROUPS)
        def command(given: Given) -> None:
            seen.append(given.recipe(base))

        result = CliRunner().invoke(command, words)
        if isinstance(result.exception, FarziError):
            raise result.exception
        assert result.exit_code == 0, result.output
        return seen[0]

    return run


def options() -> dict[str, RecipeOption]:
    @click.command(cls=GroupedCommand)
    @recipe_options(*GROUPS)
    def command(**_: Any) -> None: ...

    return {param.opts[0]: param for param in command.params if isinstance(param, RecipeOption)}


def test_every_setting_is_an_option_or_an_argument():
    names = option_names()
    assert set(names) | set(ARGUMENTS) == {path for path, _ in fields(Recipe)}
    assert len(set(names.values())) == len(names)
    assert set(options()) == {f"--{name}" for name in names.values()}


def test_a_shared_name_gets_its_group_and_a_unique_one_does_not():
    names = option_names()
    assert names["student", "hidden"] == "hidden"
    assert names["seed",] == "seed"
    assert names["inner", "learning_rate"] == "inner-learning-rate"
    assert names["outer", "learning_rate"] == "outer-learning-rate"
    assert names["inner", "steps"] == "inner-steps"
    assert names["data", "file"] == "from"
    assert names["student", "name"] == "student"


def _told(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ",".join(value) or "none"
    return "none" if value is None else str(value)


def test_the_help_is_the_models_and_the_default_what_a_command_takes():
    found = options()
    log, text = (
        Recipe.model_validate(with_defaults({}, defaults)) for defaults in (LOG_DEFAULTS, TEXT_DEFAULTS)
    )
    for path, field in fields(Recipe):
        if path in ARGUMENTS:
            continue
        option = found[f"--{option_names()[path]}"]
        assert option.help == field.description
        first, second = value_at(log, path), value_at(text, path)
        both = _told(first) if first == second else f"{_told(first)}; of a text {_told(second)}"
        assert (option.default_shown or "none") == both


def test_without_options_the_recipe_is_the_default(parse: Callable[..., Recipe]):
    assert parse() == complete(Recipe())


def test_options_set_what_they_name(parse: Callable[..., Recipe]):
    recipe = parse(
        *("--hidden", "64", "--inner-learning-rate", "1e-3", "--outer-learning-rate", "0.1"),
        *("--from", "copy.zip", "--skip-bad", "--seed", "7", "--split", "ratio", "--minutes", "2"),
    )
    assert recipe == complete(
        Recipe(
            seed=7,
            data=DataSettings(file="copy.zip", skip_bad=True, split="ratio"),
            student=StudentSettings(hidden=64),
            inner=InnerSettings(learning_rate=1e-3),
            outer=OuterSettings(learning_rate=0.1, minutes=2),
        )
    )


def test_an_option_wins_over_the_file_and_the_file_over_the_default(
    parse: Callable[..., Recipe], tmp_path: Path
):
    file = tmp_path / "r.yaml"
    file.write_text("student: {hidden: 48, layers: 2}\ndata: {skip_bad: true}\n")
    recipe = parse("--recipe", str(file), "--hidden", "16", "--no-skip-bad")
    assert recipe == complete(
        Recipe(student=StudentSettings(hidden=16, layers=2), data=DataSettings(skip_bad=False))
    )
    assert parse("--recipe", str(file)).data.skip_bad


def test_an_option_set_to_its_default_still_wins_over_the_base(parse: Callable[..., Recipe]):
    base = Recipe(student=StudentSettings(hidden=48), seed=5)
    assert parse("--hidden", "32", base=base) == complete(Recipe(seed=5))


def test_a_list_is_given_with_commas(parse: Callable[..., Recipe]):
    assert parse("--students", "gru4rec, fmlprec").inner.students == ("gru4rec", "fmlprec")
    assert parse().inner.students == ()
    with pytest.raises(
        FarziError, match=r"^--students must be one of sasrec, .*, not \"gru4\"; did you mean"
    ):
        parse("--students", "gru4,lstm")


def test_another_student_does_without_what_the_former_had_for_itself(parse: Callable[..., Recipe]):
    base = Recipe(student=StudentSettings(hidden=48, heads=2))
    assert parse("--student", "gru4rec", base=base).student == StudentSettings(name="gru4rec", hidden=48)
    assert parse("--student", "transformer", base=base).student.heads == 2
    with pytest.raises(FarziError, match=r"^gru4rec has no heads, only sasrec and transformer have"):
        parse("--student", "gru4rec", "--heads", "2", base=base)


def test_a_file_takes_the_place_of_the_base(parse: Callable[..., Recipe], tmp_path: Path):
    file = tmp_path / "r.yaml"
    file.write_text("seed: 1\n")
    assert parse("--recipe", str(file), base=Recipe(student=StudentSettings(hidden=48))) == complete(
        Recipe(seed=1)
    )


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("--hidden", "0"), "--hidden must be at least 1, not 0"),
        (("--inner-learning-rate", "-0.5"), "--inner-learning-rate must be above 0, not -0.5"),
        (("--inner-learning-rate", "nan"), "--inner-learning-rate must be a finite number, not nan"),
        (("--valid-fraction", "1"), "--valid-fraction must be below 1, not 1"),
    ],
)
def test_a_value_out_of_range_names_its_option(
    parse: Callable[..., Recipe], words: tuple[str, ...], line: str
):
    with pytest.raises(FarziError) as caught:
        parse(*words)
    assert str(caught.value) == line


def test_a_mistake_in_the_file_names_its_place(parse: Callable[..., Recipe], tmp_path: Path):
    file = tmp_path / "r.yaml"
    file.write_text("student:\n  hiden: 3\n")
    with pytest.raises(
        FarziError, match=r"r\.yaml:2:3: unknown key student\.hiden; did you mean student\.hidden\?"
    ):
        parse("--recipe", str(file))


def test_help_stands_group_by_group():
    @click.command(cls=GroupedCommand)
    @recipe_options(*GROUPS)
    def command(**_: Any) -> None: ...

    text = CliRunner().invoke(command, ["--help"]).output
    places = [
        text.index(f"\n{heading}:\n") for heading in ("Options", "Run", "Data", "Student", "Inner loop")
    ]
    assert places == sorted(places)
    assert text.index("--hidden N") > text.index("\nStudent:\n")


def test_a_command_may_offer_some_groups_only():
    @click.command()
    @recipe_options("data")
    def command(**_: Any) -> None: ...

    names = {param.name for param in command.params if isinstance(param, RecipeOption)}
    assert "data__user" in names
    assert "student__hidden" not in names
    assert "seed" not in names


def test_a_list_may_be_empty(parse: Callable[..., Recipe]):
    assert parse("--teachers", "same, gru4rec").summary.teachers == ("same", "gru4rec")
    assert parse("--teachers", "").summary.teachers == ()


def test_teachers_are_a_default_of_starts_that_are_taught_only(parse: Callable[..., Recipe]):
    assert parse().summary.teachers == parse("--start", "taught-alike").summary.teachers == ("same", "same")
    for given in (("--start", "classes"), ("--targets", "events"), ("--form", "table")):
        assert parse(*given).summary.teachers == ()


def test_a_text_has_defaults_of_its_own(tmp_path: Path):
    named = Given(None, {("data", "source"): "sotu"})
    recipe = named.recipe()
    assert with_defaults({"data": {"source": "sotu"}}, TEXT_DEFAULTS) == recipe.model_dump(exclude_unset=True)
    assert (recipe.student.name, recipe.student.tied) == ("transformer", False)
    assert recipe.inner.epsilon == Recipe().inner.epsilon  # what it does not name is the model's
    (tmp_path / "log.csv").write_text("user,item,time\n")
    assert Given(None, {("data", "source"): str(tmp_path / "log.csv")}).recipe().student == StudentSettings()
    text = Given(None, {("data", "source"): str(tmp_path / "log.csv"), ("data", "tokens"): "bytes"})
    assert text.recipe().student == recipe.student


def test_the_defaults_of_a_text_give_way_to_all_that_is_said(tmp_path: Path):
    file = tmp_path / "r.yaml"
    file.write_text("data: {source: sotu}\nstudent: {hidden: 48}\ninner: {steps: 50, weight_decay: 0}\n")
    recipe = Given(str(file), {("inner", "batch"): 7, ("student", "name"): "lstm"}).recipe()
    assert recipe.student == StudentSettings(name="lstm", hidden=48, tied=False)
    assert (recipe.inner.steps, recipe.inner.weight_decay, recipe.inner.batch) == (50, 0, 7)
    assert recipe.inner.beta2 == TEXT_DEFAULTS["inner"]["beta2"]
    plain = Given(str(file), {("inner", "optimizer"): "sgd"}).recipe().inner
    assert (plain.beta2, plain.weight_decay, plain.batch) == (None, 0, TEXT_DEFAULTS["inner"]["batch"])
    stored = Recipe(data=DataSettings(source="sotu"))
    whole = Recipe.model_validate(stored.model_dump())  # as a summary's folder holds it: every setting said
    assert Given(None, {}).recipe(whole) == whole
