"""The parts of a run's page that show the summary itself: sequences, items, nearness to real data."""

import json
from collections import Counter
from typing import Any

import numpy as np
import torch

from farzi.errors import visible
from farzi.markup import Markup, tag
from farzi.report.charts import Bar, intervals, points
from farzi.report.reading import Shown
from farzi.report.sections import figure, section
from farzi.summary import nearness_fact, update_of
from farzi.summary.tensors import SummaryTensors

TOP = 5
"""Events shown at each position."""
POSITIONS = 5000
"""Positions of a summary that a page holds at most: about a megabyte."""
PLACED = 600
"""Items on the map at most: the most frequent ones."""


def sequences(run: Shown) -> Markup:
    """The explorer: choose a sequence; each position has its likeliest soft inputs beside its soft labels."""
    summary = run.summary
    tensors = summary.tensors
    count = max(1, min(tensors.sequences, POSITIONS // tensors.length))
    names: dict[str, int] = {}

    def cell(events: list[dict[str, Any]] | None) -> list[list[float]]:
        places = (names.setdefault(visible(one["name"]), len(names)) for one in events or ())
        return [[place, round(100 * one["probability"], 1)] for place, one in zip(places, events or ())]

    rows = [
        [[cell(at["input"]), cell(at["label"])] for at in positions]
        for positions in summary.top_events(TOP, count)
    ]
    same = tensors.label_decoder is None
    near = summary.run.get("nearest_real", {}).get("equal", [])
    data = {"names": list(names), "rows": rows, "same": same, "near": near[:count]}
    part = (
        "" if count == tensors.sequences else f" The page holds the first {count:,} of {tensors.sequences:,}."
    )
    text = (
        "A model reads the soft inputs and learns to predict, from the positions before, the soft labels. "
        f"The {TOP} most probable {run.event}s of each are shown.{part}"
    )
    choice = tag(
        "div",
        tag("button", "Previous", type="button", id="before"),
        tag("label", "Sequence ", tag("select", id="which", aria_controls="positions")),
        tag("button", "Next", type="button", id="after"),
        tag("span", id="near", role="status"),
        class_="choice",
        hidden=True,
    )
    body = tag("div", id="positions", class_="scroll", role="region", aria_label="Positions", tabindex=0)
    command = f"farzi inspect {run.name}"
    without = tag(
        "noscript", tag("p", "The explorer needs JavaScript; ", tag("code", command), " prints the same.")
    )
    return section(
        "Synthetic sequences", tag("p", text), choice, body, without, _json("sequences-data", data)
    )


def _json(name: str, value: Any) -> Markup:
    """Data for the page's script. No `<` is in it, so that nothing in it can end the element."""
    words = json.dumps(value, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    return Markup(
        f'<script type="application/json" id="{name}">{words.replace("<", chr(92) + "u003c")}</script>'
    )


def item_map(run: Shown) -> Markup:
    """The most frequent items on the plane in which the decoder's columns differ most."""
    frame, vocabulary = run.summary.vocabulary.frame, run.summary.vocabulary
    counts = frame["count"].to_numpy().astype(float)
    chosen = 1 + np.argsort(-counts[1:], kind="stable")[:PLACED]
    if len(chosen) < 3:
        return Markup("")
    places, spread = plane(run.summary.tensors, chosen)
    names = [visible(vocabulary.label(int(index))) for index in chosen]
    ends = []
    for axis, words in enumerate((("left", "right"), ("bottom", "top"))):
        order = np.argsort(places[:, axis], kind="stable")
        for word, some in zip(words, (order[:5], order[::-1][:5])):
            ends.append(
                tag("div", tag("dt", f"Far {word}"), tag("dd", ", ".join(names[one] for one in some)))
            )
    told = f"the {len(chosen):,} most frequent of {len(vocabulary) - 1:,} {run.event}s"
    label = f"Map of {told}; the list below names those at its four ends"
    chart = points([(float(a), float(b)) for a, b in places], names, counts[chosen].tolist(), label)
    text = (
        f"{told[0].upper()}{told[1:]}, by the principal components of the decoder's columns "
        f"({100 * spread[0]:.0f} % and {100 * spread[1]:.0f} % of the variance). Those that the summary "
        "treats alike lie together; larger points have more training events."
    )
    find = tag(
        "p",
        tag("label", "Find ", tag("input", id="find", type="search", list="items", autocomplete="off")),
        " ",
        tag("output", id="found", for_="find"),
        class_="choice",
        hidden=True,
    )
    options = tag("datalist", [tag("option", value=name) for name in names], id="items")
    return section("Map", tag("p", text), find, options, chart, tag("dl", ends, class_="facts"))


def plane(tensors: SummaryTensors, items: np.ndarray) -> tuple[np.ndarray, tuple[float, float]]:
    """Items on a plane: the first two principal components of their columns of the decoder.

    With full logits, which have no decoder, a column is an item's logits at all positions.

    Args:
        tensors: of a summary.
        items: indices, (n,), n at least 3.

    Returns:
        Places, (n, 2), and the shares of the variance of both axes.
    """
    from sklearn.decomposition import PCA

    logits = tensors.latents.flatten(0, 1) if tensors.is_full_logits else tensors.decoder
    columns = logits[:, torch.from_numpy(items)].T.double().numpy()
    if columns.shape[1] < 2:  # of a decoder of one row: all items lie on a line
        columns = np.pad(columns, ((0, 0), (0, 1)))
    fitted = PCA(2, svd_solver="full")
    places = fitted.fit_transform(columns)
    first, second = np.nan_to_num(fitted.explained_variance_ratio_)
    return places, (float(first), float(second))


def nearness(run: Shown) -> Markup:
    """How many positions of each sequence equal the nearest real window."""
    near = run.summary.run.get("nearest_real")
    if not near:
        return Markup("")
    length, equal = near["positions"], Counter(near["equal"])
    bars = [
        Bar(f"{value} of {length} positions equal", equal[value], 0, equal[value], 3, f"{equal[value]:,}")
        for value in range(min(equal), max(equal) + 1)
    ][:25]
    label = "Sequences by positions equal to the nearest real window: " + ", ".join(
        f"{one.value} with {one.name}" for one in bars
    )
    chart = figure(intervals(bars, label, "sequences", solid=True), "Sequences by their nearest real window")
    data = "the real training data" if update_of(run.summary) is None else "the last day"
    text = (
        f"{nearness_fact(run.summary)} Each sequence is taken as its most probable {run.event}s and compared "
        f"with all windows of {data}. Farzi gives no guarantee of privacy."
    )
    return section("Nearness to real data", tag("p", text), tag("div", chart, class_="charts"))
