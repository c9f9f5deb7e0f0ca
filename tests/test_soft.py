"""Soft events as factors against the plain formula: values, derivatives, and runs through the engine."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.fx import GraphModule

from farzi import operations
from farzi.models import SASRec, SequenceModel
from farzi.recipe import variants as v
from farzi.soft import SoftEvents, soft_embedding
from farzi.summary import SOFT_INPUTS, SummaryTensors
from farzi.training import NextEvent, make_model
from farzi.unroll import (
    Adam,
    Compiled,
    Curvature,
    Eager,
    Execution,
    ForwardOverReverse,
    ReverseOverReverse,
    interpreter,
    stack,
    stacked_loss,
    unroll,
)
from farzi.unroll.compile.cache import GRAPHS
from farzi.unroll.compile.graph import trace

ROWS, DIM, VOCABULARY, WIDTH = 18, 3, 11, 5
Function = Callable[[Tensor, Tensor, Tensor], Tensor]


@pytest.fixture(params=["one chunk", "chunks of 4 rows", "rows one by one"])
def chunks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The rows of the tests in one chunk, in four with a ragged last one, and each by itself."""
    if request.param != "one chunk":
        monkeypatch.setattr(operations, "CHUNK", 1)
        monkeypatch.setattr(operations, "ROWS", 4 if request.param == "chunks of 4 rows" else 1)
    return request.param


def plain(latents: Tensor, decoder: Tensor, table: Tensor) -> Tensor:
    """The formula."""
    return torch.softmax((latents @ decoder)[:, 1:], dim=-1) @ table[1:]


def arguments(dtype: torch.dtype = torch.float64) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    shapes = ((ROWS, DIM), (DIM, VOCABULARY), (VOCABULARY, WIDTH))
    return [torch.randn(shape, generator=generator).to(dtype).requires_grad_() for shape in shapes]


def outer(y: Tensor) -> Tensor:
    """A function of embedded events with second derivatives of its own."""
    weights = torch.linspace(-1, 2, y.numel()).view(y.shape).to(y)
    return (y.sin() * weights).sum() + (y * y).mean()


def derivatives(function: Function, inputs: list[Tensor]) -> dict[str, Tensor]:
    """The value, the gradient, and the products with second derivatives that a metagradient needs."""
    generator = torch.Generator().manual_seed(1)
    direction = torch.randn(inputs[2].shape, generator=generator).to(inputs[2].dtype)
    found = {"value": function(*inputs)}
    value = outer(function(*inputs))
    for name, bar in zip("DME", torch.autograd.grad(value, inputs, retain_graph=True), strict=True):
        found[f"gradient {name}"] = bar
    (slope,) = torch.autograd.grad(value, inputs[2], create_graph=True)
    for name, bar in zip("DME", torch.autograd.grad(slope, inputs, direction), strict=True):
        found[f"reverse {name}"] = bar
    with forward_ad.dual_level():
        moved = forward_ad.make_dual(inputs[2], direction)
        value = outer(function(inputs[0], inputs[1], moved))
        for name, bar in zip("DME", torch.autograd.grad(value, inputs), strict=True):
            tangent = forward_ad.unpack_dual(bar).tangent
            assert tangent is not None
            found[f"forward {name}"] = tangent
    return {name: part.detach() for name, part in found.items()}


@pytest.mark.parametrize(
    ("dtype", "bound"), [(torch.float64, 1e-13), (torch.float32, 1e-5), (torch.bfloat16, 0.1)]
)
def test_equals_the_plain_formula(chunks: str, dtype: torch.dtype, bound: float) -> None:
    found, right = derivatives(soft_embedding, arguments(dtype)), derivatives(plain, arguments())
    for name, part in right.items():
        assert found[name].dtype == dtype
        assert (found[name].double() - part).norm() <= bound * part.norm(), name
        assert part.norm() > 0


