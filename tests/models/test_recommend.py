import numpy as np
import torch

from farzi.models import SASRec


def student() -> SASRec:
    torch.manual_seed(0)
    return SASRec(vocabulary=12, length=4, hidden=8, deviation=1.0)


def test_recommends_the_events_that_score_highest():
    model = student()
    histories = [[3, 5], [1, 2, 3, 4, 5, 6], np.array([7])]
    indices, values = model.recommend(histories, k=3, seen=True)
    padded = torch.tensor([[0, 0, 3, 5], [3, 4, 5, 6], [0, 0, 0, 7]])
    expected = model(padded)[:, -1].topk(3)
    assert torch.equal(indices, expected.indices)
    torch.testing.assert_close(values, expected.values)


def test_leaves_out_what_was_seen_even_long_ago():
    indices, values = student().recommend([[1, 2, 3, 4, 5, 6]], k=11)
    assert set(indices[0, :5].tolist()) == {7, 8, 9, 10, 11}
    assert torch.isneginf(values[0, 5:]).all()
