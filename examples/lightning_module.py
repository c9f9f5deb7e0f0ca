"""A Lightning module trained on a summary (`pip install lightning`).

farzi distill --out runs/mine && python examples/lightning_module.py runs/mine
"""

# pyright: reportMissingImports=false
# Lightning is not among Farzi's development dependencies.

import sys
from typing import Any

import lightning
import torch
from torch import Tensor
from torch.utils.data import DataLoader

import farzi
from examples.pytorch_loop import Net, soft_loss
from farzi.summary import SoftCollator


class Module(lightning.LightningModule):
    """Trains the plain PyTorch model of the other example."""

    def __init__(self, net: Net) -> None:
        super().__init__()
        self.net = net

    def training_step(self, batch: dict[str, Tensor], index: int) -> Tensor:
        """The loss of a batch of soft sequences."""
        return soft_loss(self.net(batch["inputs"] @ self.net.embedding.weight), batch["labels"])

    def configure_optimizers(self) -> Any:
        """AdamW."""
        return torch.optim.AdamW(self.parameters(), lr=0.01, weight_decay=0.1)


def main(folder: str, epochs: int = 100) -> Net:
    """Train on the summary in a folder; the 256 most probable events of each position are read."""
    summary = farzi.Summary.load(folder)
    lightning.seed_everything(0, verbose=False)
    net = Net(len(summary.vocabulary), summary.tensors.length - 1)
    data, collate = summary.dataset("top", top=256), SoftCollator(len(summary.vocabulary))
    loader = DataLoader(data, batch_size=10, shuffle=True, collate_fn=collate)
    trainer = lightning.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        devices=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(Module(net), loader)
    return net


if __name__ == "__main__":
    try:
        main(sys.argv[1] if len(sys.argv) > 1 else "runs/mine")
    except farzi.FarziError as error:
        sys.exit(f"error: {error}")
