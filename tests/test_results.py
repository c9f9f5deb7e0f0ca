"""Every table in research/results, README and docs agrees with its raw rows."""

import json
import re
from pathlib import Path

import pytest

from farzi.evaluation import METRICS
from research.report import markdown, study_of, study_page

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "research" / "results"
SHOWN = sorted(RESULTS.glob("*/comparison.md"))
STUDIES = sorted(path.parent for path in RESULTS.glob("*/study.json"))
PAGES = [
    page
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), ROOT / "research" / "README.md")
    if "results/" in page.read_text()
]
SOURCE = re.compile(r"\(\[source\]\((?P<path>[^)]*results/[^)]*\.md)\)\)")
"""How a page says where the tables above it, since the last such line, come from."""
COMMAND = re.compile(r"(\| `(farzi|python) [^|]*`|\| command|\|---)? ?\|$")
"""The last column of a study's table."""


def table(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("|")]


@pytest.mark.parametrize("page", SHOWN, ids=lambda page: page.parent.name)
def test_a_results_table_shows_its_rows(page: Path):
    rows = json.loads((page.parent / "results.json").read_text())
    shown = [[cell.strip() for cell in line.strip("|").split("|")] for line in table(page.read_text())]
    metrics = shown[0][3:-1]
    for cells in shown[2:]:
        for metric, cell in zip(metrics, cells[3:-1], strict=True):
            (row,) = (row for row in rows if row["trained_on"] == cells[0] and row["metric"] == metric)
            named = METRICS[metric]
            mean, half = (value / named.scaled(1.0) for value in (row["mean"], row["mean"] - row["low"]))
            spread = f" ±{named.text(half)}" if row["seeds"] > 1 else ""  # nothing else varies
            assert cell.startswith(f"{named.text(mean)}{spread}")
            assert ("±" in cell) == (row["seeds"] > 1)


@pytest.mark.parametrize("folder", STUDIES, ids=lambda folder: folder.name)
def test_a_studys_tables_are_made_of_its_rows(folder: Path):
    recorded = study_of(folder)
    assert recorded is not None
    study, rows = recorded
    if rows:
        assert table((folder / "README.md").read_text()) == table(study_page(study, rows))


def test_the_readme_of_the_results_has_the_headline_tables_and_every_study():
    shown = table((RESULTS / "README.md").read_text())
    for folder in STUDIES:
        recorded = study_of(folder)
        assert recorded is not None
        study, rows = recorded
        assert not rows or any(line.startswith(f"| [{folder.name}]({folder.name}/") for line in shown)
        if study.name == "headline" and rows:
            tables = [markdown(one, commands=False) for one in study.conclude(rows).tables]
            assert all(line in shown for line in table("\n".join(tables)))


def test_the_readme_shows_a_results_table_as_it_is():
    text = (ROOT / "README.md").read_text()
    assert any("\n".join(table(page.read_text())) in text for page in SHOWN)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_table_with_a_source_is_in_that_source(page: Path):
    assert wrong_lines(page.read_text(), page.parent) == []


def test_a_table_that_differs_from_its_source_is_found(tmp_path: Path):
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "a.md").write_text("| d | HR |\n|---|--:|\n| 2 | 1.0 |\n")
    right = "| d | HR |\n|---|--:|\n| 2 | 1.0 |\n\nWords. ([source](results/a.md))\n"
    assert wrong_lines(right, tmp_path) == []
    assert wrong_lines(right.replace("1.0", "1.1"), tmp_path) == ["| 2 | 1.1 |"]
    assert wrong_lines(right.replace("a.md", "b.md"), tmp_path) == ["results/b.md: no such file"]


def wrong_lines(text: str, folder: Path) -> list[str]:
    """Lines of tables that their source has not; of a study's pages the command may be left out."""
    wrong: list[str] = []
    before = 0
    for found in SOURCE.finditer(text):
        source = folder / found["path"]
        block = text[before : found.start()].rstrip()
        before = found.end()
        shown = last_table(block)
        if not source.is_file():
            wrong.append(f"{found['path']}: no such file")
            continue
        there = table(source.read_text())
        known = {*there, *(COMMAND.sub("|", line) for line in there)}
        wrong += [line for line in shown if line not in known]
    return wrong


def last_table(text: str) -> list[str]:
    """The last table in a text."""
    lines = text.splitlines()
    ends = [k for k, line in enumerate(lines) if line.startswith("|")]
    if not ends:
        return []
    first = ends[-1]
    while first > 0 and lines[first - 1].startswith("|"):
        first -= 1
    return lines[first : ends[-1] + 1]