def test_gradients_agree_with_finite_differences(chunks: str) -> None:
    latents, decoder, table = arguments()
    assert torch.autograd.gradcheck(soft_embedding, (latents, decoder, table))

    def gradient(latents: Tensor, decoder: Tensor, cotangent: Tensor) -> Tensor:
        """The table's, whose own derivatives are those that training needs."""
        (bar,) = torch.autograd.grad(
            soft_embedding(latents, decoder, table), table, cotangent, create_graph=True
        )
        return bar

    cotangent = torch.randn(ROWS, WIDTH, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(gradient, (latents, decoder, cotangent))


@pytest.mark.parametrize("which", [(0,), (1,), (2,), (0, 1), (0, 2)])
def test_only_some_sides_require_a_gradient(which: tuple[int, ...]) -> None:
    found = []
    for function in (soft_embedding, plain):
        inputs = [leaf.detach().requires_grad_(k in which) for k, leaf in enumerate(arguments())]
        found.append(torch.autograd.grad(outer(function(*inputs)), [inputs[k] for k in which]))
    for ours, right in zip(*found, strict=True):
        torch.testing.assert_close(ours, right, rtol=1e-12, atol=1e-14)


def test_padding_changes_nothing_and_learns_nothing() -> None:
    inputs = arguments()
    value = soft_embedding(*inputs)
    _, decoder_bar, table_bar = torch.autograd.grad(outer(value), inputs)
    assert not decoder_bar[:, 0].any()
    assert not table_bar[0].any()
    assert decoder_bar[:, 1:].all()
    assert table_bar[1:].all()
    others = [leaf.detach().clone() for leaf in inputs]
    others[1][:, 0], others[2][0] = 1e4, 1e6
    assert torch.equal(soft_embedding(*others), value)


def test_huge_logits_do_no_harm() -> None:
    inputs = [leaf.detach() for leaf in arguments()]
    inputs[0] *= 1e6
    moved = [leaf.requires_grad_() for leaf in inputs]
    torch.testing.assert_close(soft_embedding(*moved), plain(*moved))
    assert all(part.isfinite().all() for part in derivatives(soft_embedding, moved).values())


def test_no_rows() -> None:
    latents, decoder, table = arguments()
    empty = soft_embedding(latents[:0], decoder, table)
    assert empty.shape == (0, WIDTH)
    assert not torch.autograd.grad(empty.sum(), table)[0].any()


def test_vmap_goes_over_tables_and_over_what_comes_back() -> None:
    latents, decoder, table = arguments()
    tables = torch.stack([table.detach(), table.detach().cos()])

    def gradient(function: Function) -> Callable[[Tensor], Tensor]:
        return torch.func.grad(lambda e: outer(function(latents, decoder, e)))

    found = torch.vmap(gradient(soft_embedding))(tables)
    torch.testing.assert_close(found, torch.vmap(gradient(plain))(tables), rtol=1e-12, atol=1e-14)


def test_what_is_not_available_is_refused() -> None:
    inputs = arguments()
    (first,) = torch.autograd.grad(outer(soft_embedding(*inputs)), inputs[0], create_graph=True)
    with pytest.raises(
        NotImplementedError, match="only the gradient by the table can be differentiated again"
    ):
        torch.autograd.grad(first.sum(), inputs[1])
    (first,) = torch.autograd.grad(outer(soft_embedding(*inputs)), inputs[2], create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), inputs[0], create_graph=True)
    with pytest.raises(NotImplementedError, match="only once"):
        torch.autograd.grad(second.sum(), inputs[2])
    with (
        forward_ad.dual_level(),
        pytest.raises(NotImplementedError, match="latents and decoder cannot have a tangent"),
    ):
        soft_embedding(forward_ad.make_dual(inputs[0], inputs[0].detach()), *inputs[1:])


def test_no_more_probabilities_than_a_chunk_are_made() -> None:
    """For a large vocabulary a chunk has at least 32 rows."""
    for vocabulary, arrays, rows in (
        (1 << 10, 1, 256),
        (1 << 10, 2, 128),
        (1 << 13, 1, 32),
        (1 << 16, 2, 32),
    ):
        slices = operations.chunks(1000, vocabulary, arrays)
        assert slices[0] == slice(0, rows)
        assert sum(len(range(1000)[rows]) for rows in slices) == 1000


