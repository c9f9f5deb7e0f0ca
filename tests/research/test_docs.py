"""research/README.md has a line for every study."""

from pathlib import Path

from research.studies import STUDIES, Setting
from research.studies.recipes import base_recipe

PAGE = Path(__file__).parents[2] / "research" / "README.md"


def test_every_study_has_its_line():
    lines = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in PAGE.read_text().splitlines()
        if line.startswith("| `")
    ]
    counts = {cells[0]: cells[2:4] for cells in lines}
    for study in STUDIES.values():
        rows = study.grid(Setting(base_recipe(study.source), study.seeds, study.summaries))
        distilled = {
            (job, number) for row in rows for job in row.work.demand.distil for number in range(row.summaries)
        }
        assert counts[f"`{study.name}`"] == [str(len(rows)), str(len(distilled))]
