"""Trackers of experiments: TensorBoard, MLflow, Weights & Biases, a CSV file, or any object of yours.

All of them are one protocol, `log(values, step)`. Their packages are imported when they are used, and a
tracker opens its run, or its file, with the first figures.
"""

import csv
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from farzi.errors import FarziError
from farzi.files import write_text_atomic
from farzi.progress import Progress, Several, StepReport, Validated

FOLDER, FILE = "tracking", "metrics.csv"
"""Within a run's folder: where TensorBoard's files are, and the CSV file."""


@runtime_checkable
class Tracker(Protocol):
    """Whatever records figures. One that has a method `close` is told when the run ends."""

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Record figures by name at an outer step, 0 before the first one."""


class TensorBoardTracker:
    """Event files in a folder, and the recipe as text: `tensorboard --logdir FOLDER`.

    Args:
        folder: of the files. Figures that are there from this step on, of a run that was interrupted, are
            replaced.
        settings: of the run, by path.
    """

    def __init__(self, folder: str | Path, settings: Mapping[str, Any] | None = None) -> None:
        _module("tensorboard", "tensorboard")
        self._folder, self._settings, self._writer = str(folder), settings or {}, None

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Add each figure as a scalar."""
        if self._writer is None:
            from torch.utils.tensorboard import SummaryWriter

            self._writer = SummaryWriter(self._folder, purge_step=step)
            rows = "\n".join(f"| {name} | {value} |" for name, value in self._settings.items())
            self._writer.add_text("recipe", f"| setting | value |\n| --- | --- |\n{rows}", step)
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        """Write what is left."""
        if self._writer is not None:
            self._writer.close()


class CSVTracker:
    """A file with the columns step, name and value.

    Args:
        path: of the file. A run that is resumed goes on in it: rows from its first step on are replaced.

    Raises:
        FarziError: another file is there.
    """

    columns = ("step", "name", "value")

    def __init__(self, path: str | Path) -> None:
        self._path, self._begun = Path(path), False
        self._rows()

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Add a row for each figure."""
        if not self._begun:
            self._begun = True
            self._path.parent.mkdir(parents=True, exist_ok=True)
            kept = [row for row in self._rows() if int(row[0]) < step]
            write_text_atomic(self._path, _csv([self.columns, *kept]))
        with open(self._path, "a", encoding="utf-8", newline="") as file:
            file.write(_csv([(step, name, repr(float(value))) for name, value in values.items()]))

    def _rows(self) -> list[list[str]]:
        if not self._path.exists():
            return []
        try:
            head, *rows = csv.reader(io.StringIO(self._path.read_text("utf-8")))
            if tuple(head) != self.columns or not all(len(row) == 3 and row[0].isdigit() for row in rows):
                raise ValueError
        except ValueError:
            raise FarziError(
                f"{self._path} is there and was not written by a tracker; move it away"
            ) from None
        return rows


class MLflowTracker:
    """A run of MLflow: the one that is active, or a new one where MLflow's own settings say.

    Args:
        name: of a new run.
        settings: of the run, by path; logged as parameters of a new run.
    """

    def __init__(self, name: str | None = None, settings: Mapping[str, Any] | None = None) -> None:
        self._mlflow = _module("mlflow", "mlflow")
        self._name, self._settings, self._run, self._own = name, settings or {}, None, False

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Log the figures; `@`, which MLflow refuses in names, becomes `_at_`."""
        if self._run is None:
            self._run = self._mlflow.active_run()
            if self._run is None:
                self._run, self._own = self._mlflow.start_run(run_name=self._name), True
                given = list(self._settings.items())
                for part in range(0, len(given), 100):  # as many as one request may have
                    self._mlflow.log_params(dict(given[part : part + 100]))
        named = {name.replace("@", "_at_"): float(value) for name, value in values.items()}
        self._mlflow.log_metrics(named, step=step)

    def close(self) -> None:
        """End the run, if it was begun here."""
        if self._own:
            self._mlflow.end_run()


