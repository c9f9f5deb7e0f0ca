"""How students are trained on a summary while it is learnt: all that stays the same from step to step."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from farzi.distillation.runs import Point
from farzi.distillation.weights import Theta
from farzi.distillation.window import Window
from farzi.summary import Feed, Rows, Summary
from farzi.unroll import Execution, Memory, Optimizer, State, train
from farzi.unroll.execution import TreeLoss


@dataclass(frozen=True, eq=False)
class InnerLoop:
    """The inner loop.

    Attributes:
        window: the inner steps that are differentiated, and their optimizer.
        feed: how a step reads the summary.
        rows: sequences that each step reads; None: all.
        seed: of their order.
        execution: of the derivatives.
        memory: how the differentiated steps are kept for the reverse pass.
        rate_range: each run's learning rate is drawn between so many times less and more than the window's.
    """

    window: Window
    feed: Feed
    rows: int | None
    seed: int
    execution: Execution
    memory: Memory
    rate_range: float = 1.0

    def window_of(self, born: int) -> Window:
        """The window of the run that began at that outer step, with the run's own learning rate.

        Its logarithm is uniform.
        """
        if self.rate_range == 1:
            return self.window
        drawn = np.random.default_rng([self.seed, 6, born]).uniform(-1, 1)
        return self.window.at(self.rate_range**drawn)

    def batches(self, summary: Summary, born: int, first: int, steps: int) -> Sequence[None] | Tensor:
        """The sequences that some steps read.

        Args:
            summary: what they are of.
            born: the outer step at which the run began.
            first: the run's age.
            steps: how many.
        """
        seed = int(np.random.default_rng([self.seed, 4, born]).integers(2**62))
        return Rows(summary.sequences, self.rows, seed, summary.device).batches(first, steps)

    def begin(
        self, summary: Summary, inner: TreeLoss, theta: Theta, born: int, optimizer: Optimizer, steps: int
    ) -> Point:
        """Train new weights for some steps, nothing differentiated."""
        return self.trained(summary, inner, theta, None, born, optimizer, steps)

    def on(self, summary: Summary, inner: TreeLoss, point: Point, optimizer: Optimizer, steps: int) -> Point:
        """The student of a point so many steps further, nothing differentiated."""
        return self.trained(summary, inner, point.theta, point.state, point.born, optimizer, steps)

    def trained(
        self,
        summary: Summary,
        inner: TreeLoss,
        theta: Theta,
        state: State | None,
        born: int,
        optimizer: Optimizer,
        steps: int,
    ) -> Point:
        """Weights trained further from a state, or from none; what both of the above do."""
        batches = self.batches(summary, born, 0 if state is None else state.step, steps)
        data = self.feed(summary)
        end = train(inner, theta, data, optimizer, batches, state=state, execution=self.execution)
        return Point(end.theta, end.state, born)
