"""Kills commands at random moments, and runs two at once, to see that nothing is lost or left over.

    python -m scripts.kills --kills 1000 --seed 1
    python -m scripts.kills --kills 0 --pairs 50

A trial starts one of five commands (a distillation, a comparison, a training on a summary and one on a log,
the rows of a study) in its own folder and kills it up to four times with SIGKILL: at a random file operation,
or after a random delay. The same command again must then end well. Its files must be those of an
uninterrupted run, bit for bit except for times, and no temporary file or lock may be left.

A pair runs the same command twice at once in one folder. One process works; the other one is refused, or
comes after it. Of a study both work. The files must be the same again.

Importing PyTorch takes longer than these commands, so each is a fork of one process that has imported it.
"""

import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"  # before PyTorch is imported: no threads, which a fork would lose

from farzi import event_training
from farzi.cli import app
from farzi.distillation import distill
from farzi.files import LOCK, TEMPORARY
from farzi.recipe import Recipe
from farzi.tensorfile import read_tensors
from research.__main__ import _all as all_rows
from research.studies import Bench, Done, Findings, Row, Setting, Study, save_setting
from research.studies.study import Demand, Repeat

WARM = (
    "torch._dynamo",
    "farzi.cli.progress",
    "farzi.report.plots",
    "matplotlib.backends.backend_agg",
    "PIL.PngImagePlugin",
    "research.report",
)
"""Modules that the commands import late; imported once, before the forks."""

