"""A GPT-2 trained on a summary by the Trainer of Hugging Face (`pip install 'transformers[torch]'`).

    farzi distill --out runs/mine && python examples/huggingface_trainer.py runs/mine

The model reads `inputs_embeds`, mean embeddings of the soft inputs, and learns the soft labels.
"""

# pyright: reportMissingImports=false
# `transformers` is not among Farzi's development dependencies.

import sys
import tempfile
from typing import Any

import torch
from torch import Tensor
from transformers import GPT2Config, GPT2LMHeadModel, Trainer, TrainingArguments

import farzi
from farzi.summary import SoftCollator


def soft_loss(outputs: Any, labels: Tensor, num_items_in_batch: Any = None) -> Tensor:
    """Cross-entropy with soft labels (B, L, V), in the form of `compute_loss_func`; column 0 is padding."""
    padding = torch.zeros(1, dtype=torch.long, device=labels.device)
    logits = outputs.logits.index_fill(-1, padding, -100.0)
    return -(labels * logits.log_softmax(-1)).sum(-1).mean()


def main(folder: str, epochs: int = 100) -> Any:
    """Train on the summary in a folder; an ordinary model of `transformers`."""
    summary = farzi.Summary.load(folder)
    vocabulary, length = len(summary.vocabulary), summary.tensors.length - 1
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=vocabulary,
        n_positions=length,
        n_embd=32,
        n_layer=1,
        n_head=2,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        pad_token_id=0,
        bos_token_id=None,
        eos_token_id=None,
    )
    model = GPT2LMHeadModel(config)
    with tempfile.TemporaryDirectory() as scratch:
        settings = TrainingArguments(
            output_dir=scratch,
            num_train_epochs=epochs,
            per_device_train_batch_size=10,
            learning_rate=0.01,
            remove_unused_columns=False,  # they are named for the collator, not for the model
            report_to=[],
            save_strategy="no",
            logging_strategy="no",
            disable_tqdm=True,
            use_cpu=True,
        )
        trainer = Trainer(
            model=model,
            args=settings,
            train_dataset=summary.dataset(),
            data_collator=SoftCollator(vocabulary, model.get_input_embeddings()),
            compute_loss_func=soft_loss,
        )
        trainer.train()
    return model


if __name__ == "__main__":
    try:
        main(sys.argv[1] if len(sys.argv) > 1 else "runs/mine")
    except farzi.FarziError as error:
        sys.exit(f"error: {error}")
