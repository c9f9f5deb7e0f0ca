"""A summary as a data set: its forms against the summary's own distributions, batches, what is refused."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader

from farzi.data import Vocabulary
from farzi.errors import FarziError
from farzi.recipe import Recipe
from farzi.summary import SoftCollator, Summary, SummaryTensors

V = 12


@pytest.fixture
def summary() -> Summary:
    draw = torch.Generator().manual_seed(0)
    decoders = [torch.randn(4, V, generator=draw) for _ in range(2)]
    tensors = SummaryTensors(torch.randn(6, 5, 4, generator=draw), decoders[0], 0.7, decoders[1])
    ids = [str(item) for item in range(1, V)]
    return Summary(tensors, Vocabulary.from_tokens(ids, [None] * len(ids), [1] * len(ids)), Recipe())


def batch_of(summary: Summary, form: Any, collate: Any = None, **settings: Any) -> dict[str, Tensor]:
    data = summary.dataset(form, **settings)
    return next(iter(DataLoader(data, batch_size=len(data), collate_fn=collate)))


def test_soft_sequences_are_the_pairs_of_the_summary(summary: Summary):
    batch = batch_of(summary, "soft")
    inputs, labels = summary.to_torch().tensors
    torch.testing.assert_close(batch["inputs"], inputs)
    torch.testing.assert_close(batch["labels"], labels)


def test_the_top_events_with_their_weights(summary: Summary):
    batch = batch_of(summary, "top", top=3)
    inputs, labels = summary.to_torch().tensors
    for name, soft in (("input", inputs), ("label", labels)):
        ids, weights = batch[f"{name}_ids"], batch[f"{name}_weights"]
        assert ids.shape == (6, 4, 3)
        assert int(ids.min()) > 0
        torch.testing.assert_close(weights, soft.gather(-1, ids))
        torch.testing.assert_close(weights[..., 0], soft.amax(-1))
    whole = batch_of(summary, "top", SoftCollator(V), top=1000)
    torch.testing.assert_close(whole["labels"], labels)
    dense = batch_of(summary, "top", SoftCollator(V), top=3)["labels"]
    torch.testing.assert_close(dense.sum(-1), torch.ones(6, 4))
    torch.testing.assert_close(dense.gather(-1, batch["label_ids"]), batch["label_weights"])
    assert float(dense[..., 0].max()) == 0


def test_sampled_events_have_the_summarys_frequencies(summary: Summary):
    data = summary.dataset("sampled", draws=400, seed=1)
    assert len(data) == 2400
    batch = next(iter(DataLoader(data, batch_size=len(data))))
    inputs, labels = summary.to_torch().tensors
    for name, soft in (("input_ids", inputs), ("labels", labels)):
        drawn = F.one_hot(batch[name], V).float().view(400, 6, 4, V).mean(0)
        assert float((drawn - soft).abs().max()) < 6 * (0.25 / 400) ** 0.5
        assert float(drawn[..., 0].max()) == 0
    again = summary.dataset("sampled", draws=9, seed=1)
    assert torch.equal(again[50]["input_ids"], data[50]["input_ids"])
    assert not torch.equal(summary.dataset("sampled", seed=2)[0]["input_ids"], data[0]["input_ids"])


def test_embeddings_are_mean_rows(summary: Summary):
    table = torch.randn(V, 3)
    batch = batch_of(summary, "embeddings", table=table)
    torch.testing.assert_close(batch["inputs_embeds"], summary.soft_inputs()[:, :-1] @ table)


def test_the_collator_embeds_with_a_gradient(summary: Summary):
    embedding = nn.Embedding(V, 3)
    batch = batch_of(summary, "soft", SoftCollator(V, embedding))
    batch["inputs_embeds"].sum().backward()
    assert embedding.weight.grad is not None
    expected = summary.soft_inputs()[:, :-1].sum((0, 1))
    torch.testing.assert_close(embedding.weight.grad, expected[:, None].expand(V, 3))


@pytest.mark.parametrize(
    ("form", "settings", "line"),
    [
        ("hard", {}, "form must be one of soft, top"),
        ("soft", {"table": torch.zeros(V, 2)}, 'table is for form="embeddings"'),
        ("embeddings", {}, 'table is for form="embeddings"'),
        ("embeddings", {"table": torch.zeros(V + 1, 2)}, "a row for each of the 12 events"),
        ("top", {"top": 0}, "at least 1"),
    ],
)
def test_what_does_not_fit_is_refused(summary: Summary, form: Any, settings: dict[str, Any], line: str):
    with pytest.raises(FarziError, match=line):
        summary.dataset(form, **settings)


def test_an_index_outside_is_one(summary: Summary):
    data = summary.dataset()
    torch.testing.assert_close(data[-1], data[5])
    with pytest.raises(IndexError):
        data[6]
