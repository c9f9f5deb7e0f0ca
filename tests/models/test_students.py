"""What every student is: causal, blind to padding, at home with ids and soft events alike."""

from typing import get_args

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from farzi.losses import hard_next_event, soft_next_event
from farzi.recipe import StudentSettings
from farzi.models import STUDENTS, SASRec, SequenceModel, TransformerLM, build_model
from farzi.models.fmlprec import CausalFilter

VOCABULARY = 13

KINDS = {
    **{name: {"name": name} for name in STUDENTS},
    **{f"{name}, 2 layers": {"name": name, "layers": 2} for name in STUDENTS},
    "sasrec, 2 layers, 2 heads": {"name": "sasrec", "layers": 2, "heads": 2},
    "transformer, 2 layers, 2 heads, untied": {
        "name": "transformer",
        "layers": 2,
        "heads": 2,
        "tied": False,
    },
    "lstm, untied": {"name": "lstm", "tied": False},
}


def build(vocabulary: int = VOCABULARY, length: int = 8, **settings: object) -> SequenceModel:
    """A small student whose embeddings count."""
    student = build_model(StudentSettings.model_validate({"hidden": 6, **settings}), vocabulary, length)
    with torch.no_grad():
        student.embedding.normal_()
    return student


@pytest.fixture(params=KINDS)
def student(request: pytest.FixtureRequest) -> SequenceModel:
    torch.manual_seed(0)
    return build(**KINDS[request.param]).double()


def hidden(student: SequenceModel, events: Tensor) -> Tensor:
    real = None if events.is_floating_point() else events > 0
    return student.hidden(student.embed(events), real)


def test_a_later_event_changes_nothing_earlier(student: SequenceModel) -> None:
    events = torch.randint(1, VOCABULARY, (2, 8))
    for position in range(8):
        other = events.clone()
        other[:, position] = events[:, position] % (VOCABULARY - 1) + 1
        before, after = hidden(student, events), hidden(student, other)
        assert torch.equal(before[:, :position], after[:, :position])
        assert not torch.isclose(before[:, position:], after[:, position:]).all(-1).any()


def test_padding_on_the_left_changes_nothing(student: SequenceModel) -> None:
    events = torch.randint(1, VOCABULARY, (2, 4))
    for more in range(1, 5):
        padded = F.pad(events, (more, 0))
        assert torch.allclose(hidden(student, padded)[:, more:], hidden(student, events), rtol=1e-12)
        assert torch.allclose(student.next_scores(padded), student.next_scores(events), rtol=1e-12)


def test_one_hot_soft_events_are_ids(student: SequenceModel) -> None:
    events = torch.randint(1, VOCABULARY, (3, 8))
    soft = F.one_hot(events, VOCABULARY).double()
    assert torch.allclose(student(soft), student(events), rtol=1e-12)
    table = student.output_table
    a = soft_next_event(hidden(student, soft), table, soft @ table)
    b = hard_next_event(hidden(student, events), table, events)
    assert torch.allclose(a, b, rtol=1e-12)


def test_a_soft_event_is_its_mean_embedding(student: SequenceModel) -> None:
    soft = torch.rand(2, 3, VOCABULARY, dtype=torch.float64)
    right = sum(soft[..., k, None] * student.embedding[k] for k in range(VOCABULARY))
    assert torch.allclose(student.embed(soft), torch.as_tensor(right), rtol=1e-12)


def test_padding_scores_minus_infinity(student: SequenceModel) -> None:
    events = torch.tensor([[0, 0, 3, 5], [0, 0, 0, 0]])
    scores = student(events)
    assert scores.shape == (2, 4, VOCABULARY)
    assert torch.isneginf(scores[..., 0]).all()
    assert scores[..., 1:].isfinite().all()
    last = student.next_scores(events)
    assert torch.allclose(last, scores[:, -1], rtol=1e-12)
    assert not last.requires_grad


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_rows_of_padding_give_finite_gradients(student: SequenceModel, dtype: torch.dtype) -> None:
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


