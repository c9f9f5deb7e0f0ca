"""Derivatives as compiled graphs: traced once, rewritten, compiled, and run at every step.

PyTorch refuses a double backward pass through a compiled function. Here nothing is differentiated after
compilation: the gradient, and the product with second derivatives, are first traced as plain functions of
tensors. What changes from step to step (parameters, data, direction, the batch's tensors) is an input.
"""

import warnings
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.fx import GraphModule

from farzi.unroll.compile.cache import GRAPHS
from farzi.unroll.compile.graph import (
    Compiler,
    TensorFunction,
    UntraceableError,
    factored_outputs,
    held_tensors,
    inductor,
    trace,
)
from farzi.unroll.compile.partition import heavy_work, partition
from farzi.unroll.curvature import Curvature, ReverseOverReverse
from farzi.unroll.execution import Eager, Execution, Intermediates, Sum
from farzi.unroll.optimizers import After, Optimizer, PulledBack, State, Step, pull_back_update
from farzi.unroll.repeats import RepeatError, Repeats
from farzi.unroll.torch_private import is_fake, tree_flatten, tree_unflatten
from farzi.unroll.trees import StepLoss, bytes_of, gradient, tree_names


class _Graph(NamedTuple):
    """A compiled graph, and how to read its outputs."""

    call: TensorFunction
    pairs: Sequence[int] = ()  # of factors, for each output that may come in factors; 0 if it comes whole


class _Split(NamedTuple):
    """A gradient that also returns the intermediates of the second-order product, and that product."""

    forward: TensorFunction  # to the gradient, then the intermediates
    reverse: _Graph  # takes the intermediates behind the inputs of the whole product
    kept: int  # bytes of the intermediates


