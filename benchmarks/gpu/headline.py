"""The small headline: the full data, a summary, and the initial summary, on the device."""

import tempfile
from pathlib import Path

import farzi
from benchmarks.gpu.part import TINY, Found, Row, Setting
from benchmarks.made_log import made_log
from farzi.distillation import Cache
from farzi.progress import Progress


def headline(setting: Setting) -> Found:
    """The demonstration: movielens-small in 20 x 10 positions, 100 outer steps, two students for each row."""
    if setting.quick:
        log, recipe = made_log(60, 40, 12), TINY
    else:
        log = farzi.load_log("movielens-small")
        recipe = farzi.presets.LOG.changed(
            {
                "summary.sequences": 20,
                "summary.length": 10,
                "outer.steps": 100,
                "teach.max_steps": 1200,
                "teach.optimizer.learning_rate": 0.003,
                "teach.grid": {"learning_rate": [0.003]},
                "compare": TINY.compare.model_dump(),
            }
        )
    with tempfile.TemporaryDirectory() as folder:
        cache = Cache(Path(folder))
        common = {"cache": cache, "device": setting.device, "progress": Progress()}
        summary = farzi.distill(log, recipe, **common)
        compared = farzi.compare(summary, log, **common)
    rows: list[Row] = []
    for result in compared.results:
        figures = {f"{name}, %": 100 * float(result.figures(name).mean()) for name in compared.headlines}
        rows.append(
            {"trained on": result.trained_on, "events": result.events, **figures, "seconds": result.seconds}
        )
    stages = summary.run["stages"]
    took = ", ".join(f"{name} {stages[name]['seconds']:.1f} s" for name in ("teach", "refine", "select"))
    return Found(rows, notes=(f"Distilling took {summary.run['seconds']:.0f} s ({took}).",))
