r"""The form of a summary: which numbers the outer loop learns, and how a summary follows from them.

All begin at an ordinary first summary, and what they give is one: students, tables and the folder on disk
know nothing of the form.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from farzi.recipe import SummarySettings
from farzi.summary.summary import Summary

Parts = dict[str, Tensor]
"""What is learnt, by name."""


class Form(Protocol):
    """Makes a summary of what is learnt."""

    def parts(self, start: Summary) -> Parts:
        """What is learnt, such that its summary is `start`, or as near to it as the form comes.

        They share no memory with `start`.
        """
        ...

    def summary(self, parts: Parts, temperature: float) -> Summary:
        """Their summary, differentiable in all of them."""
        ...


@dataclass(frozen=True)
class Factors:
    """Latents D̃, (μ, ξ, d), and a decoder M, (d, V), as they are (Farzi Data, arXiv 2310.09983)."""

    def parts(self, start: Summary) -> Parts:
        """See `Form`; exact."""
        return start.detach().parts

    def summary(self, parts: Parts, temperature: float) -> Summary:
        """See `Form`."""
        return Summary(parts["latents"], parts["decoder"], temperature, parts.get("targets"))


@dataclass(frozen=True)
class Table:
    """The logit of every event at every position by itself, (μ, ξ, V): no factors, nothing shared."""

    def parts(self, start: Summary) -> Parts:
        """See `Form`; exact."""
        start = start.detach()
        return {"table": start.latents if start.is_table else start.latents @ start.decoder}

    def summary(self, parts: Parts, temperature: float) -> Summary:
        """See `Form`; a table (`Summary.is_table`)."""
        table = parts["table"]
        return Summary(table, table.new_zeros(0, table.shape[2]), temperature)


@dataclass(frozen=True)
class Tucker:
    r"""Latents that are a product themselves: D̃[u, t, :] = Σ_ab core[a, b, :] U[u, a] T[t, b].

    With the decoder as the factors of events, that is a Tucker decomposition of the logits in sequences,
    positions and events, as in TD3 (arXiv 2502.02854). All of it is learnt from the summary's own
    metagradients; TD3 takes its item factors from a model trained on the full data, which nothing here does.

    Attributes:
        users: rank over sequences; None: as high as any latents need. More than that is the same.
        times: rank over positions; likewise.
    """

    users: int | None = None
    times: int | None = None

    def parts(self, start: Summary) -> Parts:
        """See `Form`; by higher-order SVD (De Lathauwer et al. 2000), exact at full ranks.

        The columns of U and T are orthogonal, of mean square 1: Adam moves all numbers alike.

        Raises:
            ValueError: `start` is a table, which has no factors of events.
        """
        if start.is_table:
            raise ValueError("a table has no factors to begin with")
        start = start.detach()
        latents = start.latents.double()
        users = _directions(latents.flatten(1), self.users)
        times = _directions(latents.transpose(0, 1).flatten(1), self.times)
        core = torch.einsum("utd,ua,tb->abd", latents, users, times) / (len(users) * len(times))
        parts = {"core": core, "users": users, "times": times}
        own = {name: part for name, part in start.parts.items() if name != "latents"}
        return {**{name: part.to(start.latents).contiguous() for name, part in parts.items()}, **own}

    def summary(self, parts: Parts, temperature: float) -> Summary:
        """See `Form`."""
        rows = torch.einsum("ua,abd->ubd", parts["users"], parts["core"])
        latents = torch.einsum("ubd,tb->utd", rows, parts["times"])
        return Summary(latents, parts["decoder"], temperature, parts.get("targets"))


def _directions(rows: Tensor, rank: int | None) -> Tensor:
    """The left singular vectors of rows (n, m) with the largest values, (n, at most rank), times √n."""
    most = min(rows.shape)
    _, vectors = torch.linalg.eigh(rows @ rows.T)  # values rise
    return vectors[:, -min(most, rank or most) :].flip(1) * len(rows) ** 0.5


FORMS: Mapping[str, Callable[[SummarySettings], Form]] = {
    "factors": lambda settings: Factors(),
    "table": lambda settings: Table(),
    "tucker": lambda settings: Tucker(settings.user_rank, settings.time_rank),
}
"""By the names that a recipe uses."""
