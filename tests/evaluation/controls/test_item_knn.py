"""Item-based nearest neighbours against the definition, user by user."""

import math
from itertools import combinations

import numpy as np
import torch

from farzi.data import Log, Sequences
from farzi.evaluation.controls.item_knn import ItemKNN, item_knn, similarities

ROWS = [[1, 2, 2, 3], [2, 3, 4], [1, 3], [4, 5], [2]]
V = 7  # item 6 occurs in no history


def brute(rows: list[list[int]]) -> np.ndarray:
    users = [set(row) for row in rows]
    found = np.zeros((V, V))
    for i, j in combinations(range(1, V), 2):
        both = sum(i in user and j in user for user in users)
        if both:
            one, other = (sum(item in user for user in users) for item in (i, j))
            found[i, j] = found[j, i] = both / math.sqrt(one * other)
    return found


def test_similarities_are_cosines_of_the_users_without_the_diagonal():
    found = similarities(Sequences.from_lists(ROWS), V, neighbours=V)
    np.testing.assert_allclose(found.toarray(), brute(ROWS))


def test_only_the_nearest_items_are_kept(tiny: Log):
    whole = similarities(tiny.train, 41, neighbours=41).toarray()
    few = similarities(tiny.train, 41, neighbours=3).toarray()
    for row, kept in zip(whole, few):
        assert (kept > 0).sum() == min(3, (row > 0).sum())
        np.testing.assert_allclose(np.sort(kept)[-3:], np.sort(row)[-3:])
        assert ((kept == 0) | (kept == row)).all()


def test_scores_add_up_over_the_different_items_of_a_history():
    histories = torch.tensor([[0, 1, 3], [2, 2, 4]])
    expected = np.stack([brute(ROWS)[[1, 3]].sum(0), brute(ROWS)[[2, 4]].sum(0)])
    model = ItemKNN(similarities(Sequences.from_lists(ROWS), V, V), 3)
    np.testing.assert_allclose(model.next_scores(histories), expected)
    fresh = ItemKNN(model.similarities, 3, repeats=False).next_scores(histories).numpy()
    assert np.isneginf(fresh[0, [1, 3]]).all()
    assert np.isneginf(fresh[1, [2, 4]]).all()
    assert np.isfinite(fresh).sum() == 2 * V - 4


def test_the_validation_chooses_among_lengths_and_repeats():
    readings = [(model.length, model.repeats) for model in item_knn(Sequences.from_lists(ROWS), V, 2)]
    assert readings == [(2, True), (2, False), (5, True), (5, False)]
    assert len(list(item_knn(Sequences.from_lists(ROWS), V, 5))) == 2
