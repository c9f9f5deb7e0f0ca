"""The dataset card beside a summary: front matter for the Hugging Face hub, then how to use it."""

import yaml

from farzi.data import Vocabulary
from farzi.recipe import Recipe
from farzi.summary.summary import Summary


def card(summary: Summary, vocabulary: Vocabulary, recipe: Recipe) -> str:
    """The text of the folder's README.md."""
    source = recipe.data.source
    front = yaml.safe_dump(
        {
            "pretty_name": f"Farzi summary of {source}",
            "tags": ["dataset-distillation", "sequential-recommendation", "farzi"],
            "size_categories": [_size_category(summary.sequences)],
        },
        sort_keys=False,
        allow_unicode=True,
    )
    return f"""---
{front}---

# {summary.sequences} synthetic sequences that stand for {source}

Each of the {summary.sequences} sequences has {summary.length} *soft* events: distributions over
{len(vocabulary) - 1:,} items, stored in factors of rank {summary.dim} ({summary.bytes / 1024:,.0f} KiB).
A {recipe.student.name} model trained from scratch on them, with the training in `recipe.yaml`, is meant to
recommend about as well as one trained on the whole log. The sequences were learnt; none is a real user's.

```python
import torch
from safetensors.torch import load_file

parts = load_file("summary.safetensors")
logits = parts["latents"] @ parts["decoder"] / {summary.temperature}  # (sequences, length, V)
logits[..., 0] = -torch.inf  # index 0 is padding
events = logits.softmax(-1)
```

Index i of an event is row i of `vocabulary.parquet`. With the package: `farzi train`, `farzi compare` and
`farzi inspect` take this folder. `sha256sum -c SHA256SUMS` tells whether it is whole.

The licence of the summary follows from that of the log it was learnt from; it is not stated here.
"""


def _size_category(rows: int) -> str:
    """The hub's word for a number of rows."""
    for bound, word in ((1e3, "n<1K"), (1e4, "1K<n<10K"), (1e5, "10K<n<100K")):
        if rows < bound:
            return word
    return "100K<n<1M"
