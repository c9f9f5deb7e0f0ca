r"""Next-event cross-entropy at every position, with soft labels or with real events.

With hidden states h_t, an output table E (V, width) and targets x_{t+1}, the loss is the mean over all
positions of

    logsumexp(h_t Eᵀ) − ⟨x_{t+1}, h_t Eᵀ⟩.

Padding (index 0) is never predicted: its logit counts as −∞. The second term needs no vocabulary-sized
product, since ⟨x, h Eᵀ⟩ = h · (x E). The first is `mean_log_partition`, which is computed in chunks of
positions: neither it nor its gradient nor the gradient's tangent needs memory for positions x vocabulary.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from farzi.operations import OneByOne, chunks, operation, or_zeros, save
from farzi.unroll import Fusion, add_rewrite

FLOOR = -100.0
"""Log-probabilities below it count as it."""
LEAST_ROWS = 256
"""Rows of a chunk at least: with fewer a product in bfloat16 is slower."""


def soft_next_event(hidden: Tensor, table: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy with soft labels.

    Args:
        hidden: hidden states, (B, L−1, width); the last position, if given, has no target and is ignored.
        table: output table E, (V, width); row 0 is padding.
        targets: x E for the soft labels x at the same positions, (B, L, width). With tied tables and no label
            decoder these are the embedded soft inputs.

    Returns:
        Scalar, nats per event.

    Raises:
        ValueError: the sequences have only one position, so there is nothing to predict.
    """
    if targets.shape[1] < 2:
        shape = tuple(targets.shape)
        raise ValueError(f"soft_next_event needs two positions at least, got targets of {shape}")
    hidden = hidden[:, : targets.shape[1] - 1].flatten(0, 1)  # (B·(L−1), width)
    targets = targets[:, 1:].flatten(0, 1)
    return mean_log_partition(hidden, table[1:]) - (hidden * targets).sum(-1).mean()


def hard_next_event(hidden: Tensor, table: Tensor, events: Tensor) -> Tensor:
    """Cross-entropy with item indices; positions whose next item is padding do not count.

    Args:
        hidden: hidden states, (B, L−1, width); if the last position is given, it is ignored.
        table: output table E, (V, width); row 0 is padding.
        events: indices, (B, L), 0 = padding.

    Returns:
        Scalar, nats per event; 0 if there is nothing to predict.
    """
    targets = events[:, 1:]
    real = targets > 0
    hidden = hidden[:, : targets.shape[1]][real]  # (N, width)
    if len(hidden) == 0:
        return hidden.sum()
    return mean_log_partition(hidden, table[1:]) - (hidden * table[targets[real]]).sum(-1).mean()


def next_event(
    hidden: Tensor,
    table: Tensor,
    targets: Tensor,
    precision: torch.dtype = torch.float32,
    negatives: Tensor | None = None,
) -> Tensor:
    """Cross-entropy with item indices, for training on real events: first derivatives only.

    Logits and probabilities exist for a chunk of rows at a time, and gradients are computed with the value.
    With `negatives` it is the sampled softmax with correction of (Bengio and Senécal 2008): the target stands
    against n items drawn at random, with replacement and equally often, whose logits are raised by
    log((V − 1) / n); where one of them is the target it does not count.

    Args:
        hidden: hidden states, (N, width).
        table: output table E, (V, width); row 0 is padding.
        targets: indices in 1..V − 1, (N,).
        precision: of the products; sums are in that of the table.
        negatives: items to stand against, (n,); all if None.

    Returns:
        Scalar, nats per event.
    """
    value: Tensor = _NextEvent.apply(hidden, table, targets, precision, negatives)
    return value


