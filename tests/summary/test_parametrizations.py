"""Forms of a summary: where they begin, what follows from them, and their derivatives."""

import itertools

import numpy as np
import pytest
import torch
from torch import Tensor

from farzi.recipe import InnerSettings, SummarySettings
from farzi.summary import FORMS, LowRank, Parametrization, SummaryTensors, FullLogits, Tucker, chosen_feed


def made(sequences: int = 5, length: int = 4, dim: int = 3, vocabulary: int = 7) -> SummaryTensors:
    generator = torch.Generator().manual_seed(0)
    latents = torch.randn(sequences, length, dim, generator=generator, dtype=torch.float64)
    decoder = torch.randn(dim, vocabulary, generator=generator, dtype=torch.float64)
    return SummaryTensors(latents, decoder, 0.7)


EXACT = {"factors": LowRank(), "table": FullLogits(), "tucker": Tucker(), "higher than any": Tucker(99, 99)}


@pytest.mark.parametrize("form", EXACT.values(), ids=EXACT)
@pytest.mark.parametrize("size", [(5, 4, 3), (20, 2, 2), (2, 20, 3), (1, 4, 2), (3, 5, 1)])
def test_a_form_begins_at_the_summary_that_it_is_given(form: Parametrization, size: tuple[int, int, int]):
    start = made(*size)
    parts = form.parts(start)
    found = form.summary(parts, start.temperature)
    torch.testing.assert_close(found.events(), start.events(), rtol=1e-12, atol=1e-13)
    again = form.summary(form.parts(found), start.temperature)
    torch.testing.assert_close(again.events(), start.events(), rtol=1e-12, atol=1e-13)
    for part in parts.values():
        part.zero_()
    assert start.latents.abs().min() > 0
    assert start.decoder.abs().min() > 0


@pytest.mark.parametrize("form", [LowRank(), FullLogits(), Tucker(2, 3)])
def test_the_events_have_the_derivatives_that_differences_have(form: Parametrization):
    parts = form.parts(made())

    def events(*values: Tensor) -> Tensor:
        return form.summary(dict(zip(parts, values, strict=True)), 0.7).events()

    assert torch.autograd.gradcheck(events, [part.requires_grad_() for part in parts.values()])


def test_latents_of_tucker_factors_are_the_sum_that_defines_them():
    form, start = Tucker(3, 2), made(6, 5, 4)
    parts = {name: part.numpy() for name, part in form.parts(start).items()}
    core, users, times = parts["core"], parts["users"], parts["times"]
    assert (core.shape, users.shape, times.shape) == ((3, 2, 4), (6, 3), (5, 2))
    expected = np.zeros((6, 5, 4))
    for u, t, a, b in itertools.product(range(6), range(5), range(3), range(2)):
        expected[u, t] += core[a, b] * users[u, a] * times[t, b]
    found = form.summary({name: torch.from_numpy(part) for name, part in parts.items()}, 0.7)
    np.testing.assert_allclose(found.latents.numpy(), expected, atol=1e-12)
    assert torch.equal(found.decoder, start.decoder)
    np.testing.assert_allclose(users.T @ users / 6, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(times.T @ times / 5, np.eye(2), atol=1e-12)


def test_tucker_factors_of_latents_of_low_rank_lose_nothing_and_of_others_little():
    generator = torch.Generator().manual_seed(1)
    users, times, core = (
        torch.randn(*shape, generator=generator, dtype=torch.float64) for shape in ((9, 2), (8, 3), (2, 3, 4))
    )
    low = torch.einsum("abd,ua,tb->utd", core, users, times)
    decoder = torch.randn(4, 7, generator=generator, dtype=torch.float64)
    form = Tucker(2, 3)
    found = form.summary(form.parts(SummaryTensors(low, decoder)), 1.0)
    torch.testing.assert_close(found.latents, low, rtol=1e-9, atol=1e-9)

    noisy = low + 0.1 * torch.randn(9, 8, 4, generator=generator, dtype=torch.float64)
    found = form.summary(form.parts(SummaryTensors(noisy, decoder)), 1.0)
    # De Lathauwer et al. 2000, property 10: the error is at most that of both cuts together
    cut = [
        torch.linalg.svdvals(unfolded)[rank:].square().sum()
        for unfolded, rank in ((noisy.flatten(1), 2), (noisy.transpose(0, 1).flatten(1), 3))
    ]
    error = (found.latents - noisy).square().sum()
    assert 0 < error <= cut[0] + cut[1]
    assert error >= max(cut)


def test_a_table_has_no_factors():
    table = FullLogits().summary(FullLogits().parts(made()), 0.7)
    assert table.is_full_logits
    assert not made().is_full_logits
    assert (table.sequences, table.length, table.dim, table.vocabulary) == (5, 4, 7, 7)
    assert table.bytes == 8 * 5 * 4 * 7
    with pytest.raises(ValueError, match="a table has no factors"):
        table.soft_events()
    with pytest.raises(ValueError, match="a table has no factors"):
        Tucker().parts(table)
    for inner in (InnerSettings(batch=2), InnerSettings(soft_events="factored")):
        assert chosen_feed(inner, table) == ("whole", "a table has no factors")


def test_events_in_another_order():
    order = torch.tensor([0, 3, 1, 6])
    for summary in (made(), FullLogits().summary(FullLogits().parts(made()), 0.7)):
        found, whole = summary.reordered(order).events(), summary.events()
        torch.testing.assert_close(found, whole[..., order] / whole[..., order].sum(-1, keepdim=True))


def test_by_the_names_of_a_recipe():
    assert FORMS["factors"](SummarySettings()) == LowRank()
    assert FORMS["table"](SummarySettings(form="table")) == FullLogits()
    settings = SummarySettings(form="tucker", user_rank=5, time_rank=3)
    assert FORMS["tucker"](settings) == Tucker(5, 3)
    with pytest.raises(ValueError, match="table has no user_rank, only tucker has; leave it out"):
        SummarySettings(form="table", user_rank=5)
