"""What every adapted model must do: the same as every model, and give exact metagradients."""

import copy

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from farzi.models import SequenceModel
from farzi.training import NextEvent
from farzi.unroll import Adam, Compiled, Eager, interpreter, unroll
from tests.unroll.problems import fresh, gradient, relative_error
from tests.unroll.reference import adam, train_by_autograd

VOCABULARY, LENGTH = 13, 5
HYPERS = {
    name: torch.tensor(value, dtype=torch.float64)
    for name, value in {
        "learning_rate": 0.01,
        "beta1": 0.8,
        "beta2": 0.9,
        "epsilon": 0.1,
        "weight_decay": 0.02,  # where a gradient is 0 the reference's square root has no derivative
    }.items()
}


def hidden(model: SequenceModel, events: Tensor) -> Tensor:
    real = None if events.is_floating_point() else events > 0
    return model.hidden(model.embed(events), real)


def assert_is_a_model(model: SequenceModel) -> None:
    """Causal, padding ignored, the same for indices and one-hot soft inputs, and unchanged by `train()`."""
    model.train()
    torch.manual_seed(0)
    events = torch.randint(1, VOCABULARY, (3, LENGTH))
    found = hidden(model, events)
    assert torch.equal(found, hidden(model, events)), "dropout"
    for position in range(LENGTH):
        other = events.clone()
        other[:, position] = events[:, position] % (VOCABULARY - 1) + 1
        after = hidden(model, other)
        torch.testing.assert_close(found[:, :position], after[:, :position], rtol=1e-12, atol=1e-12)
        assert not torch.isclose(found[:, position], after[:, position]).all(-1).any()
    padded = F.pad(events, (2, 0))
    torch.testing.assert_close(hidden(model, padded)[:, 2:], found, rtol=1e-10, atol=1e-12)
    soft = F.one_hot(events, VOCABULARY).double()
    torch.testing.assert_close(hidden(model, soft), found, rtol=1e-10, atol=1e-12)
    table = model.output_table
    assert table.shape == (VOCABULARY, found.shape[-1])


def assert_is_exact(model: SequenceModel) -> None:
    """The metagradient against autograd through the loop, by autograd and as a graph."""
    with torch.no_grad():
        for leaf in model.parameters():  # no gradient exactly 0, where the reference has no derivative
            leaf.add_(0.1 * torch.randn_like(leaf))
    loss = NextEvent(model)
    torch.manual_seed(1)
    logits = 2 * torch.randn(4, LENGTH + 1, VOCABULARY, dtype=torch.float64)
    logits[..., 0] = -torch.inf
    events, start = logits.softmax(-1), loss.parameters_of(model)

    def outer(theta: dict[str, Tensor]) -> Tensor:
        return torch.stack([leaf.square().sum() for leaf in theta.values()]).sum()

    right = fresh(events)
    with sdpa_kernel(SDPBackend.MATH):  # fused attention has no second derivative
        outer(train_by_autograd(adam, loss.at, fresh(start), right, lambda *_: HYPERS, [None] * 4)).backward()
    assert gradient(right).isfinite().all()
    for execution in (Eager(), Compiled(compiler=interpreter)):
        data = fresh(events)
        end = unroll(loss.at, start, data, Adam(**HYPERS), [None] * 4, execution=execution)
        outer(end).backward()
        assert gradient(data).isfinite().all()
        assert relative_error(gradient(data), gradient(right)) <= 1e-12
        trained = loss.student_with(end)
        assert all(torch.equal(leaf, end[f"student.{name}"]) for name, leaf in trained.named_parameters())
    assert copy.deepcopy(model).length == model.length
