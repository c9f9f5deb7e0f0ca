"""The model of several processes: its limits, and the sums that it must give."""

from dataclasses import replace

import pytest

from benchmarks.scale import PROCESSES, Pieces, Work, cost, table, trials

PIECES = Pieces(2.0, 100.0, 10.0, 1.0, 0.0, 0.0, 5.0, steps=50, validations=3, numbers=1000, memory=1e8)
FAST = 1e15  # a network that costs nothing


def test_one_process_does_everything_and_sends_nothing():
    one = cost(PIECES, Work(2, 3, 4), 1, 1.0)
    assert one.total == 2 + 10 + 2 * 100 + 50 * 3 * 1 + 3 * 4 * 5
    assert (one.talking, one.received) == (0, 0)


@pytest.mark.parametrize("processes", PROCESSES)
def test_no_stage_is_faster_than_one_item(processes: int):
    one = cost(PIECES, Work(8, 8, 8), processes, FAST)
    assert one.teach >= 100
    assert one.computing >= 1
    assert one.select >= 15


def test_processes_beyond_the_items_bring_nothing():
    eight, many = (cost(PIECES, Work(8, 8, 8), count, FAST) for count in (8, 1000))
    assert many.teach == eight.teach
    assert many.computing == eight.computing
    assert many.talking > eight.talking


def test_each_process_receives_every_metagradient():
    large = replace(PIECES, numbers=10**6)
    one = cost(large, Work(1, 64, 1), 64, 1e9)
    assert one.received == pytest.approx(50 * 63 * 4e6)
    assert one.talking == pytest.approx(64 * 6 * 4e6 / 1e9, rel=0.05)  # six hops
    assert one.memory == 1e8 + 64 * 4e6


def test_a_table_has_a_row_for_each_number_of_processes():
    assert len(table(PIECES, Work(8, 8, 8), 10.0).splitlines()) == 2 + len(PROCESSES)
    assert trials(PIECES, 1000).splitlines()[-1].startswith("| min | 83.4 |")