@dataclass(frozen=True)
class Compiled(Execution):
    """Run each derivative as a compiled graph, and eagerly where that is not possible.

    A graph belongs to a loss (the function object: create it once), the shapes of theta, data and batch, and
    the parts of the batch that are not tensors. Equal values share their graphs. At every call, what the loss
    reads besides its arguments is compared with what it was when traced, and the loss traced again if it has
    changed; `farzi.unroll.compile.cache` lists what this can't see. A loss that cannot be traced (random
    draws, control flow that depends on values) runs eagerly, with one `ExecutionWarning`.

    Intermediates of a gradient that the reverse step needs again are stored where that is worth it
    (`farzi.unroll.compile.partition`) and the memory strategy stores steps whole. With
    `torch.use_deterministic_algorithms` they are not, so that all strategies use the same graphs.

    The first call takes a second or two for tracing, and tens of seconds for compiling.

    Attributes:
        curvature: how second derivatives are computed.
        compiler: what is done with a traced graph: `inductor`, `cuda_graphs` or `interpreter`.
    """

    curvature: Curvature = field(default_factory=ReverseOverReverse)
    compiler: Compiler = inductor

    @property
    def _eager(self) -> Eager:
        return Eager(self.curvature)

    def gradient(self, loss: StepLoss, theta: Tensor) -> Tensor:
        call = _Derivatives(loss, theta)
        graph = self._graph("gradient", call, call.gradient)
        if graph is None:
            return self._eager.gradient(loss, theta)
        return _run(graph.call, call.inputs)[0]

    def forward(self, loss: StepLoss, theta: Tensor) -> tuple[Tensor, Intermediates]:
        call = _Derivatives(loss, theta, theta)
        split = self._split(call, loss.wanted)
        if split is None:
            return self.gradient(loss, theta), ()
        gradient, *kept = _run(split.forward, call.inputs[:-1])
        return gradient, tuple(kept)

    def intermediates(self, loss: StepLoss, theta: Tensor) -> int:
        split = self._split(_Derivatives(loss, theta, theta), loss.wanted)
        return 0 if split is None else split.kept

    def product(self, loss: StepLoss, step: Step, direction: Tensor, bars: Sequence[Sum | None]) -> Tensor:
        wanted = [bar is not None for bar in bars]
        call = _Derivatives(loss, step.theta, direction)
        split = self._split(call, wanted) if step.intermediates else None
        if split is not None:
            graph, inputs = split.reverse, [*call.inputs, *step.intermediates]
        else:

            def function(*inputs: Tensor) -> list[Tensor]:
                return call.products(self.curvature, wanted, inputs)[1:]  # the gradient would take time

            graph = self._graph(("product", *wanted), call, function, range(1, 1 + sum(wanted)))
            inputs = call.inputs
        if graph is None:
            return self._eager.product(loss, step, direction, bars)
        theta_part, *parts = _run(graph.call, inputs)
        for bar, pairs in zip(filter(None, bars), graph.pairs, strict=True):
            if pairs == 0:
                bar.add(parts.pop(0))
            for _ in range(pairs):
                bar.add_product(parts.pop(0), parts.pop(0))
        return theta_part

    def update(self, optimizer: Optimizer, gradient: Tensor, state: State, theta: Tensor) -> After:
        def function(optimizer: Optimizer, step: Any, gradient: Tensor, theta: Tensor, *slots: Tensor) -> Any:
            theta, after = optimizer.update(gradient, State(step, slots), theta)
            return [theta, *after.slots]

        results = self._of_update("update", optimizer, function, state.step, [gradient, theta, *state.slots])
        if results is None:
            return self._eager.update(optimizer, gradient, state, theta)
        return results[0], State(state.step + 1, tuple(results[1:]))

    def pull_back(self, optimizer: Optimizer, step: Step, after: Sequence[Tensor]) -> PulledBack:
        count = len(step.state.slots)

        def function(optimizer: Optimizer, index: Any, gradient: Tensor, theta: Tensor, *rest: Tensor) -> Any:
            step = Step(theta, State(index, rest[:count]), gradient)
            pulled = pull_back_update(optimizer, step, rest[count:])
            return [pulled.gradient, pulled.theta, *pulled.slots, *pulled.hypers]

        tensors = [step.gradient, step.theta, *step.state.slots, *after]
        results = self._of_update("pull back", optimizer, function, step.state.step, tensors)
        if results is None:
            return self._eager.pull_back(optimizer, step, after)
        gradient, theta, *rest = results
        return PulledBack(gradient, theta, rest[:count], rest[count:])

    def _of_update(
        self, what: str, optimizer: Optimizer, function: Callable[..., Any], step: int, tensors: list[Tensor]
    ) -> list[Tensor] | None:
        """function(optimizer, step, *tensors) as a graph; tensors among the hyper-parameters are inputs."""
        hypers = dict(optimizer.hypers())
        numbers = [(part.name, getattr(optimizer, part.name)) for part in fields(optimizer)]
        subject = type(optimizer), tuple(number for number in numbers if number[0] not in hypers)
        count = torch.full((), step, dtype=torch.int64, device=tensors[0].device)
        inputs = [count, *(leaf.detach() for leaf in (*tensors, *hypers.values()))]

        def traced(count: Tensor, *rest: Tensor) -> list[Tensor]:
            values = dict(zip(hypers, rest[len(tensors) :], strict=True))
            return function(optimizer.with_hypers(values), count, *rest[: len(tensors)])

        graph = self._graph(what, _Call(None, subject, inputs), traced)
        return None if graph is None else _run(graph.call, inputs)

    def _split(self, call: "_Derivatives", wanted: Sequence[bool]) -> _Split | None:
        """The graph of a product cut in two; None if there is nothing worth storing."""
        if torch.are_deterministic_algorithms_enabled():
            return None

        def make() -> tuple[_Split | None, Sequence[Tensor]]:
            module = trace(lambda *inputs: call.products(self.curvature, wanted, inputs), call.inputs)
            held = held_tensors(module)
            pairs = factored_outputs(module, range(2, 2 + sum(wanted)))
            parts = partition(module, direction=len(call.inputs) - 1)
            if parts is None:
                return None, held
            first = call.inputs[:-1]
            # The product may differ from the gradient, as attention does: it would then take longer.
            if heavy_work(parts.forward) != heavy_work(trace(call.gradient, first)):
                return None, held
            forward = self._compiled(parts.forward, first)
            slope, *kept = _run(forward, first)
            call.compare(slope)
            reverse = _Graph(self._compiled(parts.reverse, [*call.inputs, *kept]), pairs)
            return _Split(forward, reverse, bytes_of(kept)), held

        return GRAPHS.get(self, ("split", *wanted), call.loss, call.subject, call.inputs, make)

    def _graph(
        self, what: Hashable, call: "_Call", function: TensorFunction, factored: Sequence[int] = ()
    ) -> _Graph | None:
        """The graph of a function; those of its outputs named in `factored` may come in factors."""

        def make() -> tuple[_Graph, Sequence[Tensor]]:
            module = trace(function, call.inputs)
            held = held_tensors(module)
            pairs = factored_outputs(module, factored)
            compiled = self._compiled(module, call.inputs)
            if isinstance(call, _Derivatives):
                call.compare(_run(compiled, call.inputs)[0] if what == "gradient" else None)
            return _Graph(compiled, pairs), held

        return GRAPHS.get(self, what, call.loss, call.subject, call.inputs, make)

    def _compiled(self, module: GraphModule, inputs: Sequence[Tensor]) -> TensorFunction:
        """The compiled graph, run once; an `UntraceableError` if there is no compiler, or it refuses."""
        try:
            with warnings.catch_warnings(), torch.no_grad():
                # PyTorch deprecates parts of itself, which shows when they are loaded
                warnings.simplefilter("ignore", DeprecationWarning)
                compiled = self.compiler(module)
                compiled(*inputs)
        except Exception as error:
            reason = " ".join(str(error).split("\n")[:2]).strip()
            raise UntraceableError(f"the compiler failed ({type(error).__name__}: {reason})") from error
        return compiled


