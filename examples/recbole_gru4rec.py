"""RecBole's GRU4Rec, trained on a summary and measured by RecBole itself, beside its training on the log.

    python examples/recbole_gru4rec.py                     # distils a summary of movielens-small first
    python examples/recbole_gru4rec.py --summary runs/mine # uses the summary of an earlier `farzi distill`
    python examples/recbole_gru4rec.py --quick             # half a minute, to see that it runs

The log is written as a RecBole data set. Each user's last event is the test and the one before it the
validation, as in Farzi. The summary's items are put into RecBole's order, RecBole's own model is trained on
the summary as a student, and its weights are copied back into RecBole, whose trainer ranks all items.
docs/models.md says how to install RecBole.
"""

# pyright: reportMissingImports=false
# RecBole is not among Farzi's development dependencies.

import argparse
import contextlib
import copy
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.model.sequential_recommender import GRU4Rec
from recbole.trainer import Trainer

from farzi.data import Log, Vocabulary, load_dataset
from farzi.distillation import distill
from farzi.errors import FarziError
from farzi.models.adapters import RecBole
from farzi.recipe import Inner, presets
from farzi.recipe.variants import LogData
from farzi.summary import Summary, SummaryTensors
from farzi.training import fit_to_summary

torch.autograd.set_detect_anomaly(False)  # RecBole turns it on for the whole process
for _old, _new in {"float_": np.float64, "complex_": np.complex128, "unicode_": np.str_}.items():
    setattr(np, _old, _new)  # RecBole's Config needs names that NumPy 2 no longer has

NAME = "log"  # of the data set in RecBole
RATES = (1 / 3, 1.0, 3.0)  # factors of the recipe's rate, which was chosen for another model
QUICK = {
    "student.hidden": 8,
    "teach.max_steps": 20,
    "summary": {"sequences": 8, "length": 6},
    "init.teachers": 1,
    "inner.steps": 20,
    "outer": {"minutes": None, "steps": 2, "batch": 16, "window": 3, "burn_in": 5, "pool": 2},
    "select": {"every": 2, "students": 1},
}
VALID = "ndcg@10"  # chooses among them, and stops the training on the real log


def main(arguments: list[str] | None = None) -> dict[str, dict[str, float]]:
    """Print RecBole's figures of both trainings, and return them under "summary" and "full"."""
    options = parsed(arguments)
    with tempfile.TemporaryDirectory() as scratch:
        summary = summary_for(options, Path(scratch) / "summary")
        assert isinstance(summary.recipe.data, LogData)
        log = load_dataset(summary.recipe.data)
        # RecBole writes TensorBoard files into the current folder.
        with contextlib.chdir(scratch):
            return compare(summary, log, options)


