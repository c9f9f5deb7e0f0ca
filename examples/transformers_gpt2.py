"""A GPT-2 of Hugging Face `transformers`, trained on a summary of a text, beside steps on the text itself.

    python examples/transformers_gpt2.py                     # distils a summary of `sotu` first
    python examples/transformers_gpt2.py --summary runs/mine # uses the summary of an earlier `farzi distill`
    python examples/transformers_gpt2.py --quick             # two minutes, to see that it runs

The model is an ordinary one of `transformers` before and after: it is created from a `GPT2Config` with random
weights, trained by Farzi, saved by `save_pretrained`, read by `AutoModelForCausalLM` and measured by
`model(input_ids=..., labels=...)`. Token i is index i of the summary; 0 is padding, which occurs in no text.
`pip install 'farzi[hf]'` installs what is needed.
"""

# pyright: reportMissingImports=false
# `transformers` is not among Farzi's development dependencies.

import argparse
import copy
import math
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from transformers import AutoModelForCausalLM, GPT2Config, GPT2LMHeadModel

from farzi.data import Passages, Text, load_text
from farzi.distillation import distill
from farzi.errors import FarziError
from farzi.models.adapters import HuggingFace
from farzi.recipe import presets
from farzi.recipe.variants import TextData
from farzi.summary import Summary
from farzi.training import fit_to_summary

RATES = (1 / 3, 1.0, 3.0)  # factors of the recipe's: GPT-2 has other first weights than Farzi's student
VALIDATION = 20_000  # tokens of the validation text that choose among them
QUICK = {
    "student.hidden": 8,
    "teach.max_steps": 20,
    "summary": {"sequences": 10, "length": 8},
    "summary.parametrization.dim": 4,
    "inner": {"steps": 20, "batch": 5},
    "outer": {"minutes": None, "steps": 2, "batch": 16, "window": 3, "burn_in": 5, "pool": 2},
    "select": {"every": 2, "students": 1},
}


def main(arguments: list[str] | None = None) -> dict[str, float]:
    """Print the perplexities on the test text, and return them under "summary", "text" and "untrained"."""
    options = parsed(arguments)
    with tempfile.TemporaryDirectory() as scratch:
        summary = summary_for(options, Path(scratch) / "summary")
        assert isinstance(summary.recipe.data, TextData)
        text = load_text(summary.recipe.data)
        config = gpt2_config(summary, text)
        device = "cuda" if torch.cuda.is_available() else "cpu"
        torch.manual_seed(options.seed)
        fresh = GPT2LMHeadModel(config).to(device)

        start = time.perf_counter()
        students = [train_on_summary(fresh, summary, rate, options.seed) for rate in RATES]
        summary_seconds = (time.perf_counter() - start) / len(RATES)
        models = [as_transformers(student, config) for student in students]
        best = min(models, key=lambda model: perplexity(model, text.valid, VALIDATION))
        # from here on an ordinary model of transformers
        out = options.out or Path(scratch) / "model"
        best.save_pretrained(out)
        model = AutoModelForCausalLM.from_pretrained(out).to(device)

    start = time.perf_counter()
    full = train_on_text(fresh, text, options)
    full_seconds = time.perf_counter() - start

    tensors = summary.tensors
    rows = {
        "untrained": ("nothing", 0.0, fresh),
        "summary": (f"summary, {tensors.sequences} x {tensors.length} tokens", summary_seconds, model),
        "text": (f"text, {options.steps} steps of {options.batch} windows", full_seconds, full),
    }
    results = {name: perplexity(one, text.test, options.tokens) for name, (_, _, one) in rows.items()}
    print(f"\nGPT-2 of width {config.n_embd} on {text.name}, vocabulary {config.vocab_size - 1:,}\n")
    print(f"{'trained on':40}{'seconds':>9}{'perplexity':>12}")
    for name, (what, seconds, _) in rows.items():
        print(f"{what:40}{seconds:9.1f}{results[name]:12.1f}")
    if options.out:
        print(f"\nThe model trained on the summary is in {options.out}.")
    return results


# The summary


def summary_for(options: argparse.Namespace, out: Path) -> Summary:
    """The summary in the folder that the options name, or a new one."""
    if options.summary is not None:
        summary = Summary.load(options.summary)
        if not summary.is_text:
            raise FarziError(f"{options.summary}: a summary of a log; GPT-2 needs one of a text")
        return summary
    recipe = presets.TEXT.changed(
        {"seed": options.seed, "data.source": options.data, "outer.minutes": options.minutes}
    )
    if options.quick:
        recipe = recipe.changed(QUICK)
    print("distilling a summary ...", flush=True)
    return distill(recipe, out)


# GPT-2


