"""Measures of students, made logs, and what is read from rows: against counting by hand."""

import itertools
import math

import numpy as np
import pytest
import torch
from scipy.stats import f_oneway

from farzi.data import Holdout, Log
from farzi.evaluation import evaluate_ranking
from farzi.models import build_model
from farzi.recipe.variants import SASRec
from research.studies.conclusions import best_sentence, cell, first, interval_of, level_of, share_of, table
from research.studies.costs import break_even
from research.studies.groups import drawn
from research.studies.made import FOLLOWS, MadeLog
from research.studies.measures import ByGroup, Gap, OnHeldOut, group_names, trained_on
from research.studies.orders import (
    agreement,
    distinct_pairs,
    kendall,
    rank_correlation,
    reliability,
    same_order,
    tau_of,
)


@pytest.fixture
def student(tiny: Log):
    torch.manual_seed(0)
    return build_model(SASRec(hidden=4), len(tiny.vocabulary), 8)


def test_training_events_are_each_users_last_one_before_the_held_out_ones(make_dataset):
    log = make_dataset([[1, 2, 3, 4, 5], [6, 7, 8], [3, 4, 5, 6]], 8)
    holdout = trained_on(log)
    assert isinstance(holdout, Holdout)
    assert holdout.histories.users == ("u0", "u2")  # u1 has one training event: nothing to rank it from
    assert [one.tolist() for one in holdout.histories] == [[1, 2], [3]]
    assert [one.tolist() for one in holdout.targets] == [[3], [4]]


def test_the_gap_is_the_difference_of_the_two(tiny, student):
    found = Gap()(student, tiny, "keep")
    assert found["HR@10"] == OnHeldOut()(student, tiny, "keep")["HR@10"]
    training = trained_on(tiny)
    assert isinstance(training, Holdout)
    assert found["training: AUC"] == evaluate_ranking(student, training).means()["AUC"]
    assert found["gap: AUC"] == pytest.approx(found["training: AUC"] - found["AUC"])


def test_groups_are_means_over_their_users(tiny, student):
    measure = ByGroup(users=(8, 10), items=(12, 15), figure="HR@10")
    found = measure(student, tiny, "keep")
    hits = evaluate_ranking(student, tiny.test).per_unit["HR@10"]
    counts = np.bincount(tiny.train.items, minlength=len(tiny.vocabulary))
    for what, sizes in (
        ("user", [len(one) for one in tiny.test.histories]),
        ("item", [counts[one[0]] for one in tiny.test.targets]),
    ):
        bounds = measure.users if what == "user" else measure.items
        edges = [0, *bounds, 10**9]
        for name, (low, high) in zip(group_names(bounds), itertools.pairwise(edges), strict=True):
            mine = [hit for hit, size in zip(hits, sizes, strict=True) if low <= size < high]
            assert found.get(f"{what} {name}: HR@10", math.nan) == pytest.approx(
                np.mean(mine) if mine else math.nan, nan_ok=True
            )


def test_the_picture_of_groups_has_the_best_of_the_other_ways(done):
    ways = {
        "full": 0.5,
        "random": 0.1,
        "head": 0.2,
        "farzi": 0.5,
        "its start alone": 0.6,
        "table": 0.3,
        "tucker": 0.4,
    }
    rows = [done(name, {"trained on": name}, **{"user 0-9: HR@100": [hit]}) for name, hit in ways.items()]
    assert [row.key for row in drawn(rows)] == ["full", "random", "head", "farzi", "tucker"]
    assert [row.key for row in drawn(rows[:2])] == ["full", "random"]


def test_groups_are_named_by_their_bounds():
    assert group_names((1, 5, 20)) == ("0", "1-4", "5-19", "20+")


