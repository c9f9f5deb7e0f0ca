"""Quality against size, from the files of made-up comparisons."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from farzi.cli import app
from farzi.errors import FarziError
from farzi.evaluation import Comparison, RecommendationTask, Result
from farzi.evaluation.tasks import LanguageTask
from farzi.report import frontier_points, plot_frontier, save_report

Make = Callable[..., str]
LEVELS = {"summary": 0.36, "initial summary": 0.3, "random, teachers' labels": 0.3, "random": 0.1}


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Write the comparison of a summary with so many events, without its own picture; the folder."""
    monkeypatch.setattr("farzi.report.comparison.plot_comparison", lambda *_: None)

    def write(name: str, events: int, full: float = 0.4, data: str = "one", text: bool = False) -> str:
        rng = np.random.default_rng(0)
        levels = {"full": full, **{kind: level * events**0.05 / 1.5 for kind, level in LEVELS.items()}}

        def result(kind: str) -> Result:
            size = 100_000 if kind == "full" else events
            hits = (rng.random((2, 50)) < levels[kind]).astype(float)
            per_unit = {"HR@10": hits, "nDCG@10": hits / 2, "HR@100": hits}
            if text:
                per_unit = {"perplexity": 5 - hits, "accuracy": hits}
            return Result(kind, size // 10, size, 4 * size + 80, 0.01 * size**0.7, per_unit, 0.01)

        results = tuple(result(kind) for kind in levels)
        comparison = Comparison("sasrec", LanguageTask() if text else RecommendationTask(), 10, 40, results)
        folder = tmp_path / name
        folder.mkdir()
        save_report(comparison, folder, [])
        (folder / "run.json").write_text(json.dumps({"data_sha256": data}))
        return str(folder)

    return write


def test_a_point_is_a_row_of_a_comparison(run: Make):
    folder = run("a", 100)
    points = frontier_points([folder])
    assert len(points) == 4 * 3
    first = points[0]
    results = json.loads((Path(folder) / "results.json").read_text())
    row = next(one for one in results if one["trained_on"] == "summary" and one["metric"] == first["metric"])
    assert (first["trained_on"], first["sequences"]) == ("summary", 10)
    assert first["mean"] == pytest.approx(row["relative_to_full"])
    assert first["low"] < first["mean"] < first["high"]
    assert (first["events"], first["bytes"]) == (0.001, 480 / 400_080)
    assert first["seconds"] == row["seconds_share"]


def test_points_of_a_line_go_up_in_size(run: Make):
    points = frontier_points([run("b", 5000), run("a", 100), run("c", 900)])
    line = [one["events"] for one in points if (one["trained_on"], one["metric"]) == ("random", "HR@10")]
    assert line == [0.001, 0.009, 0.05]


def test_of_a_cost_the_inverse_is_a_share(run: Make):
    folder = run("a", 100, text=True)
    one = next(one for one in frontier_points([folder]) if one["metric"] == "perplexity")
    facts = json.loads((Path(folder) / "comparison.json").read_text())
    ratio = facts["relative_to_full"]["summary"]["perplexity"]
    assert one["mean"] == pytest.approx(1 / ratio["mean"])
    assert (one["low"], one["high"]) == pytest.approx((1 / ratio["high"], 1 / ratio["low"]))


@pytest.mark.parametrize(("sizes", "text"), [((100,), False), ((3, 50_000), True)], ids=str)
@pytest.mark.parametrize("ending", ["png", "svg"])
def test_every_case_gives_a_picture(
    run: Make, tmp_path: Path, sizes: tuple[int, ...], text: bool, ending: str
):
    points = frontier_points([run(f"{size}", size, text=text) for size in sizes])
    begin = {"png": b"\x89PNG", "svg": b"<?xml"}[ending]
    plot_frontier(points, tmp_path / f"a.{ending}")
    assert (tmp_path / f"a.{ending}").read_bytes().startswith(begin)


def test_a_full_figure_of_0_gives_a_picture(run: Make, tmp_path: Path):
    points = frontier_points([run("a", 100, full=0.0)])
    assert {one["mean"] for one in points} == {None}
    plot_frontier(points, tmp_path / "a.png")


def test_the_command(run: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)  # a long path would be broken into two lines
    folders = [
        str(Path(run(name, events)).relative_to(tmp_path)) for name, events in (("a", 100), ("b", 1000))
    ]
    out = "f.svg"
    result = CliRunner().invoke(app, ["frontier", *folders, "--out", out])
    assert result.exit_code == 0, result.output
    assert Path(out).read_text().startswith("<?xml")
    line = next(line for line in result.stdout.splitlines() if folders[1] in line and " summary" in line)
    assert "1 %" in line
    printed = json.loads(CliRunner().invoke(app, ["frontier", *folders, "--json"]).stdout)
    assert printed == frontier_points(folders)


def change(folder: str, name: str, **values: Any) -> None:
    path = Path(folder) / name
    rows = json.loads(path.read_text())
    for row in rows if isinstance(rows, list) else [rows]:
        row.update(values)
    path.write_text(json.dumps(rows))


def test_what_cannot_stand_on_one_scale_is_refused(run: Make, tmp_path: Path):
    a = run("a", 100)
    with pytest.raises(FarziError, match="is of other data than"):
        frontier_points([a, run("data", 100, data="two")])
    with pytest.raises(FarziError, match=r"other full-data models .*HR@10 "):
        frontier_points([a, run("full", 100, full=0.5)])
    other = run("student", 100)
    change(other, "results.json", student="gru4rec")
    with pytest.raises(FarziError, match=r"architecture gru4rec, not sasrec"):
        frontier_points([a, other])
    with pytest.raises(FarziError, match=r"must end in \.png or \.svg"):
        plot_frontier(frontier_points([a]), tmp_path / "a.pdf")


def test_a_folder_without_a_comparison_names_the_command(run: Make, tmp_path: Path):
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(FarziError, match=f"no results.json.* run `farzi compare {folder}` first"):
            frontier_points([folder])
    damaged = run("a", 100)
    (Path(damaged) / "results.json").write_text("[")
    with pytest.raises(FarziError, match="damaged"):
        frontier_points([damaged])
    for number, content in enumerate(("{}", "[]", "3", '[{"trained_on": "full"}]', "[null]", "null")):
        old = run(f"old{number}", 100)
        (Path(old) / "results.json").write_text(content)
        with pytest.raises(FarziError, match="another version"):
            frontier_points([old])
