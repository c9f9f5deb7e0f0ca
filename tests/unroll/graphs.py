"""What an execution has traced."""

from typing import Any

from torch.fx import GraphModule

from farzi.unroll import Compiled
from farzi.unroll.compile.cache import GRAPHS


def graphs(execution: Compiled) -> dict[str, list[Any]]:
    """Its graphs by what they do, in the order in which they were made."""
    found: dict[str, list[Any]] = {}
    for what, graph in GRAPHS.of(execution):
        found.setdefault(what[0] if isinstance(what, tuple) else str(what), []).append(graph)
    return found


def targets(module: GraphModule) -> list[str]:
    """The operations of a graph."""
    return [str(node.target) for node in module.graph.nodes if node.op == "call_function"]
