"""On a GPU: the record in host memory."""

import pytest
import torch

from farzi.unroll import Adam, Checkpoints, Memory, OnHost, Store, StoreGradients, unroll
from farzi.unroll.memory.around import Host

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")

PARAMETERS, STEPS = 2**20, 40


def run(memory: Memory) -> tuple[torch.Tensor, torch.Tensor, int]:
    """The gradients of theta0 and data, and the bytes that the run took of the GPU's memory at most."""
    generator = torch.Generator("cuda").manual_seed(0)
    data = torch.randn(PARAMETERS, device="cuda", generator=generator).requires_grad_()
    theta0 = torch.randn(PARAMETERS, device="cuda", generator=generator).requires_grad_()
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    batches = range(STEPS)
    end = unroll(lambda th, d, b: ((th - d) ** 4).sum() / (1 + b), theta0, data, Adam(0.01), batches, memory)
    end.sin().sum().backward()
    assert theta0.grad is not None
    assert data.grad is not None
    return theta0.grad, data.grad, torch.cuda.max_memory_allocated() - before


@pytest.mark.parametrize("inner", [Store(), StoreGradients(slots=2), Checkpoints(slots=5)], ids=repr)
def test_the_record_leaves_the_gpu_and_comes_back_as_it_was(inner: Memory) -> None:
    run(Store())  # what is allocated once
    there, here = run(OnHost(inner)), run(Store())
    assert torch.equal(there[0], here[0])
    assert torch.equal(there[1], here[1])
    record = 4 * Store().cost(STEPS, PARAMETERS, 2).device
    assert here[2] - there[2] > 0.9 * record


def test_what_is_kept_is_pinned() -> None:
    tensor = torch.randn(1000, device="cuda")
    host = Host(tensor.device)
    kept = host.keep(tensor)
    assert kept.device.type == "cpu"
    assert kept.is_pinned()
    assert torch.equal(host.fetch(kept), tensor)
