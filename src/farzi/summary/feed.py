"""How a summary is fed to the inner loop: whole or in factors, all of its sequences at each step or a few.

A whole X = softmax(D̃ M / τ), (μ, ξ, V), is made once and read at every inner step; its cotangent, as large,
is gathered over the steps that are differentiated. In factors nothing of that size ever exists: every step
makes the probabilities of the rows that it reads anew, a few at a time. Both give the same numbers to
rounding.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from farzi.recipe import Inner
from farzi.summary.tensors import SummaryTensors

WHOLE_BYTES = 128 * 2**20
"""Soft events of more bytes are fed in factors where the recipe leaves it open."""


class Feed(Protocol):
    """Makes of a summary the inner loop's data, which `NextEvent.at` reads."""

    def __call__(self, summary: SummaryTensors) -> Tensor | dict[str, Tensor]:
        """A tensor or a dict of tensors, differentiable in the summary's latents and decoder."""
        ...


@dataclass(frozen=True)
class Whole:
    """The soft events themselves."""

    def __call__(self, summary: SummaryTensors) -> Tensor:
        """X, (μ, ξ, V)."""
        return summary.events()


@dataclass(frozen=True)
class Factored:
    """The factors of the soft events."""

    def __call__(self, summary: SummaryTensors) -> dict[str, Tensor]:
        """D̃ / τ, (μ, ξ, d), and M, (d, V), and M′ if there is one, by their names in `SoftEvents`."""
        return summary.soft_events().factors


FEEDS: dict[str, Feed] = {"materialized": Whole(), "factored": Factored()}
"""By the names that a recipe uses."""


def chosen_feed(inner: Inner, summary: SummaryTensors) -> tuple[str, str]:
    """How a summary is fed to a recipe's inner loop, one of `FEEDS`, and why.

    It follows from sizes alone, so that a run goes on as it began wherever it does.
    """
    if summary.is_full_logits:
        return "materialized", "a table has no factors"
    if summary.label_decoder is not None:
        return "factored", "targets of their own are made from factors"
    if inner.soft_inputs != "auto":
        return inner.soft_inputs, "the recipe says so"
    size = summary.sequences * summary.length * summary.vocabulary * summary.latents.element_size()
    whole = f"{size / 2**20:,.1f} MiB of soft events"
    if inner.batch is not None and inner.batch < summary.sequences:
        return "factored", f"a step reads {inner.batch} of {summary.sequences} sequences"
    if size > WHOLE_BYTES:
        return "factored", f"{whole} are more than {WHOLE_BYTES / 2**20:,.0f} MiB"
    return "materialized", f"{whole} are few"


@dataclass(frozen=True)
class BatchSchedule:
    """Which sequences of a summary each step of one training reads.

    They are put in a random order, behind that in another one, and so on; each step takes the next `batch` of
    this row. So each sequence is read equally often, and a step that goes over the end of an order may read
    one twice. The order numbered e is drawn by (seed, e) alone: any step's sequences can be told without
    those before.

    Attributes:
        sequences: μ, how many there are.
        batch: how many a step reads; None, or as many as there are: all, in their own order.
        seed: of the orders.
        device: where the indices lie.
    """

    sequences: int
    batch: int | None
    seed: int
    device: torch.device | str = "cpu"

    def batches(self, first: int, steps: int) -> Sequence[None] | Tensor:
        """The schedule of some steps, for `farzi.unroll`.

        Args:
            first: steps of this training that are behind.
            steps: how many are wanted.

        Returns:
            Indices (steps, batch), or as often None, which stands for all sequences.
        """
        if self.batch is None or self.batch >= self.sequences:
            return [None] * steps
        begin, end = first * self.batch, (first + steps) * self.batch
        orders = range(begin // self.sequences, -(-end // self.sequences))
        row = np.concatenate([np.zeros(0, np.int64), *(self._order(number) for number in orders)])
        begin -= orders.start * self.sequences
        chosen = row[begin : begin + steps * self.batch]
        return torch.from_numpy(chosen.reshape(steps, self.batch)).to(self.device)

    def _order(self, number: int) -> np.ndarray:
        return np.random.default_rng([self.seed, 3, number]).permutation(self.sequences)