def test_nothing_but_padding_gives_a_loss_of_zero(student: SequenceModel) -> None:
    events = torch.zeros(2, 4, dtype=torch.long)
    value = hard_next_event(hidden(student.float(), events), student.output_table, events)
    value.backward()
    assert value.item() == 0
    assert all(leaf.grad is None or not leaf.grad.any() for leaf in student.parameters())


@pytest.mark.parametrize("name", ["sasrec", "transformer", "fmlprec"])
def test_a_sequence_that_is_too_long_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="a sequence of 9 events is longer than the student's length 8"):
        build(name=name)(torch.ones(1, 9, dtype=torch.long))


@pytest.mark.parametrize("kind", [SASRec, TransformerLM])
def test_heads_must_divide_the_width(kind: type[SASRec] | type[TransformerLM]) -> None:
    with pytest.raises(ValueError, match="heads=4 must divide hidden=6"):
        kind(VOCABULARY, length=8, hidden=6, heads=4)


@pytest.mark.parametrize("kind", KINDS)
def test_the_state_goes_out_and_in_again(kind: str) -> None:
    torch.manual_seed(0)
    student, other = (build(**KINDS[kind]).double() for _ in range(2))
    events = torch.randint(0, VOCABULARY, (3, 8))
    assert not torch.equal(other(events), student(events))
    other.load_state_dict(student.state_dict())
    assert torch.equal(other(events), student(events))


@pytest.mark.parametrize("kind", KINDS)
def test_it_starts_as_the_seed_says(kind: str) -> None:
    states = []
    for _ in range(2):
        torch.manual_seed(4)
        states.append(build(**KINDS[kind]).state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_the_recipe_and_the_registry_name_the_same_students() -> None:
    assert set(get_args(StudentSettings.model_fields["name"].annotation)) == set(STUDENTS)


def test_tables_are_tied_unless_it_is_said_otherwise() -> None:
    for name in STUDENTS:
        tied, untied = build(name=name), build(name=name, tied=False)
        assert tied.output_table is tied.embedding
        assert untied.output_table is not untied.embedding
        more = [sum(leaf.numel() for leaf in student.parameters()) for student in (tied, untied)]
        assert more[1] - more[0] == VOCABULARY * 6


@pytest.mark.parametrize("name", STUDENTS)
def test_a_vocabulary_of_fifty_thousand(name: str) -> None:
    torch.manual_seed(0)
    student = build_model(StudentSettings.model_validate({"name": name, "hidden": 8}), 50_000, 6)
    events = torch.randint(0, 50_000, (4, 6))
    events[0] = 0
    hard = hard_next_event(hidden(student, events), student.output_table, events)
    soft_events = torch.rand(2, 6, 50_000).softmax(-1)
    soft = soft_next_event(hidden(student, soft_events), student.output_table, student.embed(soft_events))
    (hard + soft).backward()
    assert hard.item() == pytest.approx(torch.tensor(50_000.0).log().item(), rel=0.02)
    assert all(leaf.grad is not None and leaf.grad.isfinite().all() for leaf in student.parameters())
    assert student.next_scores(events).shape == (4, 50_000)


@pytest.mark.parametrize("length", [1, 2, 7, 8])
def test_a_filter_is_that_of_its_spectrum(length: int) -> None:
    """Published: irfft(rfft(x) ∘ w) over a whole sequence. On one padded to twice its length it is causal."""
    filtering = CausalFilter(length, hidden=3, deviation=1.0)
    real, imaginary = filtering.spectrum.detach().chunk(2)
    values = torch.fft.irfft(torch.complex(real, imaginary), n=length, dim=0)  # (L, width)
    states = torch.randn(2, length, 3)
    transforms = (torch.fft.rfft(part, n=2 * length, dim=-2) for part in (states, values))
    right = torch.fft.irfft(next(transforms) * next(transforms), n=2 * length, dim=1)[:, :length]
    torch.testing.assert_close(filtering(states), right, rtol=1e-5, atol=1e-5)
    if length > 1:
        torch.testing.assert_close(filtering(states[:, :-1]), right[:, :-1], rtol=1e-5, atol=1e-5)
