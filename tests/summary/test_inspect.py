"""The likeliest events at each position of a summary, by name."""

import pytest
import torch

from farzi.data import Log
from farzi.recipe import Recipe
from farzi.summary import Summary, SummaryTensors


def test_the_likeliest_events_come_first_with_their_names(tiny: Log, recipe: Recipe):
    decoder = torch.full((1, 41), -50.0)
    decoder[0, [4, 7, 30]] = torch.tensor([2.0, 3.0, 1.0])
    decoder[0, 0] = 9.0
    tensors = SummaryTensors(torch.ones(2, 3, 1), decoder)
    result = Summary(tensors, tiny.vocabulary, recipe).top_events(top=2)
    assert [len(row) for row in result] == [3, 3]
    weight = torch.tensor([3.0, 2.0, 1.0]).softmax(0).tolist()
    assert result[1][2]["input"] == result[1][2]["label"]
    assert result[1][0]["label"] is None
    assert result[1][2]["input"] == [
        {"index": 7, "id": "i7", "name": "Item 7", "probability": pytest.approx(weight[0])},
        {"index": 4, "id": "i4", "name": "i4", "probability": pytest.approx(weight[1])},  # it has no name
    ]


def test_numbers_of_sequences_and_events_are_bounded(tiny: Log, recipe: Recipe):
    # one event has all the weight, and the others, padding among them, none
    decoder = torch.full((1, 41), -1e4)
    decoder[0, 5] = 0.0
    tensors = SummaryTensors(torch.ones(4, 2, 1), decoder)
    summary = Summary(tensors, tiny.vocabulary, recipe)
    result = summary.top_events(sequences=3, top=1000)
    assert len(result) == 3
    for events in (position["input"] for row in result for position in row):
        assert sorted(event["index"] for event in events) == list(range(1, 41))
        assert [event["probability"] for event in events] == [1.0] + [0.0] * 39
        assert events[0]["index"] == 5
    assert len(summary.top_events(sequences=9)) == 4