class _NextEvent(torch.autograd.Function):
    """The value and both gradients in one pass over chunks of rows."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        table: Tensor,
        targets: Tensor,
        precision: torch.dtype,
        negatives: Tensor | None,
    ) -> Tensor:
        rows, total = hidden.to(precision), table.new_zeros(())
        if negatives is None:
            bars = _among_all(rows, table, targets, total)
        else:
            bars = _among_sampled(rows, table, targets, negatives, total)
        count = len(hidden)
        ctx.save_for_backward(bars[0].to(hidden.dtype).div_(count), bars[1].div_(count))
        return total / count

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, bar: Tensor) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        hidden_bar, table_bar = ctx.saved_tensors
        return hidden_bar * bar, table_bar * bar, None, None, None


def _among_all(rows: Tensor, table: Tensor, targets: Tensor, total: Tensor) -> tuple[Tensor, Tensor]:
    """The gradients by hidden states and table of the sum of losses, which is added to `total`."""
    items = table[1:].to(rows.dtype)
    columns, rows_bar = items.T.contiguous(), torch.empty_like(rows)
    items_bar = table.new_zeros(items.shape)
    for part in chunks(len(rows), len(items), least=LEAST_ROWS):
        wanted = targets[part].unsqueeze(1) - 1
        p = torch.softmax(rows[part] @ columns, -1)
        total -= p.gather(1, wanted).to(total.dtype).log().clamp(min=FLOOR).sum()
        p.scatter_add_(1, wanted, p.new_full(wanted.shape, -1.0))
        torch.mm(p, items, out=rows_bar[part])
        items_bar += p.T @ rows[part]
    return rows_bar, torch.cat([table.new_zeros(1, table.shape[1]), items_bar])


def _among_sampled(
    rows: Tensor, table: Tensor, targets: Tensor, negatives: Tensor, total: Tensor
) -> tuple[Tensor, Tensor]:
    """The same, each target against the sampled items."""
    others, own = table[negatives].to(rows.dtype), table[targets].to(rows.dtype)
    columns, raised = others.T.contiguous(), math.log((len(table) - 1) / len(negatives))
    rows_bar, own_bar = torch.empty_like(rows), torch.empty_like(own)
    others_bar = table.new_zeros(others.shape)
    for part in chunks(len(rows), len(others), least=LEAST_ROWS):
        h, same = rows[part], targets[part].unsqueeze(1) == negatives
        logits = (h @ columns + raised).masked_fill(same, -torch.inf)
        both = torch.softmax(torch.cat([(h * own[part]).sum(1, keepdim=True), logits], 1), -1)
        total -= both[:, 0].to(total.dtype).log().clamp(min=FLOOR).sum()
        p, share = both[:, 1:].contiguous(), both[:, :1] - 1
        torch.addmm(share * own[part], p, others, out=rows_bar[part])
        own_bar[part] = share * h
        others_bar += p.T @ h
    table_bar = torch.zeros_like(table).index_add_(0, negatives, others_bar)
    return rows_bar, table_bar.index_add_(0, targets, own_bar.to(table.dtype))


def teacher_next_event(
    hidden: Tensor,
    table: Tensor,
    teacher_hidden: Tensor,
    teacher_table: Tensor,
    targets: Tensor,
    hard: float = 0.0,
) -> Tensor:
    """Cross-entropy with a teacher's predictions p as labels: −⟨(1 − a) p + a · target, log softmax(h Eᵀ)⟩.

    The derivative of knowledge distillation's divergence (Hinton et al. 2015, arXiv 1503.02531, at
    temperature 1), first derivatives only, in one pass over chunks of rows.

    Args:
        hidden: the student's hidden states h, (N, width).
        table: its output table E, (V, width); row 0 is padding.
        teacher_hidden: hidden states of the teacher at the same positions, (N, its width).
        teacher_table: its output table, (V, its width).
        targets: the events that came next, indices in 1..V − 1, (N,).
        hard: a, the weight of these events beside the predictions.

    Returns:
        Scalar, nats per event; 0 if there is no position.
    """
    if len(hidden) == 0:
        return hidden.sum()
    value: Tensor = _TeacherNextEvent.apply(hidden, table, teacher_hidden, teacher_table, targets, hard)
    return value


class _TeacherNextEvent(torch.autograd.Function):
    """The value and both gradients in one pass over chunks of rows."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        table: Tensor,
        teacher_hidden: Tensor,
        teacher_table: Tensor,
        targets: Tensor,
        hard: float,
    ) -> Tensor:
        items, teacher_items = table[1:], teacher_table[1:].to(table)
        hidden_bar, items_bar = torch.empty_like(hidden), torch.zeros_like(items)
        total = table.new_zeros(())
        for part in chunks(len(hidden), len(items), arrays=2):
            labels = torch.softmax(teacher_hidden[part].to(table) @ teacher_items.T, -1).mul_(1 - hard)
            wanted = targets[part].unsqueeze(1) - 1
            labels.scatter_add_(1, wanted, labels.new_full(wanted.shape, hard))
            logs = torch.log_softmax(hidden[part] @ items.T, -1)
            total -= (labels * logs).sum()
            excess = logs.exp_().sub_(labels)
            torch.mm(excess, items, out=hidden_bar[part])
            items_bar.addmm_(excess.T, hidden[part])
        count = len(hidden)
        table_bar = torch.cat([items.new_zeros(1, items.shape[1]), items_bar])
        ctx.save_for_backward(hidden_bar.div_(count), table_bar.div_(count))
        return total / count

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, bar: Tensor) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        hidden_bar, table_bar = ctx.saved_tensors
        return hidden_bar * bar, table_bar * bar, None, None, None, None


