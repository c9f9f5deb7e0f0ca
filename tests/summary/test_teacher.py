"""Initial summaries from teachers: a made-up language, and teachers whose predictions are known."""

from functools import cache
from typing import Literal

import numpy as np
import pytest
import torch
from scipy.special import rel_entr
from torch import Tensor

from farzi.errors import FarziError
from farzi.models import SequenceModel
from farzi.summary import ClassInitializer, Ensemble, Size, SummaryTensors, TeacherInitializer
from farzi.summary.initializers import classes

from .test_classes import CLASS_OF, CLASSES, LOG, VOCABULARY, nearest, shares

LENGTH = 15


class Table(SequenceModel):
    """After any word of a class it predicts a fixed distribution, whatever came before.

    Its hidden state is the class in one place of five, so that the logits are the table's rows.
    """

    def __init__(self, class_of: np.ndarray = CLASS_OF, seed: int = 0) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.embedding = torch.nn.Parameter(torch.eye(CLASSES)[class_of])
        self.output = torch.nn.Parameter(torch.randn(VOCABULARY, CLASSES, generator=generator))
        self.length = LENGTH - 1

    @property
    def output_table(self) -> Tensor:
        return self.output

    def hidden(self, vectors: Tensor, real: Tensor | None = None) -> Tensor:
        return vectors


@cache
def initial(dim: int = 16, temperature: float = 0.5) -> SummaryTensors:
    size = Size(20, LENGTH, dim, VOCABULARY, temperature, True)
    return TeacherInitializer(sequences="real", classes=CLASSES)(
        size, LOG, np.random.default_rng(0), Ensemble((Table(),))
    )


def test_soft_inputs_are_classes_and_soft_labels_the_teachers_predictions():
    result = initial()
    read, distance = nearest(result)
    assert distance.max() < 0.05
    target = torch.softmax(Table().output.detach().T[:, 1:], -1).double().numpy()[read[:, :-1]]
    assert result.label_decoder is not None
    labels = result.soft_labels()[:, 1:, 1:].double().numpy()
    assert rel_entr(target, labels).sum(-1).max() < 0.05


def test_classes_are_of_events_with_similar_contexts_or_near_embeddings():
    """The teacher's embeddings group words across the classes of the language."""
    groups = np.arange(VOCABULARY) % CLASSES
    of_group = np.where(np.arange(CLASSES)[:, None] == groups, np.bincount(LOG.items), 0)
    of_group = of_group / of_group.sum(1, keepdims=True)
    size = Size(20, LENGTH, 16, VOCABULARY, 0.5, True)
    by_context = TeacherInitializer(sequences="real", classes=CLASSES)
    by_embeddings = TeacherInitializer(sequences="real", classes=CLASSES, cluster_by="embeddings")
    for initializer, target in ((by_context, shares()), (by_embeddings, of_group)):
        summary = initializer(size, LOG, np.random.default_rng(0), Ensemble((Table(groups),)))
        inputs = summary.soft_inputs().double().numpy()
        assert rel_entr(target, inputs[..., None, :]).sum(-1).min(-1).max() < 0.05


@pytest.mark.parametrize(("cluster_by", "number"), [("context", 8), ("embeddings", 32)])
def test_the_number_of_classes_follows_from_the_size_of_the_summary(
    monkeypatch: pytest.MonkeyPatch, cluster_by: Literal["context", "embeddings"], number: int
):
    used: list[int] = []
    cluster = classes.cluster

    def counted(points: np.ndarray, counts: np.ndarray, number: int) -> np.ndarray:
        used.append(number)
        return cluster(points, counts, number)

    monkeypatch.setattr(classes, "cluster", counted)
    size = Size(2, 8, 4, VOCABULARY, 0.5, True)
    TeacherInitializer(sequences="real", cluster_by=cluster_by)(
        size, LOG, np.random.default_rng(0), Ensemble((Table(),))
    )
    assert used == [number]


def test_several_teachers_are_their_geometric_mean():
    teachers = (Table(), Table(seed=1), Table(seed=2))
    of_all = Ensemble(teachers)
    events = torch.from_numpy(LOG.items[:30]).reshape(2, 15)
    each = [one.hidden(one.embed(events)) @ one.output_table.T for one in teachers]
    expected = torch.stack([torch.softmax(logits.double(), -1) for logits in each]).log().mean(0).exp()
    result = torch.softmax((of_all.hidden(events) @ of_all.table.T).double(), -1)
    torch.testing.assert_close(result, expected / expected.sum(-1, keepdim=True), rtol=1e-5, atol=1e-7)
    assert not result.requires_grad
    one = Ensemble(teachers[:1])
    torch.testing.assert_close(one.hidden(events) @ one.table.T, each[0].detach(), rtol=0, atol=0)
    assert one.embeddings.shape == (VOCABULARY, CLASSES)
    assert of_all.embeddings.shape == (VOCABULARY, 3 * CLASSES)


def test_a_lower_rank_comes_near():
    """Three latents for five rows of predictions."""
    read, _ = nearest(initial())
    result = initial(dim=5)
    target = torch.softmax(Table().output.detach().T[:, 1:], -1).double().numpy()[read[:, :-1]]
    assert result.label_decoder is not None
    labels = result.soft_labels()[:, 1:, 1:].double().numpy()
    share = np.bincount(LOG.items, minlength=VOCABULARY)[1:] / len(LOG.items)
    far = rel_entr(target, share).sum(-1).mean()
    assert rel_entr(target, labels).sum(-1).mean() < 0.5 * far


def test_the_temperature_changes_nothing():
    """Latents and decoders are scaled by it."""
    one, other = initial(), initial(temperature=0.1)
    torch.testing.assert_close(one.soft_inputs(), other.soft_inputs())


def test_draws_are_of_the_classes_and_as_common_as_in_them():
    real = ClassInitializer(CLASSES, candidates=2000).sequences(
        Size(20, LENGTH, 8, VOCABULARY), LOG, np.random.default_rng(0)
    )
    rng = np.random.default_rng(1)
    drawn = np.stack([real.draw(rng) for _ in range(200)])
    assert (real.class_of[drawn] == real.rows).all()
    assert drawn.min() > 0
    for one in range(CLASSES):
        true = CLASS_OF[1 + np.flatnonzero(real.class_of[1:] == one)[0]]
        met = np.bincount(drawn[:, real.rows == one].ravel(), minlength=VOCABULARY)
        np.testing.assert_allclose(met / met.sum(), shares()[true], atol=0.02)


def test_with_two_latents_one_is_for_labels_and_one_latent_is_too_few():
    assert initial(dim=2).soft_inputs().isfinite().all()
    with pytest.raises(
        FarziError, match=r"^init.type teacher: needs a parametrization of dim 2 or more, not 1$"
    ):
        initial(dim=1)


def test_without_teachers_or_label_decoder_it_is_refused():
    size, rng = Size(2, 8, 4, VOCABULARY), np.random.default_rng(0)
    with pytest.raises(FarziError, match=r"init\.type teacher: needs models trained on the full data"):
        TeacherInitializer()(size, LOG, rng)
    with pytest.raises(FarziError, match=r"need summary\.parametrization\.label_decoder"):
        TeacherInitializer()(size, LOG, rng, Ensemble((Table(),)))
