"""An initial summary from classes of events with similar contexts."""

import warnings
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import scipy.sparse as sparse
import torch
from scipy.sparse.linalg import svds

from farzi.data import Sequences
from farzi.summary.initializers.base import Ensemble, Size, add_gradient, followers, real_windows, single
from farzi.summary.tensors import SummaryTensors

DIRECTIONS = 64  # in which contexts are compared
ROUNDS = 30  # of k-means
FITS = 400  # optimizer steps for latents and decoder


@dataclass(frozen=True, eq=False)
class ClassSequences:
    """Real windows as sequences of classes of events.

    Attributes:
        rows: the class at each position, (sequences, length).
        class_of: the class of each event, (V,), counted from 0; padding has that of the first event.
        log_shares: log P(event | class), (V,); 0 for padding.
        transitions: how often one class follows another directly, (classes, classes).
    """

    rows: np.ndarray
    class_of: np.ndarray
    log_shares: np.ndarray
    transitions: np.ndarray

    def decoder_over_events(self, decoder: np.ndarray) -> np.ndarray:
        """A decoder over events, (dim, V), from one over classes whose last latent is 1 / 2 everywhere."""
        over_events = decoder[:, self.class_of]
        over_events[-1] += 2.0 * self.log_shares
        over_events[:, 0] = 0.0
        return over_events

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """A random event for each position, (sequences, length), drawn from P(event | class)."""
        order = np.argsort(self.class_of[1:], kind="stable") + 1
        shares = np.exp(self.log_shares[order])
        begins = np.searchsorted(self.class_of[order], np.arange(len(self.transitions) + 1))
        total = np.concatenate([[0.0], np.cumsum(shares)])
        first, last = total[begins[self.rows]], total[begins[self.rows + 1]]
        at = np.searchsorted(total, first + rng.random(self.rows.shape) * (last - first), side="right") - 1
        return order[at.clip(begins[self.rows], begins[self.rows + 1] - 1)]


@dataclass(frozen=True)
class ClassInitializer:
    r"""Real windows with each event replaced by its class; a class bigram model (Brown et al. 1992).

    Two events are in one class if they occur in similar contexts: right after and right before the same
    events. A position then holds P(event | class): the events of the class in proportion to their counts. A
    few sequences of classes hold enough repetitions of each transition for a student to learn it. The same
    number of real sentences does not: a language model overfits them at once.

    A share `smoothing` of each position is the class bigram model's prediction from the class before it.

    Of many candidate windows, those are chosen whose transitions between classes, taken together, are nearest
    to the log's shares of transitions (greedily, by χ²).

    Attributes:
        classes: how many; None: twice the root of the number of positions in the summary, which makes four
            transitions for each pair of adjacent classes.
        smoothing: share of the prediction at each position. On Penn Treebank cut to 2,000 words, 0, 0.2, 0.4
            and 0.6 gave perplexities of 112, 105, 105 and 109 (single runs).
        candidates: real windows to choose from.
    """

    classes: int | None = None
    smoothing: float = 0.3
    candidates: int = 20_000

    def __call__(
        self, size: Size, log: Sequences, rng: np.random.Generator, teachers: Ensemble | None = None
    ) -> SummaryTensors:
        real = self.sequences(size, log, rng)
        smooth = real.transitions + (0.1 * real.transitions.mean() or 1.0)
        predicted = (smooth / smooth.sum(1, keepdims=True))[real.rows[:, :-1]]
        soft = np.eye(len(real.transitions))[real.rows]  # (sequences, length, classes)
        soft[:, 1:] = (1 - self.smoothing) * soft[:, 1:] + self.smoothing * predicted
        latents, decoder = fitted_factors(soft.reshape(-1, soft.shape[2]), size.dim, rng)
        latents = latents.reshape(size.sequences, size.length, size.dim)
        decoder = real.decoder_over_events(decoder) * size.temperature
        return SummaryTensors(single(latents), single(decoder), size.temperature)

    def sequences(
        self,
        size: Size,
        log: Sequences,
        rng: np.random.Generator,
        points: np.ndarray | None = None,
        source: Sequences | None = None,
    ) -> ClassSequences:
        """The classes, and windows of `source`, or of the log, as sequences of classes.

        Events with near vectors `points`, (V, width), are put into one class. If None, the vectors describe
        the events' contexts.
        """
        number = self.classes or round(2 * (size.sequences * size.length) ** 0.5)
        adjacent = followers(log, size.vocabulary)
        counts = np.bincount(log.items, minlength=size.vocabulary).astype(float)
        if points is None:
            points = _contexts(adjacent, counts, rng)
        class_of = cluster(points, counts, min(number, size.vocabulary - 1))
        pairs = adjacent.tocoo()
        transitions = np.zeros((class_of.max() + 1,) * 2)
        np.add.at(transitions, (class_of[pairs.row], class_of[pairs.col]), pairs.data)
        counts = np.maximum(counts, 1.0)  # an event that never occurs is rare, not impossible
        counts[0] = 0.0
        totals = np.bincount(class_of, counts)[class_of]
        counts[0] = totals[0]
        source = log if source is None else source
        windows = class_of[real_windows(source, max(self.candidates, size.sequences), size.length, rng)]
        rows = windows[_representative(windows, transitions, size.sequences)]
        return ClassSequences(rows, class_of, np.log(counts / totals), transitions)