def mean_log_partition(hidden: Tensor, table: Tensor) -> Tensor:
    """Mean over rows of logsumexp(h Eᵀ), in chunks of rows.

    Twice differentiable, in reverse over reverse and in forward over reverse mode: the Hessian is symmetric,
    so one Hessian product serves both. A third derivative raises NotImplementedError.

    Args:
        hidden: h, (N, width).
        table: E, (V, width).

    Returns:
        Scalar.
    """
    if not (torch.is_grad_enabled() and (hidden.requires_grad or table.requires_grad)):
        total = hidden.new_zeros(())
        for rows in chunks(len(hidden), len(table)):
            total += torch.logsumexp(hidden[rows] @ table.T, dim=-1).sum()
        return total / len(hidden)
    value, _, _ = _MeanLogPartition.apply(hidden, table)
    return value


def _flops(products: int) -> Callable[..., int]:
    """2 N V w for each of the products."""
    return lambda hidden, table, *_, **__: products * 2 * hidden[0] * table[0] * table[1]


@operation(
    "log_partition",
    lambda h, e: (h.new_empty(()), torch.empty_like(h), torch.empty_like(e)),
    _flops(3),  # h Eᵀ, p E and pᵀ h
)
def log_partition(hidden: Tensor, table: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(h, E) ↦ the mean log-partition A, ∂A/∂h and ∂A/∂E, in chunks of rows."""
    total = hidden.new_zeros(())
    hidden_bar, table_bar = torch.empty_like(hidden), torch.zeros_like(table)
    for rows in chunks(len(hidden), len(table)):
        h = hidden[rows]
        p, normaliser = _probabilities(h, table)
        total += normaliser.sum()
        torch.mm(p, table, out=hidden_bar[rows])
        table_bar.addmm_(p.T, h)
    n = len(hidden)
    return total / n, hidden_bar.div_(n), table_bar.div_(n)


@operation(
    "log_partition_tangent",
    lambda h, e, u, w: (torch.empty_like(h), torch.empty_like(e)),
    _flops(7),  # h Eᵀ, p w, ṗ E, ṗᵀ h and pᵀ u; (u, h) (E, w)ᵀ counts twice
)
def log_partition_tangent(hidden: Tensor, table: Tensor, u: Tensor, w: Tensor) -> tuple[Tensor, Tensor]:
    """The tangent of (∂A/∂h, ∂A/∂E)."""
    return _hessian_product(hidden, table, u, w, None)


@operation(
    "log_partition_dual",
    lambda h, e, u, w: (torch.empty_like(h), torch.empty_like(h), torch.empty_like(e)),
    _flops(8),  # and p E
)
def log_partition_dual(hidden: Tensor, table: Tensor, u: Tensor, w: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """∂A/∂h = p E / N, and the tangent of (∂A/∂h, ∂A/∂E), which needs p as well."""
    h_bar = torch.empty_like(hidden)
    return h_bar, *_hessian_product(hidden, table, u, w, h_bar)


def _hessian_product(
    hidden: Tensor, table: Tensor, u: Tensor, w: Tensor, h_bar: Tensor | None
) -> tuple[Tensor, Tensor]:
    """The tangent of (∂A/∂h, ∂A/∂E) in the direction (u, w), in chunks of rows: the Hessian product.

    With p = softmax(h Eᵀ) and ż = u Eᵀ + h wᵀ: ṗ = p ∘ (ż − ⟨p, ż⟩), and the tangents are (ṗ E + p w) / N and
    (ṗᵀ h + pᵀ u) / N. If `h_bar` is given it is filled with ∂A/∂h.
    """
    width = hidden.shape[1]
    both, twice = torch.cat([table, w], dim=1), torch.cat([u, hidden], dim=1)  # (V, 2 width), (N, 2 width)
    h_dot, e_dot = torch.empty_like(hidden), torch.zeros_like(table)
    for rows in chunks(len(hidden), len(table), arrays=2):
        h = hidden[rows]
        p, _ = _probabilities(h, table)
        p_dot = twice[rows] @ both.T  # ż
        p_dot.mul_(p)
        p_dot.addcmul_(p, p_dot.sum(-1, keepdim=True), value=-1)
        if h_bar is None:
            p_w = p @ w
        else:
            h_bar[rows], p_w = (p @ both).split(width, dim=1)
        torch.addmm(p_w, p_dot, table, out=h_dot[rows])
        e_dot.addmm_(p_dot.T, h)
        e_dot.addmm_(p.T, u[rows])
    n = len(hidden)
    if h_bar is not None:
        h_bar.div_(n)
    return h_dot.div_(n), e_dot.div_(n)


def _probabilities(hidden: Tensor, table: Tensor) -> tuple[Tensor, Tensor]:
    """softmax(h Eᵀ), (n, V), and logsumexp(h Eᵀ), (n, 1)."""
    p = hidden @ table.T
    top = p.amax(-1, keepdim=True)
    total = p.sub_(top).exp_().sum(-1, keepdim=True)
    return p.div_(total), total.log_().add_(top)


add_rewrite(Fusion(log_partition, log_partition_tangent, log_partition_dual, kept=(1,)))


class _MeanLogPartition(OneByOne):
    """(h, E) ↦ the mean log-partition A, ∂A/∂h and ∂A/∂E, in one pass.

    The gradients are outputs so that they carry tangents (forward over reverse) and graphs (reverse over
    reverse).
    """

    forward = staticmethod(log_partition)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        save(ctx, *inputs, *output[1:])
        ctx.set_materialize_grads(False)

    @staticmethod
    def jvp(ctx: Any, *grad_inputs: Any) -> Any:
        hidden, table, hidden_bar, table_bar = ctx.saved_tensors
        h_dot, e_dot = or_zeros(grad_inputs, (hidden, table))
        value = (hidden_bar * h_dot).sum() + (table_bar * e_dot).sum()
        return value, *_HessianProduct.apply(hidden, table, h_dot, e_dot)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        hidden, table, hidden_bar, table_bar = ctx.saved_tensors
        value_bar, u, w = grad_outputs
        h_bar = e_bar = None
        if value_bar is not None:
            h_bar, e_bar = value_bar * hidden_bar, value_bar * table_bar
        if u is not None or w is not None:
            h_more, e_more = _HessianProduct.apply(hidden, table, *or_zeros((u, w), (hidden, table)))
            h_bar = h_more if h_bar is None else h_bar + h_more
            e_bar = e_more if e_bar is None else e_bar + e_more
        return h_bar, e_bar


class _HessianProduct(OneByOne):
    """The Hessian product as a node that raises at a third derivative, instead of returning a wrong one."""

    forward = staticmethod(log_partition_tangent)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        raise NotImplementedError("the third derivative of mean_log_partition is not available")
