"""A start from classes of events that keep the same company: see `ClassInitializer`."""

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import scipy.sparse as sparse
import torch
from scipy.sparse.linalg import svds

from farzi.data import Sequences
from farzi.summary.initializers.base import Size, real_windows, single
from farzi.summary.initializers.ensemble import Ensemble
from farzi.summary.initializers.fitting import add_gradient, chunks
from farzi.summary.tensors import SummaryTensors


@dataclass(frozen=True)
class ClassInitializer:
    r"""Real sequences in which each event stands as its class; a class bigram model (Brown et al. 1992).

    Events are put into classes by what stands right before and after them. A synthetic event is then
    P(event | class): all of the class in proportion to their counts. What the few sequences say is thus said
    of classes, often enough that a student learns it before it can learn the sequences by heart: real
    sentences of the same number teach a language model next to nothing but themselves.

    `smoothing` of each event is what the class model expects there, after the class before it: a little of
    all that might have been said teaches more than what happened to be.

    Of many real windows, those are taken whose transitions between classes, taken together, come nearest
    to the shares that they have in all of the log (greedily, by χ²).

    Attributes:
        classes: how many; None: twice the root of the number of events in the summary, so that there is one
            for every four transitions from class to class. With 150 for 6,000 events the student below
            reached 105, with 77 it reached 110, with 220 it reached 109.
        smoothing: share of the expectation in each event. On Penn Treebank cut to 2,000 words, 200 sequences
            of 30 trained a Transformer of width 32 to perplexity 112, 105, 105 and 109 with 0, 0.2, 0.4 and
            0.6 (single runs).
        candidates: real windows to pick from.
        directions: of the events' company, in which they are compared.
        rounds: of the clustering.
        fits: steps of the fit of latents and decoder.
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
        """See the class."""
        of = self.sequences(size, log, rng)
        latents, decoder = self.factors(self._softened(of), size.dim, rng)
        latents = latents.reshape(size.sequences, size.length, size.dim)
        return SummaryTensors(
            single(latents), single(of.lifted(decoder) * size.temperature), size.temperature
        )

    def sequences(
        self, size: Size, log: Sequences, rng: np.random.Generator, points: np.ndarray | None = None
    ) -> "ClassSequences":
        """The classes, and real sequences of them.

        Args:
            size: of the summary.
            log: training sequences.
            rng: for all draws.
            points: where each event is, (V, width), for classes of events that are near each other; if None,
                the company that they keep.
        """
        asked = self.classes or round(2 * (size.sequences * size.length) ** 0.5)
        near = _adjacent(log, size.vocabulary)
        counts = np.bincount(log.items, minlength=size.vocabulary).astype(float)
        if points is None:
            points = self._company(near, counts, rng)
        class_of = self._cluster(points, counts, min(asked, size.vocabulary - 1))
        transitions = _between_classes(near, class_of)
        rows = class_of[self._representative(class_of, transitions, size, log, rng)]
        return ClassSequences(rows, class_of, _log_shares(class_of, counts), transitions)

    def _company(self, near: sparse.csr_matrix, counts: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """The square roots of P(next | event) and P(event before | event), (V, directions).

        Their distances are Hellinger's.
        """
        company = sparse.csr_matrix(sparse.hstack([_shares_of_rows(near), _shares_of_rows(near.T)]))
        company.data = np.sqrt(company.data)
        rank = min(self.directions, len(counts) - 1)
        if company.nnz == 0:  # which ARPACK does not take; the company is the same, and classes must not be
            return np.arange(len(counts), dtype=float)[:, None]
        weighted = company.multiply(np.sqrt(counts)[:, None]).tocsr()
        _, _, directions = cast(Any, svds(weighted, k=rank, v0=rng.standard_normal(len(counts))))
        return company @ directions.T

    def _cluster(self, points: np.ndarray, counts: np.ndarray, classes: int) -> np.ndarray:
        """The class of each event, (V,), from 0 on; padding has that of the first event.

        k-means, which begins with the commonest events and counts each by the root of its count. A class that
        nobody is in goes where an event is worst off.
        """
        points, weights = points[1:], np.sqrt(counts[1:])
        centres = points[np.argsort(-counts[1:], kind="stable")[:classes]]
        nearest = np.zeros(len(points), int)
        for _ in range(self.rounds):
            nearest, apart = _nearest(points, centres)
            total = np.bincount(nearest, weights, classes)[:, None]
            member = sparse.csr_matrix((weights, (nearest, np.arange(len(points)))), (classes, len(points)))
            centres = np.where(total > 0, member @ points / np.maximum(total, 1e-12), centres)
            empty = np.flatnonzero(total == 0)
            if len(empty):
                lost = weights * (apart + (points**2).sum(1))
                centres[empty] = points[np.argsort(-lost, kind="stable")[: len(empty)]]
        return np.concatenate([nearest[:1], nearest])

    def _representative(
        self,
        class_of: np.ndarray,
        transitions: np.ndarray,
        size: Size,
        log: Sequences,
        rng: np.random.Generator,
    ) -> np.ndarray:
        """Real windows, (sequences, length), with the log's shares of transitions from class to class."""
        windows = real_windows(log, max(self.candidates, size.sequences), size.length, rng)
        classes = len(transitions)
        shares = transitions.ravel() / max(transitions.sum(), 1) * (size.length - 1)  # of one window
        cells = class_of[windows[:, :-1]] * classes + class_of[windows[:, 1:]]  # (candidates, length - 1)
        shares = shares[cells]
        weight = 1 / (size.sequences * shares + 0.5)
        taken = np.zeros(classes * classes)
        chosen = np.zeros(size.sequences, int)
        left = np.ones(len(windows), bool)
        for place in range(size.sequences):
            surplus = taken[cells] - (place + 1) * shares
            cost = (weight * (2 * surplus + 1)).sum(1)
            chosen[place] = np.where(left, cost, np.inf).argmin()
            left[chosen[place]] = False
            np.add.at(taken, cells[chosen[place]], 1)
        return windows[chosen]

    def _softened(self, of: "ClassSequences") -> np.ndarray:
        """Distributions over classes, (events, classes), of real sequences of them."""
        classes = len(of.transitions)
        smooth = of.transitions + (0.1 * of.transitions.mean() or 1.0)
        expected = (smooth / smooth.sum(1, keepdims=True))[of.rows[:, :-1]]
        soft = np.eye(classes)[of.rows]
        soft[:, 1:] = (1 - self.smoothing) * soft[:, 1:] + self.smoothing * expected
        return soft.reshape(-1, classes)

    def factors(
        self, wanted: np.ndarray, dim: int, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Latents (events, dim) and a decoder (dim, classes): softmax of their product ≈ wanted.

        The least mean Kullback-Leibler divergence that Adam finds. The last latent is 1 / 2 throughout.
        """
        target = single(wanted)
        events, classes = target.shape
        decoder = single(rng.standard_normal((dim, classes)))
        latents = decoder.T[target.argmax(1)].clone()
        latents[:, -1] = 1.0
        latents_bar, decoder_bar = torch.empty_like(latents), torch.empty_like(decoder)
        latents.grad, decoder.grad = latents_bar, decoder_bar
        adam = torch.optim.Adam([latents, decoder], lr=0.05)
        for fit in range(self.fits):
            adam.param_groups[0]["lr"] = 0.05 * (1 - fit / self.fits) + 1e-3
            # The mean divergence and 1e-4 of the mean square norms, times the number of events.
            torch.mul(latents, 2e-4, out=latents_bar)
            torch.mul(decoder, 2e-4 * events / classes, out=decoder_bar)
            add_gradient(latents, decoder, latents_bar, decoder_bar, target.__getitem__)
            latents_bar /= events
            decoder_bar /= events
            latents_bar[:, -1] = 0.0
            adam.step()
        # The outer loop moves all numbers alike; it goes faster where latents, which are only their own
        # event's, go relatively further than the decoder, which is everybody's.
        return 0.5 * latents.numpy(), 2.0 * decoder.numpy()


@dataclass(frozen=True, eq=False)
class ClassSequences:
    """Real sequences of classes of events.

    Attributes:
        rows: class at each position, (sequences, length).
        class_of: of each event, (V,); padding has that of the first event.
        log_shares: log P(event | class), (V,); 0 for padding.
        transitions: how often one class comes right after another, (classes, classes).
    """

    rows: np.ndarray
    class_of: np.ndarray
    log_shares: np.ndarray
    transitions: np.ndarray

    def lifted(self, decoder: np.ndarray) -> np.ndarray:
        """A decoder over events, (dim, V), of one over classes whose last latent is 1 / 2 throughout."""
        lifted = decoder[:, self.class_of]
        lifted[-1] += 2.0 * self.log_shares
        lifted[:, 0] = 0.0
        return lifted

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """Real events at random of the classes, (sequences, length): each as often as it is its class's."""
        order = np.argsort(self.class_of[1:], kind="stable") + 1
        shares = np.exp(self.log_shares[order])
        begins = np.searchsorted(self.class_of[order], np.arange(len(self.transitions) + 1))
        upto = np.concatenate([[0.0], np.cumsum(shares)])
        first, last = upto[begins[self.rows]], upto[begins[self.rows + 1]]
        at = np.searchsorted(upto, first + rng.random(self.rows.shape) * (last - first), side="right") - 1
        return order[at.clip(begins[self.rows], begins[self.rows + 1] - 1)]


def _nearest(points: np.ndarray, centres: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The nearest centre of each point, and their squared distance less the point's own square.

    In chunks: points x centres would be gigabytes for a hundred thousand events.
    """
    nearest, apart = np.zeros(len(points), int), np.zeros(len(points))
    squares, twice = (centres**2).sum(1), 2 * centres.T
    for rows in chunks(len(points), len(centres)):
        distance = squares - points[rows] @ twice
        nearest[rows] = distance.argmin(1)
        apart[rows] = distance.min(1)
    return nearest, apart


def _adjacent(log: Sequences, vocabulary: int) -> sparse.csr_matrix:
    """(V, V): how often one event comes right after another."""
    owner = np.repeat(np.arange(len(log)), log.lengths)
    same = owner[1:] == owner[:-1]
    pair = (log.items[:-1][same], log.items[1:][same])
    counts = sparse.coo_matrix((np.ones(int(same.sum())), pair), shape=(vocabulary, vocabulary))
    return sparse.csr_matrix(counts)


def _shares_of_rows(matrix: Any) -> sparse.csr_matrix:
    """The matrix with each row divided by its sum, where that is not 0."""
    total = np.asarray(matrix.sum(1)).ravel()
    return sparse.csr_matrix(sparse.diags(1 / np.maximum(total, 1)) @ matrix)


def _between_classes(near: sparse.csr_matrix, class_of: np.ndarray) -> np.ndarray:
    """(classes, classes): how often one class comes right after another."""
    classes = class_of.max() + 1
    pairs = near.tocoo()
    cells = class_of[pairs.row] * classes + class_of[pairs.col]
    return np.bincount(cells, pairs.data, classes * classes).reshape(classes, classes)


def _log_shares(class_of: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Log P(event | class), (V,), 0 for padding; an event that is never met counts once."""
    counts = np.maximum(counts, 1.0)
    counts[0] = 0.0
    total = np.bincount(class_of, counts)
    counts[0] = total[class_of[0]]
    return np.log(counts / total[class_of])
