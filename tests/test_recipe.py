"""Recipes: a round trip through YAML, and one exactly placed line for each mistake."""

import string

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from farzi.errors import FarziError
from farzi.recipe import DataSettings, InnerSettings, Recipe, differences, load_recipe, parse_recipe
from farzi.recipe.paths import fields, groups


def refusal(text: str) -> str:
    with pytest.raises(FarziError) as caught:
        parse_recipe(text, "r.yaml")
    line = str(caught.value)
    assert "\n" not in line
    return line


def test_every_setting_has_a_default_and_a_one_line_description():
    for path, field in fields(Recipe):
        assert not field.is_required(), path
        assert field.description, path
        assert "\n" not in field.description, path


def test_the_defaults_go_through_yaml_unchanged():
    assert parse_recipe(Recipe().to_yaml(), "r.yaml") == Recipe()


@given(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    st.floats(1e-300, 1e300),
    st.integers(0, 2**70),
)
def test_any_values_go_through_yaml_unchanged(text: str, number: float, seed: int):
    recipe = Recipe(seed=seed, data=DataSettings(user=text), inner=InnerSettings(learning_rate=number))
    assert parse_recipe(recipe.to_yaml(), "r.yaml") == recipe


@pytest.mark.parametrize(
    "text",
    ["1e-5", "\x85", "a\nb ", "no", "010", "2020-01-01", "null", "~", "", "3", ".5", "=", "0x1f", "1:30"],
)
def test_text_that_looks_like_something_else_is_quoted_for_every_reader(text: str):
    written = Recipe(data=DataSettings(user=text)).to_yaml()
    assert parse_recipe(written, "r.yaml").data.user == text
    assert yaml.safe_load(written)["data"]["user"] == text


@pytest.mark.parametrize(
    "text", ["", "# nothing but a comment\n", "inner:\n", "inner:\n  # all of it commented out\n"]
)
def test_what_is_left_out_has_its_default(text: str):
    assert parse_recipe(text, "r.yaml") == Recipe()


def test_a_partial_recipe_changes_what_it_names():
    recipe = parse_recipe("inner: {learning_rate: 1e-3}\nseed: 7\n", "r.yaml")
    assert recipe == Recipe(seed=7, inner=InnerSettings(learning_rate=0.001))


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("seed: -1", "r.yaml:1:7: seed must be at least 0, not -1"),
        ("seed: 1.5", "r.yaml:1:7: seed must be a whole number, not 1.5"),
        ("seed: true", "r.yaml:1:7: seed must be a whole number, not true"),
        ("seed: '3'", 'r.yaml:1:7: seed must be a whole number, not "3"'),
        ("seed: [1, 2]", "r.yaml:1:7: seed must be a whole number, not [1, 2]"),
        ("inner:\n  epsilon: -1e-3", "r.yaml:2:12: inner.epsilon must be above 0, not -0.001"),
        ("inner:\n  epsilon: .inf", "r.yaml:2:12: inner.epsilon must be a finite number, not inf"),
        ("data:\n  valid_fraction: 1", "r.yaml:2:19: data.valid_fraction must be below 1, not 1"),
        ("data:\n  skip_bad: yes", 'r.yaml:2:13: data.skip_bad must be true or false, not "yes"'),
        ("data:\n  user: 3", "r.yaml:2:9: data.user must be text, not 3; put it in quotes"),
        ("seed: 1\nseed: 2", "r.yaml:2:1: seed is set twice, on line 1 already"),
        ("[1]: 2", "r.yaml:1:1: a key of the recipe must be a name"),
        ("seed: !!python/name:os.system ", "r.yaml:1:7: the value of seed cannot be read"),
        ("seed: " + "9" * 5000, "r.yaml:1:7: the value of seed cannot be read"),
        ("seed: &a [*a]", "r.yaml:1:7: the value of seed cannot be read"),
        ("a: b: c", "r.yaml:1:5: not YAML: mapping values are not allowed here"),
        ("inner:\n\tsteps: 3", "r.yaml:2:1: not YAML: found character '\\t' that cannot start any token"),
        ("seed: 1\n--- 2", "r.yaml:2:1: not YAML: but found another document"),
        ("# ok\nseed: \x07", "r.yaml:2:7: the character U+0007 is not allowed in YAML"),
        ("[" * 5000, "r.yaml:1:1: nested too deeply for a recipe"),
    ],
)
def test_a_wrong_value_is_placed_and_explained(text: str, line: str):
    assert refusal(text) == line


