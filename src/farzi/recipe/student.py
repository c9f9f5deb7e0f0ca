"""The settings of a student: which one it is, its size, and what some of them have for themselves."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Settings(BaseModel):
    """A frozen group of settings that refuses keys it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


StudentName = Literal["sasrec", "gru4rec", "fmlprec", "transformer", "gru", "lstm"]

TeacherName = Literal["same", StudentName]
"""A student's name, or `same`: of the recipe's own student, whichever that is."""

OWN: Mapping[str, tuple[str, ...]] = {"heads": ("sasrec", "transformer")}
"""Settings that only some students have, and which ones; None, the default, leaves them to the student."""


def refuse_what_others_have(settings: Settings, name: str, own: Mapping[str, tuple[str, ...]]) -> None:
    """Raise ValueError where a setting is given that only some choices have, and not the one of that name."""
    for setting, having in own.items():
        if getattr(settings, setting) is not None and name not in having:
            have = "has" if len(having) == 1 else "have"
            raise ValueError(f"{name} has no {setting}, only {' and '.join(having)} {have}; leave it out")


class StudentSettings(Settings):
    """The architecture that is trained."""

    name: StudentName = Field(default="sasrec", description="the student's architecture")
    hidden: int = Field(default=32, ge=1, description="width of the hidden states and embeddings")
    layers: int = Field(default=1, ge=1, description="number of blocks or recurrent layers")
    heads: int | None = Field(
        default=None, ge=1, description="attention heads a block (sasrec, transformer); 1 if left out"
    )
    tied: bool = Field(
        default=True,
        description="whether events are scored by the embedding table, or by a table of their own",
    )

    @model_validator(mode="after")
    def _refuse_what_others_have(self) -> "StudentSettings":
        refuse_what_others_have(self, self.name, OWN)
        return self


def renamed(settings: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A student's settings for another one: without those that it does not have."""
    kept = {key: value for key, value in settings.items() if name in OWN.get(key, (name,))}
    return {**kept, "name": name}


def another(settings: StudentSettings, name: str) -> StudentSettings:
    """A student of that name, or the `same` one; else of the same settings.

    Raises:
        pydantic.ValidationError: it cannot have them.
    """
    if name in (settings.name, "same"):
        return settings
    return StudentSettings.model_validate(renamed(settings.model_dump(), name))
