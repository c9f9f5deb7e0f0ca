"""Initial summaries from classes: a made-up language with known classes, and logs of a few events."""

import numpy as np
import pytest
from scipy.special import rel_entr

from farzi.data import Sequences
from farzi.summary import ClassInitializer, Size, SummaryTensors
from farzi.summary.initializers.classes import cluster

CLASSES, WORDS = 5, 8
VOCABULARY = CLASSES * WORDS + 1
CLASS_OF = np.concatenate([[0], np.repeat(np.arange(CLASSES), WORDS)])
"""The class of each word of the language; padding has none, and counts as the first."""


def language(sequences: int = 40, length: int = 200) -> Sequences:
    """Words of a class bigram model: a class is nearly always followed by the next one, or by the first."""
    rng = np.random.default_rng(3)
    share = rng.uniform(1, 4, size=(CLASSES, WORDS))
    share /= share.sum(1, keepdims=True)
    rows: list[list[int]] = []
    for _ in range(sequences):
        row, one = [], int(rng.integers(CLASSES))
        for _ in range(length):
            row.append(1 + one * WORDS + int(rng.choice(WORDS, p=share[one])))
            one = int(rng.choice([(one + 1) % CLASSES, 0, int(rng.integers(CLASSES))], p=[0.7, 0.2, 0.1]))
        rows.append(row)
    return Sequences.from_lists(rows)


LOG = language()
COUNTS = np.bincount(LOG.items, minlength=VOCABULARY)


def initial(
    log: Sequences = LOG, initializer: ClassInitializer | None = None, sequences: int = 20, dim: int = 8
) -> SummaryTensors:
    initializer = initializer or ClassInitializer(CLASSES, smoothing=0, candidates=2000)
    return initializer(Size(sequences, 15, dim, VOCABULARY, 0.5), log, np.random.default_rng(0))


def shares() -> np.ndarray:
    """P(word | class) of the log, (classes, V)."""
    counts = np.where(np.arange(CLASSES)[:, None] == CLASS_OF, COUNTS, 0)
    counts[:, 0] = 0
    return counts / counts.sum(1, keepdims=True)


def transitions() -> np.ndarray:
    """How often one class follows another in the log, (classes, classes)."""
    counts = np.zeros((CLASSES, CLASSES))
    rows = CLASS_OF[LOG.items].reshape(40, 200)
    np.add.at(counts, (rows[:, :-1], rows[:, 1:]), 1)
    return counts


def nearest(summary: SummaryTensors) -> tuple[np.ndarray, np.ndarray]:
    """The true class whose words each synthetic event is nearest to, and how far it is from them, nats."""
    events = summary.soft_inputs().double().numpy()
    distance = rel_entr(shares(), events[..., None, :]).sum(-1)
    return distance.argmin(-1), distance.min(-1)


def test_no_class_is_empty_if_the_most_frequent_events_are_alike():
    """The first centres are the most frequent words, which here are all of one class."""
    counts = np.where(CLASS_OF == 2, 1000.0, 1.0)
    result = cluster(np.eye(CLASSES)[CLASS_OF], counts, CLASSES)
    assert sorted(len(set(result[1:][CLASS_OF[1:] == one])) for one in range(CLASSES)) == [1] * CLASSES
    assert len(set(result[1:])) == CLASSES


def test_each_position_has_the_words_of_a_true_class():
    _, distance = nearest(initial())
    assert distance.max() < 0.03


def test_sequences_go_from_class_to_class_as_the_log_does():
    classes, _ = nearest(initial(sequences=30))
    result = np.zeros((CLASSES, CLASSES))
    np.add.at(result, (classes[:, :-1], classes[:, 1:]), 1)
    true = transitions() * result.sum() / transitions().sum()
    # As many transitions drawn at random would be some 24 of χ² away, one for each degree of freedom.
    assert ((result - true) ** 2 / (true + 0.5)).sum() < 8


def test_smoothing_adds_the_prediction_from_the_class_before():
    plain, smooth = initial(), initial(initializer=ClassInitializer(CLASSES, smoothing=0.4, candidates=2000))
    classes, _ = nearest(plain)  # both use the same windows
    expected = transitions() / transitions().sum(1, keepdims=True) @ shares()
    mixed = 0.6 * shares()[classes[:, 1:]] + 0.4 * expected[classes[:, :-1]]
    assert np.abs(smooth.soft_inputs()[:, 1:].double().numpy() - mixed).max() < 0.02
    assert np.abs(smooth.soft_inputs()[:, 0].double().numpy() - shares()[classes[:, 0]]).max() < 0.02


def test_the_same_seed_gives_the_same_summary():
    first, second = initial(), initial()
    assert (first.latents == second.latents).all()
    assert (first.decoder == second.decoder).all()


@pytest.mark.parametrize("rows", [[[1, 2, 3, 4, 1, 2], [3]], [[1], [2], [1]], [[1, 2], [3]]])
@pytest.mark.parametrize("dim", [1, 2, VOCABULARY + 3])
def test_a_log_of_a_few_events_gives_a_summary(rows: list[list[int]], dim: int):
    summary = initial(Sequences.from_lists(rows), ClassInitializer(), sequences=4, dim=dim)
    events = summary.soft_inputs()
    assert summary.latents.shape == (4, 15, dim)
    np.testing.assert_allclose(events.sum(-1), 1, rtol=1e-5)
    assert (events[..., 0] == 0).all()


def test_more_classes_than_events_are_one_each():
    summary = initial(
        Sequences.from_lists([[1, 2, 3, 1, 2, 3, 1]]),
        ClassInitializer(1000, smoothing=0),
        sequences=2,
        dim=VOCABULARY,
    )
    assert (summary.soft_inputs().max(-1).values > 0.9).all()
