"""The likeliest events at each position of a summary, by name."""

import torch

from farzi.data import Dataset
from farzi.summary import SummaryTensors, top_events


def test_the_likeliest_events_come_first_with_their_names(tiny: Dataset):
    decoder = torch.full((1, 41), -50.0)
    decoder[0, [4, 7, 30]] = torch.tensor([2.0, 3.0, 1.0])
    decoder[0, 0] = 9.0
    summary = SummaryTensors(torch.ones(2, 3, 1), decoder)
    result = top_events(summary, tiny.vocabulary, top=2)
    assert [len(row) for row in result] == [3, 3]
    weight = torch.tensor([3.0, 2.0, 1.0]).softmax(0).tolist()
    assert result[1][2] == [
        {"index": 7, "id": "i7", "name": "Item 7", "probability": round(weight[0], 6)},
        {"index": 4, "id": "i4", "name": "i4", "probability": round(weight[1], 6)},  # it has no name
    ]


def test_numbers_of_sequences_and_events_are_bounded(tiny: Dataset):
    # one event has all the weight, and the others, padding among them, none
    decoder = torch.full((1, 41), -1e4)
    decoder[0, 5] = 0.0
    summary = SummaryTensors(torch.ones(4, 2, 1), decoder)
    result = top_events(summary, tiny.vocabulary, sequences=3, top=1000)
    assert len(result) == 3
    for position in (position for row in result for position in row):
        assert sorted(event["index"] for event in position) == list(range(1, 41))
        assert [event["probability"] for event in position] == [1.0] + [0.0] * 39
        assert position[0]["index"] == 5
    assert len(top_events(summary, tiny.vocabulary, sequences=9)) == 4
