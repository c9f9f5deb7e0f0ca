"""`unroll`: training as a differentiable function, one node of the autograd graph."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from farzi.unroll.adjoint import Adjoint, AdjointLike, Cotangents, chosen, one_of
from farzi.unroll.execution import Eager, Execution, Gathering, Intermediates
from farzi.unroll.memory import Budget, Memory, Replay
from farzi.unroll.optimizers import Optimizer, State, Step
from farzi.unroll.repeats import Repeats
from farzi.unroll.trees import (
    Layout,
    StepLoss,
    Tree,
    TreeLoss,
    check_tree,
    gradient,
    tree_leaves,
    with_leaves,
)

Batches = Sequence[Any] | Tensor
"""One entry per step: a list, a range, or a tensor whose rows are the entries."""

SPOT = 50
"""Where reverse steps do not compute gradients, that of the last and of every 50th before it is compared."""


class Trained(NamedTuple):
    """The end of a run."""

    theta: Any  # the parameters, with theta0's structure
    state: State  # the optimizer's state, detached; a later run can continue from it


def unroll(
    loss: TreeLoss,
    theta0: Tree,
    data: Tree,
    optimizer: Optimizer,
    batches: Batches,
    memory: AdjointLike | None = None,
    *,
    adjoint: Adjoint | None = None,
    state: State | None = None,
    execution: Execution | None = None,
) -> Any:
    """Train for `len(batches)` steps, differentiably.

    Args:
        loss: loss(theta, data, batch) -> scalar tensor. The reverse pass calls it again with the same
            arguments, and it must give the same result. PyTorch's own random draws (dropout) and the buffers
            of modules are repeated; anything else that changes raises an error. All that it reads besides its
            arguments counts as constant.
        theta0: the first parameters: a tensor, or a dict of tensors of one floating dtype and device.
        data: what the loss is trained on: a tensor or a dict of tensors. Leaves that require a gradient get
            one.
        optimizer: an optimizer value; its hyper-parameters may be tensors that require a gradient, of shape
            () or with one value per step, counted from the step at which `state` was fresh.
        batches: one entry per step; its length is T. The entries must not change before the backward pass.
        memory: short for `adjoint=Exact(memory)`: a memory strategy, or bytes such as "2GiB". An adjoint is
            taken as well.
        adjoint: how the run is differentiated; `Exact()` if left out.
        state: the optimizer's state to continue from; a fresh one if left out. It counts as constant.
        execution: how the loss's derivatives are carried out; `Eager()` if left out.

    Returns:
        θT, with the structure of theta0. It can be differentiated once, and its backward pass run once. With
        `Window(last=K)`, K < T, theta0 gets no gradient, and hyper-parameters get that of the window.

    Raises:
        TypeError: theta0's leaves differ in dtype or device, or are not floating point; theta0 or data is
            neither a tensor nor a dict of tensors; `batches` has no length; a hyper-parameter is a tensor of
            integers; the loss does not return a tensor, or has sparse gradients; `memory` is not one, or does
            not support this optimizer.
        ValueError: theta0 is empty; the loss is not a scalar; a schedule of hyper-parameters is too short;
            `state` does not fit the optimizer and theta0; epsilon is 0 in the run's dtype; `memory` is too
            little, or does not support these hyper-parameters; both `memory` and `adjoint` are given.
        RuntimeError: called in inference mode; the loss does not depend on theta.
        RepeatError: in the backward pass: the loss of a step had another gradient when it was called again.
        NotImplementedError: in the backward pass: an operation of the loss has no second derivative.
    """
    return unroll_with_state(
        loss, theta0, data, optimizer, batches, memory, adjoint=adjoint, state=state, execution=execution
    ).theta


def unroll_with_state(
    loss: TreeLoss,
    theta0: Tree,
    data: Tree,
    optimizer: Optimizer,
    batches: Batches,
    memory: AdjointLike | None = None,
    *,
    adjoint: Adjoint | None = None,
    state: State | None = None,
    execution: Execution | None = None,
) -> Trained:
    """`unroll`, which also returns the optimizer's last state. Same arguments."""
    adjoint, strategy = chosen(one_of(memory, adjoint))
    layout, theta, state, optimizer = _start(theta0, data, optimizer, batches, state, adjoint)
    execution = execution or Eager()
    if isinstance(strategy, Budget):
        stored, size = 0, theta.element_size()
        if len(batches) > 0:
            stored = execution.intermediates(StepLoss(loss, layout, data, batches[0]), theta)
        strategy = strategy.choose(len(batches), theta.numel(), optimizer.slots, size, -(-stored // size))
    precision = adjoint.precision(layout.dtype)
    problem = _Problem(
        loss=loss,
        layout=layout,
        data=with_leaves(data, tree_leaves(data)),  # the caller may change the dict
        optimizer=optimizer,
        batches=batches,
        adjoint=adjoint,
        memory=strategy,
        state=state.map(lambda slot: slot.to(precision)),
        execution=execution,
    )
    end: list[State] = []
    vector = _Unroll.apply(problem, end, theta.to(precision), *problem.leaves)
    assert isinstance(vector, Tensor)
    return Trained(layout.unflatten(vector), end[0].map(lambda slot: slot.to(layout.dtype)))


def train(
    loss: TreeLoss,
    theta0: Tree,
    data: Tree,
    optimizer: Optimizer,
    batches: Batches,
    *,
    state: State | None = None,
    execution: Execution | None = None,
) -> Trained:
    """The same training without a record: it cannot be differentiated, and only the last state is stored.

    Arguments and errors as for `unroll`; the values are bit for bit the same.
    """
    layout, theta, state, optimizer = _start(theta0, data, optimizer, batches, state)
    theta = theta.detach()
    execution = execution or Eager()
    with torch.no_grad():
        for batch in batches:
            g = execution.gradient(StepLoss(loss, layout, data, batch), theta)
            theta, state = execution.update(optimizer, g, state, theta)
    return Trained(layout.unflatten(theta), state)


def _start(
    theta0: Tree,
    data: Tree,
    optimizer: Optimizer,
    batches: Batches,
    state: State | None,
    adjoint: Adjoint | None = None,
) -> tuple[Layout, Tensor, State, Optimizer]:
    """The layout, flat parameters, first state and optimizer of a run, once its arguments are checked."""
    if torch.is_inference_mode_enabled():
        raise RuntimeError(
            "training needs gradients, which torch.inference_mode() forbids; use torch.no_grad()"
        )
    check_tree("data", data)
    if not (hasattr(batches, "__len__") and hasattr(batches, "__getitem__")) or isinstance(batches, Mapping):
        raise TypeError(
            "batches must be a list, a range or a tensor, with one entry for each step, got "
            f"{type(batches).__name__}; list(...) makes one of what can be iterated over"
        )
    layout = Layout.of(theta0)
    theta, optimizer = layout.flatten(theta0), optimizer.on(layout.shapes)
    first = optimizer.init(theta.detach())
    if state is None:
        state = first
    elif [slot.shape for slot in state.slots] != [slot.shape for slot in first.slots]:
        raise ValueError(
            f"state holds {len(state.slots)} slots of {[tuple(slot.shape) for slot in state.slots]}, but "
            f"{type(optimizer).__name__} on this theta0 wants {[tuple(slot.shape) for slot in first.slots]}"
        )
    optimizer.check_hypers(state.step + len(batches))
    dtype = layout.dtype if adjoint is None else adjoint.precision(layout.dtype)
    epsilon = torch.as_tensor(getattr(optimizer, "epsilon", 1.0), dtype=torch.float64, device="cpu").detach()
    if ((epsilon != 0) & (epsilon.to(dtype) == 0)).any():
        raise ValueError(
            f"epsilon={epsilon.min().item():g} is 0 in {dtype}: give a larger one, or use float32"
        )
    return layout, theta, state, optimizer.map(lambda value: value.to(theta.device))


@dataclass(frozen=True)
class _Problem:
    """Everything about a run but its first parameters."""

    loss: TreeLoss
    layout: Layout
    data: Tree
    optimizer: Optimizer
    batches: Batches
    adjoint: Adjoint
    memory: Memory
    state: State
    execution: Execution

    @property
    def leaves(self) -> list[Tensor]:
        """The tensors that may get a gradient: the data's leaves, then the hyper-parameters."""
        return [*tree_leaves(self.data), *(value for _, value in self.optimizer.hypers())]

    def step_loss(self, index: int) -> StepLoss:
        return StepLoss(self.loss, self.layout, self.data, self.batches[index])

    def forward(self, index: int, theta: Tensor) -> tuple[Tensor, Intermediates]:
        """The gradient of a step's loss, and its intermediates if the memory stores them."""
        loss = self.step_loss(index)
        if self.memory.keeps_intermediates():
            return self.execution.forward(loss, theta)
        return self.execution.gradient(loss, theta), ()


class _Unroll(torch.autograd.Function):
    """Training as one node of the autograd graph, from (θ0, data, hyper-parameters) to θT."""

    @staticmethod
    def forward(ctx: Any, problem: _Problem, end: list[State], theta: Tensor, *leaves: Tensor) -> Tensor:
        update = partial(problem.execution.update, problem.optimizer.map(Tensor.detach))
        state, steps = problem.state, len(problem.batches)
        repeats = Repeats(theta.device)

        def forward_again(index: int, theta: Tensor) -> tuple[Tensor, Intermediates]:
            with repeats.again(index):
                g, intermediates = problem.forward(index, theta)
                if problem.memory.exact():
                    repeats.note(index, g)
            return g, intermediates

        replay = Replay(problem.optimizer, forward_again, update, theta.device)
        tape = problem.memory.tape(steps, replay)
        ctx.save_for_backward(theta, *leaves)
        for index in range(steps):
            with repeats.first(index):
                g, intermediates = problem.forward(index, theta)
                repeats.note(index, g)
            tape.put(index, Step(theta, state, g, intermediates))
            del intermediates  # else they would still be held while the next step is computed
            theta, state = update(g, state, theta)
        end.append(state)
        ctx.problem, ctx.record = problem, (tape, repeats)
        return theta

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        problem: _Problem = ctx.problem
        if ctx.record is None:
            raise RuntimeError("unroll's states were let go in the first backward pass; run unroll again")
        (tape, repeats), ctx.record = ctx.record, None
        saved = ctx.saved_tensors  # raises if one of them has changed
        data = tree_leaves(problem.data)
        with torch.no_grad():
            bars = Cotangents(
                theta=grad_outputs[0],
                slots=[torch.zeros_like(slot) for slot in problem.state.slots],
                hypers=[torch.zeros_like(value) for value in saved[1 + len(data) :]],
                data=[
                    Gathering(leaf) if want else None for leaf, want in zip(data, ctx.needs_input_grad[3:])
                ],
            )
            for index in reversed(range(tape.first, len(problem.batches))):
                step, before_end = tape.pop(index), len(problem.batches) - 1 - index
                loss = replace(
                    problem.step_loss(index),
                    seen=None if before_end else partial(repeats.seen, step.theta),
                    again=partial(repeats.compare, index, step.gradient),
                )
                with repeats.again(index):
                    bars = problem.adjoint.reverse(problem.execution, problem.optimizer, loss, step, bars)
                if before_end % SPOT == 0 and not repeats.compared(index):
                    with repeats.again(index):
                        repeats.compare(index, step.gradient, gradient(loss, step.theta, loss.leaves))
                if repeats.doubtful(index):
                    with repeats.again(index):
                        repeats.compare(index, step.gradient, problem.forward(index, step.theta)[0])
                del step, loss  # so that the next pop can free what they hold
        repeats.check()
        theta_bar = bars.theta if tape.first == 0 else None
        results = [theta_bar, *(bar and bar.total() for bar in bars.data), *bars.hypers]
        if torch.is_grad_enabled():  # create_graph=True
            results = _Once.apply(results, grad_outputs[0], *saved)
        return None, None, *results


class _Once(torch.autograd.Function):
    """The identity, which refuses to be differentiated: the results would otherwise count as constant."""

    @staticmethod
    def forward(ctx: Any, results: list[Tensor | None], *sources: Tensor) -> Any:
        return tuple(results)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        raise RuntimeError(
            "unroll can be differentiated once: its gradient has no gradient (create_graph=True)"
        )