def summary() -> SummaryTensors:
    generator = torch.Generator().manual_seed(2)
    latents, decoder = (
        torch.randn(shape, generator=generator, dtype=torch.float64) for shape in ((6, 5, 3), (3, 20))
    )
    return SummaryTensors(latents, decoder, 0.7)


class Untied(SASRec):
    """A student whose output table is its own, and wider than what it reads."""

    def __init__(self) -> None:
        super().__init__(vocabulary=20, length=4, hidden=4)
        self.other = torch.nn.Parameter(torch.randn(20, 4) * 0.3)
        self.lift = torch.nn.Parameter(torch.randn(2, 4))
        self.embedding = torch.nn.Parameter(torch.randn(20, 2) * 0.3)

    @property
    def output_table(self) -> Tensor:
        return self.other

    def hidden(self, vectors: Tensor, real: Tensor | None = None) -> Tensor:
        return super().hidden(vectors @ self.lift, real)


def students() -> dict[str, SequenceModel]:
    torch.manual_seed(0)
    return {"tied": make_model(v.SASRec(hidden=6), 20, 5, 0), "untied": Untied()}


def test_soft_events_in_factors_are_the_summarys() -> None:
    factors, whole = summary().soft_events(), summary().soft_inputs()
    table = torch.eye(20, dtype=torch.float64)
    torch.testing.assert_close(factors.embedded(table), whole)
    rows = torch.tensor([4, 0, 4])
    torch.testing.assert_close(factors[rows].embedded(table), whole[rows])
    again = SoftEvents(**factors.factors)
    assert again.latents is factors.latents
    assert again.decoder is factors.decoder


@pytest.mark.parametrize("name", ["tied", "untied"])
def test_a_student_reads_both_alike(name: str) -> None:
    student = students()[name].double()
    factors, whole = summary().soft_events(), summary().soft_inputs()
    torch.testing.assert_close(student(factors[:, :-1]), student(whole[:, :-1]))
    torch.testing.assert_close(NextEvent(student)(factors), NextEvent(student)(whole))
    for ours, right in zip(student.embed_twice(factors), student.embed_twice(whole), strict=True):
        torch.testing.assert_close(ours, right)
    torch.testing.assert_close(student.embed_twice(whole)[1], whole @ student.output_table)


EXECUTIONS: dict[str, Callable[[Curvature], Execution]] = {
    "eager": Eager,
    "graph": lambda curvature: Compiled(curvature, interpreter),
}


def metagradient(
    soft_inputs: str, student: SequenceModel, execution: Execution, batches: Any, runs: int = 1
) -> tuple[list[Tensor], list[Tensor]]:
    """θT, and the derivatives of a function of it by latents and decoder."""
    latents, decoder = summary().latents.requires_grad_(), summary().decoder.requires_grad_()
    loss = NextEvent(student.double())
    theta, at = loss.parameters_of(student), loss.at
    if runs > 1:
        theta = stack([{name: (1 + 0.1 * k) * leaf for name, leaf in theta.items()} for k in range(runs)])
        at = stacked_loss(at)
    data = SOFT_INPUTS[soft_inputs](SummaryTensors(latents, decoder, 0.7))
    end = unroll(at, theta, data, Adam(0.05, epsilon=1e-5), batches, execution=execution)
    value = torch.stack([leaf.sin().sum() for leaf in end.values()]).sum()
    return [leaf.detach() for leaf in end.values()], list(torch.autograd.grad(value, [latents, decoder]))


def same(found: list[Tensor], right: list[Tensor]) -> None:
    for ours, theirs in zip(found, right, strict=True):
        assert (ours - theirs).norm() <= 1e-12 * theirs.norm()


