"""A summary as a PyTorch data set: soft or hard sequences for anybody's training loop, and a collator.

The loss on soft labels is four lines, which may be copied:

    def soft_loss(logits, labels):  # both (B, L, V); column 0 is padding
        logits = logits.index_fill(-1, torch.zeros(1, dtype=torch.long, device=logits.device), -100.0)
        losses = -(labels * logits.log_softmax(-1)).sum(-1)
        return losses.mean()
"""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from farzi.errors import FarziError
from farzi.summary.tensors import SummaryTensors

Form = Literal["soft", "top", "sampled", "embeddings"]
FORMS = ("soft", "top", "sampled", "embeddings")


class SummaryDataset(Dataset[dict[str, Tensor]]):
    """Training sequences of a summary, each a dict of tensors over its first ξ − 1 positions.

    What a model reads stands beside what it learns to predict there: the label of the next position. By form:

    - "soft": `inputs` and `labels`, distributions over V events, (ξ − 1, V);
    - "top": `input_ids`, `input_weights`, `label_ids` and `label_weights`, (ξ − 1, k): the k most probable
      events and their probabilities. The rest, 1 − their sum, belongs to all other events: `SoftCollator`
      spreads it evenly. Labels are flat: with k = 16 of 1,500 events most of what they say is lost;
    - "sampled": `input_ids` and `labels`, (ξ − 1,), int64: one event drawn at each position, for models and
      losses that know hard events alone. Draw d of sequence i depends on (seed, d, i) only;
    - "embeddings": `inputs_embeds`, (ξ − 1, width), mean rows of a table that stays as it is, and `labels` as
      in "soft".

    Index 0 is padding, which has no probability and is never drawn. Sequences are computed when they are
    read: no more than one is in memory.

    Args:
        tensors: the summary's.
        form: see above.
        top: k, for "top".
        draws: for "sampled": the data set has each sequence so many times, drawn anew.
        seed: of the draws.
        table: for "embeddings", (V, width).

    Raises:
        FarziError: there is no such form, or the table, `top` or `draws` does not fit.
    """

    def __init__(
        self,
        tensors: SummaryTensors,
        form: Form = "soft",
        *,
        top: int = 256,
        draws: int = 1,
        seed: int = 0,
        table: Tensor | None = None,
    ) -> None:
        if form not in FORMS:
            raise FarziError(f"form must be one of {', '.join(FORMS)}, not {form!r}")
        if not top >= 1 or not draws >= 1:
            raise FarziError(f"top and draws must be at least 1, not {top} and {draws}")
        if (table is not None) != (form == "embeddings"):
            raise FarziError('table is for form="embeddings", which needs one')
        if table is not None and (table.ndim != 2 or len(table) != tensors.vocabulary):
            raise FarziError(
                f"table must have a row for each of the {tensors.vocabulary} events, padding included, not "
                f"the shape {tuple(table.shape)}"
            )
        self.tensors, self.form, self.seed = tensors, form, seed
        self.top, self.draws = min(top, tensors.vocabulary - 1), draws
        self.table = None if table is None else table.detach()

    def __len__(self) -> int:
        return self.tensors.sequences * (self.draws if self.form == "sampled" else 1)

    @torch.no_grad()
    def __getitem__(self, index: int) -> dict[str, Tensor]:
        """One sequence, as a dict."""
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        draw, row = divmod(index % len(self), self.tensors.sequences)
        one = self.tensors.select([row])
        inputs, labels = one.soft_inputs()[0, :-1], one.soft_labels()[0, 1:]
        if self.form == "soft":
            return {"inputs": inputs, "labels": labels}
        if self.table is not None:
            return {"inputs_embeds": inputs.to(self.table) @ self.table, "labels": labels}
        if self.form == "top":
            return {
                f"{name}_{part}": value
                for name, soft in (("input", inputs), ("label", labels))
                for part, value in zip(("ids", "weights"), self._top(soft))
            }
        generator = torch.Generator().manual_seed(self._number(draw, row))
        ids = [torch.multinomial(soft.cpu(), 1, generator=generator)[:, 0] for soft in (inputs, labels)]
        return {"input_ids": ids[0], "labels": ids[1]}

    def _top(self, soft: Tensor) -> tuple[Tensor, Tensor]:
        weights, ids = soft[:, 1:].topk(self.top, dim=-1)
        return ids + 1, weights

    def _number(self, draw: int, row: int) -> int:
        return int(np.random.default_rng([self.seed, draw, row]).integers(2**62))


class SoftCollator:
    """Batches of a `SummaryDataset` in the form "soft" or "top" as dense tensors, for any trainer.

    Without an embedding a batch has `inputs` and `labels`, (B, L, V): what a `LightningModule` reads. With
    one it has `inputs_embeds`, (B, L, width), and `labels`: what the `Trainer` of Hugging Face passes to a
    causal model, with `compute_loss_func=soft_loss`. Gradients flow through `inputs_embeds` into the
    embedding. (The Trainer's loader prepares batches one ahead: they are embedded by the table of one step
    before.)

    Args:
        vocabulary: V.
        embedding: the model's, such as `model.get_input_embeddings()`; None gives distributions.
    """

    def __init__(self, vocabulary: int, embedding: nn.Module | None = None) -> None:
        self.vocabulary, self.embedding = vocabulary, embedding

    def __call__(self, sequences: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
        """A batch of sequences."""
        batch = {name: torch.stack([one[name] for one in sequences]) for name in sequences[0]}
        if "input_ids" in batch and "label_ids" not in batch:
            return batch  # sampled: hard events need nothing
        if "label_ids" in batch:
            batch = {
                "inputs": self._dense(batch["input_ids"], batch["input_weights"]),
                "labels": self._dense(batch["label_ids"], batch["label_weights"]),
            }
        if self.embedding is None:
            return batch
        weight: Any = self.embedding.weight
        return {"inputs_embeds": batch["inputs"].to(weight) @ weight, "labels": batch["labels"]}

    def _dense(self, ids: Tensor, weights: Tensor) -> Tensor:
        """Distributions (..., V): what the given events leave is spread evenly over the others."""
        others = max(1, self.vocabulary - 1 - ids.shape[-1])
        rest = (1 - weights.sum(-1, keepdim=True)).clamp(min=0) / others
        dense = rest.expand(*ids.shape[:-1], self.vocabulary).clone()
        dense[..., 0] = 0.0
        return dense.scatter_(-1, ids, weights)
