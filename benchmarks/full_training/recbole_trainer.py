"""RecBole's sequential models, its data augmentation and its trainer, on the training events of a log."""

# pyright: reportMissingImports=false
# RecBole is not among Farzi's development dependencies.

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from recbole.config import Config
from recbole.data import create_dataset
from recbole.data.dataloader import TrainDataLoader
from recbole.model import sequential_recommender
from recbole.trainer import Trainer
from recbole.utils import init_seed
from torch import Tensor

from benchmarks.full_training.libraries import Reordered
from benchmarks.full_training.watch import Watch
from farzi.data import Log

torch.autograd.set_detect_anomaly(False)  # RecBole turns it on for the whole process, which is slow
for _old, _new in {"float_": np.float64, "complex_": np.complex128, "unicode_": np.str_}.items():
    setattr(np, _old, _new)  # RecBole's Config needs names that NumPy 2 no longer has

NAME = "log"  # of the data set in RecBole


class Data:
    """A log's training events in RecBole: one row for each prefix of a sequence, with its next event.

    RecBole reads the training events alone. Its own split by leave one out would keep one row of every user,
    which of a user with three events is the one that predicts the validation event.

    Args:
        log: whose training events are read.
        history: events of a prefix, at most: the last ones.
        folder: where RecBole's files are written.
    """

    def __init__(self, log: Log, history: int, folder: Path) -> None:
        self.log, self.history, self.folder = log, history, folder
        _write(log, folder / NAME)
        config = self._config("SASRec", {})
        with contextlib.chdir(folder):
            self.train = create_dataset(config)
        known = set(self.train.field2token_id[self.train.iid_field]) - {"[PAD]"}
        self.train._change_feat_format()  # makes the prefixes; its public `build` splits as well
        assert len(self.train) == (log.train.lengths - 1).sum()
        index = [
            int(self.train.token2id(self.train.iid_field, str(item))) if str(item) in known else 0
            for item in range(len(log.vocabulary))
        ]
        self.index = torch.tensor(index)

    def training(self, model: str, settings: dict[str, Any]) -> "Training":
        """A training of a RecBole model, by the name of its class, that has not begun."""
        return Training(self, model, self._config(model, settings))

    def _config(self, model: str, settings: dict[str, Any]) -> Any:
        values = {
            "data_path": str(self.folder),
            "checkpoint_dir": str(self.folder / "saved"),
            "USER_ID_FIELD": "user",
            "ITEM_ID_FIELD": "item",
            "TIME_FIELD": "time",
            "load_col": {"inter": ["user", "item", "time"]},
            "MAX_ITEM_LIST_LENGTH": self.history,
            "eval_args": {"order": "TO"},
            "train_neg_sample_args": None,  # cross-entropy over all items needs no negatives
            "use_gpu": False,
            "show_progress": False,
        }
        with patch.object(sys, "argv", sys.argv[:1]):  # RecBole would read this script's options as its own
            return Config(model=model, dataset=NAME, config_dict=values | settings)


class Training:
    """A training that RecBole's own trainer continues by an epoch at a time."""

    def __init__(self, data: Data, model: str, config: Any) -> None:
        init_seed(config["seed"], config["reproducibility"])
        self.log = data.log
        self.model = getattr(sequential_recommender, model)(config, data.train)
        self.batches = TrainDataLoader(config, data.train, None, shuffle=True)
        with contextlib.chdir(data.folder):  # it writes TensorBoard files into the current folder
            self.trainer = Trainer(config, self.model)
        self.trainer.tensorboard.close()
        self.epochs = 0
        self.ranker = Reordered(self._scores, data.index, data.history)

    def epoch(self, watch: Watch | None = None) -> None:
        """One pass over all prefixes, or what `watch` leaves time for."""

        def batches() -> Iterator[Any]:
            for batch in self.batches:
                if watch is not None:
                    if watch.over:
                        return
                    watch.events += len(batch)
                yield batch

        self.trainer._train_epoch(batches(), self.epochs)  # its public `fit` validates by RecBole's metrics
        self.epochs += 1
        self.model.eval()

    def _scores(self, read: Tensor) -> Tensor:
        lengths = (read > 0).sum(1)
        place = torch.arange(read.shape[1])
        shifted = (place + (read.shape[1] - lengths)[:, None]) % read.shape[1]  # padding to the right
        asked = {self.model.ITEM_SEQ: read.gather(1, shifted), self.model.ITEM_SEQ_LEN: lengths}
        return self.model.full_sort_predict(asked)


def _write(log: Log, folder: Path) -> None:
    """Write the training events as RecBole reads them: indices as ids, places in a sequence as times."""
    folder.mkdir(parents=True)
    with (folder / f"{NAME}.inter").open("w") as file:
        file.write("user:token\titem:token\ttime:float\n")
        for user, sequence in enumerate(log.train):
            file.writelines(f"{user}\t{item}\t{place}\n" for place, item in enumerate(sequence))
