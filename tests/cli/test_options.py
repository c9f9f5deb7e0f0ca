"""Options for settings: what they set, what wins over what, what is refused; and the size of the help."""

from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from farzi.cli import app, options
from farzi.cli.options import (
    SETTINGS,
    Given,
    SettingsCommand,
    in_option_names,
    run_options,
)
from farzi.errors import FarziError
from farzi.recipe import Recipe, known_settings, presets
from farzi.recipe import variants as v
from farzi.recipe.presets import PRESETS
from farzi.recipe.settings import variants_of

Parse = Callable[..., Recipe]


@pytest.fixture
def parse() -> Parse:
    """Run a command with all options for settings on some words; the recipe it would have used."""

    def run(*words: str, base: Recipe | None = None) -> Recipe:
        recipes: list[Recipe] = []

        @click.command(cls=SettingsCommand)
        @run_options
        def command(source: str | None, given: Given, device: str, as_json: bool) -> None:
            recipes.append(given.recipe(base, source))

        result = CliRunner().invoke(command, words)
        if isinstance(result.exception, FarziError):
            raise result.exception
        assert result.exit_code == 0, result.output
        return recipes[0]

    return run


def test_distill_has_at_most_29_options_and_60_lines_of_help():
    given = [param for param in app.commands["distill"].params if isinstance(param, click.Option)]
    assert len(given) <= 28  # and --help
    for command in app.commands:
        text = CliRunner().invoke(app, [command, "--help"], terminal_width=110).output
        assert len(text.splitlines()) <= 60
    assert "--sequences N" in CliRunner().invoke(app, ["distill", "--help"]).output


def test_every_option_is_for_a_setting_that_exists():
    known = {".".join(path) for path, _ in known_settings()}
    for path, _, _ in SETTINGS.values():
        assert path in known, path


def test_the_choices_are_those_of_the_recipe():
    def types(model: type, name: str) -> tuple[str, ...]:
        return tuple(one.tag() for one in variants_of(model.model_fields[name]))  # type: ignore[attr-defined]

    assert types(Recipe, "student") == options.STUDENTS
    assert types(v.LogData, "split") + types(v.TextData, "split") == options.SPLITS
    assert (*options.CONTROLS, "labelled") == tuple(one.tag() for one in v.ControlVariant.__args__[:-1])
    tokens = v.TextData.model_fields["tokens"].annotation
    assert all(f"'{name}'" in str(tokens) for name in options.TOKENS)
    assert tuple(PRESETS) == options.PRESETS


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("--student", lambda recipe: recipe.student.type),
        ("--sequences", lambda recipe: recipe.summary.sequences),
        ("--length", lambda recipe: recipe.summary.length),
        ("--teachers", lambda recipe: recipe.init.teachers),
        ("--steps", lambda recipe: recipe.outer.steps),
    ],
)
def test_the_defaults_in_the_help_are_those_of_the_presets(flag: str, value: Callable[[Recipe], object]):
    assert f"[{value(presets.LOG)}; texts {value(presets.TEXT)}]" in SETTINGS[flag][2]


def test_without_options_the_recipe_is_the_preset(parse: Parse):
    assert parse() == presets.LOG
    assert parse("--preset", "log") == presets.LOG
    assert parse("--preset", "text") == presets.TEXT


def test_options_set_what_they_name(parse: Parse):
    recipe = parse(
        *("--from", "copy.zip", "--split", "ratio", "--seed", "7", "--sequences", "5", "--length", "9"),
        *("--teachers", "2", "--steps", "3", "--min-item-events", "4", "--user", "who"),
        *("--set", "inner.optimizer.learning_rate=1e-3", "--set", "student.hidden=64"),
    )
    assert recipe == presets.LOG.changed(
        {
            "seed": 7,
            "data": v.LogData(file="copy.zip", split=v.RatioSplit(), min_item_events=4, user="who"),
            "student.hidden": 64,
            "summary.sequences": 5,
            "summary.length": 9,
            "init.teachers": 2,
            "inner.optimizer.learning_rate": 1e-3,
            "outer.steps": 3,
        }
    )


def test_any_setting_can_be_set(parse: Parse):
    recipe = parse("--set", "init.classes=5", "--set", "init=classes", "--set", "outer.students=[gru4rec]")
    assert recipe.init == v.ClassInit(classes=5)
    assert recipe.outer.students == (v.GRU4Rec(),)
    assert parse("--set", "outer.probe=null").outer.probe is None
    assert parse("--set", "outer.adjoint={type: exact, memory: square_root}").outer.adjoint == v.Exact(
        memory=v.SquareRoot()
    )


