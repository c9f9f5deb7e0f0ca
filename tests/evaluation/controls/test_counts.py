"""Counts against counting in plain Python."""

import math
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
import torch

from farzi.data import Log, Passages, Sequences
from farzi.errors import FarziError
from farzi.evaluation import evaluate, evaluate_text
from farzi.evaluation.controls import Bigram, Popularity, Successors

LISTS = [[1, 2, 1, 2, 3], [2, 3, 2, 1], [4], [], [5, 1, 2, 3, 3]]
LOG = Sequences.from_lists(LISTS)
V = 7
SINGLE = Counter(item for one in LISTS for item in one)
PAIRS = Counter(pair for one in LISTS for pair in pairwise(one))
HISTORIES = torch.tensor([[0, 0, 1], [1, 2, 3], [4, 5, 6], [0, 3, 4], [1, 2, 2]])


def test_popularity_is_add_one():
    model = Popularity(LOG, V, 3)
    scores = model.next_scores(HISTORIES)
    events = sum(SINGLE.values())
    expected = [-math.inf, *(math.log((SINGLE[item] + 1) / (events + V - 1)) for item in range(1, V))]
    for row in scores.tolist():
        assert row == pytest.approx(expected)
    assert torch.equal(model.last_scores(HISTORIES, 2)[3, 1], scores[0])


def test_successors_stand_by_their_count_then_by_popularity():
    scores = Successors(LOG, V, 3).next_scores(HISTORIES)
    for history, row in zip(HISTORIES.tolist(), scores.tolist(), strict=True):
        expected = sorted(range(1, V), key=lambda item: (-PAIRS[history[-1], item], -SINGLE[item]))
        keys = [(PAIRS[history[-1], item], SINGLE[item]) for item in range(1, V)]
        for one in range(1, V):
            for other in range(1, V):
                assert (row[one] > row[other]) == (keys[one - 1] > keys[other - 1])
        assert row[expected[0]] == max(row[1:])


def test_bigrams_are_kneser_ney():
    scores = Bigram(LOG, V, 3).last_scores(HISTORIES, 2)
    once, twice = (sum(count == n for count in PAIRS.values()) for n in (1, 2))
    discount = once / (once + 2 * twice)
    before = Counter(second for _, second in PAIRS)
    for history, rows in zip(HISTORIES.tolist(), scores.exp().tolist(), strict=True):
        for event, row in zip(history[-2:], rows, strict=True):
            after = {item: PAIRS[event, item] for item in range(1, V) if PAIRS[event, item]}
            for item in range(1, V):
                low = (before[item] + 1) / (len(PAIRS) + V - 1)
                total = sum(after.values())
                expected = (
                    max(0.0, after.get(item, 0) - discount) / total + discount * len(after) / total * low
                    if total
                    else low
                )
                assert row[item] == pytest.approx(expected)
            assert sum(row) == pytest.approx(1)


def test_bigrams_without_pairs_that_occur_once_give_every_token_a_probability():
    log = Sequences.from_lists([[1, 2, 1, 2, 1, 2, 1]])
    assert Bigram(log, 5, 3).last_scores(torch.tensor([[1, 2, 3]]), 3)[..., 1:].isfinite().all()


def test_a_perplexity_is_that_of_the_probabilities():
    text = np.array([1, 2, 3, 3, 6, 1])
    held = Passages(Sequences.from_lists([text]), 5, 20)
    model = Bigram(LOG, V, 4)
    found = evaluate_text(model, held)
    nats = -sum(
        float(model.last_scores(torch.tensor([[0, 0, 0, before]]), 1)[0, 0, token])
        for before, token in pairwise([5, *text.tolist()])
    )
    assert found["perplexity"] == pytest.approx(math.exp(nats / 6))
    assert found["bits per byte"] == pytest.approx(nats / math.log(2) / 20)


def test_anything_that_scores_items_is_measured(tiny: Log):
    class Own:
        length, device = 3, torch.device("cpu")

        def next_scores(self, histories: torch.Tensor) -> torch.Tensor:
            return (torch.arange(41) == histories[:, -1:] % 40 + 1).float()

    found = evaluate(Own(), tiny)
    assert 0.5 < found["HR@10"] <= 1
    assert "60 users" in found.statement
    with pytest.raises(FarziError, match=r"has no next_scores, which a farzi\.evaluation\.Ranker needs"):
        evaluate(object(), tiny)  # pyright: ignore[reportArgumentType]
