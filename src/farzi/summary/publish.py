"""A summary as a data set of the Hugging Face hub: its folder, its card, and what was measured on it."""

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from farzi import hub
from farzi.errors import FarziError
from farzi.summary.card import card
from farzi.summary.folder import CARD, RESULTS

if TYPE_CHECKING:
    from farzi.summary.summary import Summary


def publish(
    summary: "Summary",
    repository: str,
    results: str | Path | None,
    license: str | None,
    private: bool | None,
    token: str | None,
) -> str:
    """Upload a summary; see `Summary.push_to_hub`."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "summary"
        summary.save(folder)
        comparison = ""
        if results is not None:
            there = [Path(results) / name for name in RESULTS if (Path(results) / name).is_file()]
            if (Path(results) / "comparison.md") not in there:
                raise FarziError(f"{results}: has no comparison.md; `farzi compare` writes it")
            for path in there:
                shutil.copy(path, folder)
            comparison = (folder / "comparison.md").read_text("utf-8")
        (folder / CARD).write_text(card(summary, license, comparison), "utf-8")
        return hub.upload(
            folder, repository, "dataset", private, token, f"Summary of {summary.recipe.source}"
        )
