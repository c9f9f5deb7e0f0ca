"""The dataset card beside a summary, with front matter for the Hugging Face hub."""

import textwrap
from typing import Any

import yaml

from farzi.data import Vocabulary
from farzi.recipe import Recipe
from farzi.summary.tensors import SummaryTensors

LANGUAGE = "language"
"""The task in `run.json` of a summary of a text."""


def card(tensors: SummaryTensors, vocabulary: Vocabulary, recipe: Recipe, run: dict[str, Any]) -> str:
    """The text of the folder's README.md.

    Args:
        tensors: the summary's.
        vocabulary: the summary's.
        recipe: of the distillation.
        run: the content of `run.json`.
    """
    source, text = recipe.source, run.get("task") == LANGUAGE
    front = yaml.safe_dump(
        {
            "pretty_name": f"Farzi summary of {source}",
            "tags": [
                "dataset-distillation",
                "language-modeling" if text else "sequential-recommendation",
                "farzi",
            ],
            "size_categories": [_size_category(tensors.sequences)],
        },
        sort_keys=False,
        allow_unicode=True,
    )
    stored = "logits" if tensors.is_full_logits else f"factors of rank {tensors.dim}"
    inputs, labels = 'tensors["latents"]', "soft_inputs"
    if not tensors.is_full_logits:
        inputs += ' @ tensors["decoder"]'
    if tensors.label_decoder is not None:
        labels = 'distributions(tensors["latents"] @ tensors["label_decoder"])'
    kib = tensors.bytes / 1024
    size = f"{len(vocabulary) - 1:,} {'tokens' if text else 'items'}"
    return f"""---
{front}---

# {tensors.sequences} synthetic sequences distilled from {source}

Each of the {tensors.sequences} sequences has {tensors.length} positions. Each position holds a probability
distribution over {size}, stored as {stored} ({kib:,.0f} KiB). The summary
is made for training a {recipe.student.type} model from random weights, with the settings in `recipe.yaml`, in
place of the full data. `farzi compare` measures how good such a model is beside one that is trained on the
full data.

## How it was made

{_bullet(_initial(recipe, text))}
{_bullet(_outer(run))}

Farzi gives no guarantee of privacy.

## How to read it

```python
import torch
from safetensors.torch import load_file

tensors = load_file("summary.safetensors")


def distributions(logits):
    logits = logits / {tensors.temperature}
    logits[..., 0] = -torch.inf  # index 0 is padding
    return logits.softmax(-1)  # (sequences, length, V)


# What a model reads at each position, and what it learns to predict there from the positions before:
soft_inputs = distributions({inputs})
soft_labels = {labels}
```

Index i is row i of `vocabulary.parquet`. With the package: `farzi.Summary.load`, and the commands
`farzi train`, `farzi compare` and `farzi inspect`. `sha256sum -c SHA256SUMS` checks the files.

The licence of the summary depends on that of the data it was distilled from; it is not stated here.
"""


def _initial(recipe: Recipe, text: bool) -> str:
    """Where the initial summary came from."""
    init: Any = recipe.init
    windows = "windows of the text" if text else "windows of real users' events"
    replaced = "each event replaced by a distribution over the events of its class"
    match init.type:
        case "teacher":
            teachers = init.teachers + len(init.others)
            models = f"{teachers} models" if teachers > 1 else "a model"
            made = (
                f"{windows}, {replaced}. Its labels are the predictions of {models} trained on the full data "
                "(knowledge distillation)"
            )
        case "classes":
            made = f"{windows}, {replaced}"
        case "transitions":
            made = f"{windows}, each event replaced by a distribution over the events that follow it"
        case "random":
            made = "random numbers"
        case other:
            made = f"by `{other}`"
    return f"The initial summary: {made}."


def _outer(run: dict[str, Any]) -> str:
    """What the outer loop did, as far as run.json says."""
    steps, selected = run.get("outer_steps"), selected_step(run)
    if steps is None:
        return "`run.json` does not say how many outer steps were taken."
    if steps == 0:
        return "No outer step (data distillation) was taken: this is the initial summary."
    taken = f"Outer steps (data distillation): {steps}"
    if selected is None:
        return f"{taken}."
    if selected == 0:
        return f"{taken}. No later state was better on the validation data: this is the initial summary."
    return f"{taken}. The state after step {selected} was the best on the validation data; it is stored here."


def _bullet(text: str) -> str:
    return textwrap.fill(text, 100, initial_indent="- ", subsequent_indent="  ")


def selected_step(run: dict[str, Any]) -> int | None:
    """The outer step whose state was selected, 0 for the initial summary; None if run.json does not say."""
    return run.get("stages", {}).get("select", {}).get("outer_step")


def _size_category(rows: int) -> str:
    """The hub's word for a number of rows."""
    for bound, word in ((1e3, "n<1K"), (1e4, "1K<n<10K"), (1e5, "10K<n<100K")):
        if rows < bound:
            return word
    return "100K<n<1M"
