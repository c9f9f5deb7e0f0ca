"""The dataset card beside a summary: front matter for the Hugging Face hub, then how to use it."""

import yaml

from farzi.data import Vocabulary
from farzi.recipe import Recipe
from farzi.summary.tensors import SummaryTensors

LANGUAGE = "language"
"""What `run.json` calls a summary of a text."""


def card(summary: SummaryTensors, vocabulary: Vocabulary, recipe: Recipe, language: bool = False) -> str:
    """The text of the folder's README.md; `language` where the summary is of a text."""
    source = recipe.source
    events, task, whole, none = _TEXT if language else _LOG
    front = yaml.safe_dump(
        {
            "pretty_name": f"Farzi summary of {source}",
            "tags": ["dataset-distillation", task, "farzi"],
            "size_categories": [_size_category(summary.sequences)],
        },
        sort_keys=False,
        allow_unicode=True,
    )
    stored, logits = "as the logits of each", 'parts["latents"]'
    if not summary.is_full_logits:
        stored, logits = f"in factors of rank {summary.dim}", 'parts["latents"] @ parts["decoder"]'
    targets = "" if summary.label_decoder is None else _TARGETS.format(temperature=summary.temperature)
    return f"""---
{front}---

# {summary.sequences} synthetic sequences that stand for {source}

Each of the {summary.sequences} sequences has {summary.length} *soft* events: distributions over
{len(vocabulary) - 1:,} {events}, stored {stored} ({summary.bytes / 1024:,.0f} KiB).
A {recipe.student.type} model trained from scratch on them, with the training in `recipe.yaml`, is meant to
{whole}. The sequences were learnt; none is {none}.

```python
import torch
from safetensors.torch import load_file

parts = load_file("summary.safetensors")
logits = {logits} / {summary.temperature}  # (sequences, length, V)
logits[..., 0] = -torch.inf  # index 0 is padding
events = logits.softmax(-1)
```
{targets}
Index i of an event is row i of `vocabulary.parquet`. With the package: `farzi train`, `farzi compare` and
`farzi inspect` take this folder. `sha256sum -c SHA256SUMS` tells whether it is whole.

The licence of the summary follows from that of the data it was learnt from; it is not stated here.
"""


_TARGETS = """
That is how events are read. As what is to be predicted there they have a decoder of their own:

```python
logits = parts["latents"] @ parts["label_decoder"] / {temperature}
```
"""

_LOG = (
    "items",
    "sequential-recommendation",
    "recommend about as well as one trained on the whole log",
    "a real user's",
)
_TEXT = (
    "tokens",
    "language-modeling",
    "predict text about as well as one trained on all of it",
    "out of the text",
)
"""What the tokens are, the hub's word for the task, what a student can do, and what no sequence is."""


def _size_category(rows: int) -> str:
    """The hub's word for a number of rows."""
    for bound, word in ((1e3, "n<1K"), (1e4, "1K<n<10K"), (1e5, "10K<n<100K")):
        if rows < bound:
            return word
    return "100K<n<1M"
