"""Shifts and sums over time that the recurrences share; time is the first dimension."""

import torch
from torch import Tensor


def before(states: Tensor) -> Tensor:
    """The state before each step: the given ones, one step later, zeros first."""
    return torch.cat([torch.zeros_like(states[:1]), states[:-1]])


def after(states: Tensor) -> Tensor:
    """The given states, one step earlier, zeros last."""
    return torch.cat([states[1:], torch.zeros_like(states[:1])])


def sum_over_time(left: Tensor, right: Tensor) -> Tensor:
    """Σ over time and batch of leftᵀ right, (m, n), for (L, B, m) and (L, B, n)."""
    return left.flatten(0, 1).T @ right.flatten(0, 1)
