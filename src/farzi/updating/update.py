"""`update`: from yesterday's summary and a day's events to today's summary, resumable at any moment.

The steps: read the day; append its new items to the vocabulary and to both decoders; train yesterday's
teacher further on summary and day; make the labels anew, and sample some sequences anew; take a few outer
steps. Each step is kept only if fresh students that are trained on its summary predict held-out events of the
day better than without it.
"""

import hashlib
import json
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from farzi.data import Day, Log, Sequences, read_day
from farzi.data.fingerprint import checksum
from farzi.distillation import FullData, validate
from farzi.distillation.checkpoint import load_checkpoint, remove_checkpoint
from farzi.distillation.distill import save, stop_event, take_outer_steps
from farzi.distillation.run import Run
from farzi.errors import FarziError
from farzi.evaluation import task_of
from farzi.files import finite_values, locked, place, sha256
from farzi.models import Model, SequenceModel
from farzi.progress import PrintedProgress, Progress, counted
from farzi.provenance import environment
from farzi.recipe import Recipe
from farzi.recipe import variants as v
from farzi.recipe.variants import DataVariant
from farzi.summary import TEACHER, Ensemble, Summary, SummaryTensors, check_folder, remove_cached
from farzi.summary.initializers.sampled import draw_sequences, without_repeats
from farzi.surroundings import undisturbed
from farzi.updating.days import day_log
from farzi.updating.finished import PARTIAL, finished_update
from farzi.updating.grow import Neighbours, grown_model, grown_tensors, tensors_key, without
from farzi.updating.judge import Candidate, Compared, day_facts, due, judge, nearest_facts
from farzi.updating.labels import anew, can_relabel, least_used, renewed
from farzi.updating.students import Recalled, log_likelihood, warm_started, warm_teach
from farzi.updating.teachers import Teacher, found_teacher

SHARE = 0.2
"""Weight of the day beside the summary where the teacher is trained further."""
REPLACED = 0.25
"""Share of the sequences that are sampled anew."""
TEACHING = 0.35
"""Share of the minutes in which the teacher is trained, at most."""
SLOWER = 0.3
"""The outer learning rate as a share of the distillation's."""
PAST = (100, 400)
"""Sequences sampled from the teacher that stand for the past, at least and at most."""


