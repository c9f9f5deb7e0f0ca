"""The loss with a teacher's predictions as labels, against PyTorch's cross-entropy with probabilities."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from farzi import operations
from farzi.losses import teacher_next_event

VOCABULARY, WIDTH, THEIRS, ROWS = 11, 5, 8, 90


@pytest.fixture(params=["one chunk", "chunks of 32 rows"])
def _chunks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param != "one chunk":
        monkeypatch.setattr(operations, "CHUNK", 1)


def problem(dtype: torch.dtype = torch.float64) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    shapes = [(ROWS, WIDTH), (VOCABULARY, WIDTH), (ROWS, THEIRS), (VOCABULARY, THEIRS)]
    made = [torch.randn(shape, generator=generator, dtype=dtype) for shape in shapes]
    return [*made, torch.randint(1, VOCABULARY, (ROWS,), generator=generator)]


@pytest.mark.usefixtures("_chunks")
@pytest.mark.parametrize("hard", [0.0, 0.3, 1.0])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_value_and_gradients_are_those_of_soft_cross_entropy(
    hard: float, dtype: torch.dtype, tolerance: float
):
    *given, targets = problem(dtype)
    hidden, table, theirs, their_table = (value.requires_grad_() for value in given)
    value = teacher_next_event(hidden, table, theirs, their_table, targets, hard)
    found = [value.detach(), *torch.autograd.grad(2 * value, [hidden, table])]

    h, e, t, u = (value.detach().double().requires_grad_() for value in given)
    labels = (1 - hard) * (t @ u[1:].T).softmax(-1).detach() + hard * F.one_hot(
        targets - 1, VOCABULARY - 1
    ).double()
    plain = F.cross_entropy(h @ e[1:].T, labels)
    right = [plain.detach(), *torch.autograd.grad(2 * plain, [h, e])]
    for ours, one in zip(found, right, strict=True):
        assert ours.dtype == dtype
        assert (ours.double() - one).norm() <= tolerance * one.norm()


def test_the_teacher_itself_has_no_gradient_and_its_precision_does_not_matter():
    hidden, table, theirs, their_table, targets = problem()
    hidden.requires_grad_()
    low = teacher_next_event(hidden, table, theirs.float(), their_table.float(), targets)
    torch.testing.assert_close(
        low, teacher_next_event(hidden, table, theirs, their_table, targets), rtol=1e-6, atol=0
    )


def test_a_student_that_is_its_teacher_is_at_a_minimum():
    *_, theirs, their_table, targets = problem()
    theirs.requires_grad_()
    value = teacher_next_event(theirs, their_table, theirs.detach(), their_table, targets)
    assert torch.autograd.grad(value, theirs)[0].abs().max() < 1e-12


def test_no_position_is_no_loss():
    hidden, table, theirs, their_table, targets = problem()
    assert teacher_next_event(hidden[:0], table, theirs[:0], their_table, targets[:0]).item() == 0
