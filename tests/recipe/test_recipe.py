"""Recipes: a round trip through YAML, and one exactly placed line for each error."""

import re
import string
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from farzi.errors import FarziError
from farzi.recipe import Custom, Inner, Recipe, known_settings, load_recipe, parse_recipe, presets
from farzi.recipe import variants as v


def refusal(text: str) -> str:
    with pytest.raises(FarziError) as caught:
        parse_recipe(text, "r.yaml")
    line = str(caught.value)
    assert "\n" not in line
    return line


def test_every_setting_has_a_default_and_a_one_line_description():
    paths = set()
    for path, field in known_settings():
        paths.add(".".join(path))
        assert not field.is_required(), path
        assert field.description, path
        assert "\n" not in field.description, path
    assert {"seed", "inner.steps", "inner.optimizer.type", "inner.optimizer.decay", "outer.probe"} <= paths
    assert {"outer.adjoint.memory.type", "outer.adjoint.memory.slots", "teach.grid.learning_rate"} <= paths


# Through YAML and back


@pytest.mark.parametrize("recipe", [presets.LOG, presets.TEXT], ids=["log", "text"])
def test_the_presets_go_through_yaml_unchanged(recipe: Recipe):
    assert parse_recipe(recipe.to_yaml(), "r.yaml") == recipe


def test_the_defaults_are_the_preset_for_logs():
    assert parse_recipe("", "r.yaml") == presets.LOG
    assert Recipe() == presets.PLAIN == parse_recipe("preset: plain", "r.yaml")


@given(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20),
    st.floats(1e-300, 1e300),
    st.integers(0, 2**63 - 1),
)
def test_any_values_go_through_yaml_unchanged(text: str, number: float, seed: int):
    inner = Inner(optimizer=v.Adam(learning_rate=number))
    recipe = Recipe(seed=seed, data=v.LogData(user=text), inner=inner)
    assert parse_recipe(recipe.to_yaml(), "r.yaml") == recipe


@pytest.mark.parametrize(
    "text",
    ["1e-5", "\x85", "a\nb ", "no", "010", "2020-01-01", "null", "~", "", "3", ".5", "=", "0x1f", "1:30"],
)
def test_text_that_looks_like_something_else_is_quoted_for_every_reader(text: str):
    written = Recipe(data=v.LogData(user=text)).to_yaml()
    assert parse_recipe(written, "r.yaml").data.own["user"] == text
    assert yaml.safe_load(written)["data"]["user"] == text


# Partial recipes


@pytest.mark.parametrize(
    "text", ["", "# nothing but a comment\n", "inner:\n", "inner:\n  # all of it commented out\n", "init:\n"]
)
def test_what_is_left_out_has_its_default(text: str):
    assert parse_recipe(text, "r.yaml") == presets.LOG


def test_a_partial_recipe_changes_what_it_names():
    recipe = parse_recipe("inner: {optimizer: {learning_rate: 1e-3}}\nseed: 7\n", "r.yaml")
    expected = presets.LOG.changed({"seed": 7, "inner.optimizer.learning_rate": 0.001})
    assert recipe == expected


@pytest.mark.parametrize("text", ["preset: text\n", "data: {type: text}\n", "data: text\n"])
def test_a_recipe_for_texts_builds_on_their_preset(text: str):
    assert parse_recipe(text, "r.yaml") == presets.TEXT
    recipe = parse_recipe(text + "inner: {steps: 50}\n", "r.yaml")
    assert recipe == presets.TEXT.changed({"inner.steps": 50})


def test_a_preset_may_be_any():
    assert parse_recipe("preset: text\nseed: 3", "r.yaml") == presets.TEXT.changed({"seed": 3})
    recipe = parse_recipe("preset: log\ndata: {type: text, source: mine.txt}", "r.yaml")
    assert recipe == presets.LOG.changed({"data": v.TextData(source="mine.txt")})
    assert refusal("seed: 1\npreset: logs") == (
        'r.yaml:2:9: preset must be one of log, text, plain, not "logs"; did you mean log?'
    )


