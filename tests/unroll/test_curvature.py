"""Second derivatives of anyone's loss: exact both ways, or an error that says why not."""

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.func import functional_call
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from farzi.unroll import SGD, Adam, Curvature, Eager, ForwardOverReverse, ReverseOverReverse, unroll

from .problems import fresh, gradient, relative_error
from .reference import adam, train_by_autograd

BOTH = pytest.mark.parametrize(
    "curvature", [ReverseOverReverse(), ForwardOverReverse()], ids=["reverse", "forward"]
)


class Attention(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return F.scaled_dot_product_attention(x, x, x, is_causal=True)


MODULES: dict[str, Callable[[], nn.Module]] = {
    "fused attention": lambda: nn.Sequential(nn.Linear(6, 6), Attention(), nn.Linear(6, 6)),
    "transformer layer": lambda: nn.TransformerEncoderLayer(6, 2, 8, dropout=0.0, batch_first=True),
    "layer norm, GELU": lambda: nn.Sequential(nn.Linear(6, 6), nn.LayerNorm(6), nn.GELU(), nn.Linear(6, 6)),
    "GRU": lambda: nn.GRU(6, 6, batch_first=True),
    "LSTM": lambda: nn.LSTM(6, 6, batch_first=True),
    "batch norm, SiLU": lambda: nn.Sequential(nn.Conv1d(4, 4, 3, padding=1), nn.BatchNorm1d(4), nn.SiLU()),
    "group norm, pooling": lambda: nn.Sequential(nn.Conv1d(4, 4, 1), nn.GroupNorm(2, 4), nn.AvgPool1d(2)),
}
NO_FORWARD_MODE = {"batch norm, SiLU", "group norm, pooling"}  # of their backward passes


def module_problem(name: str) -> tuple[Callable, dict[str, Tensor], Tensor]:
    torch.manual_seed(0)
    module = MODULES[name]().double()

    def loss(theta: dict[str, Tensor], data: Tensor, rows: list[int]) -> Tensor:
        out = functional_call(module, theta, (data[rows],))
        out = out[0] if isinstance(out, tuple) else out
        return F.cross_entropy(out.flatten(0, 1), torch.arange(len(out.flatten(0, 1))) % out.shape[-1])

    theta0 = {key: leaf.detach().clone() for key, leaf in module.named_parameters()}
    return loss, theta0, torch.randn(5, 4, 6, dtype=torch.float64)


def outer(theta: dict[str, Tensor]) -> Tensor:
    return torch.stack([leaf.sin().sum() for leaf in theta.values()]).sum()


HYPERS = {
    name: torch.tensor(value, dtype=torch.float64)
    for name, value in {
        "learning_rate": 0.01,
        "beta1": 0.9,
        "beta2": 0.99,
        "epsilon": 0.1,
        "weight_decay": 0.0,
    }.items()
}
BATCHES = [[0, 1, 2], [2, 3, 4], [0, 2, 4]]


@BOTH
@pytest.mark.parametrize("name", MODULES)
def test_layers_in_common_use(name: str, curvature: Curvature) -> None:
    """Fused attention has one derivative: the reverse pass takes the plain one, as the reference has to."""
    loss, theta0, data = module_problem(name)
    mine, right = (fresh(theta0), fresh(data)), (fresh(theta0), fresh(data))
    end = unroll(loss, *mine, Adam(**HYPERS), BATCHES, execution=Eager(curvature))
    if isinstance(curvature, ForwardOverReverse) and name in NO_FORWARD_MODE:
        with pytest.raises(NotImplementedError, match="lacks forward mode, which ReverseOverReverse"):
            outer(end).backward()
        return
    outer(end).backward()
    with sdpa_kernel(SDPBackend.MATH):
        outer(train_by_autograd(adam, loss, *right, lambda key, index: HYPERS, BATCHES)).backward()
    assert relative_error(gradient(mine[1]), gradient(right[1])) < 1e-12
    for key, leaf in mine[0].items():
        assert relative_error(gradient(leaf), gradient(right[0][key])) < 1e-11, key


class Cube(torch.autograd.Function):
    """x³, by a stranger: no forward mode."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        (x,) = ctx.saved_tensors
        return 3 * x**2 * grad_outputs[0]


class ForwardCube(Cube):
    """x³ with forward mode."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        ctx.save_for_forward(x)
        return x**3

    @staticmethod
    def jvp(ctx: Any, *grad_inputs: Any) -> Any:
        (x,) = ctx.saved_tensors
        return 3 * x**2 * grad_inputs[0]


class OnceCube(ForwardCube):
    """x³ whose gradient is marked as a constant; forward mode alone would not notice."""

    backward = staticmethod(once_differentiable(Cube.backward))  # type: ignore[assignment]


def cubes(function: Any, curvature: Curvature) -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    theta0, data = (torch.randn(4, dtype=torch.float64).requires_grad_() for _ in range(2))

    def loss(theta: Tensor, data: Tensor, batch: int) -> Tensor:
        return function(theta * data).sum() + function(theta.sin() + batch).mean()

    unroll(loss, theta0, data, SGD(0.1), range(3), execution=Eager(curvature)).sum().backward()
    return gradient(theta0), gradient(data)


def test_a_custom_function() -> None:
    for a, b in zip(
        cubes(Cube.apply, ReverseOverReverse()), cubes(lambda x: x**3, ReverseOverReverse()), strict=True
    ):
        assert relative_error(a, b) < 1e-13


def test_a_custom_function_without_forward_mode_is_named() -> None:
    with pytest.raises(NotImplementedError, match=r"lacks forward mode, which ReverseOverReverse.*jvp"):
        cubes(Cube.apply, ForwardOverReverse())


@BOTH
def test_a_custom_function_with_forward_mode(curvature: Curvature) -> None:
    for a, b in zip(
        cubes(ForwardCube.apply, curvature), cubes(lambda x: x**3, ReverseOverReverse()), strict=True
    ):
        assert relative_error(a, b) < 1e-13


@BOTH
@pytest.mark.parametrize("depth", ["outermost", "inside"])
def test_a_function_that_is_once_differentiable_is_refused(curvature: Curvature, depth: str) -> None:
    """`torch.autograd.grad` would take its gradient for a constant: a wrong metagradient without a word."""
    after: Callable[[Tensor], Tensor] = torch.exp if depth == "inside" else lambda x: x
    with pytest.raises(NotImplementedError, match="OnceCube in the loss is marked once_differentiable"):
        cubes(lambda x: after(OnceCube.apply(x.sin())), curvature)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "loss",
    [
        lambda th, d, b: torch.cdist(th.view(2, 2), d.view(2, 2)).sum(),
        lambda th, d, b: F.ctc_loss(
            (th * d).view(4, 1, 1).expand(4, 1, 3).log_softmax(-1) * th.sum(),
            torch.tensor([[1, 2]]), torch.tensor([4]), torch.tensor([2]),
        ),
    ],
    ids=["cdist", "ctc"],
)  # fmt: skip
@BOTH
def test_an_operation_of_one_derivative_is_named(loss: Callable, curvature: Curvature) -> None:
    theta0 = torch.tensor([0.1, 0.2, 0.3, 0.4], requires_grad=True)
    data = torch.tensor([1.0, -1.0, 2.0, 0.5], requires_grad=True)
    end = unroll(loss, theta0, data, SGD(), range(1), execution=Eager(curvature))
    with pytest.raises(NotImplementedError, match=r"no second derivative.*_backward|lacks forward mode"):
        end.sum().backward()


