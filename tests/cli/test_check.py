"""`farzi check`: its table, its JSON, its exit status."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from farzi.cli import app

TAME = ("inner.optimizer.epsilon=1e-2", "outer.learning_rate=0.001", "outer.window=2")
ROUGH = (
    *("inner.optimizer={type: adam, epsilon: 1e-8, learning_rate: 0.1}", "outer.window=8", "outer.burn_in=0"),
)
SIZE = (
    *("student.hidden=8", "summary.sequences=3", "summary.length=4", "inner.steps=8", "outer.batch=4"),
    *("summary.parametrization={type: low_rank, dim: 2, label_decoder: false}", "init=transitions"),
    *("inner.cooldown=0", "inner.batch=null", "inner.optimizer=adam"),
)


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve people who go round eight items."""
    path = tmp_path_factory.mktemp("check") / "log.csv"
    rows = (f"u{user},i{(user + step) % 8},{100 * user + step}\n" for user in range(12) for step in range(9))
    path.write_text("user,item,time\n" + "".join(rows))
    return path


def run(log: Path, changes: tuple[str, ...], *words: str) -> Result:
    # `inner.optimizer` is set once: the last one given
    given = {change.partition("=")[0]: change for change in (*SIZE, *changes)}
    settings = [word for change in given.values() for word in ("--set", change)]
    words = ("check", str(log), *settings, "--directions", "2", *words)
    before = set(log.parent.iterdir())
    result = CliRunner().invoke(app, words, prog_name="farzi")
    assert set(log.parent.iterdir()) == before
    return result


def test_a_sound_recipe(log: Path):
    result = run(log, TAME)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert [line.split(":")[0] for line in lines[-3:]] == ["right", "precise", "smooth"]
    for figure in ("loss after the run", "differences of the whole run agree", "cosine with float64"):
        assert figure in result.stdout


def test_a_rough_recipe_ends_with_status_1_and_says_what_to_change(log: Path):
    result = run(log, ROUGH)
    assert result.exit_code == 1, result.output
    assert "rough: metasmoothness" in result.stdout
    assert "leave the first steps out" in result.stdout
    assert "inner.optimizer.epsilon" in result.stdout.splitlines()[-1]


def test_json_holds_the_same(log: Path):
    result = run(log, ROUGH, "--json", "--precision", "float64")
    assert result.exit_code == 1, result.output
    values = json.loads(result.stdout, parse_constant=pytest.fail)
    assert values["sound"] is False
    assert values["precision"]["dtype"] == "float64"
    assert len(values["differences"]) == 2
    assert len(values["verdict"]) == 3
    assert {remedy["setting"] for remedy in values["remedies"]} >= {"epsilon", "learning_rate", "window"}


def test_a_mistake_is_one_line_and_status_2(log: Path):
    result = run(log, ("outer.window=9",))
    assert result.exit_code == 2
    assert result.stderr.strip().startswith("farzi: outer.window (9) is longer than inner.steps (8)")
