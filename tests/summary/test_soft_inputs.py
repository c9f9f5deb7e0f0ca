"""How a summary is fed: which way a recipe takes, and which sequences each step reads."""

from collections import Counter

import pytest
import torch
from torch import Tensor

from farzi.recipe import InnerSettings
from farzi.summary import FEEDS, Factored, BatchSchedule, SummaryTensors, Whole, chosen_feed, feed


def schedule(rows: BatchSchedule, first: int, steps: int) -> Tensor:
    found = rows.batches(first, steps)
    assert isinstance(found, Tensor)
    assert found.dtype == torch.int64
    return found


@pytest.mark.parametrize(("sequences", "batch"), [(10, 3), (10, 5), (7, 6), (5, 1), (3, 2)])
def test_each_sequence_is_read_equally_often(sequences: int, batch: int):
    rows = BatchSchedule(sequences, batch, seed=4)
    row = schedule(rows, 0, 3 * sequences).flatten().tolist()
    for k in range(3 * batch):
        assert sorted(row[k * sequences : (k + 1) * sequences]) == list(range(sequences))
    assert set(Counter(row).values()) == {3 * batch}


def test_a_part_of_a_schedule_is_that_of_the_whole():
    rows = BatchSchedule(7, 3, seed=1)
    whole = schedule(rows, 0, 40)
    for first, steps in ((0, 1), (1, 5), (6, 1), (7, 9), (33, 7), (5, 0)):
        part = schedule(rows, first, steps)
        assert part.shape == (steps, 3)
        assert torch.equal(part, whole[first : first + steps])


def test_orders_differ_from_one_to_the_next_and_by_the_seed():
    first, again, other = (schedule(BatchSchedule(20, 10, seed), 0, 8) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert not torch.equal(first[:2], first[2:4])


@pytest.mark.parametrize("batch", [None, 7, 100])
def test_all_sequences_need_no_order(batch: int | None):
    assert BatchSchedule(7, batch, seed=1).batches(3, 4) == [None] * 4


def summary() -> SummaryTensors:
    return SummaryTensors(torch.randn(6, 5, 3), torch.randn(3, 20), 0.5)


@pytest.mark.parametrize(
    ("soft_events", "batch", "limit", "chosen", "why"),
    [
        ("auto", None, 2400, "whole", "0.0 MiB of soft events are few"),
        ("auto", None, 2399, "factored", "0.0 MiB of soft events are more than 0 MiB"),
        ("auto", 6, 2400, "whole", "0.0 MiB of soft events are few"),
        ("auto", 5, 2400, "factored", "a step reads 5 of 6 sequences"),
        ("whole", 5, 0, "whole", "the recipe says so"),
        ("factored", None, 2400, "factored", "the recipe says so"),
    ],
)
def test_the_way_follows_from_sizes(
    monkeypatch: pytest.MonkeyPatch, soft_events: str, batch: int | None, limit: int, chosen: str, why: str
):
    monkeypatch.setattr(feed, "WHOLE_BYTES", limit)
    inner = InnerSettings.model_validate({"soft_events": soft_events, "batch": batch})
    assert chosen_feed(inner, summary()) == (chosen, why)
    assert chosen in FEEDS


def test_what_is_fed():
    one = summary()
    whole, factored = Whole()(one), Factored()(one)
    torch.testing.assert_close(whole, one.events())
    assert list(factored) == ["latents", "decoder"]
    torch.testing.assert_close(factored["latents"], one.latents / 0.5)
    assert factored["decoder"] is one.decoder
