"""Pictures of a sweep: seconds and memory against a size, both axes logarithmic."""

from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from benchmarks.metagradient.report import Sweep, exponent

LABELS = {"steps": "T", "vocabulary": "V", "parameters": "P"}


def draw(sweep: Sweep, path: Path) -> None:
    """Draw the sweep to a PNG file; the legend gives each line's exponent."""
    figure = Figure(figsize=(10, 5.2), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    panels = ((sweep.seconds, "seconds a metagradient"), (sweep.mebibytes, "MiB that it adds"))
    for axes, (lines, what) in zip(figure.subplots(1, 2), panels, strict=True):
        for name, points in lines.items():
            drawn = [point for point in points if point[1] > 0]
            if len(drawn) < 2:
                continue
            label = f"{name}, {exponent(drawn):.2f}"
            axes.loglog(*zip(*drawn, strict=True), "o-", label=label, linewidth=1.2, markersize=4)
        sizes = sorted({size for points in lines.values() for size, _ in points})
        apart = [size for size, last in zip(sizes, [0.0, *sizes], strict=False) if size > 1.3 * last]
        axes.set_xticks(apart, labels=[f"{size:,.0f}" for size in apart])
        axes.tick_params(axis="x", which="minor", bottom=False, labelbottom=False)
        axes.set_xlabel(LABELS.get(sweep.over, sweep.over))
        axes.set_ylabel(what)
        axes.grid(alpha=0.3, which="both", linewidth=0.5)
        axes.legend(
            fontsize=7,
            title="contestant, exponent",
            title_fontsize=7,
            loc="upper center",
            bbox_to_anchor=(0.5, -0.14),  # below: a legend inside would hide lines
        )
    figure.savefig(path, metadata={"Software": None})
