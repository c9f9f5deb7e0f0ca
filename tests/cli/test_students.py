"""Every student through the commands: a summary learnt with it, a student trained on it, its evaluation."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from farzi.cli import app
from farzi.models import STUDENTS, StudentFile


def run(*words: str | Path) -> str:
    result = CliRunner().invoke(app, [str(word) for word in words], prog_name="farzi")
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.mark.parametrize("name", STUDENTS)
def test_a_summary_learnt_with_one_student_trains_it_and_another(name: str, tmp_path: Path) -> None:
    rows = (f"u{user},i{(user + step) % 8},{100 * user + step}\n" for user in range(12) for step in range(9))
    (tmp_path / "log.csv").write_text("user,item,time\n" + "".join(rows))
    (tmp_path / "recipe.yaml").write_text(
        f"student: {{name: {name}, hidden: 8}}\n"
        "summary: {sequences: 3, length: 4, dim: 2}\n"
        "inner: {steps: 6, window: 2, skip: 1}\n"
        "outer: {steps: 2, batch: 4, validate_every: 1, validate_students: 1}\n"
    )
    summary = tmp_path / "summary"
    run("distill", tmp_path / "log.csv", "--out", summary, "--recipe", tmp_path / "recipe.yaml")
    another = "gru4rec" if name == "sasrec" else "sasrec"
    for options, trained in (((), name), (("--student", another), another)):
        path = tmp_path / f"{trained}.safetensors"
        run("train", summary, "--out", path, *options)
        assert StudentFile.load(path).settings.name == trained
        figures = json.loads(run("evaluate", path, "--json"))
        assert figures
