"""Derivatives as compiled graphs: traced once, rewritten, compiled, and run at every step.

A double backward through a compiled function is refused by PyTorch. Here nothing is differentiated after
compilation: the gradient, and the second-order product with all its own derivatives in it, are traced as
plain functions of tensors first (`farzi.unroll.graph`). What changes from step to step, parameters, data,
direction and the batch's tensors, are inputs of the graph, so that neither the number of steps nor the window
nor a seed makes a new one.
"""

import warnings
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import torch
from torch import Tensor
from torch.fx import GraphModule

from farzi.unroll.compilers import Compiler, inductor
from farzi.unroll.curvature import Curvature, ReverseOverReverse
from farzi.unroll.derivatives import DIRECTION, Derivatives, without_direction
from farzi.unroll.execution import Eager, Intermediates, StepLoss
from farzi.unroll.gathering import Gathering
from farzi.unroll.graph import TensorFunction, UntraceableError, factored_outputs, trace
from farzi.unroll.optimizers import Optimizer, State
from farzi.unroll.partition import heavy_work, partition
from farzi.unroll.trees import bytes_of
from farzi.unroll.update import PulledBack, Step, pull_back_update

KEPT = 64
"""Graphs kept; the one that was not used for longest goes first."""
KINDS = 16
"""Kinds of one loss (closures, batches, shapes) that get a graph of their own; any more run eagerly."""


class ExecutionWarning(UserWarning):
    """A loss runs otherwise than was asked for; the results are the same."""


@dataclass(frozen=True)
class _Graph:
    """A compiled graph, and how its outputs are to be read.

    Attributes:
        call: runs it.
        pairs: for each output that may be given in factors, the pairs of them; 0 where it is itself there.
    """

    call: TensorFunction
    pairs: list[int]


@dataclass(frozen=True)
class _Split:
    """A gradient that keeps what a product with second derivatives would make again, and that product.

    Attributes:
        forward: gives the gradient, then what is kept.
        reverse: takes what was kept behind the inputs of the whole product.
        kept: bytes that are kept.
    """

    forward: TensorFunction
    reverse: _Graph
    kept: int


