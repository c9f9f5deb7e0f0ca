"""`farzi plan` on a small log."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from farzi.cli import app
from farzi.recipe import presets

SMALL = {
    "student.hidden": 8,
    "summary.sequences": 3,
    "summary.length": 4,
    "summary.parametrization.dim": 2,
    "inner.optimizer": "adam",
    "inner.cooldown": 0,
    "inner.batch": "null",
    "inner.steps": 6,
    "outer.window": 3,
    "outer.burn_in": 1,
    "outer.steps": 5,
    "outer.batch": 4,
}


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "log.csv"
    rows = (f"u{user},i{(user + step) % 8},{100 * user + step}\n" for user in range(12) for step in range(9))
    path.write_text("user,item,time\n" + "".join(rows))
    return path


SHARED = {
    "summary__parametrization": "{type: low_rank, dim: 2, label_decoder: false}",
    "init": "transitions",
}


def run(log: Path, *words: str, **changes: object) -> Result:
    settings = SMALL | {name.replace("__", "."): value for name, value in changes.items()}
    given = [
        word for path, value in settings.items() if value is not None for word in ("--set", f"{path}={value}")
    ]
    return CliRunner().invoke(app, ["plan", str(log), *given, *words], prog_name="farzi")


def test_the_plan_of_a_recipe(log: Path):
    result = run(log, "--json", "--memory", "1MB", outer__pool=0, inner__batch=3)
    assert result.exit_code == 0, result.output
    facts = json.loads(result.stdout)
    rows = facts["strategies"]
    assert [row["memory"] for row in rows if row["used"]] == ["Store()"]
    assert [row["gradients"] for row in rows] == [3, 3, 4, 5, 3]
    assert {row["products"] for row in rows} == {3}
    assert rows[0]["tape_bytes"] == 3 * 4 * 4 * facts["parameters"]
    assert (rows[-1]["budget"], rows[-1]["memory"]) == ("1MB", "Store()")
    parts = [("teach_steps", "teach_step"), ("outer_steps", "outer_step"), ("validations", "validation")]
    steps = sum(facts[n] * facts[part] for n, part in parts)
    assert facts["seconds"] == pytest.approx(facts["initialise"] + steps)
    assert facts["bytes"] in (rows[0]["peak_bytes"], rows[0]["resident_bytes"])
    assert facts["execution"][0] == "eager"
    assert facts["outer_steps"] == 5
    assert [path.name for path in log.parent.iterdir()] == ["log.csv"]


def test_the_plan_as_a_table(log: Path):
    result = run(log)
    assert result.exit_code == 0, result.output
    assert "* Store()" in result.stdout
    assert "select: 2 validations of " in result.stdout
    assert "total: at most " in result.stdout


def test_the_plan_says_how_soft_inputs_are_read(log: Path):
    whole = json.loads(run(log, "--json", **SHARED).stdout)
    result = run(log, "--json", **SHARED, inner__batch=2)
    assert result.exit_code == 0, result.output
    few = json.loads(result.stdout)
    assert whole["soft_inputs"][0] == "materialized"
    assert few["soft_inputs"] == ["factored", "a step reads 2 of 3 sequences"]
    calls = [(row["gradients"], row["products"]) for row in few["strategies"]]
    assert calls == [(row["gradients"], row["products"]) for row in whole["strategies"]]


def test_too_little_memory_is_one_line(log: Path):
    result = run(log, "--memory", "1 B")
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "--memory '1 B' is too little" in result.stderr


def test_the_plan_of_minutes_says_what_fits_into_them(log: Path):
    facts = json.loads(
        run(log, "--json", "--minutes", "5", outer__steps=None, outer__execution="eager").stdout
    )
    assert (facts["minutes"], facts["seconds"]) == (5, 300)
    rest = 300 - facts["initialise"] - facts["validation"]
    each = facts["outer_step"] + facts["validation"] / presets.LOG.select.every
    for steps, taught in (("outer_steps", "least_teach_steps"), ("least_outer_steps", "teach_steps")):
        fitting = (rest - facts[taught] * facts["teach_step"]) / each
        assert facts[steps] == max(0, int(fitting))
    text = run(log, "--minutes", "1", outer__steps=None, outer__execution="eager").stdout
    assert "outer steps of " in text
    assert "fit into the rest" in text
    assert "total: 1 minute, all of these counted" in text
