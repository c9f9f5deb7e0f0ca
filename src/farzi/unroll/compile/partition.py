"""A reverse step's graph, cut in two: what the forward step computes anyway, and the rest.

A product with second derivatives starts by computing the gradient again. Whatever in it does not depend on
the direction can be stored by the forward step. Worth storing are the results of large products: in a
next-event loss the embedded events X E and the loss's gradient with respect to the hidden states, which cost
V operations per number. A metagradient then takes three trainings instead of three and a half.
"""

import operator
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.fx import Graph, GraphModule, Node

from farzi.unroll.compile.graph import downstream, outputs_of
from farzi.unroll.torch_private import flop_formula, map_arg

WORTH = 256
"""Floating-point operations that a stored byte must save. Products in a model's blocks save a few dozen:
storing them as well takes 12 times the memory and is hardly faster."""


@dataclass(frozen=True)
class Partition:
    """Two graphs that do the work of one."""

    forward: GraphModule  # from all inputs but the direction to the first outputs, then the intermediates
    reverse: GraphModule  # from all inputs, then the intermediates, to the other outputs
    kept: list[Tensor]  # fake tensors like the intermediates


def partition(module: GraphModule, direction: int, first: int = 1) -> Partition | None:
    """Cut a traced graph.

    Args:
        module: its first outputs, the gradient among them, do not depend on the direction.
        direction: which of its inputs the direction is.
        first: how many outputs these are.

    Returns:
        None if nothing is worth storing.
    """
    inputs = [node for node in module.graph.nodes if node.op == "placeholder"]
    outputs = outputs_of(module)
    products = outputs[first:]
    moving = downstream(inputs[direction])
    kept = _frontier(products, lambda node: node not in moving and _is_worth_keeping(node))
    if not kept:
        return None
    still = [node for node in inputs if node is not inputs[direction]]
    return Partition(
        forward=_part(module, still, [*outputs[:first], *kept]),
        reverse=_part(module, [*inputs, *kept], products),
        kept=[node.meta["val"] for node in kept],
    )


def heavy_work(module: GraphModule) -> Counter[Any]:
    """How often a graph calls each operation whose floating-point operations are counted."""
    return Counter(node.target for node in module.graph.nodes if flop_formula(node.target) is not None)


def _frontier(sinks: Sequence[Any], stops: Callable[[Node], bool]) -> list[Node]:
    """The first nodes on the way up from `sinks` at which `stops` is true, in that order."""
    frontier: list[Node] = []
    seen, todo = set[Node](), [sink for sink in reversed(sinks) if isinstance(sink, Node)]
    while todo:
        node = todo.pop()
        if node in seen:
            continue
        seen.add(node)
        if node.op == "call_function" and stops(node):
            frontier.append(node)
        else:
            todo += reversed(node.all_input_nodes)
    return frontier


def _is_worth_keeping(node: Node) -> bool:
    value = node.meta.get("val")
    maker: Any = node.args[0] if node.target is operator.getitem else node
    formula = flop_formula(maker.target)
    if not isinstance(value, Tensor) or formula is None:
        return False
    args, kwargs = map_arg((maker.args, maker.kwargs), lambda argument: argument.meta["val"])
    flops = formula(*args, **kwargs, out_val=maker.meta["val"])
    return flops >= WORTH * value.numel() * value.element_size()


def _part(module: GraphModule, inputs: Sequence[Node], outputs: Sequence[Any]) -> GraphModule:
    """The part of a graph that leads from some of its nodes to others."""
    graph = Graph()
    copies: dict[Node, Node] = {}
    for node in inputs:
        copies[node] = graph.placeholder(node.name)
        copies[node].meta = node.meta
    needed, todo = set[Node](), list(outputs)
    while todo:
        node = todo.pop()
        if node not in needed and node not in copies:
            needed.add(node)
            todo += node.all_input_nodes
    for node in module.graph.nodes:
        if node in needed:
            copies[node] = graph.node_copy(node, lambda argument: copies[argument])
    graph.output([copies[node] for node in outputs])
    return GraphModule(module, graph)
