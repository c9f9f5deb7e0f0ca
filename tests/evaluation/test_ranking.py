"""Ranks and metrics against counting in plain Python."""

import math
from typing import Literal

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from farzi.data import Holdout, Log, Sequences
from farzi.evaluation import Evaluation, evaluate_ranking, task_of
from farzi.models import SequenceModel
from farzi.recipe import variants as v
from farzi.training import make_model

ITEMS = 8
AT = (1, 3, 5)
Seen = Literal["keep", "exclude"]


class Scores(SequenceModel):
    """Gives prepared scores, (users, V), whatever it sees."""

    def __init__(self, table: Tensor) -> None:
        super().__init__()
        self.embedding = nn.Parameter(torch.zeros(1, 1))
        self.length = 4
        self.table, self.done = table, 0

    def hidden(self, vectors: Tensor, real: Tensor | None = None) -> Tensor:
        return vectors

    def next_scores(self, histories: Tensor) -> Tensor:
        self.done += len(histories)
        return self.table[self.done - len(histories) : self.done].clone()


def brute_force(
    scores: list[float], history: list[int], target: int, seen: Seen, untrained: set[int]
) -> dict[str, float]:
    """The metrics of one target; scores[0] is padding's."""
    ranked = [i for i in range(1, len(scores)) if seen == "keep" or i not in history]
    if target not in ranked or target in untrained:
        return dict.fromkeys([*(f"HR@{k}" for k in AT), *(f"nDCG@{k}" for k in AT), "MRR", "AUC"], 0.0)
    score = [-math.inf if math.isnan(value) or i in untrained else value for i, value in enumerate(scores)]
    others = [i for i in ranked if i != target]
    above = sum(score[i] >= score[target] for i in others)
    return (
        {f"HR@{k}": float(above < k) for k in AT}
        | {f"nDCG@{k}": 1 / math.log2(above + 2) if above < k else 0.0 for k in AT}
        | {"MRR": 1 / (above + 1), "AUC": (len(others) - above) / len(others) if others else 1.0}
    )


@st.composite
def users(draw: st.DrawFn) -> tuple[list[float], list[int], list[int]]:
    """Scores with many ties and some that are not finite, a history, targets."""
    values = st.sampled_from([0.0, 1.0, 1.5, 2.0, -3.0, math.nan, math.inf, -math.inf])
    item = st.integers(1, ITEMS)
    scores = draw(st.lists(values, min_size=ITEMS + 1, max_size=ITEMS + 1))
    return scores, draw(st.lists(item, max_size=6)), draw(st.lists(item, min_size=1, max_size=3))


@given(
    st.lists(users(), min_size=1, max_size=5),
    st.sampled_from(["keep", "exclude"]),
    st.sampled_from([1, 2, 512]),
    st.sets(st.integers(1, ITEMS), max_size=3),
)
def test_metrics_are_those_counted_by_hand(
    drawn: list[tuple[list[float], list[int], list[int]]], seen: Seen, batch: int, untrained: set[int]
):
    scores, histories, targets = zip(*drawn, strict=True)
    never = np.array(sorted(untrained), np.int64)
    holdout = Holdout(Sequences.from_lists(histories), Sequences.from_lists(targets), never)
    ranking = evaluate_ranking(Scores(torch.tensor(scores)), holdout, seen, AT, batch)
    for user, (mine, history, wanted) in enumerate(drawn):
        expected = [brute_force(mine, history, target, seen, untrained) for target in wanted]
        assert set(ranking.per_unit) == set(expected[0])
        for name, values in ranking.per_unit.items():
            assert values.shape == (len(drawn),)
            assert values[user] == pytest.approx(np.mean([one[name] for one in expected])), name


def one_user(
    scores: list[float], history: list[int], target: int, seen: Seen, at: tuple[int, ...]
) -> dict[str, float]:
    holdout = Holdout(Sequences.from_lists([history]), Sequences.from_lists([[target]]))
    return evaluate_ranking(Scores(torch.tensor([scores])), holdout, seen, at).means()


@pytest.mark.parametrize("value", [0.0, math.nan, math.inf, -math.inf])
def test_a_constant_model_hits_nothing_short_of_the_whole_catalogue(value: float):
    figures = one_user([value] * 9, [1], 5, "keep", (1, 7, 8))
    assert (figures["HR@1"], figures["HR@7"], figures["HR@8"]) == (0, 0, 1)
    assert figures["MRR"] == 1 / 8
    assert figures["AUC"] == 0


def test_a_repeated_event_is_a_sure_miss_where_seen_items_are_left_out():
    scores = [0.0, 9.0, 1.0, 2.0]
    assert one_user(scores, [1, 2], 1, "keep", (1,)) == {"HR@1": 1, "nDCG@1": 1, "MRR": 1, "AUC": 1}
    left_out = one_user(scores, [1, 2], 1, "exclude", (100,))
    assert left_out == {"HR@100": 0, "nDCG@100": 0, "MRR": 0, "AUC": 0}


def test_the_whole_history_is_left_out_though_the_student_sees_its_end_only():
    history = [7, 8, 1, 2, 3, 4]  # the student takes four
    scores = [0.0, 0, 0, 0, 0, 1, 0, 5, 5]
    assert one_user(scores, history, 5, "exclude", (1,))["HR@1"] == 1
    assert one_user(scores, history, 5, "keep", (1,))["HR@1"] == 0


def test_padding_is_never_ranked():
    assert one_user([99.0, 1.0, 2.0], [1], 2, "keep", (1,))["HR@1"] == 1


def test_random_scores_have_an_auc_of_one_half():
    generator = torch.Generator().manual_seed(0)
    rng = np.random.default_rng(0)
    users = 400
    holdout = Holdout(
        Sequences.from_lists([[1]] * users), Sequences.from_lists(rng.integers(1, 51, (users, 1)).tolist())
    )
    figures = evaluate_ranking(Scores(torch.rand(users, 51, generator=generator)), holdout).means()
    assert figures["AUC"] == pytest.approx(0.5, abs=0.05)  # 3.5 standard errors
    assert figures["HR@10"] == pytest.approx(0.2, abs=0.07)


def test_means_are_over_users():
    assert Evaluation({"HR@1": np.array([0.0, 1.0, 0.5])}).means() == {"HR@1": 0.5}


def test_a_student_is_left_as_it_was(tiny: Log):
    student = make_model(v.SASRec(hidden=4), 41, 5, seed=0)
    before = {name: value.clone() for name, value in student.state_dict().items()}
    first, second = evaluate_ranking(student, tiny.test), evaluate_ranking(student, tiny.test, batch=7)
    for name, values in first.per_unit.items():
        np.testing.assert_allclose(values, second.per_unit[name])
    for name, value in student.state_dict().items():
        assert torch.equal(value, before[name])
        assert value.grad is None


@pytest.mark.parametrize("seen", ["keep", "exclude"])
def test_training_goes_by_ndcg_on_the_validation_events(tiny: Log, seen):
    student = make_model(v.SASRec(hidden=8), 41, 5, 0)
    assert (
        task_of(tiny, seen).score(student, tiny.valid)
        == evaluate_ranking(student, tiny.valid, seen).means()["nDCG@10"]
    )
