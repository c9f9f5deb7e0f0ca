"""Size: more sequences, or longer ones?"""

from collections.abc import Sequence

from research.studies.conclusions import (
    best_sentence,
    counted,
    curve,
    first,
    having,
    headline_figures,
    level_of,
    main_figure,
    table,
    unit,
)
from research.studies.findings import Chart, Findings, paragraph
from research.studies.rows import Done
from research.studies.study import Row, Setting, Study
from research.studies.sweeps import FULL, distilled_row, full_row

SEQUENCES = (10, 25, 50, 100)
LENGTHS = (10, 20, 50)


def grid(setting: Setting) -> Sequence[Row]:
    """The full data, and a summary of each size."""
    rows = [full_row(setting)]
    for length in LENGTHS:
        for sequences in SEQUENCES:
            labels = {"sequences": sequences, "length": length, "size": f"{sequences} x {length}"}
            settings = {"summary.sequences": sequences, "summary.length": length}
            rows.append(distilled_row(setting, f"{sequences}x{length}", labels, settings))
    return rows


def conclude(rows: Sequence[Done]) -> Findings:
    """Quality over the number of sequences, one curve for each length."""
    whole, main = first(rows, **{"trained on": FULL}), main_figure(rows)
    sizes = having(rows, **{"trained on": "summary"})
    figures = (*headline_figures(rows), "KiB", "train seconds", "distil seconds")
    main_table = table(rows, ("trained on", "sequences", "length"), figures, whole)
    lengths = list(dict.fromkeys(done.labels["length"] for done in sizes))
    curves = tuple(curve(having(sizes, length=one), f"of {one} events", "sequences", main) for one in lengths)
    level = level_of(whole, main)
    charts = (Chart("Quality", "sequences", unit(main), curves, log=True, level=level),) if curves else ()
    sentences = (best_sentence(sizes, "size", main, whole), counted(rows))
    return Findings((main_table,), charts, paragraph(sentences))


SIZE = Study("size", "Is it better to have more synthetic sequences or longer ones?", grid, conclude)
