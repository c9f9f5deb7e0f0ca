"""A start from classes of events that keep the same company: see `Classes`."""

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import scipy.sparse as sparse
import torch
from scipy.sparse.linalg import svds

from farzi.data import Sequences
from farzi.summary.start import Size, real_windows, single
from farzi.summary.summary import Summary


@dataclass(frozen=True)
class Classes:
    r"""Real sequences in which each event stands as its class; a class bigram model (Brown et al. 1992).

    Events are put into classes by what stands right before and after them. A synthetic event is then
    P(event | class): all of the class in proportion to their counts. What the few sequences say is thus said
    of classes, often enough that a student learns it before it can learn the sequences by heart: real
    sentences of the same number teach a language model next to nothing but themselves.

    Of many real windows, those are taken whose transitions between classes, taken together, come nearest
    to the shares that they have in all of the log (greedily, by χ²).

    Attributes:
        classes: how many; None: √(events in the summary), so that there is about one event for each
            transition from class to class.
        candidates: real windows to pick from.
        directions: of the events' company, in which they are compared.
        rounds: of the clustering.
        fits: steps of the fit of latents and decoder to the classes' distributions.
    """

    classes: int | None = None
    candidates: int = 20_000
    directions: int = 64
    rounds: int = 30
    fits: int = 400

    def __call__(self, size: Size, log: Sequences, rng: np.random.Generator) -> Summary:
        """See the class."""
        wanted = self.classes or round((size.sequences * size.length) ** 0.5)
        near = _adjacent(log, size.vocabulary)
        counts = np.bincount(log.items, minlength=size.vocabulary).astype(float)
        class_of = self._cluster(near, counts, min(wanted, size.vocabulary - 1), rng)
        windows = self._representative(class_of, near, size, log, rng)
        latents, decoder = self._factors(_shares(class_of, counts), size.dim, rng)
        return Summary(
            single(latents[class_of[windows]]), single(decoder * size.temperature), size.temperature
        )

    def _cluster(
        self, near: sparse.csr_matrix, counts: np.ndarray, classes: int, rng: np.random.Generator
    ) -> np.ndarray:
        """The class of each event, (V,), from 0 on; padding has that of the first event.

        k-means of the square roots of P(next | event) and P(event before | event), whose distances are
        Hellinger's. It begins with the commonest events, and counts each by the root of its count.
        """
        company = sparse.csr_matrix(sparse.hstack([_shares_of_rows(near), _shares_of_rows(near.T)]))
        company.data = np.sqrt(company.data)
        rank = min(self.directions, len(counts) - 1)
        if company.nnz == 0:  # which ARPACK does not take
            return np.arange(len(counts)).clip(1) % classes
        weighted = company.multiply(np.sqrt(counts)[:, None]).tocsr()
        _, _, directions = cast(Any, svds(weighted, k=rank, v0=rng.standard_normal(len(counts))))
        points = company[1:] @ directions.T
        weights = np.sqrt(counts[1:])
        centres = points[np.argsort(-counts[1:], kind="stable")[:classes]]
        nearest = np.zeros(len(points), int)
        for _ in range(self.rounds):
            nearest = ((centres**2).sum(1) - 2 * points @ centres.T).argmin(1)
            total = np.bincount(nearest, weights, classes)[:, None]
            member = sparse.csr_matrix((weights, (nearest, np.arange(len(points)))), (classes, len(points)))
            centres = np.where(total > 0, member @ points / np.maximum(total, 1e-12), centres)
        return np.concatenate([nearest[:1], nearest])

    def _representative(
        self,
        class_of: np.ndarray,
        near: sparse.csr_matrix,
        size: Size,
        log: Sequences,
        rng: np.random.Generator,
    ) -> np.ndarray:
        """Real windows, (sequences, length), with the log's shares of transitions from class to class."""
        windows = real_windows(log, max(self.candidates, size.sequences), size.length, rng)
        classes = class_of.max() + 1
        pairs = near.tocoo()
        shares = np.bincount(
            class_of[pairs.row] * classes + class_of[pairs.col], pairs.data, classes * classes
        )
        shares = shares / max(shares.sum(), 1) * (size.length - 1)  # of one window
        cells = class_of[windows[:, :-1]] * classes + class_of[windows[:, 1:]]  # (candidates, length - 1)
        weight = 1 / (size.sequences * shares + 0.5)
        surplus = np.zeros(classes * classes)
        chosen = np.zeros(size.sequences, int)
        left = np.ones(len(windows), bool)
        for place in range(size.sequences):
            surplus -= shares
            cost = (weight * (2 * surplus + 1))[cells].sum(1)
            chosen[place] = np.where(left, cost, np.inf).argmin()
            left[chosen[place]] = False
            np.add.at(surplus, cells[chosen[place]], 1)
        return windows[chosen]

    def _factors(
        self, shares: np.ndarray, dim: int, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Latents of the classes, (classes, dim), and a decoder, (dim, V): softmax of their product ≈ shares.

        The least mean Kullback-Leibler divergence that Adam finds, with a little decay. One dimension begins
        as the logarithm of the events' counts, so that the others need only tell the classes apart.
        """
        wanted = single(shares)
        own = wanted.argmax(0)
        latents = single(rng.standard_normal((len(shares), dim)))
        latents[:, -1] = 1.0
        decoder = 0.1 * single(rng.standard_normal((dim, shares.shape[1]))) + 0.5 * latents.T[:, own]
        level = shares.max(0)
        log_share = np.log(level, where=level > 0, out=np.zeros_like(level))
        decoder[-1] = single(log_share - log_share[1:].mean())
        decoder[:, 0] = 0.0
        latents.requires_grad_()
        decoder.requires_grad_()
        adam = torch.optim.Adam([latents, decoder], lr=0.05)
        for fit in range(self.fits):
            adam.param_groups[0]["lr"] = 0.05 * (1 - fit / self.fits) + 1e-3
            scores = torch.log_softmax((latents @ decoder)[:, 1:], -1)
            size = latents.square().sum() / len(latents) + decoder.square().sum() / decoder.shape[1]
            loss = -(wanted[:, 1:] * scores).sum() / len(latents) + 1e-4 * size
            adam.zero_grad()
            loss.backward()
            adam.step()
        fitted = decoder.detach()
        fitted[:, 0] = 0.0
        return latents.detach().numpy(), fitted.numpy()


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


def _shares(class_of: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """P(event | class), (classes, V): nothing on padding; an event that is never met counts once."""
    counts = np.maximum(counts, 1.0)
    counts[0] = 0.0
    shares = np.zeros((class_of.max() + 1, len(counts)))
    shares[class_of, np.arange(len(counts))] = counts
    total = shares.sum(1, keepdims=True)
    empty = total[:, 0] == 0  # nobody's class: no window has it
    shares[empty] = counts
    return shares / shares.sum(1, keepdims=True)
