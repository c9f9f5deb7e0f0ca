r"""A rewrite of traced graphs: a reverse step's three passes over the same probabilities become two.

The second derivatives of X E need P E, then (D̄, M̄) and P U for the direction U, then (D̄, M̄) and Pᵀ Ȳ' for
another cotangent Ȳ'. The graph shows that P U has the same inputs as P E, so both take one pass, and that the
two (D̄, M̄) are only added: Z̄ is linear in Ȳ' Eᵀ + Ȳ Uᵀ, so they take one pass, too.
"""

import itertools
import operator

import torch
from torch import Tensor
from torch.fx import Graph, GraphModule, Node
from torch.fx.passes.tools_common import stable_topological_sort

from farzi.operations import chunks, operation
from farzi.soft.embedding import (
    embedding,
    embedding_backward,
    factor_bars,
    flops,
    gathering_backward,
    like_inputs,
    probabilities,
)
from farzi.unroll import add_rewrite
from farzi.unroll.compile.graph import reaches


@operation(
    "soft_embedding_both",
    lambda d, m, e, u: (d.new_empty(len(d), e.shape[1]), d.new_empty(len(d), u.shape[1])),
    flops(1, 2),
)
def both(latents: Tensor, decoder: Tensor, table: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
    """P E and P U."""
    first = latents.new_empty(len(latents), table.shape[1])
    second = latents.new_empty(len(latents), u.shape[1])
    for rows in chunks(len(latents), decoder.shape[1], arrays=2):
        p = probabilities(latents[rows], decoder)
        torch.mm(p, table, out=first[rows])
        torch.mm(p, u, out=second[rows])
    return first, second


@operation("soft_backward_of_both", like_inputs, flops(3, 3))
def backward_of_both(
    latents: Tensor, decoder: Tensor, table: Tensor, cotangent: Tensor, u: Tensor, other: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """The sums of D̄ and M̄ for Ȳ' with E and for Ȳ, here `other`, with U; and Pᵀ Ȳ'."""
    table_bar = torch.zeros_like(table)
    tables, cotangents = torch.cat([table, u], dim=1), torch.cat([cotangent, other], dim=1)

    def gather(p: Tensor, rows: slice) -> None:
        table_bar.addmm_(p.T, cotangent[rows])

    return *factor_bars(latents, decoder, tables, cotangents, gather), table_bar


def fuse_passes(module: GraphModule) -> None:
    """Replace the three passes by two wherever a graph has them, in place."""
    graph = module.graph
    for middle in graph.find_nodes(op="call_function", target=gathering_backward):
        firsts = graph.find_nodes(op="call_function", target=embedding)
        lasts = graph.find_nodes(op="call_function", target=embedding_backward)
        for first, last in itertools.product(firsts, lasts):
            sums = _sums(first, middle, last)
            if sums is not None:
                _replace(graph, first, middle, last, sums)
                break
    stable_topological_sort(module)
    module.graph.eliminate_dead_code()  # sorting has replaced the graph


def _sums(first: Node, middle: Node, last: Node) -> list[Node] | None:
    """The nodes that add D̄ and M̄ of the last two passes; None if the three passes cannot be replaced."""
    latents, decoder, _, u = middle.args
    same = first.args[:2] == last.args[:2] == (latents, decoder) and first.args[2] == last.args[2]
    if not same or (isinstance(u, Node) and (u is first or reaches(first, u))):
        return None
    sums = []
    for place in (0, 1):
        users = {user for node in _outputs(middle, place) + _outputs(last, place) for user in node.users}
        if len(users) != 1:
            return None
        (added,) = users
        parts = {getattr(part, "args", (None,))[0] for part in added.args}
        if added.target is not torch.ops.aten.add.Tensor or added.kwargs or parts != {middle, last}:
            return None
        sums.append(added)
    return sums


def _outputs(node: Node, place: int) -> list[Node]:
    return [user for user in node.users if user.args[1] == place]


def _replace(graph: Graph, first: Node, middle: Node, last: Node, sums: list[Node]) -> None:
    latents, decoder, other, u = middle.args
    table, cotangent = last.args[2:]

    def replace(old: Node, fused: Node, place: int) -> None:
        with graph.inserting_after(fused):
            node = graph.call_function(operator.getitem, (fused, place))
        node.meta = old.meta
        old.replace_all_uses_with(node)

    with graph.inserting_before(middle):
        forward = graph.call_function(both, (latents, decoder, table, u))
    replace(first, forward, 0)
    for node in _outputs(middle, 2):
        replace(node, forward, 1)
    with graph.inserting_before(last):
        backward = graph.call_function(backward_of_both, (latents, decoder, table, cotangent, u, other))
    for place, added in enumerate(sums):
        replace(added, backward, place)
    for node in _outputs(last, 2):
        replace(node, backward, 2)


add_rewrite(fuse_passes)
