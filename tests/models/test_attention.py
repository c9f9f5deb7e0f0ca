"""Kinds of blocks and of positions, against literal transcriptions; and what training mode changes."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from farzi.models import build_model
from farzi.models.attention import GatedBlock, PublishedBlock, _rotated, _rotation
from farzi.models.base import dropped
from tests.models.kinds import TYPES, settings

VOCABULARY, LENGTH, WIDTH = 11, 7, 8
KINDS: dict[str, dict[str, Any]] = {
    **{name: {"type": name} for name in TYPES},
    **{
        f"{name}, {block}, {positions}": {
            "type": name,
            "block": block,
            "positions": positions,
            "heads": 2,
            "layers": 2,
            "feed_forward": 6,
        }
        for name in ("sasrec", "transformer")
        for block in ("pre_norm", "published", "gated")
        for positions in ("learnt", "rotary")
    },
}


def build(**own: Any) -> Any:
    torch.manual_seed(0)
    model = build_model(settings(**{"hidden": WIDTH, **own}), VOCABULARY, LENGTH).double()
    with torch.no_grad():
        for leaf in model.parameters():
            leaf.add_(0.3 * torch.randn_like(leaf))  # norms and biases, too, are those of a trained model
    return model


def histories() -> Tensor:
    events = torch.randint(1, VOCABULARY, (4, LENGTH), generator=torch.Generator().manual_seed(1))
    for row, padding in enumerate((0, 2, LENGTH - 1, LENGTH)):
        events[row, :padding] = 0
    return events


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rows", [[0, 1, 2, 3], [0]], ids=["padded", "without padding"])
def test_without_dropout_training_mode_computes_the_same(kind: str, rows: list[int]):
    """Other operations do it, which are faster and have no second derivative of use."""
    model, events = build(**KINDS[kind]), histories()[rows]
    found = []
    for training in (False, True):
        states = model.train(training).hidden(model.embed(events), events > 0)[events > 0]
        found.append(
            [states, *torch.autograd.grad(states.sin().sum(), [*model.parameters()], allow_unused=True)]
        )
    for one, other in zip(*found, strict=True):
        if one is not None:
            torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-11)


# Blocks


def attended(queries: Tensor, keys: Tensor, block: Any, heads: int) -> Tensor:
    """Multi-head attention of one sequence (L, width), a head and a position at a time."""
    (q_w, k_w, v_w), (q_b, k_b, v_b) = block.qkv.weight.chunk(3), block.qkv.bias.chunk(3)
    q, k, v = queries @ q_w.T + q_b, keys @ k_w.T + k_b, keys @ v_w.T + v_b
    rows = []
    for t in range(len(queries)):
        parts = []
        for head in range(heads):
            own = slice(head * WIDTH // heads, (head + 1) * WIDTH // heads)
            scores = torch.stack([(q[t, own] * k[s, own]).sum() for s in range(t + 1)])
            weights = (scores / (WIDTH // heads) ** 0.5).exp()
            parts.append((weights[:, None] * v[: t + 1, own]).sum(0) / weights.sum())
        rows.append(torch.cat(parts))
    return torch.stack(rows) @ block.out.weight.T + block.out.bias


def normed(x: Tensor, norm: Any) -> Tensor:
    return F.layer_norm(x, (WIDTH,), norm.gain, norm.bias, 1e-5)


def linear(x: Tensor, layer: nn.Linear) -> Tensor:
    return x @ layer.weight.T + layer.bias


def published(x: Tensor, block: Any, heads: int) -> Tensor:
    """SASRec's code: Q = LN(x); x = Q + MHA(Q, x, x); x = LN(x); x = x + W2 relu(W1 x)."""
    q = normed(x, block.norm1)
    x = q + attended(q, x, block, heads)
    x = normed(x, block.norm2)
    return x + linear(torch.relu(linear(x, block.inner)), block.outer)


def gated(x: Tensor, block: Any, heads: int) -> Tensor:
    """LiGR: x = x + σ(G1 x) ∘ MHA(LN(x)); x = x + σ(G2 x) ∘ W3 (silu(W2 LN(x)) ∘ W1 LN(x))."""
    n = normed(x, block.norm1)
    x = x + torch.sigmoid(linear(x, block.gate1)) * attended(n, n, block, heads)
    up, gate = linear(normed(x, block.norm2), block.inner).chunk(2, -1)
    return x + torch.sigmoid(linear(x, block.gate2)) * linear(gate / (1 + (-gate).exp()) * up, block.outer)


@pytest.mark.parametrize(
    ("name", "kind", "right"),
    [("published", PublishedBlock, published), ("gated", GatedBlock, gated)],
)
@pytest.mark.parametrize("heads", [1, 2])
def test_a_block_is_that_of_its_paper(name: str, kind: type, right: Callable[..., Tensor], heads: int):
    model = build(type="sasrec", block=name, heads=heads, layers=2, feed_forward=6)
    events = histories()[:1]
    states = (model.embedding[events[0]] * WIDTH**0.5) + model.position
    for block in model.blocks:
        assert type(block) is kind
        states = right(states, block, heads)
    found = model.hidden(model.embed(events))[0]
    torch.testing.assert_close(found, normed(states, model.norm), rtol=1e-11, atol=1e-12)


