"""What a report shows, read from a summary's folder."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from farzi.errors import FarziError
from farzi.files import parse_json
from farzi.summary import Summary
from farzi.summary.folder import SUMS


@dataclass(frozen=True)
class Shown:
    """A finished run.

    Attributes:
        name: of its folder.
        summary: what the distillation gave.
        rows: of results.json; empty without a comparison.
        facts: of comparison.json.
        sums: the SHA-256 of each file, by name.
        others: folders of other summaries, to be shown on the frontier.
    """

    name: str
    summary: Summary
    rows: list[dict[str, Any]] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    sums: dict[str, str] = field(default_factory=dict)
    others: tuple[str, ...] = ()

    @property
    def metrics(self) -> list[str]:
        """The metrics of the comparison."""
        return list(dict.fromkeys(row["metric"] for row in self.rows))

    @property
    def kinds(self) -> list[str]:
        """What models were trained on in the comparison, "full" first."""
        return list(dict.fromkeys(row["trained_on"] for row in self.rows))

    def row(self, trained_on: str, metric: str) -> dict[str, Any]:
        """The row of results.json for a kind of training data and a metric."""
        return next(one for one in self.rows if (one["trained_on"], one["metric"]) == (trained_on, metric))

    def relative(self, trained_on: str, metric: str) -> dict[str, float | None]:
        """The ratio to the full data's figure with its 95 % interval: "mean", "low" and "high"."""
        return self.facts["relative_to_full"][trained_on][metric]

    @property
    def event(self) -> str:
        """What an event is called."""
        return "token" if self.summary.is_text else "item"

    @property
    def data(self) -> str:
        """What was distilled is called."""
        return "text" if self.summary.is_text else "log"


def read_run(folder: str | Path, others: tuple[str, ...] = ()) -> Shown:
    """Read a summary and its comparison, if there is one.

    Raises:
        FarziError: the folder holds no finished summary, or one of its files is damaged.
    """
    folder = Path(folder)
    summary = Summary.load(folder)
    pairs = (line.partition("  ") for line in (folder / SUMS).read_text().splitlines())
    sums = {name: checksum for checksum, _, name in pairs}
    rows, facts = [], {}
    if (folder / "results.json").exists() and (folder / "comparison.json").exists():
        try:
            rows = parse_json((folder / "results.json").read_bytes(), list)
            facts = parse_json((folder / "comparison.json").read_bytes())
        except ValueError as error:
            raise FarziError(f"{folder}: its comparison is damaged ({error}); {_again(folder)}") from None
    return Shown(folder.resolve().name, summary, rows, facts, sums, others)


def other_version(folder: str | Path, error: Exception) -> FarziError:
    """The error for a folder whose comparison lacks something or holds another kind of value."""
    what = json.dumps(str(error))[1:-1]
    return FarziError(
        f"{folder}: its comparison or its run.json is damaged or of another version of Farzi ({what}); "
        f"{_again(folder)}"
    )


def _again(folder: str | Path) -> str:
    return f"run `farzi compare {folder}` again"