def update(
    summary: Summary | str | Path,
    day: Any,
    out: str | Path | None = None,
    *,
    minutes: float = 2.0,
    steps: int | None = None,
    history: Any = None,
    following: Any = None,
    teacher: Model | str | Path | None = None,
    cache: str | Path | None = None,
    vanished: Sequence[str] = (),
    compare: Compared | None = None,
    reading: DataVariant | None = None,
    seed: int = 0,
    restart: bool = False,
    progress: Progress | None = None,
    device: torch.device | str = "cpu",
    checkpoint_seconds: float = 10.0,
) -> Summary:
    """Bring a summary up to date with a day's events, and write the folder of the new one.

    Args:
        summary: yesterday's, or its folder. Its indices stay; new items follow them.
        day: a file or a frame of events, read as the summary's log was. Its users may be unknown.
        out: the new summary's folder. An unfinished update there goes on, a finished one is returned. If left
            out, nothing is stored.
        minutes: of the whole update, measuring aside.
        steps: outer steps, in place of minutes; each stage then has a fixed number of steps.
        history: a file or a frame with earlier events of the day's users.
        following: the next day's events: what is reported is then measured on them, else on held-out events
            of the day.
        teacher: a model of the summary's items to train further. If left out, that of the last update, beside
            the summary; or that of the distillation, in `cache`; or a student trained on the summary.
        cache: the folder in which `distill` kept its full-data trainings.
        vanished: ids of items that are no longer offered. They keep their indices and lose their probability,
            their count, and so their recommendations.
        compare: what else to train and report: full retraining, and replay of real exemplars.
        reading: the `data` of a recipe, of which the columns and the form of events are taken; those of the
            summary's log if left out.
        seed: of all random draws.
        restart: start from the beginning even if `out` holds an update or a summary, which is then lost.
        progress: receives reports; if left out, lines are printed to stderr.
        device: where everything is computed.
        checkpoint_seconds: between two saves of the outer loop's state.

    Returns:
        The new summary. `run["update"]` has what was kept, the rows of figures, and whether a whole
        distillation is due.

    Raises:
        FarziError: the day cannot be read, has no events or none that could be learnt; `out` is the summary's
            own folder, or holds something else; or the summary is one of a text.
        KeyboardInterrupt: interrupted; the same call goes on.
        OSError: `out` cannot be written.
    """
    if out is None:
        with tempfile.TemporaryDirectory() as scratch:
            settings: dict[str, Any] = {"minutes": minutes, "steps": steps, "history": history}
            settings |= {"following": following, "teacher": teacher, "cache": cache, "vanished": vanished}
            settings |= {"compare": compare, "reading": reading, "seed": seed}
            settings |= {"progress": progress, "device": device}
            return update(summary, day, Path(scratch) / "summary", **settings)
    out, progress = place(out), progress or PrintedProgress()
    folder = None if isinstance(summary, Summary) else place(summary)
    old = summary if isinstance(summary, Summary) else Summary.load(summary)
    if old.is_text:
        raise FarziError("a summary of a text cannot be updated: its tokens are fixed; distil it anew")
    if folder is not None and out.resolve() == folder.resolve():
        raise FarziError(f"{out}: is the summary that is updated; name another folder for the new one")
    if not minutes > 0:
        raise FarziError(f"minutes must be above 0, not {minutes:g}")
    recipe, reading = old.recipe, reading or old.recipe.data
    there = read_day(day, old.vocabulary, reading, history=history)
    gone = old.vocabulary.encode(list(vanished)) if len(vanished) else np.empty(0, np.int64)
    fingerprint = checksum(there.recent(0))
    if fingerprint in old.run.get("update", {}).get("days", []):
        raise FarziError(f"{there.name}: has no new events: this summary was updated with the same ones")
    following = None if following is None else read_day(following, there.vocabulary, reading, append=False)
    words = [tensors_key(old.tensors), checksum(there.sequences), there.vocabulary.frame["id"].to_list()]
    words += [minutes, steps, seed, list(vanished), recipe.model_dump_json()]
    if isinstance(teacher, (str, Path)) and Path(teacher).is_file():
        words.append(sha256(Path(teacher)))
    next_day = None if following is None else checksum(following.sequences)
    measured = {"next": next_day, "compare": None if compare is None else compare.count}
    key = hashlib.sha256(json.dumps(words).encode()).hexdigest()
    if not restart and (finished := finished_update(out, key, measured)) is not None:
        progress.message(f"{out} holds this update already")
        return finished
    check_folder(out)
    created = not out.exists()
    out.mkdir(parents=True, exist_ok=True)
    try:
        with locked(out):
            if restart:
                remove_checkpoint(out)
                remove_cached(out / PARTIAL)
            source = found_teacher(old, folder, teacher, cache, device)
            given = (old, there, recipe, out, key, seed, minutes, steps, gone, following, progress, device)
            work = _Update(*given, measured)
            return work.run(source, compare, fingerprint, checkpoint_seconds)
    except KeyboardInterrupt as stopped:
        raise KeyboardInterrupt(*stopped.args or ("stopped; the same call goes on",)) from None
    finally:
        if created:
            with suppress(OSError):
                out.rmdir()


