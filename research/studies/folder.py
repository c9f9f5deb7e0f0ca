"""What a study was begun with, in its folder: `study.json`, so that the same command goes on with it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from farzi.errors import FarziError
from farzi.evaluation import Effort
from farzi.files import write_text_atomic
from farzi.recipe import Recipe, differences
from farzi.training import EventTraining
from research.studies.base import base_recipe, with_file
from research.studies.rows import ROWS
from research.studies.study import Setting, Study, values_of
from research.studies.vary import varied

SETTINGS = "study.json"


@dataclass(frozen=True)
class Wanted:
    """What a study is asked to be done with; None where nothing is said.

    Attributes:
        source: a named data set or a file.
        file: a copy of the data at hand.
        recipe: what rows vary, with its data.
        seeds: repetitions of a row.
        summaries: distillations of a row.
        outer_steps: of a distillation.
        minutes: of a distillation, in the place of a number of steps.
        max_steps: of a training on real events.
    """

    source: str | None = None
    file: str | None = None
    recipe: Recipe | None = None
    seeds: int | None = None
    summaries: int | None = None
    outer_steps: int | None = None
    minutes: float | None = None
    max_steps: int | None = None

    def setting(self, study: Study, found: Setting | None) -> Setting:
        """The setting: what is said here, else what the folder has, else the study's own.

        Raises:
            FarziError: outer steps and minutes are both given.
        """
        if self.outer_steps is not None and self.minutes is not None:
            raise FarziError("--outer-steps and --minutes-per-distillation: only one of them can hold")
        recipe = self._recipe(study, found)
        changed: dict[str, Any] = {}
        if self.outer_steps is not None:
            changed = {"outer.steps": self.outer_steps, "outer.minutes": None}
        elif self.minutes is not None:
            changed = {"outer.minutes": self.minutes}
        recipe = with_file(varied(recipe, changed), self.file)
        former = found or Setting(recipe, study.seeds, study.summaries)
        effort = former.effort
        if self.max_steps is not None:
            effort = replace(effort, training=replace(effort.training, steps=self.max_steps))
        return Setting(recipe, self.seeds or former.seeds, self.summaries or former.summaries, effort)

    def _recipe(self, study: Study, found: Setting | None) -> Recipe:
        if self.recipe is not None:
            if self.source is None:
                return self.recipe
            return varied(self.recipe, {"data.source": self.source})
        if found is not None and self.source in (None, found.recipe.data.source):
            return found.recipe
        return base_recipe(self.source or study.source, self.file)


def begin(study: Study, folder: str | Path, wanted: Wanted, restart: bool = False) -> Setting:
    """The setting that a study goes on with, or begins with. Nothing is written.

    Args:
        study: which one.
        folder: the study's.
        wanted: what is asked for.
        restart: whatever the folder holds.

    Raises:
        FarziError: the folder holds another study, or this one with other settings, or is damaged.
    """
    path = Path(folder) / SETTINGS
    found = None if restart else recorded(folder)
    if found is None:
        return wanted.setting(study, None)
    name, there = found
    if name != study.name:
        raise FarziError(f"{folder} holds the study {name}; choose another --out")
    setting = wanted.setting(study, there)
    changed = [
        f"{key}: {old} -> {new}"
        for (key, old), new in zip(_numbers(there).items(), _numbers(setting).values(), strict=True)
        if old != new
    ]
    changed += differences(there.recipe, setting.recipe)
    if changed:
        raise FarziError(
            f"{path}: begun with other settings ({'; '.join(changed[:3])}); "
            "choose another --out, or --restart"
        )
    return setting


def save_setting(study: Study, folder: str | Path, setting: Setting, restart: bool = False) -> None:
    """Write `study.json` where it is not there yet; with `restart` anew, and the rows go."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    if restart:
        (folder / ROWS).unlink(missing_ok=True)
    elif (folder / SETTINGS).exists():
        return
    values = {"study": study.name, **_numbers(setting), "recipe": values_of(setting.recipe)}
    write_text_atomic(folder / SETTINGS, json.dumps(values, indent=2) + "\n")


def recorded(folder: str | Path) -> tuple[str, Setting] | None:
    """The study and the setting in a folder's `study.json`; None where there is none.

    Raises:
        FarziError: it is damaged.
    """
    path = Path(folder) / SETTINGS
    if not path.is_file():
        return None
    try:
        values: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        recipe = Recipe.model_validate(values["recipe"])
        training = EventTraining(steps=int(values["max_steps"]))
        effort = Effort(training=training)
        return str(values["study"]), Setting(recipe, int(values["seeds"]), int(values["summaries"]), effort)
    except (OSError, ValueError, KeyError, TypeError, ValidationError):
        raise FarziError(f"{path}: damaged; restore it, or --restart begins the study anew") from None


def _numbers(setting: Setting) -> dict[str, int]:
    return {
        "seeds": setting.seeds,
        "summaries": setting.summaries,
        "max_steps": setting.effort.training.steps,
    }
