r"""Functions of tensors as graphs: traced once, cleaned, rewritten where that saves work, and compiled.

Traced below autograd (on fake tensors: nothing is computed), a derivative becomes a plain list of tensor
operations. Dead code is dropped, and two things become visible that autograd cannot see:

- a pair of operations that share most of their work (`Fusion`);
- a cotangent of the data that is a sum of products A B (`factored_outputs`). Each step's product need not be
  computed on its own: the engine collects the factors of several steps and multiplies once, in place.
"""

import operator
import pickle
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy
import torch
from torch import Tensor
from torch.fx import Graph, GraphModule, Node

from farzi.unroll.repeats import Buffer, watched
from farzi.unroll.torch_private import (
    RESHAPES,
    argument_values,
    stable_topological_sort,
    trace_below_autograd,
    written_arguments,
)

aten = torch.ops.aten

TensorFunction = Callable[..., list[Tensor]]
"""Tensors to a list of tensors."""

Compiler = Callable[[GraphModule], TensorFunction]
"""Makes a traced graph fast: a strategy as a function."""


def inductor(module: GraphModule) -> TensorFunction:
    """PyTorch's own compiler, for these shapes, without graph breaks. It needs a C++ compiler or Triton.

    It gets a function, since a module's call runs the hooks on all modules, which would be compiled, too.
    """
    return torch.compile(module.forward, fullgraph=True, dynamic=False)


def cuda_graphs(module: GraphModule) -> TensorFunction:
    """The same for CUDA, replayed as one launch: for small models, whose launches outlast their work.

    Inputs are copied into the recording and results out of it.
    """
    recorded = torch.compile(module.forward, fullgraph=True, dynamic=False, mode="reduce-overhead")

    def call(*inputs: Tensor) -> list[Tensor]:
        torch.compiler.cudagraph_mark_step_begin()
        return [result.clone() for result in recorded(*inputs)]  # the next call overwrites them

    return call


def interpreter(module: GraphModule) -> TensorFunction:
    """No compiler: the graph's operations one after the other. Ready at once, and faster than autograd."""
    return module


class UntraceableError(Exception):
    """A function cannot be turned into a graph; the message says why, in one line."""


@dataclass(frozen=True)
class Fusion:
    """Two operations that are cheaper as one: `both(*a, *b)` does what `first(*a)` and `second(*a, *b)` do.

    A rewrite of graphs: `add_rewrite(Fusion(...))`.

    Attributes:
        first: an operation with several outputs.
        second: one with several outputs, whose first arguments are those of `first`.
        both: returns the outputs of `first` listed in `kept`, then all of `second`.
        kept: the pair is replaced only if no other output of `first` is used.
    """

    first: Any
    second: Any
    both: Any
    kept: tuple[int, ...]

    def __call__(self, module: GraphModule) -> None:
        """Replace every pair in a graph, in place."""
        graph = module.graph
        for second in graph.find_nodes(op="call_function", target=self.second):
            for first in graph.find_nodes(op="call_function", target=self.first):
                same = second.args[: len(first.args)] == first.args
                used = {user.args[1] for user in first.users}
                # if the second needs the first's result, they can't be one
                if same and used <= set(self.kept) and not reaches(first, second):
                    self._replace(graph, first, second)
                    break
        stable_topological_sort(module)
        module.graph.eliminate_dead_code()

    def _replace(self, graph: Graph, first: Node, second: Node) -> None:
        places = {first: self.kept.index, second: lambda output: len(self.kept) + output}
        with graph.inserting_before(second):
            both = graph.call_function(self.both, second.args)
        for node, place in places.items():
            for user in list(node.users):
                with graph.inserting_before(second):
                    output = graph.call_function(operator.getitem, (both, place(user.args[1])))
                user.replace_all_uses_with(output)


Rewrite = Callable[[GraphModule], None]
"""Changes a traced graph in place; its results stay the same to rounding."""
_REWRITES: list[Rewrite] = []


def add_rewrite(rewrite: Rewrite) -> None:
    """Rewrite all graphs traced from now on; fusions come after other rewrites."""
    _REWRITES.append(rewrite)


def trace(function: TensorFunction, examples: Sequence[Tensor]) -> GraphModule:
    """The graph of a function of tensors, for tensors like `examples`.

    Raises:
        UntraceableError: its operations depend on the tensors' values, or it draws random numbers.
    """
    seen: dict[Any, list[Buffer]] = {}
    draws = random.getstate(), numpy.random.get_state()
    try:
        with watched(seen):
            module = trace_below_autograd(function, examples)
    except (NotImplementedError, TypeError, ValueError):
        raise  # an error of the loss itself, which eager mode would raise as well
    except Exception as error:
        reason = (str(error).splitlines() or [""])[0]
        raise UntraceableError(f"the loss cannot be traced ({type(error).__name__}: {reason})") from error
    finally:
        changed = [buffer for buffers in seen.values() for buffer in buffers if buffer.changed()]
        for buffer in changed:
            buffer.restore()
    if changed:
        raise UntraceableError(f"the loss changes a buffer of a module ({changed[0].name})")
    if not _same_state(draws, (random.getstate(), numpy.random.get_state())):
        raise UntraceableError("the loss draws from random or numpy.random")
    for node in module.graph.nodes:
        if _draws(node):
            raise UntraceableError(f"the loss draws random numbers ({node.target})")
        if (name := _changes(node)) is not None:
            raise UntraceableError(f"the loss changes a tensor that is not its own ({name})")
    _forward_inputs_of_identities(module.graph)
    _make_constants(module.graph)
    module.graph.eliminate_dead_code()
    for rewrite in sorted(_REWRITES, key=lambda one: isinstance(one, Fusion)):  # pairs last
        rewrite(module)
    module.recompile()
    return module


