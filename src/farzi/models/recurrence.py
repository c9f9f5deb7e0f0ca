r"""Recurrences as single operations with derivatives of every order, as three loops over time each.

Only the first loop of each, `gru_scan` and `lstm_scan`, is nonlinear. Once its states are known, its
derivatives are computed for all steps at once, except for a *linear* recurrence with the Jacobian of a step,
which is solved forwards for tangents (push) and backwards for cotangents (pull). Each of the two is the
adjoint of the other, so that they are closed under differentiation, and autograd records no single steps. A
step is a matrix product and a few elementwise operations. The input's projections x are computed outside, for
all steps at once. Time is the first dimension.

Gated recurrent unit, that of cuDNN and `torch.nn.GRU` (Cho et al., arXiv 1406.1078, the reset gate behind the
product):

    r, z = σ(x^{rz}_t + U^{rz} h_{t−1}),   n = tanh(x^n_t + r ∘ (U^n h_{t−1} + b)),
    h_t = (1 − z) ∘ n + z ∘ h_{t−1},
    J_t v = z_t ∘ v + Σ_g C_t^g ∘ (U^g v),
    `gru_push`:  μ_t = s_t + J_t μ_{t−1},      `gru_pull`:  λ_t = s_t + J_{t+1}ᵀ λ_{t+1}.

Long short-term memory (Hochreiter and Schmidhuber 1997 with the forget gate of Gers et al. 2000; the unit of
`torch.nn.LSTM`):

    i, f, o = σ(x^{ifo}_t + U^{ifo} h_{t−1}),   g = tanh(x^g_t + U^g h_{t−1}),
    c_t = f ∘ c_{t−1} + i ∘ g,   h_t = o ∘ tanh(c_t).

With a = U μ^h_{t−1}, by gates, shares G_t (i, f, g: of the cell; o: of the output), and d = ∂h_t/∂c_t,

    `lstm_push`:  μ^c_t = s^c_t + f_t ∘ μ^c_{t−1} + Σ_{ifg} G_t ∘ a,
                  μ^h_t = s^h_t + d_t ∘ μ^c_t + G^o_t ∘ a^o,
    `lstm_pull`:  λ^h_t = s^h_t + Uᵀ ā_{t+1},   λ^c_t = s^c_t + d_t ∘ λ^h_t + f_{t+1} ∘ λ^c_{t+1},
                  ā_t = G_t ∘ (λ^c_t, λ^c_t, λ^c_t, λ^h_t).
"""

from typing import Any

import torch
from torch import Tensor

from farzi.operations import OneByOne, operation, or_zeros, save

Pair = tuple[Tensor, Tensor]


