"""One outer step: draw a run, differentiate its window, move the summary.

All random draws of a step come from a generator seeded by (seed, step), so that a step's result depends on
the state before it and on nothing else: a resumed run repeats an uninterrupted one bit for bit.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from farzi.data import Sequences, crops
from farzi.distillation.clipping import RunningClip
from farzi.distillation.runs import Point, Runs
from farzi.distillation.together import Group
from farzi.distillation.weights import Theta
from farzi.distillation.window import Window
from farzi.summary import Feed, Rows, Summary
from farzi.unroll import Adam, Execution, Optimizer, State, train, unroll_with_state


@dataclass(frozen=True)
class StepReport:
    """What an outer step met.

    Attributes:
        loss: next-event cross-entropy on real events, nats, before the summary moved.
        norm: length of the metagradient, before clipping.
    """

    loss: float
    norm: float


class Line(NamedTuple):
    """The inner runs of one kind of student.

    Attributes:
        group: those that a step differentiates.
        runs: where their windows begin.
    """

    group: Group
    runs: Runs


class Draw(NamedTuple):
    """What an outer step draws.

    Attributes:
        line: whose turn it is.
        left: the student in training that is taken to its end.
        begin: the same where its last steps begin, those that are differentiated.
        windows: real events, (batch, length), that it is measured on afterwards.
    """

    line: Line
    left: Point
    begin: Point
    windows: Tensor


class Outer:
    """The outer loop's state, and the step that changes it.

    Args:
        summary: what it starts from.
        lines: inner runs of the students that the summary is for; each step draws one of them.
        log: real training sequences.
        window: the inner steps that are differentiated, and their optimizer.
        batch: real sequences a step.
        clip: of the metagradient.
        seed: of all draws.
        execution: of the inner loop's derivatives.
        feed: how the inner loop reads the summary.
        rows: sequences that each of its steps reads; None: all.

    Attributes:
        step: outer steps taken.
    """

    def __init__(
        self,
        summary: Summary,
        lines: Sequence[Line],
        log: Sequences,
        window: Window,
        batch: int,
        clip: RunningClip,
        seed: int,
        execution: Execution,
        feed: Feed,
        rows: int | None,
    ) -> None:
        self.step = 0
        self._summary = summary.detach()
        self._lines, self._log, self._window = lines, log, window
        self._batch, self._clip, self._seed = batch, clip, seed
        self._execution, self._feed, self._rows = execution, feed, rows
        self._adam = Adam(0.0).init(self._flat())

    @property
    def summary(self) -> Summary:
        """The summary as it stands."""
        return self._summary

    def draw(self) -> Draw:
        """What the next step will draw; the same however often it is called before that step."""
        rng = np.random.default_rng([self._seed, 1, self.step])
        line = self._lines[int(rng.integers(len(self._lines))) if len(self._lines) > 1 else 0]

        def advance(theta: Theta, steps: int) -> Point:
            return self._trained(line, theta, None, self.step, self._window.running, steps)

        left = line.runs.take(advance, rng)
        ahead = self._window.length - self._window.steps
        begin = self._on(line, left, self._window.ending(left.state.step), ahead) if ahead else left
        length = line.group.loss.student.length + 1
        return Draw(line, left, begin, torch.from_numpy(crops(self._log, length, self._batch, rng)))

    def as_run(self) -> dict[str, Any]:
        """The next step's metagradient as arguments of `farzi.unroll.check`; nothing moves."""
        line, left, begin, windows = self.draw()
        temperature = self._summary.temperature
        return {
            "loss": line.group.inner,
            "outer": lambda theta: line.group.outer(theta, windows),
            "theta0": begin.theta,
            "data": {"latents": self._summary.latents, "decoder": self._summary.decoder},
            "optimizer": self._window.ending(left.state.step),
            "batches": self._window_of(begin),
            "state": begin.state,
            "view": lambda data: self._feed(Summary(data["latents"], data["decoder"], temperature)),
            "execution": self._execution,
        }

    def take_step(self, rate: float) -> StepReport:
        """One metagradient, one step of Adam with learning rate `rate`."""
        line, left, begin, windows = self.draw()
        latents = self._summary.latents.detach().requires_grad_()
        decoder = self._summary.decoder.detach().requires_grad_()
        end = unroll_with_state(
            line.group.inner,
            begin.theta,
            self._feed(Summary(latents, decoder, self._summary.temperature)),
            self._window.ending(left.state.step),
            self._window_of(begin),
            state=begin.state,
            execution=self._execution,
        )
        loss = line.group.outer(end.theta, windows)
        bars = torch.autograd.grad(loss, [latents, decoder])

        if self._window.cools:
            on = self._on(line, left, self._window.running, self._window.steps)
        else:
            theta = {name: value.detach() for name, value in end.theta.items()}
            on = Point(theta, end.state, begin.born)
        line.runs.put(on)
        gradient, norm = self._clip(torch.cat([bar.reshape(-1) for bar in bars]))
        flat, self._adam = Adam(rate).update(gradient, self._adam, self._flat())
        self._summary = self._unflat(flat)
        self.step += 1
        return StepReport(float(loss.detach()), norm)

    def tensors(self) -> dict[str, Tensor]:
        """All tensors of the state, in an order that `restore` needs kept."""
        mean, square = self._adam.slots
        return {
            "latents": self._summary.latents,
            "decoder": self._summary.decoder,
            "adam/mean": mean,
            "adam/square": square,
            **{
                f"{place}/{name}": value
                for place, line in self._places().items()
                for name, value in line.runs.tensors().items()
            },
        }

    def restore(self, tensors: dict[str, Tensor], step: int) -> None:
        """Go on from `tensors()` as they were after `step` steps."""
        self.step = step
        self._summary = Summary(tensors["latents"], tensors["decoder"], self._summary.temperature)
        self._adam = State(step, (tensors["adam/mean"], tensors["adam/square"]))
        for place, line in self._places().items():
            start = f"{place}/"
            line.runs.restore(
                {name.removeprefix(start): value for name, value in tensors.items() if name.startswith(start)}
            )

    def _places(self) -> dict[str, Line]:
        """The lines by what their tensors' names begin with."""
        return {"runs" if k == 0 else f"runs{k}": line for k, line in enumerate(self._lines)}

    def _schedule(self, born: int) -> Rows:
        """The sequences that a run reads which began at outer step `born`."""
        seed = int(np.random.default_rng([self._seed, 4, born]).integers(2**62))
        return Rows(self._summary.sequences, self._rows, seed)

    def _on(self, line: Line, point: Point, optimizer: Optimizer, steps: int) -> Point:
        """The student of a point so many steps further on today's summary, nothing differentiated."""
        return self._trained(line, point.theta, point.state, point.born, optimizer, steps)

    def _trained(
        self, line: Line, theta: Theta, state: State | None, born: int, optimizer: Optimizer, steps: int
    ) -> Point:
        first = 0 if state is None else state.step
        batches = self._schedule(born).batches(first, steps)
        data = self._feed(self._summary)
        end = train(line.group.inner, theta, data, optimizer, batches, state=state, execution=self._execution)
        return Point(end.theta, end.state, born)

    def _window_of(self, begin: Point) -> Sequence[None] | Tensor:
        """The sequences that the differentiated steps from a point on read."""
        return self._schedule(begin.born).batches(begin.state.step, self._window.steps)

    def _flat(self) -> Tensor:
        return torch.cat([self._summary.latents.reshape(-1), self._summary.decoder.reshape(-1)])

    def _unflat(self, flat: Tensor) -> Summary:
        latents, decoder = self._summary.latents, self._summary.decoder
        first, second = flat.split([latents.numel(), decoder.numel()])
        return Summary(first.view(latents.shape), second.view(decoder.shape), self._summary.temperature)


def cosine(fraction: float, floor: float = 0.02) -> float:
    """The learning rate's factor after a fraction of the run: from 1 down to `floor`."""
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * min(1.0, fraction)))