def _draws(node: Node) -> bool:
    """Whether a node draws random numbers; attention does so only with dropout."""
    if torch.Tag.nondeterministic_seeded not in getattr(node.target, "tags", ()):
        return False
    given = argument_values(node.target, node.args, node.kwargs)
    return "attention" not in str(node.target) or bool(given.get("dropout_p", 0.0) != 0.0)


def _same_state(first: Any, second: Any) -> bool:
    return pickle.dumps(first) == pickle.dumps(second)


def _changes(node: Node) -> str | None:
    """The operation by which a node changes a tensor that the graph holds, such as a module's buffer."""
    if node.op != "call_function":
        return None
    given = argument_values(node.target, node.args, node.kwargs) if hasattr(node.target, "_schema") else {}
    written = written_arguments(node.target)
    if given.get("training") or given.get("train"):  # batch norm, whose schema doesn't say so
        written += ["running_mean", "running_var"]
    held = [given[name] for name in written if isinstance(given.get(name), Node)]
    return str(node.target) if any(part.op == "get_attr" for part in held) else None


def _forward_inputs_of_identities(graph: Graph) -> None:
    """Remove the operations that only return their input."""
    for node in graph.nodes:
        if node.target in (aten.detach.default, aten.alias.default, aten.lift_fresh.default):
            node.replace_all_uses_with(node.args[0])


def _make_constants(graph: Graph) -> None:
    """Replace by constants the operations with which autograd begins: they would keep the loss's value."""
    for node in graph.nodes:
        if node.target in (aten.ones_like.default, aten.zeros_like.default):
            like = node.meta["val"]
            fill = 1.0 if node.target is aten.ones_like.default else 0.0
            with graph.inserting_before(node):
                constant = graph.call_function(
                    aten.full.default, (list(like.shape), fill), {"dtype": like.dtype, "device": like.device}
                )
            constant.meta = node.meta
            node.replace_all_uses_with(constant)


def downstream(source: Node) -> set[Node]:
    """A node and all that depend on it."""
    nodes, todo = {source}, [source]
    while todo:
        fresh = [user for user in todo.pop().users if user not in nodes]
        nodes.update(fresh)
        todo += fresh
    return nodes


def reaches(source: Node, sink: Node) -> bool:
    """Whether `sink` depends on `source`."""
    return sink is not source and sink in downstream(source)


def outputs_of(module: GraphModule) -> list[Any]:
    """The nodes that a graph returns."""
    (outputs,) = module.graph.output_node().args
    assert isinstance(outputs, list | tuple)
    return list(outputs)


def held_tensors(module: GraphModule) -> list[Tensor]:
    """The tensors that a traced graph holds: those that its function read besides its arguments."""
    return [getattr(module, str(node.target)) for node in module.graph.nodes if node.op == "get_attr"]


def factored_outputs(module: GraphModule, places: Sequence[int]) -> list[int]:
    """Replace outputs that are sums of matrix products by the factors of those products, in place.

    Args:
        module: a traced graph.
        places: outputs to look at, all behind the other ones. Each is replaced by pairs A, B, (m, k) and
            (k, n), whose products add up to the output, row for row.

    Returns:
        For each of them the number of pairs; 0 for an output that is no such sum and stays as it was.
    """
    outputs = outputs_of(module)
    counts: list[int] = []
    results = outputs[: min(places, default=len(outputs))]
    for place in places:
        pairs = _factors(outputs[place], transposed=False)
        if pairs is None:
            results.append(outputs[place])
            counts.append(0)
            continue
        with module.graph.inserting_before(module.graph.output_node()):
            for left, right, transposed in pairs:
                if transposed:  # (A B)ᵀ = Bᵀ Aᵀ
                    left, right = (
                        module.graph.call_function(aten.t.default, (side,)) for side in (right, left)
                    )
                results += [left, right]
        counts.append(len(pairs))
    module.graph.output_node().args = (results,)
    module.graph.eliminate_dead_code()
    module.recompile()
    return counts


def _factors(node: Any, transposed: bool) -> list[tuple[Node, Node, bool]] | None:
    """The products that add up to a node, each with whether to transpose it; None if there are none."""
    if not isinstance(node, Node) or not isinstance(node.meta.get("val"), Tensor):
        return None
    match node.target:
        case aten.add.Tensor if len(node.args) == 2 and not node.kwargs:
            parts = [_factors(side, transposed) for side in node.args]
            return None if parts[0] is None or parts[1] is None else parts[0] + parts[1]
        case aten.mm.default:
            left, right = cast(tuple[Node, Node], node.args)
            return [(left, right, transposed)]
        case _ if _transposes_a_matrix(node):
            return _factors(node.args[0], not transposed)
        case target if target in RESHAPES and not transposed and len(node.meta["val"].shape) >= 2:
            # the rows of a product stay rows if only leading dimensions are folded or unfolded
            source = node.args[0]
            assert isinstance(source, Node)
            same = source.meta["val"].shape[-1] == node.meta["val"].shape[-1]
            return _factors(source, transposed) if same else None
        case _:
            return None


def _transposes_a_matrix(node: Node) -> bool:
    if len(node.meta["val"].shape) != 2:
        return False
    match node.target:
        case aten.t.default:
            return True
        case aten.transpose.int:
            first, second = cast(Any, node.args[1:])
            return first % 2 != second % 2
        case aten.permute.default:
            return [dim % 2 for dim in cast(Any, node.args[1])] == [1, 0]
        case _:
            return False
