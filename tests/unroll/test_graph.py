"""Graphs: what is taken out of them, what is rewritten, and that the numbers stay."""

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.fx import GraphModule
from torch.nn.modules.module import register_module_forward_pre_hook

from farzi.models import SASRec
from farzi.training import NextEvent
from farzi.unroll import (
    Adam,
    Compiled,
    Eager,
    ExecutionWarning,
    SquareRoot,
    Window,
    inductor,
    interpreter,
    train,
    unroll,
)
from farzi.unroll.compile.graph import UntraceableError, factored_outputs, trace
from farzi.unroll.execution import INNER, Gathering

from .graphs import graphs, targets
from .problems import fresh, network, relative_error


def test_what_is_not_asked_for_is_gone() -> None:
    def function(x: Tensor) -> list[Tensor]:
        x = x.detach().requires_grad_()
        (slope,) = torch.autograd.grad(((x**2).exp()).sum(), x)
        return [slope]

    module = trace(function, [torch.randn(4)])
    assert not any("sum" in target or "ones_like" in target for target in targets(module))
    x = torch.randn(4)
    torch.testing.assert_close(module(x)[0], 2 * x * (x**2).exp())


FACTORED = {
    "a product": (lambda a, b: a @ b, 1),
    "a sum": (lambda a, b: a @ b + (a * a) @ b.sin(), 2),
    "transposed": (lambda a, b: (b.T @ a.T).T, 1),
    "twice transposed": (lambda a, b: ((a @ b).T).T + a.sin() @ b, 2),
    "unfolded": (lambda a, b: (a @ b).view(2, 3, 5), 1),
    "folded and summed": (lambda a, b: (a.view(2, 3, 4) @ b) + (a @ b).view(2, 3, 5), 2),
    "a product of more": (lambda a, b: (a @ b).sin(), 0),
    "half a sum of products": (lambda a, b: a @ b + 1.0, 0),
    "columns that are no columns of the product": (lambda a, b: (a @ b).view(3, 10), 0),
}


@pytest.mark.parametrize("name", FACTORED)
def test_products_are_given_in_factors(name: str) -> None:
    function, pairs = FACTORED[name]
    a, b = torch.randn(6, 4, dtype=torch.float64), torch.randn(4, 5, dtype=torch.float64)
    module = trace(lambda a, b: [a.sum(), function(a, b)], [a, b])
    assert factored_outputs(module, [1]) == [pairs]
    first, *rest = module(a, b)
    bar = Gathering(function(a, b))
    if pairs == 0:
        bar.add(*rest)
    for left, right in zip(rest[::2], rest[1::2], strict=False):
        if pairs:
            bar.add_product(left, right)
    torch.testing.assert_close(first, a.sum())
    torch.testing.assert_close(bar.total(), function(a, b))


def test_gathering_adds_what_it_is_given_however_much() -> None:
    bar, right_sum = Gathering(torch.zeros(30, 40, dtype=torch.float64)), torch.zeros(30, 40).double()
    for width in (1, 7, INNER - 1, INNER, 3):
        a, b = torch.randn(30, width).double(), torch.randn(width, 40).double()
        bar.add_product(a, b)
        bar.add(2 * (a @ b))
        right_sum += 3 * (a @ b)
        torch.testing.assert_close(bar.total(), right_sum)


def student_loss(layers: int = 1) -> tuple[Callable[..., Tensor], dict[str, Tensor], Tensor]:
    torch.manual_seed(0)
    loss = NextEvent(SASRec(vocabulary=20, length=5, hidden=8, layers=layers, heads=2))
    return loss.at, loss.parameters_of(loss.student), torch.randn(4, 6, 20).softmax(-1)


def test_a_students_reverse_step_looks_at_the_logits_once() -> None:
    loss, theta0, events = student_loss()
    execution, data = Compiled(compiler=interpreter), events.requires_grad_()
    end = unroll(loss, theta0, data, Adam(0.01), [None] * 2, execution=execution)
    torch.stack([leaf.sum() for leaf in end.values()]).sum().backward()
    (product,) = graphs(execution)["product"]
    used = [target for target in targets(product.call) if "farzi" in target]
    assert used == ["farzi.log_partition_dual.default"]
    assert product.pairs == [2]


def test_steps_windows_and_seeds_make_no_new_graph() -> None:
    loss, theta0, events = student_loss()
    execution, data = Compiled(compiler=interpreter), events.requires_grad_()
    for steps, memory, scale in ((2, None, 1.0), (5, Window(last=3), 1.1), (7, SquareRoot(), 0.9)):
        start = {name: scale * leaf for name, leaf in theta0.items()}
        batches = torch.randint(4, (steps, 3))
        end = unroll(loss, start, data, Adam(0.01), batches, memory, execution=execution)
        torch.stack([leaf.sum() for leaf in end.values()]).sum().backward()
    assert {name: len(made) for name, made in graphs(execution).items()} == {
        "gradient": 1,
        "product": 1,
        "split": 1,
        "update": 1,
        "pull back": 1,
    }


