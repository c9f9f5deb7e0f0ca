"""JAX: `lax.scan` over the steps, each of them made again in the backward pass (`jax.checkpoint`)."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array as JaxArray
from jax import lax

from benchmarks.metagradient.problem import TINY, Array, Problem, Sizes

Theta = Mapping[str, JaxArray]


class Jax:
    """The whole metagradient as one compiled function.

    Args:
        chunks: parts into which the positions are cut for the vocabulary-sized products; 1: not at all.
    """

    def __init__(self, chunks: int = 1) -> None:
        self.chunks = chunks

    def prepare(self, problem: Problem) -> None:
        """See `Contestant`."""
        if problem.events.dtype == np.float64:
            jax.config.update("jax_enable_x64", True)
        self.device = jax.devices(problem.device.partition(":")[0])[0]
        self.arguments = jax.device_put((problem.events, dict(problem.theta0), problem.real), self.device)
        student = SequenceModel(problem.sizes, self.chunks)
        counts = np.arange(1, problem.sizes.steps + 1)[:, None]
        # 1 − βᵗ, (T, 2), from double precision: single precision has but four digits of 1 − 0.999
        unbiases = jnp.asarray(1 - np.array([0.9, 0.999]) ** counts, problem.events.dtype)

        def outer(events: JaxArray, theta0: Theta, real: JaxArray) -> JaxArray:
            def step(carry: Any, unbias: JaxArray) -> Any:
                theta, mean, square = carry
                g = jax.grad(student.soft_loss)(theta, events)
                mean = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, mean, g)
                square = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, square, g)

                def move(p: JaxArray, m: JaxArray, v: JaxArray) -> JaxArray:
                    root = jnp.sqrt((v + TINY) / unbias[1]) + problem.epsilon
                    return p - problem.learning_rate * (m / unbias[0]) / root

                return (jax.tree.map(move, theta, mean, square), mean, square), None

            zeros = jax.tree.map(jnp.zeros_like, theta0)
            again = jax.checkpoint(step, prevent_cse=False)  # a scan's body is never merged with its copy
            (theta, _, _), _ = lax.scan(again, (theta0, zeros, zeros), unbiases)
            return student.hard_loss(theta, real)

        self.gradient = jax.jit(jax.grad(outer))

    def run(self) -> Array:
        """See `Contestant`."""
        return np.asarray(self.gradient(*self.arguments))


class SequenceModel:
    """`farzi.models.SASRec` with tied tables, and its next-event losses."""

    def __init__(self, sizes: Sizes, chunks: int) -> None:
        self.sizes, self.chunks = sizes, chunks

    def soft_loss(self, theta: Theta, events: JaxArray) -> JaxArray:
        """On soft events, (B, L, V)."""
        vectors = events @ theta["embedding"]
        losses = self._losses(theta, self._hidden(theta, vectors[:, :-1], None), vectors[:, 1:])
        return losses.mean()

    def hard_loss(self, theta: Theta, events: JaxArray) -> JaxArray:
        """On indices, (B, L), 0 = padding."""
        real = events > 0
        vectors = theta["embedding"][events] * real[..., None]
        hidden = self._hidden(theta, vectors[:, :-1], real[:, :-1])
        losses = self._losses(theta, hidden, vectors[:, 1:])
        return jnp.where(real[:, 1:], losses, 0).sum() / real[:, 1:].sum()

    def _losses(self, theta: Theta, hidden: JaxArray, targets: JaxArray) -> JaxArray:
        """logsumexp(h Eᵀ) − h · target at every position, (B, L−1)."""
        table = theta["embedding"][1:]

        def normaliser(rows: JaxArray) -> JaxArray:
            return jax.nn.logsumexp(rows @ table.T, axis=-1)

        rows = hidden.reshape(-1, hidden.shape[-1])
        if self.chunks == 1:
            found = normaliser(rows)
        else:
            size = -(-len(rows) // self.chunks)
            found = lax.map(jax.checkpoint(normaliser), rows, batch_size=size)
        return found.reshape(hidden.shape[:-1]) - (hidden * targets).sum(-1)

    def _hidden(self, theta: Theta, vectors: JaxArray, real: JaxArray | None) -> JaxArray:
        length = vectors.shape[1]
        blocked = jnp.triu(jnp.ones((length, length), bool), 1)
        if real is not None:
            blocked = blocked | ~real[:, None]  # (B, L, L)
        blocked = blocked & ~jnp.eye(length, dtype=bool)
        states = vectors * self.sizes.hidden**0.5 + theta["position"][-length:]
        for layer in range(self.sizes.layers):
            states = self._block(theta, f"blocks.{layer}.", states, blocked)
        return _norm(theta, "norm.", states)

    def _block(self, theta: Theta, name: str, states: JaxArray, blocked: JaxArray) -> JaxArray:
        batch, length, width = states.shape
        heads = self.sizes.heads
        qkv = _linear(theta, f"{name}qkv.", _norm(theta, f"{name}norm1.", states))
        q, k, v = (
            part.reshape(batch, length, heads, width // heads).swapaxes(1, 2)
            for part in jnp.split(qkv, 3, axis=-1)
        )
        scores = q @ k.swapaxes(-2, -1) / (width // heads) ** 0.5  # (B, heads, L, L)
        mask = blocked if blocked.ndim == 2 else blocked[:, None]
        weights = jax.nn.softmax(jnp.where(mask, -jnp.inf, scores), axis=-1)
        attended = (weights @ v).swapaxes(1, 2).reshape(batch, length, width)
        states = states + _linear(theta, f"{name}out.", attended)
        inner = jax.nn.relu(_linear(theta, f"{name}inner.", _norm(theta, f"{name}norm2.", states)))
        return states + _linear(theta, f"{name}outer.", inner)


def _norm(theta: Theta, name: str, states: JaxArray) -> JaxArray:
    centred = states - states.mean(-1, keepdims=True)
    variance = (centred * centred).mean(-1, keepdims=True)
    return centred * lax.rsqrt(variance + 1e-5) * theta[f"{name}gain"] + theta[f"{name}bias"]


def _linear(theta: Theta, name: str, states: JaxArray) -> JaxArray:
    return states @ theta[f"{name}weight"].T + theta[f"{name}bias"]
