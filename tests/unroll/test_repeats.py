"""A recomputed step is the step that was taken, or an error says so."""

import functools
import itertools
import random
import warnings
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call

from farzi.unroll import (
    SGD,
    Adam,
    Algorithm1,
    Checkpoints,
    Compiled,
    Eager,
    Execution,
    ExecutionWarning,
    ForwardOverReverse,
    RepeatError,
    SquareRoot,
    Store,
    StoreGradients,
    Window,
    interpreter,
    train,
    unroll,
)

from .problems import fresh, gradient, relative_error

HOW: dict[str, Any] = {
    "store": Store(),
    "gradients": StoreGradients(slots=2),
    "square root": SquareRoot(),
    "checkpoints": Checkpoints(slots=1),
    "window": Window(last=3, memory=Checkpoints(slots=1)),
    "algorithm 1": Algorithm1(),
    "algorithm 1 in double": Window(last=3, memory=Algorithm1(torch.float64)),
}
EXECUTIONS: dict[str, Execution] = {
    "eager": Eager(),
    "forward over reverse": Eager(ForwardOverReverse()),
    "graph": Compiled(compiler=interpreter),
}
STEPS = 5
X = torch.randn(10, 4, generator=torch.Generator().manual_seed(0))


def squares(theta: Tensor, data: Tensor, scale: Any = 1.0) -> Tensor:
    return (((X @ theta - data) * scale) ** 2).mean()


def drawn_rows() -> Callable[..., Tensor]:
    def loss(theta: Tensor, data: Tensor, batch: Any) -> Tensor:
        rows = random.sample(range(10), 4)
        return ((X[rows] @ theta - data[rows]) ** 2).mean()

    return loss


def numpy_noise() -> Callable[..., Tensor]:
    return lambda theta, data, batch: squares(theta, data, 1 + 0.01 * np.random.randn())


def own_generator() -> Callable[..., Tensor]:
    rng = np.random.default_rng(0)
    return lambda theta, data, batch: squares(theta, data, 1 + 0.01 * rng.standard_normal())


def own_torch_generator() -> Callable[..., Tensor]:
    generator = torch.Generator().manual_seed(0)
    return lambda theta, data, batch: squares(theta, data, 1 + 0.01 * torch.randn(10, generator=generator))


def a_clock() -> Callable[..., Tensor]:
    ticks = itertools.count(1)
    return lambda theta, data, batch: squares(theta, data, 1 + 0.01 * next(ticks))


def a_memory() -> Callable[..., Tensor]:
    held = {"mean": torch.zeros(())}

    def loss(theta: Tensor, data: Tensor, batch: Any) -> Tensor:
        value = squares(theta, data)
        held["mean"] = 0.9 * held["mean"] + value.detach()
        return value / (1 + held["mean"])

    return loss


def slanted(theta: Tensor, data: Tensor, slant: Any) -> Tensor:
    """A loss whose value does not depend on `slant`, but its gradient does."""
    term = (slant * theta).sum()
    return squares(theta, data) + term - term.detach()


def a_clock_in_the_gradient() -> Callable[..., Tensor]:
    ticks = itertools.count(1)
    return lambda theta, data, batch: slanted(theta, data, 0.01 * next(ticks))


def numpy_noise_in_the_gradient() -> Callable[..., Tensor]:
    return lambda theta, data, batch: slanted(theta, data, 0.01 * np.random.randn())


def statistics_in_a_tensor() -> Callable[..., Tensor]:
    """A running mean that is no buffer of a module, changed in place."""
    mean = torch.zeros(10)

    def loss(theta: Tensor, data: Tensor, batch: Any) -> Tensor:
        outputs = X @ theta
        mean.mul_(0.9).add_(0.1 * outputs.detach())
        return ((outputs - mean - data) ** 2).mean()

    return loss


def statistics_in_the_gradient() -> Callable[..., Tensor]:
    spread = torch.ones(4)

    def loss(theta: Tensor, data: Tensor, batch: Any) -> Tensor:
        spread.mul_(0.9).add_(0.1 * theta.detach() ** 2)
        return slanted(theta, data, spread)

    return loss


