"""The page of a run at work: its journal, read as it grows, and what there is of its history."""

import json
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from farzi.errors import FarziError
from farzi.files import holder, parse_json
from farzi.markup import Markup, joined, table, tag
from farzi.progress import counted, time_text
from farzi.report import sections
from farzi.report.charts import Line, lines
from farzi.report.page import document, parts
from farzi.report.reading import read_run
from farzi.summary import CHECKPOINT, TENSORS
from farzi.summary.card import STAGES
from farzi.summary.folder import HISTORY
from farzi.tracking import JOURNAL

SHOWN, MESSAGES = 400, 12
"""Points of a curve, and latest messages, at most."""

KEYS = {
    "message": {"text"},
    "doing": {"text"},
    "warning": {"text"},
    "stage": {"name", "text", "seconds"},
    "step": {"number", "fraction", "loss", "norm", "name"},
    "validation": {"number", "relative", "best"},
}
"""What a line of the journal has, by its kind; other lines are passed over."""

Lines = list[dict[str, Any]]


class Live:
    """A run's folder that is watched.

    Args:
        folder: of the run.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._lock = threading.Lock()  # several browsers may ask at once
        self._begin(b"")

    def _begin(self, first: bytes) -> None:
        """Forget another run's journal."""
        self._first, self._read = first, 0  # its first line, by which it is known; bytes read
        self._journal: Lines = []
        self._steps: Lines = []

    @property
    def is_running(self) -> bool:
        """Whether a process is at work in the folder."""
        return holder(self.folder) is not None

    @property
    def is_finished(self) -> bool:
        """Whether the folder holds a summary, and no unfinished distillation."""
        return (self.folder / TENSORS).exists() and not (self.folder / CHECKPOINT).exists()

    def check(self) -> None:
        """Raise FarziError where nothing is at work: the line says what there is instead."""
        if not self.folder.is_dir():
            raise FarziError(f"nothing to watch: {self.folder} is no folder; farzi distill makes it")
        if self.is_running:
            return
        if self.is_finished:
            raise FarziError(f"nothing to watch: {self.folder} is finished; `farzi report` writes its page")
        resumes = (self.folder / CHECKPOINT).exists()
        more = "; the same farzi distill resumes the run there" if resumes else ""
        raise FarziError(f"nothing to watch: no farzi is at work in {self.folder}{more}")

    def state(self) -> dict[str, str]:
        """What a watching browser asks for: what the run does, its figures as HTML, and the page's version.

        The page is to be loaded again where the version has changed: another report lies below the figures.
        """
        running = self.is_running
        if not running:
            finished = "Finished." if self.is_finished else "Stopped: no process is at work in the folder."
            return {"state": finished, "html": "", "version": self._version(running)}
        with self._lock:
            self._update()
        return {"state": self._doing(), "html": self._figures(), "version": self._version(running)}

    def page(self) -> str:
        """The whole page: what is live, and below it the report of a finished summary."""
        now = self.state()
        name = self.folder.resolve().name
        below: list[Markup] = []
        title = f"{name}: at work" if self.is_running else name
        if self.is_finished:
            with suppress(FarziError):  # whose files are just being written
                run = read_run(self.folder)
                below = parts(run)
        live = tag(
            "section",
            tag("p", now["state"], id="state", role="status"),
            tag("div", Markup(now["html"]), id="figures"),
            id="live",
            aria_label="Now",
            data_version=now["version"],
        )
        return document(title, [live, *below], name, live=True)

    def _version(self, running: bool) -> str:
        """Changes with the files of the report, and where the run ends."""
        changed = [str(running)]
        for name in (TENSORS, "results.json"):
            with suppress(OSError):
                changed.append(str((self.folder / name).stat().st_mtime_ns))
        return "-".join(changed)

    def _update(self) -> None:
        """Read what was added to the journal."""
        try:
            with open(self.folder / JOURNAL, "rb") as file:
                first = file.readline()
                if first != self._first:
                    self._begin(first)
                file.seek(self._read)
                added, _, _ = file.read().rpartition(b"\n")
        except OSError:
            return
        self._read += len(added) + bool(added)
        for text in filter(None, added.split(b"\n")):
            with suppress(ValueError):  # what somebody else wrote
                line = parse_json(text)
                if line.keys() >= KEYS.get(line.get("kind"), {"time", "no such kind"}):
                    (self._steps if line["kind"] == "step" else self._journal).append(line)

    def _of(self, *kinds: str) -> Lines:
        return [line for line in self._journal if line["kind"] in kinds]

    def _doing(self) -> str:
        """One sentence, which changes with the part of the run that is at work."""
        if self.is_finished:
            return "Running: comparison."
        if self._steps:
            return f"Running: refine, {counted(len(self._of('validation')), 'validation')} so far."
        ended = {one["name"] for one in self._of("stage")}
        return f"Running: {next((stage for stage in STAGES if stage not in ended), 'the last lines')}."

    def _figures(self) -> str:
        """How far the run is, its stages, its curves and its messages."""
        step = self._steps[-1] if self._steps else None
        now: list[object] = []
        doing = self._of("doing", "stage", "message")
        if doing and (step is None or doing[-1]["time"] > step["time"]):
            now.append(tag("p", doing[-1]["text"]))
        if step is not None:
            share = min(1.0, step["fraction"])
            loss = f"{step['name'].replace('_', ' ')} {_figure(step['loss'])}"
            words = f"Outer step {step['number']:,}: {loss}, metagradient {_figure(step['norm'])}"
            now.append(tag("p", f"{words}, {100 * share:.0f} %{self._left(share)}"))
            now.append(
                tag("progress", value=f"{share:.4f}", max=1, aria_label="Finished part of the outer loop")
            )
        stages = [(one["name"], one["text"], time_text(one["seconds"])) for one in self._of("stage")]
        done = table(("stage", "what it gave", "took"), stages, "Finished stages", [2]) if stages else None
        said = self._of("message", "warning")[-MESSAGES:]
        log = [tag("li", one["text"], class_="warning" if one["kind"] == "warning" else None) for one in said]
        return joined(
            [
                now,
                sections.scrolling(done, "Finished stages") if done else None,
                tag("div", sections.validation_chart(self._history()), self._step_charts(), class_="charts"),
                [tag("h3", "Messages"), tag("ul", log, class_="log")] if log else None,
            ]
        )

    def _left(self, share: float) -> str:
        """The time left, by the pace since this process took its first step."""
        first, last = self._steps[0], self._steps[-1]
        done = last["fraction"] - first["fraction"]
        if done <= 0:
            return ""
        return f", {time_text(max(0.0, time.time() - first['time']) * (1 - share) / done)} left"

    def _step_charts(self) -> list[Markup | None]:
        """The loss and the metagradient's norm of each step since this process began."""
        if len(self._steps) < 2:
            return []
        every = -(-len(self._steps) // SHOWN)
        some = self._steps[::-1][::every][::-1]
        name, at = some[-1]["name"].replace("_", " "), [one["number"] for one in some]
        charts = []
        for place, (key, words) in enumerate((("loss", name), ("norm", "norm of the metagradient"))):
            known = [(x, one[key]) for x, one in zip(at, some) if one[key] is not None]
            series = Line(words, [x for x, _ in known], [y for _, y in known], 2 * place, dots=False)
            chart = lines([series], f"{words} by outer step", "outer steps", "at each step")
            charts.append(sections.figure(chart, f"{words[0].upper()}{words[1:]}"))
        return charts

    def _history(self) -> Lines:
        """The validations: of history.jsonl where it is this run's, and of the journal."""
        history: Lines = []
        if (self.folder / CHECKPOINT).exists():
            with suppress(OSError, ValueError):
                text = (self.folder / HISTORY).read_text("utf-8")
                history = [json.loads(line) for line in text.splitlines()]
        known = {line.get("outer_step") for line in history}
        told = [
            {"outer_step": one["number"], "relative_to_full": one["relative"], "best": one["best"]}
            for one in self._of("validation")
            if one["number"] not in known
        ]
        return sorted([*history, *told], key=lambda line: line["outer_step"])


def _figure(value: float | None) -> str:
    return "not finite" if value is None else f"{value:.4g}"
