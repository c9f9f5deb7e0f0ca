"""One outer step: draw an episode of training, differentiate it, move the summary.

All random draws of a step come from a generator seeded by (seed, step), so that a step's result depends on
the state before it and on nothing else: a resumed run repeats an uninterrupted one bit for bit.
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from farzi.distillation.clipping import RunningClip
from farzi.distillation.loop import InnerLoop
from farzi.distillation.objectives import Episode, Objective
from farzi.distillation.runs import Point
from farzi.summary import Form, Summary
from farzi.unroll import Adam, State, unroll_with_state


@dataclass(frozen=True)
class StepReport:
    """What an outer step met.

    Attributes:
        loss: the objective's, before the summary moved; cross-entropy of the next real event, nats, for
            meta-matching.
        norm: length of the metagradient, before clipping.
        figure: what the loss is called.
    """

    loss: float
    norm: float
    figure: str = "real_loss"


class Outer:
    """The outer loop's state, and the step that changes it.

    Args:
        start: the summary that it starts from.
        form: which numbers are learnt.
        objective: what for.
        loop: how students are trained on the summary meanwhile.
        clip: of the metagradient.

    Attributes:
        step: outer steps taken.
    """

    def __init__(
        self, start: Summary, form: Form, objective: Objective, loop: InnerLoop, clip: RunningClip
    ) -> None:
        self.step = 0
        self.objective, self._loop, self._clip = objective, loop, clip
        self._form, self._temperature = form, start.temperature
        self._parts = form.parts(start)
        self._summary = self._made(self._parts)
        self._adam = Adam(0.0).init(self._flat())

    @property
    def summary(self) -> Summary:
        """The summary as it stands."""
        return self._summary

    def draw(self) -> Episode:
        """What the next step will differentiate; the same however often it is called before that step."""
        return self.objective.draw(self.step, self._summary, self._loop)

    def as_run(self) -> dict[str, Any]:
        """The next step's metagradient as arguments of `farzi.unroll.check`; nothing moves."""
        episode = self.draw()
        return {
            "loss": episode.inner,
            "outer": episode.outer,
            "theta0": episode.theta,
            "data": dict(self._parts),
            "optimizer": episode.optimizer,
            "batches": episode.batches,
            "memory": self._loop.memory,
            "state": episode.state,
            "view": lambda parts: self._loop.feed(self._made(parts)),
            "execution": self._loop.execution,
        }

    def take_step(self, rate: float) -> StepReport:
        """One metagradient, one step of Adam with learning rate `rate`."""
        episode = self.draw()
        parts = {name: part.detach().requires_grad_() for name, part in self._parts.items()}
        end = unroll_with_state(
            episode.inner,
            episode.theta,
            self._loop.feed(self._made(parts)),
            episode.optimizer,
            episode.batches,
            self._loop.memory,
            state=episode.state,
            execution=self._loop.execution,
        )
        loss = episode.outer(end.theta)
        bars = torch.autograd.grad(loss, list(parts.values()))
        theta = {name: value.detach() for name, value in end.theta.items()}
        episode.put(Point(theta, end.state, episode.born))

        gradient, norm = self._clip(torch.cat([bar.reshape(-1) for bar in bars]))
        flat, self._adam = Adam(rate).update(gradient, self._adam, self._flat())
        self._parts = self._unflat(flat)
        self._summary = self._made(self._parts)
        self.step += 1
        return StepReport(float(loss.detach()), norm, self.objective.figure)

    def tensors(self) -> dict[str, Tensor]:
        """All tensors of the state, in an order that `restore` needs kept."""
        mean, square = self._adam.slots
        return {
            **self._parts,
            "adam/mean": mean,
            "adam/square": square,
            **self.objective.tensors(),
        }

    def restore(self, tensors: dict[str, Tensor], step: int) -> None:
        """Go on from `tensors()` as they were after `step` steps."""
        self.step = step
        self._parts = {name: tensors[name] for name in self._parts}
        self._summary = self._made(self._parts)
        self._adam = State(step, (tensors["adam/mean"], tensors["adam/square"]))
        self.objective.restore(tensors)

    def _made(self, parts: dict[str, Tensor]) -> Summary:
        return self._form.summary(parts, self._temperature)

    def _flat(self) -> Tensor:
        return torch.cat([part.reshape(-1) for part in self._parts.values()])

    def _unflat(self, flat: Tensor) -> dict[str, Tensor]:
        pieces = flat.split([part.numel() for part in self._parts.values()])
        return {
            name: piece.view(part.shape)
            for (name, part), piece in zip(self._parts.items(), pieces, strict=True)
        }


def cosine(fraction: float, floor: float = 0.02) -> float:
    """The learning rate's factor after a fraction of the run: from 1 down to `floor`."""
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * min(1.0, fraction)))
