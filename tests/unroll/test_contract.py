"""What may be handed to `unroll`, what it refuses, and how it lives in a graph."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from farzi.unroll import SGD, Adam, train, unroll

from .problems import fresh, gradient, network, relative_error

RUNS = pytest.mark.parametrize("run", [unroll, train])


def square(theta: Tensor, data: Tensor, batch: Any) -> Tensor:
    return ((theta - data) ** 2).sum()


def test_integers_in_data_are_handed_on() -> None:
    """Ids beside soft weights; the gradient of the weights is autograd's."""
    ids = torch.tensor([2, 0, 1, 2])

    def loss(theta: dict[str, Tensor], data: dict[str, Tensor], rows: Tensor) -> Tensor:
        logits = theta["table"][data["ids"][rows]] @ theta["out"]
        return (data["weights"][rows] * F.cross_entropy(logits, data["ids"][rows], reduction="none")).mean()

    torch.manual_seed(0)
    theta0 = {"table": torch.randn(3, 2).double(), "out": torch.randn(2, 3).double()}
    batches = [torch.tensor([0, 1]), torch.tensor([2, 3]), torch.tensor([0, 3])]
    weights = torch.rand(4).double().requires_grad_()
    unroll(loss, theta0, {"ids": ids, "weights": weights}, SGD(), batches)["out"].sin().sum().backward()

    right = weights.detach().clone().requires_grad_()
    theta = fresh(theta0)
    for rows in batches:
        value = loss(theta, {"ids": ids, "weights": right}, rows)
        grads = torch.autograd.grad(value, list(theta.values()), create_graph=True)
        theta = {key: leaf - 0.1 * g for (key, leaf), g in zip(theta.items(), grads, strict=True)}
    theta["out"].sin().sum().backward()
    assert relative_error(gradient(weights), gradient(right)) < 1e-13


def test_leaves_without_a_gradient_get_none() -> None:
    problem = network()
    theta0, data = fresh(problem.theta0, grad=False), fresh(problem.data)
    data["targets"].requires_grad_(False)
    problem.outer(unroll(problem.loss, theta0, data, Adam(), problem.batches(3))).backward()
    assert data["targets"].grad is None
    assert all(leaf.grad is None for leaf in theta0.values())
    assert gradient(data["inputs"]).norm() > 0


def test_nothing_requires_a_gradient() -> None:
    problem = network()
    end = unroll(problem.loss, problem.theta0, problem.data, Adam(), problem.batches(3))
    assert not any(leaf.requires_grad for leaf in end.values())


def test_under_no_grad() -> None:
    problem = network()
    with torch.no_grad():
        end = unroll(problem.loss, fresh(problem.theta0), problem.data, Adam(), problem.batches(3))
    assert not any(leaf.requires_grad for leaf in end.values())


def test_leaves_that_the_loss_ignores() -> None:
    theta0 = fresh({"used": torch.ones(2), "idle": torch.ones(3)})
    data = fresh({"used": torch.zeros(2), "idle": torch.zeros(4)})
    end = unroll(
        lambda theta, data, batch: square(theta["used"], data["used"], batch),
        theta0, data, SGD(0.1, weight_decay=0.5), range(2),
    )  # fmt: skip
    (end["used"].sum() + 2 * end["idle"].sum()).backward()
    assert torch.allclose(gradient(theta0["idle"]), torch.full((3,), 2 * 0.95**2))
    assert gradient(data["idle"]).norm() == 0
    assert torch.allclose(gradient(theta0["used"]), torch.full((2,), 0.75**2))


def test_a_loss_that_ignores_the_data() -> None:
    theta0, data = torch.ones(2, requires_grad=True), torch.ones(2, requires_grad=True)
    unroll(lambda th, d, b: (th**2).sum(), theta0, data, SGD(0.1), range(2)).sum().backward()
    assert gradient(data).norm() == 0
    assert torch.allclose(gradient(theta0), torch.full((2,), 0.64))


def test_a_loss_linear_in_theta() -> None:
    """θT = θ0 − α T x."""
    theta0, data = torch.ones(2, requires_grad=True), torch.ones(2, requires_grad=True)
    unroll(lambda th, d, b: (th * d).sum(), theta0, data, SGD(0.1), range(3)).sum().backward()
    assert torch.allclose(gradient(data), torch.full((2,), -0.3))
    assert torch.equal(gradient(theta0), torch.ones(2))


def test_structures_are_kept() -> None:
    seen = []

    def loss(theta: Any, data: Any, batch: Any) -> Tensor:
        seen.append((list(theta), list(data), batch))
        return theta["b"].sum() * theta["a"] * data["x"]

    theta0 = OrderedDict(b=torch.ones(2, 2), a=torch.tensor(2.0))
    end = unroll(loss, theta0, {"x": torch.tensor(1.0)}, SGD(), [("any", "thing")])
    assert seen == [(["b", "a"], ["x"], ("any", "thing"))]
    assert [(key, leaf.shape) for key, leaf in end.items()] == [("b", (2, 2)), ("a", ())]


def test_batches_may_be_the_rows_of_a_tensor() -> None:
    theta0, batches = torch.zeros(2, requires_grad=True), torch.tensor([[0, 1], [1, 1]])
    end = unroll(
        lambda th, d, rows: (th * d[rows]).sum(), theta0, torch.tensor([1.0, 2.0]), SGD(1.0), batches
    )
    assert end.tolist() == [-3.0, -4.0]


def test_data_that_is_itself_computed() -> None:
    latents = torch.randn(3, dtype=torch.float64, requires_grad=True)
    unroll(square, torch.zeros(3).double(), latents.exp(), SGD(0.1), range(2)).sum().backward()
    assert torch.allclose(gradient(latents), 0.36 * latents.exp())


