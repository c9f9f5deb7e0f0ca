r"""The recurrence of long short-term memory, with derivatives of every order, as three loops over time.

    i, f, o = σ(x^{ifo}_t + U^{ifo} h_{t−1}),   g = tanh(x^g_t + U^g h_{t−1}),
    c_t = f ∘ c_{t−1} + i ∘ g,   h_t = o ∘ tanh(c_t)

(Hochreiter and Schmidhuber 1997 with the forget gate of Gers et al. 2000; the unit of `torch.nn.LSTM`.) As in
`farzi.models.recurrence.gru` only `lstm_scan` is nonlinear, and the rest is a linear recurrence and its
adjoint. With a = U μ^h_{t−1}, by gates, and shares G_t (i, f, g: of the cell; o: of the output),

    `lstm_push`:  μ^c_t = s^c_t + f_t ∘ μ^c_{t−1} + Σ_{ifg} G_t ∘ a,
                  μ^h_t = s^h_t + d_t ∘ μ^c_t + G^o_t ∘ a^o,
    `lstm_pull`:  λ^h_t = s^h_t + Uᵀ ā_{t+1},   λ^c_t = s^c_t + d_t ∘ λ^h_t + f_{t+1} ∘ λ^c_{t+1},
                  ā_t = G_t ∘ (λ^c_t, λ^c_t, λ^c_t, λ^h_t)

where d = ∂h_t/∂c_t = o ∘ (1 − tanh² c).
"""

from typing import Any

import torch
from torch import Tensor

from farzi.models.recurrence.sequences import after, before, sum_over_time
from farzi.operations import OneByOne, define, or_zeros

Pair = tuple[Tensor, Tensor]


def lstm(x: Tensor, weight: Tensor) -> Tensor:
    """Hidden states, (L, B, width), beginning with zeros.

    Args:
        x: the input's projections for i, f, g and o, (L, B, 4 width), with the bias in them.
        weight: U, (4 width, width).
    """
    states, _ = _Scan.apply(x, weight)
    return states


def _scan(x: Tensor, weight: Tensor) -> Pair:
    width, transposed = weight.shape[1], weight.T
    states, cells = (x.new_empty(*x.shape[:2], width) for _ in range(2))
    state, cell = (x.new_zeros(x.shape[1], width) for _ in range(2))
    gates = torch.empty_like(x[0])
    first, candidate, o = gates[:, : 2 * width], gates[:, 2 * width : 3 * width], gates[:, 3 * width :]
    i, f = first[:, :width], first[:, width:]
    for now, out, cell_out in zip(x, states, cells, strict=True):
        torch.addmm(now, state, transposed, out=gates)
        first.sigmoid_()
        candidate.tanh_()
        o.sigmoid_()
        cell = torch.mul(f, cell, out=cell_out).addcmul_(i, candidate)
        state = torch.tanh(cell, out=out).mul_(o)
    return states, cells


def _push(
    forget: Tensor, shares: Tensor, through: Tensor, weight: Tensor, source: Tensor, cell_source: Tensor
) -> Pair:
    mu, mu_cell = (torch.empty_like(source, memory_format=torch.contiguous_format) for _ in range(2))
    state, cell, transposed = torch.zeros_like(source[0]), torch.zeros_like(source[0]), weight.T
    rows = zip(forget, shares, through, source, cell_source, mu, mu_cell, strict=True)
    for f, g, d, s, s_cell, out, cell_out in rows:
        product = (state @ transposed).view_as(g).mul_(g)
        torch.sum(product[:, :3], 1, out=cell_out)
        cell = cell_out.add_(s_cell).addcmul_(f, cell)
        state = torch.addcmul(s, d, cell, out=out).add_(product[:, 3])
    return mu, mu_cell


def _pull(
    forget: Tensor, shares: Tensor, through: Tensor, weight: Tensor, source: Tensor, cell_source: Tensor
) -> Pair:
    lam, lam_cell = (torch.empty_like(source, memory_format=torch.contiguous_format) for _ in range(2))
    shared = torch.empty_like(
        shares[0], memory_format=torch.contiguous_format
    )  # ā of the step after, (B, 4, width)
    last = len(source) - 1
    rows = list(zip(forget, shares, through, source, cell_source, lam, lam_cell, strict=True))
    for t in range(last, -1, -1):
        _, g, d, s, s_cell, out, cell_out = rows[t]
        if t == last:
            out.copy_(s)
            torch.addcmul(s_cell, d, out, out=cell_out)
        else:
            torch.addmm(s, shared.flatten(1), weight, out=out)
            torch.addcmul(s_cell, d, out, out=cell_out).addcmul_(forget[t + 1], lam_cell[t + 1])
        torch.mul(g[:, :3], cell_out.unsqueeze(1), out=shared[:, :3])
        torch.mul(g[:, 3], out, out=shared[:, 3])
    return lam, lam_cell


def _flops(first: Any, *shapes: Any, out_shape: Any = None, **_: Any) -> int:
    """2 L B · 4 width · width for the products with U."""
    weight = next(shape for shape in shapes if len(shape) == 2)
    return 2 * first[0] * first[1] * weight[0] * weight[1]


def _like(*inputs: Tensor) -> Pair:
    source = inputs[-1]
    return source.new_empty(source.shape), source.new_empty(source.shape)


lstm_scan = define(
    "lstm_scan(Tensor x, Tensor weight) -> (Tensor, Tensor)",
    _scan,
    lambda x, weight: _like(x[..., : weight.shape[1]]),
    _flops,
)
_LINEAR = (
    "(Tensor forget, Tensor shares, Tensor through, Tensor weight, Tensor source, Tensor cell_source)"
    " -> (Tensor, Tensor)"
)
lstm_push = define(f"lstm_push{_LINEAR}", _push, _like, _flops)
lstm_pull = define(f"lstm_pull{_LINEAR}", _pull, _like, _flops)


