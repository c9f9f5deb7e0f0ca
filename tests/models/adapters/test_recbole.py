"""RecBole's models, as shipped, as sequence models."""

import warnings
from typing import Any

import pytest
import torch

from farzi.models.adapters import EveryPosition, MaskedPrefixes, Prefixes, RecBole

from .contract import VOCABULARY, assert_is_a_model, assert_is_exact

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    models: Any = pytest.importorskip("recbole.model.sequential_recommender")
torch.autograd.set_detect_anomaly(False)  # it turns that on for all of the process

CONFIG = {
    "USER_ID_FIELD": "user",
    "ITEM_ID_FIELD": "item",
    "LIST_SUFFIX": "_list",
    "ITEM_LIST_LENGTH_FIELD": "length",
    "NEG_PREFIX": "neg_",
    "MAX_ITEM_LIST_LENGTH": 8,
    "device": "cpu",
    "n_layers": 1,
    "n_heads": 2,
    "num_layers": 1,
    "hidden_size": 8,
    "embedding_size": 8,
    "inner_size": 16,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-12,
    "initializer_range": 0.5,
    "hidden_dropout_prob": 0.5,
    "attn_dropout_prob": 0.5,
    "dropout_prob": 0.5,
    "dropout_probs": [0.5, 0.5],
    "loss_type": "CE",
    "mask_ratio": 0.2,
    "MASK_ITEM_SEQ": "masked",
    "POS_ITEMS": "pos",
    "NEG_ITEMS": "neg",
    "MASK_INDEX": "index",
}
KINDS = {"SASRec": EveryPosition, "GRU4Rec": EveryPosition, "NARM": Prefixes, "BERT4Rec": MaskedPrefixes}


class Items:
    """All that a model needs of RecBole's data set."""

    def num(self, field: str) -> int:
        return VOCABULARY


def model(kind: str) -> Any:
    torch.manual_seed(0)
    return getattr(models, kind)(CONFIG, Items()).double()


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_a_model(kind: str) -> None:
    student = RecBole(model(kind))
    assert isinstance(student.positions, KINDS[kind])
    assert_is_a_model(student)
    assert_is_exact(student)


@pytest.mark.parametrize("kind", KINDS)
def test_it_scores_as_the_model_itself(kind: str) -> None:
    theirs = model(kind).eval()
    items, lengths = torch.tensor([[3, 4, 5, 6, 0, 0, 0, 0], [1, 2, 3, 4, 5, 6, 7, 0]]), torch.tensor([4, 7])
    asked = {"item_list": items, "length": lengths}
    right = theirs.full_sort_predict(asked)
    student = RecBole(theirs)
    histories = torch.tensor([[0, 0, 0, 3, 4, 5, 6], [1, 2, 3, 4, 5, 6, 7]])
    if kind == "BERT4Rec":  # its own reading makes room for the mask token by leaving the first event out
        histories[0, 3] = histories[1, 0] = 0
    found = student.next_scores(histories)
    torch.testing.assert_close(found[:, 1:], right[:, 1:], rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(theirs.full_sort_predict(asked), right)  # it still works for itself


def test_prefixes_are_right_for_a_causal_model_too() -> None:
    every, prefixes = RecBole(model("GRU4Rec")), RecBole(model("GRU4Rec"), Prefixes())
    events = torch.randint(1, VOCABULARY, (3, 6))
    events[0, :2] = 0
    assert torch.allclose(every(events)[:, 2:], prefixes(events)[:, 2:], rtol=1e-10)


def test_weights_fit_another_model_of_its_kind() -> None:
    student, other = RecBole(model("SASRec")), model("SASRec")
    with torch.no_grad():
        student.embedding.normal_()
    other.load_state_dict(student.model.state_dict())
    assert torch.equal(other.item_embedding.weight, student.embedding)
