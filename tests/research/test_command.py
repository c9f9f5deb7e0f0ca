"""`python -m research`: lists, prices, does, goes on, measures a row again."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from farzi.data import Log
from farzi.recipe import Recipe
from farzi.recipe.variants import LogData
from research.__main__ import study
from research.studies import STUDIES, Bench, Done, Findings, Row, Setting, Study
from research.studies.conclusions import table
from research.studies.study import Demand, Job, Repeat


@dataclass(frozen=True)
class Level:
    """A figure from a file, so that a test can change what is measured."""

    file: str
    level: int
    recipe: Recipe

    def __call__(self, bench: Bench, repeat: Repeat) -> dict[str, float]:
        return {"HR@10": self.level / 10 + float(Path(self.file).read_text()) + repeat.number / 1000}

    @property
    def demand(self) -> Demand:
        return Demand(distil=(Job(self.recipe),), real=(Job(self.recipe),))


@pytest.fixture
def recipe_file(tmp_path: Path, tiny: Log, recipe: Recipe) -> Path:
    log = tmp_path / "log.csv"
    histories = [[*history, *target] for history, target in zip(tiny.test.histories, tiny.test.targets)]
    rows = [f"u{user},i{item},{t}" for user, one in enumerate(histories) for t, item in enumerate(one)]
    log.write_text("user,item,time\n" + "\n".join(rows) + "\n")
    own = recipe.changed({"data": LogData(source=str(log), unseen="keep")})
    own.save(tmp_path / "recipe.yaml")
    return tmp_path / "recipe.yaml"


@pytest.fixture
def shift(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The study `toy` of two rows; the file holds what is added to their figures."""
    file = tmp_path / "shift"
    file.write_text("0")

    def grid(setting: Setting) -> Sequence[Row]:
        return [setting.row(f"level-{k}", {"level": k}, Level(str(file), k, setting.recipe)) for k in (1, 2)]

    def conclude(rows: Sequence[Done]) -> Findings:
        return Findings((table(rows, ("level",), ("HR@10",)),), (), f"{len(rows)} rows are there. No more.")

    monkeypatch.setitem(STUDIES, "toy", Study("toy", "What is a row?", grid, conclude))
    return file


def run(*words: str, status: int = 0) -> Result:
    result = CliRunner().invoke(study, words, prog_name="python -m research")
    assert result.exit_code == status, result.output
    return result


def test_without_a_name_the_studies_are_listed():
    text = run().stdout
    assert all(name in text for name in STUDIES)


def test_a_study_is_priced_done_and_gone_on_with(tmp_path, recipe_file, shift):
    out = tmp_path / "toy"
    words = ("toy", "--recipe", str(recipe_file), "--out", str(out), "--max-steps", "20")
    text = run(*words, "--dry-run").stdout
    assert "2 of 2 rows left" in text
    assert "1 distillation, 7 trainings on real events" in text  # two rows share the summary
    assert not out.exists()

    assert "2 rows are there" in run(*words).stdout
    page = (out / "README.md").read_text()
    log = json.loads((out / "study.json").read_text())["recipe"]["data"]["source"]
    assert f"| 1 | 10.1 ±0.2 | `python -m research toy --data {log} --out {out} --row level-1` |" in page
    before = (out / "rows.jsonl").read_text()
    run("toy", "--out", str(out))
    assert (out / "rows.jsonl").read_text() == before
    assert (out / "README.md").read_text() == page
    again = run("toy", "--out", str(out), "--dry-run").stdout
    assert f"toy: all 2 rows are recorded in {out}; measuring them took " in again


def test_a_recorded_row_is_measured_again_and_compared(tmp_path, recipe_file, shift):
    words = ("toy", "--out", str(tmp_path / "toy"))
    assert "level-2 is recorded" in run(*words, "--recipe", str(recipe_file), "--row", "level-2").stdout
    assert "lies in its recorded interval" in run(*words, "--row", "level-2").stdout
    shift.write_text("0.1")
    text = run(*words, "--row", "level-2", status=1).stdout
    assert "lies outside its recorded interval: HR@10" in text
    assert (tmp_path / "toy" / "rows.jsonl").read_text().count("\n") == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["dimensio"], "there is no study 'dimensio'; known: .*did you mean dimension"),
        (["dimension", "--row", "dim-3"], "no such row; there are dim-32"),
        (["dimension", "--outer-steps", "3", "--minutes-per-distillation", "1"], "give only one of them"),
        (["--readme", "--out", "nowhere"], "nowhere: no such folder"),
    ],
)
def test_mistakes_are_one_line(words, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(study, words, prog_name="python -m research")
    assert result.exit_code == 2
    assert re.search(said, result.output), result.output
    assert len(result.output.strip().splitlines()) == 1


def test_a_real_row_is_measured_and_falls_within_its_interval(tmp_path, recipe_file):
    words = ("dimension", "--out", str(tmp_path / "d"), "--row", "dim-4")
    run(*words, "--recipe", str(recipe_file), "--seeds", "2", "--summaries", "1", "--max-steps", "10")
    row = json.loads((tmp_path / "d" / "rows.jsonl").read_text())
    assert {"HR@10", "AUC", "gap: HR@100", "training: HR@10", "distil seconds"} <= set(row["figures"])
    assert row["values"]["work"]["training"]["recipe"]["summary"]["parametrization"]["dim"] == 4
    assert "lies in" in run(*words).stdout
