"""The full-data trainings that Farzi is compared with: same events, same indices, same evaluator."""

import importlib.util

import numpy as np
import polars as pl
import pytest
import torch
from torch import Tensor

from benchmarks.full_training.libraries import LIBRARIES, Reordered, Shape
from benchmarks.full_training.watch import Watch
from farzi import load_log
from farzi.data import Log

TINY = Shape(hidden=8, layers=1, heads=1, history=6, batch=16)


@pytest.fixture(scope="module")
def log() -> Log:
    """30 users with 3 to 14 events of 11 items; a twelfth item is only held out."""
    rng = np.random.default_rng(0)
    lists = [rng.integers(1, 12, size=3 + user % 12).tolist() for user in range(30)]
    lists[-1][-1] = 12
    rows = [(user, item, place) for user, items in enumerate(lists) for place, item in enumerate(items)]
    return load_log(pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp"], orient="row"))


@pytest.mark.filterwarnings("ignore")  # the libraries' own
@pytest.mark.parametrize("library", LIBRARIES)
def test_each_is_trained_and_measured(library: str, log: Log) -> None:
    if importlib.util.find_spec(library) is None:
        pytest.skip(f"{library} is not installed")
    watch = Watch(log, budget=0.1)
    LIBRARIES[library](log, TINY, watch)
    events = [point.events for point in watch.points]
    assert events[0] > 0
    assert events == sorted(events)
    assert all(0 <= point.ndcg <= 1 for point in watch.points)


@pytest.mark.filterwarnings("ignore")  # RecBole's own
def test_recbole_trains_on_every_prefix_of_the_training_events(log: Log, tmp_path) -> None:
    pytest.importorskip("recbole")
    from benchmarks.full_training.recbole_trainer import Data

    data = Data(log, 6, tmp_path)
    rows = data.train.inter_feat
    found = sorted(
        (rows["item_list"][row][: rows["item_length"][row]].tolist(), int(rows["item"][row]))
        for row in range(len(rows))
    )
    wanted = sorted(
        (data.index[sequence[max(0, end - 6) : end]].tolist(), int(data.index[sequence[end]]))
        for sequence in log.train
        for end in range(1, len(sequence))
    )
    assert found == wanted
    ranker = data.training("SASRec", {"seed": 0}).ranker
    held = log.vocabulary.untrained
    assert ranker.next_scores(torch.tensor([[0, 0, 0, 1, 2, 3]]))[0, held].isinf().all()


def test_histories_and_scores_are_translated() -> None:
    index = torch.tensor([0, 3, 0, 1, 2])  # item 2 is unknown to the library

    def scores(read: Tensor) -> Tensor:
        assert read.tolist() == [[0, 0, 3, 2], [0, 3, 1, 1]]
        return torch.arange(4.0).expand(2, 4)

    found = Reordered(scores, index, 4).next_scores(torch.tensor([[0, 1, 2, 4], [1, 2, 3, 3]]))
    assert found.tolist() == 2 * [[-torch.inf, 3, -torch.inf, 1, 2]]


def test_a_watch_does_not_count_measurements(log: Log) -> None:
    now = [0.0]

    class Slow:
        length, device = 6, torch.device("cpu")

        def next_scores(self, histories: Tensor) -> Tensor:
            now[0] += 100
            return torch.zeros(len(histories), len(log.vocabulary))

    watch = Watch(log, 5, clocks=(lambda: now[0], lambda: 2 * now[0]))
    for _ in range(2):
        now[0] += 1
        watch.measure(Slow())
    assert [(point.seconds, point.cpu_seconds) for point in watch.points] == [(1, 2), (2, 4)]
    assert not watch.over
