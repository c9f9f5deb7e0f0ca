"""Model search on a summary, confirmed on the full data, beside what the same seconds give without one."""

import json
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from farzi.data import Data
from farzi.data.fingerprint import fingerprint
from farzi.distillation import Cache
from farzi.errors import FarziError
from farzi.evaluation.compare import summary_checksum
from farzi.evaluation.metrics import Metric
from farzi.files import finite_values, write_text_atomic
from farzi.progress import Progress, counted, time_text
from farzi.summary import Summary
from farzi.tuning.confirm import OWN, Candidate, Confirmation, Confirmed, rank_agreement
from farzi.tuning.controls import CONTROLS, MANY, control_search
from farzi.tuning.objectives import Objective
from farzi.tuning.processes import work
from farzi.tuning.search import JOURNAL, TRIALS, Row, Search
from farzi.tuning.tuned import Tuned, figure_text

FILES = (JOURNAL, TRIALS, "best-config.json", "confirmed.json", "report.md", "search.png")


@dataclass(frozen=True)
class Plan:
    """How much is tried, and by how many processes; the attributes are arguments of `farzi.tune`.

    Raises:
        FarziError: a number is too small, or there is no such control.
    """

    trials: int = 60
    minutes: float | None = None
    jobs: int = 1
    confirm: int = 3
    control: str | Sequence[str] = ()
    restart: bool = False

    def __post_init__(self) -> None:
        for name, least in (("trials", 1), ("jobs", 1), ("confirm", 0)):
            if getattr(self, name) < least:
                raise FarziError(f"{name} must be at least {least}, not {getattr(self, name)}")
        if self.minutes is not None and not self.minutes > 0:
            raise FarziError(f"minutes must be above 0, not {self.minutes:g}")
        for one in self.controls:
            if one not in CONTROLS:
                raise FarziError(f"control must be one of {', '.join(CONTROLS)}, not {one!r}")

    @property
    def controls(self) -> tuple[str, ...]:
        """Their names, each once."""
        return (self.control,) if isinstance(self.control, str) else tuple(dict.fromkeys(self.control))


def search_and_confirm(
    summary: Summary,
    data: Data,
    target: Objective,
    plan: Plan,
    folder: Path | None,
    cache: Cache,
    progress: Progress,
    device: str = "cpu",
) -> Tuned:
    """As `farzi.tune`, with the objective made. The picture is left to the caller.

    Raises:
        FarziError: as for `farzi.tune`.
    """
    space, metric = target.space, target.metric
    with ExitStack() as held:
        place = folder or Path(held.enter_context(tempfile.TemporaryDirectory())) / "tune"
        if plan.restart:
            _forget(place)
        search = _search(place, summary, data, target, plan)
        rows, seconds = _searched(search, plan.jobs, "search", metric, progress)
        took = {"distillation": float(summary.run.get("seconds") or 0.0), "search": seconds}
        best = _ranked(rows, metric.cost)
        own = next((row for row in best if row.default), None)
        if own is None:
            raise FarziError("the recipe's own setting has no figure; begin again with restart=True")
        candidates = [
            Candidate(OWN, space.recipe, {}, own.number, own.figure),
            *(
                Candidate(_name(row), space.changed(row.settings), row.settings, row.number, row.figure)
                for row in [one for one in best if not one.default][: plan.confirm]
            ),
        ]
        for name in plan.controls:
            mine = control_search(name, search, data, target, sum(list(took.values())[:2]), device)
            found, took[name] = _searched(mine, plan.jobs, name, metric, progress)
            candidates.append(_best_of_control(name, found, mine, metric))
        confirmed: tuple[Confirmed, ...] = ()
        if plan.confirm or plan.controls:
            kept = cache if cache.folder else Cache(place / "full-data")
            work = Confirmation(tuple(candidates), data, metric, target.seeds, kept, device)
            confirmed = _confirmed(work, plan.jobs, progress)
            took["confirmation"] = sum(row.seconds for row in confirmed) * target.seeds
    ours = [row for row in confirmed if row.summary is not None]
    winner = max(ours, key=lambda row: metric.sign * row.valid, default=None)
    settings = ({} if best[0].default else best[0].settings) if winner is None else winner.settings
    tau = rank_agreement(ours, metric)
    parts = (metric, tuple(rows), best[0], confirmed, winner, space.changed(settings), tau, took, folder)
    result = Tuned(*parts)
    if folder is not None:
        _save(result, folder)
    return result


def _search(place: Path, summary: Summary, data: Data, target: Objective, plan: Plan) -> Search:
    recipe, seconds = target.space.recipe, None if plan.minutes is None else 60 * plan.minutes
    facts = {
        "space": target.space.facts(),
        "metric": target.metric.name,
        "seeds": target.seeds,
        "recipe": recipe.model_dump(mode="json", exclude={"compare": True, "data": {"file"}}),
        "summary": summary_checksum(summary.tensors),
        "data": fingerprint(data),
    }
    limits = plan.trials, seconds, target.direction
    return Search(place, target, target.space, facts, *limits, seed=recipe.seed)


