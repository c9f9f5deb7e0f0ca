"""Soft labels with a decoder of their own, against the plain formula: the loss, and metagradients."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.func import functional_call

from farzi import operations
from farzi.models import SequenceModel
from farzi.recipe import variants as v
from farzi.recipe.recipe import Inner
from farzi.soft import SoftEvents
from farzi.summary import SOFT_INPUTS, SummaryTensors, chosen_soft_inputs
from farzi.training import NextEvent, make_model
from farzi.unroll import (
    SGD,
    Curvature,
    ForwardOverReverse,
    ReverseOverReverse,
    unroll,
)

from .test_soft import EXECUTIONS

SEQUENCES, LENGTH, DIM, VOCABULARY = 6, 5, 3, 20
STUDENTS: dict[str, v.StudentVariant] = {
    "tied": v.SASRec(hidden=6),
    "untied": v.Transformer(hidden=6, tied=False),
    "recurrent": v.LSTM(hidden=6, tied=False),
}


def parts() -> dict[str, Any]:
    generator = torch.Generator().manual_seed(4)
    shapes = {
        "latents": (SEQUENCES, LENGTH, DIM),
        "decoder": (DIM, VOCABULARY),
        "label_decoder": (DIM, VOCABULARY),
    }
    return {name: torch.randn(*shape, generator=generator).double() for name, shape in shapes.items()}


def student(name: str) -> SequenceModel:
    return make_model(STUDENTS[name], VOCABULARY, LENGTH, 0).double()


def plain_loss(student: SequenceModel, latents: Tensor, decoder: Tensor, label_decoder: Tensor) -> Tensor:
    """Soft inputs are softmax(D M / τ), soft labels softmax(D M′ / τ)."""
    read, labels = (
        torch.softmax((latents @ matrix / 0.7)[..., 1:], dim=-1) for matrix in (decoder, label_decoder)
    )
    hidden = student.hidden(read[:, :-1] @ student.embedding[1:])
    log_p = torch.log_softmax(hidden @ student.output_table[1:].T, dim=-1)
    return -(labels[:, 1:] * log_p).sum(-1).mean()


@pytest.mark.parametrize("name", STUDENTS)
def test_the_loss_is_the_formulas(name: str):
    model = student(name)
    result = NextEvent(model)(SummaryTensors(**parts(), temperature=0.7).soft_events())
    torch.testing.assert_close(result, plain_loss(model, **parts()), rtol=1e-12, atol=0)


BATCHES = torch.tensor([[0, 3], [5, 1], [1, 1], [2, 4]])


@pytest.mark.parametrize(
    "curvature", [ReverseOverReverse(), ForwardOverReverse()], ids=["reverse", "forward"]
)
@pytest.mark.parametrize(
    ("name", "execution"), [*((name, "eager") for name in STUDENTS), ("untied", "graph")]
)
@pytest.mark.parametrize("soft_inputs", SOFT_INPUTS)
def test_the_metagradient_is_autograds(
    monkeypatch: pytest.MonkeyPatch, name: str, execution: str, soft_inputs: str, curvature: Curvature
):
    monkeypatch.setattr(operations, "CHUNK", 1)  # the rows of a step in three chunks
    monkeypatch.setattr(operations, "ROWS", 4)
    model, rate = student(name), 0.5

    def outer(theta: dict[str, Tensor]) -> Tensor:
        return torch.stack([leaf.sin().sum() for leaf in theta.values()]).sum()

    learnt = {part: value.requires_grad_() for part, value in parts().items()}
    loss = NextEvent(model)
    data = SOFT_INPUTS[soft_inputs](SummaryTensors(**learnt, temperature=0.7))
    end = unroll(
        loss.at,
        loss.parameters_of(model),
        data,
        SGD(rate),
        BATCHES,
        execution=EXECUTIONS[execution](curvature),
    )
    result = torch.autograd.grad(outer(end), list(learnt.values()))

    class Plain(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.student = model

        def forward(self, *values: Tensor) -> Tensor:
            return plain_loss(self.student, *values)

    theta: dict[str, Any] = {
        part: value.detach().requires_grad_() for part, value in Plain().named_parameters()
    }
    again = [value.detach().clone().requires_grad_() for value in learnt.values()]
    for rows in BATCHES:
        value = functional_call(Plain(), theta, (again[0][rows], *again[1:]))
        slopes = torch.autograd.grad(value, list(theta.values()), create_graph=True)
        theta = {part: leaf - rate * slope for (part, leaf), slope in zip(theta.items(), slopes, strict=True)}
    right = torch.autograd.grad(outer(theta), again)
    for ours, theirs in zip(result, right, strict=True):
        assert (ours - theirs).norm() <= 1e-12 * theirs.norm()


def test_a_decoder_twice_is_one_decoder():
    """With M′ = M the loss is that without a label decoder, computed in another way."""
    same = parts() | {"label_decoder": parts()["decoder"]}
    one = SummaryTensors(same["latents"], same["decoder"])
    for name in STUDENTS:
        model = NextEvent(student(name))
        torch.testing.assert_close(
            model(SummaryTensors(**same, temperature=1.0).soft_events()), model(one.soft_inputs())
        )


def test_the_factors_include_the_label_decoder():
    soft = SummaryTensors(**parts(), temperature=1.0).soft_events()
    again = SoftEvents(**soft.factors)[[4, 0]]
    assert again.label_decoder is soft.label_decoder
    assert torch.equal(again.labels.decoder, parts()["label_decoder"])


def test_a_summary_with_a_label_decoder():
    result = SummaryTensors(**parts(), temperature=0.7)
    assert list(result.parts) == ["latents", "decoder", "label_decoder"]
    assert result.bytes == 8 * (SEQUENCES * LENGTH * DIM + 2 * DIM * VOCABULARY)
    order = torch.tensor([0, 7, 3, 2])
    reordered = result.reordered(order)
    assert reordered.label_decoder is not None
    assert torch.equal(reordered.label_decoder, parts()["label_decoder"][:, order])
    for same in (result.detach(), result.to("cpu")):
        assert same.temperature == 0.7
        assert all(torch.equal(same.parts[name], value) for name, value in parts().items())
    assert chosen_soft_inputs(Inner(batch=None), result)[0] == "materialized"
    assert chosen_soft_inputs(Inner(batch=SEQUENCES - 1), result)[0] == "factored"
    assert list(SOFT_INPUTS["factored"](result)) == list(parts())
    whole = SOFT_INPUTS["materialized"](result)
    assert isinstance(whole, dict)
    torch.testing.assert_close(whole, {"inputs": result.soft_inputs(), "labels": result.soft_labels()})


@pytest.mark.parametrize("shape", [(DIM, VOCABULARY - 1), (DIM + 1, VOCABULARY)])
def test_a_label_decoder_of_another_shape_is_refused(shape: tuple[int, int]):
    with pytest.raises(ValueError, match="label_decoder must have the decoder's shape"):
        SummaryTensors(
            torch.zeros(SEQUENCES, LENGTH, DIM),
            torch.zeros(DIM, VOCABULARY),
            label_decoder=torch.zeros(shape),
        )


def test_full_logits_have_no_label_decoder():
    with pytest.raises(ValueError, match="label_decoder must have the decoder's shape"):
        SummaryTensors(torch.zeros(2, 3, 7), torch.zeros(0, 7), label_decoder=torch.zeros(0, 7))
