"""The search: trials of an Optuna study in a journal, taken by any number of processes.

A process holds a lock while it runs a trial, which the system frees however the process ends. A trial that
says it runs and whose lock is free was killed: it is tried again, at most `TRIES` times.
"""

import json
import math
import os
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from farzi.errors import FarziError
from farzi.files import finite_values, locked, write_text_atomic
from farzi.tuning.space import Space

JOURNAL, TRIALS = "journal.log", "trials.ndjson"
STUDY = "farzi"
TRIES = 5
STARTUP = 10
"""Trials drawn at random before the sampler learns from them."""
COPIES = 10
"""Settings drawn one after the other that were tried before, after which the space counts as exhausted."""


def optuna() -> Any:
    """The module, quiet. Raises FarziError where it is not installed."""
    try:
        import optuna as module
    except ImportError:
        raise FarziError("the search needs Optuna: pip install 'farzi[tune]'") from None
    module.logging.set_verbosity(module.logging.WARNING)
    return module


@dataclass(frozen=True)
class Row:
    """A trial.

    Attributes:
        number: from 0 on; the recipe's own setting is tried first.
        state: "complete", "stopped" (by the pruner), "failed", "running".
        settings: those drawn, by path.
        figure: of the metric, the mean over seeds; None where there is none.
        seconds: of the trial.
        default: whether it is the recipe's own setting.
        error: why it failed.
    """

    number: int
    state: str
    settings: dict[str, Any]
    figure: float | None
    seconds: float
    default: bool = False
    error: str | None = None


