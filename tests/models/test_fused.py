"""In training on real events PyTorch's own recurrences give what the project's give in evaluation."""

import pytest
import torch
from torch import Tensor

from farzi.models import GRU, LSTM, GRU4Rec
from farzi.models.recurrent import Recurrent

EVENTS = torch.tensor([[0, 0, 0, 3, 1, 2], [5, 1, 2, 6, 4, 3], [0, 0, 0, 0, 0, 6], [0, 1, 1, 2, 5, 4]])


def losses_slopes(model: Recurrent, events: Tensor) -> tuple[Tensor, list[Tensor]]:
    hidden = model.hidden(model.embed(events), events > 0)[events > 0]
    loss = (hidden * torch.arange(1.0, 1 + hidden.numel(), dtype=hidden.dtype).view_as(hidden).sin()).sum()
    return hidden, list(torch.autograd.grad(loss, list(model.parameters())))


@pytest.mark.parametrize("events", [EVENTS, EVENTS[1:2]])
@pytest.mark.parametrize("kind", [GRU, LSTM, GRU4Rec])
def test_training_computes_what_evaluation_does(kind: type[Recurrent], events: Tensor) -> None:
    torch.manual_seed(0)
    model = kind(7, 6, hidden=8, layers=2).double()
    right, right_slopes = losses_slopes(model.eval(), events)
    found, slopes = losses_slopes(model.train(), events)
    torch.testing.assert_close(found, right, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(slopes, right_slopes, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("kind", [GRU, LSTM, GRU4Rec])
def test_in_bfloat16_training_is_near(kind: type[Recurrent]) -> None:
    torch.manual_seed(0)
    model = kind(7, 6, hidden=8, layers=2)
    right, _ = losses_slopes(model.eval(), EVENTS)
    with torch.autocast("cpu", torch.bfloat16):
        found, _ = losses_slopes(model.train(), EVENTS)
    torch.testing.assert_close(found.float(), right, rtol=0.05, atol=0.02)
