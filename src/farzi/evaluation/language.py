r"""Perplexity, next-token accuracy and bits per byte of held-out text.

Every token of a document is predicted exactly once, its first one included, which follows on an end of line.
A student of length L reads windows of at most L tokens; of each window's predictions the last `stride`
count, and the next window begins `stride` tokens further on. So each token is predicted from at least
L − `stride` + 1 tokens before it, or from all there are where the document has just begun, and from at most
L. A smaller stride gives more context, and takes L / `stride` times the work of one pass.

With p_t the probability that the student gives token t, out of N tokens and B bytes of text,

    perplexity = exp(−Σ log p_t / N),     bits per byte = −Σ log p_t / (B log 2),

accuracy is the share of tokens that score higher than every other; a tie is a miss. Padding is never
predicted: it has no share in p. Bits per byte compare tokenizers only where none has `<unk>`, and small
letters for capitals: what such a one leaves out it need not predict.

Sums are in float64. Units are passages of some hundred tokens, so that a bootstrap does not take neighbouring
tokens for independent ones.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from farzi.data import Passages
from farzi.evaluation.metrics import Figures
from farzi.models import SequenceModel

PASSAGE = 200
"""Tokens in a unit."""


@dataclass(frozen=True)
class Windows:
    """How a text is read.

    Attributes:
        length: L, tokens that a student sees at most.
        stride: tokens predicted by each window.
    """

    length: int
    stride: int

    def __post_init__(self) -> None:
        """Check that windows leave nothing out."""
        if not 1 <= self.stride <= self.length:
            raise ValueError(f"stride must be in 1..{self.length}, the student's length, got {self.stride}")

    @classmethod
    def half(cls, length: int) -> "Windows":
        """With a stride of half the length, rounded up, so that about half of it is context."""
        return cls(length, -(-length // 2))

    @property
    def context(self) -> int:
        """Tokens before each predicted one at least."""
        return self.length - self.stride + 1

    def __call__(self, text: np.ndarray, start: int) -> tuple[np.ndarray, np.ndarray]:
        """Cut a document.

        Args:
            text: token indices, (n,).
            start: the token before the first.

        Returns:
            What is read, (windows, length), padded with zeros at the left; and what the last `stride`
            positions of each predict, (windows, stride), zeros where the text has ended.
        """
        count = -(-len(text) // self.stride)
        targets = np.zeros(count * self.stride, np.int64)
        targets[: len(text)] = text
        read = np.zeros(count * self.stride + self.length, np.int64)
        read[self.context - 1] = start
        read[self.context : self.context + len(text)] = text
        rows = np.lib.stride_tricks.sliding_window_view(read, self.length)[:: self.stride][:count]
        return rows, targets.reshape(count, self.stride)


SCORES = 2**20
"""Scores held at a time; 4 MiB."""


def read_text(
    student: SequenceModel,
    held: Passages,
    stride: int | None = None,
    tokens: int | None = None,
    batch: int | None = None,
) -> Figures:
    """Predict each token of held-out text.

    Args:
        student: sees `student.length` tokens at most.
        held: the documents.
        stride: see above; by default half of the student's length, rounded up.
        tokens: predict about so many at most, those of every second window, or third, and so on: a quick
            look. All if None.
        batch: windows at a time; by default as many as `SCORES` allow.

    Returns:
        "perplexity", "accuracy" and "bits per byte"; units are passages of `PASSAGE` tokens, in order. Each
        unit's sum is divided by the mean size of a unit, so that the mean of units is the exact figure
        although the last unit is smaller.

    Raises:
        ValueError: the stride is not in 1..L.
    """
    windows = Windows.half(student.length) if stride is None else Windows(student.length, stride)
    cut = [windows(text, held.start) for text in held.texts]
    thin = 1 if tokens is None else -(-len(held) // tokens)
    read = np.concatenate([rows for rows, _ in cut])[::thin]
    wanted = np.concatenate([targets for _, targets in cut])[::thin]
    batch = batch or max(1, SCORES // (windows.stride * len(student.output_table)))
    losses, hits = [], []
    for begin in range(0, len(read), batch):
        targets = wanted[begin : begin + batch]
        loss, hit = _predict(student, read[begin : begin + batch], targets)
        losses.append(loss[targets > 0])
        hits.append(hit[targets > 0])
    loss, hit = np.concatenate(losses), np.concatenate(hits)
    unit = np.arange(len(loss)) // PASSAGE
    units = int(unit[-1]) + 1
    nats, right = np.bincount(unit, loss, units), np.bincount(unit, hit, units)
    size = len(loss) / units
    return Figures(
        {
            "perplexity": nats / size,
            "accuracy": right / size,
            "bits per byte": nats / (np.log(2) * size * held.bytes / len(held)),
        }
    )


@torch.no_grad()
def _predict(student: SequenceModel, read: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """−log p, nats, and whether the token scored highest, both float64 and (windows, stride)."""
    device = student.device
    events = torch.from_numpy(np.ascontiguousarray(read)).to(device)
    wanted = torch.from_numpy(targets).to(device).unsqueeze(-1)
    hidden = student.hidden(student.embed(events), events > 0)[:, -targets.shape[1] :]
    scores = hidden @ student.output_table.T
    scores[..., 0] = -torch.inf
    own: Tensor = scores.gather(-1, wanted)
    loss = (torch.logsumexp(scores, -1) - own.squeeze(-1)).double()
    loss = torch.where(loss.isnan(), torch.inf, loss)
    hit = ((scores >= own).sum(-1) == 1).double()
    return loss.cpu().numpy(), hit.cpu().numpy()
