"""Which sequences each step of a training reads."""

from collections import Counter

import pytest
import torch
from torch import Tensor

from farzi.summary import BatchSchedule


def batches(schedule: BatchSchedule, first: int, steps: int) -> Tensor:
    result = schedule.batches(first, steps)
    assert isinstance(result, Tensor)
    assert result.dtype == torch.int64
    return result


@pytest.mark.parametrize(("sequences", "batch"), [(10, 3), (10, 5), (7, 6), (5, 1), (3, 2)])
def test_each_sequence_is_read_equally_often(sequences: int, batch: int):
    schedule = BatchSchedule(sequences, batch, seed=4)
    row = batches(schedule, 0, 3 * sequences).flatten().tolist()
    for k in range(3 * batch):
        assert sorted(row[k * sequences : (k + 1) * sequences]) == list(range(sequences))
    assert set(Counter(row).values()) == {3 * batch}


def test_a_part_of_a_schedule_is_that_of_the_whole():
    schedule = BatchSchedule(7, 3, seed=1)
    whole = batches(schedule, 0, 40)
    for first, steps in ((0, 1), (1, 5), (6, 1), (7, 9), (33, 7), (5, 0)):
        part = batches(schedule, first, steps)
        assert part.shape == (steps, 3)
        assert torch.equal(part, whole[first : first + steps])


def test_orders_differ_from_one_to_the_next_and_by_the_seed():
    first, again, other = (batches(BatchSchedule(20, 10, seed), 0, 8) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert not torch.equal(first[:2], first[2:4])


@pytest.mark.parametrize("batch", [None, 7, 100])
def test_all_sequences_need_no_order(batch: int | None):
    assert BatchSchedule(7, batch, seed=1).batches(3, 4) == [None] * 4
