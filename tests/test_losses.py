"""The losses against plain PyTorch formulas: values, gradients, Hessian products both ways."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.nn import functional as F

from farzi import operations
from farzi.losses import hard_next_event, mean_log_partition, soft_next_event

VOCABULARY, WIDTH = 11, 5
Loss = Callable[..., Tensor]


@pytest.fixture(params=["one chunk", "chunks of 4 rows", "rows one by one"])
def chunks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The 18 rows of the tests in one chunk, in four with a ragged last one, and each by itself."""
    if request.param != "one chunk":
        rows = 4 if request.param == "chunks of 4 rows" else 1
        monkeypatch.setattr(operations, "CHUNK", rows * (VOCABULARY - 1))
        monkeypatch.setattr(operations, "ROWS", 1)
    return request.param


def plain_soft(hidden: Tensor, table: Tensor, targets: Tensor) -> Tensor:
    logits = hidden[:, :-1] @ table[1:].T
    return (logits.logsumexp(-1) - (hidden[:, :-1] * targets[:, 1:]).sum(-1)).mean()


def plain_hard(hidden: Tensor, table: Tensor, events: Tensor) -> Tensor:
    """As a user would write it: padding's logit at −∞, cross-entropy that ignores padded targets."""
    logits = hidden[:, :-1] @ table.T
    logits = torch.cat([torch.full_like(logits[..., :1], -torch.inf), logits[..., 1:]], -1)
    return F.cross_entropy(logits.flatten(0, 1), events[:, 1:].flatten(), ignore_index=0)


