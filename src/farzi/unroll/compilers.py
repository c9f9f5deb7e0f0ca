"""What is done with a traced graph: strategies as functions."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.fx import GraphModule

from farzi.unroll.graph import TensorFunction

Compiler = Callable[[GraphModule], TensorFunction]
"""Makes a graph fast."""


def inductor(module: GraphModule) -> TensorFunction:
    """PyTorch's own compiler, for these shapes, without graph breaks. It needs a C++ compiler or Triton."""
    return torch.compile(module, fullgraph=True, dynamic=False)


def cuda_graphs(module: GraphModule) -> TensorFunction:
    """The same for CUDA, played back as one launch: for small students, whose launches outlast their work.

    Inputs are copied into the recording and results out of it.
    """
    recorded = torch.compile(module, fullgraph=True, dynamic=False, mode="reduce-overhead")

    def call(*inputs: Tensor) -> list[Tensor]:
        torch.compiler.cudagraph_mark_step_begin()
        return [result.clone() for result in recorded(*inputs)]  # the next call writes over them

    return call


def interpreter(module: GraphModule) -> TensorFunction:
    """No compiler: the graph's operations one after the other. There at once, and quicker than autograd."""
    return module
