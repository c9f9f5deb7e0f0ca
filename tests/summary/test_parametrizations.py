"""Parametrizations: the summaries they start from and give, and their derivatives."""

import itertools

import numpy as np
import pytest
import torch
from torch import Tensor

from farzi.recipe import variants as v
from farzi.recipe.recipe import Inner
from farzi.summary import FullLogits, LowRank, Parametrization, SummaryTensors, Tucker, chosen_soft_inputs


def made(sequences: int = 5, length: int = 4, dim: int = 3, vocabulary: int = 7) -> SummaryTensors:
    generator = torch.Generator().manual_seed(0)
    latents = torch.randn(sequences, length, dim, generator=generator, dtype=torch.float64)
    decoder = torch.randn(dim, vocabulary, generator=generator, dtype=torch.float64)
    return SummaryTensors(latents, decoder, 0.7)


EXACT = {
    "low rank": LowRank(),
    "full logits": FullLogits(),
    "tucker": Tucker(),
    "higher than any": Tucker(sequence_rank=99, position_rank=99),
}


@pytest.mark.parametrize("parametrization", EXACT.values(), ids=EXACT)
@pytest.mark.parametrize("size", [(5, 4, 3), (20, 2, 2), (2, 20, 3), (1, 4, 2), (3, 5, 1)])
def test_a_parametrization_starts_at_the_summary_that_it_is_given(
    parametrization: Parametrization, size: tuple[int, int, int]
):
    start = made(*size)
    parts = parametrization.parts(start)
    result = parametrization.summary(parts, start.temperature)
    torch.testing.assert_close(result.soft_inputs(), start.soft_inputs(), rtol=1e-12, atol=1e-13)
    again = parametrization.summary(parametrization.parts(result), start.temperature)
    torch.testing.assert_close(again.soft_inputs(), start.soft_inputs(), rtol=1e-12, atol=1e-13)
    for part in parts.values():
        part.zero_()
    assert start.latents.abs().min() > 0
    assert start.decoder.abs().min() > 0


@pytest.mark.parametrize(
    "parametrization", [LowRank(), FullLogits(), Tucker(sequence_rank=2, position_rank=3)]
)
def test_the_events_have_the_derivatives_that_differences_have(parametrization: Parametrization):
    parts = parametrization.parts(made())

    def soft_inputs(*values: Tensor) -> Tensor:
        return parametrization.summary(dict(zip(parts, values, strict=True)), 0.7).soft_inputs()

    assert torch.autograd.gradcheck(soft_inputs, [part.requires_grad_() for part in parts.values()])


def test_latents_of_tucker_factors_are_the_sum_that_defines_them():
    parametrization, start = Tucker(sequence_rank=3, position_rank=2), made(6, 5, 4)
    parts = {name: part.numpy() for name, part in parametrization.parts(start).items()}
    core, users, times = parts["core"], parts["sequences"], parts["positions"]
    assert (core.shape, users.shape, times.shape) == ((3, 2, 4), (6, 3), (5, 2))
    expected = np.zeros((6, 5, 4))
    for u, t, a, b in itertools.product(range(6), range(5), range(3), range(2)):
        expected[u, t] += core[a, b] * users[u, a] * times[t, b]
    result = parametrization.summary({name: torch.from_numpy(part) for name, part in parts.items()}, 0.7)
    np.testing.assert_allclose(result.latents.numpy(), expected, atol=1e-12)
    assert torch.equal(result.decoder, start.decoder)
    np.testing.assert_allclose(users.T @ users / 6, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(times.T @ times / 5, np.eye(2), atol=1e-12)


def test_tucker_factors_of_latents_of_low_rank_lose_nothing_and_of_others_little():
    generator = torch.Generator().manual_seed(1)
    users, times, core = (
        torch.randn(*shape, generator=generator, dtype=torch.float64) for shape in ((9, 2), (8, 3), (2, 3, 4))
    )
    low = torch.einsum("abd,ua,tb->utd", core, users, times)
    decoder = torch.randn(4, 7, generator=generator, dtype=torch.float64)
    parametrization = Tucker(sequence_rank=2, position_rank=3)
    result = parametrization.summary(parametrization.parts(SummaryTensors(low, decoder)), 1.0)
    torch.testing.assert_close(result.latents, low, rtol=1e-9, atol=1e-9)

    noisy = low + 0.1 * torch.randn(9, 8, 4, generator=generator, dtype=torch.float64)
    result = parametrization.summary(parametrization.parts(SummaryTensors(noisy, decoder)), 1.0)
    # De Lathauwer et al. 2000, property 10: the error is at most that of both cuts together
    cut = [
        torch.linalg.svdvals(unfolded)[rank:].square().sum()
        for unfolded, rank in ((noisy.flatten(1), 2), (noisy.transpose(0, 1).flatten(1), 3))
    ]
    error = (result.latents - noisy).square().sum()
    assert 0 < error <= cut[0] + cut[1]
    assert error >= max(cut)


def test_full_logits_have_no_factors():
    full = FullLogits().summary(FullLogits().parts(made()), 0.7)
    assert full.is_full_logits
    assert not made().is_full_logits
    assert (full.sequences, full.length, full.dim, full.vocabulary) == (5, 4, 7, 7)
    assert full.bytes == 8 * 5 * 4 * 7
    with pytest.raises(ValueError, match="full logits have no factors"):
        full.soft_events()
    with pytest.raises(ValueError, match="full logits have no factors"):
        Tucker().parts(full)
    for inner in (Inner(batch=2), Inner(soft_inputs="factored")):
        assert chosen_soft_inputs(inner, full) == ("materialized", "full logits have no factors")


def test_events_in_another_order():
    order = torch.tensor([0, 3, 1, 6])
    for summary in (made(), FullLogits().summary(FullLogits().parts(made()), 0.7)):
        result, whole = summary.reordered(order).soft_inputs(), summary.soft_inputs()
        torch.testing.assert_close(result, whole[..., order] / whole[..., order].sum(-1, keepdim=True))


def test_by_the_names_of_a_recipe():
    assert v.LowRank(dim=4).build() == LowRank(4)
    assert v.FullLogits(dim=4).build() == FullLogits(4)
    assert v.Tucker(sequence_rank=5, position_rank=3).build() == Tucker(sequence_rank=5, position_rank=3)
    with pytest.raises(ValueError, match="sequence_rank"):
        v.FullLogits.model_validate({"sequence_rank": 5})