class WandbTracker:
    """A run of Weights & Biases: the one that is active, or a new one of the project "farzi".

    Args:
        name: of a new run.
        settings: of the run, by path; the configuration of a new run.
    """

    def __init__(self, name: str | None = None, settings: Mapping[str, Any] | None = None) -> None:
        self._wandb = _module("wandb", "wandb")
        self._name, self._settings, self._run, self._own = name, dict(settings or {}), None, False

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Log the figures."""
        if self._run is None:
            self._run = self._wandb.run
            if self._run is None:
                own = {"project": "farzi", "name": self._name, "config": self._settings}
                self._run, self._own = self._wandb.init(**own), True
        self._run.log(dict(values), step=step)

    def close(self) -> None:
        """Finish the run, if it was begun here."""
        if self._own and self._run is not None:
            self._run.finish()


TRACKERS = ("tensorboard", "mlflow", "wandb", "csv")
"""Names of trackers."""

ReportTo = str | Tracker | Sequence[str | Tracker] | None


def make_trackers(
    report_to: ReportTo, folder: str | Path | None, settings: Mapping[str, Any]
) -> list[Tracker]:
    """The trackers of a run.

    Args:
        report_to: names from `TRACKERS`, or objects with a method `log(values, step)`; one, or several.
        folder: of the run. TensorBoard's files and `metrics.csv` are in its sub-folder "tracking". None for a
            run that writes none, which can have the other trackers alone.
        settings: of the run; nested ones are named by their path.

    Raises:
        FarziError: a name is unknown, an object has no `log`, a package is not installed, or there is no
            folder to write to.
    """
    several = report_to if isinstance(report_to, list | tuple) else () if report_to is None else (report_to,)
    flat, made = dict(_flat(settings)), []
    name = None if folder is None else Path(folder).resolve().name
    for one in several:
        if one in ("tensorboard", "csv"):
            if folder is None:
                raise FarziError(f"report_to={one} writes into the folder of the run; give out=FOLDER")
            place = Path(folder) / FOLDER
            made.append(TensorBoardTracker(place, flat) if one == "tensorboard" else CSVTracker(place / FILE))
        elif one in ("mlflow", "wandb"):
            made.append((MLflowTracker if one == "mlflow" else WandbTracker)(name, flat))
        elif isinstance(one, Tracker):
            made.append(one)
        else:
            kind = f"a {type(one).__name__}" if not isinstance(one, str) else f'"{one}"'
            known = ", ".join(TRACKERS)
            raise FarziError(f"report_to: {kind} is none of {known}, and no object with log(values, step)")
    return made


@contextmanager
def tracked(progress: Progress, trackers: Sequence[Tracker]) -> Iterator[Progress]:
    """Log the reports of a run to trackers, and close them; yields what is to receive the reports.

    A tracker that fails ends no run: it gets no more figures, and a warning says why.
    """
    tracking = _Tracking(progress, trackers)
    try:
        yield Several(progress, tracking) if trackers else progress
    finally:
        tracking.close()


class _Tracking(Progress):
    """Turns reports into figures: of steps, of validations, and the seconds of stages."""

    def __init__(self, progress: Progress, trackers: Sequence[Tracker]) -> None:
        self._progress, self._trackers, self._step = progress, list(trackers), 0

    def stage(self, name: str, text: str, seconds: float) -> None:
        self._log({f"seconds/{name}": seconds}, self._step)

    def step(self, number: int, fraction: float, seconds: float, report: StepReport) -> None:
        self._step = number
        figures = {report.name: report.loss, "metagradient_norm": report.norm, "seconds": seconds}
        self._log(figures, number)

    def validation(self, number: int, result: Validated, best: bool) -> None:
        self._step = number
        figures = {f"validation/{name}": value for name, value in result.figures.items()}
        shares = {f"of_full_data/{name}": value for name, value in result.relative.items()}
        self._log({**figures, **shares}, number)

    def _log(self, values: Mapping[str, float | None], step: int) -> None:
        """Without what is no number, a share of nothing; a norm that was not finite is infinite."""
        known = {name: value for name, value in values.items() if value is not None and not math.isnan(value)}
        for tracker in list(self._trackers):
            try:
                tracker.log(known, step)
            except Exception as error:
                self._trackers.remove(tracker)
                self._warn(tracker, f"failed at step {step} and gets no more figures", error)

    def close(self) -> None:
        """Close the trackers that can be closed."""
        for tracker in self._trackers:
            try:
                getattr(tracker, "close", lambda: None)()
            except Exception as error:
                self._warn(tracker, "could not be closed", error)

    def _warn(self, tracker: Tracker, what: str, error: Exception) -> None:
        line = " ".join(f"{type(error).__name__}: {error}".split())
        self._progress.warning(f"the tracker {type(tracker).__name__} {what} ({line})")


def _module(package: str, extra: str) -> Any:
    try:
        return import_module(package)
    except ImportError as error:
        raise FarziError(
            f"report_to={package} needs the package {package} ({error}): pip install 'farzi[{extra}]'"
        ) from None


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _csv(rows: Sequence[Sequence[object]]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows(rows)
    return buffer.getvalue()
