"""Attacks and overlaps against counting by hand; their null against draws."""

import numpy as np
import pytest
import torch

from farzi.data import Log, Sequences
from farzi.losses import hard_next_event
from farzi.models import build_model
from farzi.recipe.variants import LogData, SASRec
from research.studies import Bench
from research.studies.attacks import attack, losses, overlaps
from research.studies.members import Members, of_users


def test_the_attack_counts_pairs():
    rng = np.random.default_rng(0)
    members, others = rng.integers(0, 6, 40), rng.integers(0, 5, 30)  # with ties
    pairs = [(a > b) + 0.5 * (a == b) for a in members for b in others]
    found = attack(members.astype(float), others.astype(float))
    assert found.auc == pytest.approx(np.mean(pairs))


def test_one_in_a_hundred_others_is_called_a_member():
    others = np.arange(100.0)
    assert attack(np.array([98.0, 98.5, 99.0, 200.0]), others).caught == 0.75


def test_a_blind_score_is_below_the_null_97_times_in_100():
    rng = np.random.default_rng(1)
    found = [attack(rng.standard_normal(40), rng.standard_normal(50)) for _ in range(1000)]
    assert np.mean([one.auc <= one.null for one in found]) == pytest.approx(0.975, abs=0.015)


def test_nobody_to_tell_apart_is_refused():
    with pytest.raises(ValueError, match="needs members and others"):
        attack(np.empty(0), np.ones(3))


def test_losses_are_those_of_each_sequence_alone():
    student = build_model(SASRec(hidden=4), 9, 5)
    lists = [[1, 2, 3], [4, 5, 6, 7, 8, 1, 2, 3], [2, 2]]
    found = losses(student, Sequences.from_lists(lists))
    for one, loss in zip(lists, found, strict=True):
        events = torch.tensor([[0] * (6 - len(one[-6:])) + one[-6:]])
        read = events[:, :-1]
        hidden = student.hidden(student.embed(read), read > 0)
        alone = hard_next_event(hidden, student.output_table, events).detach()
        assert loss == pytest.approx(float(alone), rel=1e-5)
    assert losses(student, Sequences.from_lists([[3]])).tolist() == [0.0]


def test_an_overlap_is_the_best_window_position_for_position():
    rng = np.random.default_rng(2)
    events = torch.from_numpy(rng.dirichlet(np.ones(6), (3, 4))).float()  # (3 sequences, 4 places, 6)
    events = torch.cat([torch.zeros(3, 4, 1), events], dim=2)
    lists = [rng.integers(1, 7, size) for size in (9, 4, 2, 30, 1)]
    found = overlaps(events, Sequences.from_lists(lists))
    assert found.shape == (3, 5)
    for i in range(3):
        for j, one in enumerate(lists):
            windows = [one[start : start + 4] for start in range(len(one))]
            sums = [sum(float(events[i, t, item]) for t, item in enumerate(window)) / 4 for window in windows]
            assert found[i, j] == pytest.approx(max(sums), rel=1e-5)


def test_a_real_window_overlaps_its_own_sequence_wholly():
    lists = [[1, 2, 3, 4, 5], [5, 4, 3, 2, 1]]
    own = torch.nn.functional.one_hot(torch.tensor([[2, 3, 4]]), 6).float()
    assert overlaps(own, Sequences.from_lists(lists)).tolist() == [[1.0, pytest.approx(1 / 3)]]


def test_halves_share_nobody_and_change_from_repetition_to_repetition(tmp_path, log):
    settings = LogData(source=str(log), unseen="keep")
    bench = Bench(tmp_path)
    mine, theirs = (Members(settings, others)(bench, 0) for others in (False, True))
    assert isinstance(mine, Log)
    assert isinstance(theirs, Log)
    assert not set(mine.train.users or ()) & set(theirs.train.users or ())
    assert len(mine.train) == len(theirs.train) == 30
    assert set(mine.test.histories.users or ()) <= set(mine.train.users or ())
    assert len(mine.vocabulary) == len(bench.data(settings).vocabulary)
    again = Members(settings)(bench, 1)
    assert isinstance(again, Log)
    assert again.train.users != mine.train.users


def test_a_part_of_a_log_keeps_its_events(tiny):
    part = of_users(tiny, {"u3", "u5"})
    assert part.train.users == ("u3", "u5")
    assert part.train[1].tolist() == tiny.train[5].tolist()
    assert part.test.targets[0].tolist() == tiny.test.targets[3].tolist()