@dataclass
class _Call:
    """What a graph depends on, and its inputs."""

    loss: Any  # the loss function; None for an update
    subject: Hashable  # what else the graph depends on
    inputs: Sequence[Tensor]


class _Derivatives(_Call):
    """A loss's derivatives as functions of tensors alone, from which a graph can be traced."""

    def __init__(self, loss: StepLoss, theta: Tensor, *direction: Tensor) -> None:
        self._step, leaves = replace(loss, seen=None), loss.leaves
        self._count = len(leaves)
        parts, self._spec = tree_flatten(loss.batch)
        self._constants = tuple(None if isinstance(part, Tensor) else (type(part), part) for part in parts)
        batch = [part for part in parts if isinstance(part, Tensor)]
        subject = (loss.layout, tree_names(loss.data), self._spec, self._constants)
        tensors = [tensor.detach() for tensor in (theta, *leaves, *batch, *direction)]
        super().__init__(loss.loss, subject, tensors)

    def compare(self, found: Tensor | None) -> None:
        """Refuse a graph that has another gradient than the loss: it keeps what should have changed.

        Without the graph's gradient, two of the loss's are compared.
        """
        theta = self.inputs[0]
        repeats = Repeats(theta.device)
        with torch.enable_grad():
            value = self._step(theta, self._step.leaves).detach()
        if not is_fake(value):  # as it is if the loss holds tensors that tracing left
            repeats.seen(theta, value)
            repeats.compare(0, self.slope() if found is None else found, self.slope())
            try:
                return repeats.check()
            except RepeatError:
                pass
        raise UntraceableError("the loss has another gradient when it is called again")

    def slope(self) -> Tensor:
        """∇θ L, eagerly."""
        return gradient(self._step, self.inputs[0], self._step.leaves)

    def gradient(self, theta: Tensor, *rest: Tensor) -> list[Tensor]:
        """∇θ L as a function of the inputs."""
        step, leaves = self._given(rest)
        return [gradient(step, theta, leaves)]

    def products(
        self, curvature: Curvature, wanted: Sequence[bool], inputs: Sequence[Tensor]
    ) -> list[Tensor]:
        """∇θ L, (∂²L/∂θ²) u, and (∂²L/∂X∂θ) u where it is wanted, as a function of the inputs."""
        theta, *rest, direction = inputs
        step, leaves = self._given(rest)
        slope, product, parts = curvature.product(step, theta, leaves, wanted, direction)
        return [slope, product, *parts]

    def _given(self, rest: Sequence[Tensor]) -> tuple[StepLoss, list[Tensor]]:
        """The loss, and the leaves of the data."""
        leaves, batch = rest[: self._count], iter(rest[self._count :])
        parts = [next(batch) if constant is None else constant[1] for constant in self._constants]
        return replace(self._step, batch=tree_unflatten(parts, self._spec)), list(leaves)


def _run(call: TensorFunction, inputs: Sequence[Tensor]) -> list[Tensor]:
    with torch.no_grad():
        return call(*inputs)
