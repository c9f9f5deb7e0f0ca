"""The tensors of a summary: soft inputs, their gradients, sizes, and what is refused."""

import pytest
import torch

from farzi.summary import SummaryTensors


def made(
    sequences: int = 3, length: int = 4, dim: int = 2, vocabulary: int = 7, tau: float = 0.7
) -> SummaryTensors:
    generator = torch.Generator().manual_seed(0)
    latents = torch.randn(sequences, length, dim, generator=generator, dtype=torch.float64)
    decoder = torch.randn(dim, vocabulary, generator=generator, dtype=torch.float64)
    return SummaryTensors(latents, decoder, tau)


def test_soft_inputs_are_the_softmax_over_all_but_padding():
    summary = made()
    events = summary.soft_inputs()
    logits = torch.einsum("stk,kv->stv", summary.latents, summary.decoder)[..., 1:] / 0.7
    expected = logits.exp() / logits.exp().sum(-1, keepdim=True)
    torch.testing.assert_close(events[..., 1:], expected)
    assert (events[..., 0] == 0).all()
    torch.testing.assert_close(events.sum(-1), torch.ones(3, 4, dtype=torch.float64))


def test_huge_logits_do_no_harm():
    summary = made()
    events = SummaryTensors(summary.latents * 1e6, summary.decoder, 1e-3).soft_inputs()
    assert events.isfinite().all()
    assert (events[..., 0] == 0).all()
    torch.testing.assert_close(events.sum(-1), torch.ones(3, 4, dtype=torch.float64))


def test_gradients_agree_with_finite_differences():
    def soft_inputs(latents: torch.Tensor, decoder: torch.Tensor) -> torch.Tensor:
        return SummaryTensors(latents, decoder, 0.7).soft_inputs()

    summary = made()
    inputs = (summary.latents.requires_grad_(), summary.decoder.requires_grad_())
    assert torch.autograd.gradcheck(soft_inputs, inputs)
    assert torch.autograd.gradgradcheck(soft_inputs, inputs)


def test_padding_gets_no_gradient():
    summary = made()
    decoder = summary.decoder.requires_grad_()
    weights = torch.arange(7, dtype=torch.float64)
    (SummaryTensors(summary.latents, decoder).soft_inputs() * weights).sum().backward()
    assert decoder.grad is not None
    assert (decoder.grad[:, 0] == 0).all()
    assert (decoder.grad[:, 1:] != 0).all()


def test_sizes_and_bytes():
    summary = made()
    assert (summary.sequences, summary.length, summary.dim, summary.vocabulary) == (3, 4, 2, 7)
    assert summary.bytes == 8 * (3 * 4 * 2 + 2 * 7)
    assert SummaryTensors(summary.latents.float(), summary.decoder.float()).bytes == 4 * (3 * 4 * 2 + 2 * 7)


def test_detach_gives_other_memory_without_gradients():
    summary = made()
    summary.latents.requires_grad_()
    copy = summary.detach()
    assert not copy.latents.requires_grad
    copy.latents.zero_()
    copy.decoder.zero_()
    assert summary.latents.abs().min() > 0
    assert summary.decoder.abs().min() > 0
    assert copy.temperature == 0.7


@pytest.mark.parametrize(
    ("latents", "decoder"), [((3, 4), (4, 7)), ((3, 4, 2), (3, 7)), ((3, 4, 2), (2,)), ((2,), (2, 7))]
)
def test_shapes_that_do_not_fit_are_refused(latents: tuple[int, ...], decoder: tuple[int, ...]):
    with pytest.raises(ValueError, match=r"latents must be \(sequences, length, dim\)"):
        SummaryTensors(torch.zeros(latents), torch.zeros(decoder))


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan")])
def test_a_temperature_must_be_positive(temperature: float):
    with pytest.raises(ValueError, match="temperature"):
        SummaryTensors(torch.zeros(1, 1, 1), torch.zeros(1, 2), temperature)
