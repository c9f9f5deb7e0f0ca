r"""The form of a summary: which numbers the outer loop learns, and how a summary follows from them.

All begin at an ordinary first summary, and what they give is one: students, tables and the folder on disk
know nothing of the form.
"""

from dataclasses import dataclass
from typing import ClassVar, Protocol

import torch
from torch import Tensor

from farzi.summary.tensors import SummaryTensors

Parts = dict[str, Tensor]
"""What is learnt, by name."""


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

    def parts(self, start: SummaryTensors) -> Parts:
        """What is learnt, such that its summary is `start`, or as near to it as the form comes.

        They share no memory with `start`.
        """
        ...

    def summary(self, parts: Parts, temperature: float) -> SummaryTensors:
        """Their summary, differentiable in all of them."""
        ...


@dataclass(frozen=True)
class LowRank:
    """Latents D̃, (μ, ξ, d), and a decoder M, (d, V), as they are (Farzi Data, arXiv 2310.09983).

    Attributes:
        dim: d.
        label_decoder: whether soft labels have a decoder M′ of their own.
    """

    dim: int = 32
    label_decoder: bool = True

    def parts(self, start: SummaryTensors) -> Parts:
        """See `Parametrization`; exact."""
        return start.detach().parts

    def summary(self, parts: Parts, temperature: float) -> SummaryTensors:
        """See `Parametrization`."""
        return SummaryTensors(parts["latents"], parts["decoder"], temperature, parts.get("label_decoder"))


@dataclass(frozen=True)
class FullLogits:
    """The logit of every event at every position by itself, (μ, ξ, V): no factors, nothing shared.

    Attributes:
        dim: rank of the initial summary.
    """

    dim: int = 8
    label_decoder: ClassVar[bool] = False

    def parts(self, start: SummaryTensors) -> Parts:
        """See `Parametrization`; exact."""
        start = start.detach()
        return {"table": start.latents if start.is_full_logits else start.latents @ start.decoder}

    def summary(self, parts: Parts, temperature: float) -> SummaryTensors:
        """See `Parametrization`; a table (`SummaryTensors.is_table`)."""
        table = parts["table"]
        return SummaryTensors(table, table.new_zeros(0, table.shape[2]), temperature)


@dataclass(frozen=True)
class Tucker:
    r"""Latents that are a product themselves: D̃[u, t, :] = Σ_ab core[a, b, :] U[u, a] T[t, b].

    With the decoder as the factors of events, that is a Tucker decomposition of the logits in sequences,
    positions and events, as in TD3 (arXiv 2502.02854). All of it is learnt from the summary's own
    metagradients; TD3 takes its item factors from a model trained on the full data, which nothing here does.

    Attributes:
        dim: d, width of the latents, the rank over items.
        label_decoder: whether soft labels have a decoder M′ of their own.
        sequence_rank: rank over sequences; None: as high as any latents need. More than that is the same.
        position_rank: rank over positions; likewise.
    """

    dim: int = 32
    label_decoder: bool = True
    sequence_rank: int | None = None
    position_rank: int | None = None

    def parts(self, start: SummaryTensors) -> Parts:
        """See `Parametrization`; by higher-order SVD (De Lathauwer et al. 2000), exact at full ranks.

        The columns of U and T are orthogonal, of mean square 1: Adam moves all numbers alike.

        Raises:
            ValueError: `start` is a table, which has no factors of events.
        """
        if start.is_full_logits:
            raise ValueError("a table has no factors to begin with")
        start = start.detach()
        latents = start.latents.double()
        users = _directions(latents.flatten(1), self.sequence_rank)
        times = _directions(latents.transpose(0, 1).flatten(1), self.position_rank)
        core = torch.einsum("utd,ua,tb->abd", latents, users, times) / (len(users) * len(times))
        parts = {"core": core, "users": users, "times": times}
        own = {name: part for name, part in start.parts.items() if name != "latents"}
        return {**{name: part.to(start.latents).contiguous() for name, part in parts.items()}, **own}

    def summary(self, parts: Parts, temperature: float) -> SummaryTensors:
        """See `Parametrization`."""
        rows = torch.einsum("ua,abd->ubd", parts["users"], parts["core"])
        latents = torch.einsum("ubd,tb->utd", rows, parts["times"])
        return SummaryTensors(latents, parts["decoder"], temperature, parts.get("label_decoder"))


def _directions(rows: Tensor, rank: int | None) -> Tensor:
    """The left singular vectors of rows (n, m) with the largest values, (n, at most rank), times √n."""
    most = min(rows.shape)
    _, vectors = torch.linalg.eigh(rows @ rows.T)  # values rise
    return vectors[:, -min(most, rank or most) :].flip(1) * len(rows) ** 0.5
