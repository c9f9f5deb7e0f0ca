"""`unroll`: training as a differentiable function.

    theta = unroll(loss, theta0, data, Adam(0.01, epsilon=1e-5), batches)
    outer(theta).backward()

`loss(theta, data, batch)` is any scalar; theta0 and data are tensors or dicts of tensors; `batches` has one entry a step,
handed to the loss as it is. After the backward pass `.grad` of data, of theta0 and of the optimizer's hyper-parameters
is there, exact to rounding.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from farzi.unroll.adjoint import Loss, curvature_product, gradient, pull_back_update
from farzi.unroll.memory import Memory, Step, Store
from farzi.unroll.optimizers import Optimizer, State
from farzi.unroll.trees import Layout, Tree, tree_leaves, with_leaves

TreeLoss = Callable[[Any, Any, Any], Tensor]
"""loss(theta, data, batch) -> scalar; theta and data have the structure in which they were given."""


class Trained(NamedTuple):
    """The end of a run.

    Attributes:
        theta: the parameters, of theta0's structure.
        state: the optimizer's state, detached; pass it on to go on from here.
    """

    theta: Any
    state: State


def unroll(
    loss: TreeLoss,
    theta0: Tree,
    data: Tree,
    optimizer: Optimizer,
    batches: Sequence[Any],
    memory: Memory | None = None,
    *,
    state: State | None = None,
) -> Any:
    """Train for `len(batches)` steps, differentiably.

    Args:
        loss: loss(theta, data, batch) -> scalar tensor. It must give the same value when called again with the same
            arguments (no dropout, unless seeded by the batch), and its operations must support forward-mode
            differentiation, as nearly all of PyTorch's do.
        theta0: the first parameters: a tensor, or a dict of tensors of one floating dtype and device.
        data: what the loss is trained on: a tensor or a dict of tensors. Floating leaves that require a gradient get one.
        optimizer: an optimizer value; its hyper-parameters may be tensors that require a gradient, of shape () or (T,).
        batches: one entry a step, handed to the loss; its length is T.
        memory: how states are kept for the reverse pass; `Store()` if left out.
        state: the optimizer's state to go on from; a fresh one if left out. It counts as constant.

    Returns:
        θT, of the structure of theta0. With `Window(last=K)`, K < T, theta0 gets no gradient.

    Raises:
        TypeError: theta0's leaves differ in dtype or device, or are not floating point.
        ValueError: theta0 is empty, or the loss is not a scalar.
    """
    return unroll_with_state(loss, theta0, data, optimizer, batches, memory, state=state).theta


def unroll_with_state(
    loss: TreeLoss,
    theta0: Tree,
    data: Tree,
    optimizer: Optimizer,
    batches: Sequence[Any],
    memory: Memory | None = None,
    *,
    state: State | None = None,
) -> Trained:
    """`unroll`, which also returns the optimizer's state at the end, to go on from. Arguments as there."""
    layout = Layout.of(theta0)
    theta = layout.flatten(theta0)
    hypers = dict(optimizer.hypers())
    problem = _Problem(
        loss=loss,
        layout=layout,
        data=data,
        optimizer=optimizer,
        names=tuple(hypers),
        batches=batches,
        memory=Store() if memory is None else memory,
        state=optimizer.init(theta.detach()) if state is None else state,
    )
    end: list[State] = []
    vector = _Unroll.apply(problem, end, theta, *tree_leaves(data), *hypers.values())
    assert isinstance(vector, Tensor)
    return Trained(layout.unflatten(vector), end[0])


def train(
    loss: TreeLoss,
    theta0: Tree,
    data: Tree,
    optimizer: Optimizer,
    batches: Sequence[Any],
    *,
    state: State | None = None,
) -> Trained:
    """The same training without a record: nothing can be differentiated, nothing but the last state is kept."""
    layout = Layout.of(theta0)
    theta = layout.flatten(theta0).detach()
    state = optimizer.init(theta) if state is None else state
    leaves = [leaf.detach() for leaf in tree_leaves(data)]
    with torch.no_grad():
        for batch in batches:
            g = gradient(_flat_loss(loss, layout, data, batch), theta, leaves)
            theta, state = optimizer.update(g, state, theta)
    return Trained(layout.unflatten(theta), state)


@dataclass(frozen=True)
class _Problem:
    """All of a run that is not a differentiated tensor."""

    loss: TreeLoss
    layout: Layout
    data: Tree
    optimizer: Optimizer
    names: tuple[str, ...]
    batches: Sequence[Any]
    memory: Memory
    state: State

    def step_loss(self, index: int) -> Loss:
        return _flat_loss(self.loss, self.layout, self.data, self.batches[index])


def _flat_loss(loss: TreeLoss, layout: Layout, data: Tree, batch: Any) -> Loss:
    return lambda theta, leaves: loss(layout.unflatten(theta), with_leaves(data, list(leaves)), batch)


class _Unroll(torch.autograd.Function):
    """Training as one node of the autograd graph, from (θ0, data, hyper-parameters) to θT."""

    @staticmethod
    def forward(ctx: Any, problem: _Problem, end: list[State], theta: Tensor, *leaves: Tensor) -> Tensor:
        data, hypers = _split(problem, leaves)
        optimizer = problem.optimizer.with_hypers({name: value.detach() for name, value in hypers.items()})
        state = problem.state
        steps = len(problem.batches)
        tape = problem.memory.tape(steps)
        ctx.save_for_backward(theta, *leaves)
        for index in range(steps):
            g = gradient(problem.step_loss(index), theta, data)
            tape.put(index, Step(theta, state, g))
            theta, state = optimizer.update(g, state, theta)
        end.append(state)
        ctx.problem, ctx.tape = problem, tape
        return theta.clone() if steps == 0 else theta

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grad_outputs: Tensor) -> Any:
        problem, tape = ctx.problem, ctx.tape
        if tape is None:
            raise RuntimeError("unroll's states were let go in the first backward pass; run unroll again")
        _, *leaves = ctx.saved_tensors
        data, hypers = _split(problem, leaves)
        wanted = [bool(need) for need in ctx.needs_input_grad[3 : 3 + len(data)]]
        theta_bar = grad_outputs[0]
        slots_bar = [torch.zeros_like(theta_bar) for _ in problem.state.slots]
        data_bar: list[Tensor | None] = [torch.zeros_like(leaf) if w else None for leaf, w in zip(data, wanted, strict=True)]
        hypers_bar = [torch.zeros_like(value) for value in hypers.values()]
        ctx.tape = None
        for index in reversed(range(tape.first, len(problem.batches))):
            step = tape.pop(index)
            g_bar, theta_bar, slots_bar, parts = pull_back_update(
                problem.optimizer, hypers, step, theta_bar, slots_bar
            )
            hypers_bar = [total + part for total, part in zip(hypers_bar, parts, strict=True)]
            theta_part, data_parts = curvature_product(problem.step_loss(index), step.theta, data, wanted, g_bar)
            theta_bar = theta_bar + theta_part
            for total, part in zip(data_bar, data_parts, strict=True):
                if total is not None and part is not None:
                    total += part
        theta_grad = theta_bar if tape.first == 0 else None
        return None, None, theta_grad, *data_bar, *hypers_bar


def _split(problem: _Problem, leaves: Sequence[Tensor]) -> tuple[list[Tensor], dict[str, Tensor]]:
    """The leaves of the data, and the hyper-parameters by name."""
    count = len(tree_leaves(problem.data))
    return list(leaves[:count]), dict(zip(problem.names, leaves[count:], strict=True))
