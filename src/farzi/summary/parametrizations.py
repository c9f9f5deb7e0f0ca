"""Parametrizations: which numbers the outer loop changes, and how a summary follows from them.

Every one of them starts from an initial summary with latents and a decoder, and gives `SummaryTensors` again.
Students and the folder on disk depend on the summary alone, not on its parametrization.
"""

from dataclasses import dataclass
from typing import ClassVar, Protocol

import torch
from torch import Tensor

from farzi.summary.tensors import SummaryTensors

Parts = dict[str, Tensor]
"""The numbers that the outer loop changes, by name."""


class Parametrization(Protocol):
    """Which numbers the outer loop changes, and how a summary follows from them.

    Attributes:
        dim: width of the initial summary's latents.
        label_decoder: whether soft labels have a decoder of their own.
    """

    @property
    def dim(self) -> int: ...

    @property
    def label_decoder(self) -> bool: ...

    def parts(self, initial: SummaryTensors) -> Parts:
        """The numbers whose summary is `initial`, or the nearest to it that these numbers can represent.

        They share no memory with `initial`.
        """
        ...

    def summary(self, parts: Parts, temperature: float) -> SummaryTensors:
        """The summary of these numbers, differentiable in all of them."""
        ...


@dataclass(frozen=True)
class LowRank:
    """Latents D̃, (μ, ξ, `dim`), and decoders, (`dim`, V) (Farzi Data, arXiv 2310.09983)."""

    dim: int = 32
    label_decoder: bool = True

    def parts(self, initial: SummaryTensors) -> Parts:
        return initial.detach().parts

    def summary(self, parts: Parts, temperature: float) -> SummaryTensors:
        return SummaryTensors(parts["latents"], parts["decoder"], temperature, parts.get("label_decoder"))


@dataclass(frozen=True)
class FullLogits:
    """One logit for each event at each position, (μ, ξ, V); `dim` is the rank of the initial summary."""

    dim: int = 8
    label_decoder: ClassVar[bool] = False

    def parts(self, initial: SummaryTensors) -> Parts:
        initial = initial.detach()
        return {"logits": initial.latents if initial.is_full_logits else initial.latents @ initial.decoder}

    def summary(self, parts: Parts, temperature: float) -> SummaryTensors:
        logits = parts["logits"]
        return SummaryTensors(logits, logits.new_zeros(0, logits.shape[2]), temperature)


@dataclass(frozen=True)
class Tucker:
    r"""Latents that are a product themselves: D̃[u, t, :] = Σ_ab core[a, b, :] U[u, a] T[t, b].

    Together with the decoder, that is a Tucker decomposition of the logits over sequences, positions and
    events, as in TD3 (arXiv 2502.02854). Here the outer loop learns all factors. TD3 takes those of items
    from a model trained on the full data.

    The first factors are those of a higher-order SVD (De Lathauwer et al. 2000), exact at full ranks. The
    columns of U and T are orthogonal and have mean square 1, so that Adam, which moves all numbers by about
    the same amount, changes all parts alike.

    Attributes:
        dim: d, width of the latents, the rank over events.
        label_decoder: whether soft labels have a decoder M′ of their own.
        sequence_rank: rank over sequences; None, or more than the full rank: the full rank.
        position_rank: rank over positions; likewise.
    """

    dim: int = 32
    label_decoder: bool = True
    sequence_rank: int | None = None
    position_rank: int | None = None

    def parts(self, initial: SummaryTensors) -> Parts:
        if initial.is_full_logits:
            raise ValueError("full logits have no factors, which a Tucker parametrization starts from")
        parts = initial.detach().parts
        latents = parts.pop("latents").double()
        sequences = _directions(latents.flatten(1), self.sequence_rank)
        positions = _directions(latents.transpose(0, 1).flatten(1), self.position_rank)
        scale = len(sequences) * len(positions)
        core = torch.einsum("utd,ua,tb->abd", latents, sequences, positions) / scale
        factors = {"core": core, "sequences": sequences, "positions": positions}
        return {name: part.to(initial.latents).contiguous() for name, part in factors.items()} | parts

    def summary(self, parts: Parts, temperature: float) -> SummaryTensors:
        rows = torch.einsum("ua,abd->ubd", parts["sequences"], parts["core"])
        latents = torch.einsum("ubd,tb->utd", rows, parts["positions"])
        return SummaryTensors(latents, parts["decoder"], temperature, parts.get("label_decoder"))


def _directions(rows: Tensor, rank: int | None) -> Tensor:
    """The left singular vectors of rows (n, m) with the largest values, (n, at most rank), times √n."""
    full = min(rows.shape)
    _, vectors = torch.linalg.eigh(rows @ rows.T)  # eigenvalues ascend
    return vectors[:, -min(full, rank or full) :].flip(1) * len(rows) ** 0.5