def _linearised(x: Tensor, weight: Tensor, states: Tensor, cells: Tensor) -> tuple[Tensor, ...]:
    """The forget gate f (L, B, width), G (L, B, 4, width), d (L, B, width), and h before each step."""
    previous, cell = before(states), before(cells)
    products = (previous.flatten(0, 1) @ weight.T).view_as(x)
    i, f, g, o = (x + products).chunk(4, -1)
    i, f, g, o, top = torch.sigmoid(i), torch.sigmoid(f), torch.tanh(g), torch.sigmoid(o), torch.tanh(cells)
    shares = torch.stack([g * i * (1 - i), cell * f * (1 - f), i * (1 - g * g), top * o * (1 - o)], 2)
    return f, shares, o * (1 - top * top), previous


def _by_gate(cell: Tensor, state: Tensor) -> Tensor:
    """What belongs to the cell for the gates i, f, g, and to the output for o, (L, B, 4, width)."""
    return torch.stack([cell, cell, cell, state], 2)


def _products(states: Tensor, weight: Tensor, like: Tensor) -> Tensor:
    """U h for all steps, by gates, (L, B, 4, width)."""
    return (states.flatten(0, 1) @ weight.T).view(like.shape)


def _coefficient_bars(shares: Tensor, weight: Tensor, mu: Pair, lam: Pair) -> tuple[Tensor, ...]:
    """The gradient of Σ_t ⟨λ_t, (what step t makes of μ)⟩ by f, G, d and U."""
    previous, by_gate = before(mu[0]), _by_gate(lam[1], lam[0])
    weight_bar = sum_over_time((shares * by_gate).flatten(2), previous)
    shares_bar = by_gate * _products(previous, weight, shares)
    return lam[1] * before(mu[1]), shares_bar, lam[0] * mu[1], weight_bar


class _Scan(OneByOne):
    @staticmethod
    def forward(x: Tensor, weight: Tensor) -> Pair:
        return lstm_scan(x, weight)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.save_for_backward(*inputs, *output)
        ctx.save_for_forward(*inputs, *output)

    @staticmethod
    def jvp(ctx: Any, *grad_inputs: Any) -> Any:
        x, weight, states, cells = ctx.saved_tensors
        f, shares, d, previous = _linearised(x, weight, states, cells)
        x_dot, weight_dot = or_zeros(grad_inputs, (x, weight))
        moved = shares * (x_dot.view_as(shares) + _products(previous, weight_dot, shares))
        return _Push.apply(f, shares, d, weight, moved[:, :, 3], moved[:, :, :3].sum(2))

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        x, weight, states, cells = ctx.saved_tensors
        f, shares, d, previous = _linearised(x, weight, states, cells)
        lam, lam_cell = _Pull.apply(f, shares, d, weight, *grad_outputs)
        x_bar = (shares * _by_gate(lam_cell, lam)).flatten(2)
        return x_bar, sum_over_time(x_bar, previous)


class _Push(OneByOne):
    @staticmethod
    def forward(*inputs: Tensor) -> Pair:
        return lstm_push(*inputs)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.save_for_backward(*inputs[:4], *output)
        ctx.save_for_forward(*inputs[:4], *output)

    @staticmethod
    def jvp(ctx: Any, *grad_inputs: Any) -> Any:
        f, shares, d, weight, mu, mu_cell = ctx.saved_tensors
        tangents = or_zeros(grad_inputs, (f, shares, d, weight, mu, mu_cell))
        f_dot, shares_dot, d_dot, weight_dot, s_dot, s_cell_dot = tangents
        previous = before(mu)
        moved = shares_dot * _products(previous, weight, shares) + shares * _products(
            previous, weight_dot, shares
        )
        s_dot = s_dot + d_dot * mu_cell + moved[:, :, 3]
        s_cell_dot = s_cell_dot + f_dot * before(mu_cell) + moved[:, :, :3].sum(2)
        return _Push.apply(f, shares, d, weight, s_dot, s_cell_dot)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        f, shares, d, weight, mu, mu_cell = ctx.saved_tensors
        lam = _Pull.apply(f, shares, d, weight, *grad_outputs)
        return *_coefficient_bars(shares, weight, (mu, mu_cell), lam), *lam


class _Pull(OneByOne):
    @staticmethod
    def forward(*inputs: Tensor) -> Pair:
        return lstm_pull(*inputs)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.save_for_backward(*inputs[:4], *output)
        ctx.save_for_forward(*inputs[:4], *output)

    @staticmethod
    def jvp(ctx: Any, *grad_inputs: Any) -> Any:
        f, shares, d, weight, lam, lam_cell = ctx.saved_tensors
        tangents = or_zeros(grad_inputs, (f, shares, d, weight, lam, lam_cell))
        f_dot, shares_dot, d_dot, weight_dot, s_dot, s_cell_dot = tangents
        by_gate = _by_gate(lam_cell, lam)
        moved = (shares_dot * by_gate).flatten(2) @ weight + (shares * by_gate).flatten(2) @ weight_dot
        s_cell_dot = s_cell_dot + d_dot * lam + after(f_dot * lam_cell)
        return _Pull.apply(f, shares, d, weight, s_dot + after(moved), s_cell_dot)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        f, shares, d, weight, lam, lam_cell = ctx.saved_tensors
        mu = _Push.apply(f, shares, d, weight, *grad_outputs)
        return *_coefficient_bars(shares, weight, mu, (lam, lam_cell)), *mu
