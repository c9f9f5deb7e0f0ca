"""Every model is causal, ignores padding, and reads indices and soft inputs alike."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from farzi.losses import hard_next_event, soft_next_event
from farzi.models import SASRec, SequenceModel, TransformerLM, build_model
from farzi.models.fmlprec import CausalFilter
from tests.models.kinds import TYPES, settings

VOCABULARY = 13

KINDS = {
    **{name: {"type": name} for name in TYPES},
    **{f"{name}, 2 layers": {"type": name, "layers": 2} for name in TYPES},
    "sasrec, 2 layers, 2 heads": {"type": "sasrec", "layers": 2, "heads": 2},
    "transformer, 2 layers, 2 heads, untied": {
        "type": "transformer",
        "layers": 2,
        "heads": 2,
        "tied": False,
    },
    "lstm, untied": {"type": "lstm", "tied": False},
    **{
        f"sasrec, {block}": {"type": "sasrec", "block": block, "layers": 2}
        for block in ("published", "gated")
    },
    "sasrec, rotary": {"type": "sasrec", "positions": "rotary", "layers": 2},
    "transformer, gated, rotary": {"type": "transformer", "block": "gated", "positions": "rotary"},
}


def build(vocabulary: int = VOCABULARY, length: int = 8, **own: object) -> SequenceModel:
    """A small model whose embeddings count."""
    model = build_model(settings(**{"hidden": 6, **own}), vocabulary, length)
    with torch.no_grad():
        model.embedding.normal_()
    return model


@pytest.fixture(params=KINDS)
def model(request: pytest.FixtureRequest) -> SequenceModel:
    torch.manual_seed(0)
    return build(**KINDS[request.param]).double()


def hidden(model: SequenceModel, events: Tensor) -> Tensor:
    real = None if events.is_floating_point() else events > 0
    return model.hidden(model.embed(events), real)


def test_a_later_event_changes_nothing_earlier(model: SequenceModel) -> None:
    events = torch.randint(1, VOCABULARY, (2, 8))
    for position in range(8):
        other = events.clone()
        other[:, position] = events[:, position] % (VOCABULARY - 1) + 1
        before, after = hidden(model, events), hidden(model, other)
        assert torch.equal(before[:, :position], after[:, :position])
        assert not torch.isclose(before[:, position:], after[:, position:]).all(-1).any()


def test_padding_on_the_left_changes_nothing(model: SequenceModel) -> None:
    events = torch.randint(1, VOCABULARY, (2, 4))
    for more in range(1, 5):
        padded = F.pad(events, (more, 0))
        assert torch.allclose(hidden(model, padded)[:, more:], hidden(model, events), rtol=1e-12)
        assert torch.allclose(model.next_scores(padded), model.next_scores(events), rtol=1e-12)


def test_one_hot_soft_events_are_ids(model: SequenceModel) -> None:
    events = torch.randint(1, VOCABULARY, (3, 8))
    soft = F.one_hot(events, VOCABULARY).double()
    assert torch.allclose(model(soft), model(events), rtol=1e-12)
    table = model.output_table
    a = soft_next_event(hidden(model, soft), table, soft @ table)
    b = hard_next_event(hidden(model, events), table, events)
    assert torch.allclose(a, b, rtol=1e-12)


def test_a_soft_event_is_its_mean_embedding(model: SequenceModel) -> None:
    soft = torch.rand(2, 3, VOCABULARY, dtype=torch.float64)
    right = sum(soft[..., k, None] * model.embedding[k] for k in range(VOCABULARY))
    assert torch.allclose(model.embed(soft), torch.as_tensor(right), rtol=1e-12)


def test_padding_scores_minus_infinity(model: SequenceModel) -> None:
    events = torch.tensor([[0, 0, 3, 5], [0, 0, 0, 0]])
    scores = model(events)
    assert scores.shape == (2, 4, VOCABULARY)
    assert torch.isneginf(scores[..., 0]).all()
    assert scores[..., 1:].isfinite().all()
    last = model.next_scores(events)
    assert torch.allclose(last, scores[:, -1], rtol=1e-12)
    assert not last.requires_grad


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_rows_of_padding_give_finite_gradients(model: SequenceModel, dtype: torch.dtype) -> None:
    model = model.to(dtype)
    events = torch.tensor([[0, 0, 0, 0], [0, 0, 3, 5], [0, 0, 0, 7]])
    value = hard_next_event(hidden(model, events), model.output_table, events)
    assert value.isfinite()
    value.backward()
    for name, leaf in model.named_parameters():
        assert leaf.grad is not None, name
        assert leaf.grad.isfinite().all(), name
    assert model.embedding.grad is not None
    assert not model.embedding.grad[0].any(), "the padding's embedding never enters"


def test_nothing_but_padding_gives_a_loss_of_zero(model: SequenceModel) -> None:
    events = torch.zeros(2, 4, dtype=torch.long)
    value = hard_next_event(hidden(model.float(), events), model.output_table, events)
    value.backward()
    assert value.item() == 0
    assert all(leaf.grad is None or not leaf.grad.any() for leaf in model.parameters())


@pytest.mark.parametrize("name", ["sasrec", "transformer", "fmlprec"])
def test_a_sequence_that_is_too_long_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="a sequence of 9 items is longer than the model's length 8"):
        build(type=name)(torch.ones(1, 9, dtype=torch.long))


@pytest.mark.parametrize("kind", [SASRec, TransformerLM])
def test_heads_must_divide_the_width(kind: type[SASRec] | type[TransformerLM]) -> None:
    with pytest.raises(ValueError, match="heads=4 must divide hidden=6"):
        kind(VOCABULARY, length=8, hidden=6, heads=4)


@pytest.mark.parametrize("kind", KINDS)
def test_the_state_is_saved_and_loaded(kind: str) -> None:
    torch.manual_seed(0)
    model, other = (build(**KINDS[kind]).double() for _ in range(2))
    events = torch.randint(0, VOCABULARY, (3, 8))
    assert not torch.equal(other(events), model(events))
    other.load_state_dict(model.state_dict())
    assert torch.equal(other(events), model(events))


@pytest.mark.parametrize("kind", KINDS)
def test_it_starts_as_the_seed_says(kind: str) -> None:
    states = []
    for _ in range(2):
        torch.manual_seed(4)
        states.append(build(**KINDS[kind]).state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_tables_are_tied_by_default() -> None:
    for name in TYPES:
        tied, untied = build(type=name), build(type=name, tied=False)
        assert tied.output_table is tied.embedding
        assert untied.output_table is not untied.embedding
        more = [sum(leaf.numel() for leaf in model.parameters()) for model in (tied, untied)]
        assert more[1] - more[0] == VOCABULARY * 6


@pytest.mark.parametrize("name", TYPES)
def test_a_vocabulary_of_fifty_thousand(name: str) -> None:
    torch.manual_seed(0)
    model = build_model(settings(type=name, hidden=8), 50_000, 6)
    events = torch.randint(0, 50_000, (4, 6))
    events[0] = 0
    hard = hard_next_event(hidden(model, events), model.output_table, events)
    soft_events = torch.rand(2, 6, 50_000).softmax(-1)
    soft = soft_next_event(hidden(model, soft_events), model.output_table, model.embed(soft_events))
    (hard + soft).backward()
    assert hard.item() == pytest.approx(torch.tensor(50_000.0).log().item(), rel=0.02)
    assert all(leaf.grad is not None and leaf.grad.isfinite().all() for leaf in model.parameters())
    assert model.next_scores(events).shape == (4, 50_000)


@pytest.mark.parametrize("length", [1, 2, 7, 8])
def test_a_filter_is_that_of_its_spectrum(length: int) -> None:
    """Published: irfft(rfft(x) ∘ w) over a whole sequence. On one padded to twice its length it is causal."""
    filtering = CausalFilter(length, hidden=3)
    with torch.no_grad():
        filtering.spectrum.normal_()
    real, imaginary = filtering.spectrum.detach().chunk(2)
    values = torch.fft.irfft(torch.complex(real, imaginary), n=length, dim=0)  # (L, width)
    states = torch.randn(2, length, 3)
    transforms = (torch.fft.rfft(part, n=2 * length, dim=-2) for part in (states, values))
    right = torch.fft.irfft(next(transforms) * next(transforms), n=2 * length, dim=1)[:, :length]
    torch.testing.assert_close(filtering(states), right, rtol=1e-5, atol=1e-5)
    if length > 1:
        torch.testing.assert_close(filtering(states[:, :-1]), right[:, :-1], rtol=1e-5, atol=1e-5)
