"""The problem that all contestants solve: the same numbers for each of them, in one file.

A SASRec student is trained for T Adam steps on soft events X, all of them at every step; the outer loss is
its next-event loss on real sequences; wanted is the outer loss's derivative with respect to X. Events and
weights are made up from a seed: time and memory do not depend on their values.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.floating]

TINY = 1e-30
"""Added to v in the peers' Adam, √(v + TINY): where a gradient is exactly zero, as a dead unit's is, √v alone
would make the metagradient 0 · ∞. It changes no step; the engine and `higher` need no such help."""


@dataclass(frozen=True)
class Sizes:
    """How large the problem is.

    Attributes:
        steps: T, inner steps, all differentiated.
        sequences: soft sequences.
        length: soft events in each.
        vocabulary: V, padding included; 1,683 is MovieLens-100k's.
        hidden: width of the student.
        layers: its blocks.
        heads: attention heads a block.
        real: real sequences in the outer loss.
    """

    steps: int = 100
    sequences: int = 50
    length: int = 50
    vocabulary: int = 1683
    hidden: int = 64
    layers: int = 2
    heads: int = 1
    real: int = 128


@dataclass(frozen=True, eq=False)
class Problem:
    """The numbers, on disk in single precision, in memory in the precision asked for.

    Attributes:
        sizes: how large it is.
        events: X, (sequences, length, V).
        theta0: first weights by their PyTorch names, without the prefix of the loss.
        real: event indices, (real, length), 0 = padding, on the left.
        device: where PyTorch contestants work.
        learning_rate: Adam's α.
        epsilon: Adam's ε.
    """

    sizes: Sizes
    events: Array
    theta0: Mapping[str, Array]
    real: npt.NDArray[np.int64]
    device: str = "cpu"
    learning_rate: float = 0.02
    epsilon: float = 1e-5

    @property
    def parameters(self) -> int:
        """P."""
        return sum(leaf.size for leaf in self.theta0.values())

    @classmethod
    def make(cls, sizes: Sizes, learning_rate: float = 0.02, seed: int = 0) -> Self:
        """Soft events of low rank, a student's first weights, real sequences of popular and rare events."""
        import torch  # here: who reads the problem from its file may do without

        from farzi.models import SASRec

        rng = np.random.default_rng(seed)
        logits = (
            1.5 * rng.normal(size=(sizes.sequences, sizes.length, 8)) @ rng.normal(size=(8, sizes.vocabulary))
        )
        mass = np.exp(logits - logits.max(-1, keepdims=True))
        events = mass / mass.sum(-1, keepdims=True)
        popularity = 1 / np.arange(1, sizes.vocabulary)
        real = 1 + rng.choice(
            sizes.vocabulary - 1, (sizes.real, sizes.length), p=popularity / popularity.sum()
        )
        padding = rng.integers(0, sizes.length // 2 + 1, size=(sizes.real, 1))
        real[np.arange(sizes.length) < padding] = 0
        torch.manual_seed(seed)
        student = SASRec(sizes.vocabulary, sizes.length - 1, sizes.hidden, sizes.layers, sizes.heads)
        theta0 = {name: leaf.detach().numpy() for name, leaf in student.named_parameters()}
        return cls(sizes, events.astype(np.float32), theta0, real, learning_rate=learning_rate)

    def cast(self, dtype: str) -> Self:
        """The same values as `dtype`: "float32" or "float64"."""
        theta0 = {name: leaf.astype(dtype) for name, leaf in self.theta0.items()}
        return replace(self, events=self.events.astype(dtype), theta0=theta0)

    def save(self, path: Path) -> None:
        """Write it to one .npz file."""
        theta0 = {f"theta0/{name}": leaf for name, leaf in self.theta0.items()}
        sizes = {f"sizes/{name}": np.array(value) for name, value in asdict(self.sizes).items()}
        arrays: dict[str, Any] = {
            "events": self.events,
            "real": self.real,
            "rate": np.array(self.learning_rate),
        }
        arrays |= theta0 | sizes
        np.savez(path, **arrays)

    @classmethod
    def load(cls, path: Path, dtype: str = "float32", device: str = "cpu") -> Self:
        """Read what `save` wrote."""
        with np.load(path) as found:
            parts = {prefix: _under(prefix, found) for prefix in ("theta0/", "sizes/")}
            sizes = Sizes(**{name: int(value) for name, value in parts["sizes/"].items()})
            rate = float(found["rate"])
            problem = cls(sizes, found["events"], parts["theta0/"], found["real"], device, rate)
            return problem.cast(dtype)


def _under(prefix: str, arrays: Mapping[str, Array]) -> dict[str, Array]:
    return {name.removeprefix(prefix): arrays[name] for name in arrays if name.startswith(prefix)}
