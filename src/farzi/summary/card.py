"""The dataset card beside a summary, with front matter for the Hugging Face hub."""

import json
import re
from typing import TYPE_CHECKING, Any

from farzi.errors import visible
from farzi.progress import counted, time_text
from farzi.recipe.variants import TeacherInit

if TYPE_CHECKING:
    from farzi.summary.summary import Summary

ALIKE = 80
"""Per cent of its positions at which a sequence matches a real window to be counted as a copy of it."""

STAGES = {
    "teach": "full-data trainings",
    "initialise": "initial summary",
    "refine": "outer steps",
    "select": "validations",
}


def card(summary: "Summary", license: str | None = None, comparison: str = "") -> str:
    """The text of the folder's README.md.

    Args:
        summary: what it is about.
        license: a licence as the hub names it; "unknown" if left out.
        comparison: the table and sentences of a comparison with the full data.
    """
    tensors, source = summary.tensors, _markdown(summary.recipe.source)
    title = json.dumps(visible(f"Farzi summary of {summary.recipe.source}"), ensure_ascii=False)  # is YAML
    student = _markdown(summary.recipe.student.type)
    tag = "language-modeling" if summary.is_text else "sequential-recommendation"
    events = f"{tensors.vocabulary - 1:,} {'tokens' if summary.is_text else 'items'}"
    stored = "logits" if tensors.is_full_logits else f"factors of rank {tensors.dim}"
    measured = (
        f"## What it reaches\n\n{facts}\n\n" if (facts := comparison.strip() or figures_fact(summary)) else ""
    )
    updated = update_of(summary) is not None
    compares = "" if updated else " `farzi compare` compares both."
    commands = "`farzi train`, `farzi recommend`" if updated else "`farzi train`, `farzi compare`"
    terms = (
        "The licence of the summary depends on that of the data it was distilled from; it is not stated here."
        if license is None
        else f"Licence: {_markdown(license)}."
    )
    return f"""---
pretty_name: {title}
license: {json.dumps("unknown" if license is None else visible(license))}
tags: [dataset-distillation, {tag}, farzi]
size_categories: ["{_size_category(tensors.sequences)}"]
configs:
- config_name: vocabulary
  data_files: vocabulary.parquet
---

# {counted(tensors.sequences, "synthetic sequence")} distilled from {source}

A sequence has {counted(tensors.length, "position")}. Each position holds a probability
distribution over {events}, stored as {stored} in
{tensors.precision} ({tensors.bytes / 1024:,.0f} KiB). The summary is made for training a {student} model from
random weights, with the settings in `recipe.yaml`, in place of the full data.{compares}

## How it was made

{_markdown(distillation_facts(summary))}

{measured}## Limits

{_privacy_fact(summary)}
{nearness_fact(summary)}
It holds for these {events}, and was optimised for the model and the training in `recipe.yaml`:
others need their own learning rate. Hard events made from it lose the soft part.

## How to read it

```python
import torch
from safetensors.torch import load_file

tensors = load_file("summary.safetensors")  # with "latents_scale" and so on where there are scales
names = [name for name in tensors if not name.endswith("_scale")]
tensors = {{name: tensors[name] * tensors.get(name + "_scale", 1.0) for name in names}}
latents = tensors["latents"]  # (sequences, length, d)


def distributions(decoder):
    logits = (latents @ decoder if len(decoder) else latents) / {tensors.temperature}
    logits[..., 0] = -torch.inf  # index 0 is padding
    return logits.softmax(-1)  # (sequences, length, V)


# What a model reads at each position, and what it learns to predict there from the positions before:
soft_inputs = distributions(tensors["decoder"])
soft_labels = distributions(tensors.get("label_decoder", tensors["decoder"]))
```

Index i is row i of `vocabulary.parquet`. With the package: `farzi.Summary.load`, and the commands
{commands} and `farzi inspect`. `sha256sum -c SHA256SUMS` checks the files.

{terms}
"""