def test_a_variant_of_another_type_brings_its_own_settings():
    recipe = parse_recipe("preset: text\ninner: {optimizer: {type: adam}}\nstudent: gru4rec\n", "r.yaml")
    assert recipe.inner.optimizer == v.Adam()  # nothing of the preset's AdamW
    assert recipe.student == v.GRU4Rec()
    assert recipe.inner.steps == presets.TEXT.inner.steps
    same = parse_recipe("preset: text\ninner: {optimizer: {type: adamw, epsilon: 0.1}}\n", "r.yaml")
    assert same.inner.optimizer == v.AdamW(beta2=0.99, weight_decay=0.15, epsilon=0.1)
    text = "inner: {optimizer: 'package.module:Class'}\n"
    assert parse_recipe(text, "r.yaml").inner.optimizer == Custom(type="package.module:Class")


# Errors with their place

BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{k}: &a{k} [{', '.join([f'*a{k - 1}'] * 10)}]\n" for k in range(1, 9)
)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("seed: -1", "r.yaml:1:7: seed must be at least 0, not -1"),
        ("seed: 1.5", "r.yaml:1:7: seed must be a whole number, not 1.5"),
        ("seed: true", "r.yaml:1:7: seed must be a whole number, not true"),
        ("seed: '3'", 'r.yaml:1:7: seed must be a whole number, not "3"'),
        ("seed: [1, 2]", "r.yaml:1:7: seed must be a whole number, not [1, 2]"),
        (
            "inner:\n  optimizer:\n    epsilon: -1e-3",
            "r.yaml:3:14: inner.optimizer.epsilon must be above 0, not -0.001",
        ),
        (
            "inner:\n  optimizer:\n    epsilon: .inf",
            "r.yaml:3:14: inner.optimizer.epsilon must be a finite number, not inf",
        ),
        (
            "data:\n  split: {type: ratio, valid: 1}",
            "r.yaml:2:31: data.split.valid must be below 1, not 1",
        ),
        ("data:\n  skip_bad: yes", 'r.yaml:2:13: data.skip_bad must be true or false, not "yes"'),
        ("data:\n  user: 3", "r.yaml:2:9: data.user must be text, not 3; put it in quotes"),
        (
            "init: 3",
            "r.yaml:1:7: init.type must be one of teacher, classes, transitions, random, not 3; "
            'a class of your own is named as "package.module:Class"',
        ),
        ("teach: {grid: {learning_rate: [a]}}", None),
        ("seed: 1\nseed: 2", "r.yaml:2:1: seed is set twice, on line 1 already"),
        ("[1]: 2", "r.yaml:1:1: a key of the recipe must be a name"),
        ("seed: !!python/name:os.system ", "r.yaml:1:7: the value of seed cannot be read"),
        ("seed: " + "9" * 5000, "r.yaml:1:7: the value of seed cannot be read"),
        ("seed: &a [*a]", "r.yaml:1:7: nested too deeply for a recipe"),
        ("seed: !!bool x", "r.yaml:1:7: the value of seed cannot be read"),
        ("seed: !!timestamp x", "r.yaml:1:7: the value of seed cannot be read"),
        ("preset: {a: 1}", "r.yaml:1:9: preset must be one of log, text, plain, not a group"),
        (BOMB, "r.yaml:1:22: a recipe has at most 100,000 values, aliases replaced"),
        (
            "seed: 18446744073709551616",
            "r.yaml:1:7: seed must be a whole number of at most 9,223,372,036,854,775,807",
        ),
        (
            "inner: {steps: " + "9" * 400 + "}",
            "r.yaml:1:16: inner.steps must be a whole number of at most 9,223,372,036,854,775,807",
        ),
        (
            'data: {source: "a\\0b"}',
            "r.yaml:1:16: data.source must be text without NUL and lone surrogates, which no file name or "
            "UTF-8 has",
        ),
        (
            'student: {type: "a:B", x: ["\\ud800"]}',
            "r.yaml:1:10: student: x must be text without NUL and lone surrogates, which no file name or "
            "UTF-8 has",
        ),
        ("a: b: c", "r.yaml:1:5: not YAML: mapping values are not allowed here"),
        ("inner:\n\tsteps: 3", "r.yaml:2:1: not YAML: found character '\\t' that cannot start any token"),
        ("seed: 1\n--- 2", "r.yaml:2:1: not YAML: but found another document"),
        ("# ok\nseed: \x07", "r.yaml:2:7: the character U+0007 is not allowed in YAML"),
        ("[" * 60 + "]" * 60, "r.yaml:1:52: nested too deeply for a recipe"),
        (
            "inner: {steps: 5}",
            "r.yaml:1:1: outer.window (10) is longer than inner.steps (5); shorten it",
        ),
        ("student:\n  heads: 3", "r.yaml:2:3: student: heads (3) must divide hidden (64)"),
    ],
)
def test_a_wrong_value_is_placed_and_explained(text: str, line: str | None):
    line = line or 'r.yaml:1:31: teach.grid.learning_rate must be a number, not "a"'
    assert refusal(text) == line


