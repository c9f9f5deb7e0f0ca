"""Following a log: a summary that is updated slice by slice, beside what one would do instead.

The first part of the log in time is distilled. The rest is cut into slices of equal numbers of events. Each
slice updates the summary of the one before, and the next slice's events are predicted.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl

from farzi.api import load_log
from farzi.data import read_day, read_events
from farzi.data.catalog import LOGS
from farzi.distillation import Cache, distill
from farzi.recipe import Recipe
from farzi.recipe.variants import LogData
from farzi.training import train_on_summary
from farzi.updating import Compared, update
from farzi.updating.days import day_log
from farzi.updating.students import figures_of
from research.studies.bench import Bench
from research.studies.conclusions import counted, curve, share_of, table, unit
from research.studies.findings import Chart, Findings, paragraph
from research.studies.rows import Done
from research.studies.study import Demand, Job, Repeat, Row, Setting, Study, values_of

FIRST, SLICES = 0.45, 10
"""Share of the events that is distilled, and updates; the rest is cut into one slice more than these."""
NAMES = {
    "update": "summary",
    "update, mixed with the day": "mixed",
    "yesterday's summary": "yesterday",
    "the day alone (fine-tuning)": "day alone",
    "replay of real exemplars": "replay",
    "the updated teacher": "teacher",
    "full retraining": "full",
}
"""Rows of an update, and what figures call them."""
SETS = (*NAMES.values(), "anew")
"""`anew` is a whole distillation of all events up to the slice."""


@dataclass(frozen=True)
class Following:
    """The figures after one slice's update.

    Attributes:
        recipe: of the distillation.
        slice: from 1.
        minutes: of each update.
        anew: whether all events up to the slice are distilled as well.
    """

    recipe: Recipe
    slice: int
    minutes: float = 2.0
    anew: bool = True

    @property
    def demand(self) -> Demand:
        """The first distillation, and one anew."""
        return Demand((Job(self.recipe),))

    def __call__(self, bench: Bench, repeat: Repeat) -> dict[str, float]:
        """Metrics of all items, and of new ones, on the next slice's events; seconds of each way."""
        recipe = self.recipe.changed({"seed": self.recipe.seed + repeat.summary})
        words = json.dumps([values_of(recipe), self.minutes], sort_keys=True)
        folder = bench.cache / f"following-{hashlib.sha256(words.encode()).hexdigest()[:16]}"
        parts = bench.once(("following", recipe.data), lambda: slices_of(recipe))
        summary, cache = self._distilled(parts[:1], folder / "0", recipe, bench)
        before: Any = {"cache": cache}
        facts: dict[str, Any] = {}
        for number in range(1, self.slice + 1):
            bench.doing(f"slice {number}")
            compared = Compared(pl.concat(parts[:number])) if number == self.slice else None
            settings: dict[str, Any] = {"minutes": self.minutes, "following": parts[number + 1], **before}
            settings |= {"compare": compared, "device": bench.device, "progress": bench.progress}
            place = folder / (str(number) if compared is None else f"{number}-compared")
            made = update(summary, parts[number], place, **settings)
            summary, before, facts = place, {}, made.run["update"]
        found = {"summary: update seconds": float(facts["seconds"])}
        for name, row in facts["rows"].items():
            who = NAMES[name]
            found[f"{who}: train seconds"] = float(row["seconds"])
            for group, prefix in (("all", who), ("old", f"{who}, old items"), ("new", f"{who}, new items")):
                shown = {one: value for one, value in (row[group] or {}).items() if one != "events"}
                found |= {f"{prefix}: {metric}": float(value) for metric, value in shown.items()}
        return found | (self._anew(parts, folder, recipe, bench) if self.anew else {})

    def _distilled(
        self, parts: Sequence[pl.DataFrame], out: Path, recipe: Recipe, bench: Bench
    ) -> tuple[Path, Path]:
        log = load_log(pl.concat(parts))
        cache = bench.cache / "full-data"
        assert log.settings is not None
        own = recipe.changed({"data": log.settings})
        shared = Cache(cache)
        distill(own, out, dataset=log, cache=shared, progress=bench.progress, device=bench.device)
        return out, cache

    def _anew(
        self, parts: Sequence[pl.DataFrame], folder: Path, recipe: Recipe, bench: Bench
    ) -> dict[str, float]:
        """Figures of students of a summary that is distilled anew."""
        from farzi.summary import Summary

        number = self.slice
        place, _ = self._distilled(parts[: number + 1], folder / f"{number}-anew", recipe, bench)
        summary = Summary.load(place)
        day = read_day(parts[number], summary.vocabulary, history=pl.concat(parts[:number]), append=False)
        following = read_day(parts[number + 1], day.vocabulary, append=False)
        log = day_log(day, summary.tensors.length, 0, following)
        tensors = summary.tensors.to(bench.device)
        models = [train_on_summary(tensors, recipe.student, recipe.inner, seed).model for seed in range(2)]
        figures = figures_of(models, log.test, len(day.vocabulary))["all"] or {}
        found = {f"anew: {name}": value for name, value in figures.items() if name != "events"}
        return found | {"anew: distil seconds": float(summary.run["seconds"])}


