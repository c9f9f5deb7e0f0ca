"""The one-pass loss of training on real events, against PyTorch's cross-entropy and plain expressions."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from farzi import operations
from farzi.losses import FLOOR, next_event

VOCABULARY, WIDTH, ROWS = 13, 6, 300


@pytest.fixture(params=["one chunk", "chunks of 128 rows"])
def _chunks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param != "one chunk":
        monkeypatch.setattr(operations, "CHUNK", 1)


def problem(dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    hidden, table = (
        torch.randn(size, WIDTH, generator=generator, dtype=torch.float64) for size in (ROWS, VOCABULARY)
    )
    targets = torch.randint(1, VOCABULARY, (ROWS,), generator=generator)
    return hidden.to(dtype).requires_grad_(), table.to(dtype).requires_grad_(), targets


def plain(hidden: Tensor, table: Tensor, targets: Tensor) -> Tensor:
    return F.cross_entropy(hidden @ table[1:].T, targets - 1)


def plain_sampled(hidden: Tensor, table: Tensor, targets: Tensor, negatives: Tensor) -> Tensor:
    """−log of the target's share among it and the sampled items, each of which counts for (V − 1) / n."""
    logits = hidden @ table.T
    own = logits.gather(1, targets[:, None])
    weights = (targets[:, None] != negatives).double() * (len(table) - 1) / len(negatives)
    others = (logits[:, negatives].exp() * weights).sum(1, keepdim=True)
    return -(own.exp() / (own.exp() + others)).log().mean()


def derivatives(value: Tensor, *inputs: Tensor) -> list[Tensor]:
    return [value.detach(), *torch.autograd.grad(3 * value, inputs)]


TOLERANCES = [(torch.float64, 1e-12), (torch.float32, 2e-6), (torch.bfloat16, 1e-2)]


@pytest.mark.usefixtures("_chunks")
@pytest.mark.parametrize(("precision", "tolerance"), TOLERANCES)
@pytest.mark.parametrize("sampled", [False, True])
def test_value_and_gradients_are_those_of_the_plain_expression(
    precision: torch.dtype, tolerance: float, sampled: bool
):
    hidden, table, targets = problem(torch.float64 if precision == torch.float64 else torch.float32)
    negatives = torch.tensor([3, 5, 5, 7, 1, 12, 9, 2, 2]) if sampled else None
    found = derivatives(next_event(hidden, table, targets, precision, negatives), hidden, table)
    exact = h, e = [leaf.detach().double().requires_grad_() for leaf in (hidden, table)]
    value = plain(h, e, targets) if negatives is None else plain_sampled(h, e, targets, negatives)
    for ours, right in zip(found, derivatives(value, *exact), strict=True):
        assert ours.dtype == hidden.dtype
        assert (ours.double() - right).norm() <= tolerance * right.norm()
    assert not found[2][0].any()  # padding


def test_hidden_states_in_bfloat16_have_such_a_gradient():
    hidden, table, targets = problem(torch.float32)
    low = hidden.detach().bfloat16().requires_grad_()
    found = derivatives(next_event(low, table, targets, torch.bfloat16), low, table)
    assert [one.dtype for one in found] == [torch.float32, torch.bfloat16, torch.float32]
    for ours, right in zip(found, derivatives(plain(hidden, table, targets), hidden, table), strict=True):
        assert (ours - right).norm() <= 0.02 * right.norm()


def test_the_sampled_loss_approaches_the_full_one_with_the_number_of_negatives():
    hidden, table, targets = problem()
    right = derivatives(plain(hidden, table, targets), hidden, table)
    generator = torch.Generator().manual_seed(1)
    errors = []
    for count, draws in ((8, 40), (64, 40), (20_000, 1)):
        found = [torch.zeros_like(one) for one in right]
        for _ in range(draws):
            negatives = torch.randint(1, VOCABULARY, (count,), generator=generator)
            each = derivatives(next_event(hidden, table, targets, torch.float64, negatives), hidden, table)
            found = [total + one / draws for total, one in zip(found, each, strict=True)]
        errors.append([((one - other).norm() / other.norm()).item() for one, other in zip(found, right)])
    assert all(first > second > third for first, second, third in zip(*errors, strict=True))
    assert max(errors[-1]) < 0.02


def test_the_share_of_other_items_is_unbiased():
    """exp(loss) − 1 of one row is the other items' share against the target's: linear in the sampled ones."""
    hidden, table, targets = (leaf.detach() for leaf in problem())
    hidden, targets = hidden[:1], targets[:1]
    generator = torch.Generator().manual_seed(2)
    found = [
        next_event(
            hidden, table, targets, torch.float64, torch.randint(1, VOCABULARY, (5,), generator=generator)
        )
        for _ in range(4000)
    ]
    shares = torch.stack(found).exp() - 1
    right = plain(hidden, table, targets).exp() - 1
    assert abs(shares.mean() - right) < 4 * shares.std() / 4000**0.5
    assert shares.std() > 0.1 * right


def test_a_negative_that_is_the_target_does_not_count():
    hidden, table, targets = problem()
    same = torch.full((4,), int(targets[0]))
    assert next_event(hidden[:1], table, targets[:1], torch.float64, same).item() == pytest.approx(
        0, abs=1e-12
    )


def test_an_impossible_event_costs_a_finite_loss():
    hidden, table = torch.tensor([[1.0]], requires_grad=True), torch.tensor([[0.0], [-500.0], [500.0]])
    value = next_event(hidden, table, torch.tensor([1]))
    assert value.item() == -FLOOR
    assert torch.autograd.grad(value, hidden)[0].item() == pytest.approx(1000)


def test_a_second_derivative_is_refused():
    hidden, table, targets = problem()
    (gradient,) = torch.autograd.grad(next_event(hidden, table, targets), hidden, create_graph=True)
    with pytest.raises(RuntimeError):
        gradient.sum().backward()


def test_a_fresh_model_has_the_entropy_of_a_uniform_choice():
    hidden, table, targets = problem()
    assert next_event(0 * hidden, table, targets).item() == pytest.approx(math.log(VOCABULARY - 1))
