"""A reverse step's graph, cut in two: what the forward step makes anyway, and the rest.

A product with second derivatives begins with the gradient all over again. Whatever in it does not depend on
the direction can be kept from the forward step instead of being made twice, which
takes a metagradient from three and a half trainings towards three. Worth keeping are the results of large
products: in a next-event loss the embedded events X E, and the loss's gradient by the hidden states, which
cost V operations for each of their numbers.
"""

import operator
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.fx import Graph, GraphModule, Node
from torch.fx.node import map_arg
from torch.utils.flop_counter import flop_registry

from farzi.unroll.graph import outputs_of

WORTH = 256
"""Floating-point operations that a kept byte must save. Products in a student's blocks save a few dozen:
keeping them as well takes 12 times the memory and is hardly faster."""


@dataclass(frozen=True)
class Partition:
    """Two graphs that do the work of one.

    Attributes:
        forward: from all inputs but the direction to the gradient, then what is kept.
        reverse: from all inputs, then what is kept, to the other outputs.
        kept: what it is like; no numbers.
    """

    forward: GraphModule
    reverse: GraphModule
    kept: list[Tensor]


def partition(module: GraphModule, direction: int) -> Partition | None:
    """Cut a traced graph.

    Args:
        module: its first output is the gradient, which does not depend on the direction.
        direction: which of its inputs the direction is.

    Returns:
        None where nothing is worth keeping.
    """
    inputs = [node for node in module.graph.nodes if node.op == "placeholder"]
    gradient, *products = outputs_of(module)
    moving = _downstream(inputs[direction])
    kept = _frontier(products, lambda node: node not in moving and _is_worth_keeping(node))
    if not kept:
        return None
    still = [node for node in inputs if node is not inputs[direction]]
    return Partition(
        forward=_part(module, still, [gradient, *kept]),
        reverse=_part(module, [*inputs, *kept], products),
        kept=[node.meta["val"] for node in kept],
    )


def heavy_work(module: GraphModule) -> Counter[Any]:
    """How often a graph calls each operation whose floating-point operations are counted."""
    return Counter(node.target for node in module.graph.nodes if _formula(node) is not None)


def _downstream(source: Node) -> set[Node]:
    """A node and all that depend on it."""
    found, todo = {source}, [source]
    while todo:
        fresh = [user for user in todo.pop().users if user not in found]
        found.update(fresh)
        todo += fresh
    return found


def _frontier(sinks: Sequence[Any], stops: Callable[[Node], bool]) -> list[Node]:
    """The nodes that stop the way up from `sinks`, in the order in which they are met."""
    found: list[Node] = []
    seen, todo = set[Node](), [sink for sink in reversed(sinks) if isinstance(sink, Node)]
    while todo:
        node = todo.pop()
        if node in seen:
            continue
        seen.add(node)
        if node.op == "call_function" and stops(node):
            found.append(node)
        else:
            todo += reversed(node.all_input_nodes)
    return found


def _is_worth_keeping(node: Node) -> bool:
    value = node.meta.get("val")
    maker = node.args[0] if node.target is operator.getitem else node
    if not isinstance(value, Tensor) or not isinstance(maker, Node) or _formula(maker) is None:
        return False
    return _flops(maker) >= WORTH * value.numel() * value.element_size()


def _formula(node: Node) -> Callable[..., int] | None:
    """How PyTorch counts a node's floating-point operations; None for elementwise work."""
    return flop_registry.get(getattr(node.target, "overloadpacket", None))


def _flops(node: Node) -> int:
    formula = _formula(node)
    assert formula is not None
    args, kwargs = map_arg((node.args, node.kwargs), lambda argument: argument.meta["val"])
    return formula(*args, **kwargs, out_val=node.meta["val"])


def _part(module: GraphModule, inputs: Sequence[Node], outputs: Sequence[Any]) -> GraphModule:
    """The part of a graph that leads from some of its nodes to others."""
    graph = Graph()
    copies: dict[Node, Node] = {}
    for node in inputs:
        copies[node] = graph.placeholder(node.name)
        copies[node].meta = node.meta
    for node in _upstream(outputs, set(inputs), module.graph):
        copies[node] = graph.node_copy(node, lambda argument: copies[argument])
    graph.output([copies[node] for node in outputs])
    return GraphModule(module, graph)


def _upstream(sinks: Sequence[Node], stops: set[Node], graph: Graph) -> list[Node]:
    """What `sinks` need, down to `stops`, which are left out; in the graph's order."""
    found, todo = set[Node](), [sink for sink in sinks if sink not in stops]
    while todo:
        node = todo.pop()
        if node not in found:
            found.add(node)
            todo += [source for source in node.all_input_nodes if source not in stops]
    return [node for node in graph.nodes if node in found]