@dataclass(frozen=True, eq=False)
class _Update:
    """An update in a folder that this process has locked."""

    old: Summary
    day: Day
    recipe: Recipe
    out: Path
    key: str
    seed: int
    minutes: float
    steps: int | None
    gone: np.ndarray
    following: Day | None
    progress: Progress
    device: torch.device | str
    measured: dict[str, Any]

    @undisturbed()
    def run(
        self, source: Teacher, compare: Compared | None, fingerprint: str, checkpoint_seconds: float
    ) -> Summary:
        begun = time.perf_counter()
        say, day = self.progress.message, self.day
        further = max(self.old.tensors.length - 1, source.model.network.length)
        log = day_log(day, further, self.seed, self.following, self.gone)
        users = counted(len(day.sequences), "user")
        say(f"{day.name}: {counted(day.events, 'event')} of {users}, {counted(day.new_items, 'new item')}")
        say(source.words)
        near = Neighbours(day, self.old.vocabulary.frame["count"].to_numpy())
        yesterday = without(grown_tensors(self.old.tensors.to("cpu"), near), self.gone)
        yesterday = yesterday.rounded(self.recipe.summary.precision)
        teacher, teaching = self._teacher(source, near, log)
        figures = task_of(log, self.recipe.select.seen).evaluate(teacher.network, log.valid).means()
        start, seconds, kept = self._labels(teacher, log, yesterday, figures)
        done = self._refine(teacher, log, start, figures, (teaching, seconds), checkpoint_seconds)
        tensors = without(done.tensors, self.gone).rounded(self.recipe.summary.precision)
        kept |= {"outer_step": done.selected_step or 0}
        if not done.selected_step:
            none = "there was no time left for outer steps; more minutes are needed"
            nothing = "the outer steps brought nothing on held-out events and are not kept"
            say(f"refine: {nothing if done.run['outer_steps'] else none}")
        made = Summary(tensors, log.vocabulary, self.recipe, done.history, done.run)
        seconds = done.run["seconds"]
        facts = {
            "key": self.key,
            "measured": self.measured,
            "days": [*self.old.run.get("update", {}).get("days", []), fingerprint],
            "day": day_facts(day),
            "teacher": source.kind,
            "kept": kept,
            "seconds": seconds,
        }
        facts |= judge(self.old, made, log, teacher, near, compare, facts, self.progress, self.device)
        facts |= due(self.old, facts)
        run = made.run | {"update": finite_values(facts), "nearest_real": nearest_facts(tensors, day)}
        run["measuring_seconds"] = round(time.perf_counter() - begun - seconds, 1)
        made = replace(made, run=run)
        made.save(self.out)
        teacher.save(self.out / TEACHER)
        remove_cached(self.out / PARTIAL)
        remove_checkpoint(self.out)
        return made

    def _teacher(self, source: Teacher, near: Neighbours, log: Log) -> tuple[Model, float]:
        """The teacher, trained further on the day and on what it knew before; and the seconds of that."""
        begun = time.perf_counter()
        path = self.out / PARTIAL / f"teacher-{self.key[:16]}.safetensors"
        unfinished = path.with_suffix(".unfinished")
        if path.exists():
            model = Model.load(path)
            model.network.to(self.device)
            return model, model.seconds
        student = source.model.student
        network = grown_model(source.model.network.to(self.device), student, near)
        counts = np.zeros(len(log.vocabulary), np.int64)  # of first events: new items are not the past
        counts[: self.day.known] = self.old.vocabulary.frame["count"].to_numpy()
        counts[self.gone] = 0
        window = network.length + 1
        past = Recalled.of(network, counts, self._past(log), self._once(window, len(counts)), self.seed)
        sampling = time.perf_counter() - begun
        teach = warm_teach(self.recipe, TEACHING * self.minutes, self.steps)
        self.progress.message("teach: training the teacher further, on the day and on its own predictions")

        def report(step: int, figure: float, left: float) -> None:
            self.progress.passing(f"teach: step {step}, {-figure:.3f} nats per held-out event")

        trained = warm_started(network, log, teach, past, SHARE, self.seed, report, unfinished, self.key)
        words = f"step {trained.best_step} of {trained.steps} is kept"
        if not trained.best_step:
            words = f"{trained.steps} steps brought nothing on held-out events; it stays as it was"
        seconds = sampling + trained.seconds
        self.progress.stage("teach", words, seconds)
        model = Model(network, student, log.vocabulary, self.recipe.data, "update", seconds, trained.steps)
        path.parent.mkdir(parents=True, exist_ok=True)
        model.save(path)
        unfinished.unlink(missing_ok=True)
        return model, seconds

    def _labels(
        self, teacher: Model, log: Log, yesterday: SummaryTensors, figures: dict[str, float]
    ) -> tuple[Candidate, float, dict[str, Any]]:
        """What the outer steps start from, the seconds of making it, and what was kept of it."""
        begun = time.perf_counter()
        if not can_relabel(yesterday):
            self.progress.message("initialise: labels stay: the summary has no label decoder of its own")
            return Candidate(yesterday), 0.0, {"labels": False, "replaced": 0}
        recipe = self._outer_recipe(teacher, yesterday)
        rng = np.random.default_rng([self.seed, 12])
        ensemble = Ensemble((teacher.network,))
        counts = np.bincount(log.train.items, minlength=len(log.vocabulary))
        which = least_used(yesterday, counts, round(REPLACED * yesterday.sequences))
        sampled = self._sampled(ensemble, log, len(which), yesterday.length, rng)

        def judged(one: SummaryTensors) -> Candidate:
            tensors = without(one, self.gone).rounded(self.recipe.summary.precision)
            students: list[SequenceModel] = []
            result = validate(tensors.to(self.device), log, recipe, figures, students)
            likelihood = float(np.mean([log_likelihood(one, log.valid) for one in students]))
            return Candidate(tensors, result, likelihood)

        chosen = judged(yesterday)
        best, total = (False, 0), yesterday.sequences if yesterday.dim > 1 else 0
        counts_anew = (total, len(which), 0)  # labels alone only where the others bring nothing
        if self.old.selected_step:  # what outer steps have learnt stays, if it can
            counts_anew = (len(which), 0, total)
        for count in dict.fromkeys(counts_anew):
            if count > len(which):
                tensors = anew(recipe, log, teacher.network, without_repeats(self.day.sequences), rng)
            else:
                tensors = renewed(yesterday, ensemble, which[:count], sampled[:count], self.gone, rng)
            candidate = judged(tensors)
            if candidate.likelihood > chosen.likelihood:
                best, chosen = (True, count), candidate
                break
        seconds = time.perf_counter() - begun
        labels, replaced = best
        words = f"labels made anew, {counted(replaced, 'sequence')} sampled anew"
        if not labels:
            words = "new labels and sequences brought nothing on held-out events and are not kept"
        self.progress.stage("initialise", words, seconds)
        return chosen, seconds, {"labels": labels, "replaced": replaced}

    def _sampled(
        self, teacher: Ensemble, log: Log, count: int, length: int, rng: np.random.Generator
    ) -> np.ndarray:
        """Events (count, length) drawn from the teacher; vanished items are not first ones."""
        if count == 0:
            return np.empty((0, length), np.int64)
        counts = log.vocabulary.frame["count"].to_numpy()
        return draw_sequences(teacher, counts, count, length, self._once(length, len(counts)), rng)

    def _once(self, length: int, vocabulary: int) -> bool:
        """Whether sampled sequences hold no event twice, as those of the day do not."""
        return without_repeats(self.day.sequences) and 2 * length < vocabulary

    def _past(self, log: Log) -> int:
        """How many sampled sequences stand for the past."""
        return int(np.clip(len(log.train), *PAST))

    def _refine(
        self,
        teacher: Model,
        log: Log,
        start: Candidate,
        figures: dict[str, float],
        before: tuple[float, float],
        checkpoint_seconds: float,
    ) -> Summary:
        """The outer steps, from a checkpoint if there is one."""
        ensemble, rng = Ensemble((teacher.network,)), np.random.default_rng([self.seed, 13])
        events = self._sampled(ensemble, log, self._past(log), start.tensors.length + 1, rng)
        train = Sequences.from_lists([*log.train, *events])
        log = replace(log, train=train)
        recipe, seconds = self._outer_recipe(teacher, start.tensors), sum(before)
        saved = load_checkpoint(self.out, self.device)
        if saved is not None:
            run = Run.resume(saved, recipe, log, self.progress, self.out)
            self.progress.message(f"resuming {self.out} after outer step {run.loop.step}")
        else:
            full = FullData(figures, seconds, teachers=(teacher.network,))
            run = Run(recipe, log, self.progress, start.tensors.to(self.device), full)
            run.earlier_seconds = seconds
            run.sessions = [{"outer_step": 0, **environment(run.loop.summary.device)}]
            run.stages = {
                "teach": {"seconds": round(before[0], 1), "trainings": 1},
                "initialise": {"seconds": round(before[1], 1), "type": "update"},
                "refine": {"seconds": 0.0, "steps": 0, "without_metagradient": 0, "stopped_by_probe": False},
                "select": {"seconds": 0.0, "validations": 0},
            }
            self.progress.message(
                "refine: the figures' shares are of the updated teacher's, not of full data's"
            )
            run.validate(start.result)
        with stop_event() as stop:
            if saved is None:
                save(run, self.out)
                Summary.remove(self.out)
            take_outer_steps(run, self.out, stop, checkpoint_seconds)
        return run.finish()

    def _outer_recipe(self, teacher: Model, start: SummaryTensors) -> Recipe:
        """The recipe of the outer steps: the summary's, at a lower rate, with the updated teacher."""
        recipe = self.recipe
        objective = recipe.outer.objective
        if getattr(objective.build(), "trajectories", 0):
            objective = v.TeacherLoss()
        changes: dict[str, Any] = {
            "seed": recipe.seed + self.seed,
            "teach.model": teacher.student,
            "teach.length": teacher.network.length + 1,
            "summary.sequences": start.sequences,
            "summary.length": start.length,
            "outer.objective": objective,
            "outer.weights": v.FreshWeights(),
            "outer.learning_rate": SLOWER * recipe.outer.learning_rate,
            "outer.probe": None,
            "outer.execution": "eager",
            "select.every": max(1, self.steps) if self.steps is not None else 20,
        }
        if self.steps is None:
            changes["outer.minutes"] = self.minutes
        else:
            changes |= {"outer.minutes": None, "outer.steps": self.steps}
        return recipe.changed(changes)
