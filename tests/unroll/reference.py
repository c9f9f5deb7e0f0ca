"""The reference: textbook optimizers in plain differentiable PyTorch, unrolled, and left to autograd.

Nothing here is shared with the engine: parameters stay a dict, moments are corrected as the papers write it,
and the gradient of the whole run is one ordinary backward pass.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

Tensors = dict[str, Tensor]
Hypers = Mapping[str, Tensor]
Update = Callable[[Tensor, Tensor, Tensors, int, Hypers], Tensor]
"""(gradient, parameter, memory, t = 1, 2, ..., hyper-parameters) -> parameter; the memory is rewritten."""


def sgd(g: Tensor, w: Tensor, memory: Tensors, t: int, h: Hypers) -> Tensor:
    return w - h["learning_rate"] * (g + h["weight_decay"] * w)


def momentum(g: Tensor, w: Tensor, memory: Tensors, t: int, h: Hypers) -> Tensor:
    g = g + h["weight_decay"] * w
    memory["b"] = h["momentum"] * memory["b"] + g if t > 1 else g
    return w - h["learning_rate"] * memory["b"]


def adam(g: Tensor, w: Tensor, memory: Tensors, t: int, h: Hypers) -> Tensor:
    return _adam(g + h["weight_decay"] * w, w, memory, t, h)


def adamw(g: Tensor, w: Tensor, memory: Tensors, t: int, h: Hypers) -> Tensor:
    return _adam(g, w, memory, t, h) - h["learning_rate"] * h["weight_decay"] * w


def _adam(g: Tensor, w: Tensor, memory: Tensors, t: int, h: Hypers) -> Tensor:
    zero = torch.zeros_like(g)
    memory["m"] = h["beta1"] * memory.get("m", zero) + (1 - h["beta1"]) * g
    memory["v"] = h["beta2"] * memory.get("v", zero) + (1 - h["beta2"]) * g**2
    m_hat = memory["m"] / (1 - h["beta1"] ** t)
    v_hat = memory["v"] / (1 - h["beta2"] ** t)
    return w - h["learning_rate"] * m_hat / (_root(v_hat) + h["epsilon"])


def _root(v: Tensor) -> Tensor:
    """√v with the derivative 0 at 0, where autograd would give 0 · ∞: m there is of the size of √v itself."""
    return torch.where(v > 0, v, 1.0).sqrt() * (v > 0)


def adagrad(g: Tensor, w: Tensor, memory: Tensors, t: int, h: Hypers) -> Tensor:
    g = g + h["weight_decay"] * w
    memory["s"] = memory["s"] + g**2 if t > 1 else g**2
    return w - h["learning_rate"] * g / (_root(memory["s"]) + h["epsilon"])


def rmsprop(g: Tensor, w: Tensor, memory: Tensors, t: int, h: Hypers) -> Tensor:
    g = g + h["weight_decay"] * w
    memory["v"] = h["decay"] * memory.get("v", torch.zeros_like(g)) + (1 - h["decay"]) * g**2
    return w - h["learning_rate"] * g / (_root(memory["v"]) + h["epsilon"])


def schedule_free(g: Tensor, w: Tensor, memory: Tensors, t: int, h: Hypers) -> Tensor:
    """Algorithm 1 of arXiv 2405.15682 by its three sequences; y are the weights."""
    memory["v"] = h["beta2"] * memory.get("v", torch.zeros_like(g)) + (1 - h["beta2"]) * g**2
    root = _root(memory["v"] / (1 - h["beta2"] ** t))
    return _averaged(g / (root + h["epsilon"]), w, memory, t, h)


def muon(g: Tensor, w: Tensor, memory: Tensors, t: int, h: Hypers) -> Tensor:
    """`schedule_free`, with the matrices' moves by Newton-Schulz steps as its author writes them."""
    if g.ndim != 2:
        return schedule_free(g, w, memory, t, h)
    x = g / (_root((g**2).sum()) + h["epsilon"])
    for _ in range(3):
        x = 3.4445 * x - 4.7750 * x @ x.T @ x + 2.0315 * x @ x.T @ x @ x.T @ x
    return _averaged(max(g.shape) ** 0.5 * x, w, memory, t, h)


def _averaged(move: Tensor, w: Tensor, memory: Tensors, t: int, h: Hypers) -> Tensor:
    z = memory.get("z", w)
    x = (w - (1 - h["beta1"]) * z) / h["beta1"]
    memory["z"] = z - h["learning_rate"] * (move + h["weight_decay"] * w)
    x = (1 - 1 / t) * x + memory["z"] / t
    return (1 - h["beta1"]) * memory["z"] + h["beta1"] * x


def train_by_autograd(
    update: Update,
    loss: Callable[[Any, Any, Any], Tensor],
    theta0: Tensor | Tensors,
    data: Any,
    hypers: Callable[[str, int], Hypers],
    batches: Sequence[Any],
    last: int | None = None,
) -> Any:
    """θT with the graph of all steps, or of the last `last` ones.

    `hypers(name, index)` gives the hyper-parameters for the parameter of that name ("" where theta0 is bare)
    at step 0, 1, ...
    """
    bare = isinstance(theta0, Tensor)
    theta = {"": theta0} if isinstance(theta0, Tensor) else dict(theta0)
    memories: dict[str, Tensors] = {name: {} for name in theta}
    for index, batch in enumerate(batches):
        if last is not None and index == len(batches) - last > 0:
            theta = {name: w.detach().requires_grad_() for name, w in theta.items()}
            memories = {name: {k: v.detach() for k, v in kept.items()} for name, kept in memories.items()}
        value = loss(theta[""] if bare else theta, data, batch)
        gradients = torch.autograd.grad(
            value, list(theta.values()), create_graph=True, materialize_grads=True, allow_unused=True
        )
        theta = {
            name: update(g, theta[name], memories[name], index + 1, hypers(name, index))
            for name, g in zip(theta, gradients, strict=True)
        }
    return theta[""] if bare else theta
