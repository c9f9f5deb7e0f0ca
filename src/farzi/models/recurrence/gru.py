r"""The recurrence of a gated recurrent unit, with derivatives of every order, as three loops over time.

    r, z = σ(x^{rz}_t + U^{rz} h_{t−1}),   n = tanh(x^n_t + r ∘ (U^n h_{t−1} + b)),
    h_t = (1 − z) ∘ n + z ∘ h_{t−1},

where the input's projections x (L, B, 3 width; r, z, n) are computed outside, for all steps at once. The unit
is that of cuDNN and `torch.nn.GRU` (Cho et al., arXiv 1406.1078, the reset gate behind the product).

Only `gru_scan` is nonlinear. Once its states are known, its derivatives are computed for all steps at once,
except for a *linear* recurrence with the Jacobian of h_t by h_{t−1},

    J_t v = z_t ∘ v + Σ_g C_t^g ∘ (U^g v),

which is solved forwards for tangents (`gru_push`: μ_t = s_t + J_t μ_{t−1}) and backwards for cotangents
(`gru_pull`: λ_t = s_t + J_{t+1}ᵀ λ_{t+1}). Each of the two is the adjoint of the other, so that they are
closed under differentiation, and autograd records no single steps. A step is a matrix product and two or
three elementwise operations.
"""

from typing import Any

import torch
from torch import Tensor

from farzi.models.recurrence.sequences import after, before, sum_over_time
from farzi.operations import OneByOne, define, or_zeros