def test_a_wrong_choice_names_the_choices_and_the_nearest():
    for text in ("inner:\n  optimizer: adm", "inner:\n  optimizer: {type: adm, speed: 3}"):
        column = 14 if "type" not in text else 21
        line = refusal(text)
        assert line.startswith(f"r.yaml:2:{column}: inner.optimizer.type must be one of adam, adamw, ")
        assert ', not "adm"; did you mean adam?' in line
        assert line.endswith('a class of your own is named as "package.module:Class"')
    line = refusal("outer:\n  execution: eagre")
    assert line == (
        "r.yaml:2:14: outer.execution must be one of auto, eager, graph, compiled, "
        'not "eagre"; did you mean eager?'
    )


def test_a_setting_that_a_variant_does_not_have_is_refused():
    assert refusal("seed: 1\nstudent:\n  type: gru4rec\n  heads: 2") == (
        "r.yaml:4:3: unknown key student.heads: gru4rec has no heads, only sasrec and transformer have; "
        "leave it out"
    )
    assert refusal("inner:\n  optimizer: {type: sgd, beta2: 0.9}") == (
        "r.yaml:2:26: unknown key inner.optimizer.beta2: sgd has no beta2, only adam, adamw, "
        "schedule_free and muon have; leave it out"
    )
    assert refusal("outer:\n  adjoint: {memory: {slots: 2}}") == (
        "r.yaml:2:22: unknown key outer.adjoint.memory.slots: store has no slots, only store_gradients and "
        "checkpoints have; leave it out"
    )


def test_a_wrong_part_of_a_list_is_placed_at_the_list():
    line = refusal("outer:\n  students: [gru4rec, bert]")
    assert line.startswith("r.yaml:2:13: outer.students.type must be one of sasrec, gru4rec, ")
    students = parse_recipe("outer: {students: [gru4rec]}", "r").outer.students
    assert students == (v.GRU4Rec(),)
    assert refusal("outer:\n  students: [{type: gru4rec, heads: 2}]") == (
        "r.yaml:2:13: unknown key outer.students.heads: gru4rec has no heads, only sasrec and transformer "
        "have; leave it out"
    )
    assert refusal("outer:\n  students: [{type: gru4rec, hidden: 0}]") == (
        "r.yaml:2:13: outer.students.hidden must be at least 1, not 0"
    )


@pytest.mark.parametrize(("text", "place"), [("inner: 3", "1:8: inner"), ("- a", "1:1: a recipe")])
def test_a_group_must_be_a_group(text: str, place: str):
    assert refusal(text).startswith(f"r.yaml:{place} must be a group of settings (")