def figures_fact(summary: "Summary") -> str:
    """The shares of the full data's figures that the selected state had in validation; empty if unknown."""
    best = next((line for line in reversed(summary.history) if line.get("best")), {})
    shares = {name: share for name, share in best.get("relative_to_full", {}).items() if share is not None}
    if not shares:
        return ""
    reached = ", ".join(f"{_markdown(name)} {100 * share:.0f} %" for name, share in shares.items())
    if update_of(summary) is not None:
        return (
            "On held-out events of the day, models trained on the summary had these shares of "
            f"{whose(summary)} figures: {reached}. The state was selected by them; "
            "figures on other events are in `run.json`."
        )
    return (
        "On the validation data, models trained on the summary had these shares of the full data's figures: "
        f"{reached}. "
        "The state was selected by them; `farzi compare` measures it on the test data, beside controls."
    )


def _size_category(sequences: int) -> str:
    """The hub's word for a number of rows."""
    if sequences < 1000:
        return "n<1K"
    ends = {10**4: "1K<n<10K", 10**5: "10K<n<100K", 10**6: "100K<n<1M"}
    return next((word for end, word in ends.items() if sequences < end), "1M<n<10M")


def _markdown(text: str) -> str:
    """Text that Markdown shows as it is, whatever somebody has put into the name of a file or a class."""
    return re.sub(r"([\\`*_{}\[\]<>#|~&$!])", r"\\\1", visible(text))


def update_of(summary: "Summary") -> dict[str, Any] | None:
    """What the last `farzi update` stored about itself; None of a summary as it was distilled."""
    return summary.run.get("update")


def whose(summary: "Summary") -> str:
    """Whose figures the validations are shares of, in the genitive."""
    return "the full data's" if update_of(summary) is None else "the updated teacher's"


def no_comparison(summary: "Summary", name: str) -> str | None:
    """Why an updated summary cannot be measured on the log it was distilled from; None of another."""
    if update_of(summary) is None:
        return None
    return (
        f"{name}: lacks the days that the summary was updated with; use the summary before its updates, "
        "or measure an update by `farzi update --compare LOG`"
    )


def distillation_facts(summary: "Summary") -> str:
    """How a summary was made: initial labels, outer steps, the state selected, time, and on what it ran."""
    if (update := update_of(summary)) is not None:
        return _update_facts(summary, update)
    init = summary.recipe.init
    if isinstance(init, TeacherInit):
        teachers = init.teachers + len(init.others)
        models = "one full-data model" if teachers == 1 else f"{teachers} full-data models"
        sampled = "sequences sampled from their predictions, which are nobody's"
        of = sampled if _is_sampled(summary) else "real sequences"
        start = f"The initial summary holds predictions of {models} (knowledge distillation), on {of}."
    else:
        start = f'The initial summary comes from the initializer "{init.type}", without teachers.'
    steps, selected = summary.run.get("outer_steps"), summary.selected_step
    if steps is None or selected is None:
        return start
    parts = (start, _outer_steps(summary, steps, selected), _time(summary), _sessions(summary))
    return " ".join(filter(None, parts))


def _update_facts(summary: "Summary", update: dict[str, Any]) -> str:
    """What the last update was made of, and what of it was kept."""
    day, kept = update["day"], update["kept"]
    times, step = len(update["days"]), kept["outer_step"]
    steps = summary.run.get("outer_steps") or 0
    after = f"the state after step {step:,} was selected" if step else "none was kept"
    parts = [
        f"The summary was distilled, then updated {'once' if times == 1 else f'{times:,} times'}; the last "
        f"update read {counted(day['events'], 'event')} with {counted(day['new_items'], 'new item')}.",
        "The teacher, trained further on them where that helped, made the labels anew, "
        f"and {counted(kept['replaced'], 'sequence')} of its samples replaced others."
        if kept["labels"]
        else "Its labels and its sequences stayed.",
        f"{counted(steps, 'outer step')}: {after}." if steps else "No outer step was taken.",
        f"The update took {time_text(update['seconds'])}.",
    ]
    return " ".join(parts)


