"""Perplexity, accuracy and bits per byte against a loop over tokens in float64."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from farzi.data import Passages, Sequences
from farzi.errors import FarziError
from farzi.evaluation import evaluate_text, metric_of, task_of
from farzi.evaluation.language import PASSAGE, stride_of
from farzi.evaluation.tasks import LanguageTask, RecommendationTask
from farzi.models import SequenceModel
from farzi.recipe import variants as v
from farzi.training import make_model

V, START = 12, 3


class Bag(SequenceModel):
    """Reads the sum of all tokens that it sees, wherever they stand."""

    def __init__(self, length: int) -> None:
        super().__init__()
        self.length = length
        generator = torch.Generator().manual_seed(0)
        self.embedding = nn.Parameter(torch.randn(V, 5, generator=generator))

    def hidden(self, vectors: Tensor, real: Tensor | None = None) -> Tensor:
        return vectors.cumsum(1)


def held(*lengths: int) -> Passages:
    rng = np.random.default_rng(1)
    texts = [rng.integers(1, V, size=length) for length in lengths]
    return Passages(Sequences.from_lists(texts), START, bytes=7 * sum(lengths))


def expected(length: int, stride: int, passages: Passages) -> tuple[list[float], list[bool], list[int]]:
    """For each token its loss, whether it was guessed, and how many tokens were seen, one by one."""
    table = Bag(1).embedding.detach().double().numpy()
    losses, hits, seen = [], [], []
    for text in passages.texts:
        whole = [START, *text]
        for place, token in enumerate(text, 1):
            begin = max(0, ((place - 1) // stride + 1) * stride - length)
            context = whole[begin:place]
            scores = table[1:] @ table[context].sum(0)
            losses.append(
                float(np.log(np.exp(scores - scores.max()).sum()) + scores.max() - scores[token - 1])
            )
            hits.append(int(scores.argmax()) == token - 1)
            seen.append(len(context))
    return losses, hits, seen


@pytest.mark.parametrize(("length", "stride"), [(1, 1), (7, 1), (7, 3), (7, 4), (7, 7), (50, 25)])
@pytest.mark.parametrize("batch", [None, 3])
def test_each_token_is_predicted_once_from_its_context(length: int, stride: int, batch: int | None):
    passages = held(1, 23, 40, 7)
    figures = evaluate_text(Bag(length), passages, stride, batch=batch).means()
    losses, hits, seen = expected(length, stride, passages)
    tokens = len(passages)
    assert len(losses) == tokens == 71
    assert figures["perplexity"] == pytest.approx(math.exp(sum(losses) / tokens), rel=1e-5)
    assert figures["accuracy"] == pytest.approx(sum(hits) / tokens)
    assert passages.bytes is not None
    assert figures["bits per byte"] == pytest.approx(sum(losses) / math.log(2) / passages.bytes, rel=1e-5)
    context = length - stride + 1
    ends = set(np.cumsum([0, 1, 23, 40]).tolist())
    since = 0
    for token, count in enumerate(seen):
        since = 1 if token in ends else since + 1
        assert min(context, since) <= count <= length


def test_the_stride_is_half_of_the_length_unless_given():
    assert stride_of(19) == 10
    assert stride_of(1) == 1
    passages = held(90)
    assert evaluate_text(Bag(7), passages).means() == evaluate_text(Bag(7), passages, 4).means()
    for stride in (0, 8):
        with pytest.raises(FarziError, match=r"stride must be in 1\.\.7"):
            evaluate_text(Bag(7), passages, stride)


def test_units_are_passages_whose_mean_is_the_figure():
    passages = held(PASSAGE + 30)
    figures = evaluate_text(Bag(7), passages, 4)
    losses, hits, _ = expected(7, 4, passages)
    assert {values.shape for values in figures.per_unit.values()} == {(2,)}
    share = figures.per_unit["accuracy"] * len(passages) / 2
    assert share == pytest.approx([sum(hits[:PASSAGE]), sum(hits[PASSAGE:])])
    nats = figures.per_unit["perplexity"].mean()
    assert nats == pytest.approx(sum(losses) / len(losses), rel=1e-6)
    assert metric_of("perplexity").figure(nats) == figures.means()["perplexity"]


def test_a_quick_look_reads_whole_windows_evenly():
    passages = held(100)
    losses, hits, _ = expected(7, 4, passages)
    kept = [k for k in range(100) if k // 4 % 3 == 0]
    figures = evaluate_text(Bag(7), passages, 4, tokens=40).means()
    mean = sum(losses[k] for k in kept) / len(kept)
    assert figures["perplexity"] == pytest.approx(math.exp(mean), rel=1e-5)
    assert figures["accuracy"] == pytest.approx(sum(hits[k] for k in kept) / len(kept))
    assert figures["bits per byte"] == pytest.approx(mean / math.log(2) / 7, rel=1e-5)


def test_a_student_that_knows_nothing_has_the_vocabularys_perplexity_and_no_hits():
    student = Bag(5)
    nn.init.zeros_(student.embedding)
    figures = evaluate_text(student, held(50)).means()
    assert figures["perplexity"] == pytest.approx(V - 1)  # padding has no share
    assert figures["accuracy"] == 0  # ties are misses
    nn.init.constant_(student.embedding, torch.nan)
    assert evaluate_text(student, held(50)).means()["perplexity"] == math.inf


def test_where_a_text_is_cut_into_batches_makes_no_difference():
    student = make_model(v.SASRec(hidden=8), V, 8, 0)
    passages = held(60, 11)
    first = evaluate_text(student, passages).means()
    assert evaluate_text(student, passages, batch=2).means() == pytest.approx(first, rel=1e-6)


def test_data_of_the_other_kind_are_refused(tiny):
    student = make_model(v.SASRec(hidden=8), 41, 8, 0)
    with pytest.raises(TypeError, match="RecommendationTask"):
        LanguageTask().evaluate(student, tiny.valid)
    with pytest.raises(TypeError, match="LanguageTask"):
        RecommendationTask().evaluate(student, held(5))
    with pytest.raises(FarziError, match="stride is for texts, and made-up is a log"):
        task_of(tiny, stride=3)


def test_a_score_is_told_as_the_metric_that_it_is():
    assert LanguageTask().score_text(1 / 123.46) == "perplexity 123.5"
    assert LanguageTask().score_text(0.0) == "no finite perplexity"  # of a training that has diverged
    assert RecommendationTask().score_text(0.0512) == "nDCG@10 5.12 %"