def slices_of(recipe: Recipe) -> list[pl.DataFrame]:
    """The log's first part and its slices, by time, each with user_id, item_id and timestamp."""
    data = recipe.data
    assert isinstance(data, LogData)
    named = LOGS.get(data.source)
    events = read_events(data.file or data.source, data) if named is None else named.source.events(data.file)
    frame = events.frame.select(
        pl.col("user").cast(pl.String).alias("user_id"),
        pl.col("item").cast(pl.String).alias("item_id"),
        pl.col("time").alias("timestamp"),
    ).sort("timestamp", maintain_order=True)
    begin, count = int(FIRST * len(frame)), SLICES + 1
    bounds = [begin + (len(frame) - begin) * k // count for k in range(count + 1)]
    rest = [frame[low:high] for low, high in pairwise(bounds)]
    return [frame[:begin], *rest]


def grid(setting: Setting) -> Sequence[Row]:
    """A row for each slice."""
    rows = range(1, SLICES + 1)
    return [setting.row(f"slice-{k}", {"slice": k}, Following(setting.recipe, k)) for k in rows]


def conclude(rows: Sequence[Done]) -> Findings:
    """Tables of all items and of new ones, a chart over the slices, and the share of full retraining."""
    figures = [f"{who}: {metric}" for who in SETS for metric in ("HR@10", "nDCG@10")]
    new = [f"{who}, new items: HR@100" for who in SETS]
    seconds = ["summary: update seconds", "full: train seconds", "anew: distil seconds"]
    tables = [table(rows, ("slice",), figures, None, "all items")]
    tables.append(table(rows, ("slice",), [*new, *seconds], None, "new items, and seconds"))
    known = [done for done in rows if not done.failure]
    charts = []
    if known:
        curves = tuple(curve(known, who, "slice", f"{who}: HR@10") for who in SETS)
        charts.append(Chart("next slice", "slice", unit("HR@10"), curves))
    sentences = [_sentence(done) for done in (known[:1] + known[-1:] if len(known) > 1 else known)]
    sentences += [f"Slice {done.labels['slice']} failed: {done.failure}." for done in rows if done.failure]
    return Findings(tuple(tables), tuple(charts), paragraph([*sentences, counted(rows)]))


def _sentence(done: Done) -> str:
    shares: Mapping[str, float] = {
        metric: share_of(done, done, f"summary: {metric}", f"full: {metric}").mean
        for metric in ("HR@10", "nDCG@10")
    }
    words = " and ".join(
        f"{100 * value:.0f} % of its {metric}" for metric, value in shares.items() if value == value
    )
    start = f"After slice {done.labels['slice']} the updated summary has, beside full retraining,"
    return f"{start} {words}." if words else ""


FOLLOWING = Study(
    "update",
    "Can a summary follow its log slice by slice, and at what share of full retraining?",
    grid,
    conclude,
)