OPERATIONS = ("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "fcntl.flock")
"""Audit events at which a process may be killed."""

TIMES = ("seconds", "train_seconds", "origin", "command", "sha256", "sessions", "date", "commit")
"""Names of values that differ from run to run."""

KILLED, REFUSED = -signal.SIGKILL, 2

SETTINGS = {
    "student": {"type": "sasrec", "hidden": 4},
    "teach": {"max_steps": 4, "validate_every": 2, "grid": {"learning_rate": [0.003]}},
    "summary": {
        "sequences": 4,
        "length": 4,
        "parametrization": {"type": "low_rank", "dim": 2, "label_decoder": False},
    },
    "init": {"type": "transitions"},
    "inner": {"steps": 4, "batch": None},
    "outer": {"steps": 4, "batch": 4, "window": 2, "burn_in": 1, "pool": 2},
    "select": {"every": 2, "students": 1},
    "compare": {"seeds": 2, "controls": ["random"], "equal_bytes": False},
}
"""The smallest recipe that goes through everything."""


@dataclass(frozen=True)
class Figures:
    """A row's work: a distillation's figures on the validation data."""

    recipe: Recipe

    def __call__(self, bench: Bench, repeat: Repeat) -> dict[str, float]:
        summary = bench.summary(self.recipe, repeat.summary, bench.data(self.recipe.data))
        return summary.history[-1]["validation"]

    @property
    def demand(self) -> Demand:
        return Demand()  # nothing to be planned


def rows(setting: Setting) -> list[Row]:
    """Three rows, two of which share a summary."""
    recipes = (setting.recipe, setting.recipe.changed({"seed": 5}), setting.recipe)
    return [setting.row(f"row-{k}", {"k": k}, Figures(one)) for k, one in enumerate(recipes)]


def conclude(done: Sequence[Done]) -> Findings:
    """A page without a table."""
    return Findings((), (), f"There are {len(done)} rows.")


STUDY = Study("kills", "Is anything lost?", rows, conclude)


@dataclass(frozen=True)
class Command:
    """What is killed."""

    name: str
    run: Callable[[Path], None]  # in a folder
    prepare: Callable[[Path], None]  # what it needs there
    content: Callable[[Path], Any]  # what must be equal at the end


def commands(place: Path) -> list[Command]:
    """The five commands on a small log, which is written to `place`."""
    event_training.KEPT_EVERY = 0.0  # an unfinished training is kept at every validation
    rng = random.Random(0)
    walks = [(f"u{u}", f"i{(u + t * rng.choice((1, 1, 2))) % 12}", t) for u in range(12) for t in range(8)]
    lines = ["user,item,time", *(f"{user},{item},{t}" for user, item, t in walks)]
    (place / "log.csv").write_text("\n".join(lines) + "\n")
    source = {"data.source": str(place / "log.csv"), "data.unseen": "keep"}
    recipe = Recipe.model_validate(SETTINGS).changed(source)

    def summary(folder: Path) -> None:
        shutil.copytree(place / "summary", folder / "out")

    def study(folder: Path) -> None:
        setting = Setting(recipe, seeds=1, summaries=1)
        save_setting(STUDY, folder / "out", setting)
        all_rows(STUDY, setting, Bench(folder / "out"), dry_run=False, restart=False)

    def farzi(*words: str) -> None:
        app.main([*words], prog_name="farzi")

    def train(folder: Path, *words: str) -> None:
        farzi("train", str(folder / "out"), *words, "--out", str(folder / "model.safetensors"))

    def distilled(folder: Path) -> None:
        distill(recipe, folder / "out", checkpoint_seconds=0)

    uninterrupted(lambda: distilled(place))
    (place / "out").rename(place / "summary")
    return [
        Command("distill", distilled, lambda folder: None, content_of),
        Command("compare", lambda folder: farzi("compare", str(folder / "out")), summary, content_of),
        Command("train", train, summary, content_of),
        Command("train on a log", lambda folder: train(folder, "--on", "full"), summary, content_of),
        Command("rows", study, lambda folder: None, content_of),
    ]


def content_of(folder: Path) -> dict[str, Any]:
    """All files below a folder by name, with what is not the same in every run left out."""
    return {
        str(path.relative_to(folder)): _content(path) for path in sorted(folder.rglob("*")) if path.is_file()
    }


def _content(path: Path) -> Any:
    if path.name in ("SHA256SUMS", "README.md", "comparison.md", "comparison.png"):
        return "there"  # of files with times in them
    if path.name in ("run.json", "comparison.json"):
        return sorted(json.loads(path.read_text()))
    if path.name in ("results.json", "rows.jsonl"):
        text = path.read_text()
        values = json.loads(text) if path.suffix == ".json" else [*map(json.loads, text.splitlines())]
        return [timeless(one) for one in values]
    if path.suffix == ".safetensors" and not path.name.startswith("summary"):
        with open(path, "rb") as file:
            end = int.from_bytes(file.read(8), "little")
            name = json.loads(file.read(end))["__metadata__"]["format"]
        tensors, header = read_tensors(path, name, "")
        values = json.loads(header.pop("values", "{}"))
        content = {
            name: hashlib.sha256(value.numpy().tobytes()).hexdigest() for name, value in tensors.items()
        }
        return [content, timeless(header), timeless(values)]
    return hashlib.sha256(path.read_bytes()).hexdigest()


def timeless(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values without times."""
    return {name: value for name, value in values.items() if name not in TIMES}


def in_child(
    run: Callable[[], None], said: Path | None = None, below: Path | None = None, kill_at: int = 0
) -> int:
    """Start a forked process; its id.

    Args:
        run: what it does.
        said: the file for what it prints; without one that goes nowhere.
        below: a folder; at the `kill_at`-th file operation in it the process is killed.
        kill_at: see there; 0 for never.
    """
    if child := os.fork():
        return child
    status = 1
    try:
        printed = os.open(said or os.devnull, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(printed, 1)
        os.dup2(printed, 2)
        if below is not None:
            _watch(below, kill_at)
        run()
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1
    except BaseException as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
    finally:
        sys.stdout.flush()
        os._exit(status)


def _watch(below: Path, kill_at: int) -> None:
    """Count file operations below a folder, and die at one of them."""
    count = 0

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal count
        if event not in OPERATIONS or not (event == "fcntl.flock" or str(below) in str(arguments[0])):
            return
        count += 1
        if count == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


def uninterrupted(run: Callable[[], None]) -> None:
    """Run something in a process of its own, which must end well."""
    if ended(in_child(run)):
        raise SystemExit("kills: an uninterrupted command failed")


def ended(child: int) -> int:
    """Wait for a process; its exit status, negative for a signal."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


class Trials:
    """Kills and pairs, and what went wrong."""

    def __init__(self, place: Path, seed: int) -> None:
        for name in WARM:
            import_module(name)
        self.place, self.rng = place, random.Random(seed)
        self.commands = commands(place)
        self.wrong: list[str] = []
        self.killed = self.refused = self.count = 0
        self.whole: dict[str, Any] = {}
        self.seconds: dict[str, float] = {}
        for command in self.commands:
            begun = time.monotonic()
            folder = self._folder(command)
            uninterrupted(partial(command.run, folder))
            self.seconds[command.name] = time.monotonic() - begun
            self.whole[command.name] = command.content(folder)
            shutil.rmtree(folder)

    def kill(self, most: int) -> None:
        """One trial with at most `most` kills."""
        command = self.rng.choice(self.commands)
        folder = self._folder(command)
        said = folder.with_suffix(".said")
        for _ in range(self.rng.randint(1, min(4, most))):
            at = self.rng.randint(1, 60) if self.rng.random() < 0.6 else 0
            child = in_child(partial(command.run, folder), said, folder, at)
            if not at:
                time.sleep(self.rng.uniform(0, self.seconds[command.name]))
                os.kill(child, signal.SIGKILL)
            status = ended(child)
            self.killed += status == KILLED
            if status not in (KILLED, 0):
                self._report(command, f"status {status}: {said.read_text().strip()}")
        status = ended(in_child(partial(command.run, folder), said))
        if status:
            self._report(command, f"status {status} at the end: {said.read_text().strip()}")
        self._compare(command, folder)

    def pair(self) -> None:
        """The same command twice at once."""
        command = self.rng.choice(self.commands)
        folder = self._folder(command)
        outputs = [folder.with_suffix(f".{k}") for k in (1, 2)]
        children = []
        for said in outputs:
            children.append(in_child(partial(command.run, folder), said))
            time.sleep(self.rng.uniform(0, 0.5 * self.seconds[command.name]))
        statuses = [ended(child) for child in children]
        for status, said in zip(statuses, outputs, strict=True):
            text = said.read_text().strip()
            if status and "another farzi is at work" not in text:
                self._report(command, f"status {status} of one of two: {text}")
            self.refused += bool(status)
        if all(statuses):
            self._report(command, "both of two were refused")
        self._compare(command, folder)

    def _folder(self, command: Command) -> Path:
        self.count += 1
        folder = self.place / f"trial-{self.count}"
        folder.mkdir()
        command.prepare(folder)
        return folder

    def _compare(self, command: Command, folder: Path) -> None:
        content, whole = command.content(folder), self.whole[command.name]
        left = [name for name in content if name.endswith((TEMPORARY, LOCK))]
        differ = [name for name in {*whole, *content} - {*left} if whole.get(name) != content.get(name)]
        if command.name == "rows":  # in two processes at once, a row may be measured twice
            differ = [name for name in differ if name != "out/rows.jsonl" or not _same_rows(whole, content)]
        for what, names in (("left over", left), ("other than in an uninterrupted run", differ)):
            if names:
                self._report(command, f"{what}: {', '.join(sorted(names))}")
        shutil.rmtree(folder)

    def _report(self, command: Command, what: str) -> None:
        self.wrong.append(f"{command.name}, trial {self.count}: {what}")
        print(self.wrong[-1], flush=True)


def _same_rows(whole: Mapping[str, Any], content: Mapping[str, Any]) -> bool:
    """Whether the last row of each key is the same."""
    first, second = ({row["key"]: row for row in one["out/rows.jsonl"]} for one in (whole, content))
    return first == second


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the trials; the exit status is 1 if anything was lost, differs or is left over."""
    parser = argparse.ArgumentParser(
        prog="python -m scripts.kills", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--kills", type=int, default=1000, metavar="N", help="processes to kill [1000]")
    parser.add_argument("--pairs", type=int, default=50, metavar="N", help="pairs of processes at once [50]")
    parser.add_argument(
        "--seed", type=int, default=1, metavar="N", help="of the moments and the commands [1]"
    )
    chosen = parser.parse_args(arguments)
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as place:
        trials = Trials(Path(place), chosen.seed)
        while trials.killed < chosen.kills:
            trials.kill(chosen.kills - trials.killed)
        for _ in range(chosen.pairs):
            trials.pair()
    print(
        f"{trials.killed} kills, {chosen.pairs} pairs ({trials.refused} processes refused), "
        f"{time.monotonic() - begun:.0f} s: {len(trials.wrong)} went wrong"
    )
    return 1 if trials.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