def gru(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Hidden states, (L, B, width), beginning with zeros.

    Args:
        x: the input's projections for r, z and n, (L, B, 3 width).
        weight: U, (3 width, width).
        bias: b of the candidate's hidden part, (width,).
    """
    return _GRUScan.apply(x, weight, bias)


def lstm(x: Tensor, weight: Tensor) -> Tensor:
    """Hidden states, (L, B, width), beginning with zeros.

    Args:
        x: the input's projections for i, f, g and o, (L, B, 4 width), with the bias in them.
        weight: U, (4 width, width).
    """
    states, _ = _LSTMScan.apply(x, weight)
    return states


# --- for both -----------------------------------------------------------------------------------------------


class _Scan(OneByOne):
    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        save(ctx, *inputs, *(output if isinstance(output, tuple) else (output,)))


class _Linear(OneByOne):
    """The last inputs are the sources, one for each output; a derivative needs the others and the outputs."""

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        outputs = output if isinstance(output, tuple) else (output,)
        save(ctx, *inputs[: -len(outputs)], *outputs)


def _before(states: Tensor) -> Tensor:
    """The state before each step: the given ones, one step later, zeros first."""
    return torch.cat([torch.zeros_like(states[:1]), states[:-1]])


def _after(states: Tensor) -> Tensor:
    """The given states, one step earlier, zeros last."""
    return torch.cat([states[1:], torch.zeros_like(states[:1])])


def _sum_over_time(left: Tensor, right: Tensor) -> Tensor:
    """Σ over time and batch of leftᵀ right, (m, n), for (L, B, m) and (L, B, n)."""
    return left.flatten(0, 1).T @ right.flatten(0, 1)


def _products(states: Tensor, weight: Tensor, like: Tensor) -> Tensor:
    """U h for all steps, in the shape of `like`."""
    return (states.flatten(0, 1) @ weight.T).view(like.shape)


def _flops(first: Any, *shapes: Any, out_shape: Any = None, **_: Any) -> int:
    """2 L B · (width of all gates) · width for the products with U."""
    weight = next(shape for shape in shapes if len(shape) == 2)
    return 2 * first[0] * first[1] * weight[0] * weight[1]


def _like_source(*inputs: Tensor) -> Tensor:
    return inputs[-1].new_empty(inputs[-1].shape)


def _two_like_source(*inputs: Tensor) -> Pair:
    return _like_source(*inputs), _like_source(*inputs)


# --- gated recurrent unit -----------------------------------------------------------------------------------


@operation("gru_scan", lambda x, u, _: x.new_empty(*x.shape[:2], u.shape[1]), _flops)
def gru_scan(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """The states of the gated recurrent unit."""
    width = weight.shape[1]
    states = x.new_empty(*x.shape[:2], width)
    offset = torch.cat([x.new_zeros(2 * width), bias])
    transposed, state = weight.T, x.new_zeros(x.shape[1], width)
    products = torch.empty_like(x[0])
    gates, candidate = products[:, : 2 * width], products[:, 2 * width :]
    reset, update = gates[:, :width], gates[:, width:]
    for for_gates, for_candidate, out in zip(x[..., : 2 * width], x[..., 2 * width :], states, strict=True):
        torch.addmm(offset, state, transposed, out=products)
        gates.add_(for_gates).sigmoid_()
        candidate.mul_(reset).add_(for_candidate).tanh_()
        state = torch.lerp(candidate, state, update, out=out)
    return states


@operation("gru_push", _like_source, _flops)
def gru_push(decay: Tensor, shares: Tensor, weight: Tensor, source: Tensor) -> Tensor:
    """μ, forwards; `decay` is z, `shares` are C."""
    mu = torch.empty_like(source, memory_format=torch.contiguous_format)
    state, transposed = torch.zeros_like(source[0]), weight.T
    for z, c, s, out in zip(decay, shares, source, mu, strict=True):
        product = (state @ transposed).view_as(c).mul_(c)
        torch.sum(product, 1, out=out)
        state = out.add_(s).addcmul_(z, state)
    return mu


@operation("gru_pull", _like_source, _flops)
def gru_pull(decay: Tensor, shares: Tensor, weight: Tensor, source: Tensor) -> Tensor:
    """λ, backwards."""
    lam = torch.empty_like(source, memory_format=torch.contiguous_format)
    state = lam[-1].copy_(source[-1])
    steps = list(zip(decay[1:], shares[1:], source[:-1], lam[:-1], strict=True))
    for z, c, s, out in reversed(steps):
        shared = (c * state.unsqueeze(1)).flatten(1)
        torch.addmm(s, shared, weight, out=out)
        state = out.addcmul_(z, state)
    return lam


def _gru_linearised(x: Tensor, weight: Tensor, bias: Tensor, states: Tensor) -> tuple[Tensor, ...]:
    """For each step: z, C by gate and ∂h/∂x by gate, (L, B, 3, width), and the state before it."""
    previous = _before(states)
    (xr, xz, xn), (ur, uz, un) = x.chunk(3, -1), _products(previous, weight, x).chunk(3, -1)
    r, z, un = torch.sigmoid(xr + ur), torch.sigmoid(xz + uz), un + bias
    n = torch.tanh(xn + r * un)
    through = (1 - z) * (1 - n * n)
    by_reset, by_update = through * un * r * (1 - r), (previous - n) * z * (1 - z)
    shares = torch.stack([by_reset, by_update, through * r], 2)
    return z, shares, torch.stack([by_reset, by_update, through], 2), previous


def _gru_bars(shares: Tensor, weight: Tensor, mu: Tensor, lam: Tensor) -> tuple[Tensor, ...]:
    """The gradient of Σ_t ⟨λ_t, J_t μ_{t−1}⟩ by z, C and U."""
    previous, by_gate = _before(mu), lam.unsqueeze(2)
    weight_bar = _sum_over_time((shares * by_gate).flatten(2), previous)
    return lam * previous, by_gate * _products(previous, weight, shares), weight_bar


class _GRUScan(_Scan):
    forward = staticmethod(gru_scan)

    @staticmethod
    def jvp(ctx: Any, *grad_inputs: Any) -> Any:
        x, weight, bias, states = ctx.saved_tensors
        z, shares, by_input, previous = _gru_linearised(x, weight, bias, states)
        x_dot, weight_dot, bias_dot = or_zeros(grad_inputs, (x, weight, bias))
        source = (by_input * x_dot.view_as(by_input)).sum(2) + shares[:, :, 2] * bias_dot
        source = source + (shares * _products(previous, weight_dot, shares)).sum(2)
        return _GRUPush.apply(z, shares, weight, source)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        x, weight, bias, states = ctx.saved_tensors
        z, shares, by_input, previous = _gru_linearised(x, weight, bias, states)
        lam = _GRUPull.apply(z, shares, weight, grad_outputs[0])
        shared = shares * lam.unsqueeze(2)
        weight_bar = _sum_over_time(shared.flatten(2), previous)
        return (by_input * lam.unsqueeze(2)).flatten(2), weight_bar, shared[:, :, 2].sum((0, 1))


class _GRUPush(_Linear):
    forward = staticmethod(gru_push)

    @staticmethod
    def jvp(ctx: Any, *grad_inputs: Any) -> Any:
        z, shares, weight, mu = ctx.saved_tensors
        z_dot, shares_dot, weight_dot, source_dot = or_zeros(grad_inputs, (z, shares, weight, mu))
        previous = _before(mu)
        products, products_dot = (_products(previous, u, shares) for u in (weight, weight_dot))
        moved = z_dot * previous + (shares_dot * products + shares * products_dot).sum(2)
        return _GRUPush.apply(z, shares, weight, source_dot + moved)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        z, shares, weight, mu = ctx.saved_tensors
        lam = _GRUPull.apply(z, shares, weight, grad_outputs[0])
        return *_gru_bars(shares, weight, mu, lam), lam


class _GRUPull(_Linear):
    forward = staticmethod(gru_pull)

    @staticmethod
    def jvp(ctx: Any, *grad_inputs: Any) -> Any:
        z, shares, weight, lam = ctx.saved_tensors
        z_dot, shares_dot, weight_dot, source_dot = or_zeros(grad_inputs, (z, shares, weight, lam))
        shared, shared_dot = ((c * lam.unsqueeze(2)).flatten(2) for c in (shares, shares_dot))
        moved = z_dot * lam + shared_dot @ weight + shared @ weight_dot
        return _GRUPull.apply(z, shares, weight, source_dot + _after(moved))

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        z, shares, weight, lam = ctx.saved_tensors
        mu = _GRUPush.apply(z, shares, weight, grad_outputs[0])
        return *_gru_bars(shares, weight, mu, lam), mu


# --- long short-term memory ---------------------------------------------------------------------------------


@operation("lstm_scan", lambda x, u: _two_like_source(x[..., : u.shape[1]]), _flops)
def lstm_scan(x: Tensor, weight: Tensor) -> Pair:
    """The states and the cells of long short-term memory."""
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


@operation("lstm_push", _two_like_source, _flops)
def lstm_push(
    forget: Tensor, shares: Tensor, through: Tensor, weight: Tensor, source: Tensor, cell_source: Tensor
) -> Pair:
    """μ of the output and of the cell, forwards; `shares` are G, `through` is d."""
    mu, mu_cell = (torch.empty_like(source, memory_format=torch.contiguous_format) for _ in range(2))
    state, cell, transposed = torch.zeros_like(source[0]), torch.zeros_like(source[0]), weight.T
    rows = zip(forget, shares, through, source, cell_source, mu, mu_cell, strict=True)
    for f, g, d, s, s_cell, out, cell_out in rows:
        product = (state @ transposed).view_as(g).mul_(g)
        torch.sum(product[:, :3], 1, out=cell_out)
        cell = cell_out.add_(s_cell).addcmul_(f, cell)
        state = torch.addcmul(s, d, cell, out=out).add_(product[:, 3])
    return mu, mu_cell


@operation("lstm_pull", _two_like_source, _flops)
def lstm_pull(
    forget: Tensor, shares: Tensor, through: Tensor, weight: Tensor, source: Tensor, cell_source: Tensor
) -> Pair:
    """λ of the output and of the cell, backwards."""
    lam, lam_cell = (torch.empty_like(source, memory_format=torch.contiguous_format) for _ in range(2))
    shared = torch.empty_like(shares[0], memory_format=torch.contiguous_format)  # ā of the step after
    last = len(source) - 1
    rows = list(zip(shares, through, source, cell_source, lam, lam_cell, strict=True))
    for t in range(last, -1, -1):
        g, d, s, s_cell, out, cell_out = rows[t]
        if t == last:
            out.copy_(s)
            torch.addcmul(s_cell, d, out, out=cell_out)
        else:
            torch.addmm(s, shared.flatten(1), weight, out=out)
            torch.addcmul(s_cell, d, out, out=cell_out).addcmul_(forget[t + 1], lam_cell[t + 1])
        torch.mul(g[:, :3], cell_out.unsqueeze(1), out=shared[:, :3])
        torch.mul(g[:, 3], out, out=shared[:, 3])
    return lam, lam_cell


def _lstm_linearised(x: Tensor, weight: Tensor, states: Tensor, cells: Tensor) -> tuple[Tensor, ...]:
    """The forget gate f (L, B, width), G (L, B, 4, width), d (L, B, width), and h before each step."""
    previous, cell = _before(states), _before(cells)
    i, f, g, o = (x + _products(previous, weight, x)).chunk(4, -1)
    i, f, g, o, top = torch.sigmoid(i), torch.sigmoid(f), torch.tanh(g), torch.sigmoid(o), torch.tanh(cells)
    shares = torch.stack([g * i * (1 - i), cell * f * (1 - f), i * (1 - g * g), top * o * (1 - o)], 2)
    return f, shares, o * (1 - top * top), previous


def _by_gate(cell: Tensor, state: Tensor) -> Tensor:
    """What belongs to the cell for the gates i, f, g, and to the output for o, (L, B, 4, width)."""
    return torch.stack([cell, cell, cell, state], 2)


def _lstm_bars(shares: Tensor, weight: Tensor, mu: Pair, lam: Pair) -> tuple[Tensor, ...]:
    """The gradient of Σ_t ⟨λ_t, (what step t makes of μ)⟩ by f, G, d and U."""
    previous, by_gate = _before(mu[0]), _by_gate(lam[1], lam[0])
    weight_bar = _sum_over_time((shares * by_gate).flatten(2), previous)
    shares_bar = by_gate * _products(previous, weight, shares)
    return lam[1] * _before(mu[1]), shares_bar, lam[0] * mu[1], weight_bar


class _LSTMScan(_Scan):
    forward = staticmethod(lstm_scan)

    @staticmethod
    def jvp(ctx: Any, *grad_inputs: Any) -> Any:
        x, weight, states, cells = ctx.saved_tensors
        f, shares, d, previous = _lstm_linearised(x, weight, states, cells)
        x_dot, weight_dot = or_zeros(grad_inputs, (x, weight))
        moved = shares * (x_dot.view_as(shares) + _products(previous, weight_dot, shares))
        return _LSTMPush.apply(f, shares, d, weight, moved[:, :, 3], moved[:, :, :3].sum(2))

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        x, weight, states, cells = ctx.saved_tensors
        f, shares, d, previous = _lstm_linearised(x, weight, states, cells)
        lam, lam_cell = _LSTMPull.apply(f, shares, d, weight, *grad_outputs)
        x_bar = (shares * _by_gate(lam_cell, lam)).flatten(2)
        return x_bar, _sum_over_time(x_bar, previous)


class _LSTMPush(_Linear):
    forward = staticmethod(lstm_push)

    @staticmethod
    def jvp(ctx: Any, *grad_inputs: Any) -> Any:
        f, shares, d, weight, mu, mu_cell = ctx.saved_tensors
        tangents = or_zeros(grad_inputs, (f, shares, d, weight, mu, mu_cell))
        f_dot, shares_dot, d_dot, weight_dot, s_dot, s_cell_dot = tangents
        products, products_dot = (_products(_before(mu), u, shares) for u in (weight, weight_dot))
        moved = shares_dot * products + shares * products_dot
        s_dot = s_dot + d_dot * mu_cell + moved[:, :, 3]
        s_cell_dot = s_cell_dot + f_dot * _before(mu_cell) + moved[:, :, :3].sum(2)
        return _LSTMPush.apply(f, shares, d, weight, s_dot, s_cell_dot)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        f, shares, d, weight, mu, mu_cell = ctx.saved_tensors
        lam = _LSTMPull.apply(f, shares, d, weight, *grad_outputs)
        return *_lstm_bars(shares, weight, (mu, mu_cell), lam), *lam


class _LSTMPull(_Linear):
    forward = staticmethod(lstm_pull)

    @staticmethod
    def jvp(ctx: Any, *grad_inputs: Any) -> Any:
        f, shares, d, weight, lam, lam_cell = ctx.saved_tensors
        tangents = or_zeros(grad_inputs, (f, shares, d, weight, lam, lam_cell))
        f_dot, shares_dot, d_dot, weight_dot, s_dot, s_cell_dot = tangents
        by_gate = _by_gate(lam_cell, lam)
        moved = (shares_dot * by_gate).flatten(2) @ weight + (shares * by_gate).flatten(2) @ weight_dot
        s_cell_dot = s_cell_dot + d_dot * lam + _after(f_dot * lam_cell)
        return _LSTMPull.apply(f, shares, d, weight, s_dot + _after(moved), s_cell_dot)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        f, shares, d, weight, lam, lam_cell = ctx.saved_tensors
        mu = _LSTMPush.apply(f, shares, d, weight, *grad_outputs)
        return *_lstm_bars(shares, weight, mu, (lam, lam_cell)), *mu
