"""Every student through the commands: a summary learnt with it, a student trained on it, its evaluation."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from farzi.cli import app
from farzi.cli.options import STUDENTS
from farzi.models import Model


def run(*words: str | Path) -> str:
    result = CliRunner().invoke(app, [str(word) for word in words], prog_name="farzi")
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.mark.parametrize("name", STUDENTS)
def test_a_summary_learnt_with_one_student_trains_it_and_another(name: str, tmp_path: Path) -> None:
    rows = (f"u{user},i{(user + step) % 8},{100 * user + step}\n" for user in range(12) for step in range(9))
    (tmp_path / "log.csv").write_text("user,item,time\n" + "".join(rows))
    (tmp_path / "recipe.yaml").write_text(
        f"student: {{type: {name}, hidden: 8}}\n"
        "summary: {sequences: 3, length: 4, parametrization: {dim: 2}}\n"
        "init: {teachers: 1}\n"
        "teach: {max_steps: 100}\n"
        "inner: {steps: 6, batch: 2}\n"
        "outer: {steps: 2, batch: 4, window: 2, burn_in: 1}\n"
        "select: {every: 1, students: 1}\n"
    )
    summary = tmp_path / "summary"
    run("distill", tmp_path / "log.csv", "--out", summary, "--recipe", tmp_path / "recipe.yaml")
    another = "gru4rec" if name == "sasrec" else "sasrec"
    for options, trained in (((), name), (("--student", another), another)):
        path = tmp_path / f"{trained}.safetensors"
        run("train", summary, "--out", path, *options)
        assert Model.load(path).student.type == trained
        figures = json.loads(run("evaluate", path, "--json"))
        assert figures
