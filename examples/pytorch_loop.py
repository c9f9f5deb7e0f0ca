"""A plain PyTorch loop on a summary, with a model that knows nothing of Farzi.

farzi distill --out runs/mine && python examples/pytorch_loop.py runs/mine
"""

import sys

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

import farzi
from farzi.data import load_data


class Net(nn.Module):
    """A GRU. `length`, `device` and `next_scores` are what `farzi.evaluate` needs."""

    def __init__(self, vocabulary: int, length: int, width: int = 32) -> None:
        super().__init__()
        self.length = length
        self.embedding = nn.Embedding(vocabulary, width)
        self.gru = nn.GRU(width, width, batch_first=True)

    def forward(self, embedded: Tensor) -> Tensor:
        """Scores (B, L, V) of the next event from embedded ones (B, L, width)."""
        return self.gru(embedded)[0] @ self.embedding.weight.T

    @property
    def device(self) -> torch.device:
        """Of its parameters."""
        return self.embedding.weight.device

    @torch.no_grad()
    def next_scores(self, histories: Tensor) -> Tensor:
        """Scores (B, V) after histories of indices (B, L)."""
        return self(self.embedding(histories) * (histories > 0).unsqueeze(-1))[:, -1]


def soft_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy with soft labels; both are (B, L, V), and column 0 is padding."""
    padding = torch.zeros(1, dtype=torch.long, device=logits.device)
    logits = logits.index_fill(-1, padding, -100.0)
    return -(labels * logits.log_softmax(-1)).sum(-1).mean()


def train(summary: farzi.Summary, epochs: int = 100) -> Net:
    """A model from fresh random weights, trained on the summary."""
    torch.manual_seed(0)
    model = Net(len(summary.vocabulary), summary.tensors.length - 1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01, weight_decay=0.1)
    loader = DataLoader(summary.dataset(), batch_size=10, shuffle=True)
    for _ in range(epochs):
        for batch in loader:
            loss = soft_loss(model(batch["inputs"] @ model.embedding.weight), batch["labels"])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return model


def main(folder: str, epochs: int = 100) -> farzi.Evaluation:
    """Train on the summary in a folder, and measure on its log."""
    summary = farzi.Summary.load(folder)
    figures = farzi.evaluate(train(summary, epochs), load_data(summary.recipe.data))
    print(figures)
    return figures


if __name__ == "__main__":
    try:
        main(sys.argv[1] if len(sys.argv) > 1 else "runs/mine")
    except farzi.FarziError as error:
        sys.exit(f"error: {error}")