KINDS = [
    drawn_rows,
    numpy_noise,
    own_generator,
    own_torch_generator,
    a_clock,
    a_memory,
    a_clock_in_the_gradient,
    numpy_noise_in_the_gradient,
    statistics_in_a_tensor,
    statistics_in_the_gradient,
]


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("execution", EXECUTIONS)
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_loss_that_changes_is_refused(kind: Callable, execution: str, how: str) -> None:
    data = torch.zeros(10, requires_grad=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExecutionWarning)
        end = unroll(
            kind(),
            torch.ones(4),
            data,
            Adam(0.02, epsilon=1e-5),
            [None] * STEPS,
            HOW[how],
            execution=EXECUTIONS[execution],
        )
        with pytest.raises(RepeatError, match=r"the loss of step \d had another gradient .* data or batches"):
            (end**2).sum().backward()
    assert data.grad is None


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("execution", EXECUTIONS)
@pytest.mark.parametrize("kind", ["number", "list", "attribute", "tensor in place"])
@pytest.mark.parametrize("changing", [squares, slanted])
def test_what_changes_before_the_backward_pass_is_noticed(
    changing: Callable, kind: str, execution: str, how: str
) -> None:
    number, numbers, holder, tensor = 1.0, [1.0], SimpleNamespace(scale=1.0), torch.ones(())

    def loss(theta: Tensor, data: Tensor, batch: Any) -> Tensor:
        scales = {"number": number, "list": numbers[0], "attribute": holder.scale, "tensor in place": tensor}
        return changing(theta, data, scales[kind])

    data = torch.zeros(10, requires_grad=True)
    end = unroll(
        loss, torch.ones(4), data, Adam(0.02), [None] * STEPS, HOW[how], execution=EXECUTIONS[execution]
    )
    number, numbers[0], holder.scale = 2.0, 2.0, 2.0
    tensor.mul_(2)
    with pytest.raises(RepeatError):
        end.sum().backward()


class Drawing:
    """Batches that are drawn anew at each access."""

    def __len__(self) -> int:
        return STEPS

    def __getitem__(self, index: int) -> Tensor:
        return torch.from_numpy(np.random.randn(4)).float()


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("execution", EXECUTIONS)
def test_batches_that_differ_when_read_again_are_noticed(execution: str, how: str) -> None:
    def loss(theta: Tensor, data: Tensor, slant: Tensor) -> Tensor:  # graphs of a loss go with it
        return slanted(theta, data, slant)

    data = torch.zeros(10, requires_grad=True)
    batches: Any = Drawing()
    end = unroll(loss, torch.ones(4), data, Adam(0.02), batches, HOW[how], execution=EXECUTIONS[execution])
    with pytest.raises(RepeatError):
        end.sum().backward()