def test_an_ordinary_error_of_the_loss_is_left_alone() -> None:
    calls = []

    def loss(theta: Tensor, data: Tensor, batch: int) -> Tensor:
        calls.append(batch)
        if len(calls) == 2:
            raise RuntimeError("out of luck")
        return (theta**2).sum()

    end = unroll(loss, torch.ones(2, requires_grad=True), {}, SGD(), range(1))
    with pytest.raises(RuntimeError, match=r"^out of luck$"):
        end.sum().backward()


class StraightThrough(torch.autograd.Function):
    """Rounding that claims to have the derivative of tanh."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x.round()

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        (x,) = ctx.saved_tensors
        return grad_outputs[0] * (1 - x.tanh() ** 2)


def test_a_gradient_that_is_no_gradient() -> None:
    """A straight-through estimator: the Jacobian of its "gradient" is not symmetric."""
    torch.manual_seed(0)
    theta0, data = torch.randn(3, 3, dtype=torch.float64), torch.randn(3, dtype=torch.float64)

    def loss(theta: Tensor, data: Tensor, batch: Any) -> Tensor:
        return ((StraightThrough.apply(theta @ data) - theta.sum(0)) ** 2).sum()  # type: ignore[operator]

    mine, right = (fresh(theta0), fresh(data)), (fresh(theta0), fresh(data))
    hypers = {name: HYPERS[name] for name in ("learning_rate", "weight_decay")}
    unroll(loss, *mine, SGD(**hypers), range(4)).sin().sum().backward()
    sgd = lambda g, w, memory, t, h: w - h["learning_rate"] * g  # noqa: E731
    train_by_autograd(sgd, loss, *right, lambda key, index: hypers, range(4)).sin().sum().backward()
    for a, b in zip(mine, right, strict=True):
        assert relative_error(gradient(a), gradient(b)) < 1e-12


ALONE = """
import sys, warnings
import torch
from farzi.unroll import SGD, Eager, ForwardOverReverse, unroll

warnings.simplefilter("error")
theta0 = torch.ones(2, requires_grad=True)
loss = lambda theta, data, batch: theta.pow(3).sum()
unroll(loss, theta0, {}, SGD(), range(2), execution=Eager(ForwardOverReverse())).sum().backward()
print([name for name in sys.modules if name.startswith("farzi.") and not name.startswith("farzi.unroll")])
"""


def test_it_stands_alone_and_is_silent() -> None:
    """It needs nothing else of Farzi, and PyTorch's deprecations on the way to forward mode stay inside."""
    result = subprocess.run([sys.executable, "-c", ALONE], capture_output=True, text=True, check=False)
    assert (result.stdout.strip(), result.stderr) == ("[]", "")
