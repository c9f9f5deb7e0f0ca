"""The recurrences as plain loops that autograd goes through: what the operations are compared with."""

import torch
from torch import Tensor


def plain_gru(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    state, states = x.new_zeros(x.shape[1], weight.shape[1]), []
    for now in x:
        (xr, xz, xn), (ur, uz, un) = now.chunk(3, -1), (state @ weight.T).chunk(3, -1)
        update = torch.sigmoid(xz + uz)
        candidate = torch.tanh(xn + torch.sigmoid(xr + ur) * (un + bias))
        state = (1 - update) * candidate + update * state
        states.append(state)
    return torch.stack(states)


def plain_lstm(x: Tensor, weight: Tensor) -> Tensor:
    state = cell = x.new_zeros(x.shape[1], weight.shape[1])
    states = []
    for now in x:
        i, f, g, o = (now + state @ weight.T).chunk(4, -1)
        cell = torch.sigmoid(f) * cell + torch.sigmoid(i) * torch.tanh(g)
        state = torch.sigmoid(o) * torch.tanh(cell)
        states.append(state)
    return torch.stack(states)
