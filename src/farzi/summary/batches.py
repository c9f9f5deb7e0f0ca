"""What a step of the inner loop reads: which sequences of a summary, and their soft inputs in which form.

*Materialized* soft inputs X = softmax(D̃ M / τ), (μ, ξ, V), and soft labels, if these have a decoder of
their own, are computed once and read in every inner step. Their cotangent is as large and is summed over
the differentiated steps. *Factored* soft inputs never exist as a whole: each step computes the probabilities
of the sequences that it reads, in chunks. Both give the same numbers up to rounding.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from farzi.recipe import Inner
from farzi.summary.tensors import SummaryTensors

MATERIALIZED_BYTES = 128 * 2**20
"""Larger soft inputs are factored, unless the recipe says otherwise."""

SOFT_INPUTS: dict[str, Callable[[SummaryTensors], Tensor | dict[str, Tensor]]] = {
    "materialized": lambda summary: summary.materialized(),
    "factored": lambda summary: summary.soft_events().factors,
}
"""By their names in a recipe; each gives what `NextEvent.at` reads, differentiable in the summary's parts."""


def chosen_soft_inputs(inner: Inner, summary: SummaryTensors) -> tuple[str, str]:
    """The form that a recipe takes, a name in `SOFT_INPUTS`, and the reason.

    It depends on the recipe and on sizes alone, so a resumed run takes the same one on any machine.
    """
    if summary.is_full_logits:
        return "materialized", "full logits have no factors"
    if inner.soft_inputs != "auto":
        return inner.soft_inputs, "set in the recipe"
    if inner.batch is not None and inner.batch < summary.sequences:
        return "factored", f"a step reads {inner.batch} of {summary.sequences} sequences"
    arrays = 1 if summary.label_decoder is None else 2
    size = arrays * summary.sequences * summary.length * summary.vocabulary * summary.latents.element_size()
    limit = f"{MATERIALIZED_BYTES / 2**20:,.0f} MiB"
    if size > MATERIALIZED_BYTES:
        return "factored", f"materialized they take {size / 2**20:,.1f} MiB, more than {limit}"
    return "materialized", f"they take {size / 2**20:,.1f} MiB, not more than {limit}"


@dataclass(frozen=True)
class BatchSchedule:
    """Batches of a summary's sequences, one for each step of a training.

    Random permutations of the sequences are concatenated, and each step takes the next `batch` of them. So
    every sequence is read equally often; a batch that spans two permutations may hold a sequence twice.
    Permutation e depends on (seed, e) only: the batches of any steps can be computed without those before.
    A `batch` of None, or of all sequences, is all of them in their own order.
    """

    sequences: int
    batch: int | None
    seed: int
    device: torch.device | str = "cpu"

    def batches(self, first: int, steps: int) -> Sequence[None] | Tensor:
        """The batches of `steps` steps after the first `first`, for `farzi.unroll`.

        Returns:
            Indices (steps, batch), int64; or `steps` times None if a step reads all sequences.
        """
        if self.batch is None or self.batch >= self.sequences:
            return [None] * steps
        epoch, begin = divmod(first * self.batch, self.sequences)
        end = begin + steps * self.batch
        orders = [
            np.random.default_rng([self.seed, 3, epoch + k]).permutation(self.sequences)
            for k in range(end // self.sequences + 1)
        ]
        chosen = np.concatenate(orders)[begin:end].reshape(steps, self.batch)
        return torch.from_numpy(chosen).to(self.device)
