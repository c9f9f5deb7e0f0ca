"""The part of a run's page that tells what an update reaches, in place of a comparison."""

from typing import Any

from farzi.markup import Markup, table, tag
from farzi.report.reading import Shown
from farzi.report.sections import scrolling, section
from farzi.summary import update_of

METRICS, GROUPS = ("HR@10", "nDCG@10", "HR@100"), ("all", "old", "new")


def update_table(facts: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    """The figures of an update as a table: its columns, and a row for each thing that was trained on."""

    def cells(row: dict[str, Any]) -> list[str]:
        return [
            "–" if row[group] is None else f"{100 * row[group][metric]:.1f}"
            for group in GROUPS
            for metric in METRICS
        ]

    columns = ["trained on", *(f"{metric} {group}" for group in GROUPS for metric in METRICS), "seconds"]
    return columns, [[name, *cells(row), f"{row['seconds']:.1f}"] for name, row in facts["rows"].items()]


def update(run: Shown) -> Markup:
    """The figures that `farzi update` printed; nothing of a summary that was never updated."""
    facts = update_of(run.summary)
    if facts is None:
        return Markup("")
    columns, rows = update_table(facts)
    caption = f"Per cent, {facts['judged_on']} ranked among all items; of all, of old and of new items"
    told = table(columns, rows, caption, range(1, len(columns)))
    due = [tag("li", f"A whole distillation is due: {reason}.") for reason in facts["due"]]
    return section("Update", scrolling(told, "Update"), tag("ul", due) if due else None)