def gru(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Hidden states, (L, B, width), beginning with zeros.

    Args:
        x: the input's projections for r, z and n, (L, B, 3 width).
        weight: U, (3 width, width).
        bias: b of the candidate's hidden part, (width,).
    """
    return _Scan.apply(x, weight, bias)


def _scan(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
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


def _push(decay: Tensor, shares: Tensor, weight: Tensor, source: Tensor) -> Tensor:
    mu = torch.empty_like(source, memory_format=torch.contiguous_format)
    state, transposed = torch.zeros_like(source[0]), weight.T
    for z, c, s, out in zip(decay, shares, source, mu, strict=True):
        product = (state @ transposed).view_as(c).mul_(c)
        torch.sum(product, 1, out=out)
        state = out.add_(s).addcmul_(z, state)
    return mu


def _pull(decay: Tensor, shares: Tensor, weight: Tensor, source: Tensor) -> Tensor:
    lam = torch.empty_like(source, memory_format=torch.contiguous_format)
    state = lam[-1].copy_(source[-1])
    steps = zip(
        reversed(decay.unbind()[1:]),
        reversed(shares.unbind()[1:]),
        reversed(source.unbind()[:-1]),
        reversed(lam.unbind()[:-1]),
        strict=True,
    )
    for z, c, s, out in steps:
        shared = (c * state.unsqueeze(1)).flatten(1)
        torch.addmm(s, shared, weight, out=out)
        state = out.addcmul_(z, state)
    return lam


def _flops(x: Any, *shapes: Any, out_shape: Any = None, **_: Any) -> int:
    """2 L B · 3 width · width for the products with U."""
    weight = next(shape for shape in shapes if len(shape) == 2)
    return 2 * x[0] * x[1] * weight[0] * weight[1]


gru_scan = define(
    "gru_scan(Tensor x, Tensor weight, Tensor bias) -> Tensor",
    _scan,
    lambda x, weight, bias: x.new_empty(*x.shape[:2], weight.shape[1]),
    _flops,
)
gru_push = define(
    "gru_push(Tensor decay, Tensor shares, Tensor weight, Tensor source) -> Tensor",
    _push,
    lambda decay, shares, weight, source: source.new_empty(source.shape),
    _flops,
)
gru_pull = define(
    "gru_pull(Tensor decay, Tensor shares, Tensor weight, Tensor source) -> Tensor",
    _pull,
    lambda decay, shares, weight, source: source.new_empty(source.shape),
    _flops,
)


def _linearised(
    x: Tensor, weight: Tensor, bias: Tensor, states: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """For each step: z, C by gate and ∂h/∂x by gate, (L, B, 3, width), and the state before it."""
    previous = before(states)
    products = (previous.flatten(0, 1) @ weight.T).view_as(x)
    (xr, xz, xn), (ur, uz, un) = x.chunk(3, -1), products.chunk(3, -1)
    r, z, un = torch.sigmoid(xr + ur), torch.sigmoid(xz + uz), un + bias
    n = torch.tanh(xn + r * un)
    through = (1 - z) * (1 - n * n)
    by_reset, by_update = through * un * r * (1 - r), (previous - n) * z * (1 - z)
    shares = torch.stack([by_reset, by_update, through * r], 2)
    return z, shares, torch.stack([by_reset, by_update, through], 2), previous


def _coefficient_bars(shares: Tensor, weight: Tensor, mu: Tensor, lam: Tensor) -> tuple[Tensor, ...]:
    """The gradient of Σ_t ⟨λ_t, J_t μ_{t−1}⟩ by z, C and U."""
    previous = before(mu)
    products = (previous.flatten(0, 1) @ weight.T).view_as(shares)
    shared = (shares * lam.unsqueeze(2)).flatten(2)
    return lam * previous, lam.unsqueeze(2) * products, sum_over_time(shared, previous)


class _Scan(OneByOne):
    @staticmethod
    def forward(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return gru_scan(x, weight, bias)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.save_for_backward(*inputs, output)
        ctx.save_for_forward(*inputs, output)

    @staticmethod
    def jvp(ctx: Any, *grad_inputs: Any) -> Any:
        x, weight, bias, states = ctx.saved_tensors
        z, shares, by_input, previous = _linearised(x, weight, bias, states)
        x_dot, weight_dot, bias_dot = or_zeros(grad_inputs, (x, weight, bias))
        source = (by_input * x_dot.view_as(by_input)).sum(2) + shares[:, :, 2] * bias_dot
        source = source + (shares * (previous.flatten(0, 1) @ weight_dot.T).view_as(shares)).sum(2)
        return _Push.apply(z, shares, weight, source)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        x, weight, bias, states = ctx.saved_tensors
        z, shares, by_input, previous = _linearised(x, weight, bias, states)
        lam = _Pull.apply(z, shares, weight, grad_outputs[0])
        shared = shares * lam.unsqueeze(2)
        weight_bar = sum_over_time(shared.flatten(2), previous)
        return (by_input * lam.unsqueeze(2)).flatten(2), weight_bar, shared[:, :, 2].sum((0, 1))


class _Push(OneByOne):
    @staticmethod
    def forward(decay: Tensor, shares: Tensor, weight: Tensor, source: Tensor) -> Tensor:
        return gru_push(decay, shares, weight, source)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.save_for_backward(*inputs[:3], output)
        ctx.save_for_forward(*inputs[:3], output)

    @staticmethod
    def jvp(ctx: Any, *grad_inputs: Any) -> Any:
        z, shares, weight, mu = ctx.saved_tensors
        z_dot, shares_dot, weight_dot, source_dot = or_zeros(grad_inputs, (z, shares, weight, mu))
        previous = before(mu)
        products, products_dot = (
            (previous.flatten(0, 1) @ u.T).view_as(shares) for u in (weight, weight_dot)
        )
        moved = z_dot * previous + (shares_dot * products + shares * products_dot).sum(2)
        return _Push.apply(z, shares, weight, source_dot + moved)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        z, shares, weight, mu = ctx.saved_tensors
        lam = _Pull.apply(z, shares, weight, grad_outputs[0])
        return *_coefficient_bars(shares, weight, mu, lam), lam


class _Pull(OneByOne):
    @staticmethod
    def forward(decay: Tensor, shares: Tensor, weight: Tensor, source: Tensor) -> Tensor:
        return gru_pull(decay, shares, weight, source)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.save_for_backward(*inputs[:3], output)
        ctx.save_for_forward(*inputs[:3], output)

    @staticmethod
    def jvp(ctx: Any, *grad_inputs: Any) -> Any:
        z, shares, weight, lam = ctx.saved_tensors
        z_dot, shares_dot, weight_dot, source_dot = or_zeros(grad_inputs, (z, shares, weight, lam))
        shared, shared_dot = ((c * lam.unsqueeze(2)).flatten(2) for c in (shares, shares_dot))
        moved = z_dot * lam + shared_dot @ weight + shared @ weight_dot
        return _Pull.apply(z, shares, weight, source_dot + after(moved))

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        z, shares, weight, lam = ctx.saved_tensors
        mu = _Push.apply(z, shares, weight, grad_outputs[0])
        return *_coefficient_bars(shares, weight, mu, lam), mu
