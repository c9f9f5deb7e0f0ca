import numpy as np
import torch

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