def _contexts(adjacent: sparse.csr_matrix, counts: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The square roots of P(next event | event) and P(previous event | event), (V, directions).

    Distances between these vectors are Hellinger distances, projected on the main directions.
    """
    totals = [np.maximum(np.asarray(adjacent.sum(axis)).ravel(), 1) for axis in (1, 0)]
    shares = [sparse.diags(1 / totals[0]) @ adjacent, sparse.diags(1 / totals[1]) @ adjacent.T]
    contexts = sparse.csr_matrix(sparse.hstack(shares))
    contexts.data = np.sqrt(contexts.data)
    if contexts.nnz == 0:  # ARPACK refuses it; all contexts are equal, but the classes must not be
        return np.arange(len(counts), dtype=float)[:, None]
    weighted = contexts.multiply(np.sqrt(counts)[:, None]).tocsr()
    rank = min(DIRECTIONS, len(counts) - 1)
    _, _, directions = cast(Any, svds(weighted, k=rank, v0=rng.standard_normal(len(counts))))
    return contexts @ directions.T


def cluster(points: np.ndarray, counts: np.ndarray, classes: int) -> np.ndarray:
    """The class of each event, (V,), counted from 0; padding has that of the first event.

    K-means of points (V, width), into at most V − 1 classes. The first centres are the most frequent events.
    An event's weight is the square root of its count; one that never occurs has next to none. It runs on one
    thread: with several, scikit-learn adds up a class in an arbitrary order, and two runs could differ.
    """
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning
    from threadpoolctl import threadpool_limits

    points = points[1:]
    first: Any = points[np.argsort(-counts[1:], kind="stable")[:classes]]
    weights = np.sqrt(np.maximum(counts[1:], 1e-200))  # of 0, a class could lose its centre
    # After the last update of the centres, KMeans assigns the events once more: one round is that.
    means = KMeans(classes, init=first, max_iter=ROUNDS - 1, tol=0.0)
    with threadpool_limits(1, "openmp"), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer distinct points than classes
        labels = np.asarray(means.fit(points, sample_weight=weights).labels_, int)
    return np.concatenate([labels[:1], labels])


def _representative(windows: np.ndarray, transitions: np.ndarray, number: int) -> np.ndarray:
    """Indices of windows of classes (n, length) that have the log's shares of transitions together."""
    classes = len(transitions)
    cells = windows[:, :-1] * classes + windows[:, 1:]  # (n, length - 1)
    shares = (transitions.ravel() / max(transitions.sum(), 1) * cells.shape[1])[cells]  # of one window
    weight = 1 / (number * shares + 0.5)
    taken = np.zeros(classes * classes)
    chosen = np.zeros(number, int)
    available = np.ones(len(windows), bool)
    for place in range(number):
        surplus = taken[cells] - (place + 1) * shares
        cost = (weight * (2 * surplus + 1)).sum(1)
        chosen[place] = np.where(available, cost, np.inf).argmin()
        available[chosen[place]] = False
        np.add.at(taken, cells[chosen[place]], 1)
    return chosen


def fitted_factors(
    distributions: np.ndarray, dim: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Latents (positions, dim) and a decoder (dim, classes), fitted to distributions (positions, classes).

    Adam minimises the mean Kullback-Leibler divergence. The last latent is 1 / 2 everywhere.
    """
    target = single(distributions)
    positions, classes = target.shape
    decoder = single(rng.standard_normal((dim, classes)))
    latents = decoder.T[target.argmax(1)].clone()
    latents[:, -1] = 1.0
    latents_bar, decoder_bar = torch.empty_like(latents), torch.empty_like(decoder)
    latents.grad, decoder.grad = latents_bar, decoder_bar
    adam = torch.optim.Adam([latents, decoder], lr=0.05)
    for fit in range(FITS):
        adam.param_groups[0]["lr"] = 0.05 * (1 - fit / FITS) + 1e-3
        # The mean divergence and 1e-4 of the mean squared norms, times the number of positions.
        torch.mul(latents, 2e-4, out=latents_bar)
        torch.mul(decoder, 2e-4 * positions / classes, out=decoder_bar)
        add_gradient(latents, decoder, latents_bar, decoder_bar, target.__getitem__)
        latents_bar /= positions
        decoder_bar /= positions
        latents_bar[:, -1] = 0.0
        adam.step()
    # The outer loop's Adam moves all numbers by about the same amount. It learns faster if latents, which
    # belong to one position each, change relatively more than the decoder, which all positions share.
    return 0.5 * latents.numpy(), 2.0 * decoder.numpy()
