"""Ranking metrics over the full catalogue.

A held-out event is ranked among all items of the vocabulary, never among a sample. Ties count against the
model: the rank is the number of other items that score at least as high, so that a model that scores
everything alike, or gives nan, ranks the event last. Where a user has several held-out events each is ranked
by itself, from the same history, and the user's figure is the mean.
"""

from typing import Literal

import numpy as np
import torch

from farzi.data import Holdout, pad_left
from farzi.evaluation.metrics import Figures
from farzi.models import SequenceModel

Seen = Literal["keep", "exclude"]
"""Whether items of the user's own history are ranked as well, or left out."""


def evaluate(
    student: SequenceModel,
    holdout: Holdout,
    seen: Seen = "keep",
    at: tuple[int, ...] = (10, 100),
    batch: int = 512,
) -> Figures:
    """Rank each held-out event from its user's history.

    Args:
        student: sees the last `student.length` events of a history.
        holdout: histories and targets.
        seen: "exclude" leaves the items of the history, all of it, out of the ranking (a repeated event is
            then a sure miss, whatever the metric).
        at: the k of HR@k and nDCG@k.
        batch: users at a time.

    Returns:
        HR@k (the hit rate, which for one target is the recall), nDCG@k (1/log2(rank + 2) within the first k),
        MRR (1/(rank + 1)) and AUC (the share of the other ranked items that score lower), with ranks from 0;
        units are users.
    """
    ranks, others = _ranks(student, holdout, seen, batch)
    figures: dict[str, np.ndarray] = {}
    for k in at:
        figures[f"HR@{k}"] = (ranks < k).astype(float)
    for k in at:
        figures[f"nDCG@{k}"] = np.where(ranks < k, 1 / np.log2(ranks + 2.0), 0.0)
    figures["MRR"] = 1 / (ranks + 1.0)
    figures["AUC"] = np.maximum(0, 1 - ranks / np.maximum(1, others))
    counts = holdout.targets.lengths
    owner = np.repeat(np.arange(len(holdout)), counts)
    return Figures(
        {name: np.bincount(owner, values, len(holdout)) / counts for name, values in figures.items()}
    )


@torch.no_grad()
def _ranks(student: SequenceModel, holdout: Holdout, seen: Seen, batch: int) -> tuple[np.ndarray, np.ndarray]:
    """For each target its rank from 0 (inf: not ranked at all) and the number of other items ranked."""
    histories = torch.from_numpy(pad_left(holdout.histories, student.length))
    device = student.device
    ranks, others = [], []
    for start in range(0, len(holdout), batch):
        users = np.arange(start, min(start + batch, len(holdout)))
        scores = student.next_scores(histories[start : start + batch].to(device))
        scores = torch.where(scores.isnan(), -torch.inf, scores)
        # From here on nan marks what is not ranked: no comparison with it holds.
        scores[:, 0] = torch.nan
        if seen == "exclude":
            known = holdout.histories.select(users)
            rows = torch.from_numpy(np.repeat(np.arange(len(users)), known.lengths)).to(device)
            scores[rows, torch.from_numpy(known.items).to(device)] = torch.nan
        candidates = (~scores.isnan()).sum(-1)
        wanted = holdout.targets.select(users)
        rows = torch.from_numpy(np.repeat(np.arange(len(users)), wanted.lengths)).to(device)
        rank = torch.empty(len(rows), dtype=torch.float64, device=device)
        target = torch.from_numpy(wanted.items).to(device)
        for part in range(0, len(rows), batch):  # a user with many targets must not fill the memory
            mine = scores[rows[part : part + batch]]
            own = mine.gather(1, target[part : part + batch, None])
            above = (mine >= own).sum(-1) - 1.0
            rank[part : part + batch] = torch.where(own[:, 0].isnan(), torch.inf, above)
        ranks.append(rank.cpu().numpy())
        others.append((candidates[rows] - 1).cpu().numpy())
    return np.concatenate(ranks), np.concatenate(others)
