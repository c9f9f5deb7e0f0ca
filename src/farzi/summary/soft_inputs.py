"""Two representations of soft inputs for the inner loop, and which one a recipe takes.

*Materialized*: X = softmax(D̃ M / τ), (μ, ξ, V), is computed once and read in every inner step. Its cotangent
is as large and is summed over the differentiated steps. *Factored*: X never exists as a whole; each step
computes the probabilities of the sequences that it reads, in chunks. Both give the same numbers up to
rounding.
"""

from collections.abc import Callable

from torch import Tensor

from farzi.recipe import Inner
from farzi.summary.tensors import SummaryTensors

MATERIALIZED_BYTES = 128 * 2**20
"""Larger soft inputs are factored, unless the recipe says otherwise."""


def materialized(summary: SummaryTensors) -> Tensor:
    """X, (μ, ξ, V), differentiable in latents and decoder."""
    return summary.soft_inputs()


def factored(summary: SummaryTensors) -> dict[str, Tensor]:
    """D̃ / τ, (μ, ξ, d), M, (d, V), and M′ if there is one, by their names in `SoftEvents`; differentiable."""
    return summary.soft_events().factors


SOFT_INPUTS: dict[str, Callable[[SummaryTensors], Tensor | dict[str, Tensor]]] = {
    "materialized": materialized,
    "factored": factored,
}
"""By their names in a recipe; each gives what `NextEvent.at` reads."""


def chosen_soft_inputs(inner: Inner, summary: SummaryTensors) -> tuple[str, str]:
    """The representation that a recipe takes, a name in `SOFT_INPUTS`, and the reason.

    It depends on the recipe and on sizes alone, so a resumed run takes the same one on any machine.
    """
    if summary.is_full_logits:
        return "materialized", "full logits have no factors"
    if summary.label_decoder is not None:
        return "factored", "the summary has a label decoder"
    if inner.soft_inputs != "auto":
        return inner.soft_inputs, "set in the recipe"
    size = summary.sequences * summary.length * summary.vocabulary * summary.latents.element_size()
    if inner.batch is not None and inner.batch < summary.sequences:
        return "factored", f"a step reads {inner.batch} of {summary.sequences} sequences"
    limit = f"{MATERIALIZED_BYTES / 2**20:,.0f} MiB"
    if size > MATERIALIZED_BYTES:
        return "factored", f"materialized they take {size / 2**20:,.1f} MiB, more than {limit}"
    return "materialized", f"they take {size / 2**20:,.1f} MiB, not more than {limit}"
