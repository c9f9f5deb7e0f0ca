"""Penn Treebank at two of the paper's sizes, 0.05 and 1 % of its tokens, and at the recipe's size."""

from collections.abc import Sequence

from farzi.evaluation.controls import Head, Random
from research.studies.conclusions import (
    best_sentence,
    counted,
    curve,
    first,
    headline_figures,
    level_of,
    main_figure,
    table,
    unit,
)
from research.studies.findings import Chart, Findings, paragraph
from research.studies.rows import Done
from research.studies.study import Row, Setting, Study
from research.studies.sweeps import FULL, full_row, key_of
from research.studies.trainings import Measured, OnReal, OnSummary

SEQUENCES = (10, 200)
"""Of 50 tokens each they are 0.05 % and 1 % of the text's 929,589."""


def grid(setting: Setting) -> Sequence[Row]:
    """The full text, and for each size a summary, random sentences and the longest ones."""
    rows = [full_row(setting)]
    own = setting.recipe.summary
    for sequences in dict.fromkeys([*SEQUENCES, own.sequences]):
        recipe = setting.recipe.changed({"summary.sequences": sequences})
        size = f"{sequences} x {own.length}"
        works = {
            "summary": Measured(OnSummary(recipe)),
            "random": Measured(OnReal(recipe, Random())),
            "head": Measured(OnReal(recipe, Head())),
        }
        for name, work in works.items():
            labels = {"trained on": name, "size": size, "which": f"{name} {size}"}
            rows.append(setting.row(key_of(name, f"{sequences}x{own.length}"), labels, work))
    return rows


def conclude(rows: Sequence[Done]) -> Findings:
    """The table, and bars."""
    whole, main = first(rows, **{"trained on": FULL}), main_figure(rows)
    figures = headline_figures(rows)
    main_table = table(rows, ("trained on", "size"), (*figures, "train seconds", "distil seconds"), whole)
    small = [done for done in rows if done is not whole]
    charts = tuple(
        Chart(
            name,
            "trained on",
            unit(name),
            (curve(small, "", "which", name),),
            "bars",
            level=level_of(whole, name),
        )
        for name in figures
        if name in ("perplexity", "accuracy", "HR@10", "HR@100")
    )
    sentences = (best_sentence(small, "which", main, whole, called=""), counted(rows))
    return Findings((main_table,), charts if small else (), paragraph(sentences))


TREEBANK = Study(
    "treebank",
    "How well does a language model predict after training on 1 % of the tokens, or on fewer or more?",
    grid,
    conclude,
    source="ptb",
)
