"""What the README shows is what was measured."""

import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SHOWN = sorted((ROOT / "results").glob("*/comparison.md"))


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
            assert cell.startswith(f"{row['mean']:.1f} ±{row['mean'] - row['low']:.1f}")


def test_the_readme_shows_a_results_table_as_it_is():
    readme = (ROOT / "README.md").read_text()
    assert any("\n".join(table(page.read_text())) in readme for page in SHOWN)
