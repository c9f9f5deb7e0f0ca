"""The setting a study was started with, in its folder's `study.json`, so that the same command resumes it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from farzi.errors import FarziError
from farzi.files import write_text_atomic
from farzi.recipe import Recipe, differences
from research.studies.former import settings
from research.studies.recipes import base_recipe, with_file
from research.studies.rows import ROWS
from research.studies.study import Setting, Study

SETTINGS = "study.json"
PAGES = ("README.md", "figure.png")
"""What a study writes besides its rows and its setting."""


@dataclass(frozen=True)
class Wanted:
    """What a command asks of a study; None for what it does not name.

    Attributes:
        source: a named data set or a file.
        file: a local copy of the data.
        recipe: what rows vary, with its data.
        seeds: repetitions of each row.
        summaries: distillations of each row.
        outer_steps: of each distillation.
        minutes: of each distillation, instead of a number of steps.
        max_steps: of each training on real events.
        changes: of other settings, by their paths.
    """

    source: str | None = None
    file: str | None = None
    recipe: Recipe | None = None
    seeds: int | None = None
    summaries: int | None = None
    outer_steps: int | None = None
    minutes: float | None = None
    max_steps: int | None = None
    changes: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def setting(self, study: Study, there: Setting | None) -> Setting:
        """The setting: what is named here, else what the folder has, else the study's own.

        Raises:
            FarziError: outer steps and minutes are both given, or a value that a recipe does not allow.
        """
        if self.outer_steps is not None and self.minutes is not None:
            raise FarziError("--outer-steps and --minutes-per-distillation: give only one of them")
        recipe = self._recipe(study, there)
        changed = dict(self.changes)
        if self.outer_steps is not None:
            changed |= {"outer.steps": self.outer_steps, "outer.minutes": None}
        elif self.minutes is not None:
            changed["outer.minutes"] = self.minutes
        if self.max_steps is not None:
            changed["teach.max_steps"] = self.max_steps
        recipe = with_file(recipe.changed(changed), self.file)
        there = there or Setting(recipe, study.seeds, study.summaries)
        return Setting(recipe, self.seeds or there.seeds, self.summaries or there.summaries)

    def _recipe(self, study: Study, there: Setting | None) -> Recipe:
        if self.recipe is not None:
            if self.source is None:
                return self.recipe
            return self.recipe.changed({"data.source": self.source})
        if there is not None and self.source in (None, there.recipe.source):
            return there.recipe
        return base_recipe(self.source or study.source, self.file)


def begin(study: Study, folder: str | Path, wanted: Wanted, restart: bool = False) -> Setting:
    """The setting that a study resumes or starts with. Nothing is written.

    Args:
        study: which one.
        folder: the study's.
        wanted: what the command asks.
        restart: ignore what the folder holds.

    Raises:
        FarziError: the folder holds another study, or this one with other settings, or is damaged.
    """
    path = Path(folder) / SETTINGS
    there = None if restart else recorded(folder)
    if there is None:
        return wanted.setting(study, None)
    name, former = there
    if name != study.name:
        raise FarziError(f"{folder} holds the study {name}; choose another --out")
    setting = wanted.setting(study, former)
    changed = [
        f"{key}: {old} -> {new}"
        for (key, old), new in zip(_numbers(former).items(), _numbers(setting).values(), strict=True)
        if old != new
    ]
    changed += differences(former.recipe, setting.recipe)
    if changed:
        raise FarziError(
            f"{path}: started with other settings ({'; '.join(changed[:3])}); "
            "choose another --out, or --restart"
        )
    return setting


def save_setting(study: Study, folder: str | Path, setting: Setting, restart: bool = False) -> None:
    """Write `study.json` if there is none; `restart` overwrites it and deletes the rows.

    Raises:
        FarziError: the folder is no study's, and has files that the study would replace.
    """
    folder = Path(folder)
    foreign = [name for name in (ROWS, *PAGES) if (folder / name).exists()]
    if foreign and not (folder / SETTINGS).exists():
        raise FarziError(f"{folder} holds {', '.join(foreign)}, which no study wrote; choose another --out")
    folder.mkdir(parents=True, exist_ok=True)
    if restart:
        (folder / ROWS).unlink(missing_ok=True)
    elif (folder / SETTINGS).exists():
        return
    recipe = setting.recipe.model_dump(mode="json", exclude={"data": {"file"}})
    values = {"study": study.name, **_numbers(setting), "recipe": recipe}
    write_text_atomic(folder / SETTINGS, json.dumps(values, indent=2) + "\n")


def recorded(folder: str | Path) -> tuple[str, Setting] | None:
    """The study and the setting in a folder's `study.json`; None if there is none.

    Raises:
        FarziError: it is damaged.
    """
    path = Path(folder) / SETTINGS
    if not path.is_file():
        return None
    try:
        values: Mapping[str, Any] = settings(json.loads(path.read_text(encoding="utf-8")))
        recipe = Recipe.model_validate(values["recipe"])
        return str(values["study"]), Setting(recipe, int(values["seeds"]), int(values["summaries"]))
    except (OSError, ValueError, KeyError, TypeError, ValidationError):
        raise FarziError(f"{path}: damaged; restore it, or start the study again with --restart") from None


def _numbers(setting: Setting) -> dict[str, int]:
    return {"seeds": setting.seeds, "summaries": setting.summaries}