@pytest.mark.parametrize(
    ("text", "place", "hint"),
    [
        (
            "learning_rate: 1",
            "1:1",
            "learning_rate; did you mean teach.optimizer.learning_rate or teach.grid.learning_rate or "
            "inner.optimizer.learning_rate or outer.learning_rate?",
        ),
        (
            "seed: 1\nouter:\n    learnig_rate: 1",
            "3:5",
            "outer.learnig_rate; did you mean outer.learning_rate?",
        ),
        (
            "inner: {optimizer: {learnig_rate: 1}}",
            "1:21",
            "inner.optimizer.learnig_rate of schedule_free; did you mean inner.optimizer.learning_rate?",
        ),
        ("inner: {hidden: 3}", "1:9", "inner.hidden; did you mean student.hidden or teach.grid.hidden?"),
        ("min-user-events: 3", "1:1", "min-user-events; did you mean data.min_user_events?"),
        ("Seed: 3", "1:1", "Seed; did you mean seed?"),
        (
            "student:\n  zzz: 1",
            "2:3",
            "student.zzz of sasrec; known here: type, hidden, layers, tied, heads, feed_forward, block, "
            "positions",
        ),
        (
            "inner.steps: 1",
            "1:1",
            "\"inner.steps\"; write 'inner:' and, on the next line, indented, 'steps:'",
        ),
        (
            "inner.optimizer.epsilon: 1",
            "1:1",
            "\"inner.optimizer.epsilon\"; write 'inner:' and, on the next lines, each indented further, "
            "'optimizer:', 'epsilon:'",
        ),
    ],
)
def test_an_unknown_key_names_the_nearest_known_one(text: str, place: str, hint: str):
    assert refusal(text) == f"r.yaml:{place}: unknown key {hint}"


GROUPS: list[tuple[str, ...]] = [
    (),
    *{path[:-1] for path, _ in known_settings() if path[-1] != "type" and len(path) > 1},
]
"""Groups, and axes, whose variants in `presets.LOG` do not have every key that another variant has."""
KNOWN = {name for path, _ in known_settings() for name in path} | {"preset"}


@given(
    st.sampled_from(sorted(GROUPS)),
    st.text(string.ascii_lowercase + "_", min_size=1, max_size=15).filter(
        lambda word: word not in KNOWN | {"null", "true", "false"}
    ),
    st.integers(0, 3),
)
def test_no_unknown_key_gets_by(path: tuple[str, ...], word: str, comments: int):
    heading = "".join(f"{' ' * depth}{name}:\n" for depth, name in enumerate(path))
    line = refusal("# a comment\n" * comments + f"{heading}{' ' * len(path)}{word}: 1\n")
    start = f"r.yaml:{comments + len(path) + 1}:{len(path) + 1}: unknown key {'.'.join((*path, word))}"
    assert line.startswith(start)
    assert re.match(r"( of [a-z0-9_]+)?; ", line.removeprefix(start))


def test_a_recipe_is_loaded_from_a_file(tmp_path: Path):
    Recipe(seed=3).save(tmp_path / "recipe.yaml")
    assert load_recipe(tmp_path / "recipe.yaml") == Recipe(seed=3) == Recipe.load(tmp_path / "recipe.yaml")


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path):
    with pytest.raises(FarziError, match=r"missing\.yaml: the recipe cannot be read: No such file"):
        load_recipe(tmp_path / "missing.yaml")


def test_bytes_that_are_not_utf8_are_placed(tmp_path: Path):
    path = tmp_path / "r.yaml"
    path.write_bytes("# é\n# ".encode() + b"\xe9\n")
    with pytest.raises(FarziError, match=r"r\.yaml:2:3: not UTF-8 text"):
        load_recipe(path)


def test_a_byte_order_mark_is_no_error(tmp_path: Path):
    path = tmp_path / "r.yaml"
    path.write_bytes(b"\xef\xbb\xbfseed: 3\n")
    assert load_recipe(path).seed == 3