def _is_sampled(summary: "Summary") -> bool:
    """Whether the initial sequences were drawn from teachers."""
    init = summary.recipe.init
    return isinstance(init, TeacherInit) and init.sequences == "sampled"


def _privacy_fact(summary: "Summary") -> str:
    """What the sequences come from, and that nothing is guaranteed."""
    why = (
        "models that learnt from the real data may repeat parts of it"
        if _is_sampled(summary)
        else "initial summaries, if not random, come from windows of the real data"
    )
    return f"Farzi gives no guarantee of privacy: {why}."


def nearness_fact(summary: "Summary") -> str:
    """How many sequences repeat real data; empty if that was not measured."""
    near = summary.run.get("nearest_real")
    if near is None:
        return ""
    length, count = near["positions"], len(near["equal"])
    many = sum(100 * equal >= ALIKE * length for equal in near["equal"])
    window = "a passage of the training text" if summary.is_text else "one real user's window"
    if update_of(summary) is not None:
        window = "one user's window of the last day (earlier days were not compared)"
    return (
        f"{many:,} of {counted(count, 'sequence')} match {window} at {ALIKE} % of their positions or more, "
        "by their most probable events; the longest run of equal events has "
        f"{max(near['longest_run'])} of {length}."
    )


def _outer_steps(summary: "Summary", steps: int, selected: int) -> str:
    """The outer steps that were taken, and the state selected."""
    stages, minutes = summary.run.get("stages", {}), summary.recipe.outer.minutes
    refine, select = stages.get("refine", {}), stages.get("select", {})
    if steps == 0 and minutes is not None:
        over = "was" if minutes == 1 else "were"
        return (
            f"The {counted(minutes, 'minute')} {over} over before the first outer step: what is kept is the "
            "initial summary."
        )
    if steps == 0:
        return "No outer step was taken."
    taken = f"Then {counted(steps, 'outer step')} {'were' if steps > 1 else 'was'} taken (data distillation)"
    if refine.get("stopped_by_probe"):
        taken += " before the run stopped for lack of gain"
    if lost := refine.get("without_metagradient"):
        taken += f", {lost:,} of them without a finite metagradient"
    if events := refine.get("backed_off"):
        taken += f", with {counted(len(events), 'return')} to the best state at a lower rate"
    if selected:
        return f"{taken}; the state after step {selected:,} was selected."
    clearly = "none improved it clearly"
    if (select.get("gain") or 0) < 0:
        clearly = "none was better"
    elif select.get("gain") is not None:
        clearly += (
            f" (at best by {100 * select['gain']:.1f} % of the full data's figures, where more than "
            f"{100 * select['gain_needed']:.1f} % would be clear of the validation's noise)"
        )
    return f"{taken}; {clearly}, so the initial summary was selected."


def _time(summary: "Summary") -> str:
    """What the time went on."""
    stages, seconds = summary.run.get("stages", {}), summary.run.get("seconds")
    if seconds is None or not set(STAGES) <= set(stages):
        return ""
    parts = ", ".join(f"{what} {time_text(stages[stage]['seconds'])}" for stage, what in STAGES.items())
    return f"It took {time_text(seconds)}: {parts}."


def _sessions(summary: "Summary") -> str:
    """On what it was computed, and whether that changed."""
    sessions = summary.run.get("sessions", [])
    if not sessions:
        return ""
    places = dict.fromkeys(
        f"{counted(one['threads'], 'thread')}, PyTorch {one['torch']}, {one['device']}" for one in sessions
    )
    resumed = "" if len(sessions) == 1 else f", resumed {counted(len(sessions) - 1, 'time')}"
    return f"It ran on {'; then on '.join(places)}{resumed}."
