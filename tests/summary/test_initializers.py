"""Initial summaries from transitions and at random, against dense linear algebra and counting by hand."""

import numpy as np
import pytest
import torch
from scipy.special import log_softmax

from farzi.data import Sequences
from farzi.errors import FarziError
from farzi.summary import RandomInitializer, Size, SummaryTensors, TransitionInitializer

ITEMS = 9
ROWS = [[1, 2, 3, 4, 1, 2], [5, 6, 1, 2, 3], [7, 7, 8], [3], [2, 9, 4, 5, 6, 7, 8, 1, 2, 3]]


def initial(
    initializer: TransitionInitializer | RandomInitializer,
    dim: int,
    rows: list[list[int]] = ROWS,
    sequences: int = 4,
    length: int = 3,
) -> SummaryTensors:
    log = Sequences.from_lists(rows)
    return initializer(Size(sequences, length, dim, ITEMS + 1, 0.5), log, np.random.default_rng(0))


def smoothed(initializer: TransitionInitializer, rows: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    """The part of the log transition matrix that is factorised and the items' shares, in plain Python."""
    counts = np.zeros((ITEMS + 1, ITEMS + 1))
    share = np.zeros(ITEMS + 1)
    share[1:] = 1
    for row in rows:
        for place, item in enumerate(row):
            share[item] += 1
            for ahead in range(1, initializer.horizon + 1):
                if place + ahead < len(row):
                    counts[item, row[place + ahead]] += initializer.discount ** (ahead - 1)
    share /= share.sum()
    excess = np.zeros_like(counts)
    excess[:, 1:] = np.log1p(counts[:, 1:] / (initializer.smoothing * share[1:]))
    return excess, share


@pytest.mark.parametrize(
    "initializer", [TransitionInitializer(), TransitionInitializer(horizon=2, discount=0.5, smoothing=1.0)]
)
@pytest.mark.parametrize("dim", [1, 2, 5, 8])
def test_factors_are_those_of_the_dense_matrix(initializer: TransitionInitializer, dim: int):
    summary = initial(initializer, dim)
    excess, share = smoothed(initializer, ROWS)
    left, values, right = np.linalg.svd(excess)
    best = left[:, : dim - 1] * values[: dim - 1] @ right[: dim - 1]
    expected = log_softmax(
        best[:, 1:] + np.log(share[1:]), axis=1
    )  # (V, items): the distribution at a position on item i
    events = summary.soft_inputs().log()[..., 1:].numpy()
    distances = np.abs(events[:, :, None] - expected).max(-1)  # (sequences, length, V)
    rows = distances.argmin(-1)
    assert distances.min(-1).max() < 1e-4
    if dim > 2:  # then every item differs from the others: the rows lie along real windows
        windows = {tuple(row[k : k + 3]) for row in ROWS for k in range(len(row) - 2)}
        assert {tuple(row) for row in rows.tolist()} <= windows


def test_rows_are_filled_where_no_sequence_is_long_enough():
    summary = initial(TransitionInitializer(), 4, rows=[[1, 2], [3]], sequences=6, length=5)
    first = summary.latents
    assert first.shape == (6, 5, 4)
    for row in first:
        assert (row[:, None] == row[None, :]).all(-1).any(1).all()
        assert (row[4] == row[2]).all()  # a sequence of two, or of one, over and over
        assert (row[3] == row[1]).all()


def test_a_log_without_any_transition_gives_the_popularity():
    summary = initial(TransitionInitializer(), 4, rows=[[1], [2], [1]])
    _, share = smoothed(TransitionInitializer(), [[1], [2], [1]])
    np.testing.assert_allclose(
        summary.soft_inputs()[..., 1:].numpy(), np.tile(share[1:], (4, 3, 1)), rtol=1e-5
    )


@pytest.mark.parametrize("dim", [ITEMS, ITEMS + 1, 100])
def test_more_dimensions_than_items_are_refused(dim: int):
    with pytest.raises(FarziError, match=f"dim {dim} needs more than {dim} items, the data has 9; lower it"):
        initial(TransitionInitializer(), dim)


def test_random_numbers_have_the_logits_of_the_given_spread():
    size = Size(200, 5, 16, 101, 0.5)
    summary = RandomInitializer(spread=2.0)(size, Sequences.from_lists([]), np.random.default_rng(0))
    logits = summary.latents @ summary.decoder / summary.temperature
    assert (summary.sequences, summary.length, summary.dim, summary.vocabulary) == (200, 5, 16, 101)
    assert float(logits.std()) == pytest.approx(2.0, rel=0.05)
    assert float(summary.latents.std()) == pytest.approx(1.0, rel=0.05)


@pytest.mark.usefixtures("_generators_untouched")
@pytest.mark.parametrize("initializer", [TransitionInitializer(), RandomInitializer()])
def test_an_initial_summary_depends_on_its_generator_alone(
    initializer: TransitionInitializer | RandomInitializer,
):
    first, second = initial(initializer, 4), initial(initializer, 4)
    assert torch.equal(first.latents, second.latents)
    assert torch.equal(first.decoder, second.decoder)
    assert first.latents.dtype == first.decoder.dtype == torch.float32