def gpt2_config(summary: Summary, text: Text) -> Any:
    """A GPT-2 of the size of the student that the summary was distilled with.

    It has one position less than the summary's sequences: the last token is predicted, never read, and the
    embedding of a further position would stay random.
    """
    student = summary.recipe.student.own
    return GPT2Config(
        vocab_size=len(text.vocabulary),
        n_positions=summary.tensors.length - 1,
        n_embd=student["hidden"],
        n_layer=student["layers"],
        n_head=student.get("heads", 1),
        tie_word_embeddings=student["tied"],
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        pad_token_id=0,
        bos_token_id=text.test.start,
        eos_token_id=text.test.start,
    )


def train_on_summary(fresh: Any, summary: Summary, rate: float, seed: int) -> HuggingFace:
    """A copy of a model, trained on a summary as `farzi.training.train_on_summary` trains a student.

    Args:
        fresh: the model; it is not changed.
        summary: the summary, with the recipe of its training.
        rate: factor of that training's learning rate.
        seed: of the order of the sequences, if a step reads only some of them.
    """
    inner = summary.recipe.inner
    rate *= inner.optimizer.own["learning_rate"]
    optimizer = inner.optimizer.model_copy(update={"learning_rate": rate})
    inner = inner.model_copy(update={"optimizer": optimizer})
    student = HuggingFace(copy.deepcopy(fresh))
    return cast(HuggingFace, fit_to_summary(student, summary.tensors.to(fresh.device), inner, seed).model)


def as_transformers(student: HuggingFace, config: Any) -> Any:
    """A model of `transformers` with a student's weights, on the student's device."""
    model = GPT2LMHeadModel(config).to(student.embedding.device)
    student.copy_weights_to(model)
    return model


# From here on only the tokens of the text are Farzi's


def train_on_text(fresh: Any, text: Text, options: argparse.Namespace) -> Any:
    """A copy of a model, trained on random windows of the training text.

    `transformers.Trainer` would do as well, and needs `accelerate` besides.
    """
    model = copy.deepcopy(fresh)
    stream = torch.from_numpy(text.train.items)
    place = torch.arange(min(model.config.n_positions, len(stream)))
    optimizer = torch.optim.AdamW(model.parameters(), lr=options.learning_rate)
    for _ in range(options.steps):
        begins = torch.randint(len(stream) - len(place) + 1, (options.batch, 1))
        ids = stream[begins + place].to(model.device)
        optimizer.zero_grad()
        model(input_ids=ids, labels=ids).loss.backward()
        optimizer.step()
    return model


@torch.no_grad()
def perplexity(model: Any, held: Passages, tokens: int | None = None, batch: int = 256) -> float:
    """Perplexity of held-out text: each token is predicted once, from half a window or more.

    Windows of the model's length stand half a window apart, and labels of -100 leave out what the window
    before has predicted. Token 0 takes part in the softmax, as in any model of `transformers`; Farzi's own
    figures leave it out, and are lower by as much as it gets.

    Args:
        model: any causal language model of `transformers`.
        held: the documents; the token `held.start` stands before each.
        tokens: predict about that many at most, by skipping windows evenly.
        batch: windows at a time.
    """
    length = model.config.max_position_embeddings
    stride = length // 2
    windows = []
    for document in held.texts:
        row = torch.from_numpy(np.concatenate([[held.start], document]))
        for begin in range(0, max(1, len(row) - length + stride), stride):
            ids = torch.zeros(2, length, dtype=torch.long)  # what is read, and the labels
            part = row[begin : begin + length]
            ids[:, : len(part)] = part
            ids[1, len(part) :] = -100
            if begin > 0:
                ids[1, : length - stride] = -100
            windows.append(ids)
    thin = 1 if tokens is None else -(-len(held) // tokens)
    chosen = torch.stack(windows[::thin])
    nats, count = 0.0, 0
    for part in chosen.split(batch):
        ids, labels = part.to(model.device).unbind(1)
        counted = int((labels[:, 1:] != -100).sum())  # a label is predicted from what stands before it
        nats += float(model(input_ids=ids, attention_mask=ids > 0, labels=labels).loss) * counted
        count += counted
    return math.exp(nats / count)


def parsed(arguments: list[str] | None) -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--summary", type=Path, help="a folder of `farzi distill`; without it one is distilled"
    )
    parser.add_argument("--data", default="sotu", help="what is distilled: a named text or a file")
    parser.add_argument("--minutes", type=float, default=4.5, help="of the outer loop (default: 4.5)")
    parser.add_argument("--steps", type=int, help="of the training on the text (default: 300)")
    parser.add_argument("--learning-rate", type=float, default=5e-3, help="of that (default: 0.005)")
    parser.add_argument("--batch", type=int, default=64, help="windows in each step of that (default: 64)")
    parser.add_argument("--tokens", type=int, help="of the test text, about that many at most (default: all)")
    parser.add_argument("--out", type=Path, help="folder for the model trained on the summary")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="nearly no training, to see that it runs")
    options = parser.parse_args(arguments)
    if options.steps is None:
        options.steps = 10 if options.quick else 300
    return options


if __name__ == "__main__":
    try:
        main()
    except FarziError as error:
        sys.exit(f"error: {error}")
