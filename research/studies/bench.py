"""What rows are measured with: the data, and caches of summaries and of trainings on real events."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import torch

from farzi.data import Data, load_data
from farzi.data.fingerprint import fingerprint
from farzi.distillation import Cache, Progress, distill, full_trainings
from farzi.files import locked
from farzi.recipe import Recipe
from farzi.recipe.variants import DataVariant
from farzi.summary import Summary
from research.studies.training_cache import TrainingCache

CACHE = "cache"
"""Where a study's folder has its summaries and trainings."""

FIRST_SEED = 1000
"""Students' seeds count up from here; distillations' from their recipe's."""

WITHOUT_BEARING: Any = {"data": {"file"}, "teach": {"grid"}, "compare": True}
"""Settings of a recipe on which its summary does not depend."""


class Source(Protocol):
    """Data that no recipe's settings describe: a made-up log, a part of another one. A frozen dataclass."""

    def __call__(self, bench: "Bench", repeat: int) -> Data:
        """The data of a repetition."""
        ...


class Bench:
    """Holds what several rows need, so that each is loaded, distilled or chosen once.

    Args:
        folder: the study's.
        progress: receives reports of distillations.
        doing: called with a line on what is being done.
        cache: folder of summaries and trainings on real events, if not in the study's folder: studies may
            share one.
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
        self.trainings = TrainingCache(self.cache)
        self.full_data = Cache(self.cache)
        self._results: dict[Any, Any] = {}

    def once(self, key: Any, make: Callable[[], Any]) -> Any:
        """The result of `make`, which is called once for each (hashable) key."""
        if key not in self._results:
            self._results[key] = make()
        return self._results[key]

    def data(self, settings: DataVariant, source: Source | None = None, repeat: int = 0) -> Data:
        """The log or the text. Raises FarziError as `load_data`."""
        if source is None:
            return self.once(settings, lambda: load_data(settings))
        return self.once((source, repeat), lambda: source(self, repeat))

    def summary(self, recipe: Recipe, number: int, dataset: Data) -> Summary:
        """A recipe's summary: read from the cache, or distilled; an interrupted distillation is resumed.

        Args:
            recipe: the whole run; `number` is added to its seed.
            number: from 0.
            dataset: what it is distilled from.

        Raises:
            FarziError: as `farzi.distillation.distill`.
            KeyboardInterrupt: as there; the same call resumes.
        """
        own = _numbered(recipe, number)
        place = self.place(own, dataset)
        self.doing(f"summary {place.name}, from seed {own.seed}")
        place.mkdir(parents=True, exist_ok=True)
        with locked(place, wait=True):  # another row, measured at the same time, may need the same summary
            return distill(
                own,
                place,
                dataset=dataset,
                progress=self.progress,
                cache=self.full_data,
                device=self.device,
            )

    def has(self, recipe: Recipe, number: int, dataset: Data) -> bool:
        """Whether `summary` would read a finished one."""
        return (self.place(_numbered(recipe, number), dataset) / "SHA256SUMS").exists()

    def full_data_paths(self, recipe: Recipe, number: int, dataset: Data) -> list[Path]:
        """The cache's files of the full-data trainings that this summary needs, there or not."""
        paths = [
            self.full_data.path(training, dataset) for training in full_trainings(_numbered(recipe, number))
        ]
        return [path for path in paths if path is not None]

    def place(self, recipe: Recipe, dataset: Data) -> Path:
        """The folder of a recipe's summary, whatever its data are called and wherever they are."""
        settings = recipe.model_dump(mode="json", exclude=WITHOUT_BEARING)
        words = json.dumps([settings, fingerprint(dataset)], sort_keys=True)
        return self.cache / hashlib.sha256(words.encode()).hexdigest()[:16]


def _numbered(recipe: Recipe, number: int) -> Recipe:
    return recipe.model_copy(update={"seed": recipe.seed + number})
