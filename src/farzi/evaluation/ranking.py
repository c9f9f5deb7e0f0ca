"""Ranking metrics over the full catalogue.

A held-out event is ranked among all items of the vocabulary, never among a sample. Ties count against the
model: the rank is the number of other items that score at least as high. A model that gives all items the
same score, or nan, ranks the event last. An item that no training event has (`Holdout.untrained`) has a score
that means nothing: it is ranked behind all others, and as a held-out event it is a miss in every metric. If a
user has several held-out events, each is ranked separately from the same history, and the user's figure is
their mean.
"""

from typing import Literal

import numpy as np
import torch

from farzi.data import Holdout, pad_left
from farzi.evaluation.metrics import Evaluation
from farzi.evaluation.predictors import Ranker

Seen = Literal["keep", "exclude"]
"""Whether the ranking contains the items of the user's history."""


def evaluate_ranking(
    model: Ranker,
    holdout: Holdout,
    seen: Seen = "keep",
    at: tuple[int, ...] = (10, 100),
    batch: int = 512,
) -> Evaluation:
    """Rank each held-out event from its user's history.

    Args:
        model: a `SequenceModel`, or anything else that scores items.
        holdout: histories and targets.
        seen: "exclude" removes all items of the history from the ranking; a repeated event is then a miss
            in every metric.
        at: the k of HR@k and nDCG@k.
        batch: users at a time.

    Returns:
        HR@k (the hit rate, which equals recall for one target), nDCG@k (1/log2(rank + 2) within the first k),
        MRR (1/(rank + 1)) and AUC (the share of the other ranked items that score lower), with ranks from 0.
        Units are users.
    """
    ranks, others = _ranks(model, holdout, seen, batch)
    per_event = {
        **{f"HR@{k}": (ranks < k).astype(float) for k in at},
        **{f"nDCG@{k}": np.where(ranks < k, 1 / np.log2(ranks + 2.0), 0.0) for k in at},
        "MRR": 1 / (ranks + 1.0),
        "AUC": np.maximum(0, 1 - ranks / np.maximum(1, others)),
    }
    counts = holdout.targets.lengths
    owner = np.repeat(np.arange(len(holdout)), counts)
    return Evaluation(
        {name: np.bincount(owner, values, len(holdout)) / counts for name, values in per_event.items()}
    )


@torch.no_grad()
def _ranks(model: Ranker, holdout: Holdout, seen: Seen, batch: int) -> tuple[np.ndarray, np.ndarray]:
    """For each target its rank from 0 (inf: not ranked) and the number of other items ranked."""
    histories = torch.from_numpy(pad_left(holdout.histories, model.length))
    device = model.device
    untrained = torch.from_numpy(holdout.untrained).to(device)
    ranks, others = [], []
    for start in range(0, len(holdout), batch):
        users = np.arange(start, min(start + batch, len(holdout)))
        scores = model.next_scores(histories[start : start + batch].to(device))
        scores = torch.where(scores.isnan(), -torch.inf, scores)
        scores[:, untrained] = -torch.inf
        # From here on nan marks items that are not ranked: every comparison with it is false.
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
        for part in range(0, len(rows), batch):  # in parts, so that many targets of one user fit in memory
            mine = scores[rows[part : part + batch]]
            own = mine.gather(1, target[part : part + batch, None])
            above = (mine >= own).sum(-1) - 1.0
            rank[part : part + batch] = torch.where(own[:, 0].isnan(), torch.inf, above)
        rank[torch.isin(target, untrained)] = torch.inf
        ranks.append(rank.cpu().numpy())
        others.append((candidates[rows] - 1).cpu().numpy())
    return np.concatenate(ranks), np.concatenate(others)