def compare(summary: Summary, log: Log, options: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Train RecBole's model on the summary and on the log, in the current folder, and measure both."""
    write_inter(log, Path(NAME))
    config = recbole_config(log, summary.recipe.student.own["hidden"], options)
    dataset = create_dataset(config)
    train_data, valid_data, test_data = data_preparation(config, dataset)
    tensors = in_recboles_order(summary.tensors, summary.vocabulary, dataset)

    torch.manual_seed(options.seed)
    fresh = GRU4Rec(config, train_data.dataset).to(config["device"])  # the first weights of both trainings

    def measure(model: Any, data: Any) -> dict[str, float]:
        with recboles_trainer(config, model) as trainer:
            return dict(trainer.evaluate(data, load_best_model=False))

    start = time.perf_counter()
    models = [train_on_summary(fresh, tensors, summary.recipe.inner, rate, options.seed) for rate in RATES]
    summary_seconds = (time.perf_counter() - start) / len(RATES)
    best = max(models, key=lambda model: measure(model, valid_data)[VALID])

    start = time.perf_counter()
    full = train_on_log(fresh, config, train_data, valid_data)
    full_seconds = time.perf_counter() - start

    results = {"summary": measure(best, test_data), "full": measure(full, test_data)}
    print(f"\nRecBole {config['model']}, {len(log.test)} users, all {dataset.item_num - 1} items ranked\n")
    print(f"{'trained on':40}{'seconds':>9}" + "".join(f"{name:>10}" for name in results["full"]))
    for what, seconds, figures in (
        (f"summary, {tensors.sequences} x {tensors.length} events", summary_seconds, results["summary"]),
        (f"real log, {len(log.train.items):,} events", full_seconds, results["full"]),
    ):
        print(f"{what:40}{seconds:9.1f}" + "".join(f"{value:10.4f}" for value in figures.values()))
    return results


# The summary


def summary_for(options: argparse.Namespace, out: Path) -> Summary:
    """The summary in the folder that the options name, or a new one."""
    if options.summary is not None:
        summary = Summary.load(options.summary)
        if summary.is_text:
            raise FarziError(f"{options.summary}: a summary of a text; RecBole needs one of a log")
        return summary
    # as in `make demo`: the student is Farzi's SASRec, another model than RecBole's GRU4Rec
    recipe = presets.LOG.changed(
        {"seed": options.seed, "data.source": options.data, "outer.minutes": options.minutes}
    )
    if options.quick:
        recipe = recipe.changed(QUICK)
    print("distilling a summary ...", flush=True)
    return distill(recipe, out)


def in_recboles_order(summary: SummaryTensors, vocabulary: Vocabulary, dataset: Any) -> SummaryTensors:
    """The same summary in RecBole's order: index i is RecBole's item i, and 0 is padding in both.

    Items of the summary that RecBole's data set does not have get no probability.

    Raises:
        FarziError: RecBole's data set has an item that the summary does not have.
    """
    tokens = dataset.id2token(dataset.iid_field, range(1, dataset.item_num))
    order = torch.tensor([0, *vocabulary.encode(tokens.tolist())])
    return summary.reordered(order)


# RecBole


def write_inter(log: Log, folder: Path) -> None:
    """Write a log as RecBole reads it, `folder`/`folder`.inter, with the original ids of users and items.

    The time of an event is its place in its user's history: events of the same second are then in Farzi's
    order, and both hold out the same ones.
    """
    folder.mkdir()
    ids = log.vocabulary.frame["id"].to_list()
    with (folder / f"{folder.name}.inter").open("w", encoding="utf-8") as file:
        file.write("user:token\titem:token\ttime:float\n")
        for user, known, target in zip(log.test.histories.users or (), log.test.histories, log.test.targets):
            for place, item in enumerate([*known, *target]):
                file.write(f"{user}\t{ids[item]}\t{place}\n")


def recbole_config(log: Log, width: int, options: argparse.Namespace) -> Any:
    """RecBole's settings: leave one out by time, all items ranked, a GRU4Rec of one width throughout."""
    settings = {
        "data_path": ".",
        "USER_ID_FIELD": "user",
        "ITEM_ID_FIELD": "item",
        "TIME_FIELD": "time",
        "load_col": {"inter": ["user", "item", "time"]},
        "MAX_ITEM_LIST_LENGTH": options.history,
        "eval_args": {"split": {"LS": "valid_and_test"}, "order": "TO", "mode": "full"},
        "metrics": ["Hit", "NDCG"],
        "topk": [k for k in (10, 100) if k < len(log.vocabulary)],  # RecBole refuses a larger k
        "valid_metric": VALID.upper(),
        "train_neg_sample_args": None,  # cross-entropy over all items needs no negatives
        "train_batch_size": options.batch,
        "learning_rate": options.learning_rate,
        "epochs": options.epochs,
        "stopping_step": 3,
        "embedding_size": width,
        "hidden_size": width,
        "show_progress": False,
        "seed": options.seed,
    }
    with patch.object(sys, "argv", sys.argv[:1]):  # RecBole would read this script's options as its own
        return Config(model="GRU4Rec", dataset=NAME, config_dict=settings)


@contextlib.contextmanager
def recboles_trainer(config: Any, model: Any) -> Iterator[Any]:
    """RecBole's trainer of a model; its TensorBoard file is closed at the end."""
    trainer = Trainer(config, model)
    try:
        yield trainer
    finally:
        trainer.tensorboard.close()


def train_on_log(fresh: Any, config: Any, train_data: Any, valid_data: Any) -> Any:
    """A copy of a model, trained by RecBole's own trainer; it stops when the validation stops improving."""
    model = copy.deepcopy(fresh)
    best = {"score": float("-inf"), "state": copy.deepcopy(model.state_dict())}

    # RecBole would save the best weights with its settings pickled, which torch.load refuses to read: here
    # they are stored in memory.
    def store(epoch: int, score: float) -> None:
        print(f"RecBole, epoch {epoch + 1}: {VALID} {score:.4f} on the validation data", flush=True)
        if score > best["score"]:
            best.update(score=score, state=copy.deepcopy(model.state_dict()))

    with recboles_trainer(config, model) as trainer:
        trainer.fit(train_data, valid_data, verbose=False, saved=False, callback_fn=store)
    model.load_state_dict(best["state"])
    return model


# Farzi's inner loop on RecBole's model


def train_on_summary(fresh: Any, summary: SummaryTensors, inner: Inner, rate: float, seed: int) -> Any:
    """A copy of a RecBole model, trained on a summary as `farzi.training.train_on_summary` trains a student.

    Args:
        fresh: the model; it is not changed.
        summary: in RecBole's order.
        inner: the training that the summary was distilled for.
        rate: factor of its learning rate.
        seed: of the order of the sequences, if a step reads only some of them.
    """
    summary, optimizer = summary.to(fresh.device), inner.optimizer
    faster = optimizer.model_copy(update={"learning_rate": rate * optimizer.own["learning_rate"]})
    inner = inner.model_copy(update={"optimizer": faster})
    student = RecBole(copy.deepcopy(fresh))  # its dropout is off
    trained: Any = fit_to_summary(student, summary, inner, seed).model
    model = copy.deepcopy(fresh)
    model.load_state_dict(trained.model.state_dict())  # with RecBole's names
    return model


def parsed(arguments: list[str] | None) -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--summary", type=Path, help="a folder of `farzi distill`; without it one is distilled"
    )
    parser.add_argument("--data", default="movielens-small", help="what is distilled: a named log or a file")
    parser.add_argument("--minutes", type=float, default=4.5, help="of the outer loop (default: 4.5)")
    parser.add_argument("--epochs", type=int, help="of RecBole's own training, at most (default: 30)")
    parser.add_argument("--learning-rate", type=float, default=2e-3, help="of RecBole's (default: 0.002)")
    parser.add_argument("--batch", type=int, default=512, help="of RecBole's own training (default: 512)")
    parser.add_argument("--history", type=int, default=20, help="events that RecBole reads (default: 20)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="nearly no training, to see that it runs")
    options = parser.parse_args(arguments)
    if options.epochs is None:
        options.epochs = 1 if options.quick else 30
    return options


if __name__ == "__main__":
    try:
        main()
    except FarziError as error:
        sys.exit(f"error: {error}")