def test_a_made_log_follows_its_rule_and_its_imbalance():
    log = MadeLog(users=2000, items=50, length=20, imbalance=1.5, seed=3).dataset()
    assert len(log.train) == 2000
    assert len(log.vocabulary) == 51
    walks = np.stack([np.concatenate([h, t]) for h, t in zip(log.test.histories, log.test.targets)])
    is_next = [np.bincount(walks[:, 1:][walks[:, :-1] == item], minlength=51).max() for item in (1, 2, 3)]
    seen = [(walks[:, :-1] == item).sum() for item in (1, 2, 3)]
    assert all(often / all_ > FOLLOWS - 0.05 for often, all_ in zip(is_next, seen, strict=True))
    firsts = np.bincount(walks[:, 0], minlength=51)[1:]
    expected = np.arange(1, 51) ** -1.5
    assert firsts[:3] / 2000 == pytest.approx(expected[:3] / expected.sum(), abs=0.04)
    alike = MadeLog(users=2000, items=5, length=4, imbalance=0.0).dataset()
    assert np.bincount(alike.train.items)[1:] / len(alike.train.items) == pytest.approx(
        np.full(5, 0.2), abs=0.05
    )


def test_a_made_log_that_is_none_is_refused():
    with pytest.raises(ValueError, match="at least"):
        MadeLog(length=3)


def test_what_rounding_parts_is_a_tie():
    assert kendall([0.1 + 0.2, 0.3, 1.0], [1.0, 2.0, 3.0]) == pytest.approx(2 / math.sqrt(6))


def test_kendalls_tau_counts_pairs():
    first, second = [1.0, 2.0, 3.0, 4.0, 4.0], [1.0, 3.0, 2.0, 4.0, 5.0]
    agree = disagree = ties = 0
    for i, j in itertools.combinations(range(5), 2):
        sign = np.sign(first[i] - first[j]) * np.sign(second[i] - second[j])
        agree, disagree, ties = agree + (sign > 0), disagree + (sign < 0), ties + (sign == 0)
    assert ties == 1
    assert kendall(first, second) == pytest.approx((agree - disagree) / math.sqrt(10 * (10 - ties)))


def test_the_order_of_students_is_that_of_their_means(done):
    rows = [
        done(f"s{k}", {}, **{"full: HR@10": [k, k + 2.0], "summary: HR@10": [2.0 * k, 2.0 * k - 1]})
        for k in range(5)
    ]
    tau, each = rank_correlation(rows, "full: HR@10", "summary: HR@10")
    assert (tau, each.mean) == pytest.approx((1.0, 1.0))
    mixed = [done(f"s{k}", {}, a=[k, k], b=[k, -k]) for k in range(4)]
    assert rank_correlation(mixed, "a", "b")[1].mean == pytest.approx(0.0)


def test_the_full_data_agrees_with_itself_as_far_as_its_repetitions_do(done):
    rows = [done(f"s{k}", {}, a=[k, k, -k]) for k in range(4)]
    assert agreement(rows, "a") == pytest.approx((1 - 1 - 1) / 3)
    assert math.isnan(agreement([done(f"s{k}", {}, a=[k]) for k in range(4)], "a"))


def test_reliability_is_one_less_the_share_of_noise_in_the_analysis_of_variance(done):
    values = np.random.default_rng(0).normal(size=(6, 4)) + np.arange(6)[:, None]
    rows = [done(f"s{k}", {}, a=list(one)) for k, one in enumerate(values)]
    assert reliability(rows, "a") == pytest.approx(1 - 1 / f_oneway(*values).statistic)
    same = [done(f"s{k}", {}, a=[0.0, 1.0 + k / 9]) for k in range(4)]
    assert reliability(same, "a") == 0.0
    assert math.isnan(reliability([done(f"s{k}", {}, a=[k]) for k in range(4)], "a"))


