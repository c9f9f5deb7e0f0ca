"""Meta-matching: real events must be predicted after a training on the summary."""

from functools import partial

from farzi.distillation.loop import InnerLoop
from farzi.distillation.objectives.following import Following
from farzi.distillation.objectives.objective import Episode
from farzi.distillation.runs import Point
from farzi.summary import Summary


class MetaMatching(Following):
    """The loss on real events after the last steps of a training: Farzi's own objective.

    A student in training is left where its turn finds it, ends its training, and the last steps of that are
    differentiated. It goes on from their end (`farzi.distillation.window`).

    Args:
        students: in training, and the real events.
    """

    figure = "real_loss"

    def draw(self, step: int, summary: Summary, loop: InnerLoop) -> Episode:
        """See `Objective`."""
        line, left, windows = self.students.draw(step, summary, loop)
        inner, window = line.group.inner, loop.window_of(left.born)
        ending = window.ending(left.state.step)
        ahead = window.length - window.steps
        begin = loop.on(summary, inner, left, ending, ahead) if ahead else left

        def put(end: Point) -> None:
            gone_on = loop.on(summary, inner, left, window.running, window.steps) if window.cools else end
            line.runs.put(gone_on)

        return Episode(
            inner,
            begin.theta,
            begin.state,
            begin.born,
            ending,
            loop.batches(summary, begin.born, begin.state.step, window.steps),
            partial(line.group.outer, windows=windows),
            put,
        )
