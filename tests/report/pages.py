"""A page as its elements, and made-up runs to show."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from farzi.data import Log, Vocabulary
from farzi.evaluation import Comparison, RecommendationTask, Result
from farzi.recipe import Recipe
from farzi.report import save_report
from farzi.summary import Size, Summary, TransitionInitializer

HOSTILE = (
    "<script>alert(1)</script>",
    "</script><img src=x onerror=alert(2)>",
    "\x1b[31mred\u202e",
    "a & \"b\" 'c'",
    "<!--",
    "&lt;b&gt;",
    "]]>",
)
EMPTY = {"meta", "link", "br", "input"}


class Page(HTMLParser):
    """The elements of a page, with their attributes and the text in them; unbalanced ones are an error."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: dict[str, list[str]] = {}  # by element
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.text.setdefault(tag, []).append("")
        if tag not in EMPTY:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        for tag in set(self._open):
            self.text[tag][-1] += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """The attributes of the elements of a name."""
        return [attributes for name, attributes in self.elements if name == tag]

    def data(self, name: str) -> Any:
        """The JSON of a script."""
        place = [one.get("id") for one in self.all("script")].index(name)
        return json.loads(self.text["script"][place])


def shown(page: str) -> str:
    """The text of a page without its code."""
    return " ".join(re.sub(r"<(script|style).*?</\1>|<[^>]*>", " ", page, flags=re.DOTALL).split())


def named(dataset: Log, names: tuple[str, ...] = HOSTILE) -> Log:
    """The same log, its most frequent items with these names."""
    frame = dataset.vocabulary.frame
    given, order = frame["name"].to_list(), np.argsort(-frame["count"].to_numpy()[1:].astype(int)) + 1
    for place, name in zip(order, names):
        given[place] = name
    return replace(
        dataset, vocabulary=Vocabulary(frame.with_columns(pl.Series("name", given, dtype=pl.String)))
    )


def made(dataset: Log, recipe: Recipe, **facts: Any) -> Summary:
    """A summary that no run gave, with the history and the facts of one."""
    size = Size(recipe.summary.sequences, recipe.summary.length, 4, len(dataset.vocabulary), 1.0)
    tensors = TransitionInitializer()(size, dataset.train, np.random.default_rng(0))
    history = [
        {
            "outer_step": step,
            "real_loss": 4 - step / 10 if step else None,
            "metagradient_norm": {"median": 0.5, "min": 0.1, "max": 2.0} if step else None,
            "steps_without_metagradient": 0,
            "validation": {"HR@10": level, "nDCG@10": level / 2, "HR@100": level},
            "relative_to_full": {"HR@10": 2 * level, "nDCG@10": 2 * level, "HR@100": 2 * level},
            "best": step in (0, 6),
        }
        for step, level in ((0, 0.2), (3, 0.3), (6, 0.4), (8, 0.35))
    ]
    run = {
        "task": "recommendation",
        "seconds": 12.5,
        "outer_steps": 8,
        "stages": {
            "teach": {"seconds": 9.0, "trainings": 1},
            "initialise": {"seconds": 0.5, "type": "transitions"},
            "refine": {"seconds": 2.0, "steps": 8},
            "select": {"seconds": 1.0, "validations": 4, "outer_step": 6},
        },
        "data_sha256": "0123",
        "validation_full": {"HR@10": 0.5, "nDCG@10": 0.25, "HR@100": 0.5},
        "nearest_real": {"positions": 5, "equal": [1, 2, 2, 0, 1, 5], "longest_run": [1, 1, 1, 0, 1, 5]},
        "command": "farzi distill <x>",
        "machine": "a machine",
        **facts,
    }
    return Summary(tensors, dataset.vocabulary, recipe, history, run)


def compared(folder: Path, level: float = 0.3, summary: Summary | None = None) -> Comparison:
    """Write a comparison beside a summary."""
    rng = np.random.default_rng(0)

    def result(kind: str, share: float, events: int) -> Result:
        hits = (rng.random((3, 60)) < share).astype(float)
        per_unit = {"HR@10": hits, "nDCG@10": hits / 2, "HR@100": hits}
        return Result(kind, events // 10, events, 4 * events, 0.01 * events, per_unit, 0.01)

    rows = result("full", 0.4, 600), result("summary", level, 30), result("random", 0.1, 30)
    comparison = Comparison("sasrec", RecommendationTask(), 10, 40, rows, distilling=12.5)
    save_report(comparison, folder, [] if summary is None else summary.history)
    return comparison