@pytest.mark.parametrize("execution", EXECUTIONS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_run_that_stays_at_a_minimum_repeats_itself(dtype: torch.dtype, execution: str) -> None:
    """Its gradients are rounding errors."""
    x = torch.randn(64, 8, generator=torch.Generator().manual_seed(0)).to(dtype)
    data = (x @ torch.ones(8, dtype=dtype) + x[:, 0].sin()).requires_grad_()
    least = torch.linalg.lstsq(x, data.detach()[:, None]).solution[:, 0]

    def loss(theta: Tensor, data: Tensor, batch: Any) -> Tensor:
        return ((x @ theta - data) ** 2).mean()

    unroll(loss, least, data, SGD(0.1), [None] * 60, execution=EXECUTIONS[execution]).sum().backward()
    assert gradient(data).isfinite().all()


class RoundedOtherwise(torch.autograd.Function):
    """The identity, with a gradient that is slightly larger where it is differentiated again."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, *bars: Any) -> Any:
        return bars[0] * (1 + 3e-4 * torch.is_grad_enabled())


def test_rounding_errors_of_large_losses_are_no_change() -> None:
    """Two programs may differ by more than a few units: the first of them is then run again."""
    data = torch.linspace(0.5, 1.5, 6, requires_grad=True)

    def loss(theta: Tensor, data: Tensor, batch: Any) -> Tensor:
        return (RoundedOtherwise.apply(theta) - data).square().sum() + (theta * data).sin().sum()

    unroll(loss, torch.zeros(6), data, SGD(0.1), [None] * 5).sum().backward()
    assert gradient(data).isfinite().all()


class Rebinding(nn.Module):
    """Counts its calls in a buffer that it replaces, and reads it."""

    count: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("count", torch.ones(()))

    def forward(self, x: Tensor) -> Tensor:
        self.count = self.count + 1
        return x * self.count.log()


MODULES: dict[str, Callable[[], nn.Module]] = {
    "batch norm": lambda: nn.BatchNorm1d(6),
    "batch norm, cumulative": lambda: nn.BatchNorm1d(6, momentum=None),  # type: ignore[arg-type]
    "spectral norm": lambda: nn.utils.parametrizations.spectral_norm(nn.Linear(6, 6)),
    "rebinding": Rebinding,
}


def by_autograd(loss: Callable, theta: dict[str, Tensor], data: Tensor, batches: list[Tensor]) -> Any:
    for batch in batches:
        grads = torch.autograd.grad(loss(theta, data, batch), list(theta.values()), create_graph=True)
        theta = {key: leaf - 0.1 * g for (key, leaf), g in zip(theta.items(), grads, strict=True)}
    return theta


@pytest.mark.filterwarnings("ignore::farzi.unroll.ExecutionWarning")
@pytest.mark.parametrize("how", ["store", "gradients", "square root", "checkpoints", "budget"])
@pytest.mark.parametrize("execution", ["eager", "graph"])
@pytest.mark.parametrize("kind", MODULES)
def test_buffers_stay_as_training_left_them(kind: str, execution: str, how: str) -> None:
    """Gradient and buffers are those of the plain loop, whatever is recomputed."""
    batches = [torch.arange(k % 3 * 4, k % 3 * 4 + 4) for k in range(6)]
    targets = torch.arange(12) % 3

    def run(through: Callable) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        torch.manual_seed(1)
        net = nn.Sequential(nn.Linear(5, 6), MODULES[kind](), nn.Tanh(), nn.Linear(6, 3)).double()
        data = torch.randn(12, 5, dtype=torch.float64, requires_grad=True)

        def loss(theta: dict[str, Tensor], data: Tensor, rows: Tensor) -> Tensor:
            return nn.functional.cross_entropy(functional_call(net, theta, (data[rows],)), targets[rows])

        end = through(loss, fresh(dict(net.named_parameters())), data, batches)
        left = [buffer.clone() for buffer in net.buffers()]
        torch.stack([(leaf**2).sum() for leaf in end.values()]).sum().backward()
        return gradient(data), left, list(net.buffers())

    memory = {**HOW, "budget": "3 kB"}[how]
    found = run(
        lambda *args: unroll(
            args[0], args[1], args[2], SGD(0.1), args[3], memory, execution=EXECUTIONS[execution]
        )
    )
    right = run(by_autograd)
    assert relative_error(found[0], right[0]) < 1e-10
    for left, now, expected in zip(found[1], found[2], right[1], strict=True):
        assert torch.equal(left, now)
        torch.testing.assert_close(now, expected)


def test_buffers_that_are_given_to_the_loss_stay_outside() -> None:
    """functional_call puts other buffers into a module for a while."""
    net = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4)).eval()
    own = {name: buffer.clone() for name, buffer in net.named_buffers()}
    theta0 = fresh(dict(net.named_parameters()))
    data = {name: buffer + 1 for name, buffer in net.named_buffers()} | {"x": X.clone().requires_grad_()}

    def loss(theta: dict[str, Tensor], data: dict[str, Tensor], batch: Any) -> Tensor:
        given = theta | {name: data[name] for name in own}
        return (functional_call(net, given, (data["x"],)) ** 2).mean()

    end = unroll(loss, theta0, data, SGD(0.1), range(3), Checkpoints(slots=1))
    end["0.weight"].sum().backward()
    assert gradient(data["x"]).norm() > 0
    for name, buffer in net.named_buffers():
        assert torch.equal(buffer, own[name])


@pytest.mark.parametrize("memory", [Store(), Checkpoints(slots=1)], ids=["store", "checkpoints"])
def test_autocast_of_the_forward_pass_holds_in_the_backward_pass(memory: Any) -> None:
    def run(inside: bool) -> Tensor:
        data = torch.zeros(10, requires_grad=True)
        with torch.autocast("cpu", torch.bfloat16):
            end = unroll(
                lambda theta, data, _: squares(theta, data), torch.ones(4), data, SGD(0.1), range(4), memory
            )
            if inside:
                end.sum().backward()
        if not inside:
            end.sum().backward()
        return gradient(data)

    assert torch.equal(run(inside=True), run(inside=False))


@pytest.fixture
def defaults() -> Iterator[None]:
    yield
    torch.set_default_dtype(torch.float32)
    torch.set_default_device(None)


@pytest.mark.usefixtures("defaults")
@pytest.mark.parametrize("default", [torch.float64, torch.bfloat16, torch.device("meta")], ids=str)
@pytest.mark.parametrize("execution", ["eager", "graph"])
def test_defaults_of_the_process_change_nothing(execution: str, default: Any) -> None:
    def run() -> tuple[Tensor, Tensor]:
        data = torch.full((10,), 0.5, dtype=torch.float32, device="cpu", requires_grad=True)
        theta0 = torch.full((4,), 1.0, dtype=torch.float32, device="cpu")
        end = unroll(
            lambda theta, data, _: squares(theta, data),
            theta0,
            data,
            Adam(0.1, epsilon=1e-5),
            range(4),
            SquareRoot(),
            execution=EXECUTIONS[execution],
        )
        end.sum().backward()
        return end.detach(), gradient(data)

    right = run()
    if isinstance(default, torch.dtype):
        torch.set_default_dtype(default)
    else:
        torch.set_default_device(default)
    for value, expected in zip(run(), right, strict=True):
        assert torch.equal(value, expected)


@pytest.mark.parametrize(
    "loss",
    [
        lambda theta, data, _: squares(theta.detach(), data),
        lambda theta, data, _: torch.tensor(squares(theta, data).item()),
        lambda theta, data, _: torch.as_tensor(squares(theta, data).detach().numpy() + 1),
        lambda theta, data, _: (data**2).sum(),
    ],
    ids=["detached", "item", "numpy", "data alone"],
)
@pytest.mark.parametrize("execution", EXECUTIONS)
@pytest.mark.parametrize("run", [unroll, train])
def test_a_loss_without_theta_is_refused(run: Callable, execution: str, loss: Callable) -> None:
    data = torch.zeros(10, requires_grad=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExecutionWarning)
        with pytest.raises(RuntimeError, match="does not depend on theta"):
            run(loss, torch.ones(4), data, SGD(0.1), [None], execution=EXECUTIONS[execution])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("epsilon", [1e-8, torch.tensor(1e-8), torch.tensor([1e-3, 1e-8])], ids=str)
def test_an_epsilon_that_is_zero_in_the_dtype_is_refused(epsilon: Any, dtype: torch.dtype) -> None:
    def run() -> Any:
        start = torch.ones(3, dtype=dtype)
        return train(lambda th, d, b: (th[:2] ** 2).sum(), start, start, Adam(0.1, epsilon=epsilon), [0, 1])

    if dtype is torch.float16:
        with pytest.raises(ValueError, match=r"epsilon=1e-08 is 0 in torch\.float16"):
            run()
    else:
        assert run().theta.isfinite().all()


@pytest.mark.parametrize("execution", ["eager", "graph"])
def test_sparse_gradients_are_refused_in_one_sentence(execution: str) -> None:
    table = nn.Embedding(7, 4, sparse=True)

    def loss(theta: dict[str, Tensor], data: Tensor, batch: Any) -> Tensor:
        return (functional_call(table, theta, (torch.tensor([1, 2]),)) ** 2).mean()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExecutionWarning)
        with pytest.raises(TypeError, match="sparse gradients"):
            train(loss, dict(table.named_parameters()), X, SGD(0.1), [None], execution=EXECUTIONS[execution])


@pytest.mark.parametrize(
    "batches",
    [(None for _ in range(3)), iter([1]), {0: 1}, {1, 2}, None, zip([1])],
    ids=lambda b: str(type(b)),
)
@pytest.mark.parametrize("run", [unroll, train])
def test_batches_without_an_order_and_a_length_are_refused(run: Callable, batches: Any) -> None:
    with pytest.raises(TypeError, match="batches must be a list, a range or a tensor"):
        run(lambda theta, data, _: squares(theta, data), torch.ones(4), torch.zeros(10), SGD(), batches)


class Slotted:
    __slots__ = ("scale",)

    def __init__(self, scale: float) -> None:
        self.scale = scale


@pytest.mark.parametrize("kind", ["slots", "array", "partial", "default", "training", "dropout"])
def test_a_graph_does_not_keep_what_changes(kind: str) -> None:
    """Twice the same loss object with something changed between; a graph and eager execution agree."""
    slotted, array, drop = Slotted(1.0), np.ones(1), nn.Dropout(0.5).eval()

    def scaled(theta: Tensor, data: Tensor, batch: Any, scale: Any = (1.0,)) -> Tensor:
        scales = {"slots": slotted.scale, "array": float(array[0]), "partial": scale[0], "default": scale[0]}
        return squares(drop(theta), data, scales.get(kind, 1.0))

    numbers = [1.0]
    loss = functools.partial(scaled, scale=numbers) if kind == "partial" else scaled
    for value in (1.0, 3.0):
        slotted.scale = array[0] = numbers[0] = value
        scaled.__defaults__ = ((value,),)
        if value == 3.0:
            drop.p = 0.9
            drop.train(kind in ("training", "dropout"))
        ends = []
        for execution in (Eager(), EXECUTIONS["graph"]):
            torch.manual_seed(0)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ExecutionWarning)
                end = train(loss, torch.ones(4), torch.zeros(10), SGD(0.05), range(3), execution=execution)
            ends.append(end.theta)
        torch.testing.assert_close(*ends)