def _forget(place: Path) -> None:
    """Remove a search's files; full-data models stay."""
    for name in FILES:
        (place / name).unlink(missing_ok=True)
    for name in CONTROLS:
        shutil.rmtree(place / f"control-{name}", ignore_errors=True)


def _confirmed(confirmation: Confirmation, jobs: int, progress: Progress) -> tuple[Confirmed, ...]:
    """Train the candidates on the full data, with reports."""
    total, missing = len(confirmation.trainings), confirmation.missing
    settings = counted(len(confirmation.candidates), "setting")
    here = f", {total - missing} of them in the cache" if missing < total else ""
    progress.message(f"confirm: {settings} on the full data, {counted(total, 'training')}{here}")
    if missing:
        left = _Left(lambda: total - confirmation.missing, total, progress, "confirm: training")
        work(confirmation, min(jobs, missing), left, progress.warning)
    return confirmation.results()


class _Left:
    """Reports how far the work is, and the time left, at most once in two seconds."""

    def __init__(self, done: Callable[[], int], total: int, progress: Progress, text: str) -> None:
        self.done, self.total, self.progress, self.text, self.clock = (
            done,
            total,
            progress,
            text,
            time.monotonic,
        )
        self.begun, self.first, self.told = self.clock(), done(), 0.0

    def __call__(self) -> None:
        """Report."""
        if self.clock() - self.told < 2:
            return
        self.told, done = self.clock(), self.done()
        new = done - self.first
        rest = (self.total - done) * (self.clock() - self.begun) / new if new else None
        left = "" if rest is None else f", about {time_text(rest)} left"
        self.progress.passing(f"{self.text} {min(done + 1, self.total)} of {self.total}{left}")


def _searched(
    search: Search, jobs: int, name: str, metric: Metric, progress: Progress
) -> tuple[list[Row], float]:
    """Run a search to its end, with reports; its trials, and its seconds."""
    study = search.study()
    before = sum(row.state != "running" for row in search.rows(study))
    if before:
        progress.message(f"{name}: goes on after {counted(before, 'trial')} in {search.folder / JOURNAL}")
    told = [before]

    def between() -> None:
        rows = search.rows(study)
        done = [row for row in rows if row.state != "running"]
        if len(done) <= told[0]:
            return
        told[0] = len(done)
        best, spent = _ranked(rows, metric.cost), search.spent(study)
        figure = f", best {metric.name} {figure_text(metric, best[0].figure or 0)}" if best else ""
        of = f" of {search.trials}" if search.trials < MANY else ""
        rest = min(spent / len(done) * max(0, search.trials - len(done)), max(0.0, search.left(study)))
        progress.passing(f"{name}: trial {len(done)}{of}{figure}, about {time_text(rest)} left")

    work(search, jobs, between, progress.warning)
    rows, seconds = search.rows(study), search.spent(study)
    states = [row.state for row in rows]
    counts = ", ".join(f"{states.count(one)} {one}" for one in ("stopped", "failed") if one in states)
    progress.stage(name, f"{counted(len(rows), 'trial')}{f' ({counts})' if counts else ''}", seconds)
    return rows, seconds


def _best_of_control(name: str, rows: list[Row], search: Search, metric: Metric) -> Candidate:
    best = next(iter(_ranked(rows, metric.cost, stopped=search.halving)), None)
    if best is None:
        raise FarziError(f"control {name}: no training reached a validation in the search's time")
    settings = {} if best.default else best.settings
    return Candidate(name, search.space.changed(settings), settings)


def _name(row: Row) -> str:
    return OWN if row.default else f"trial {row.number}"


def _ranked(rows: Sequence[Row], cost: bool, stopped: bool = False) -> list[Row]:
    """The best trials first, one for each setting."""
    states = ("complete", "stopped") if stopped else ("complete",)
    done = [row for row in rows if row.figure is not None and row.state in states]
    ordered = sorted(done, key=lambda row: row.figure or 0, reverse=not cost)
    unique: dict[str, Row] = {}
    for row in ordered:
        unique.setdefault(
            json.dumps([row.default and row.number, row.settings], sort_keys=True, default=str), row
        )
    return list(unique.values())


def _save(result: Tuned, folder: Path) -> None:
    """best-config.json, a recipe, confirmed.json, and report.md with the tables and the picture."""
    text = f"# Model search\n\n{result.line}\n\n![The trials](search.png)\n\n```\n{result}\n```\n"
    write_text_atomic(folder / "report.md", text)
    for name, value in (
        ("best-config.json", result.recipe.model_dump(mode="json")),
        ("confirmed.json", finite_values(result.facts())),
    ):
        write_text_atomic(folder / name, json.dumps(value, indent=2, ensure_ascii=False) + "\n")