def test_an_option_wins_over_the_file_and_the_file_over_the_preset(parse: Parse, tmp_path: Path):
    file = tmp_path / "r.yaml"
    file.write_text("student: {hidden: 48}\nsummary: {sequences: 7, length: 9}\n")
    recipe = parse("--recipe", str(file), "--sequences", "5")
    student = presets.LOG.student.model_copy(update={"hidden": 48})
    assert (recipe.student, recipe.summary.sequences, recipe.summary.length) == (student, 5, 9)
    base = Recipe(student=v.SASRec(hidden=64), seed=5)
    assert parse("--recipe", str(file), base=base).seed == 0
    assert parse("--seed", "0", base=base) == base.changed({"seed": 0})


def test_the_data_choose_the_preset(parse: Parse, tmp_path: Path):
    (tmp_path / "log.csv").write_text("user,item,time\n")
    log = str(tmp_path / "log.csv")
    assert parse(log) == presets.LOG.changed({"data.source": log})
    assert parse("sotu") == presets.TEXT.changed({"data.source": "sotu"})
    assert parse(str(tmp_path)).student == presets.TEXT.student
    assert parse(log, "--tokens", "bytes") == presets.TEXT.changed(
        {"data.source": log, "data.tokens": "bytes"}
    )
    assert parse(log, "--set", "data.type=text") == presets.TEXT.changed({"data.source": log})
    assert parse(log, "--preset", "text").data.type == "text"


def test_a_recipe_file_for_a_text_is_completed_by_the_texts_preset(parse: Parse, tmp_path: Path):
    file = tmp_path / "r.yaml"
    file.write_text("inner: {steps: 50}\n")
    assert parse("sotu", "--recipe", str(file)) == presets.TEXT.changed({"inner.steps": 50})
    assert parse("--recipe", str(file)) == presets.LOG.changed({"inner.steps": 50})
    file.write_text("data: {type: text, tokens: spaces}\n")
    assert parse("book.txt", "--recipe", str(file)).student == presets.TEXT.student


def test_another_student_has_the_settings_that_both_have(parse: Parse):
    base = Recipe(student=v.SASRec(hidden=48, heads=2, tied=False))
    assert parse("--student", "gru4rec", base=base).student == v.GRU4Rec(hidden=48, tied=False)
    assert parse("--student", "transformer", base=base).student == v.Transformer(
        hidden=48, heads=2, tied=False
    )
    assert parse("--student", "gru4rec", "--set", "student.hidden=8", base=base).student.own["hidden"] == 8
    assert parse("--student", "my.models:Mine", base=base).student.type == "my.models:Mine"
    with pytest.raises(FarziError, match=r"unknown key student.heads: gru4rec has no heads"):
        parse("--student", "gru4rec", "--set", "student.heads=2", base=base)
    with pytest.raises(FarziError, match=r"--student must be one of sasrec, .*, not \"gru4\"; did you mean"):
        parse("--student", "gru4")


def test_steps_take_the_place_of_minutes(parse: Parse):
    base = presets.LOG.changed({"outer.minutes": 3.0})
    assert parse("--steps", "5", base=base).outer.minutes is None
    assert parse("--minutes", "5", base=base).outer.minutes == 5


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["sotu", "--user", "who"], "unknown key --user: text has no user, only log has"),
        (["sotu", "--split", "ratio"], "--split must be one of position, random, not"),
        (["ml-100k", "--tokens", "words"], "unknown key --tokens: log has no tokens, only text has"),
        (["--vocabulary-size", "9"], "unknown key --vocabulary-size: log has no vocabulary_size"),
        (["--preset", "log", "--recipe", "r.yaml"], "--preset has no effect beside --recipe"),
        (["--steps", "3", "--minutes", "2"], "--steps has no effect beside --minutes"),
        (
            ["--set", "init=transitions", "--teachers", "2"],
            "unknown key --teachers: transitions has no teachers",
        ),
    ],
)
def test_an_option_that_does_nothing_is_refused(parse: Parse, words: list[str], line: str):
    with pytest.raises(FarziError) as caught:
        parse(*words)
    assert str(caught.value).startswith(line)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--sequences", "0"], "--sequences must be at least 1, not 0"),
        (["--minutes", "-1"], "--minutes must be above 0, not -1"),
        (["--set", "inner.steps=0"], "inner.steps must be at least 1, not 0"),
        (["--set", "inner.stepz=5"], "unknown key inner.stepz; did you mean inner.steps?"),
        (
            ["--set", "inner.steps=5", "outer.probe=null"],
            "outer.probe=null is a setting and no data; each setting needs a --set of its own",
        ),
        (["--set", "inner"], '"inner": a setting is given as path=value, as in inner.steps=200'),
        (["--set", "hidden=5"], "unknown key hidden; did you mean student.hidden or teach.grid.hidden?"),
        (["--set", "summary.length=5", "--length", "6"], "--length is given twice"),
        (
            ["--set", "outer.window=9", "--set", "inner.steps=8"],
            "outer.window (9) is longer than inner.steps (8); shorten it",
        ),
    ],
)
def test_a_wrong_setting_is_named_as_it_is_given(parse: Parse, words: list[str], line: str):
    with pytest.raises(FarziError) as caught:
        parse(*words)
    assert str(caught.value) == line


