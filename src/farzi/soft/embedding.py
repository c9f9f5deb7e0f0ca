r"""The mean embedding of soft events from their factors, and its first and second derivatives, in chunks.

Soft events are distributions X = softmax(D M), with probability 0 for padding (column 0). D are latents
divided by the temperature, (N, d); M is a decoder, (d, V). A student reads Y = X E, (N, width), for a table E
(V, width). Y and its derivatives are computed in chunks of rows: neither X nor its cotangent, each (N, V),
ever exists as a whole. With P = X and a cotangent Ȳ,

    Ē = Pᵀ Ȳ,    Z̄ = P ∘ (Ȳ Eᵀ − ⟨P, Ȳ Eᵀ⟩),    D̄ = Z̄ Mᵀ,    M̄ = Dᵀ Z̄.

Ē is linear in Ȳ. Its derivatives, for a cotangent U (V, width), are P U and the same Z̄ with U in place of E,
since ⟨U, Pᵀ Ȳ⟩ = ⟨Ȳ, P U⟩. So two kinds of passes are enough for a metagradient; each recomputes the
probabilities. A further derivative of (D̄, M̄) is refused. It is not needed, since D and M are what the outer
loop changes.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from farzi.operations import OneByOne, chunks, operation, or_zeros, save

REFUSAL = "soft_embedding: only the gradient by the table can be differentiated again, and only once"


def soft_embedding(latents: Tensor, decoder: Tensor, table: Tensor) -> Tensor:
    """softmax(D M) E, with probability 0 in column 0, in chunks of rows.

    Twice differentiable in reverse over reverse mode, except for second derivatives by latents or decoder
    alone. In forward mode, latents and decoder cannot have a tangent.

    Args:
        latents: D, (N, d).
        decoder: M, (d, V).
        table: E, (V, width).
    """
    return _Embedding.apply(latents, decoder, table)  # type: ignore[no-any-return]


@dataclass(frozen=True, eq=False)
class SoftEvents:
    """Soft events X = softmax(D M), (B, L, V), as factors. Soft labels are X, or softmax(D M′).

    Attributes:
        latents: D, (B, L, d), already divided by the temperature.
        decoder: M, (d, V); column 0 is padding, whose probability is always 0.
        label_decoder: M′, (d, V), likewise; None if soft labels are the soft inputs.
    """

    latents: Tensor
    decoder: Tensor
    label_decoder: Tensor | None = None

    @property
    def factors(self) -> dict[str, Tensor]:
        """The factors by name, as `farzi.unroll` takes data; `SoftEvents(**factors)` is the inverse."""
        more = {} if self.label_decoder is None else {"label_decoder": self.label_decoder}
        return {"latents": self.latents, "decoder": self.decoder, **more}

    @property
    def labels(self) -> "SoftEvents":
        """The soft labels, as soft events that can be embedded."""
        return self if self.label_decoder is None else SoftEvents(self.latents, self.label_decoder)

    def __getitem__(self, rows: Any) -> "SoftEvents":
        """Some of the sequences, as `X[rows]` selects them."""
        return SoftEvents(self.latents[rows], self.decoder, self.label_decoder)

    def embedded(self, table: Tensor) -> Tensor:
        """X E, (B, L, width), for a table E (V, width)."""
        flat = soft_embedding(self.latents.flatten(0, 1), self.decoder, table)
        return flat.unflatten(0, self.latents.shape[:2])


@dataclass(frozen=True, eq=False)
class LabelledEvents:
    """Materialized soft inputs, and soft labels that differ from them, both (B, L, V)."""

    inputs: Tensor
    labels: Tensor

    @property
    def tensors(self) -> dict[str, Tensor]:
        """Both by name, as `farzi.unroll` takes data; `LabelledEvents(**tensors)` is the inverse."""
        return {"inputs": self.inputs, "labels": self.labels}

    def embedded(self, table: Tensor) -> Tensor:
        """X E, (B, L, width), for a table E (V, width)."""
        return self.inputs @ table

    def __getitem__(self, rows: Any) -> "LabelledEvents":
        """Some of the sequences, as `X[rows]` selects them."""
        return LabelledEvents(self.inputs[rows], self.labels[rows])


Events = Tensor | SoftEvents | LabelledEvents
"""Sequences of events: indices (B, L), soft inputs (B, L, V), these with soft labels, or factors of both."""


def as_events(data: Events | Mapping[str, Tensor]) -> Events:
    """The argument itself, or soft events from a dict of their tensors."""
    if isinstance(data, Mapping):
        return LabelledEvents(**data) if "labels" in data else SoftEvents(**data)
    return data


def probabilities(latents: Tensor, decoder: Tensor) -> Tensor:
    """softmax(D M) of a chunk of rows, (n, V), with 0 in column 0."""
    logits = latents @ decoder
    logits[:, 0] = -torch.inf
    return torch.softmax(logits, dim=-1)


def flops(by_dim: int, by_width: int) -> Callable[..., int]:
    """2 N V d and 2 N V width, each for a number of products."""
    return lambda latents, decoder, table, *_, **__: (
        2 * latents[0] * decoder[1] * (by_dim * latents[1] + by_width * table[1])
    )


def like_inputs(*inputs: Tensor) -> tuple[Tensor, ...]:
    """Empty D̄, M̄, and a third output of the shape of the third input."""
    return tuple(map(torch.empty_like, inputs[:3]))


@operation("soft_embedding", lambda d, m, e: d.new_empty(len(d), e.shape[1]), flops(1, 1))
def embedding(latents: Tensor, decoder: Tensor, table: Tensor) -> Tensor:
    """P E."""
    result = latents.new_empty(len(latents), table.shape[1])
    for rows in chunks(len(latents), decoder.shape[1], arrays=2):
        torch.mm(probabilities(latents[rows], decoder), table, out=result[rows])
    return result


@operation("soft_gathering", lambda d, m, y: d.new_empty(m.shape[1], y.shape[1]), flops(1, 1))
def gathering(latents: Tensor, decoder: Tensor, cotangent: Tensor) -> Tensor:
    """Pᵀ Ȳ."""
    result = latents.new_zeros(decoder.shape[1], cotangent.shape[1])
    for rows in chunks(len(latents), decoder.shape[1], arrays=2):
        result.addmm_(probabilities(latents[rows], decoder).T, cotangent[rows])
    return result


@operation("soft_embedding_backward", like_inputs, flops(3, 2))
def embedding_backward(
    latents: Tensor, decoder: Tensor, table: Tensor, cotangent: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """D̄, M̄ and Ē = Pᵀ Ȳ."""
    table_bar = torch.zeros_like(table)

    def gather(p: Tensor, rows: slice) -> None:
        table_bar.addmm_(p.T, cotangent[rows])

    return *factor_bars(latents, decoder, table, cotangent, gather), table_bar


@operation("soft_gathering_backward", like_inputs, flops(3, 2))
def gathering_backward(
    latents: Tensor, decoder: Tensor, cotangent: Tensor, table: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """D̄, M̄ and P U, for the cotangent U of Pᵀ Ȳ, here called `table`."""
    result = torch.empty_like(cotangent)

    def embed(p: Tensor, rows: slice) -> None:
        torch.mm(p, table, out=result[rows])

    return *factor_bars(latents, decoder, table, cotangent, embed), result


def factor_bars(
    latents: Tensor,
    decoder: Tensor,
    table: Tensor,
    cotangent: Tensor,
    use: Callable[[Tensor, slice], None],
) -> tuple[Tensor, Tensor]:
    """D̄ and M̄; `use` also gets the probabilities of each chunk of rows."""
    latents_bar, decoder_bar = torch.empty_like(latents), torch.zeros_like(decoder)
    for rows in chunks(len(latents), decoder.shape[1], arrays=3):
        p = probabilities(latents[rows], decoder)
        use(p, rows)
        p_bar = cotangent[rows] @ table.T
        z_bar = torch.ops.aten._softmax_backward_data.default(p_bar, p, -1, p.dtype)
        torch.mm(z_bar, decoder.T, out=latents_bar[rows])
        decoder_bar.addmm_(latents[rows].T, z_bar)
    return latents_bar, decoder_bar


class _Differentiable(OneByOne):
    """Saves its inputs; missing cotangents stay None, not zeros."""

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        save(ctx, *inputs)
        ctx.set_materialize_grads(False)


class _Linear(_Differentiable):
    """Linear in its third input."""

    @classmethod
    def jvp(cls, ctx: Any, *tangents: Any) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        latents, decoder, _ = ctx.saved_tensors
        _refuse_tangents(*tangents[:2])
        return cls.apply(latents, decoder, tangents[2])


class _Embedding(_Linear):
    """(D, M, E) ↦ P E."""

    forward = staticmethod(embedding)

    @staticmethod
    def backward(ctx: Any, *cotangents: Any) -> Any:
        return _pulled_back(ctx, cotangents[0], _Gathering, _EmbeddingBackward)


class _Gathering(_Linear):
    """(D, M, Ȳ) ↦ Pᵀ Ȳ."""

    forward = staticmethod(gathering)

    @staticmethod
    def backward(ctx: Any, *cotangents: Any) -> Any:
        return _pulled_back(ctx, cotangents[0], _Embedding, _GatheringBackward)


class _EmbeddingBackward(_Differentiable):
    """(D, M, E, Ȳ) ↦ D̄, M̄, Ē in one pass; Ē can be differentiated again, D̄ and M̄ only by E and Ȳ, forward."""

    forward = staticmethod(embedding_backward)

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Any:
        latents, decoder, table, cotangent = ctx.saved_tensors
        _refuse_tangents(*tangents[:2])
        e_dot, y_dot = or_zeros(tangents[2:], (table, cotangent))
        # Z̄ is linear in Ȳ Eᵀ, whose tangent is one product of wider factors.
        d_bar, m_bar, e_bar = _EmbeddingBackward.apply(
            latents, decoder, torch.cat([table, e_dot], 1), torch.cat([y_dot, cotangent], 1)
        )
        return d_bar, m_bar, e_bar[:, : table.shape[1]]

    @staticmethod
    def backward(ctx: Any, *cotangents: Any) -> Any:
        d_hat, m_hat, u = cotangents
        if d_hat is not None or m_hat is not None:
            raise NotImplementedError(REFUSAL)
        if u is None:
            return None, None, None, None
        latents, decoder, _, cotangent = ctx.saved_tensors
        d_bar, m_bar, y_bar = _GatheringBackward.apply(latents, decoder, cotangent, u)
        return d_bar, m_bar, None, y_bar


class _GatheringBackward(OneByOne):
    """(D, M, Ȳ, U) ↦ D̄, M̄ and P U; a further derivative is refused."""

    forward = staticmethod(gathering_backward)

    @staticmethod
    def backward(ctx: Any, *cotangents: Any) -> Any:
        raise NotImplementedError(REFUSAL)


def _pulled_back(ctx: Any, cotangent: Any, linear: Any, full: Any) -> Any:
    """The inputs' cotangents: by `full`, or by `linear` if those of latents and decoder are not needed."""
    if cotangent is None:
        return None, None, None
    latents, decoder, third = ctx.saved_tensors
    if any(ctx.needs_input_grad[:2]):
        return full.apply(latents, decoder, third, cotangent)
    return None, None, linear.apply(latents, decoder, cotangent)


def _refuse_tangents(*tangents: Any) -> None:
    if any(tangent is not None for tangent in tangents):
        raise NotImplementedError(
            "soft_embedding: latents and decoder cannot have a tangent, only the table can"
        )
