"""SASRec as a recommender: causal, blind to padding, at home with ids and soft events alike."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from farzi.losses import hard_next_event, soft_next_event
from farzi.students import SASRec

VOCABULARY = 13


@pytest.fixture(params=[(1, 1), (2, 2)], ids=["1 layer, 1 head", "2 layers, 2 heads"])
def student(request: pytest.FixtureRequest) -> SASRec:
    torch.manual_seed(0)
    layers, heads = request.param
    return SASRec(VOCABULARY, length=8, hidden=6, layers=layers, heads=heads, deviation=1.0).double()


def hidden(student: SASRec, events: Tensor) -> Tensor:
    real = None if events.is_floating_point() else events > 0
    return student.hidden(student.embed(events), real)


def test_a_later_event_changes_nothing_earlier(student: SASRec) -> None:
    events = torch.randint(1, VOCABULARY, (2, 8))
    for position in range(8):
        other = events.clone()
        other[:, position] = events[:, position] % (VOCABULARY - 1) + 1
        before, after = hidden(student, events), hidden(student, other)
        assert torch.equal(before[:, :position], after[:, :position])
        assert not torch.isclose(before[:, position:], after[:, position:]).all(-1).any()


def test_padding_on_the_left_changes_nothing(student: SASRec) -> None:
    events = torch.randint(1, VOCABULARY, (2, 4))
    for more in range(1, 5):
        padded = F.pad(events, (more, 0))
        assert torch.allclose(hidden(student, padded)[:, more:], hidden(student, events), rtol=1e-12)
        assert torch.allclose(student.next_scores(padded), student.next_scores(events), rtol=1e-12)


def test_one_hot_soft_events_are_ids(student: SASRec) -> None:
    events = torch.randint(1, VOCABULARY, (3, 8))
    soft = F.one_hot(events, VOCABULARY).double()
    assert torch.allclose(student(soft), student(events), rtol=1e-12)
    table = student.output_table
    a = soft_next_event(hidden(student, soft), table, student.embed(soft))
    b = hard_next_event(hidden(student, events), table, events)
    assert torch.allclose(a, b, rtol=1e-12)


def test_a_soft_event_is_its_mean_embedding(student: SASRec) -> None:
    soft = torch.rand(2, 3, VOCABULARY, dtype=torch.float64)
    right = sum(soft[..., k, None] * student.embedding[k] for k in range(VOCABULARY))
    assert torch.allclose(student.embed(soft), torch.as_tensor(right), rtol=1e-12)


def test_padding_scores_minus_infinity(student: SASRec) -> None:
    events = torch.tensor([[0, 0, 3, 5], [0, 0, 0, 0]])
    scores = student(events)
    assert scores.shape == (2, 4, VOCABULARY)
    assert torch.isneginf(scores[..., 0]).all()
    assert scores[..., 1:].isfinite().all()
    last = student.next_scores(events)
    assert torch.allclose(last, scores[:, -1], rtol=1e-12)
    assert not last.requires_grad


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_rows_of_padding_give_finite_gradients(student: SASRec, dtype: torch.dtype) -> None:
    student = student.to(dtype)
    events = torch.tensor([[0, 0, 0, 0], [0, 0, 3, 5], [0, 0, 0, 7]])
    value = hard_next_event(hidden(student, events), student.output_table, events)
    assert value.isfinite()
    value.backward()
    for name, leaf in student.named_parameters():
        assert leaf.grad is not None, name
        assert leaf.grad.isfinite().all(), name
    assert student.embedding.grad is not None
    assert not student.embedding.grad[0].any(), "the padding's embedding never enters"


def test_nothing_but_padding_gives_a_loss_of_zero(student: SASRec) -> None:
    events = torch.zeros(2, 4, dtype=torch.long)
    value = hard_next_event(hidden(student.float(), events), student.output_table, events)
    value.backward()
    assert value.item() == 0
    assert all(leaf.grad is None or not leaf.grad.any() for leaf in student.parameters())


def test_a_sequence_that_is_too_long_is_refused(student: SASRec) -> None:
    with pytest.raises(ValueError, match="a sequence of 9 events is longer than the student's length 8"):
        student(torch.ones(1, 9, dtype=torch.long))


def test_heads_must_divide_the_width() -> None:
    with pytest.raises(ValueError, match="heads=4 must divide hidden=6"):
        SASRec(VOCABULARY, length=8, hidden=6, heads=4)


def test_the_state_goes_out_and_in_again(student: SASRec) -> None:
    events = torch.randint(0, VOCABULARY, (3, 8))
    block = student.blocks[0].__dict__
    torch.manual_seed(9)
    other = SASRec(VOCABULARY, 8, 6, len(student.blocks), block["heads"], 1.0).double()
    assert not torch.equal(other(events), student(events))
    other.load_state_dict(student.state_dict())
    assert torch.equal(other(events), student(events))


def test_it_starts_as_the_seed_says() -> None:
    states = []
    for _ in range(2):
        torch.manual_seed(4)
        states.append(SASRec(VOCABULARY, 8).state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_a_vocabulary_of_fifty_thousand() -> None:
    torch.manual_seed(0)
    student = SASRec(50_000, length=6, hidden=8)
    events = torch.randint(0, 50_000, (4, 6))
    events[0] = 0
    hard = hard_next_event(hidden(student, events), student.output_table, events)
    soft_events = torch.rand(2, 6, 50_000).softmax(-1)
    soft = soft_next_event(hidden(student, soft_events), student.output_table, student.embed(soft_events))
    (hard + soft).backward()
    assert hard.item() == pytest.approx(torch.tensor(50_000.0).log().item(), rel=0.02)
    assert all(leaf.grad is not None and leaf.grad.isfinite().all() for leaf in student.parameters())
    assert student.next_scores(events).shape == (4, 50_000)
