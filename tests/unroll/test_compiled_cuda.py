"""On a GPU: compiled runs, and runs played back as CUDA graphs, follow the eager one."""

from typing import Any

import pytest
import torch
from torch import Tensor

from farzi.unroll import Adam, Compiled, Eager, Execution, cuda_graphs, unroll

from .test_partition import student

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA"),
]


def run(execution: Execution) -> list[Tensor]:
    loss, theta0, events = student()
    theta0 = {name: leaf.cuda().double().requires_grad_() for name, leaf in theta0.items()}
    data = events.cuda().double().requires_grad_()
    end: Any = unroll(loss.at, theta0, data, Adam(0.01, epsilon=1e-3), [None] * 12, execution=execution)
    inputs = [data, *theta0.values()]
    outer = torch.stack([leaf.sin().sum() for leaf in end.values()]).sum()
    return [*torch.autograd.grad(outer, inputs), *end.values()]


@pytest.mark.parametrize("compiled", [Compiled(), Compiled(compiler=cuda_graphs)], ids=["plain", "graphs"])
def test_compiled_runs_follow_the_eager_one(compiled: Execution) -> None:
    right = run(Eager())
    for _ in range(3):  # CUDA graphs are recorded in the second
        for found, expected in zip(run(compiled), right, strict=True):
            assert float((found - expected).norm() / expected.norm()) < 1e-10
