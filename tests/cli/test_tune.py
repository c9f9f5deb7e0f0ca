"""`farzi tune`: its lines, its files, and wrong use in one line."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from farzi.cli import app
from farzi.recipe import Recipe
from tests.tuning.conftest import distilled as distilled

pytest.importorskip("optuna")

SPACE = '[student]\nhidden = {type = "int", min = 4, max = 16, step = 4}\n'


def run(*words: object) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["tune", *map(str, words)], prog_name="farzi")
    return done.exit_code, done.stdout, done.stderr


@pytest.fixture
def space(tmp_path: Path) -> Path:
    path = tmp_path / "space.toml"
    path.write_text(SPACE)
    return path


def test_a_search_ends_with_its_line_and_resumes(distilled: Path, space: Path, tmp_path: Path):
    out = tmp_path / "out"
    words = (distilled, "--space", space, "--seeds", 1, "--confirm", 1, "--metric", "hr@10", "--out", out)
    status, said, told = run(*words, "--trials", 2)
    assert status == 0, told
    last = said.strip().splitlines()[-1]
    assert "chosen on the summary in " in last
    assert "confirmed on the full data in " in last
    status, said, told = run(*words, "--trials", 3, "--json")
    assert status == 0, told
    assert "goes on after 2 trials" in told
    facts = json.loads(said)
    assert facts["trials"] == 3
    assert facts == json.loads((out / "confirmed.json").read_text())
    assert {"journal.log", "trials.ndjson", "best-config.json", "report.md", "search.png"} <= {
        path.name for path in out.iterdir()
    }
    assert Recipe.load(out / "best-config.json").student.type == "sasrec"
    status, _, told = run(*words, "--trials", 3, "--seen", "exclude")
    assert status == 2
    assert "holds a search with another recipe; choose another folder, or begin again with --restart" in told
    status, _, told = run(*words, "--trials", 1, "--seen", "exclude", "--restart")
    assert status == 0, told


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--space", "nowhere.toml"], "nowhere.toml: the space cannot be read"),
        (["--metric", "mrr@7"], "a log is measured by"),
        (["--minutes", "0"], "minutes must be above 0"),
        (["--set", "outer.steps=3"], "outer.steps has no effect on a search"),
        (["--device", "tpu"], "is no device"),
        (["--control", "bohb"], "bohb"),
    ],
)
def test_wrong_use_is_one_line(distilled: Path, tmp_path: Path, words: list[str], said: str):
    status, _, told = run(distilled, "--out", tmp_path / "out", *words)
    assert status == 2
    assert said in told
    assert len(told.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()