def same_as_eager(loss: Callable[..., Tensor], batches: Any, execution: Compiled) -> bool:
    problem = network()
    found = []
    for how in (execution, Eager()):
        torch.manual_seed(5)
        theta0, data = fresh(problem.theta0), fresh(problem.data)
        end = unroll(loss, theta0, data, Adam(0.01), batches, execution=how)
        problem.outer(end).backward()
        found.append(data["weights"].grad)
    return relative_error(*found) < 1e-5


def test_random_draws_run_eagerly() -> None:
    problem = network()

    def loss(theta: Any, data: Any, rows: Tensor) -> Tensor:
        return problem.loss(theta, data, rows) + (torch.rand(4) * theta["head"]).sum()

    with pytest.warns(ExecutionWarning, match="run eagerly: the loss draws random numbers"):
        assert same_as_eager(loss, problem.batches(3), Compiled(compiler=interpreter))


def test_values_that_decide_run_eagerly() -> None:
    problem = network()

    def loss(theta: Any, data: Any, rows: Tensor) -> Tensor:
        value = problem.loss(theta, data, rows)
        return value if value > 0 else -value

    with pytest.warns(ExecutionWarning, match="run eagerly: the loss cannot be traced"):
        assert same_as_eager(loss, problem.batches(3), Compiled(compiler=interpreter))


def test_a_compiler_that_fails_runs_eagerly() -> None:
    problem = network()

    def broken(module: GraphModule) -> Any:
        raise RuntimeError("no compiler here\nand much more")

    with pytest.warns(
        ExecutionWarning, match=r"run eagerly: the compiler failed \(RuntimeError: no compiler h"
    ):
        assert same_as_eager(problem.loss, problem.batches(3), Compiled(compiler=broken))


def test_too_many_kinds_of_batches_run_eagerly() -> None:
    problem = network()
    schedule = problem.batches(20)

    def loss(theta: Any, data: Any, index: int) -> Tensor:
        return problem.loss(theta, data, schedule[index])

    with pytest.warns(ExecutionWarning, match="more than 16 kinds"):
        assert same_as_eager(loss, range(20), Compiled(compiler=interpreter))


def test_what_a_batch_holds_besides_tensors_makes_a_graph_of_its_own() -> None:
    problem, execution = network(), Compiled(compiler=interpreter)

    def loss(theta: Any, data: Any, batch: Any) -> Tensor:
        return batch["scale"] * problem.loss(theta, data, batch["rows"])

    batches = [{"rows": rows, "scale": 1 + k % 2} for k, rows in enumerate(problem.batches(6))]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert same_as_eager(loss, batches, execution)
    assert len(graphs(execution)["gradient"]) == 2


def test_a_loss_at_fault_says_so_as_in_eager_mode() -> None:
    for how in (Eager(), Compiled(compiler=interpreter)):
        with pytest.raises(ValueError, match="must be a scalar"):
            train(lambda theta, data, batch: theta * 2, torch.ones(3), {}, Adam(), range(1), execution=how)


def test_an_untraceable_function_says_why() -> None:
    with pytest.raises(UntraceableError, match="cannot be traced"):
        trace(lambda x: [x] if bool(x.sum() > 0) else [x, x], [torch.ones(3)])


def test_hooks_on_all_modules_are_not_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run watches all modules by such hooks, which the compiler would read, and stumble over."""
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))  # its front end alone
    loss, theta0, events = student_loss(layers=2)
    called: set[torch.nn.Module] = set()
    hook = register_module_forward_pre_hook(lambda module, args: called.add(module))
    try:
        data = events.requires_grad_()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            end = unroll(loss, theta0, data, Adam(0.01), [None] * 2, execution=Compiled(compiler=inductor))
            torch.stack([leaf.sum() for leaf in end.values()]).sum().backward()
    finally:
        hook.remove()
    assert called
    assert not [module for module in called if hasattr(module, "_orig_mod")]


@pytest.mark.long
def test_compiled_runs_follow_the_eager_one() -> None:
    loss, theta0, events = student_loss()
    ends = []
    for how in (Eager(), Compiled(compiler=inductor)):
        data = events.clone().requires_grad_()
        end = unroll(loss, theta0, data, Adam(0.01, epsilon=1e-5), [None] * 20, execution=how)
        torch.stack([leaf.square().sum() for leaf in end.values()]).sum().backward()
        ends.append((data.grad, *end.values()))
    for a, b in zip(*ends, strict=True):
        assert relative_error(a, b) < 1e-4
