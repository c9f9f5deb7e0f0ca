"""What rows are measured at: the data, and the summaries that were distilled already."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import torch

from farzi.data import Data, load_data
from farzi.data.fingerprint import fingerprint
from farzi.distillation import Progress, References, distill
from farzi.recipe import DataSettings, Recipe
from farzi.summary import Summary
from research.studies.kept import Trainings

CACHE = "cache"
"""Where a study's folder keeps its summaries."""

FIRST_SEED = 1000
"""Students' seeds count up from here; distillations' from their recipe's."""


class Source(Protocol):
    """Data not read as a recipe's settings say: made ones, or a part of others; a frozen dataclass."""

    def __call__(self, bench: "Bench", repeat: int) -> Data:
        """The data of a repetition."""
        ...


class Bench:
    """Holds what several rows need, so that each is loaded, distilled or chosen once.

    Args:
        folder: the study's.
        progress: hears distillations.
        doing: called with a word on what is being done.
        cache: where summaries and trainings on real events are kept, if not in the study's folder: studies
            may share them.
        device: where summaries are learnt and students trained.
    """

    def __init__(
        self,
        folder: str | Path,
        progress: Progress | None = None,
        doing: Callable[[str], None] | None = None,
        cache: str | Path | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        self.folder = Path(folder)
        self.cache = self.folder / CACHE if cache is None else Path(cache)
        self.progress = progress or Progress()
        self.doing = doing or (lambda what: None)
        self.device = device
        self.trainings = Trainings(self.cache)
        self._references = References(self.cache)
        self._kept: dict[Any, Any] = {}

    def once(self, key: Any, make: Callable[[], Any]) -> Any:
        """What `make` gives, called once for each (hashable) key."""
        if key not in self._kept:
            self._kept[key] = make()
        return self._kept[key]

    def data(self, settings: DataSettings, source: Source | None = None, repeat: int = 0) -> Data:
        """The log or the text. Raises FarziError as `load_data`."""
        if source is None:
            return self.once(settings, lambda: load_data(settings))
        return self.once((source, repeat), lambda: source(self, repeat))

    def summary(self, recipe: Recipe, number: int, dataset: Data) -> Summary:
        """The summary of that number of a recipe: found, gone on with or distilled.

        Args:
            recipe: the whole run; `number` is added to its seed.
            number: from 0.
            dataset: what it is learnt from.

        Raises:
            FarziError: as `farzi.distillation.distill`.
            KeyboardInterrupt: as there; the same call goes on.
        """
        own = _numbered(recipe, number)
        place = self.place(own, dataset)
        self.doing(f"summary {place.name}, from seed {own.seed}")
        return distill(
            own,
            place,
            dataset=dataset,
            progress=self.progress,
            references=self._references,
            device=self.device,
        )

    def has(self, recipe: Recipe, number: int, dataset: Data) -> bool:
        """Whether `summary` would find it finished."""
        return (self.place(_numbered(recipe, number), dataset) / "SHA256SUMS").exists()

    def references(self, recipe: Recipe, number: int, dataset: Data) -> list[Path]:
        """Where the full-data trainings are kept that this summary begins with, once they are done."""
        return self._references.paths(_numbered(recipe, number), dataset)

    def place(self, recipe: Recipe, dataset: Data) -> Path:
        """Where a recipe's summary is kept, whatever its data are called and wherever they lie."""
        told = recipe.model_dump(mode="json", exclude={"data": {"file"}})
        words = json.dumps([told, fingerprint(dataset)], sort_keys=True)
        return self.cache / hashlib.sha256(words.encode()).hexdigest()[:16]


def _numbered(recipe: Recipe, number: int) -> Recipe:
    return recipe.model_copy(update={"seed": recipe.seed + number})
