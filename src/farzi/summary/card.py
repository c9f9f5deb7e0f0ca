"""The dataset card beside a summary, with front matter for the Hugging Face hub."""

import json
import re
from typing import TYPE_CHECKING

from farzi.errors import visible
from farzi.recipe.variants import TeacherInit

if TYPE_CHECKING:
    from farzi.summary.summary import Summary


def card(summary: "Summary") -> str:
    """The text of the folder's README.md."""
    tensors, source = summary.tensors, _markdown(summary.recipe.source)
    title = json.dumps(visible(f"Farzi summary of {summary.recipe.source}"), ensure_ascii=False)  # is YAML
    student = _markdown(summary.recipe.student.type)
    tag = "language-modeling" if summary.is_text else "sequential-recommendation"
    events = f"{tensors.vocabulary - 1:,} {'tokens' if summary.is_text else 'items'}"
    stored = "logits" if tensors.is_full_logits else f"factors of rank {tensors.dim}"
    return f"""---
pretty_name: {title}
tags: [dataset-distillation, {tag}, farzi]
---

# {tensors.sequences} synthetic sequences distilled from {source}

Each of the {tensors.sequences} sequences has {tensors.length} positions. Each position holds a probability
distribution over {events}, stored as {stored} ({tensors.bytes / 1024:,.0f} KiB). The summary is made for
training a {student} model from random weights, with the settings in `recipe.yaml`, in
place of the full data. `farzi compare` compares both.

## How it was made

{_markdown(distillation_facts(summary))}

Farzi gives no guarantee of privacy: initial summaries, if not random, come from windows of the real data.

## How to read it

```python
import torch
from safetensors.torch import load_file

tensors = load_file("summary.safetensors")
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
`farzi train`, `farzi compare` and `farzi inspect`. `sha256sum -c SHA256SUMS` checks the files.

The licence of the summary depends on that of the data it was distilled from; it is not stated here.
"""


def _markdown(text: str) -> str:
    """Text that Markdown shows as it is, whatever somebody has put into the name of a file or a class."""
    return re.sub(r"([\\`*_{}\[\]<>#|~&$!])", r"\\\1", visible(text))


def distillation_facts(summary: "Summary") -> str:
    """How a summary was made: its initial labels, the outer steps taken, and the state selected."""
    init = summary.recipe.init
    if isinstance(init, TeacherInit):
        teachers = init.teachers + len(init.others)
        models = "one full-data model" if teachers == 1 else f"{teachers} full-data models"
        start = f"The initial summary holds predictions of {models} (knowledge distillation)."
    else:
        start = f'The initial summary comes from the initializer "{init.type}", without teachers.'
    steps, selected = summary.run.get("outer_steps"), summary.selected_step
    if steps is None or selected is None:
        return start
    if steps == 0:
        return f"{start} No outer step was taken."
    taken = f"Then {steps:,} outer step{'s were' if steps > 1 else ' was'} taken (data distillation)"
    if summary.run.get("stages", {}).get("refine", {}).get("stopped_by_probe"):
        taken += " before the run stopped for lack of gain"
    if selected == 0:
        return f"{start} {taken}; none improved it clearly, so the initial summary was selected."
    return f"{start} {taken}; the state after step {selected:,} was selected."
