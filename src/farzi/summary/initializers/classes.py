"""An initial summary from classes of events with similar contexts: see `ClassInitializer`."""

import warnings
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import scipy.sparse as sparse
import torch
from scipy.sparse.linalg import svds

from farzi.data import Sequences
from farzi.summary.initializers.base import Size, real_windows, single
from farzi.summary.initializers.ensemble import Ensemble
from farzi.summary.initializers.fitting import add_gradient
from farzi.summary.tensors import SummaryTensors


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
            transitions for each pair of adjacent classes. With 150 classes for 6,000 positions the student
            below reached perplexity 105, with 77 it reached 110, with 220 it reached 109.
        smoothing: share of the prediction at each position. On Penn Treebank cut to 2,000 words, 200
            sequences of 30 trained a Transformer of width 32 to perplexity 112, 105, 105 and 109 with 0, 0.2,
            0.4 and 0.6 (single runs).
        candidates: real windows to choose from.
        directions: dimensions in which contexts are compared.
        rounds: of the clustering.
        fits: optimizer steps of the fit of latents and decoder.
    """

    classes: int | None = None
    smoothing: float = 0.3
    candidates: int = 20_000
    directions: int = 64
    rounds: int = 30
    fits: int = 400

    def __call__(
        self, size: Size, log: Sequences, rng: np.random.Generator, teachers: Ensemble | None = None
    ) -> SummaryTensors:
        """See `Initializer`."""
        real = self.sequences(size, log, rng)
        latents, decoder = self.factors(self._softened(real), size.dim, rng)
        latents = latents.reshape(size.sequences, size.length, size.dim)
        decoder = real.decoder_over_events(decoder) * size.temperature
        return SummaryTensors(single(latents), single(decoder), size.temperature)

    def sequences(
        self, size: Size, log: Sequences, rng: np.random.Generator, points: np.ndarray | None = None
    ) -> "ClassSequences":
        """The classes, and real windows as sequences of classes.

        Args:
            size: of the summary.
            log: training sequences.
            rng: for all random draws.
            points: a vector for each event, (V, width): events with near vectors are put into one class. If
                None, the vectors describe the events' contexts.
        """
        number = self.classes or round(2 * (size.sequences * size.length) ** 0.5)
        adjacent = _adjacent(log, size.vocabulary)
        counts = np.bincount(log.items, minlength=size.vocabulary).astype(float)
        if points is None:
            points = self._contexts(adjacent, counts, rng)
        class_of = self._cluster(points, counts, min(number, size.vocabulary - 1))
        transitions = _between_classes(adjacent, class_of)
        rows = class_of[self._representative(class_of, transitions, size, log, rng)]
        return ClassSequences(rows, class_of, _log_shares(class_of, counts), transitions)

    def _contexts(
        self, adjacent: sparse.csr_matrix, counts: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray:
        """The square roots of P(next event | event) and P(previous event | event), (V, directions).

        Distances between these vectors are Hellinger distances, projected on the main directions.
        """
        contexts = sparse.csr_matrix(sparse.hstack([_row_shares(adjacent), _row_shares(adjacent.T)]))
        contexts.data = np.sqrt(contexts.data)
        rank = min(self.directions, len(counts) - 1)
        if contexts.nnz == 0:  # ARPACK refuses it; all contexts are equal, but the classes must not be
            return np.arange(len(counts), dtype=float)[:, None]
        weighted = contexts.multiply(np.sqrt(counts)[:, None]).tocsr()
        _, _, directions = cast(Any, svds(weighted, k=rank, v0=rng.standard_normal(len(counts))))
        return contexts @ directions.T

    def _cluster(self, points: np.ndarray, counts: np.ndarray, classes: int) -> np.ndarray:
        """The class of each event, (V,), counted from 0; padding has that of the first event.

        Lloyd's k-means. The first centres are the most frequent events. An event's weight is the square root
        of its count; an event that never occurs has next to none. It runs on one thread: with several,
        scikit-learn adds up a class in an arbitrary order, and two runs could differ.

        Args:
            points: (V, width).
            counts: of each event, (V,).
            classes: how many, at most V − 1.
        """
        from sklearn.cluster import KMeans
        from sklearn.exceptions import ConvergenceWarning
        from threadpoolctl import threadpool_limits

        points = points[1:]
        first: Any = points[np.argsort(-counts[1:], kind="stable")[:classes]]
        once: Any = 1  # whose type scikit-learn declares as str
        weights = np.sqrt(np.maximum(counts[1:], 1e-200))  # of 0, a class could lose its centre
        # After the last update of the centres, KMeans assigns the events once more: one round is that.
        means = KMeans(classes, init=first, n_init=once, max_iter=max(1, self.rounds - 1), tol=0.0)
        with threadpool_limits(1, "openmp"), warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # fewer distinct points than classes
            labels = np.asarray(means.fit(points, sample_weight=weights).labels_, int)
        return np.concatenate([labels[:1], labels])

    def _representative(
        self,
        class_of: np.ndarray,
        transitions: np.ndarray,
        size: Size,
        log: Sequences,
        rng: np.random.Generator,
    ) -> np.ndarray:
        """Real windows, (sequences, length), with the log's shares of transitions between classes."""
        windows = real_windows(log, max(self.candidates, size.sequences), size.length, rng)
        classes = len(transitions)
        shares = transitions.ravel() / max(transitions.sum(), 1) * (size.length - 1)  # of one window
        cells = class_of[windows[:, :-1]] * classes + class_of[windows[:, 1:]]  # (candidates, length - 1)
        shares = shares[cells]
        weight = 1 / (size.sequences * shares + 0.5)
        taken = np.zeros(classes * classes)
        chosen = np.zeros(size.sequences, int)
        available = np.ones(len(windows), bool)
        for place in range(size.sequences):
            surplus = taken[cells] - (place + 1) * shares
            cost = (weight * (2 * surplus + 1)).sum(1)
            chosen[place] = np.where(available, cost, np.inf).argmin()
            available[chosen[place]] = False
            np.add.at(taken, cells[chosen[place]], 1)
        return windows[chosen]

    def _softened(self, real: "ClassSequences") -> np.ndarray:
        """Distributions over classes, (positions, classes): each position's class, and the prediction."""
        classes = len(real.transitions)
        smooth = real.transitions + (0.1 * real.transitions.mean() or 1.0)
        predicted = (smooth / smooth.sum(1, keepdims=True))[real.rows[:, :-1]]
        soft = np.eye(classes)[real.rows]
        soft[:, 1:] = (1 - self.smoothing) * soft[:, 1:] + self.smoothing * predicted
        return soft.reshape(-1, classes)

    def factors(
        self, distributions: np.ndarray, dim: int, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Latents (positions, dim) and a decoder (dim, classes) whose softmax is near the distributions.

        Adam minimises the mean Kullback-Leibler divergence. The last latent is 1 / 2 everywhere.

        Args:
            distributions: over classes, (positions, classes).
            dim: width of the latents.
            rng: for the first decoder.
        """
        target = single(distributions)
        positions, classes = target.shape
        decoder = single(rng.standard_normal((dim, classes)))
        latents = decoder.T[target.argmax(1)].clone()
        latents[:, -1] = 1.0
        latents_bar, decoder_bar = torch.empty_like(latents), torch.empty_like(decoder)
        latents.grad, decoder.grad = latents_bar, decoder_bar
        adam = torch.optim.Adam([latents, decoder], lr=0.05)
        for fit in range(self.fits):
            adam.param_groups[0]["lr"] = 0.05 * (1 - fit / self.fits) + 1e-3
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


@dataclass(frozen=True, eq=False)
class ClassSequences:
    """Real windows as sequences of classes of events.

    Attributes:
        rows: the class at each position, (sequences, length).
        class_of: the class of each event, (V,); padding has that of the first event.
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


def _adjacent(log: Sequences, vocabulary: int) -> sparse.csr_matrix:
    """(V, V): how often one event follows another directly."""
    owner = np.repeat(np.arange(len(log)), log.lengths)
    same = owner[1:] == owner[:-1]
    pair = (log.items[:-1][same], log.items[1:][same])
    counts = sparse.coo_matrix((np.ones(int(same.sum())), pair), shape=(vocabulary, vocabulary))
    return sparse.csr_matrix(counts)


def _row_shares(matrix: Any) -> sparse.csr_matrix:
    """The matrix with each row divided by its sum, where that is not 0."""
    total = np.asarray(matrix.sum(1)).ravel()
    return sparse.csr_matrix(sparse.diags(1 / np.maximum(total, 1)) @ matrix)


def _between_classes(adjacent: sparse.csr_matrix, class_of: np.ndarray) -> np.ndarray:
    """(classes, classes): how often one class follows another directly."""
    classes = class_of.max() + 1
    pairs = adjacent.tocoo()
    cells = class_of[pairs.row] * classes + class_of[pairs.col]
    return np.bincount(cells, pairs.data, classes * classes).reshape(classes, classes)


def _log_shares(class_of: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Log P(event | class), (V,), 0 for padding; an event that never occurs is counted once."""
    counts = np.maximum(counts, 1.0)
    counts[0] = 0.0
    total = np.bincount(class_of, counts)
    counts[0] = total[class_of[0]]
    return np.log(counts / total[class_of])