def arguments(kind: str, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(0)
    hidden, table, targets = (
        torch.randn(shape).to(dtype) for shape in ((3, 7, WIDTH), (VOCABULARY, WIDTH), (3, 7, WIDTH))
    )
    if kind == "soft":
        return hidden, table, targets
    events = torch.randint(1, VOCABULARY, (3, 7))
    events[1, :4] = 0  # padded on the left
    events[2] = 0  # nobody
    return hidden, table, events


KINDS = pytest.mark.parametrize(
    ("kind", "loss", "plain"),
    [("soft", soft_next_event, plain_soft), ("hard", hard_next_event, plain_hard)],
    ids=["soft", "hard"],
)


def derivatives(loss: Loss, hidden: Tensor, table: Tensor, targets: Tensor) -> dict[str, Tensor]:
    """Value, gradient, and the Hessian's product with a direction, made both ways."""
    inputs = [x.clone().requires_grad_() for x in (hidden, table, targets) if x.is_floating_point()]
    rest = [x for x in (targets,) if not x.is_floating_point()]
    generator = torch.Generator().manual_seed(1)
    directions = [torch.randn(x.shape, generator=generator).to(x.dtype) for x in inputs]

    value = loss(*inputs, *rest)
    gradient = torch.autograd.grad(value, inputs, create_graph=True)
    twice = torch.autograd.grad(gradient, inputs, directions, materialize_grads=True)
    with forward_ad.dual_level():
        duals = [forward_ad.make_dual(x, d) for x, d in zip(inputs, directions, strict=True)]
        dual_value = loss(*duals, *rest)
        slope = forward_ad.unpack_dual(dual_value).tangent
        tangents = [forward_ad.unpack_dual(g).tangent for g in torch.autograd.grad(dual_value, inputs)]
    assert slope is not None
    found = {"value": value, "directional derivative": slope}
    for name, group in (("gradient", gradient), ("reverse", twice), ("forward", tangents)):
        for k, x in enumerate(group):
            found[f"{name} {k}"] = torch.zeros_like(inputs[k]) if x is None else x.detach()
    return found


@KINDS
def test_equals_the_plain_formula(chunks: str, kind: str, loss: Loss, plain: Loss) -> None:
    found, right = derivatives(loss, *arguments(kind)), derivatives(plain, *arguments(kind))
    for name, value in right.items():
        assert torch.allclose(found[name], value, rtol=1e-12, atol=1e-14), name
        assert value.abs().max() > 0 or name.endswith(" 2"), name


@KINDS
def test_without_gradients_the_value_is_the_same(chunks: str, kind: str, loss: Loss, plain: Loss) -> None:
    with torch.no_grad():
        assert torch.allclose(loss(*arguments(kind)), plain(*arguments(kind)), rtol=1e-13)


@KINDS
def test_the_last_position_may_be_left_out(kind: str, loss: Loss, plain: Loss) -> None:
    """Nothing is predicted there: a student need not read the last event."""
    hidden, table, targets = arguments(kind)
    assert torch.equal(loss(hidden[:, :-1], table, targets), loss(hidden, table, targets))


@pytest.mark.parametrize("which", ["hidden", "table"])
def test_one_side_only_requires_a_gradient(chunks: str, which: str) -> None:
    hidden, table, targets = arguments("soft")
    found = []
    for loss in (soft_next_event, plain_soft):
        h, e = hidden.clone(), table.clone()
        leaf = (h if which == "hidden" else e).requires_grad_()
        (gradient,) = torch.autograd.grad(loss(h, e, targets), leaf, create_graph=True)
        (product,) = torch.autograd.grad(gradient, leaf, torch.ones_like(leaf))
        found.append((gradient, product))
    for a, b in zip(*found, strict=True):
        assert torch.allclose(a, b, rtol=1e-12, atol=1e-14)


def test_torch_func_sees_the_same_gradient() -> None:
    hidden, table, targets = arguments("soft")
    found = torch.func.grad(soft_next_event)(hidden, table, targets)
    assert torch.allclose(found, torch.func.grad(plain_soft)(hidden, table, targets), rtol=1e-12)


def test_padding_is_never_predicted() -> None:
    """Row 0 of the table changes nothing, and learns nothing."""
    for kind, loss in (("soft", soft_next_event), ("hard", hard_next_event)):
        hidden, table, targets = arguments(kind)
        table.requires_grad_()
        value = loss(hidden, table, targets)
        (gradient,) = torch.autograd.grad(value, table)
        assert not gradient[0].any()
        assert gradient[1:].all()
        other = table.detach().clone()
        other[0] = 1e6
        assert torch.equal(loss(hidden, other, targets), loss(hidden, table.detach(), targets))


def test_positions_before_padding_do_not_count() -> None:
    """Rows of padding, and what stands before the first event, change neither value nor gradient."""
    hidden, table, events = arguments("hard")
    hidden.requires_grad_()
    (gradient,) = torch.autograd.grad(hard_next_event(hidden, table, events), hidden)
    assert not gradient[2].any()
    assert not gradient[1, :3].any()
    assert gradient[1, 3].all()  # what predicts the first event
    assert not gradient[:, -1].any()  # nothing comes after the last
    alone = hard_next_event(hidden[:2], table, events[:2])
    assert torch.equal(alone, hard_next_event(hidden, table, events))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_batch_of_padding(dtype: torch.dtype) -> None:
    hidden, table, events = arguments("hard", dtype)
    hidden.requires_grad_()
    table.requires_grad_()
    value = hard_next_event(hidden, table, torch.zeros_like(events))
    assert value.item() == 0
    gradients = torch.autograd.grad(value, [hidden, table], materialize_grads=True)
    assert not any(g.any() for g in gradients)


def test_one_position_has_nothing_to_predict() -> None:
    hidden, table, targets = arguments("soft")
    with pytest.raises(ValueError, match=r"two positions at least, got targets of \(3, 1, 5\)"):
        soft_next_event(hidden[:, :1], table, targets[:, :1])
    assert hard_next_event(hidden[:, :1], table, torch.ones(3, 1, dtype=torch.long)).item() == 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("size", [1e4, -1e4])
def test_extreme_logits(size: float, dtype: torch.dtype) -> None:
    """One event at ±10⁴, the rest at 0: log-partitions of 10⁴ and of log 9, and every derivative finite."""
    hidden = torch.ones(1, 3, 1, dtype=dtype)
    table = torch.zeros(VOCABULARY, 1, dtype=dtype)
    table[1] = size
    found = derivatives(soft_next_event, hidden, table, torch.zeros(1, 3, 1, dtype=dtype))
    right = size if size > 0 else torch.tensor(9.0).log().item()
    assert found["value"].item() == pytest.approx(right, rel=1e-6)
    assert all(x.isfinite().all() for x in found.values())


@KINDS
@pytest.mark.parametrize(
    ("dtype", "bound"), [(torch.float64, 1e-13), (torch.float32, 1e-5), (torch.bfloat16, 0.1)]
)
def test_precisions(kind: str, loss: Loss, plain: Loss, dtype: torch.dtype, bound: float) -> None:
    found, right = derivatives(loss, *arguments(kind, dtype)), derivatives(plain, *arguments(kind))
    for name, value in right.items():
        assert found[name].dtype == dtype
        assert (found[name].double() - value).norm() <= bound * (1 + value.norm()), name


def test_a_third_derivative_is_refused() -> None:
    hidden, table = (x.requires_grad_() for x in (torch.randn(4, 2), torch.randn(3, 2)))
    (first,) = torch.autograd.grad(mean_log_partition(hidden, table), hidden, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), hidden, create_graph=True)
    with pytest.raises(NotImplementedError, match="third derivative of mean_log_partition"):
        torch.autograd.grad(second.sum(), hidden)