def test_the_width_inside_is_the_papers_unless_set():
    inner = {
        (name, own): build(type=name, feed_forward=own).blocks[0].inner.out_features
        for name in ("sasrec", "transformer")
        for own in (None, 5)
    }
    assert inner == {
        ("sasrec", None): WIDTH,
        ("sasrec", 5): 5,
        ("transformer", None): 4 * WIDTH,
        ("transformer", 5): 5,
    }


# Rotary positions


def test_rotary_scores_depend_on_the_distance_alone():
    """Each pair of features is a complex number, turned by its frequency times the position."""
    generator = torch.Generator().manual_seed(0)
    q, k = torch.randn(2, 6, generator=generator, dtype=torch.float64)
    rotation = _rotation(40, 6, q)
    many = [_rotated(one.expand(1, 1, 40, 6), rotation)[0, 0] for one in (q, k)]
    scores = many[0] @ many[1].T
    for distance in (0, 1, 7, 30):
        diagonal = scores.diagonal(-distance)
        torch.testing.assert_close(diagonal, diagonal[:1].expand_as(diagonal), rtol=1e-10, atol=1e-12)
    angle = torch.polar(torch.ones(3, dtype=torch.float64), 7 * 10_000.0 ** -(torch.arange(3).double() / 3))
    complexes = [torch.complex(one[:3], one[3:]) for one in (q, k)]
    right = (complexes[0] * angle * complexes[1].conj()).real.sum()
    torch.testing.assert_close(scores[7, 0], right, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", ["sasrec", "transformer"])
def test_rotary_models_read_longer_histories(name: str):
    model = build(type=name, positions="rotary", heads=2)
    assert model.any_length
    assert not any("position" in leaf for leaf, _ in model.named_parameters())
    events = torch.randint(1, VOCABULARY, (1, 3 * LENGTH))
    assert model.next_scores(events)[:, 1:].isfinite().all()
    assert not build(type=name).any_length


def test_rotary_positions_need_pairs_of_features():
    with pytest.raises(ValueError, match="rotary positions need an even hidden / heads"):
        settings(type="sasrec", hidden=6, heads=2, positions="rotary")


# Dropout


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_dropout_keeps_a_share_and_the_mean(rate: float, dtype: torch.dtype):
    torch.manual_seed(0)
    states = torch.ones(400, 1001, dtype=dtype, requires_grad=True)
    found = dropped(states, rate)
    assert found.dtype == dtype
    share = 1 - round(256 * rate) / 256  # in whole 256ths
    values = found.detach().float().unique()
    assert values.tolist() == pytest.approx([0, 1 / share], rel=5e-3)
    count, kept = states.numel(), int((found > 0).sum())
    assert abs(kept - share * count) < 5 * (share * (1 - share) * count) ** 0.5
    found.sum().backward()
    assert states.grad is not None
    assert torch.equal(states.grad, found.detach())  # the same numbers in the derivative


def test_every_byte_of_a_random_word_drops_as_often():
    torch.manual_seed(0)
    rate, columns = 0.25, torch.arange(8)
    zero = (dropped(torch.ones(80_000, 8), rate) == 0).double()
    deviation = (rate * (1 - rate) / 80_000) ** 0.5
    assert (abs(zero.mean(0) - rate) < 5 * deviation).all()
    correlation = torch.corrcoef(zero.T)
    assert (correlation[columns[:, None] != columns].abs() < 5 / 80_000**0.5).all()


def test_the_smallest_and_the_largest_rate_leave_something_to_drop_and_to_keep():
    torch.manual_seed(0)
    for rate, share in ((1e-6, 1 / 256), (0.9999, 255 / 256)):
        assert (dropped(torch.ones(1000, 1000), rate) == 0).double().mean() == pytest.approx(share, abs=5e-4)


def test_dropout_depends_on_pytorchs_generator():
    states = torch.ones(3, 5)
    torch.manual_seed(1)
    first, second = dropped(states, 0.5), dropped(states, 0.5)
    torch.manual_seed(1)
    assert torch.equal(dropped(states, 0.5), first)
    assert not torch.equal(first, second)


# Scores of the last positions


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_padding_everywhere_changes_no_score(kind: str):
    model, events = build(**KINDS[kind]), histories()[1:3]  # two columns of padding alone
    for count in (1, 3, LENGTH):
        found = model.last_scores(events, count)
        assert found.shape == (2, count, VOCABULARY)
        torch.testing.assert_close(found, model(events)[:, -count:].detach(), rtol=1e-10, atol=1e-11)
    alone = torch.zeros(2, LENGTH, dtype=torch.long)
    assert model.last_scores(alone, 2).shape == (2, 2, VOCABULARY)
    assert model.last_scores(events[:0], 2).shape == (0, 2, VOCABULARY)