@pytest.mark.parametrize("batched", [False, True], ids=["all rows", "some rows"])
@pytest.mark.parametrize(
    "curvature", [ReverseOverReverse(), ForwardOverReverse()], ids=["reverse", "forward"]
)
@pytest.mark.parametrize("execution", EXECUTIONS)
@pytest.mark.parametrize("name", ["tied", "untied"])
def test_the_metagradient_is_that_of_materialized_events(
    monkeypatch: pytest.MonkeyPatch, name: str, execution: str, curvature: Curvature, batched: bool
) -> None:
    monkeypatch.setattr(operations, "CHUNK", 1)
    monkeypatch.setattr(operations, "ROWS", 4)
    batches = torch.tensor([[0, 3], [5, 1], [1, 1], [2, 4]]) if batched else [None] * 4
    end, bars = metagradient("factored", students()[name], EXECUTIONS[execution](curvature), batches)
    right_end, right = metagradient("materialized", students()[name], Eager(), batches)
    same(end, right_end)
    same(bars, right)


def test_a_reverse_step_goes_over_the_probabilities_twice() -> None:
    """P E and P U at once, then all cotangents at once; a plain gradient makes P E and Pᵀ Ȳ.

    With P U there before the loss, the loss's gradient and its tangent can be one as well.
    """
    execution = Compiled(compiler=interpreter)
    metagradient("factored", students()["tied"], execution, [None] * 2)
    used = {}
    for what, graph in GRAPHS.of(execution):
        name = what[0] if isinstance(what, tuple) else what
        if name != "split":  # so small a student leaves nothing worth keeping
            used[name] = soft_targets(graph.call)  # type: ignore
    assert used["product"] == ["soft_embedding_both", "log_partition_dual", "soft_backward_of_both"]
    assert used["gradient"] == ["soft_embedding", "log_partition", "soft_gathering"]


def graph_of(function: Callable[..., list[Tensor]]) -> tuple[GraphModule, list[Tensor]]:
    generator = torch.Generator().manual_seed(3)
    shapes = ((ROWS, DIM), (DIM, VOCABULARY), (VOCABULARY, 4), (VOCABULARY, 4), (ROWS, 4), (ROWS, 4))
    inputs = [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes]
    return trace(function, inputs), inputs


def soft_targets(module: GraphModule) -> list[str]:
    names = (str(node.target).split(".") for node in module.graph.nodes)
    return [name[1] for name in names if name[0] == "farzi"]


def test_passes_are_one_only_where_their_results_are_added() -> None:
    ops = torch.ops.farzi

    def passes(d: Tensor, m: Tensor, e: Tensor, u: Tensor, y: Tensor, z: Tensor) -> list[list[Tensor]]:
        return [
            [ops.soft_embedding(d, m, e)],
            [*ops.soft_gathering_backward(d, m, y, u)],
            [*ops.soft_embedding_backward(d, m, e, z)],
        ]

    def added(*inputs: Tensor) -> list[Tensor]:
        (first,), middle, last = passes(*inputs)
        return [first, middle[0] + last[0], last[1] + middle[1], middle[2], last[2]]

    def apart(*inputs: Tensor) -> list[Tensor]:
        (first,), middle, last = passes(*inputs)
        return [first, *middle, *last]

    def subtracted(*inputs: Tensor) -> list[Tensor]:
        (first,), middle, last = passes(*inputs)
        return [first, middle[0] + last[0], middle[1] - last[1], middle[2]]

    def depending(*inputs: Tensor) -> list[Tensor]:
        d, m, e, u, y, z = inputs
        first = ops.soft_embedding(d, m, e)
        middle = ops.soft_gathering_backward(d, m, y, u * first.sum())
        last = ops.soft_embedding_backward(d, m, e, z)
        return [middle[0] + last[0], middle[1] + last[1]]

    for function in (added, apart, subtracted, depending):
        module, inputs = graph_of(function)
        for found, right in zip(module(*inputs), function(*inputs), strict=True):
            torch.testing.assert_close(found, right, rtol=1e-12, atol=1e-13)
        fused = ["soft_embedding_both", "soft_backward_of_both"]
        assert (soft_targets(module) == fused) == (function is added)


def test_several_runs_at_once() -> None:
    execution = Compiled(compiler=interpreter)
    found = metagradient("factored", students()["tied"], execution, [None] * 3, runs=2)
    right = metagradient("materialized", students()["tied"], Eager(), [None] * 3, runs=2)
    for ours, theirs in zip(found, right, strict=True):
        same(ours, theirs)