def test_a_mistake_in_the_file_names_its_place(parse: Parse, tmp_path: Path):
    file = tmp_path / "r.yaml"
    file.write_text("student:\n  hiden: 3\n")
    with pytest.raises(
        FarziError, match=r"r\.yaml:2:3: unknown key student\.hiden.*; did you mean student\.hidden\?$"
    ):
        parse("--recipe", str(file))


@pytest.mark.parametrize(
    ("message", "translated"),
    [
        ("lower inner.optimizer.epsilon", "lower inner.optimizer.epsilon"),
        ("the time column is data.time", "the time column is --time"),
        (
            "data.unseen=keep counts them, data.unseen=drop does not",
            "data.unseen=keep counts them, data.unseen=drop does not",
        ),
        ("a text is read with data.type=text", "a text is read with --tokens words"),
        ("another folder, or restart=True", "another folder, or --restart"),
        ("give its file as data.source", "give its file as DATA"),
        ("data.split is by time", "--split is by time"),
        ("data.csv:3: no time", "data.csv:3: no time"),
        ("summary.safetensors is damaged", "summary.safetensors is damaged"),
        (
            "r.yaml:2:3: inner.steps must be at least 1, not 0",
            "r.yaml:2:3: inner.steps must be at least 1, not 0",
        ),
    ],
)
def test_messages_of_the_library_are_in_the_words_of_the_command(message: str, translated: str):
    assert in_option_names(message, app.commands["distill"]) == translated


def test_help_stands_section_by_section():
    text = CliRunner().invoke(app, ["distill", "--help"]).output
    places = [text.index(f"\n{heading}:\n") for heading in ("Options", "Data", "Recipe")]
    assert places == sorted(places)
    assert text.index("--student TYPE") > places[2] > text.index("--user NAME") > places[1]


def test_an_option_of_another_command_is_named_by_its_setting():
    result = CliRunner().invoke(app, ["distill", "log.dat", "--separator", "::"])
    assert result.exit_code == 2
    assert "--set data.separator=" in result.output


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("--events 50 --sequences 5", "--sequences has no effect beside --events 50"),
        ("--bytes 1MB --set summary.sequences=5", "--sequences has no effect beside --bytes 1MB"),
        ("--training-seconds 2 --set inner.steps=9", "inner.steps has no effect beside --training-seconds 2"),
        ("--events 50 --bytes 1MB", "--events 50 and --bytes 1MB both decide the summary's size; give one"),
    ],
)
@pytest.mark.parametrize("command", ["distill --out nowhere/x", "plan"])
def test_a_size_is_decided_once(command: str, words: str, line: str):
    result = CliRunner().invoke(app, [*command.split(), *words.split()], prog_name="farzi")
    assert result.exit_code == 2
    assert result.stderr.strip() == f"farzi: {line}"


@pytest.mark.parametrize(
    ("flag", "path"),
    [
        ("--names", "data.names"),
        ("--skip-bad", "data.skip_bad"),
        ("--min-user-events", "data.min_user_events"),
        ("--inner-steps", "inner.steps"),
        ("--dim", "summary.parametrization.dim"),
        ("--separator", "data.separator"),
        ("--hidden", "student.hidden or teach.grid.hidden"),
    ],
)
def test_an_option_that_is_none_is_named_by_its_setting(flag: str, path: str):
    result = CliRunner().invoke(app, ["distill", "log.csv", "--out", "x", flag, "1"])
    assert f"no option {flag} here; give it as --set {path}=VALUE" in result.output
    assert result.exit_code == 2
