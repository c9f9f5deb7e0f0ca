"""Several runs at once give the same numbers as one after the other."""

import pytest
import torch
from torch import Tensor

from farzi.unroll import Adam, Compiled, Eager, Execution, interpreter, stack, stacked_loss, unroll, unstack

from .problems import PROBLEMS, fresh, gradient, named, relative_error


@pytest.mark.parametrize("execution", [Eager(), Compiled(compiler=interpreter)], ids=["eager", "graph"])
@pytest.mark.parametrize("problem", PROBLEMS)
def test_stacked_runs_equal_single_ones(problem: str, execution: Execution) -> None:
    case = PROBLEMS[problem]().to(torch.float64)
    starts = [
        {name: leaf + 0.1 * k for name, leaf in named(case.theta0)}
        if isinstance(case.theta0, dict)
        else case.theta0 + 0.1 * k
        for k in range(3)
    ]
    optimizer, batches = Adam(0.02, epsilon=1e-3), case.batches(5)

    data = fresh(case.data)
    ends = unroll(stacked_loss(case.loss), stack(starts), data, optimizer, batches, execution=execution)
    torch.stack([case.outer(end) for end in unstack(ends)]).sum().backward()

    alone_data, alone = fresh(case.data), []
    for start in starts:
        alone.append(unroll(case.loss, start, alone_data, optimizer, batches))
    torch.stack([case.outer(end) for end in alone]).sum().backward()

    for one, other in zip(unstack(ends), alone, strict=True):
        for (_, a), (_, b) in zip(named(one), named(other), strict=True):
            assert relative_error(a, b) < 1e-12
    for (_, a), (_, b) in zip(named(data), named(alone_data), strict=True):
        assert isinstance(a, Tensor)
        assert relative_error(gradient(a), gradient(b)) < 1e-12
