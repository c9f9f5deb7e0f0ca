"""In training on real events fused operations give what the twice differentiable ones give in evaluation."""

import pytest
import torch
from torch import Tensor

from farzi.models import GRU, LSTM, FMLPRec, GRU4Rec, SequenceModel
from farzi.models.fmlprec import LONG
from farzi.models.recurrent import Recurrent

EVENTS = torch.tensor([[0, 0, 0, 3, 1, 2], [5, 1, 2, 6, 4, 3], [0, 0, 0, 0, 0, 6], [0, 1, 1, 2, 5, 4]])


def hidden_and_slopes(model: SequenceModel, events: Tensor) -> tuple[Tensor, list[Tensor]]:
    hidden = model.hidden(model.embed(events), events > 0)[events > 0]
    loss = (hidden * torch.arange(1.0, 1 + hidden.numel(), dtype=hidden.dtype).view_as(hidden).sin()).sum()
    return hidden, list(torch.autograd.grad(loss, list(model.parameters())))


@pytest.mark.parametrize("events", [EVENTS, EVENTS[1:2]])
@pytest.mark.parametrize("kind", [GRU, LSTM, GRU4Rec])
def test_training_computes_what_evaluation_does(kind: type[Recurrent], events: Tensor) -> None:
    torch.manual_seed(0)
    model = kind(7, 6, hidden=8, layers=2).double()
    right, right_slopes = hidden_and_slopes(model.eval(), events)
    found, slopes = hidden_and_slopes(model.train(), events)
    torch.testing.assert_close(found, right, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(slopes, right_slopes, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("kind", [GRU, LSTM, GRU4Rec])
def test_in_bfloat16_training_is_near(kind: type[Recurrent]) -> None:
    torch.manual_seed(0)
    model = kind(7, 6, hidden=8, layers=2)
    right, _ = hidden_and_slopes(model.eval(), EVENTS)
    with torch.autocast("cpu", torch.bfloat16):
        found, _ = hidden_and_slopes(model.train(), EVENTS)
    torch.testing.assert_close(found.float(), right, rtol=0.05, atol=0.02)


def test_long_sequences_are_filtered_by_transforms_in_training() -> None:
    torch.manual_seed(0)
    events = torch.randint(1, 7, (3, LONG + 5))
    events[0, :30] = 0
    model = FMLPRec(7, LONG + 9, hidden=4, layers=2).double()
    right = hidden_and_slopes(model.eval(), events)
    torch.testing.assert_close(hidden_and_slopes(model.train(), events), right, rtol=1e-9, atol=1e-11)