@dataclass(frozen=True)
class Compiled:
    """Run each derivative as a compiled graph, and eagerly where that is not possible.

    A graph belongs to a loss (the very same function object), the shapes of theta, data and batch, and
    whatever in the batch is no tensor. What the loss reaches by other ways than its arguments is read once,
    when the graph is made. A loss that cannot be traced (random draws, control flow that depends on values)
    runs eagerly, which an `ExecutionWarning` says once.

    What a gradient makes on its way and the reverse step needs again is kept where that is worth it
    (`farzi.unroll.partition`) and the memory strategy keeps steps whole. With
    `torch.use_deterministic_algorithms` it is not, so that all strategies make the very same graphs.

    The first call takes a second or two for tracing, and tens of seconds for compiling.

    Attributes:
        curvature: how second derivatives are made.
        compiler: what is done with a traced graph: `inductor`, `cuda_graphs` or `interpreter`.
    """

    curvature: Curvature = field(default_factory=ReverseOverReverse)
    compiler: Compiler = inductor
    _graphs: OrderedDict[tuple[Hashable, ...], _Graph | _Split | None] = field(
        default_factory=OrderedDict, compare=False, repr=False
    )

    @property
    def _eager(self) -> Eager:
        return Eager(self.curvature)

    def gradient(self, loss: StepLoss, theta: Tensor, leaves: Sequence[Tensor]) -> Tensor:
        """See `Execution`."""
        call = Derivatives(loss, (theta,), leaves)
        graph = self._graph("gradient", call.subject, call.inputs, call.gradient)
        if graph is None:
            return self._eager.gradient(loss, theta, leaves)
        return _run(graph.call, call.inputs)[0]

    def forward(
        self, loss: StepLoss, theta: Tensor, leaves: Sequence[Tensor], wanted: Sequence[bool]
    ) -> tuple[Tensor, Intermediates]:
        """See `Execution`."""
        call = Derivatives(loss, (theta, theta), leaves)
        split = self._split(call, wanted)
        if split is None:
            return self.gradient(loss, theta, leaves), ()
        gradient, *kept = _run(split.forward, without_direction(call.inputs))
        return gradient, tuple(kept)

    def intermediates(
        self, loss: StepLoss, theta: Tensor, leaves: Sequence[Tensor], wanted: Sequence[bool]
    ) -> int:
        """See `Execution`."""
        split = self._split(Derivatives(loss, (theta, theta), leaves), wanted)
        return 0 if split is None else split.kept

    def product(
        self,
        loss: StepLoss,
        theta: Tensor,
        leaves: Sequence[Tensor],
        direction: Tensor,
        data_bars: Sequence[Gathering | None],
        intermediates: Intermediates = (),
    ) -> Tensor:
        """See `Execution`."""
        wanted = [bar is not None for bar in data_bars]
        call = Derivatives(loss, (theta, direction), leaves)
        if intermediates:
            split = self._split(call, wanted)
            assert split is not None, "intermediates are given back to the execution that kept them"
            graph = split.reverse
        else:
            graph = self._product(call, wanted)
        if graph is None:
            return self._eager.product(loss, theta, leaves, direction, data_bars)
        theta_part, *parts = _run(graph.call, [*call.inputs, *intermediates])
        bars = [bar for bar in data_bars if bar is not None]
        for bar, pairs in zip(bars, graph.pairs, strict=True):
            if pairs == 0:
                bar.add(parts.pop(0))
            for _ in range(pairs):
                bar.add_product(parts.pop(0), parts.pop(0))
        return theta_part

    def update(
        self, optimizer: Optimizer, gradient: Tensor, state: State, theta: Tensor
    ) -> tuple[Tensor, State]:
        """See `Execution`."""
        hypers, slots = dict(optimizer.hypers()), len(state.slots)

        def function(gradient: Tensor, theta: Tensor, step: Any, *rest: Tensor) -> list[Tensor]:
            values = dict(zip(hypers, rest[slots:], strict=True))
            theta, after = optimizer.with_hypers(values).update(gradient, State(step, rest[:slots]), theta)
            return [theta, *after.slots]

        inputs = [gradient, theta, _count(state.step, theta), *state.slots, *hypers.values()]
        inputs = [leaf.detach() for leaf in inputs]
        graph = self._graph("update", _numbers(optimizer), inputs, function)
        if graph is None:
            return self._eager.update(optimizer, gradient, state, theta)
        theta, *rest = _run(graph.call, inputs)
        return theta, State(state.step + 1, tuple(rest))

    def pull_back(
        self,
        optimizer: Optimizer,
        hypers: Mapping[str, Tensor],
        step: Step,
        theta_bar: Tensor,
        slots_bar: Sequence[Tensor],
    ) -> PulledBack:
        """See `Execution`."""
        slots = len(step.state.slots)

        def function(gradient: Tensor, theta: Tensor, count: Any, *rest: Tensor) -> list[Tensor]:
            state, theta_bar, bars = State(count, rest[:slots]), rest[slots], rest[slots + 1 : 2 * slots + 1]
            values = dict(zip(hypers, rest[2 * slots + 1 :], strict=True))
            pulled = pull_back_update(optimizer, values, Step(theta, state, gradient), theta_bar, bars)
            return [pulled.gradient, pulled.theta, *pulled.slots, *pulled.hypers]

        inputs = [step.gradient, step.theta, _count(step.state.step, step.theta), *step.state.slots]
        inputs = [leaf.detach() for leaf in (*inputs, theta_bar, *slots_bar, *hypers.values())]
        graph = self._graph("pull back", _numbers(optimizer), inputs, function)
        if graph is None:
            return self._eager.pull_back(optimizer, hypers, step, theta_bar, slots_bar)
        gradient, theta, *rest = _run(graph.call, inputs)
        return PulledBack(gradient, theta, rest[:slots], rest[slots:])

    def _product(self, call: Derivatives, wanted: Sequence[bool]) -> _Graph | None:
        """The product with second derivatives, the data's parts in factors where that can be."""

        def function(*inputs: Tensor) -> list[Tensor]:
            return call.products(self.curvature, wanted, inputs)[1:]

        return self._graph(
            ("product", *wanted), call.subject, call.inputs, function, range(1, 1 + sum(wanted))
        )

    def _split(self, call: Derivatives, wanted: Sequence[bool]) -> _Split | None:
        """The same cut in two; None where there is nothing to keep."""
        if torch.are_deterministic_algorithms_enabled():
            return None

        def make() -> _Split | None:
            module = trace(lambda *inputs: call.products(self.curvature, wanted, inputs), call.inputs)
            pairs = factored_outputs(module, range(2, 2 + sum(wanted)))
            parts = partition(module, DIRECTION)
            if parts is None:
                return None
            first = without_direction(call.inputs)
            # The product may go another way than the gradient, as attention does: it would take longer then.
            if heavy_work(parts.forward) != heavy_work(trace(call.gradient, first)):
                return None
            forward = self._compiled(parts.forward, first)
            kept = _run(forward, first)[1:]
            reverse = _Graph(self._compiled(parts.reverse, [*call.inputs, *kept]), pairs)
            return _Split(forward, reverse, bytes_of(kept))

        return self._made(("split", *wanted), call.subject, call.inputs, make)

    def _graph(
        self,
        what: Hashable,
        subject: Hashable,
        inputs: Sequence[Tensor],
        function: TensorFunction,
        factored: Sequence[int] = (),
    ) -> _Graph | None:
        """The graph of a function; those of its outputs named in `factored` may be given in factors."""

        def make() -> _Graph:
            module = trace(function, inputs)
            pairs = factored_outputs(module, factored)
            return _Graph(self._compiled(module, inputs), pairs)

        return self._made(what, subject, inputs, make)

    def _made(
        self, what: Hashable, subject: Hashable, inputs: Sequence[Tensor], make: Callable[[], Any]
    ) -> Any:
        """What `make` gives, made once for its subject and kind of inputs; None: there is no graph.

        Args:
            what: which part of a step it is.
            subject: what it depends on besides its inputs.
            inputs: tensors as it will be called with.
            make: traces and compiles; may raise `UntraceableError`.
        """
        graphs = self._graphs
        shapes = tuple((t.shape, t.stride(), t.dtype, t.device) for t in inputs)
        try:
            key = (what, subject, shapes)
            if key in graphs:
                graphs.move_to_end(key)
                return graphs[key]
        except TypeError:
            return None  # a batch or a loss that cannot be told from another one
        # Closures of one piece of code count as one loss: each would need a graph of its own.
        family = _family(what, subject)
        kinds = sum(_family(*other[:2]) == family for other in graphs) if family else 0
        try:
            if kinds >= KINDS:
                raise UntraceableError(
                    f"the loss came in more than {KINDS} kinds; keep its function from call to call, and "
                    "give what changes in a batch as tensors"
                )
            graphs[key] = make()
        except UntraceableError as error:
            graphs[key] = None
            if kinds <= KINDS:
                warnings.warn(f"not compiled, run eagerly: {error}", ExecutionWarning, stacklevel=2)
        if len(graphs) > KEPT:
            graphs.popitem(last=False)
        return graphs[key]

    def _compiled(self, module: GraphModule, inputs: Sequence[Tensor]) -> TensorFunction:
        """The compiled graph, tried out once.

        Raises:
            UntraceableError: the compiler refuses, or there is none.
        """
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


def _run(call: TensorFunction, inputs: Sequence[Tensor]) -> list[Tensor]:
    with torch.no_grad():
        return call(*inputs)


def _family(what: Hashable, subject: Hashable) -> Hashable:
    """What the kinds of a loss have in common; None for an update."""
    loss = subject[0] if isinstance(subject, tuple) else None
    return (what, getattr(loss, "__code__", loss)) if callable(loss) and not isinstance(loss, type) else None


def _numbers(optimizer: Optimizer) -> Hashable:
    """What an update depends on besides tensors."""
    tensors = dict(optimizer.hypers())
    return type(optimizer), tuple(
        (part.name, None if part.name in tensors else getattr(optimizer, part.name))
        for part in fields(optimizer)
    )


def _count(step: int, theta: Tensor) -> Tensor:
    """The number of a step as an input of a graph."""
    return torch.full((), step, dtype=torch.int64, device=theta.device)
