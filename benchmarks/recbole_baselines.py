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
    """The settings that are compared, by RecBole's names; its defaults for the model (at None) first."""
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

    def __init__(self, training: Training, setting: dict[str, Any]) -> None:
        self.training, self.setting = training, setting
        self.valid: list[float] = []  # nDCG@10 after each epoch
        self.cpu_seconds = 0.0  # of the epochs
        self.state = copy.deepcopy(training.model.state_dict())  # at the best of them

    @property
    def best(self) -> float:
        return max(self.valid)

    def until(self, epochs: int, patience: int) -> None:
        """Train up to so many epochs in all, or until the validation gets no better."""
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
        """What it was and what came of it, as JSON values; figures on the validation events in per cent."""
        return {
            "setting": self.setting,
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
    parser.add_argument("out", type=Path, help="folder for the results; those that are there are kept")
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
    parser.add_argument("--setting", type=json.loads, help="RecBole's settings as JSON: no tuning")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="CPU threads")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    log = load_log(args.data, **({} if args.file is None else {"file": args.file}))
    args.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        data = Data(log, args.history, Path(folder))
        for model in args.models:
            path = args.out / f"{log.name}-{model}-{args.history}.json"
            if not path.exists():
                part = path.with_suffix(".part.jsonl")
                part.unlink(missing_ok=True)
                result = tuned(data, model, args, part)
                write_text_atomic(path, json.dumps(result, indent=1) + "\n")
            print_figures(path, json.loads(path.read_text()))


def tuned(data: Data, model: str, args: argparse.Namespace, log: Path) -> dict[str, Any]:
    """Choose the settings and train with them from each seed; every training is also logged when it ends."""
    fixed = {"train_batch_size": args.batch, "enable_amp": args.amp}

    def train(run: Run, epochs: int, what: str) -> Run:
        run.until(epochs, args.patience)
        row = {"stage": what, **run.row()}
        print(f"{data.log.name} {model} {what}: {run.setting}, {len(run.valid)} epochs, "
              f"nDCG@10 {100 * run.best:.2f} %, {run.cpu_seconds:.0f} s", flush=True)  # fmt: skip
        with log.open("a") as file:
            file.write(json.dumps(row) + "\n")
        return run

    def start(setting: dict[str, Any], seed: int) -> Run:
        return Run(data.training(model, fixed | setting | {"seed": seed}), setting)

    settings = grid(model) if args.setting is None else [args.setting]
    runs = [start(setting, 0) for setting in settings] if len(settings) > 1 else []
    for share, epochs, what in ((1, args.epochs[0], "all"), (3, args.epochs[1], "third")):
        runs = sorted(runs, key=lambda run: -run.best)[: -(-len(runs) // share)] if share > 1 else runs
        runs = [train(run, epochs, what) for run in runs]
    chosen = max(runs, key=lambda run: run.best).setting if runs else settings[0]
    final = [train(start(chosen, seed), args.epochs[2], "best") for seed in range(args.seeds)]
    return {
        "data": data.log.name,
        "model": model,
        "recbole": version("recbole"),
        "history": data.history,
        "fixed": fixed,
        "epochs": args.epochs,
        "patience": args.patience,
        "setting": chosen,
        "trainings": [json.loads(line) for line in log.read_text().splitlines()],
        "final": [run.figures() for run in final],
        **provenance(),
    }


def print_figures(path: Path, result: dict[str, Any]) -> None:
    """One line: means over the seeds and their standard deviations."""
    parts = []
    for split in ("valid", "test"):
        values = np.array([[one[split][name] for name in SHOWN] for one in result["final"]])
        spread = values.std(0, ddof=1) if len(values) > 1 else np.zeros(len(SHOWN))
        figures = zip(SHOWN, values.mean(0), spread, strict=True)
        parts.append(f"{split} " + ", ".join(f"{name} {mean:.2f} ±{sd:.2f}" for name, mean, sd in figures))
    print(f"{path.name}: {result['setting']}: {'; '.join(parts)}", flush=True)


if __name__ == "__main__":
    main()
