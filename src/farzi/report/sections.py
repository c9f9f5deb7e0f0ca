"""The parts of a run's page that tell its figures: what was made, what it reaches, and what it costs."""

import math
from typing import Any

from farzi.evaluation import headline_figures, headlines, kib, metric_of, per_cent, shares
from farzi.markup import Markup, table, tag
from farzi.progress import counted, time_text
from farzi.report.charts import Bar, Line, intervals, lines
from farzi.report.frontier import LINES as FRONTIER
from farzi.report.frontier import SIZES, frontier_points
from farzi.report.plots import validation_shares
from farzi.report.reading import Shown
from farzi.summary import distillation_facts, update_of, whose

COLOURS = {"summary": 0, "initial summary": 1, "full": 5}
"""Classes of the lines and bars of these rows."""


def section(title: str, *content: object) -> Markup:
    """A section of the page, which can be linked to; nothing where all its content is empty."""
    if not any(content):
        return Markup("")
    name = title.lower().replace(" ", "-")
    head = tag("h2", title, id=f"{name}-title")
    return tag("section", head, *content, id=name, aria_labelledby=f"{name}-title")


def figure(chart: Markup, caption: str) -> Markup | None:
    """A chart with its caption; None where there is no chart."""
    return tag("figure", tag("figcaption", caption), chart) if chart else None


def scrolling(content: Markup, label: str) -> Markup:
    """Content that may be wider than the page and then scrolls in a box that the keyboard reaches."""
    return tag("div", content, class_="scroll", role="region", aria_label=label, tabindex=0)


def headline(run: Shown) -> Markup:
    """What the summary is, and the few figures that matter most."""
    summary, tensors = run.summary, run.summary.tensors
    counts = int(summary.vocabulary.frame["count"].sum())
    whole = run.row("full", run.metrics[0])["events"] if run.rows else counts
    events = tensors.sequences * tensors.length
    tiles = [
        _tile("Synthetic events", f"{events:,}", f"{100 * events / max(1, whole):.2g} % of {whole:,}"),
        _tile("Stored", f"{kib(tensors.bytes)} KiB", f"in {tensors.precision}"),
        *_reached(run),
    ]
    if run.rows:
        seconds = {kind: run.row(kind, run.metrics[0])["train_seconds"] for kind in ("full", "summary")}
        times = run.facts.get("speedup") or math.nan
        faster = f"{times:,.0f} times" if times >= 10 else f"{times:.1f} times"
        text = f"{faster} faster than on the full data ({time_text(seconds['full'])})"
        tiles.append(_tile("One training", time_text(seconds["summary"]), text))
    if (spent := summary.run.get("seconds")) is not None:
        even = run.facts.get("break_even_trainings")
        steps = summary.run.get("outer_steps")
        paid = None if even is None else f"paid for after {counted(math.ceil(even), 'training')}"
        taken = None if steps is None else counted(steps, "outer step")
        tiles.append(_tile("Distilling", time_text(spent), paid or taken or ""))
    lead = (
        f"A sequence has {counted(tensors.length, 'position')}, and each position holds a probability "
        f"distribution over {len(summary.vocabulary) - 1:,} {run.event}s. Models are trained on these "
        f"sequences, from random weights, in place of the {run.data} with its {whole:,} training events."
    )
    return Markup(tag("p", lead, class_="lead") + tag("dl", tiles, class_="tiles"))


def _tile(name: str, value: str, text: str) -> Markup:
    return tag("div", tag("dt", name), tag("dd", value), tag("dd", text, class_="note"))


def _reached(run: Shown) -> list[Markup]:
    """The share of the full data's figures, of the test events or else of the validation.

    Of an updated summary, the share of the teacher's.
    """
    if run.rows:
        tiles = []
        for name in headlines(run.metrics):
            parts = run.relative("summary", name)
            text = f"of the full data's on test events ({_between(name, parts)})"
            tiles.append(_tile(name, metric_of(name).ratio(parts["mean"]), text))
        return tiles
    best = next((one for one in reversed(run.summary.history) if one.get("best")), {})
    relative = best.get("relative_to_full", {})
    return [
        _tile(name, metric_of(name).ratio(relative[name]), f"of {whose(run.summary)}, validation")
        for name in headlines(relative)
    ]


