"""Distilling a log or text, and comparing the summary."""

import hashlib
import tempfile
from pathlib import Path
from typing import Any

import torch

from farzi.data import Data, Text
from farzi.data.fingerprint import fingerprint
from farzi.distillation import Cache, Target, full_trainings, initialise, teach
from farzi.distillation import distill as _distill
from farzi.evaluation import Comparison, Origin, Teachers, check_vocabulary
from farzi.evaluation import compare as _compare
from farzi.evaluation.compare import tune_full_data
from farzi.evaluation.controls import labels_kept
from farzi.evaluation.tuning import Tuning
from farzi.processes import current, joined
from farzi.progress import PrintedProgress, Progress, counted
from farzi.recipe import Recipe, presets
from farzi.report import write_page
from farzi.summary import Summary
from farzi.surroundings import undisturbed
from farzi.tracking import make_trackers
from farzi.tracking.trackers import ReportTo


@joined()
def distill(
    data: Data,
    recipe: Recipe | None = None,
    *,
    events: int | str | None = None,
    bytes: int | str | None = None,
    training_seconds: float | None = None,
    out: str | Path | None = None,
    restart: bool = False,
    progress: Progress | None = None,
    cache: Cache | None = None,
    device: torch.device | str = "cpu",
    report_to: ReportTo = None,
) -> Summary:
    """Distil a log or text into a summary.

    The recipe's number of sequences is the summary's size, unless `events`, `bytes` or `training_seconds`
    decides it; a line says what follows. The sequences stay as long as the recipe's.

    Args:
        data: from `load_log` or `load_text`.
        recipe: how; `presets.LOG` or `presets.TEXT` if left out. Its `data` are replaced by those of `data`.
        events: synthetic events: a number, or a share of the training events ("0.1%").
        bytes: of the summary's numbers at most: a number, or with a unit ("200KB").
        training_seconds: of one training on the summary on this machine at most. The steps of a training are
            then in proportion to the sequences.
        out: the summary's folder, with a page of the run, report.html. A run there is resumed, a finished
            summary returned. If left out, nothing
            is stored: `Summary.save` does that.
        restart: start from the beginning even if `out` holds a run or a summary, which is then lost.
        progress: receives reports; if left out, one line for each stage is printed to stderr. `Progress()`
            shows nothing.
        cache: of full-data trainings, to share them between runs.
        device: where everything is computed.
        report_to: trackers of the figures: "tensorboard", "mlflow", "wandb", "csv", an object with a method
            `log(values, step)`, or a list of them. The files of the first and the last are in `out`.

    Raises:
        FarziError: parts of the recipe do not fit each other, the data is too small, or a tracker is unknown
            or needs a package, or an `out`.
        KeyboardInterrupt: interrupted; with `out` the same call resumes.
    """
    recipe = recipe or preset_of(data)
    if data.settings is not None:  # a log of a user's own reader has none
        recipe = recipe.changed({"data": data.settings})
    first = current().first
    report_to = report_to if first else None
    trackers = make_trackers(report_to, out, recipe.model_dump(mode="json") if report_to else {})
    progress = progress or PrintedProgress()
    with tempfile.TemporaryDirectory() as folder:
        summary = _distill(
            recipe,
            Path(folder) / "summary" if out is None else out,
            dataset=data,
            size=Target.of(events=events, bytes=bytes, training_seconds=training_seconds),
            restart=restart,
            progress=progress,
            cache=cache,
            device=device,
            report_to=trackers,
        )
    if out is not None and first:
        write_page(out, progress, again=False)
    return summary


@joined()
def compare(
    summary: Summary,
    data: Data,
    recipe: Recipe | None = None,
    *,
    progress: Progress | None = None,
    cache: Cache | None = None,
    device: torch.device | str = "cpu",
) -> Comparison:
    """Train and test models on the full data, the summary and the controls.

    The teachers of the distillation, and its initial summary, are recomputed by the summary's own recipe: the
    same bits on the same machine. That takes the full-data trainings of its first stage.

    Args:
        summary: from `distill` or `Summary.load`.
        data: the log or text that it was distilled from.
        recipe: another recipe than the summary's; its `compare`, `teach`, `student` and `inner` are used for
            all rows but the teachers and the initial summary.
        progress: receives reports; if left out, a line for each training is printed to stderr. `Progress()`
            shows nothing.
        cache: of full-data trainings, as of `distill`; each finished training of the comparison is kept there
            as well, so that the same call resumes an interrupted one.
        device: where models are trained.

    Raises:
        FarziError: the data have other items than the summary, or a control of the recipe cannot be built.
        KeyboardInterrupt: interrupted; with `cache` the same call resumes.
    """
    recipe, cache, processes = recipe or summary.recipe, cache or Cache(), current()
    device, progress = processes.device(device), progress or PrintedProgress()
    progress = progress if processes.first else Progress()
    check_vocabulary(data, summary)
    try:
        origin = _origin(summary, data, recipe, cache, device, progress)
        settings: dict[str, Any] = {"origin": origin, "kept": cache.folder, "progress": progress}
        return _compare(summary, data, recipe, device=device, **settings)
    except KeyboardInterrupt:
        if cache.folder is None or not cache.folder.exists():
            raise
        raise KeyboardInterrupt("stopped; finished trainings are kept, the same call resumes there") from None


@undisturbed()
def tune_baseline(
    data: Data,
    recipe: Recipe | None = None,
    *,
    progress: Progress | None = None,
    cache: Cache | None = None,
    device: torch.device | str = "cpu",
) -> Tuning:
    """Tune the training of full-data models, `recipe.teach`, on the validation data.

    What is tried is `recipe.teach.grid`, one setting after the other. `compare` does the same by itself; with
    the same `cache` it finds these trainings.

    Args:
        data: the log or text.
        recipe: the presets' if left out.
        progress: as of `compare`.
        cache: keeps each finished training, so that the same call resumes an interrupted one.
        device: where models are trained.

    Returns:
        What was tried. Its method `recipe` gives the recipe with the best settings.

    Raises:
        FarziError: the grid has a setting that the model or the optimizer does not have.
        KeyboardInterrupt: interrupted; with `cache` the same call resumes.
    """
    recipe, cache = recipe or preset_of(data), cache or Cache()
    return tune_full_data(data, recipe, cache.folder, progress or PrintedProgress(), device)


@undisturbed()
def _origin(
    summary: Summary,
    data: Data,
    recipe: Recipe,
    cache: Cache,
    device: torch.device | str,
    progress: Progress,
) -> Origin | None:
    """The summary's teachers, trained again where they are not cached; None if no row needs them."""
    settings = recipe.compare
    if not settings.references and not any(labels_kept(one.build()) for one in settings.controls):
        return None
    own = summary.recipe
    trainings = full_trainings(own)
    if missing := len(trainings) - cache.present(trainings, data):
        models = counted(missing, "model")
        progress.message(f"teachers: training {models} on the full data, as for the distillation")
    full_data = teach(own, data, cache, device, progress)
    words = own.model_dump_json(exclude={"compare": True, "data": {"file"}})
    key, seconds = hashlib.sha256(words.encode()).hexdigest(), full_data.seconds / full_data.trainings
    teachers = Teachers(full_data.teachers, seconds, key)
    if summary.run.get("data_sha256", fingerprint(data)) != fingerprint(data):
        return Origin(teachers)
    return Origin(teachers, lambda: initialise(own, data, full_data.teachers))


def preset_of(data: Data) -> Recipe:
    """The recipe for a log or for a text where none is given."""
    return presets.TEXT if isinstance(data, Text) else presets.LOG
