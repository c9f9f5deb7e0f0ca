"""An objective: what teachers predict on real windows."""

from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from farzi.data import Sequences, crops, pad_left
from farzi.distillation.inner import Theta
from farzi.distillation.refine import Episode, OuterLoop
from farzi.losses import teacher_next_event
from farzi.summary import Ensemble
from farzi.training import NextEvent

BANK, NUMBERS, ROWS = 16_384, 2**26, 256
"""Windows that are labelled at most, numbers that their labels may take, and windows labelled at a time."""


class Bank(NamedTuple):
    """Real windows with labels."""

    windows: Tensor  # what students read and the next event, (n, width), zeros on the left
    hidden: Tensor  # the teachers' hidden states, (n, width - 1, their width)
    table: Tensor  # the teachers' output table, (V, their width)

    def loss(self, loss: NextEvent, theta: Theta, which: Tensor, hard: float = 0.0) -> Tensor:
        """Cross-entropy of parameters with the labels of some windows, at the positions that a student reads.

        Args:
            loss: has the student.
            theta: its parameters.
            which: indices of windows, (batch,).
            hard: as in `TeacherLoss`.
        """
        windows, given = self.windows[which], self.hidden[which]
        read, following = windows[:, :-1], windows[:, 1:]
        real = (read > 0) & (following > 0)
        hidden, table = loss.read(theta, read)
        return teacher_next_event(hidden[real], table, given[real], self.table, following[real], hard)


@dataclass(frozen=True)
class TeacherLoss:
    """The loss with teachers' predictions on real windows as labels, after the last steps of a training on
    the summary: knowledge distillation (arXiv 1503.02531) as the outer loss.

    Predictions hold what may come next besides what did, so that they are far less noisy than events. The
    teachers read as long a history as they can, or `history`, the student what it can. Windows are labelled
    once, before the first outer step; `outer.batch` of them are drawn in each.

    Attributes:
        windows: "ends": each user's last events, all users equally often; "random": windows from anywhere.
        hard: weight of the real next events in the labels, from 0 to 1.
        history: events that the teachers read, at most, if that is more than the student does. Of what only
            they read, the student can't know.
    """

    windows: Literal["ends", "random"] = "ends"
    hard: float = 0.0
    history: int | None = None
    name: ClassVar[str] = "teacher_loss"
    taught: ClassVar[bool] = True

    def episode(self, loop: OuterLoop, step: int, replica: int = 0) -> Episode:
        bank: Bank = loop.once(self.name, lambda: self._bank_of(loop))

        def outer(loss: NextEvent, theta: Theta, which: Tensor) -> Tensor:
            return bank.loss(loss, theta, which, self.hard)

        def draw(rng: np.random.Generator) -> Tensor:
            which = rng.integers(len(bank.windows), size=loop.recipe.outer.batch)
            return torch.from_numpy(which).to(loop.device)

        return loop.truncated(step, replica, outer, draw)

    def _bank_of(self, loop: OuterLoop) -> Bank:
        """The windows that a loop draws from."""
        assert loop.teachers is not None  # as `taught`
        bank = self.bank(loop.log, loop.teachers, loop.width, loop.recipe.seed)
        return Bank(*(part.to(loop.device) for part in bank))

    def bank(self, log: Sequences, teachers: Ensemble, width: int, seed: int) -> Bank:
        """Windows of a log, labelled once.

        Args:
            log: the training sequences.
            teachers: models trained on them.
            width: events in a window, the last next event among them.
            seed: of the windows drawn.
        """
        read_by_teachers = min(teachers.length, self.history or teachers.length)
        table, before = teachers.table, max(0, read_by_teachers + 1 - width)
        count = min(BANK, NUMBERS // (width * table.shape[1]))
        rng = np.random.default_rng([seed, 7])
        if self.windows == "random":
            windows = crops(log, width, count, rng, before)
        else:
            some = log.select(rng.permutation(len(log))[:count]) if count < len(log) else log
            windows = pad_left(some, before + width)
        read = torch.from_numpy(windows)
        hidden = torch.cat([teachers.hidden(rows[:, :-1])[:, before:] for rows in read.split(ROWS)])
        return Bank(read[:, before:].contiguous(), hidden, table)