def _between(name: str, parts: dict[str, float | None]) -> str:
    """The ends of an interval of ratios: `92 to 127 %`."""
    low, high = (metric_of(name).ratio(parts[end]) for end in ("low", "high"))
    return f"{low.removesuffix(' %')} to {high.removeprefix('× ')}"


def story(run: Shown) -> Markup:
    """How the summary was made: in words, and stage by stage."""
    facts, history = run.summary.run, run.summary.history
    stages: dict[str, Any] = facts.get("stages", {})
    rows = []
    for name, done, gave in _stages(run, stages, history):
        seconds = stages.get(name, {}).get("seconds")
        rows.append((name, done, "–" if seconds is None else time_text(seconds), gave))
    columns = ("stage", "what was done", "took", "figures on the validation data")
    told = table(columns, rows, "What each stage took and gave", numbers=[2])
    return section(
        "How it was made",
        tag("p", distillation_facts(run.summary)),
        scrolling(told, "Stages") if stages else None,
    )


def _stages(run: Shown, stages: dict[str, Any], history: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    def reached(line: dict[str, Any]) -> str:
        return f"of {whose(run.summary)}: {shares(line.get('relative_to_full', {}))}"

    full = headline_figures(run.summary.run.get("validation_full", {}))
    trainings, steps = (stages.get(a, {}).get(b, 0) for a, b in (("teach", "trainings"), ("refine", "steps")))
    selected, updated = run.summary.selected_step, update_of(run.summary) is not None
    kept = "the initial summary" if not selected else f"the state after step {selected:,}"
    best = next((one for one in reversed(history) if one.get("best")), {})
    first, last = (history[0], history[-1]) if history else ({}, {})
    return [
        (
            "teach",
            "training the teacher further, on summary and day"
            if updated
            else f"{counted(trainings, 'training')} on the full data",
            full and f"{'teacher' if updated else 'baseline'}: {full}",
        ),
        (
            "initialise",
            "new items, labels and sequences"
            if updated
            else f'by the initializer "{run.summary.recipe.init.type}"',
            reached(first),
        ),
        ("refine", counted(steps, "outer step"), reached(last) if steps else "no step was taken"),
        ("select", f"{kept} was kept", reached(best)),
    ]


def comparison(run: Shown) -> Markup:
    """The table with intervals, and each headline metric as a chart."""
    if update_of(run.summary) is not None:
        return Markup("")
    if not run.rows:
        command = tag("code", f"farzi compare {run.name}")
        told = ("Not compared with the full data yet: ", command, " adds the test figures.")
        return section("Comparison", tag("p", told))
    names = headlines(run.metrics)
    columns = ("trained on", "events", "KiB", *names, "train s")
    rows = [_row(run, kind, names) for kind in run.kinds]
    caption = (
        f"Test figures of {counted(run.rows[0]['seeds'], 'model')} each, ± half a 95 % interval over models; "
        "below them, the share of the full data's with its 95 % interval over units and models"
    )
    told = table(columns, rows, caption, range(1, len(columns)), [run.kinds.index("summary")])
    charts = [
        figure(_forest(run, name), f"{metric_of(name).of_gain}, % of the full data's") for name in names
    ]
    words = [tag("li", line) for line in run.facts.get("conclusions", ())]
    return section(
        "Comparison",
        scrolling(told, "Comparison"),
        tag("div", charts, class_="charts"),
        tag("ul", words) if words else None,
    )


def _row(run: Shown, kind: str, names: tuple[str, ...]) -> list[object]:
    first = run.row(kind, names[0])

    def sized(text: str, share: str) -> object:
        if kind == "full" or first[share] is None:
            return text
        return [text, tag("small", per_cent(first[share]))]

    cells: list[object] = []
    for name in names:
        row, metric = run.row(kind, name), metric_of(name)
        half = row["mean"] - row["low"]
        digits = 1 if row["unit"] else 2
        text = f"{row['mean']:,.{digits}f}" + (f" ±{half:,.{digits}f}" if row["seeds"] > 1 else "")
        if kind == "full":
            cells.append(text)
            continue
        part = run.relative(kind, name)
        cells.append([text, tag("small", f"{metric.ratio(part['mean'])} ({_between(name, part)})")])
    return [
        kind,
        sized(f"{first['events']:,}", "events_share"),
        sized(kib(first["bytes"]), "bytes_share"),
        *cells,
        sized(f"{first['train_seconds']:,.1f}", "seconds_share"),
    ]


def _forest(run: Shown, name: str) -> Markup:
    """Each row's share of the full data's figure with its interval; more is better."""
    metric, rows = metric_of(name), []
    for kind in run.kinds:
        if kind == "full":
            continue
        part = run.relative(kind, name)
        mean, *ends = (
            math.nan if not (value := part[end]) else 100 * float(metric.gain(value))
            for end in ("mean", "low", "high")
        )
        value = "–" if math.isnan(mean) else f"{mean:.0f} %"
        rows.append(Bar(kind, mean, min(ends), max(ends), COLOURS.get(kind, 3), value))
    label = f"{metric.of_gain} in per cent of the full data's, with 95 % intervals: " + ", ".join(
        f"{one.name} {one.value}" for one in rows
    )
    return intervals(rows, label, "% of the full data's (dashed)", 100.0)


def curves(run: Shown) -> Markup:
    """The validations of the outer loop, its loss and its metagradient."""
    return section("Learning curves", *learning_curves(run.summary.history, whose(run.summary)))


def validation_chart(history: list[dict[str, Any]], of: str = "the full data's") -> Markup | None:
    """The validations' shares of the full data's figures, by outer step; None of a single validation."""
    if len(history) < 2:
        return None
    steps = [line["outer_step"] for line in history]
    shown = validation_shares(history).items()
    ratios = [Line(name, steps, values, place) for place, (name, values) in enumerate(shown)]
    label = f"Validation figures in per cent of {of} by outer step: " + "; ".join(
        f"{one.name} from {one.y[0]:.0f} to {one.y[-1]:.0f}" for one in ratios
    )
    chart = lines(ratios, label, "outer steps", f"% of {of}", reference=100.0)
    return figure(chart, "Validation during the distillation")


def learning_curves(history: list[dict[str, Any]], of: str = "the full data's") -> list[object]:
    """The charts of history.jsonl, and its figures as a table; nothing of a single validation."""
    if len(history) < 2:
        return []
    names = headlines(history[0].get("relative_to_full", {}))
    charts = [validation_chart(history, of)]
    loss = loss_name(history)
    if loss:
        known = [line for line in history if line.get(loss) is not None]
        title = loss.replace("_", " ")
        series = Line(title, [one["outer_step"] for one in known], [one[loss] for one in known])
        charts.append(
            figure(
                lines([series], f"{title} by outer step", "outer steps", "mean since the validation before"),
                f"The objective: {title}",
            )
        )
    known = [line for line in history if line.get("metagradient_norm")]
    if known:
        places = [line["outer_step"] for line in known]
        series = Line("median", places, [line["metagradient_norm"]["median"] for line in known], 2)
        charts.append(
            figure(
                lines(
                    [series],
                    "Median norm of the metagradient by outer step",
                    "outer steps",
                    "since the validation before",
                    zero=True,
                ),
                "The metagradient's norm",
            )
        )
    rows = [
        (
            f"{line['outer_step']:,}",
            *(metric_of(name).ratio(line.get("relative_to_full", {}).get(name)) for name in names),
            "–" if not loss or line.get(loss) is None else f"{line[loss]:.4g}",
            "best so far" if line.get("best") else "",
        )
        for line in history
    ]
    columns = ("outer step", *names, (loss or "loss").replace("_", " "), "")
    told = table(columns, rows, f"Validations, shares of {of}", range(1, len(columns) - 1))
    more = tag("details", tag("summary", "Validations as a table"), scrolling(told, "Validations"))
    return [tag("div", charts, class_="charts"), more]


def loss_name(history: list[dict[str, Any]]) -> str | None:
    """The key of the objective's loss in history.jsonl."""
    fixed = {"outer_step", "metagradient_norm", "steps_without_metagradient", "validation"}
    return next((key for key in history[0] if key not in {*fixed, "relative_to_full", "best"}), None)


def frontier(run: Shown) -> Markup:
    """Quality against size, where there are several summaries."""
    if not run.others:
        return Markup("")
    points = frontier_points(run.others)
    charts = []
    for metric in headlines(point["metric"] for point in points)[:2]:
        for size, title in SIZES.items():
            series = []
            for place, (kind, (name, *_)) in enumerate(FRONTIER.items()):
                ours = [
                    point
                    for point in points
                    if (point["metric"], point["trained_on"]) == (metric, kind)
                    and point["mean"] is not None
                    and point[size]
                ]
                ours.sort(key=lambda point: point[size])
                x = [100 * point[size] for point in ours]
                mean, low, high = ([100 * point[end] for point in ours] for end in ("mean", "low", "high"))
                if ours:
                    series.append(Line(name, x, mean, place, low, high))
            label = f"{metric} in per cent of the full data's, by {title}"
            chart = lines(series, label, title, "% of the full data's", 100.0, log_x=True, zero=True)
            charts.append(figure(chart, f"{metric_of(metric).of_gain} by {size}"))
    text = (
        f"{len(run.others)} summaries of the same {run.data}: what share of the full data's figures each "
        "size reaches, on the test events, with 95 % intervals."
    )
    return section("Frontier", tag("p", text), tag("div", charts, class_="charts"))


def cost(run: Shown) -> Markup:
    """What the distillation took, and after how many trainings that is paid for."""
    stages: dict[str, Any] = run.summary.run.get("stages", {})
    parts = {name: stage.get("seconds") or 0.0 for name, stage in stages.items()}
    charts: list[object] = []
    if parts:
        bars = [Bar(name, took, 0, took, 3, time_text(took)) for name, took in parts.items()]
        label = "Seconds of each stage: " + ", ".join(f"{one.name} {one.value}" for one in bars)
        charts.append(figure(intervals(bars, label, "seconds", solid=True), "What the time went on"))
    text = None
    if run.rows and (spent := run.facts.get("distilling_seconds")) is not None:
        full, ours = (run.row(kind, run.metrics[0])["train_seconds"] for kind in ("full", "summary"))
        even = run.facts.get("break_even_trainings")
        text = (
            f"A training takes {time_text(full)} on the full data and {time_text(ours)} on the summary. "
            f"Distilling took {time_text(spent)}, as much as {spent / full:.1f} trainings on the full data"
            + (
                ", which is never paid for."
                if even is None
                else f": paid for after {counted(math.ceil(even), 'training')}."
            )
        )
        most = max(10, 2 * math.ceil(even or 5))
        count = [0, most]
        unit, name = (
            (3600, "hours")
            if full * most > 7200
            else (60, "minutes")
            if full * most > 120
            else (1, "seconds")
        )
        both = [
            Line("trainings on the full data", count, [full * n / unit for n in count], 5, dots=False),
            Line(
                "distilling, then trainings on the summary",
                count,
                [(spent + ours * n) / unit for n in count],
                0,
                dots=False,
            ),
        ]
        chart = lines(both, f"{name} by trainings; {text}", "trainings", name, zero=True)
        charts.append(figure(chart, f"{name.capitalize()} spent by number of trainings"))
    return section("Cost", tag("p", text) if text else None, tag("div", charts, class_="charts"))
