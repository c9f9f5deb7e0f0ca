"""docs/studies.md has a line for every study."""

from pathlib import Path

from farzi.studies import STUDIES

PAGE = Path(__file__).parents[2] / "docs" / "studies.md"


def test_every_study_has_its_line():
    lines = {
        line.split("|")[1].strip(): line for line in PAGE.read_text().splitlines() if line.startswith("| `")
    }
    for study in STUDIES.values():
        assert study.question in lines[f"`{study.name}`"]
