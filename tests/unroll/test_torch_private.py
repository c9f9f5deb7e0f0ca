"""The private parts of PyTorch: all in one module, and all there."""

import ast
from pathlib import Path

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from farzi import unroll
from farzi.unroll import torch_private

ROOT = Path(unroll.__file__).parent
PRIVATE_MODULES = (
    "torch.fx.experimental",
    "torch.fx.passes",
    "torch.fx.node",
    "torch.utils.flop_counter",
    "functorch",
)


def test_this_pytorch_is_one_with_which_they_are_known_to_work() -> None:
    """A newer one: run tests/unroll with it, mend `torch_private` where they fail, and add it to KNOWN."""
    assert ".".join(torch.__version__.split(".")[:2]) in torch_private.KNOWN


def private(path: Path) -> list[str]:
    """What a file uses of PyTorch that is private."""
    uses: list[str] = []
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.stmt | ast.expr):
            continue
        modules: list[str] = []
        if isinstance(node, ast.ImportFrom):
            modules = [f"{node.module}.{name.name}" for name in node.names]
        elif isinstance(node, ast.Import):
            modules = [name.name for name in node.names]
        elif isinstance(node, ast.Attribute):
            own = isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")
            if node.attr.startswith("_") and not node.attr.startswith("__") and not own:
                uses.append(f"{path.name}:{node.lineno}: .{node.attr}")
        for name in modules:
            parts = name.split(".")
            inside = parts[0] == "torch" and any(part.startswith("_") for part in parts)
            if inside or name.startswith(PRIVATE_MODULES):
                uses.append(f"{path.name}:{node.lineno}: {name}")
    return uses


def test_no_other_file_uses_any() -> None:
    files = [path for path in ROOT.rglob("*.py") if path.name != "torch_private.py"]
    assert [use for path in files for use in private(path)] == []
    assert len(private(ROOT / "torch_private.py")) > 8


class Once(torch.autograd.Function):
    """A Function with one derivative."""

    @staticmethod
    def forward(ctx: object, x: Tensor) -> Tensor:
        return 2 * x

    @staticmethod
    @once_differentiable
    def backward(ctx: object, *grad_outputs: Tensor) -> Tensor:  # type: ignore[override]
        return 2 * grad_outputs[0]


def test_each_is_there_and_does_what_it_should() -> None:
    x = torch.ones(2, requires_grad=True)
    assert torch_private.once_differentiable_name(Once.apply(x).grad_fn) == "Once"  # type: ignore[union-attr]
    assert torch_private.once_differentiable_name((2 * x).grad_fn) is None
    assert [str(target) for target in torch_private.RESHAPES] == [
        "aten.view.default",
        "aten._unsafe_view.default",
        "aten.reshape.default",
    ]
    dropout = torch.ops.aten.native_dropout.default
    assert torch_private.argument_values(dropout, (x, 0.5), {"train": True}) == {
        "input": x,
        "p": 0.5,
        "train": True,
    }
    assert torch_private.flop_formula(torch.ops.aten.mm.default) is not None
    assert torch_private.flop_formula(torch.ops.aten.add.Tensor) is None
    assert torch_private.storage_key(x.untyped_storage()) == torch_private.storage_key(
        x[1:].untyped_storage()
    )
    y = torch.ones(2)
    before = torch_private.version(y)
    y.add_(1)
    assert torch_private.version(y) == (before or 0) + 1
    with torch.inference_mode():
        assert torch_private.version(torch.ones(1)) is None
    module = torch_private.trace_below_autograd(lambda x: [x.sin()], [y])
    assert torch.equal(module(y)[0], y.sin())
    with torch.autograd.profiler.profile(use_kineto=False, profile_memory=True) as record:
        torch.ones(1000)
    assert 4000 in list(torch_private.allocations(record))
