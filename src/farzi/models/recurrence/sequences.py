"""What the loops over time share."""

import torch
from torch import Tensor


def before(states: Tensor) -> Tensor:
    """The state that each step began with: those given, one step later, zeros first; time goes first."""
    return torch.cat([torch.zeros_like(states[:1]), states[:-1]])


def after(states: Tensor) -> Tensor:
    """Those given, one step earlier, zeros last."""
    return torch.cat([states[1:], torch.zeros_like(states[:1])])


def sum_over_time(left: Tensor, right: Tensor) -> Tensor:
    """Σ over time and batch of leftᵀ right, (m, n), for (L, B, m) and (L, B, n)."""
    return left.flatten(0, 1).T @ right.flatten(0, 1)
