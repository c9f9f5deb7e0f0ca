"""The objective that learns from teachers: its loss and its windows."""

from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from farzi.data import Log, crops, pad_left
from farzi.distillation import OuterLoop, teacher_loss
from farzi.distillation.initialise import initialise
from farzi.distillation.teacher_loss import Bank, TeacherLoss
from farzi.models import SequenceModel
from farzi.recipe import Inner, Outer, Recipe, Select, SummaryShape, Teach
from farzi.recipe import variants as v
from farzi.training import make_model

TEACHER = v.SASRec(hidden=10, layers=2)


def recipe_of(objective: v.ObjectiveVariant, **inner: Any) -> Recipe:
    return Recipe(
        student=v.SASRec(hidden=6, positions="rotary"),
        teach=Teach(model=TEACHER, length=8, batch=16, max_steps=10, validate_every=5),
        summary=SummaryShape(sequences=4, length=5, parametrization=v.LowRank(dim=4)),
        init=v.TeacherInit(teachers=2),
        inner=Inner(optimizer=v.ScheduleFree(), cooldown=0, steps=6, batch=3, **inner),
        outer=Outer(objective=objective, batch=7, window=3, burn_in=2, pool=2, steps=6),
        select=Select(every=3, students=1),
    )


def teachers(tiny: Log, count: int = 2) -> list[SequenceModel]:
    return [make_model(TEACHER, len(tiny.vocabulary), 8, seed) for seed in range(count)]


@pytest.mark.parametrize("hard", [0.0, 0.4])
@pytest.mark.parametrize(("history", "theirs"), [(None, None), (6, None), (None, 5), (6, 5)])
def test_it_is_soft_cross_entropy_at_the_positions_that_the_student_reads(
    tiny: Log, hard: float, history: int | None, theirs: int | None
):
    """Each window written out by itself: the teachers read all of it or `theirs`, the student its last."""
    models = teachers(tiny)
    recipe = recipe_of(v.TeacherLoss(hard=hard, history=theirs), history=history)
    loop = OuterLoop(recipe, tiny, initialise(recipe, tiny), teachers=models)
    episode = loop.objective.episode(loop, 0)
    theta = episode.begin.theta
    student = loop.pools[0][0].loss.student_with(theta)
    _, _, drawn = loop.draw(0, 0, lambda rng: torch.from_numpy(rng.integers(len(tiny.train), size=7)))
    reads, total, count = history or 4, 0.0, 0
    student.length = max(student.length, reads)
    for row in torch.from_numpy(pad_left(tiny.train, 8))[drawn]:
        row = row[-max(theirs or 8, reads) - 1 :]
        events = row[row > 0]
        read, following = events[:-1], events[1:]
        logits = [one.hidden(one.embed(read[None]))[0] @ one.output_table[1:].T for one in models]
        labels = (0.5 * (logits[0] + logits[1])).softmax(-1)
        labels = (1 - hard) * labels + hard * F.one_hot(following - 1, labels.shape[1])
        own = read[-reads:]
        scores = student.hidden(student.embed(own[None]))[0] @ student.output_table[1:].T
        total += F.cross_entropy(scores, labels[-reads:], reduction="sum").item()
        count += len(own)
    assert float(episode.outer(theta)) == pytest.approx(total / count, rel=1e-5)


def bank_of(tiny: Log, **own: Any) -> Bank:
    recipe = recipe_of(v.TeacherLoss(**own))
    loop = OuterLoop(recipe, tiny, initialise(recipe, tiny), teachers=teachers(tiny))
    loop.objective.episode(loop, 0)
    return loop.once(TeacherLoss.name, lambda: pytest.fail("nothing is labelled twice"))


def test_windows_are_each_users_last_events_or_any_events(tiny: Log, monkeypatch: pytest.MonkeyPatch):
    bank = bank_of(tiny)
    assert torch.equal(bank.windows, torch.from_numpy(pad_left(tiny.train, 5)))
    assert bank.hidden.shape == (len(tiny.train), 4, 20)
    monkeypatch.setattr(teacher_loss, "BANK", 9)
    few = bank_of(tiny)
    assert len(few.windows) == 9
    for row, hidden in zip(few.windows, few.hidden, strict=True):  # several users may end alike
        alike = bank.hidden[(bank.windows == row).all(1)]
        assert (alike - hidden).abs().amax((1, 2)).min() < 1e-5
    assert len(bank_of(tiny, windows="random").windows) == 9


def test_events_before_a_window_do_not_change_it(tiny: Log):
    for before in (0, 3):
        drawn = crops(tiny.train, 5, 40, np.random.default_rng(0), before)
        assert (drawn[:, before:] == crops(tiny.train, 5, 40, np.random.default_rng(0))).all()
    whole = [" ".join(map(str, row)) for row in np.split(tiny.train.items, tiny.train.offsets[1:-1])]
    for row in drawn:
        assert any(" ".join(map(str, row[row > 0])) in one for one in whole)
    assert (drawn[:, :3] > 0).any()
