"""RecBole's own models, tuned on the validation events of a log and measured on its test events.

Models, data augmentation, loss and trainer are RecBole's (benchmarks/full_training/recbole_trainer.py); ranks
are Farzi's: among all items, seen ones included, ties count against the model. Settings are chosen by
successive halving: all are trained for a few epochs, the best third for longer, and the best of these is
trained anew from several seeds. Every training ends at `--patience` epochs without a better validation
nDCG@10, and its best epoch is kept.
"""

import argparse
import copy
import itertools
import json
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.full_training.recbole_trainer import Data, Training
from farzi.api import load_log
from farzi.evaluation import evaluate_ranking
from farzi.files import write_text_atomic
from farzi.provenance import provenance

AT = (10, 100)
SHOWN = ("HR@10", "nDCG@10", "HR@100")
RATES, DROPOUTS, WIDTHS = (1e-3, 3e-4), (0.2, 0.5), (64, 128)


def grid(model: str) -> list[dict[str, Any]]:
    """The settings that are compared, by RecBole's names; its own defaults first."""
    named: list[dict[str, Any]] = [{}]
    for rate, dropout, width in itertools.product(RATES, DROPOUTS, WIDTHS):
        setting: dict[str, Any] = {"learning_rate": rate, "hidden_size": width}
        if model == "SASRec":
            setting |= {"inner_size": 4 * width, "hidden_dropout_prob": dropout, "attn_dropout_prob": dropout}
            if (rate, dropout, width) == (1e-3, 0.5, 64):
                continue  # the defaults
        else:
            setting |= {"embedding_size": width, "dropout_prob": dropout}
        named.append(setting)
    return named


class Run:
    """A training with early stopping, which can be continued."""

    def __init__(self, training: Training) -> None:
        self.training = training
        self.valid: list[float] = []  # nDCG@10 after each epoch
        self.cpu_seconds = 0.0  # of the epochs
        self.state = copy.deepcopy(training.model.state_dict())  # at the best of them

    @property
    def best(self) -> float:
        return max(self.valid)

    def until(self, epochs: int, patience: int) -> None:
        """Train up to so many epochs in all, or until the validation was no better for `patience` epochs."""
        log = self.training.log
        while len(self.valid) < epochs and len(self.valid) - self._best_epoch < patience:
            begin = time.process_time()
            self.training.epoch()
            self.cpu_seconds += time.process_time() - begin
            self.valid.append(float(evaluate_ranking(self.training.ranker, log.valid)["nDCG@10"]))
            if self._best_epoch == len(self.valid):
                self.state = copy.deepcopy(self.training.model.state_dict())

    @property
    def _best_epoch(self) -> int:
        return 1 + int(np.argmax(self.valid)) if self.valid else 0

    def row(self) -> dict[str, Any]:
        """Validation nDCG@10 after each epoch, per cent, and the cost, as JSON values."""
        return {
            "valid_nDCG@10": [round(100 * value, 3) for value in self.valid],
            "cpu_seconds": round(self.cpu_seconds, 1),
        }

    def figures(self) -> dict[str, dict[str, float]]:
        """Metrics of the best epoch on the validation and the test events, in per cent."""
        self.training.model.load_state_dict(self.state)
        self.training.model.eval()
        log, ranker = self.training.log, self.training.ranker
        held = {"valid": log.valid, "test": log.test}
        means = {split: evaluate_ranking(ranker, part, at=AT).means() for split, part in held.items()}
        return {split: {name: 100 * value for name, value in row.items()} for split, row in means.items()}


def main() -> None:
    """Tune each model and write its results, a JSON file each."""
    parser = argparse.ArgumentParser(
        prog="benchmarks.recbole_baselines",
        description=(__doc__ or "").splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("data", help="a named log or a file, split by leave one out")
    parser.add_argument("out", type=Path, help="folder for the results; what is there is continued")
    parser.add_argument("--file", help="a copy of a named log")
    parser.add_argument("--models", nargs="+", choices=("SASRec", "GRU4Rec"), default=["SASRec", "GRU4Rec"])
    parser.add_argument("--history", type=int, default=50, help="events that the models read, at most")
    parser.add_argument("--batch", type=int, default=2048, help="prefixes per step")
    parser.add_argument("--amp", action="store_true", help="train in bfloat16, by RecBole's enable_amp")
    parser.add_argument(
        "--epochs", type=int, nargs=3, default=[20, 60, 300], metavar=("ALL", "THIRD", "BEST")
    )
    parser.add_argument("--patience", type=int, default=10, help="epochs")
    parser.add_argument("--seeds", type=int, default=3, help="final trainings")
    parser.add_argument(
        "--settings", type=json.loads, nargs="+", help="RecBole's settings as JSON in place of the grid"
    )
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="CPU threads")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    log = load_log(args.data, **({} if args.file is None else {"file": args.file}))
    args.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        data = Data(log, args.history, Path(folder))
        for model in args.models:
            path = args.out / f"{log.name}-{model}-{args.history}.json"
            result = json.loads(path.read_text()) if path.exists() else tuned(data, model, args)
            write_text_atomic(path, json.dumps(result, indent=1) + "\n")
            for seed in range(len(result["final"]), args.seeds):
                run = Run(data.training(model, result["fixed"] | result["setting"] | {"seed": seed}))
                run.until(args.epochs[2], args.patience)
                result["final"].append(run.row() | run.figures())
                write_text_atomic(path, json.dumps(result, indent=1) + "\n")
                print_figures(path, result)


def tuned(data: Data, model: str, args: argparse.Namespace) -> dict[str, Any]:
    """The chosen settings, and all that were compared, as JSON values."""
    fixed = {"train_batch_size": args.batch, "enable_amp": args.amp}
    settings = args.settings or grid(model)
    compared: list[dict[str, Any]] = []
    if len(settings) > 1:
        runs = [(setting, Run(data.training(model, fixed | setting | {"seed": 0}))) for setting in settings]
        # slow settings stand still at first: patience is for the second stage
        for epochs, patience, share in (
            (args.epochs[0], args.epochs[0], 3),
            (args.epochs[1], args.patience, 1),
        ):
            for setting, run in runs:
                run.until(epochs, patience)
                compared.append({"setting": setting} | run.row())
                print(f"{data.log.name} {model}: {compared[-1]}", flush=True)
            runs = sorted(runs, key=lambda pair: -pair[1].best)[: -(-len(runs) // share)]
        settings = [setting for setting, _ in runs]
    return {
        "data": data.log.name,
        "model": model,
        "recbole": version("recbole"),
        "history": data.history,
        "fixed": fixed,
        "epochs": args.epochs,
        "patience": args.patience,
        "compared": compared,
        "setting": settings[0],
        "final": [],
        **provenance(),
    }


def print_figures(path: Path, result: dict[str, Any]) -> None:
    """One line: means over the seeds, and standard deviations."""
    parts = []
    for split in ("valid", "test"):
        values = np.array([[one[split][name] for name in SHOWN] for one in result["final"]])
        spread = values.std(0, ddof=1) if len(values) > 1 else np.zeros(len(SHOWN))
        figures = zip(SHOWN, values.mean(0), spread, strict=True)
        parts.append(f"{split} " + ", ".join(f"{name} {mean:.2f} ±{sd:.2f}" for name, mean, sd in figures))
    print(f"{path.name}: {result['setting']}: {'; '.join(parts)}", flush=True)


if __name__ == "__main__":
    main()