def test_pairs_that_are_told_apart_are_those_whose_means_differ_beyond_noise(done):
    noise = np.array([-0.1, 0.0, 0.1])
    full, small = (0.0, 0.05, 1.0, 2.0), (0.0, 1.0, 5.0, 4.0)
    rows = [
        done(f"s{k}", {}, full=list(f + noise), small=list(s + noise))
        for k, (f, s) in enumerate(zip(full, small, strict=True))
    ]
    pairs = distinct_pairs(rows, "full")
    assert pairs == [(2, 0), (3, 0), (2, 1), (3, 1), (3, 2)]  # 0 and 1 differ by half of their spread
    assert same_order(rows, pairs, "small") == 4
    assert distinct_pairs([done(f"s{k}", {}, full=[k]) for k in range(3)], "full") == []
    assert distinct_pairs([done(f"s{k}", {}, full=[k, k]) for k in (0, 0, 1)], "full") == [(2, 0), (2, 1)]


def test_tau_of_a_correlation_is_that_of_normal_figures():
    draws = np.random.default_rng(0).multivariate_normal([0, 0], [[1, 0.8], [0.8, 1]], 20_000)
    assert tau_of(0.8) == pytest.approx(kendall(*draws.T), abs=0.01)


def test_a_share_of_the_full_data_has_both_intervals(done):
    ours, whole = done("a", {}, **{"HR@10": [0.1, 0.12, 0.14]}), done("b", {}, **{"HR@10": [0.2, 0.24, 0.28]})
    share = share_of(ours, whole, "HR@10")
    assert share.mean == pytest.approx(0.5)
    width = (interval_of(ours, "HR@10").mean - interval_of(ours, "HR@10").low) / 0.12
    assert share.mean - share.low == pytest.approx(0.5 * math.sqrt(2) * width)
    zero = done("c", {}, **{"HR@10": [0.0, 0.0]})
    assert share_of(zero, whole, "HR@10").mean == 0
    assert math.isnan(share_of(ours, zero, "HR@10").mean)


def test_cells_read_as_people_expect(done):
    row = done("a", {"d": 8}, **{"HR@10": [0.1, 0.12], "distil seconds": [301.0], "norm": [0.0123]})
    whole = done("full", {"d": "–"}, **{"HR@10": [0.2, 0.24], "gap: HR@10": [0.1]})
    assert cell(row, "HR@10", whole) == "11.0 ±12.7 (50 %)"
    assert cell(row, "distil seconds") == "301"
    assert cell(row, "norm") == "0.0123"
    assert cell(row, "missing") == "–"
    same = done("b", {}, **{"validation": [0.1, 0.1, 0.1]})
    assert cell(same, "validation", whole) == "10.0"
    shown = table([whole, row], ("d",), ("HR@10", "missing", "norm"), whole)
    assert shown.columns == ("d", "HR@10", "norm")
    assert shown.lines[0].cells == ("–", "22.0 ±25.4", "–")
    assert level_of(whole, "HR@10") == pytest.approx(22)


def test_the_best_row_is_told_with_those_within_its_interval(done):
    rows = [
        done("d-2", {"d": 2}, **{"HR@10": [0.50, 0.51, 0.49]}),
        done("d-4", {"d": 4}, **{"HR@10": [0.30, 0.31, 0.29]}),
        done("d-8", {"d": 8}, **{"HR@10": [0.48, 0.50, 0.51]}),
    ]
    sentence = best_sentence(rows, "d", "HR@10")
    figures = [word.strip(".,;") for word in sentence.split() if word[0].isdigit()]
    assert figures == ["2", "50.0", "4", "30.0", "8"]
    costly = [done("a", {"x": 1}, perplexity=[90.0]), done("b", {"x": 2}, perplexity=[80.0])]
    sentence = best_sentence(costly, "x", "perplexity")
    assert sentence.index("2, 80.0") < sentence.index("1, 90.0")
    assert best_sentence(rows[:1], "d", "HR@10") == ""
    assert first(rows, d=4) is rows[1]


def test_a_distillation_pays_for_itself_after_so_many_trainings(done):
    whole = done("full", {}, **{"train seconds": [25.0]})
    ours = done("a", {}, **{"train seconds": [1.0], "distil seconds": [240.0]})
    assert break_even(ours, whole) == 10
    slow = done("b", {}, **{"train seconds": [30.0], "distil seconds": [240.0]})
    assert break_even(slow, whole) == math.inf