def test_a_wrong_choice_names_the_choices_and_the_nearest():
    line = refusal("inner:\n  optimizer: adm")
    assert line.startswith("r.yaml:2:14: inner.optimizer must be one of ")
    assert line.endswith(', not "adm"; did you mean adam?')


def test_a_setting_that_a_student_does_not_have_is_refused():
    assert refusal("seed: 1\nstudent:\n  name: gru4rec\n  heads: 2") == (
        "r.yaml:3:3: gru4rec has no heads, only sasrec and transformer have; leave it out"
    )


def test_a_wrong_part_of_a_list_is_placed_at_the_list():
    line = refusal("inner:\n  students: [gru4rec, bert]")
    assert line.startswith("r.yaml:2:13: inner.students must be one of sasrec, gru4rec, ")
    assert parse_recipe("inner: {students: [gru4rec]}", "r").inner.students == ("gru4rec",)


def test_a_setting_that_an_optimizer_does_not_have_is_refused():
    assert refusal("inner:\n  optimizer: sgd\n  beta2: 0.9") == (
        "r.yaml:2:3: sgd has no beta2, only adam and adamw have; leave it out"
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
            "learning_rate; did you mean inner.learning_rate or outer.learning_rate?",
        ),
        (
            "seed: 1\ninner:\n    learnig_rate: 1",
            "3:5",
            "inner.learnig_rate; did you mean inner.learning_rate?",
        ),
        ("inner: {hidden: 3}", "1:9", "inner.hidden; did you mean student.hidden?"),
        ("min-user-events: 3", "1:1", "min-user-events; did you mean data.min_user_events?"),
        ("Seed: 3", "1:1", "Seed; did you mean seed?"),
        ("student:\n  zzz: 1", "2:3", "student.zzz; known here: name, hidden, layers, heads, tied"),
        (
            "inner.steps: 1",
            "1:1",
            "\"inner.steps\"; write 'inner:' and, on the next line, indented, 'steps:'",
        ),
    ],
)
def test_an_unknown_key_names_the_nearest_known_one(text: str, place: str, hint: str):
    assert refusal(text) == f"r.yaml:{place}: unknown key {hint}"


KNOWN = {name for _, group in groups(Recipe) for name in group.model_fields}


@given(
    st.sampled_from([path for path, _ in groups(Recipe)]),
    st.text(string.ascii_lowercase + "_", min_size=1, max_size=15).filter(
        lambda word: word not in KNOWN | {"null", "true", "false"}
    ),
    st.integers(0, 3),
)
def test_no_unknown_key_gets_by(path: tuple[str, ...], word: str, comments: int):
    heading = "".join(f"{name}:\n" for name in path)
    indent = " " * len(path)
    line = refusal("# a comment\n" * comments + f"{heading}{indent}{word}: 1\n")
    assert line.startswith(
        f"r.yaml:{comments + len(path) + 1}:{len(path) + 1}: unknown key {'.'.join((*path, word))}; "
    )


def test_a_recipe_is_loaded_from_a_file(tmp_path):
    Recipe(seed=3).save(tmp_path / "recipe.yaml")
    assert load_recipe(tmp_path / "recipe.yaml") == Recipe(seed=3)


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(FarziError, match=r"missing\.yaml: the recipe cannot be read: No such file"):
        load_recipe(tmp_path / "missing.yaml")


def test_bytes_that_are_not_utf8_are_placed(tmp_path):
    path = tmp_path / "r.yaml"
    path.write_bytes("# é\n# ".encode() + b"\xe9\n")
    with pytest.raises(FarziError, match=r"r\.yaml:2:3: not UTF-8 text"):
        load_recipe(path)


def test_a_byte_order_mark_is_no_mistake(tmp_path):
    path = tmp_path / "r.yaml"
    path.write_bytes(b"\xef\xbb\xbfseed: 3\n")
    assert load_recipe(path).seed == 3


def test_where_a_copy_lies_is_no_difference():
    assert differences(Recipe(data=DataSettings(file="a")), Recipe(data=DataSettings(file="b"))) == []


def test_differences_name_each_setting_with_both_values():
    other = Recipe(seed=1, data=DataSettings(user="u"), inner=InnerSettings(steps=50))
    assert differences(Recipe(), Recipe()) == []
    assert differences(Recipe(inner=InnerSettings(steps=100)), other) == [
        "seed: 0 -> 1",
        'data.user: null -> "u"',
        "inner.steps: 100 -> 50",
    ]