@dataclass(frozen=True)
class Search:
    """A search in a folder, which any number of processes may run at the same time.

    Attributes:
        folder: of the journal.
        objective: of a trial; with `timed`, also called with the seconds that are left.
        space: its settings.
        facts: what the search depends on, JSON values by name; a journal of another search is refused.
        trials: how many, at most.
        seconds: wall-clock time in which trials begin, at most.
        direction: "maximize" or "minimize".
        halving: whether trials are stopped by successive halving, not by Wilcoxon's test.
        seed: of the sampler.
    """

    folder: Path
    objective: Callable[..., float]
    space: Space
    facts: dict[str, Any]
    trials: int
    seconds: float | None
    direction: str
    halving: bool = False
    seed: int = 0

    def work(self, between: Callable[[], None]) -> None:
        """Take trials until there are enough, or the time is up."""
        study = self.study()
        while True:
            with ExitStack() as held:
                with self._turn():
                    trial = self._next(study)
                    if trial is None:
                        break
                    held.enter_context(locked(self._lock(trial.number)))
                self._run(study, trial)
            between()
        with self._turn():
            self._write(study)

    def study(self) -> Any:
        """The study in the journal, made if it is not there.

        Raises:
            FarziError: Optuna is not installed; the journal is damaged, or of another search.
        """
        library = optuna()
        path = self.folder / JOURNAL
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._turn(), warnings.catch_warnings():
            warnings.simplefilter("ignore", library.exceptions.ExperimentalWarning)
            _mend(path)
            halving = library.pruners.SuccessiveHalvingPruner
            pruner = halving() if self.halving else getattr(self.objective, "pruner", None)
            try:
                backend = library.storages.journal.JournalFileBackend(str(path), lock_obj=_Lock(path))
                storage = library.storages.JournalStorage(backend)
                study = library.create_study(
                    storage=storage,
                    study_name=STUDY,
                    direction=self.direction,
                    pruner=pruner,
                    load_if_exists=True,
                )
            except (ValueError, KeyError, TypeError, AssertionError) as error:
                raise FarziError(
                    f"{path}: is no journal of Optuna, or damaged ({error}); delete it"
                ) from None
            facts = json.loads(json.dumps(finite_values(self.facts)))
            if "search" not in study.user_attrs:
                study.set_user_attr("search", facts)
                study.enqueue_trial(self.space.own(), user_attrs={"default": True})
                return study
            former = study.user_attrs["search"]
            if differ := [name for name in {**former, **facts} if former.get(name) != facts.get(name)]:
                raise FarziError(
                    f"{self.folder}: holds a search with another {' and '.join(differ)}; choose another "
                    "folder, or begin again with restart=True"
                )
        return study

    def rows(self, study: Any) -> list[Row]:
        """The trials, those that are waiting left out."""
        rows = []
        for one in study.get_trials(deepcopy=False):
            attrs, state = one.user_attrs, one.state.name.lower()
            if state == "waiting" or attrs.get("retried"):
                continue
            state = {"fail": "failed", "pruned": "stopped"}.get(state, str(state))
            values = list(one.intermediate_values.values())
            figure = one.value if one.value is not None else self._best(values)
            figure = None if figure is None or not math.isfinite(figure) else figure
            rows.append(
                Row(
                    one.number,
                    "stopped" if attrs.get("stopped") else state,
                    dict(one.params),
                    figure,
                    round(sum(end - begin for begin, end in _spans([one])), 3),
                    bool(attrs.get("default")),
                    attrs.get("error"),
                )
            )
        return rows

    def spent(self, study: Any) -> float:
        """Wall-clock seconds in which at least one trial ran."""
        total, reached = 0.0, -math.inf
        for begin, end in sorted(_spans(study.get_trials(deepcopy=False))):
            total += max(0.0, end - max(begin, reached))
            reached = max(reached, end)
        return total

    def left(self, study: Any) -> float:
        """Seconds of the time given."""
        return math.inf if self.seconds is None else self.seconds - self.spent(study)

    def _best(self, values: list[float]) -> float | None:
        finite = [one for one in values if math.isfinite(one)]
        choose = max if self.direction == "maximize" else min
        return choose(finite) if finite and self.halving else None

    def _next(self, study: Any) -> Any:
        """The next trial, with its settings drawn; None if there is none."""
        library = optuna()
        states = library.trial.TrialState
        self._reclaim(study)
        for _ in range(COPIES):
            trials = study.get_trials(deepcopy=False)
            begun = [one for one in trials if one.state != states.WAITING]
            taken = sum(not one.user_attrs.get("retried") for one in begun)
            first = not any(one.state == states.COMPLETE for one in trials)  # is tried, whatever the time
            if taken >= self.trials or (not first and self.left(study) <= 0):
                return None
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                seed = int(np.random.default_rng([self.seed, len(begun)]).integers(2**31))
                study.sampler = library.samplers.TPESampler(
                    multivariate=True, group=True, constant_liar=True, n_startup_trials=STARTUP, seed=seed
                )
                trial = study.ask()
                drawn = self.space.suggest(trial)
            same = next(
                (one for one in begun if one.state == states.COMPLETE and self._same(one, trial, drawn)), None
            )
            if same is None:
                return trial
            for step, value in same.intermediate_values.items():
                trial.report(value, step)
            for name in ("figures", "stopped"):
                if name in same.user_attrs:
                    trial.set_user_attr(name, same.user_attrs[name])
            trial.set_user_attr("same_as", same.number)
            study.tell(trial, same.value)
        return None

    def _same(self, one: Any, trial: Any, drawn: dict[str, Any]) -> bool:
        """Whether an earlier trial had these settings; the default's may have others beside them."""
        default = one.user_attrs.get("default") and self.space.changed(one.params) != self.space.recipe
        return not default and not trial.user_attrs.get("default") and one.params == drawn

    def _run(self, study: Any, trial: Any) -> None:
        library = optuna()
        states = library.trial.TrialState
        result: dict[str, Any]
        try:
            further = (self.left(study),) if self.halving else ()
            result = {"values": self.objective(trial, *further)}
        except library.TrialPruned:
            result = {"state": states.PRUNED}
        except FarziError as error:
            if trial.user_attrs.get("default"):
                raise
            trial.set_user_attr("error", str(error))
            result = {"state": states.FAIL}
        with self._turn(), suppress(ValueError):  # it was taken for dead: a lock on another machine
            values = result.get("values")
            if values is not None and not math.isfinite(values):
                trial.set_user_attr("error", "the figure is not a finite number")
                result = {"state": states.FAIL}
            study.tell(trial.number, **result)
            self._write(study)

    def _reclaim(self, study: Any) -> None:
        """Try again what ran in processes that have ended."""
        states = optuna().trial.TrialState
        for one in study.get_trials(deepcopy=False, states=(states.RUNNING,)):
            with suppress(FarziError), locked(self._lock(one.number)):  # held: it runs
                tries = one.user_attrs.get("tries", 1)
                again = tries < TRIES
                storage, number = study._storage, one._trial_id
                note = ("retried", True) if again else ("error", f"its process was ended {tries} times")
                storage.set_trial_user_attr(number, *note)
                study.tell(one.number, state=states.FAIL)
                if again:
                    own = {name: value for name, value in one.user_attrs.items() if name == "default"}
                    study.enqueue_trial(one.params, user_attrs={**own, "tries": tries + 1})

    def _write(self, study: Any) -> None:
        rows = [json.dumps(finite_values(vars(one)), ensure_ascii=False) for one in self.rows(study)]
        write_text_atomic(self.folder / TRIALS, "".join(f"{row}\n" for row in rows))

    def _lock(self, number: int) -> Path:
        return self.folder / f"trial-{number}"

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """One process at a time."""
        with locked(self.folder / TRIALS, wait=True):
            yield


class _Lock:
    """A lock of Optuna's journal that is free when the process that held it has ended."""

    def __init__(self, path: Path) -> None:
        self.path, self.held = path, ExitStack()

    def acquire(self) -> bool:
        """Wait for the lock."""
        self.held.enter_context(locked(self.path, wait=True))
        return True

    def release(self) -> None:
        """Free it."""
        self.held.close()


def _mend(path: Path) -> None:
    """Remove a last line that a kill cut off; nobody writes meanwhile."""
    if not path.exists():
        return
    with locked(path, wait=True), open(path, "r+b") as file:
        data = file.read()
        if data and not data.endswith(b"\n"):
            file.truncate(data.rfind(b"\n") + 1)
            os.fsync(file.fileno())


def _spans(trials: list[Any]) -> list[tuple[float, float]]:
    """Begin and end of each trial, in seconds; those that were killed have none.

    Optuna keeps the clock's times. A trial during which the clock was set back counts as no time.
    """
    now = time.time()
    spans = [
        (_time(one.datetime_start, now), _time(one.datetime_complete, now))
        for one in trials
        if one.datetime_start is not None and not one.user_attrs.get("retried")
    ]
    return [(begin, max(begin, end)) for begin, end in spans]


def _time(moment: datetime | None, now: float) -> float:
    return now if moment is None else moment.timestamp()
