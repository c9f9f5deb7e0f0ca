"""A start that is taught: a made-up language, and a teacher who knows what comes next in it."""

from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from scipy.special import rel_entr
from torch import Tensor

from farzi.errors import FarziError
from farzi.models import SequenceModel
from farzi.summary import ClassInitializer, Size, SummaryTensors, TeacherInitializer, TaughtAlike, Ensemble
from farzi.summary.initializers.classes import OfClasses

from .test_classes import CLASS_OF, CLASSES, LOG, VOCABULARY, nearest, shares

LENGTH = 15


class Knows(SequenceModel):
    """After any word of a class it expects what a table of its own says, whatever came before.

    Its hidden state is the class in one place of five, so that the logits are the table's rows.
    """

    def __init__(self, class_of: np.ndarray = CLASS_OF, seed: int = 0) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.embedding = torch.nn.Parameter(torch.eye(CLASSES)[class_of])
        self.says = torch.nn.Parameter(torch.randn(VOCABULARY, CLASSES, generator=generator))
        self.length = LENGTH - 1

    @property
    def output_table(self) -> Tensor:
        return self.says

    def hidden(self, vectors: Tensor, real: Tensor | None = None) -> Tensor:
        return vectors


@cache
def begin(dim: int = 16, temperature: float = 0.5) -> SummaryTensors:
    start = TeacherInitializer(Ensemble((Knows(),)), ClassInitializer(CLASSES, candidates=2000))
    return start(Size(20, LENGTH, dim, VOCABULARY, temperature, True), LOG, np.random.default_rng(0))


def test_events_read_are_classes_and_events_predicted_what_the_teacher_expects():
    found = begin()
    read, distance = nearest(found)
    assert distance.max() < 0.05
    wanted = torch.softmax(Knows().says.detach().T[:, 1:], -1).double().numpy()[read[:, :-1]]
    assert found.targets is not None
    labels = found.labels.events()[:, 1:, 1:].double().numpy()
    assert rel_entr(wanted, labels).sum(-1).max() < 0.05


def test_classes_are_of_events_that_keep_the_same_company_or_that_the_teacher_reads_alike():
    """A teacher whose embeddings group words across the classes of the language."""
    groups = np.arange(VOCABULARY) % CLASSES
    of_group = np.where(np.arange(CLASSES)[:, None] == groups, np.bincount(LOG.items), 0)
    of_group = of_group / of_group.sum(1, keepdims=True)
    size, classes = Size(20, LENGTH, 16, VOCABULARY, 0.5, True), ClassInitializer(CLASSES, candidates=2000)
    for start, wanted in ((TeacherInitializer, shares()), (TaughtAlike, of_group)):
        found = start(Ensemble((Knows(groups),)), classes)(size, LOG, np.random.default_rng(0))
        events = found.events().double().numpy()
        assert rel_entr(wanted, events[..., None, :]).sum(-1).min(-1).max() < 0.05


@dataclass(frozen=True)
class Counted(ClassInitializer):
    """Says how many classes it was asked for."""

    asked: ClassVar[list[int | None]] = []

    def sequences(self, *args: Any, **kwargs: Any) -> OfClasses:
        self.asked.append(self.classes)
        return super().sequences(*args, **kwargs)


@pytest.mark.parametrize(("start", "many"), [(TeacherInitializer, 8), (TaughtAlike, 32)])
def test_classes_are_as_many_as_the_summary_has_room_for(start, many):
    start(Ensemble((Knows(),)), Counted())(
        Size(2, 8, 4, VOCABULARY, 0.5, True), LOG, np.random.default_rng(0)
    )
    assert Counted.asked.pop() == many


def test_several_teachers_are_their_geometric_mean():
    teachers = (Knows(), Knows(seed=1), Knows(seed=2))
    of_all = Ensemble(teachers)
    events = torch.from_numpy(LOG.items[:30]).reshape(2, 15)
    each = [one.hidden(one.embed(events)) @ one.output_table.T for one in teachers]
    expected = torch.stack([torch.softmax(logits.double(), -1) for logits in each]).log().mean(0).exp()
    found = torch.softmax((of_all.hidden(events) @ of_all.table.T).double(), -1)
    torch.testing.assert_close(found, expected / expected.sum(-1, keepdim=True), rtol=1e-5, atol=1e-7)
    assert not found.requires_grad
    one = Ensemble(teachers[:1])
    torch.testing.assert_close(one.hidden(events) @ one.table.T, each[0].detach(), rtol=0, atol=0)
    assert one.points.shape == (VOCABULARY, CLASSES)
    assert of_all.points.shape == (VOCABULARY, 3 * CLASSES)


def test_a_lower_rank_comes_near():
    """Three latents for five rows of expectations."""
    read, _ = nearest(begin())
    found = begin(dim=5)
    wanted = torch.softmax(Knows().says.detach().T[:, 1:], -1).double().numpy()[read[:, :-1]]
    assert found.targets is not None
    labels = found.labels.events()[:, 1:, 1:].double().numpy()
    share = np.bincount(LOG.items, minlength=VOCABULARY)[1:] / len(LOG.items)
    far = rel_entr(wanted, share).sum(-1).mean()
    assert rel_entr(wanted, labels).sum(-1).mean() < 0.5 * far


def test_the_temperature_changes_nothing():
    """The logits are those of the start, whatever they are divided by."""
    one, other = begin(), begin(temperature=0.1)
    torch.testing.assert_close(one.events(), other.events())


def test_draws_are_of_the_classes_and_as_common_as_in_them():
    of = ClassInitializer(CLASSES, candidates=2000).sequences(
        Size(20, LENGTH, 8, VOCABULARY), LOG, np.random.default_rng(0)
    )
    rng = np.random.default_rng(1)
    drawn = np.stack([of.draw(rng) for _ in range(200)])
    assert (of.class_of[drawn] == of.rows).all()
    assert drawn.min() > 0
    for one in range(CLASSES):
        true = CLASS_OF[1 + np.flatnonzero(of.class_of[1:] == one)[0]]
        met = np.bincount(drawn[:, of.rows == one].ravel(), minlength=VOCABULARY)
        np.testing.assert_allclose(met / met.sum(), shares()[true], atol=0.02)


def test_of_two_latents_one_is_for_what_is_predicted_and_one_latent_is_too_few():
    assert begin(dim=2).events().isfinite().all()
    with pytest.raises(
        FarziError, match=r"^a summary with targets of its own needs a dim of 2 at least, not 1$"
    ):
        begin(dim=1)
