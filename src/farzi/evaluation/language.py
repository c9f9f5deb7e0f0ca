r"""Perplexity, next-token accuracy and bits per byte of held-out text.

Every token of a document is predicted exactly once; the first one is predicted from an end of line. A model
of length L reads windows of at most L tokens. Only the last `stride` predictions of each window count, and
the next window starts `stride` tokens later. Each token is therefore predicted from L − `stride` + 1 to L
tokens before it, or from all of them near the start of the document. A smaller stride gives more context and
takes L / `stride` times the work of one pass.

With p_t the model's probability of token t, N tokens and B bytes of text,

    perplexity = exp(−Σ log p_t / N),     bits per byte = −Σ log p_t / (B log 2),

Accuracy is the share of tokens that score higher than every other token; a tie is a miss. Padding has no
share in p. A text with unknown tokens has no bits per byte: what they hide need not be predicted. The same
is true of capitals if tokens are in lower case, so compare with such tokens only.

Sums are in float64. Units are passages of 200 tokens, because neighbouring tokens are not independent and a
bootstrap over tokens would be too optimistic.
"""

import numpy as np
import torch

from farzi.data import Passages
from farzi.errors import FarziError
from farzi.evaluation.metrics import Evaluation
from farzi.evaluation.predictors import LanguageModel

PASSAGE = 200
"""Tokens in a unit."""
SCORES = 2**20
"""Scores held at a time; 4 MiB."""


def stride_of(length: int, stride: int | None = None) -> int:
    """The predictions of a window: half of the model's length, rounded up, if not given.

    Raises:
        FarziError: the stride is not in 1..length.
    """
    stride = -(-length // 2) if stride is None else stride
    if not 1 <= stride <= length:
        raise FarziError(f"stride must be in 1..{length}, the model's length, not {stride}")
    return stride


def evaluate_text(
    model: LanguageModel,
    held: Passages,
    stride: int | None = None,
    tokens: int | None = None,
    batch: int | None = None,
) -> Evaluation:
    """Predict each token of held-out text.

    Args:
        model: a `SequenceModel`, or anything else that scores tokens.
        held: the documents.
        stride: see above; by default half of the model's length, rounded up.
        tokens: predict about this many at most, those of every second window, or third, and so on. All if
            None.
        batch: windows at a time; by default as many as `SCORES` allows.

    Returns:
        "perplexity", "accuracy" and, unless some tokens are unknown, "bits per byte". Units are passages of
        `PASSAGE` tokens, in order. Each unit's sum is divided by the mean size of a unit, so that the mean
        over units is exact although the last unit is smaller.

    Raises:
        FarziError: the stride is not in 1..L.
    """
    stride = stride_of(model.length, stride)
    cut = [_windows(text, held.start, model.length, stride) for text in held.texts]
    thin = 1 if tokens is None else -(-len(held) // tokens)
    read = np.concatenate([rows for rows, _ in cut])[::thin]
    wanted = np.concatenate([targets for _, targets in cut])[::thin]
    if batch is None:
        first = torch.from_numpy(read[:1].copy()).to(model.device)
        batch = max(1, SCORES // (stride * model.last_scores(first, 1).shape[-1]))
    parts = [
        _predict(model, read[begin : begin + batch], wanted[begin : begin + batch])
        for begin in range(0, len(read), batch)
    ]
    loss, hit = (np.concatenate(part) for part in zip(*parts))
    unit = np.arange(len(loss)) // PASSAGE
    units = int(unit[-1]) + 1
    nats, right = np.bincount(unit, loss, units), np.bincount(unit, hit, units)
    size = len(loss) / units
    figures = {"perplexity": nats / size, "accuracy": right / size}
    if held.bytes is not None:
        figures["bits per byte"] = nats / (np.log(2) * size * held.bytes / len(held))
    return Evaluation(figures)


def _windows(text: np.ndarray, start: int, length: int, stride: int) -> tuple[np.ndarray, np.ndarray]:
    """A document, (n,), which follows the token `start`, cut into windows.

    Returns:
        The tokens read, (windows, length), padded with zeros on the left; and the targets of the last
        `stride` positions of each window, (windows, stride), zeros after the end of the text.
    """
    count = -(-len(text) // stride)
    targets = np.zeros(count * stride, np.int64)
    targets[: len(text)] = text
    read = np.zeros(count * stride + length, np.int64)
    read[length - stride] = start
    read[length - stride + 1 :][: len(text)] = text
    rows = np.lib.stride_tricks.sliding_window_view(read, length)[::stride][:count]
    return rows, targets.reshape(count, stride)


@torch.no_grad()
def _predict(model: LanguageModel, read: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each target but zeros: −log p in nats, and whether it scored highest; both float64 and (n,)."""
    device = model.device
    events = torch.from_numpy(np.ascontiguousarray(read)).to(device)
    wanted = torch.from_numpy(targets).to(device).unsqueeze(-1)
    scores = model.last_scores(events, targets.shape[1])
    own = scores.gather(-1, wanted)
    loss = (torch.logsumexp(scores, -1) - own.squeeze(-1)).double()
    loss = torch.where(loss.isnan(), torch.inf, loss)
    hit = ((scores >= own).sum(-1) == 1).double()
    return loss.cpu().numpy()[targets > 0], hit.cpu().numpy()[targets > 0]
