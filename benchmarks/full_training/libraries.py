"""One SASRec, trained on a log's training events by Farzi, RecTools and RecBole: each by its own trainer.

Each function trains until `watch.over`, and has its model measured after every epoch.
"""

# pyright: reportMissingImports=false
# RecTools and RecBole are not among Farzi's development dependencies.

import contextlib
import logging
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.full_training.watch import Watch
from farzi.data import Log, epoch
from farzi.event_training import train_on_events, windows_per_step
from farzi.models import SequenceModel
from farzi.recipe import presets


@dataclass(frozen=True)
class Shape:
    """The model and its training, as far as all libraries have them.

    Attributes:
        history: events that the model reads, at most.
        learning_rate: of Adam.
        batch: sequences per step; None: the library's own number.
    """

    hidden: int = 64
    layers: int = 2
    heads: int = 2
    dropout: float = 0.2
    history: int = 200
    learning_rate: float = 1e-3
    batch: int | None = None
    seed: int = 0


class Over(Exception):
    """The budget is used up: ends a training from within."""


def farzi(log: Log, shape: Shape, watch: Watch) -> None:
    """Farzi's own training, with products in bfloat16; an epoch has all windows of the log."""
    settings: dict[str, Any] = {
        "student": {"type": "sasrec", "hidden": shape.hidden, "layers": shape.layers, "heads": shape.heads},
        "teach.optimizer.learning_rate": shape.learning_rate,
        "teach.dropout": shape.dropout,
        "teach.precision": "bfloat16",
        "teach.max_steps": 10**9,
        "teach.patience": 10**9,
    }
    settings["teach.batch"] = shape.batch or 64  # windows of full length, or as many events
    teach = presets.LOG.changed(settings).teach
    window = shape.history + 1
    size = windows_per_step(teach, log.train, window) * window
    batches = list(epoch(log.train, window, size, np.random.default_rng(0)))
    events = sum(int((one[:, 1:] > 0).sum()) for one in batches)

    def score(model: SequenceModel) -> float:
        watch.events += events
        point = watch.measure(model)
        if watch.over:
            raise Over
        return point.ndcg

    teach = teach.model_copy(update={"validate_every": len(batches)})
    student = presets.LOG.changed(settings).student
    watch.start()
    with contextlib.suppress(Over):
        train_on_events(log.train, student, len(log.vocabulary), window, shape.seed, teach, score)


class Reordered:
    """A library's model as a `farzi.evaluation.Ranker`: its items have other indices.

    Args:
        scores: histories (B, L) in the library's indices, padded with zeros on the left -> its scores
            (B, its V).
        index: the library's index of each item of the vocabulary, (V,); 0 for those it does not have, which
            are left out of histories and score −∞.
        length: L.
    """

    device = torch.device("cpu")

    def __init__(self, scores: Callable[[Tensor], Tensor], index: Tensor, length: int) -> None:
        self.scores, self.index, self.length = scores, index, length

    @torch.no_grad()
    def next_scores(self, histories: Tensor) -> Tensor:
        """Scores (B, V) in the order of the vocabulary."""
        read = self.index[histories]
        read = read.gather(1, (read > 0).int().argsort(dim=1, stable=True))  # zeros to the left
        scores = self.scores(read)[:, self.index]
        return scores.masked_fill(self.index == 0, -torch.inf)


def rectools(log: Log, shape: Shape, watch: Watch) -> None:
    """RecTools' SASRecModel, softmax over all items; an epoch is each user's last `history` + 1 events."""
    import pandas as pd
    import pytorch_lightning as lightning
    from rectools.dataset import Dataset
    from rectools.models import SASRecModel

    class Measure(lightning.Callback):
        def on_train_start(self, trainer: Any, module: Any) -> None:
            watch.start()

        def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: Any, place: int) -> None:
            watch.events += int(batch["y"].count_nonzero())
            trainer.should_stop = trainer.should_stop or watch.over

        def on_train_epoch_end(self, trainer: Any, module: Any) -> None:
            network = module.torch_model.eval()
            with torch.no_grad():
                items = network.item_model.get_all_embeddings()
                watch.measure(
                    Reordered(lambda read: _last_scores(network, items, read), index(), shape.history)
                )
            network.train()

    def _last_scores(network: Any, items: Tensor, read: Tensor) -> Tensor:
        states = network.encode_sessions({"x": read}, items)[:, -1:]
        return network.similarity_module(states, items)[:, 0]

    def index() -> Tensor:
        own = model.data_preparator.item_id_map
        found = torch.zeros(len(log.vocabulary), dtype=torch.long)
        for item, place in own.to_internal.items():
            if not isinstance(item, str):  # the padding's name
                found[int(item)] = int(place)
        return found

    def trainer() -> Any:
        return lightning.Trainer(
            max_epochs=10**6,
            accelerator="cpu",
            devices=1,
            callbacks=[Measure()],
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )

    lightning.seed_everything(shape.seed, verbose=False)
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    warnings.simplefilter("ignore")
    lengths = log.train.lengths
    place = np.arange(len(log.train.items)) - np.repeat(log.train.offsets[:-1], lengths)
    frame = pd.DataFrame(
        {
            "user_id": np.repeat(np.arange(len(log.train)), lengths),
            "item_id": log.train.items,
            "weight": 1,
            "datetime": pd.to_datetime(place, unit="s"),
        }
    )
    sizes = {} if shape.batch is None else {"batch_size": shape.batch}
    model = SASRecModel(
        n_blocks=shape.layers,
        n_factors=shape.hidden,
        n_heads=shape.heads,
        dropout_rate=shape.dropout,
        session_max_len=shape.history,
        loss="softmax",
        lr=shape.learning_rate,
        train_min_user_interactions=2,
        get_trainer_func=trainer,
        **sizes,
    )
    model.fit(Dataset.construct(frame))


def recbole(log: Log, shape: Shape, watch: Watch) -> None:
    """RecBole's SASRec with cross-entropy over all items; an epoch is every prefix of every sequence."""
    from benchmarks.full_training.recbole_trainer import Data

    settings = {
        "hidden_size": shape.hidden,
        "inner_size": shape.hidden,
        "n_layers": shape.layers,
        "n_heads": shape.heads,
        "hidden_dropout_prob": shape.dropout,
        "attn_dropout_prob": shape.dropout,
        "learning_rate": shape.learning_rate,
        "seed": shape.seed,
    }
    if shape.batch is not None:
        settings["train_batch_size"] = shape.batch
    with tempfile.TemporaryDirectory() as folder:
        training = Data(log, shape.history, Path(folder)).training("SASRec", settings)
        watch.start()
        while not watch.over:
            training.epoch(watch)
            watch.measure(training.ranker)


LIBRARIES: dict[str, Callable[[Log, Shape, Watch], None]] = {
    "farzi": farzi,
    "rectools": rectools,
    "recbole": recbole,
}
