"""A study's page, picture and the README of the results: of the same rows always the same."""

from pathlib import Path

import pytest

from farzi.errors import FarziError
from research.report import markdown, plot_charts, readme, save_study, study_page
from research.studies import (
    STUDIES,
    Chart,
    Curve,
    Done,
    Findings,
    Line,
    Point,
    Setting,
    Study,
    Table,
    Wanted,
    append_row,
    begin,
    read_rows,
    save_setting,
)

TABLE = Table(("d", "HR@10"), (Line(("2", "1.0"), "farzi study x --row d-2"), Line(("a|b", "2.0"))))


def points(*means: float) -> tuple[Point, ...]:
    return tuple(Point(2.0**k, mean, mean - 1, mean + 1) for k, mean in enumerate(means))


def test_a_table_has_the_command_of_each_row():
    assert markdown(TABLE).splitlines() == [
        "| d | HR@10 | command |",
        "|---|--:|---|",
        "| 2 | 1.0 | `farzi study x --row d-2` |",
        "| a\\|b | 2.0 |  |",
    ]
    assert "command" not in markdown(TABLE, commands=False)


@pytest.mark.parametrize("kind", ["lines", "bars", "dots"])
@pytest.mark.parametrize("count", [1, 2, 4])
def test_every_kind_of_chart_gives_a_picture(tmp_path: Path, kind: str, count: int):
    if kind == "bars":
        words = tuple(Point(name, 3, 2, 4) for name in ("adam", "sgd"))
        chart = Chart("t", "x", "y", (Curve("one", words), Curve("two", words[:1])), kind, level=3)
    else:
        chart = Chart("t", "x", "y", (Curve("one", points(1, 2, 3)), Curve("none", ())), kind, log=True)
    plot_charts([chart] * count, tmp_path / "figure.png")
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")


def test_a_page_names_its_picture_only_where_there_is_one(tmp_path: Path):
    def conclude(rows: object) -> Findings:
        return Findings((TABLE,), (), "Two is best. Always.")

    study = Study("x", "Which?", lambda setting: [], conclude)
    page = save_study(study, tmp_path, []).read_text()
    assert page.startswith("# x\n\nWhich?\n\n| d |")
    assert "figure.png" not in page
    assert page == study_page(study, [])


def test_the_readme_has_a_line_for_each_experiment(tmp_path: Path):
    study = STUDIES["dimension"]
    setting: Setting = begin(study, tmp_path / "dimension", Wanted(seeds=2))
    save_setting(study, tmp_path / "dimension", setting)
    row = study.grid(setting)[1]
    figures: dict[str, list[float | None]] = {"HR@100": [0.5, 0.6]}
    append_row(tmp_path / "dimension", Done(row.key, row.labels, figures, 1.0, "c", {}, row.values()))
    (tmp_path / "begun").mkdir()
    save_setting(study, tmp_path / "begun", setting)  # no rows yet: no line
    others = (("compared", "comparison.md"), ("else", "report.md"), ("lone", "evaluation.json"))
    for name, page in others:
        (tmp_path / name).mkdir()
        (tmp_path / name / page).write_text("x")
    (tmp_path / "compared" / "run.json").write_text('{"command": "farzi distill a"}')
    (tmp_path / "compared" / "comparison.json").write_text('{"command": "farzi compare b"}')
    (tmp_path / "NOTES.md").write_text("Some words.\n")
    text = readme(tmp_path)
    assert "Some words." in text
    assert f"| [dimension](dimension/README.md) | {study.question} |" in text
    assert "begun" not in text
    assert "| [compared](compared/comparison.md) | `farzi distill a`, then `farzi compare b` |" in text
    assert "- else: [report.md](else/report.md)\n- lone: [evaluation.json](lone/evaluation.json)" in text
    assert len(read_rows(tmp_path / "dimension")) == 1


def test_a_readme_of_nothing_is_refused(tmp_path: Path):
    with pytest.raises(FarziError, match="no such folder"):
        readme(tmp_path / "nowhere")
