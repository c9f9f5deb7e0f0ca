"""bergson's metagradient trainer, MAGIC (Ilyas and Engstrom, arXiv 2504.16430)."""

import copy
import tempfile
from typing import Any

import torch
import torchopt
from bergson.magic import BackwardState, Trainer
from torch import Tensor, nn

from benchmarks.metagradient.contestants.in_torch import Tensors
from benchmarks.metagradient.problem import TINY, Array, Problem


class Bergson:
    """Checkpoints on disk at every √T-th step, steps made again from them, one step's graph at a time.

    The trainer differentiates with respect to its data stream's `weights`, which weigh documents in bergson's
    own streams. Here they are the soft events themselves.

    Args:
        loss: "plain" or "chunked".
        save_mode: which steps are written: "sqrt", bergson's default, "log" or "all".
    """

    def __init__(self, loss: str = "plain", save_mode: Any = "sqrt") -> None:
        self.loss, self.save_mode = loss, save_mode

    def prepare(self, problem: Problem) -> None:
        """See `Contestant`."""
        self.problem, self.tensors = problem, Tensors.of(problem, self.loss)

    def run(self) -> Array:
        """See `Contestant`."""
        stream = _Stream(self.tensors.events, self.problem.sizes.steps)
        adam = torchopt.adam(self.problem.learning_rate, eps=self.problem.epsilon, eps_root=TINY)
        trainer, state = Trainer.initialize(_Loss(copy.deepcopy(self.tensors.module)), adam)
        with tempfile.TemporaryDirectory() as folder:
            state = trainer.train(state, stream, inplace=True, save_dir=folder, save_mode=self.save_mode)  # pyright: ignore[reportArgumentType]
            state.detach_().requires_grad = True
            with state.activate(trainer.model) as theta:
                outer = trainer.model(self.tensors.real)
                bars = torch.autograd.grad(outer, list(theta.values()))
            slots = state.differentiable_tensors()[len(bars) :]
            state.detach_()
            after = BackwardState(
                dict(zip(theta, bars, strict=True)),
                [torch.zeros_like(slot) for slot in slots],
                torch.zeros_like(stream.weights),
            )
            before = trainer.backward(folder, stream, after, state, inplace=True, save_mode=self.save_mode)  # pyright: ignore[reportArgumentType]
        return before.weight_grads.detach().cpu().numpy()


class _Loss(nn.Module):
    """The loss under the argument's name that the trainer expects."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, input_ids: Tensor) -> Tensor:
        return self.module(input_ids)


class _Stream:
    """T batches that are all the same: the events, as `weights`."""

    def __init__(self, events: Tensor, steps: int) -> None:
        self.weights, self.steps, self.device = events, steps, events.device
        self.requires_grad = True

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return {"input_ids": self.weights}
