"""Floating-point operations of a call, counted as its operations go by."""

from collections.abc import Callable
from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry


class _Flops(TorchDispatchMode):
    """Adds up PyTorch's formulas, by shapes; `FlopCounterMode` refuses `torch.autograd.grad` of leaves."""

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        formula = flop_registry.get(func._overloadpacket)
        if formula is not None:
            self.total += formula(*args, **kwargs, out_val=result)
        return result


def flops(operation: Callable[[], Any]) -> int:
    """What a call takes, run eagerly.

    Products of matrices, convolutions and attention are counted, elementwise work is not. An operation of
    one's own is counted where `torch.utils.flop_counter.register_flop_formula` gave it a formula.
    """
    with _Flops() as count:
        operation()
    return count.total
