"""`farzi check`: its table, its JSON, its exit status."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from farzi.cli import app

TAME = ("--epsilon", "1e-2", "--outer-learning-rate", "0.001", "--window", "2")
ROUGH = ("--epsilon", "1e-8", "--window", "8", "--skip", "0", "--inner-learning-rate", "0.1")


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve people who go round eight items."""
    path = tmp_path_factory.mktemp("check") / "log.csv"
    rows = (f"u{user},i{(user + step) % 8},{100 * user + step}\n" for user in range(12) for step in range(9))
    path.write_text("user,item,time\n" + "".join(rows))
    return path


def run(log: Path, *words: str) -> Result:
    size = ("--hidden", "8", "--sequences", "3", "--length", "4", "--dim", "2", "--inner-steps", "8")
    words = ("check", str(log), *size, "--outer-batch", "4", "--directions", "2", *words)
    before = set(log.parent.iterdir())
    result = CliRunner().invoke(app, words, prog_name="farzi")
    assert set(log.parent.iterdir()) == before
    return result


def test_a_sound_recipe(log: Path):
    result = run(log, *TAME)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert [line.split(":")[0] for line in lines[-3:]] == ["right", "precise", "smooth"]
    for figure in ("its error along direction 2", "cosine, float32 with float64", "metasmoothness"):
        assert figure in result.stdout


def test_a_rough_recipe_ends_with_status_1_and_says_what_to_change(log: Path):
    result = run(log, *ROUGH)
    assert result.exit_code == 1, result.output
    assert "rough: metasmoothness" in result.stdout
    assert "leave the first steps out" in result.stdout
    assert "--epsilon" in result.stdout.splitlines()[-1]


def test_json_holds_the_same(log: Path):
    result = run(log, *ROUGH, "--json", "--precision", "float64")
    assert result.exit_code == 1, result.output
    values = json.loads(result.stdout, parse_constant=pytest.fail)
    assert values["sound"] is False
    assert values["precision"]["dtype"] == "float64"
    assert len(values["differences"]) == 2
    assert len(values["verdict"]) == 3
    assert {remedy["setting"] for remedy in values["remedies"]} >= {"epsilon", "learning_rate", "window"}


def test_a_mistake_is_one_line_and_status_2(log: Path):
    result = run(log, "--window", "9")
    assert result.exit_code == 2
    assert result.stderr.strip() == "farzi: --window 9 is longer than --inner-steps 8; shorten it"