def test_an_outer_loss_that_sees_the_data_too() -> None:
    """θ2 = 0.36 x from θ0 = 0, so that d Σ θ2 x / dx = 0.72 x."""
    data = torch.tensor([1.0, -2.0], requires_grad=True)
    (unroll(square, torch.zeros(2), data, SGD(0.1), range(2)) * data).sum().backward()
    assert torch.allclose(gradient(data), 0.72 * data)


def test_several_runs_in_one_graph() -> None:
    problem = network().to(torch.float64)
    together, apart = fresh(problem.data), fresh(problem.data)

    def end(data: Any, scale: float) -> Tensor:
        theta0 = {key: scale * leaf for key, leaf in problem.theta0.items()}  # type: ignore[union-attr]
        return problem.outer(unroll(problem.loss, theta0, data, Adam(0.02), problem.batches(3)))

    (end(together, 1.0) + end(together, 0.5) * end(together, -1.0)).backward()
    end(apart, 1.0).backward()
    half, minus = end(apart, 0.5), end(apart, -1.0)
    (half * minus.item()).backward()
    (minus * half.item()).backward()
    for key, leaf in together.items():
        assert relative_error(gradient(leaf), gradient(apart[key])) < 1e-13


def test_a_second_backward_pass_is_refused() -> None:
    theta0 = torch.ones(2, requires_grad=True)
    value = unroll(square, theta0, torch.zeros(2), SGD(), range(2)).sum()
    value.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="let go in the first backward pass; run unroll again"):
        value.backward()


@pytest.mark.parametrize("outer", [lambda th: th.sum(), lambda th: (th**2).sum()], ids=["linear", "square"])
@pytest.mark.parametrize("source", ["theta0", "data", "rate"])
def test_a_gradient_of_the_gradient_is_refused(outer: Callable, source: str) -> None:
    """Also where the outer loss is linear and autograd would see a constant."""
    leaves = {"theta0": torch.ones(2), "data": torch.zeros(2), "rate": torch.tensor(0.1)}
    leaves = {name: leaf.requires_grad_() for name, leaf in leaves.items()}
    value = outer(unroll(square, leaves["theta0"], leaves["data"], SGD(leaves["rate"]), range(2)))
    gradients = torch.autograd.grad(value, list(leaves.values()), create_graph=True)
    with pytest.raises(RuntimeError, match="its gradient has no gradient"):
        torch.autograd.grad(torch.stack([g.sum() for g in gradients]).sum(), leaves[source])


def test_create_graph_gives_the_same_gradient() -> None:
    theta0 = torch.ones(2, requires_grad=True)
    value = unroll(square, theta0, torch.zeros(2), SGD(0.1), range(2)).sum()
    (found,) = torch.autograd.grad(value, theta0, create_graph=True)
    assert torch.allclose(found, torch.full((2,), 0.64))


@pytest.mark.parametrize("needs", [True, False])
def test_data_changed_before_the_backward_pass_is_noticed(needs: bool) -> None:
    theta0, data = torch.ones(2, requires_grad=True), torch.zeros(2, requires_grad=needs)
    value = unroll(square, theta0, data, SGD(), range(2)).sum()
    with torch.no_grad():
        data.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        value.backward()


def test_theta0_may_change_before_the_backward_pass() -> None:
    """It was copied."""
    theta0, data = torch.ones(2, requires_grad=True), torch.zeros(2, requires_grad=True)
    value = (unroll(lambda th, d, b: (th**3).sum() + (th * d).sum(), theta0, data, SGD(0.1), range(1))).sum()
    with torch.no_grad():
        theta0.mul_(5)
    value.backward()
    assert torch.allclose(gradient(theta0), torch.full((2,), 1 - 0.6))


@RUNS
def test_a_loss_that_is_no_scalar(run: Callable) -> None:
    with pytest.raises(ValueError, match=r"must be a scalar, got shape \(2,\)"):
        run(lambda th, d, b: th * d, torch.ones(2), torch.ones(2), SGD(), range(2))


@RUNS
def test_a_loss_that_is_no_tensor(run: Callable) -> None:
    with pytest.raises(TypeError, match="must be a scalar tensor, got float"):
        run(lambda th, d, b: th.sum().item(), torch.ones(2), torch.ones(2), SGD(), range(2))


@RUNS
@pytest.mark.parametrize(
    ("theta0", "error", "words"),
    [
        ({}, ValueError, "theta0 holds no tensor"),
        (torch.tensor([1, 2]), TypeError, "theta0 must be floating point, got a leaf of torch.int64"),
        (
            {"a": torch.ones(1), "b": torch.ones(1).double()},
            TypeError,
            "one dtype and device, .*float32.*float64",
        ),
        ([torch.ones(1)], TypeError, "theta0 must be a tensor or a dict of tensors, got list"),
        ({"a": 1.0}, TypeError, r"theta0\['a'\] must be a tensor, got float"),
    ],
)
def test_a_theta0_that_cannot_be_trained(run: Callable, theta0: Any, error: type, words: str) -> None:
    with pytest.raises(error, match=words):
        run(lambda th, d, b: th.sum(), theta0, {}, SGD(), range(2))


@RUNS
def test_data_that_is_no_tensor(run: Callable) -> None:
    with pytest.raises(TypeError, match="data must be a tensor or a dict of tensors, got NoneType"):
        run(lambda th, d, b: th.sum(), torch.ones(2), None, SGD(), range(2))


@RUNS
def test_inference_mode_is_refused(run: Callable) -> None:
    """Nothing can be recorded there: every gradient would be zero."""
    with torch.inference_mode(), pytest.raises(RuntimeError, match="inference_mode"):
        run(square, torch.ones(2), torch.ones(2), SGD(), range(2))
