"""How the inner loop gets a summary's soft inputs: materialized or factored, and which one a recipe takes."""

import pytest
import torch

from farzi.recipe.recipe import Inner
from farzi.summary import SOFT_INPUTS, SummaryTensors, batches, chosen_soft_inputs


def summary() -> SummaryTensors:
    return SummaryTensors(torch.randn(6, 5, 3), torch.randn(3, 20), 0.5)


@pytest.mark.parametrize(
    ("given", "batch", "limit", "chosen", "why"),
    [
        ("auto", None, 2400, "materialized", "they take 0.0 MiB, not more than 0 MiB"),
        ("auto", None, 2399, "factored", "materialized they take 0.0 MiB, more than 0 MiB"),
        ("auto", 6, 2400, "materialized", "they take 0.0 MiB, not more than 0 MiB"),
        ("auto", 5, 2400, "factored", "a step reads 5 of 6 sequences"),
        ("materialized", 5, 0, "materialized", "set in the recipe"),
        ("factored", None, 2400, "factored", "set in the recipe"),
    ],
)
def test_the_way_follows_from_sizes(
    monkeypatch: pytest.MonkeyPatch, given: str, batch: int | None, limit: int, chosen: str, why: str
):
    monkeypatch.setattr(batches, "MATERIALIZED_BYTES", limit)
    inner = Inner.model_validate({"soft_inputs": given, "batch": batch})
    assert chosen_soft_inputs(inner, summary()) == (chosen, why)
    assert chosen in SOFT_INPUTS


def test_the_two_representations():
    one = summary()
    torch.testing.assert_close(SOFT_INPUTS["materialized"](one), one.soft_inputs())
    factors = SOFT_INPUTS["factored"](one)
    assert isinstance(factors, dict)
    assert list(factors) == ["latents", "decoder"]
    torch.testing.assert_close(factors["latents"], one.latents / 0.5)
    assert factors["decoder"] is one.decoder
