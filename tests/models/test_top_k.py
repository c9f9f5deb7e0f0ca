from typing import Any

import numpy as np
import pytest
import torch

from farzi.errors import FarziError
from farzi.models import SASRec


def model() -> SASRec:
    torch.manual_seed(0)
    network = SASRec(vocabulary=12, length=4, hidden=8)
    with torch.no_grad():
        network.embedding.normal_()
    return network


def test_gives_the_items_that_score_highest():
    network = model()
    histories = [[3, 5], [1, 2, 3, 4, 5, 6], np.array([7])]
    indices, values = network.top_k(histories, k=3, exclude_seen=False)
    padded = torch.tensor([[0, 0, 3, 5], [3, 4, 5, 6], [0, 0, 0, 7]])
    expected = network(padded)[:, -1].topk(3)
    assert torch.equal(indices, expected.indices)
    torch.testing.assert_close(values, expected.values)


def test_leaves_out_what_was_seen_even_long_ago():
    indices, values = model().top_k([[1, 2, 3, 4, 5, 6]], k=11)
    assert set(indices[0, :5].tolist()) == {7, 8, 9, 10, 11}
    assert torch.isneginf(values[0, 5:]).all()


def test_other_items_may_be_left_out():
    indices, values = model().top_k([[1, 2]], k=11, exclude=[5, 9])
    assert set(indices[0, :7].tolist()) == set(range(1, 12)) - {1, 2, 5, 9}
    assert torch.isneginf(values[0, 7:]).all()


def test_a_tensor_of_histories_is_taken():
    given = torch.tensor([[3, 5], [1, 2]])
    assert torch.equal(model().top_k(given, 3)[0], model().top_k(given.tolist(), 3)[0])


@pytest.mark.parametrize(
    "given", [[1, 2], 3, [["1"]], [[1.5]], [[0, 1]], [[-1]], [[12]], torch.tensor([1, 2])]
)
def test_what_are_no_indices_is_refused(given: Any):
    with pytest.raises(
        FarziError, match=r"histories must be lists of indices in 1\.\.11, one list for each user"
    ):
        model().top_k(given, 3)


@pytest.mark.parametrize("k", [0, 12])
def test_a_k_out_of_range_is_refused(k: int):
    with pytest.raises(FarziError, match="k must be between 1 and 11"):
        model().top_k([[1]], k)
