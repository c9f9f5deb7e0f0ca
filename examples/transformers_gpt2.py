"""A GPT-2 of Hugging Face `transformers`, trained on a summary of a text, beside steps on the text itself.

    python examples/transformers_gpt2.py                     # learns a summary of `sotu` first
    python examples/transformers_gpt2.py --summary runs/mine # or takes one that `farzi distill` has left
    python examples/transformers_gpt2.py --quick             # two minutes: that it runs, not what it gives

The model is an ordinary one of `transformers` before and after: it is made from a `GPT2Config`, with random
weights, and what Farzi has trained is saved by `save_pretrained`, read by `AutoModelForCausalLM` and
measured by `model(input_ids=..., labels=...)`. Token i is event i of the summary; 0 is padding, which no text
has. `pip install 'farzi[hf]'` brings what is needed.
"""

# pyright: reportMissingImports=false
# `transformers` is not among what Farzi is developed with.

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

from farzi.data import TEXTS, Passages, Text, complete, load_text
from farzi.distillation import distill
from farzi.errors import FarziError
from farzi.recipe import DataSettings, Recipe
from farzi.models.adapters import HuggingFace
from farzi.summary import Summary
from farzi.training import fit_to_summary

RATES = (1 / 3, 1.0, 3.0)  # times the recipe's: GPT-2 begins at other weights than Farzi's student
GLANCE = 20_000  # tokens of the validation text that choose among them


def main(arguments: list[str] | None = None) -> dict[str, float]:
    """Print the perplexities on the test text, and return them under "summary", "text" and "untrained"."""
    options = parsed(arguments)
    with tempfile.TemporaryDirectory() as scratch:
        folder = learnt(options, Path(scratch) / "summary")
        text = load_text(folder.recipe.data)
        config = gpt2_config(folder, text)
        device = "cuda" if torch.cuda.is_available() else "cpu"
        torch.manual_seed(options.seed)
        fresh = GPT2LMHeadModel(config).to(device)

        start = time.perf_counter()
        students = [train_on_summary(fresh, folder, rate, options.seed) for rate in RATES]
        few_seconds = (time.perf_counter() - start) / len(RATES)
        models = [as_transformers(student, config) for student in students]
        best = min(models, key=lambda model: perplexity(model, text.valid, GLANCE))
        # From here on it is a model like any other.
        out = options.out or Path(scratch) / "model"
        best.save_pretrained(out)
        model = AutoModelForCausalLM.from_pretrained(out).to(device)

    start = time.perf_counter()
    full = train_on_text(fresh, text, options)
    full_seconds = time.perf_counter() - start

    summary = folder.tensors
    rows = {
        "untrained": ("nothing", 0.0, fresh),
        "summary": (f"summary, {summary.sequences} x {summary.length} tokens", few_seconds, model),
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


def learnt(options: argparse.Namespace, out: Path) -> Summary:
    """The summary in the folder that the options name, or one learnt now."""
    if options.summary is not None:
        folder = Summary.load(options.summary)
        if not folder.is_text:
            raise FarziError(f"{options.summary}: a summary of a log; GPT-2 needs one of a text")
        return folder
    data = DataSettings(source=options.data, tokens=None if options.data in TEXTS else "words")
    settings: dict[str, Any] = {"seed": options.seed, "data": data, "outer": {"minutes": options.minutes}}
    if options.quick:
        settings["student"] = {"hidden": 8}
        settings["summary"] = {"sequences": 10, "length": 8, "dim": 4}
        settings["inner"] = {"steps": 20, "batch": 5, "skip": 5, "window": 3, "pool": 2, "execution": "eager"}
        settings["outer"] = {"steps": 2, "batch": 16, "validate_every": 2, "validate_students": 1}
    print("learning a summary ...", flush=True)
    return distill(complete(Recipe.model_validate(settings)), out)


# GPT-2


def gpt2_config(folder: Summary, text: Text) -> Any:
    """A GPT-2 of the size of the student that the summary was learnt with.

    It has one position less than the summary's sequences have tokens, for the last one is predicted, never
    read: a position more would keep its random first weights.
    """
    student = folder.recipe.student
    return GPT2Config(
        vocab_size=len(text.vocabulary),
        n_positions=folder.tensors.length - 1,
        n_embd=student.hidden,
        n_layer=student.layers,
        n_head=student.heads or 1,
        tie_word_embeddings=student.tied,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        pad_token_id=0,
        bos_token_id=text.test.start,
        eos_token_id=text.test.start,
    )


def train_on_summary(fresh: Any, folder: Summary, rate: float, seed: int) -> HuggingFace:
    """A student made of a copy of a model, trained as `farzi.training.train_on_summary` trains one.

    Args:
        fresh: the model; it stays as it is.
        folder: the summary, and the training that it was learnt for.
        rate: times that training's learning rate.
        seed: of the order of the sequences, where a step reads some of them only.
    """
    stored, inner = folder.tensors, folder.recipe.inner
    summary = stored.to(fresh.device)
    inner = inner.model_copy(update={"learning_rate": rate * inner.learning_rate})
    student = HuggingFace(copy.deepcopy(fresh))
    return cast(HuggingFace, fit_to_summary(student, summary, inner, seed).student)


def as_transformers(student: HuggingFace, config: Any) -> Any:
    """A model of `transformers` with a student's weights, on the student's device."""
    model = GPT2LMHeadModel(config).to(student.embedding.device)
    student.hand_back(model)
    return model


# From here on there is nothing of Farzi's but the text in tokens


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
        tokens: predict about so many at most, those of every second window, or third, and so on.
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
    parser.add_argument("--summary", type=Path, help="a folder of `farzi distill`; without it one is learnt")
    parser.add_argument("--data", default="sotu", help="what to learn it of: a named text or a file")
    parser.add_argument(
        "--minutes", type=float, default=4.5, help="to learn it, after a training on the text (default: 4.5)"
    )
    parser.add_argument("--steps", type=int, help="of the training on the text (default: 300)")
    parser.add_argument("--learning-rate", type=float, default=5e-3, help="of that (default: 0.005)")
    parser.add_argument("--batch", type=int, default=64, help="windows a step of that (default: 64)")
    parser.add_argument("--tokens", type=int, help="of the test text, about so many at most (default: all)")
    parser.add_argument("--out", type=Path, help="where the model trained on the summary is to stay")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="next to no training, to see that it runs")
    options = parser.parse_args(arguments)
    if options.steps is None:
        options.steps = 10 if options.quick else 300
    return options


if __name__ == "__main__":
    try:
        main()
    except FarziError as error:
        sys.exit(f"error: {error}")
